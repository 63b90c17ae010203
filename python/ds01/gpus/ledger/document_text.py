"""The text of gpu-state.json: what has not changed is neither read nor written anew.

Each grant, dirty device and ticket has a line of its own, and so have the large parts
of the rest. A line that is known from the last time stands for the value that it gave
then: with a hundred grants most of a call's time would go into making the same values
again. The text is plain JSON for everybody else, and JSON in any other layout is read
too, only not as fast.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

Json = dict[str, Any]
Item = TypeVar("Item")


class Lines(Generic[Item]):
    """Values of one kind and their lines, as they were read or written last."""

    def __init__(
        self, read: Callable[[Json], Item], show: Callable[[Item], Json]
    ) -> None:
        self._read = read
        self._show = show
        self._values: dict[str, Item] = {}
        # By the value's identity; it is kept alive here, so that stays its own.
        self._lines: dict[int, tuple[Item, str]] = {}

    def values(self, lines: Sequence[str]) -> tuple[Item, ...]:
        """Return the values of lines; raises ValueError and what `read` does."""
        known = self._values
        new = [line for line in lines if line not in known]
        raws = json.loads(f"[{','.join(new)}]")
        if len(raws) != len(new):
            raise ValueError("several values in a line")
        read = dict(zip(new, map(self._read, raws), strict=True))
        values = {line: known[line] if line in known else read[line] for line in lines}
        self._remember(values)
        return tuple(values.values())

    def lines(self, items: Iterable[Item]) -> list[str]:
        """Return the lines of values."""
        lines: dict[str, Item] = {}
        for item in items:
            known = self._lines.get(id(item))
            line = known[1] if known is not None else encode(self._show(item))
            lines[line] = item
        self._remember(lines)
        return list(lines)

    def _remember(self, values: dict[str, Item]) -> None:
        self._values = values
        self._lines = {id(item): (item, line) for line, item in values.items()}


def encode(value: object) -> str:
    """Return a value as JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def join(head: Json, parts: Iterable[str], lists: Mapping[str, Sequence[str]]) -> str:
    """Return the text of a document: the rest, then its parts, then its lists."""
    text = ",\n".join([encode(head)[:-1], *(part[1:-1] for part in parts)])
    end = ""
    for name, lines in lists.items():
        text += f'{end},\n"{name}":[\n' + ",\n".join(lines)
        end = "\n]" if lines else "]"
    return text + end + "}\n"


def split(
    text: str, parts: Sequence[Sequence[str]], lists: Sequence[str]
) -> tuple[Json, list[str], list[list[str]]]:
    """Return what join() made a text of; raises ValueError for any other text.

    `parts` are the keys of each part. No string of JSON has a line's end in it, so what
    is looked for is in none.
    """
    starts = [f'{"]" * (at > 0)},\n"{name}":[\n' for at, name in enumerate(lists)]
    found: list[str] = []
    for start in [*starts, "]}\n"]:
        before, mark, text = text.partition(start)
        if not mark:
            raise ValueError("another layout")
        found.append(before)
    first, *members = found[0].split(",\n")
    head, blocks = json.loads(first + "}"), found[1:]
    known = {name for names in parts for name in names}
    if (
        text
        or len(members) != len(parts)
        or not head.keys().isdisjoint({*known, *lists})
    ):
        raise ValueError("another layout")
    if not all(block.endswith("\n") for block in blocks if block):
        raise ValueError("another layout")
    texts = ["{" + member + "}" for member in members]
    # What is between two lines is never part of a value: if it is, that is no JSON.
    return head, texts, [block[:-1].split(",\n") if block else [] for block in blocks]
