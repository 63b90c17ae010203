"""Text tables for people, aligned by what a terminal shows and not by bytes."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence

_GAP = "  "
# What is left at least of a text that is cut, so that it still says something.
_LEAST = 16


def plain(text: str) -> str:
    """Return the text without what could rewrite a terminal or begin a line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "?" for char in text)


def width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    return sum(
        0
        if unicodedata.combining(char)
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )


def columns() -> int | None:
    """Return how wide what is printed may be; None where it does not go to a terminal.

    `core::watch` holds the text back for a moment, and tells the width instead.
    """
    told = os.environ.get("DS01_COLUMNS", "")
    if told.isdecimal():
        return int(told) or None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def cut(text: str, wide: int) -> str:
    """Return the text in at most so many columns, with an ellipsis where it was cut."""
    if width(text) <= wide:
        return text
    while text and width(text) >= wide:
        text = text[:-1]
    return text.rstrip() + "…"


def fold(text: str, indent: str) -> str:
    """Return a line as several where the terminal is too narrow, the rest indented."""
    room = columns()
    if room is None or width(text) <= room:
        return text
    import textwrap  # noqa: PLC0415 - most lines fit

    return textwrap.fill(text, room, subsequent_indent=indent, break_on_hyphens=False)


def render(
    header: Sequence[str], rows: Sequence[Sequence[str]], margin: int = 0
) -> str:
    """Return the table as lines; an empty cell shows as `-`, the last is not padded.

    Where a terminal is too narrow, columns without any value are left out, then the
    last is cut, and what has no room then follows below, with the first column again.
    A margin is room that the caller needs beside the table.
    """
    table = [list(header), *([plain(cell) or "-" for cell in row] for row in rows)]
    room = columns()
    if room is None:
        return _lines(table)
    return "\n".join(_lines(part) for part in _fitted(table, room - margin))


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width, column)) for column in zip(*table, strict=True)]


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _lines(table: Sequence[Sequence[str]]) -> str:
    widths = _widths(table)
    lines = []
    for row in table:
        cells = [
            cell + " " * (wide - width(cell))
            for cell, wide in zip(row, widths, strict=True)
        ]
        lines.append(_GAP.join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _fitted(table: list[list[str]], room: int) -> list[list[list[str]]]:
    """Return a table as one that fits in so many columns, or as several."""
    for i in reversed(range(1, len(table[0]))):
        if _needed(_widths(table)) <= room:
            break
        if len(table) > 1 and all(row[i] == "-" for row in table[1:]):
            table = [row[:i] + row[i + 1 :] for row in table]
    widths = _widths(table)
    last = room - _needed(widths) + widths[-1]
    if last >= min(widths[-1], _LEAST) or len(widths) < 3:
        return [[[*row[:-1], cut(row[-1], max(last, _LEAST))] for row in table]]
    end = len(widths) - 1
    while end > 2 and _needed(widths[:end]) > room:
        end -= 1
    first = [row[:end] for row in table]
    rest = [[row[0], *row[end:]] for row in table]
    return [first, *_fitted(rest, room)]
