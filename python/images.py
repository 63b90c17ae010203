"""Custom images: lists them, finds one, shows one, deletes some.

`list` and `show` print tables and texts for people, or one JSON object with --json;
`resolve` and `delete` print JSON. An image is the caller's where its labels and its
name say so. Exit statuses: docs/exit-codes.md; 3 for no such image, 4 for one in
use, or of somebody else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.parser import Parser
from ds01.core.program import program_name, run
from ds01.images.shelf.delete import do_delete
from ds01.images.shelf.image import read_images
from ds01.images.shelf.images import PROGRAM, do_list, do_resolve


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list")
    listing.add_argument("--all", action="store_true")
    listing.add_argument("--json", action="store_true")
    verbs.add_parser("resolve").add_argument("word")
    show = verbs.add_parser("show")
    show.add_argument("word")
    which = show.add_mutually_exclusive_group()
    for option in ("--json", "--dockerfile", "--lock", "--history", "--spec"):
        which.add_argument(option, action="store_true")
    delete = verbs.add_parser("delete")
    delete.add_argument("names", nargs="+")
    for option in ("--force", "--with-source", "--dry-run"):
        delete.add_argument(option, action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    with Engine(settings.engine_address()) as engine:
        if words.verb == "show":
            from ds01.images.shelf.show import show  # noqa: PLC0415 - with YAML and the lock

            return show(words, engine, read_images(engine))
        verbs = {"list": do_list, "resolve": do_resolve, "delete": do_delete}
        return verbs[words.verb](words, engine)


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
