"""The parser of a helper's words: argparse, as every helper wants it, and lean."""

from __future__ import annotations

import argparse
from typing import Any


class _Formatter(argparse.HelpFormatter):
    """Does not ask for the width of the terminal: that loads shutil and compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=78)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose options cannot be abbreviated; so are its verbs'."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(formatter_class=_Formatter, **options)
