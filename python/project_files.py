"""Lay out the folder of a project from templates/project, and say what types there are.

`types` prints the types of projects: `general`, and the use cases of packages.yaml.
`make` writes what is missing in a folder; a file that is there already is never
touched. Each prints one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core.parser import Parser
from ds01.core.program import program_name, run
from ds01.images.source.project import GENERAL, do_make, do_types


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("project_files"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("types")
    make = verbs.add_parser("make")
    make.add_argument("name")
    make.add_argument("--type", default=GENERAL)
    make.add_argument("--folder", required=True)
    make.add_argument("--workspace", required=True)
    make.add_argument("--dry-run", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    return {"types": do_types, "make": do_make}[words.verb](words)


if __name__ == "__main__":
    sys.exit(run(main, "project_files"))
