"""Leaves a container running though it idles, for a time that its owner asks for.

Verbs: keep NAME [DURATION], end NAME, list; check DURATION is for a dialogue, and tells
what is wrong with one. What was asked for stands in the container's record, where the
lifecycle pass reads it, and in the event log; everybody can see it. stdout: one JSON
object, or for `list` a table. Exit statuses: docs/exit-codes.md; 4 for longer than the
policy's keep_alive_max.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.containers.keep import PROGRAM, do_check, do_end, do_keep, do_list
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.parser import Parser
from ds01.core.program import program_name, run


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    keep = verbs.add_parser("keep")
    keep.add_argument("name")
    keep.add_argument("duration", nargs="?")
    verbs.add_parser("end").add_argument("name")
    verbs.add_parser("check").add_argument("duration")
    listing = verbs.add_parser("list")
    listing.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    verb = {"keep": do_keep, "check": do_check, "end": do_end, "list": do_list}[
        words.verb
    ]
    with Engine(settings.engine_address()) as engine:
        return int(verb(words, engine))


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
