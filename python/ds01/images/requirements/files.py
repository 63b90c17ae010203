"""Reads the files that list a project's packages, as other tools write them.

requirements.txt (with -r, -c, options, hashes, continued lines), pyproject.toml
(`pyproject.toml[extra]` for its optional groups) and environment.yml (conda_names says
what becomes of conda's packages). Nothing is fetched, and no file outside of the
image's folder is read.
"""

from __future__ import annotations

import re
from pathlib import Path

from ds01.images.requirements import words
from ds01.images.requirements.lines import Found, read_lines

_NAMED = re.compile(r"(.+?)(?:\[([A-Za-z0-9._,\s-]+)\])?", re.ASCII)


def read(folder: Path, name: str) -> Found:
    """Return what a file of an image's folder asks for.

    Raises HelperError: NOT_FOUND where it is missing, CONFIG with file and line.
    """
    found = Found()
    bare, extras = split_extras(name)
    if not bare.endswith((".toml", ".yml", ".yaml")):
        read_lines(found, folder, bare, False)
        return found
    from ds01.images.requirements import projects  # noqa: PLC0415 - seldom

    if bare.endswith(".toml"):
        projects.read_pyproject(found, folder, bare, extras)
    else:
        projects.read_environment(found, folder, bare)
    return found


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
