"""Text tables for people, aligned by what a terminal shows and not by bytes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


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


def render(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table as lines; an empty cell shows as `-`, the last is not padded."""
    table = [list(header), *([plain(cell) or "-" for cell in row] for row in rows)]
    widths = [max(width(row[i]) for row in table) for i in range(len(header))]
    lines = []
    for row in table:
        cells = [
            cell + " " * (wide - width(cell))
            for cell, wide in zip(row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"
