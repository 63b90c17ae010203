"""What a stay in a container needs: its GPUs before it starts, its end afterwards.

`prepare` prints one of the caller's containers and, where it is stopped, gets its GPUs
back: the same devices if it still has them or they are free, otherwise others that its
request allows, for which it is made anew (allocator/rehome.py). `started` prints it
once it was to be started, and logs it. `leave` stops it if nothing but its own shell
runs in it. Each prints one JSON object. Exit statuses: docs/exit-codes.md; 5 where no
GPU is free.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.program import print_json, program_name, run
from ds01.lifecycle.stay import PROGRAM, leave, prepare, started


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    words = verbs.add_parser("prepare")
    words.add_argument("name")
    words.add_argument("--owner-pid", type=int)
    words.add_argument("--wait", metavar="DURATION")
    words.add_argument("--request", metavar="SPEC")
    verbs.add_parser("started").add_argument("name")
    words = verbs.add_parser("leave")
    words.add_argument("container")
    for option in ("was-open", "not-last"):
        words.add_argument(f"--{option}", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    if words.verb == "prepare":
        print_json(prepare(words))
    elif words.verb == "started":
        print_json(started(words.name))
    else:
        print_json(
            leave(words.container, was_open=words.was_open, is_last=not words.not_last)
        )
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
