"""The lines of requirement files: read, joined, included, and placed for messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ds01.core.errors import Exit, HelperError
from ds01.images.requirements import options, words
from ds01.images.requirements.words import Word

_LARGEST = 1 << 20
_MOST_LINES = 5000
_INCLUDE = re.compile(
    r"(-r|-c|--requirements?|--constraints?)(?:\s*=\s*|\s+|(?<=-[rc]))(\S.*)"
)


@dataclass
class Found:
    """What one file, and those that it includes, ask for.

    `notes` tell what could not be taken as it is; `python` are the versions of Python
    that the file wants; `sources` the files that were read, as paths in the folder.
    """

    words: list[Word] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    constraints: list[Word] = field(default_factory=list)
    apt: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    python: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def text_of(folder: Path, name: str) -> str:
    """Return the text of a file of the folder; raises HelperError."""
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise failure(name, 0, f"it leads out of '{folder}'")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise HelperError(
            Exit.NOT_FOUND, f"the file of packages '{path}' does not exist"
        ) from error
    except OSError as error:
        raise failure(name, 0, (error.strerror or str(error)).lower()) from error
    if len(data) > _LARGEST:
        raise failure(name, 0, "it is larger than 1 MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise failure(
            name, data.count(b"\n", 0, error.start) + 1, "not UTF-8"
        ) from error


def failure(name: str, line: int, what: str) -> HelperError:
    """Return what is wrong with a file of packages, and where."""
    return HelperError(Exit.CONFIG, f"{name}{f':{line}' if line else ''}: {what}")


def take_line(
    found: Found,
    folder: Path,
    here: PurePosixPath,
    line: str,
    is_constraint: bool = False,
) -> None:
    """Take one line of a requirements file that lies in `here`.

    Raises ValueError for what it is not, HelperError where it includes another file.
    """
    included = _INCLUDE.fullmatch(line)
    if included:
        target = included[2].strip().strip("'\"")
        if "://" in target:
            raise ValueError(
                f"'{words.hide_password(target)}' is not fetched: save it in the "
                "image's folder and name it there"
            )
        path = words.check_path(_joined(here, target))
        is_constraint = is_constraint or included[1].startswith(("-c", "--c"))
        read_lines(found, folder, path, is_constraint)
    elif line.startswith("-") and not line.startswith(("-e", "--editable")):
        found.options.append(options.parse_option(line))
    else:
        kept = found.constraints if is_constraint else found.words
        kept.append(_placed(line, here))


def _placed(text: str, here: PurePosixPath) -> Word:
    """Return a word; paths in a file are taken from the folder that the file is in."""
    bare = text.strip()
    if here != PurePosixPath() and bare.startswith("./"):
        bare = f"./{here}/{bare[2:]}"
    return words.parse_word(bare)


def read_lines(found: Found, folder: Path, name: str, is_constraint: bool) -> None:
    if name in found.sources:
        return
    found.sources.append(name)
    here = PurePosixPath(name).parent
    for number, line in logical_lines(text_of(folder, name), name):
        try:
            take_line(found, folder, here, line, is_constraint)
        except ValueError as error:
            raise failure(name, number, str(error)) from error


def _joined(here: PurePosixPath, target: str) -> str:
    """Return a path from the image's folder, `..` resolved as far as that goes."""
    parts: list[str] = []
    for part in (here / target).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts).replace("//", "/")


def logical_lines(text: str, name: str) -> list[tuple[int, str]]:
    """Return lines with their numbers: continued ones joined, comments gone."""
    lines: list[tuple[int, str]] = []
    begun, joined = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        if number > _MOST_LINES:
            raise failure(name, number, f"more than {_MOST_LINES} lines")
        line = raw.replace("\t", " ")
        is_comment = line.lstrip().startswith("#")
        begun = begun or number
        if line.endswith("\\") and not is_comment:
            joined += line[:-1]
            continue
        joined += "" if is_comment and joined else line
        bare = re.sub(r"(^|\s+)#.*$", "", joined).strip()
        if bare:
            lines.append((begun, bare))
        begun, joined = 0, ""
    if joined.strip():
        lines.append((begun, re.sub(r"(^|\s+)#.*$", "", joined).strip()))
    return lines
