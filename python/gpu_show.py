"""Show the GPU queue, and explain grants, waits and requests, in words or as JSON.

Verbs: `queue [--mine]`, `explain --container NAME | --request SPEC`,
`offer` (the containers to explain something about, as rows of a menu),
`cancel --container NAME`. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core import settings
from ds01.core.parser import Parser
from ds01.core.paths import find_paths
from ds01.core.program import program_name, run
from ds01.gpus.allocator.allocator import Allocator
from ds01.show.queue import PROGRAM, cancel, explain, offer, show_queue


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    queue = verbs.add_parser("queue")
    queue.add_argument("--mine", action="store_true")
    queue.add_argument("--json", action="store_true")
    told = verbs.add_parser("explain")
    which = told.add_mutually_exclusive_group(required=True)
    which.add_argument("--container")
    which.add_argument("--request")
    told.add_argument("--json", action="store_true")
    verbs.add_parser("offer")
    verbs.add_parser("cancel").add_argument("--container", required=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    allocator = Allocator(find_paths(), settings.engine_address())
    verb = {
        "queue": show_queue,
        "explain": explain,
        "offer": offer,
        "cancel": cancel,
    }[words.verb]
    return verb(words, allocator)


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
