"""Make the pages about the commands from their headers: nothing in them is edited.

`docs` writes docs/commands/*.md, one page for each command and an index; `check` tells
what in it is not as the headers say; `share FOLDER --root PREFIX` writes the man pages
and the completion of an installation in PREFIX. Exit statuses: docs/exit-codes.md;
`check` ends with 6 where a page differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ds01.core.parser import Parser
from ds01.core.paths import PROJECT_ROOT
from ds01.core.program import program_name, run
from ds01.help.pages import do_check, do_docs, do_share


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=program_name("help_pages"), description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("docs", "check"):
        each = verbs.add_parser(verb)
        each.add_argument(
            "folder", type=Path, nargs="?", default=PROJECT_ROOT / "docs/commands"
        )
    share = verbs.add_parser("share")
    share.add_argument("folder", type=Path)
    share.add_argument("--root", default=str(PROJECT_ROOT))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    return {"docs": do_docs, "check": do_check, "share": do_share}[words.verb](words)


if __name__ == "__main__":
    sys.exit(run(main, "help_pages"))
