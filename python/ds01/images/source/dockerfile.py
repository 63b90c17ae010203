"""The Dockerfile in an image's folder: DS01's managed part, and what is the user's.

The managed part lies between two marker lines; the first holds a checksum of it, by
which an edit by hand is noticed. Everything outside of the markers is the user's, and
kept byte for byte. A file without markers is the user's as a whole (adopted); packages
that are added to it later go into a block of their own at its end.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass
from enum import Enum

from ds01.core.errors import Exit, HelperError


class State(str, Enum):
    """What a Dockerfile is, seen from its managed part."""

    FRESH = "fresh"  # there is none yet
    CLEAN = "clean"  # the managed part is as it was rendered
    EDITED = "edited"  # it was changed by hand
    ADOPTED = "adopted"  # there is no managed part: the file is the user's


# Marker lines begin like this, whatever an editor did to their end.
_MANAGED = "DS01 renders these lines from image.yaml"
_BLOCK = "DS01 added these packages later"
_ADVICE = {
    _MANAGED: "write your own above or below them",
    _BLOCK: "they are rendered anew when you add more",
}
_OPENING = (
    "\n# Above and below the marked lines the file is yours and stays as it is.\n"
)
_CHECKSUM = re.compile(r"sha256 ([0-9a-f]{64}) >>>\s*\Z")


@dataclass(frozen=True)
class _Part:
    """Where a part lies in the text (markers included), and what is in it."""

    start: int
    end: int
    body: str
    checksum: str


def checksum(body: str) -> str:
    """Return what the first marker holds; line ends do not count."""
    plain = body.replace("\r\n", "\n")
    return hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()


def examine(text: str | None) -> State:
    """Return what a Dockerfile is; None or nothing but blanks: there is none yet."""
    if text is None or not text.strip():
        return State.FRESH
    if not _lines(text, _MANAGED):
        return State.ADOPTED
    part = _find(text, _MANAGED)
    if part is None or checksum(part.body) != part.checksum:
        return State.EDITED
    return State.CLEAN


def managed_part(text: str | None) -> str | None:
    """Return the managed part, without markers; None where none can be told."""
    part = None if text is None else _find(text, _MANAGED)
    return part.body if part else None


def wrap(body: str, kind: str = _MANAGED) -> str:
    """Return rendered lines between their markers."""
    return (
        f"# >>> {kind}; {_ADVICE[kind]}; sha256 {checksum(body)} >>>\n"
        f"{body}# <<< {kind} <<<\n"
    )


def merge(text: str | None, managed: str) -> str:
    """Return the file with a newly rendered managed part, the rest untouched.

    An edited managed part is replaced: whether that is wanted is asked before. Raises
    HelperError(CONFIG) for a file that has no such part, or markers out of order.
    """
    if examine(text) is State.FRESH or text is None:
        return (text or "") + wrap(managed) + _OPENING
    if examine(text) is State.ADOPTED:
        raise HelperError(
            Exit.CONFIG,
            "this Dockerfile is your own: it has no part that DS01 renders",
            "remove it or move it away to have one rendered",
        )
    part = _find(text, _MANAGED)
    if part is None:
        raise HelperError(
            Exit.CONFIG,
            "the marker lines of the Dockerfile's rendered part are not one pair: "
            + _marker_places(text),
            "put them back, or adopt the file as your own with '--adopt'",
        )
    return text[: part.start] + wrap(managed) + text[part.end :]


def adopt(text: str) -> str:
    """Return the file without the marker lines: from now on all of it is the user's."""
    return _without_markers(text, _MANAGED)


def add_block(text: str, block: str) -> str:
    """Return an adopted file with a marked block at its end, or without one if empty.

    A block from before is replaced where it stands. If it was edited by hand it becomes
    the user's, and a new one follows at the end.
    """
    part = _find(text, _BLOCK)
    if part and checksum(part.body) == part.checksum:
        return (
            text[: part.start]
            + (wrap(block, _BLOCK) if block else "")
            + text[part.end :]
        )
    kept = _without_markers(text, _BLOCK)
    if not block:
        return kept
    ending = "" if not kept or kept.endswith("\n") else "\n"
    return kept + ending + wrap(block, _BLOCK)


def without_block(text: str) -> str:
    """Return an adopted file without its block, if that is as it was rendered."""
    return add_block(text, "") if _lines(text, _BLOCK) else text


def last_user(text: str) -> str | None:
    """Return the user that the last stage of a Dockerfile ends with, if it says so."""
    found = None
    for line in without_block(text).split("\n"):
        words = line.split()
        if words and words[0].upper() == "FROM":
            found = None
        elif len(words) == 2 and words[0].upper() == "USER":
            found = words[1]
    return found


def diff(old: str, new: str, old_name: str, new_name: str) -> str:
    """Return the difference of two texts in unified form, empty where there is none."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), old_name, new_name, lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str, kind: str) -> list[tuple[int, int, str]]:
    """Return start, end and text of the lines that look like markers of a kind."""
    # Only \n ends a line of a Dockerfile; splitlines() knows many more.
    return [
        (found.start(), found.end(), found[0])
        for found in re.finditer(rf"^# (?:>>>|<<<) {kind}[^\n]*(?:\n|\Z)", text, re.M)
    ]


def _find(text: str, kind: str) -> _Part | None:
    """Return the part between one pair of markers in order, or None."""
    lines = _lines(text, kind)
    signs = [line[2][:5] for line in lines]
    if signs != ["# >>>", "# <<<"]:
        return None
    (start, begin, first), (finish, end, _) = lines
    matched = _CHECKSUM.search(first)
    return _Part(start, end, text[begin:finish], matched[1] if matched else "-")


def _without_markers(text: str, kind: str) -> str:
    for start, end, _ in reversed(_lines(text, kind)):
        text = text[:start] + text[end:]
    return text


def _marker_places(text: str) -> str:
    numbers = [text.count("\n", 0, start) + 1 for start, _, _ in _lines(text, _MANAGED)]
    return f"lines {', '.join(map(str, numbers))}" if numbers else "none"
