"""Turn the GPU options of a command into words of `docker --gpus`, for mlc to hand on.

Reads --gpus, --gpu-mem and --wait as a command got them; prints one JSON object:
`docker` (empty: nothing was asked) and `request`, the same in short. Exit status 2 for
what is no request.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.program import print_json, program_name, run
from ds01.gpus.rules.request import DEFAULT, format_request
from ds01.gpus.rules.request_words import docker_words, requested


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("gpu_words"), description=__doc__)
    parser.add_argument("--gpus", metavar="SPEC")
    parser.add_argument("--gpu-mem", metavar="SIZE")
    parser.add_argument("--wait", metavar="DURATION")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    request = requested(words.gpus, words.gpu_mem)
    if request is None and words.wait is not None:
        request = DEFAULT
    print_json(
        {
            "docker": "" if request is None else docker_words(request, words.wait),
            "request": "" if request is None else format_request(request),
        }
    )
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "gpu_words"))
