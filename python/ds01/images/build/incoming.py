"""What came on a command line: files that go into an image's source folder.

Files of packages and local wheels are named from where the user stands; their copies
lie in the image's folder under the same names, and the spec names those.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ds01.core.errors import Exit, HelperError
from ds01.images.requirements import files as requirements_files
from ds01.images.requirements import words as requirements_words
from ds01.images.source import context
from ds01.images.source.types import Spec


@dataclass(frozen=True)
class Taken:
    """Words as the spec has them: every file is one of the image's folder."""

    pip: tuple[str, ...]
    requirements: tuple[str, ...]


def take_files(
    extras: Path, pip: Sequence[str], requirements: Sequence[str], here: Path
) -> Taken:
    """Return words with the files that they name copied into `extras`.

    Raises HelperError where a file is missing or cannot be read.
    """
    words = tuple(_taken_word(text, extras, here) for text in pip)
    files = tuple(_taken_file(name, extras, here) for name in requirements)
    return Taken(words, files)


def _taken_word(text: str, extras: Path, here: Path) -> str:
    place, _, rest = text.strip().partition("[")
    if "://" in text or not place.endswith(requirements_words.ARCHIVES):
        return text
    path = here / Path(place).expanduser()
    if not path.is_file():
        raise HelperError(
            Exit.NOT_FOUND,
            f"file '{place}' not found",
            "give the path of a wheel, from where you are",
        )
    _copy(path, extras, path.name)
    return f"./{path.name}" + (f"[{rest}" if rest else "")


def _taken_file(name: str, extras: Path, here: Path) -> str:
    bare, wanted = requirements_files.split_extras(name)
    path = here / Path(bare).expanduser()
    if not path.is_file():
        raise HelperError(Exit.NOT_FOUND, f"file '{bare}' not found", "look with 'ls'")
    suffix = f"[{','.join(wanted)}]" if wanted else ""
    for each in _needed(path.parent, path.name + suffix):
        if (path.parent / each).is_file():
            _copy(path.parent / each, extras, each)
    return path.name + suffix


def _needed(folder: Path, name: str) -> list[str]:
    """Return a file of packages, those that it includes, and the wheels they name."""
    read = requirements_files.read(folder, name)
    return [*read.sources, *(word.path for word in read.words if word.path)]


def _copy(path: Path, extras: Path, name: str) -> None:
    target = extras / PurePosixPath(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(path, target)
    except OSError as error:
        raise HelperError(
            Exit.CONFIG, f"'{path}' cannot be read: {error.strerror}"
        ) from error


def take_dockerfile(name: str | None, extras: Path) -> str | None:
    """Return the text of a Dockerfile that is to be the image's own, or None.

    What it copies goes to the image's folder with it.
    """
    if name is None:
        return None
    path = Path(name).expanduser()
    try:
        # As bytes: line ends are the user's too.
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise HelperError(
            Exit.NOT_FOUND, f"file '{name}' not found", "look with 'ls'"
        ) from None
    except (OSError, ValueError) as error:
        raise HelperError(
            Exit.CONFIG, f"'{name}' cannot be read as text: {error}"
        ) from error
    extras.mkdir(parents=True, exist_ok=True)
    context.gather(path.parent, context.sources(text), extras)
    return text


def base_of(text: str) -> str:
    """Return the image that a Dockerfile of the user's is built on.

    Raises HelperError(CONFIG) where that cannot be told.
    """
    found = context.base_of(text)
    if found is None:
        raise HelperError(
            Exit.CONFIG,
            "the Dockerfile's last FROM does not name an image",
            "write one there as 'FROM ds01/debian:bookworm' does, without variables",
        )
    return found


def view(folder: Path, extras: Path, target: Path, spec: Spec) -> Path:
    """Return a folder that has the files of packages that a spec names.

    That is the image's own, or where files came in, `target` with copies of both.
    """
    if not extras.is_dir():
        return folder
    shutil.copytree(extras, target)
    for name in (*spec.requirements, *spec.added.requirements):
        bare = requirements_files.split_extras(name)[0]
        if not (extras / bare).exists() and (folder / bare).is_file():
            for each in _needed(folder, name):
                _fill(folder / each, target / each)
    for text in (*spec.pip, *spec.added.pip):
        path = requirements_words.parse_word(text).path
        if path:
            _fill(folder / path, target / path)
    return target


def _fill(path: Path, target: Path) -> None:
    if path.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
