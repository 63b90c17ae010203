"""What a build needs of the image's folder: only that goes to the builder.

The folder may be a project with large data, so the context is not the folder: it is
what the Dockerfile's COPY, ADD and RUN --mount lines name, beside DS01's own files.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ds01.core.errors import Exit, HelperError

_INSTRUCTION = re.compile(r"\s*([A-Za-z]+)\s+(.*)", re.DOTALL)
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S*))?\s*")
_URL = re.compile(r"(?:https?|git|ssh)://|git@")
_OWN = ".ds01"
_LARGEST = 20 << 30
_LABELS = ("ds01.", "aime.mlc")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile: name in capitals, and the rest."""
    joined = re.sub(r"\\[ \t]*\r?\n(?:[ \t]*#[^\n]*\n)*", " ", _without_comments(text))
    found = []
    for line in joined.splitlines():
        match = _INSTRUCTION.match(line)
        if match:
            found.append((match[1].upper(), match[2].strip()))
    return found


def _without_comments(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#")) + "\n"


def sources(text: str) -> tuple[str, ...]:
    """Return the paths and patterns of the context that a Dockerfile names."""
    found: list[str] = []
    for name, rest in instructions(text):
        if name in {"COPY", "ADD"}:
            found += _copied(rest)
        elif name == "RUN":
            found += _mounted(rest)
    return tuple(dict.fromkeys(found))


def _flags(rest: str) -> tuple[list[tuple[str, str]], str]:
    flags: list[tuple[str, str]] = []
    while match := _FLAG.match(rest):
        flags.append((match[1], match[2] or ""))
        rest = rest[match.end() :]
    return flags, rest


def _copied(rest: str) -> list[str]:
    flags, rest = _flags(rest)
    if "from" in dict(flags) or rest.startswith("<<"):
        return []
    words: list[str] = []
    with contextlib.suppress(ValueError):
        is_json = rest.startswith("[")
        words = list(map(str, json.loads(rest))) if is_json else shlex.split(rest)
    return [word for word in words[:-1] if not _URL.match(word)]


def _mounted(rest: str) -> list[str]:
    found = []
    for name, value in _flags(rest)[0]:
        if name != "mount":
            continue
        pairs = [part.partition("=") for part in value.split(",")]
        keys = {key: said for key, _, said in pairs}
        if keys.get("type", "bind") == "bind" and "from" not in keys:
            found.append(keys.get("source") or keys.get("src") or ".")
    return found


def base_of(text: str) -> str | None:
    """Return the image that a Dockerfile's last stage is built on, if it says so."""
    stages: dict[str, str] = {}
    last = None
    for name, rest in instructions(text):
        if name != "FROM":
            continue
        words = _flags(rest)[1].split()
        if not words:
            continue
        last = stages.get(words[0].lower(), words[0])
        if len(words) == 3 and words[1].upper() == "AS":
            stages[words[2].lower()] = last
    return None if last is None or "$" in last else last


def check_labels(text: str) -> None:
    """Refuse labels by which DS01 and mlc know containers: an image's come to each.

    Raises HelperError(REFUSED), also where the label's name is a variable.
    """
    for name, rest in instructions(text):
        words = rest.split(maxsplit=1)
        if name == "ONBUILD" and len(words) == 2:
            name, rest = words[0].upper(), words[1]  # noqa: PLW2901
        if name != "LABEL":
            continue
        for key in _label_keys(rest):
            if key.lower().startswith(_LABELS) or "$" in key:
                raise HelperError(
                    Exit.REFUSED,
                    f"the Dockerfile sets the label '{key}': labels that begin with "
                    "'ds01.' and 'aime.mlc' say whose a container is",
                    "take 'LABEL' with that name out of the Dockerfile",
                )


def _label_keys(rest: str) -> list[str]:
    try:
        words = shlex.split(rest)
    except ValueError:
        words = rest.replace('"', " ").replace("'", " ").split()
    if words and "=" not in words[0]:
        # The old form: LABEL NAME VALUE
        return words[:1]
    return [word.partition("=")[0] for word in words]


def gather(folder: Path, names: Iterable[str], target: Path) -> None:
    """Put what is named below the image's folder into the context.

    By hard link where that works, else as a copy; symbolic links as they are. What does
    not exist, or lies outside, is left to the builder to tell. Raises HelperError where
    it would be more than 20 GiB: then the Dockerfile names a folder with data; and for
    what the caller cannot read.
    """
    size = 0
    for name in names:
        pattern = str(PurePosixPath("/", name)).lstrip("/") or "."
        if ".." in PurePosixPath(pattern).parts:
            continue
        for path in _matching(folder, pattern):
            try:
                size += _add(folder, path, target)
            except OSError as error:
                raise HelperError(
                    Exit.CONFIG,
                    f"'{error.filename}' cannot be read, and the Dockerfile copies it: "
                    f"{error.strerror}",
                    f"look at it with 'ls -ld {error.filename}'",
                ) from error
            if size > _LARGEST:
                raise HelperError(
                    Exit.REFUSED,
                    f"the Dockerfile copies over 20 GiB of '{folder}' with '{name}'",
                    "copy single files, and mount data into the container instead",
                )
    ignore = folder / ".dockerignore"
    if ignore.is_file():
        shutil.copyfile(ignore, target / ".dockerignore")


def _matching(folder: Path, pattern: str) -> list[Path]:
    if pattern == ".":
        return [p for p in folder.iterdir() if p.name not in {_OWN, ".git"}]
    if PurePosixPath(pattern).parts[0] == _OWN:
        return []
    try:
        return sorted(folder.glob(pattern))
    except (ValueError, NotImplementedError):
        return []


def _add(folder: Path, path: Path, target: Path) -> int:
    place = target / path.relative_to(folder)
    if path.is_symlink() or not path.is_dir():
        return _link(path, place)
    size = 0
    for root, folders, files in os.walk(path, onerror=_raise):
        here = Path(root)
        (target / here.relative_to(folder)).mkdir(parents=True, exist_ok=True)
        for name in list(folders):
            if (here / name).is_symlink():
                folders.remove(name)
                files.append(name)
        for name in files:
            size += _link(here / name, target / (here / name).relative_to(folder))
            if size > _LARGEST:
                return size
    return size


def _raise(error: OSError) -> None:
    """Left out without a word, a folder would be missing in the image."""
    raise error


def _link(path: Path, place: Path) -> int:
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        return 0
    if path.is_symlink():
        place.symlink_to(path.readlink())
        return 0
    if not path.is_file():
        return 0
    try:
        os.link(path, place)
    except OSError:
        shutil.copy2(path, place)
    return path.stat().st_size
