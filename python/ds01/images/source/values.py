"""The single values of image.yaml, checked.

Each parser returns what it takes, or raises ValueError saying what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from ds01.core.errors import HelperError
from ds01.images.requirements import words
from ds01.images.source import names

# Folders that are mounts in every container, the system's own, or ours.
_NO_TARGETS = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/workspace",
    "/data",
    "/models",
    "/opt/ds01",
)
_UNFIT = re.compile(r"[$*?\[\]\\\"'`]")


def parse_name(text: str) -> str:
    """Return an image's name; raises ValueError with the rule."""
    try:
        return names.check_name(text)
    except HelperError as error:
        raise ValueError(f"{error.message}: {names.NAME_RULE}") from error


def parse_image(text: str) -> str:
    """Return an image as engines name it; raises ValueError."""
    try:
        return names.check_image(text)
    except HelperError as error:
        raise ValueError(error.message) from error


def parse_pip(text: str) -> str:
    """Return one requirement as it goes into a requirements file; raises ValueError."""
    return words.parse_word(text).text


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"'{text}' is not {what}")
        return text

    return parse


parse_framework = _matching(
    r"[A-Za-z0-9](?:[A-Za-z0-9 ._+-]*[A-Za-z0-9])?", "a framework of the catalog"
)
parse_version = _matching(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a version of the catalog")
parse_architecture = _matching(r"[A-Z0-9_]+", "an architecture, such as CUDA_AMPERE")
parse_tier = _matching(
    r"[a-z0-9][a-z0-9_-]{0,39}", "a name: lower case, digits, - and _"
)
parse_flag = _matching("true|false", "true or false")


def _path(text: str) -> PurePosixPath:
    if not text.isprintable() or _UNFIT.search(text):
        raise ValueError(f"'{text}': a path must not hold $ * ? [ ] \\ or quotes")
    return PurePosixPath(text)


def parse_local(text: str) -> str:
    """Return the path of a file to copy, from the image's folder; raises ValueError."""
    path = _path(text)
    if path.is_absolute() or ".." in path.parts or path == PurePosixPath():
        raise ValueError(f"'{text}' lies outside of the image's folder")
    if path.parts[0].startswith((".ds01", "-", "~")):
        raise ValueError(f"'{text}' begins with '{path.parts[0]}', rename it")
    return str(path)


def parse_target(text: str) -> str:
    """Return a path inside the image; raises ValueError."""
    path = _path(text)
    if not path.is_absolute() or ".." in path.parts or str(path) in {"/", "//"}:
        raise ValueError(f"'{text}' is not a path inside the image, such as /opt/name")
    for folder in _NO_TARGETS:
        if path.is_relative_to(folder):
            raise ValueError(
                f"'{text}': what lies in {folder} is not seen in a container"
            )
    return str(path)
