"""Reads packages.yaml: the tiers and use cases that images are made of.

`load_packages` checks every name, so that nothing which is no package ever reaches a
Dockerfile. Problems are those of yaml_source: file, line, key path, all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yaml.nodes import Node

from ds01.core.yaml_source import Source, join
from ds01.images.source.types import RESERVED

TOP_KEYS: dict[str, str] = {
    "version": "Format of this file: 1",
    "tiers": "Layers offered for every image, in this order",
    "use_cases": "Packages by field; a user may choose several",
    "pinned": "Framework packages whose versions in the base no layer may change",
}
TIER_KEYS: dict[str, str] = {
    "title": "One line for menus",
    "pip": 'Python packages, written "name[extra]>=1.2,<2"',
    "apt": "Debian packages",
}

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
# In no place could a shell take the ~ of a version for a home.
_APT = re.compile(
    r"[a-z0-9][a-z0-9+.-]+(?:=(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*)?", re.ASCII
)
_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:-?\*)?", re.ASCII)
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PIN = r"(?:==|!=|<=|>=|<|>|~=)[A-Za-z0-9.*+!-]+"
_PIP = re.compile(
    rf"{_WORD}(?:\[{_WORD}(?:,{_WORD})*\])?(?:{_PIN}(?:,{_PIN})*)?", re.ASCII
)


@dataclass(frozen=True)
class Tier:
    """One layer of packages."""

    name: str
    title: str
    pip: tuple[str, ...]
    apt: tuple[str, ...]


@dataclass(frozen=True)
class Packages:
    """One checked packages.yaml."""

    tiers: tuple[Tier, ...]
    use_cases: tuple[Tier, ...]
    pinned: tuple[str, ...] = ()

    def is_pinned(self, name: str) -> bool:
        """Does a package (by its normal name) keep the version that the base has?"""
        return any(
            name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
            for pattern in self.pinned
        )


def load_packages(path: Path) -> Packages:
    """Return the checked tiers of a file; raises HelperError(CONFIG)."""
    source = Source(path)
    top = source.top(TOP_KEYS)
    taken: dict[str, str] = dict.fromkeys(RESERVED, "")
    sections = [
        _tiers(source, top[name][1], name, taken) if name in top else ()
        for name in ("tiers", "use_cases")
    ]
    pinned: tuple[str, ...] = ()
    if "pinned" in top:
        pinned = read_list(source, top["pinned"][1], "pinned", parse_pattern)
    source.finish()
    return Packages(sections[0], sections[1], pinned)


def parse_apt(text: str) -> str:
    """Return the name of a Debian package; raises ValueError for anything else."""
    if not _APT.fullmatch(text):
        raise ValueError(f"'{text}' is not the name of a Debian package")
    return text


def parse_pattern(text: str) -> str:
    """Return a package name, perhaps with * at its end; raises ValueError otherwise."""
    plain = re.sub(r"[-_.]+", "-", text).lower()
    if not _PATTERN.fullmatch(plain):
        raise ValueError(f"'{text}' is not the name of a Python package, or name*")
    return plain


def parse_pip(text: str) -> str:
    """Return a Python requirement without its blanks; raises ValueError otherwise."""
    plain = re.sub(r" *([<>=!~]=|[<>,]) *", r"\1", text)
    if not _PIP.fullmatch(plain):
        raise ValueError(
            f"'{text}' is not a Python package, as in \"name[extra]>=1.2\""
        )
    return plain


def _tiers(
    source: Source, node: Node, path: str, taken: dict[str, str]
) -> tuple[Tier, ...]:
    tiers: list[Tier] = []
    for name, (key, value) in source.mapping(node, path).items():
        where = join(path, name)
        if not _NAME.fullmatch(name):
            source.problem(key, where, "a name is lower case, digits, - and _")
        if name in taken:
            place = (
                f"is in {taken[name]} too" if taken[name] else "means the user's own"
            )
            source.problem(key, where, f"'{name}' {place}, choose another name")
        taken.setdefault(name, path)
        keys = source.mapping(value, where, TIER_KEYS)
        title = name
        if "title" in keys:
            title = source.text(keys["title"][1], f"{where}.title") or name
        parsed: dict[str, tuple[str, ...]] = {"pip": (), "apt": ()}
        for kind, parse in (("pip", parse_pip), ("apt", parse_apt)):
            if kind in keys:
                parsed[kind] = read_list(
                    source, keys[kind][1], f"{where}.{kind}", parse
                )
        tiers.append(Tier(name, title, parsed["pip"], parsed["apt"]))
    return tuple(tiers)


def read_list(
    source: Source, node: Node, path: str, parse: Callable[[str], str]
) -> tuple[str, ...]:
    """Return the items of a list, none of which may be there twice."""
    found: list[str] = []
    for item in source.items(node, path):
        name = source.scalar(item, path, parse)
        if name is not None and name in found:
            source.problem(item, path, f"'{name}' is there twice")
        if name is not None:
            found.append(name)
    return tuple(found)
