"""Tell what was installed in a container that its image does not have.

The engine knows which files of a container are new, changed or gone, whether it runs or
not: the packages' own records among them tell the packages. Nothing runs inside for it.

`show NAME` prints one JSON object: `pip` and `apt` (each with the word that asks for
it in an image's spec), `removed`, `notes` about what cannot be taken, and `base`, the
words of `image_plan create` for what the container was made of (null where that is
gone).
Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core.parser import Parser
from ds01.core.program import program_name, run
from ds01.images.shelf.changes import do_show


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("container_changes"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("show").add_argument("name")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    return do_show(build_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(run(main, "container_changes"))
