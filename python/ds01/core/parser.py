"""The parser of a helper's words: argparse, as every helper wants it, and lean."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ds01.core.owner import Owner


class _Formatter(argparse.HelpFormatter):
    """Does not ask for the width of the terminal: that loads shutil and compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=78)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose options cannot be abbreviated; so are its verbs'."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(formatter_class=_Formatter, **options)


def process(text: str) -> Owner:
    """Return the process of a number; raises ArgumentTypeError where none has it."""
    from ds01.core.owner import owner_of  # noqa: PLC0415 - few helpers take one

    owner = owner_of(int(text)) if text.isascii() and text.isdigit() else None
    if owner is None:
        raise argparse.ArgumentTypeError(f"no process '{text}'")
    return owner


def json_object(text: str) -> dict[str, Any]:
    """Return an object that is given as JSON; raises ArgumentTypeError for others."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return value
