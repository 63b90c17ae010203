"""Read the installation's settings, ds01.yaml.

`show` prints the effective settings and the file layout as one JSON object.
Exit statuses: docs/exit-codes.md; 6 where the file is broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ds01.core.errors import Exit
from ds01.core.parser import Parser
from ds01.core.program import print_json, program_name, run
from ds01.core.settings import show


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("settings"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("show")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    build_parser().parse_args(argv)
    print_json(show())
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "settings"))
