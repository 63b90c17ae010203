"""Reads the files that list a project's packages, as other tools write them.

requirements.txt (with -r, -c, options, hashes, continued lines), pyproject.toml
(`pyproject.toml[extra]` for its optional groups) and environment.yml (conda_names says
what becomes of conda's packages). Nothing is fetched, and no file outside of the
image's folder is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import requirement_options as options
import requirement_words as words
from ds01.core.errors import Exit, HelperError
from requirement_words import Word

_LARGEST = 1 << 20
_MOST_LINES = 5000
_INCLUDE = re.compile(
    r"(-r|-c|--requirements?|--constraints?)(?:\s*=\s*|\s+|(?<=-[rc]))(\S.*)"
)
_NAMED = re.compile(r"(.+?)(?:\[([A-Za-z0-9._,\s-]+)\])?", re.ASCII)


@dataclass(frozen=True)
class Requirements:
    """What one file, and those that it includes, ask for.

    `notes` tell what could not be taken as it is; `python` are the versions of Python
    that the file wants; `sources` the files that were read, as paths in the folder.
    """

    words: tuple[Word, ...] = ()
    options: tuple[str, ...] = ()
    constraints: tuple[Word, ...] = ()
    apt: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass
class Found:
    """What has been read so far; the lists that Requirements is made of."""

    words: list[Word] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    constraints: list[Word] = field(default_factory=list)
    apt: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    python: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def read(folder: Path, name: str) -> Requirements:
    """Return what a file of an image's folder asks for.

    Raises HelperError: NOT_FOUND where it is missing, CONFIG with file and line.
    """
    found = Found()
    bare, extras = split_extras(name)
    if bare.endswith(".toml"):
        from requirement_projects import read_pyproject  # noqa: PLC0415 - seldom

        read_pyproject(found, folder, bare, extras)
    elif bare.endswith((".yml", ".yaml")):
        from requirement_projects import read_environment  # noqa: PLC0415 - seldom

        read_environment(found, folder, bare)
    else:
        _read_lines(found, folder, bare, False)
    return Requirements(
        *(
            tuple(dict.fromkeys(getattr(found, part)))
            for part in Requirements.__dataclass_fields__
        )
    )


def split_extras(name: str) -> tuple[str, tuple[str, ...]]:
    """Return a file's path and the groups named behind it: `pyproject.toml[dev]`."""
    matched = _NAMED.fullmatch(name)
    if not matched or not name.partition("[")[0].endswith(".toml"):
        return name, ()
    return matched[1], tuple(
        p.strip() for p in (matched[2] or "").split(",") if p.strip()
    )


def check_file(name: str) -> str:
    """Return the name of a file of packages, tidied; raises ValueError."""
    bare, extras = split_extras(name)
    path = words.check_path(bare)
    return f"{path}[{','.join(extras)}]" if extras else path


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
        _include(found, folder, here, included, is_constraint)
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


def _read_lines(found: Found, folder: Path, name: str, is_constraint: bool) -> None:
    if name in found.sources:
        return
    found.sources.append(name)
    here = PurePosixPath(name).parent
    for number, line in logical_lines(text_of(folder, name), name):
        try:
            take_line(found, folder, here, line, is_constraint)
        except ValueError as error:
            raise failure(name, number, str(error)) from error


def _include(
    found: Found,
    folder: Path,
    here: PurePosixPath,
    included: re.Match[str],
    is_constraint: bool,
) -> None:
    target = included[2].strip().strip("'\"")
    if "://" in target:
        raise ValueError(
            f"'{words.hide_password(target)}' is not fetched: save it in the image's "
            "folder and name it there"
        )
    path = words.check_path(_joined(here, target))
    _read_lines(
        found, folder, path, is_constraint or included[1].startswith(("-c", "--c"))
    )


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
