"""Show what containers there are, as the engine and DS01's labels tell it.

Reads the engine only. `list` prints a table for people, with --json one JSON object;
`choices` prints as JSON the rows of a menu; `show` prints one container as JSON. Exit
statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.containers.containers import (
    STATES,
    do_choices,
    do_list,
    do_show,
)
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.parser import Parser
from ds01.core.program import program_name, run


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("containers"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list")
    listing.add_argument("--all-users", action="store_true")
    listing.add_argument("--json", action="store_true")
    listing.add_argument("--column", action="append", default=[])
    offered = verbs.add_parser("choices")
    offered.add_argument("--only", choices=sorted(STATES))
    show = verbs.add_parser("show")
    show.add_argument("name")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    verb = {
        "list": do_list,
        "choices": do_choices,
        "show": do_show,
    }[words.verb]
    with Engine(settings.engine_address()) as engine:
        return verb(words, engine)


if __name__ == "__main__":
    sys.exit(run(main, "containers"))
