"""Tell what images the catalog has: mlc's, the site's, and custom ones.

`list` prints the images for this host, `base` the offline base where it is meant and
missing, `meant` which framework a word is; each one JSON object. Exit statuses:
docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core.parser import Parser
from ds01.core.program import program_name, run
from ds01.images.shelf.catalog import (
    add_image_words,
    do_base,
    do_list,
    do_meant,
)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("catalog"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list")
    listing.add_argument("--arch")
    verbs.add_parser("meant").add_argument("word")
    add_image_words(verbs.add_parser("base"), required=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    verbs = {
        "list": do_list,
        "base": do_base,
        "meant": do_meant,
    }
    return verbs[words.verb](words)


if __name__ == "__main__":
    sys.exit(run(main, "catalog"))
