"""image.lock: the versions that an image is built from, and what was installed.

`layers` are the pins of each layer, resolved before the build and installed as they
are; `apt` and `pip` what the built image holds, empty until then. JSON, sorted, so that
the same contents are the same text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ds01.core.errors import Exit, HelperError
from ds01.images.requirements import words
from ds01.images.source.packages import parse_apt

VERSION = 1
# What stands in image.lock, for docs/images.md.
KEYS: dict[str, str] = {
    "version": "Format of this file: 1",
    "base.image": "The image that this one is built on, by name",
    "base.id": "Its id in the engine",
    "base.digest": "Its digest in the registry, or - where it was made on this server",
    "base.python": "Version of its Python, or - where it has none",
    "base.interpreter": "Path of that Python; the packages are installed for it",
    "base.user": "Its user; the Dockerfile's managed part ends with it",
    "layers": "By layer: the Python packages to install, each with its version",
    "apt_layers": "By layer: the Debian packages to install, with versions",
    "asked": "By layer: a checksum of what its versions were worked out from; the "
    "versions stay as long as it is the same",
    "pip": "All Python packages of the built image, with their versions",
    "apt": "All Debian packages of the built image, with their versions",
}
_LARGEST = 8 << 20


@dataclass(frozen=True)
class LockedBase:
    """The base as it was found; `-` stands for what it does not have."""

    image: str
    id: str
    digest: str = "-"
    python: str = "-"
    interpreter: str = "-"
    user: str = "-"


@dataclass(frozen=True)
class Lock:
    """One image.lock."""

    base: LockedBase
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apt_layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pip: Mapping[str, str] = field(default_factory=dict)
    apt: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One difference between two locks; None where one side has nothing."""

    kind: Literal["base", "pip", "apt"]
    name: str
    old: str | None
    new: str | None


def pin_version(pin: str) -> tuple[str, str]:
    """Return name and version of a pin; a URL or file stands for its version."""
    bare = pin.partition(" --hash=")[0].partition(";")[0].strip()
    name, equals, version = bare.partition("==")
    if equals and "@" not in name:
        return words.normal_name(name.partition("[")[0].strip()), version.strip()
    word = words.parse_word(pin)
    if word.path:
        return word.key, words.archive_name(word.path)[1] or word.path
    return word.key, bare.partition("@")[2].strip() if " @ " in bare else bare


def load_lock(path: Path) -> Lock | None:
    """Return a checked lock, or None where there is none yet.

    Raises HelperError(CONFIG) for a file that is not as DS01 wrote it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _broken(path, (error.strerror or str(error)).lower()) from error
    if len(data) > _LARGEST:
        raise _broken(path, "it is larger than 8 MiB")
    try:
        return parse_lock(data.decode("utf-8"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _broken(path, str(error) or type(error).__name__) from error


def parse_lock(text: str) -> Lock:
    """Return the lock that a text holds; raises ValueError, KeyError or TypeError."""
    found = json.loads(text)
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise ValueError(f"its version is not {VERSION}")
    unknown = set(found) - {
        *("version", "base", "layers", "apt_layers", "asked", "pip", "apt")
    }
    if unknown:
        raise ValueError(f"unknown key '{min(unknown)}'")
    base = LockedBase(**{k: _line(v) for k, v in found["base"].items()})
    layers = {_line(k): _lines(v) for k, v in found.get("layers", {}).items()}
    apt_layers = {_line(k): _lines(v) for k, v in found.get("apt_layers", {}).items()}
    _check(layers, apt_layers)
    versions = [
        {_line(k): _line(v) for k, v in found.get(kind, {}).items()}
        for kind in ("pip", "apt", "asked")
    ]
    return Lock(base, layers, apt_layers, *versions)


def _check(
    layers: Mapping[str, tuple[str, ...]], apt_layers: Mapping[str, tuple[str, ...]]
) -> None:
    """Raise ValueError for a pin that is not one package."""
    for pins in layers.values():
        for pin in pins:
            words.parse_word(pin)
    for names in apt_layers.values():
        for name in names:
            parse_apt(name)


def dump_lock(lock: Lock) -> str:
    """Return the text of image.lock; raises ValueError for a pin that is no package."""
    _check(lock.layers, lock.apt_layers)
    value = {
        "version": VERSION,
        "base": vars(lock.base),
        "layers": {name: list(pins) for name, pins in lock.layers.items()},
        "apt_layers": {
            name: list(pins) for name, pins in sorted(lock.apt_layers.items())
        },
        "asked": dict(lock.asked),
        "pip": dict(sorted(lock.pip.items())),
        "apt": dict(sorted(lock.apt.items())),
    }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def diff(old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """Return what changes, by kind and name.

    Compared is what was installed where both locks know it, else what the pins say.
    """
    changes: list[Change] = []
    if old is None or old.base.id != new.base.id:
        before = None if old is None else _base_text(old.base)
        changes.append(Change("base", new.base.image, before, _base_text(new.base)))
    before_pip, after_pip = _versions(old, new, "pip")
    before_apt, after_apt = _versions(old, new, "apt")
    changes += _differences("pip", before_pip, after_pip)
    changes += _differences("apt", before_apt, after_apt)
    return tuple(changes)


def _base_text(base: LockedBase) -> str:
    return f"{base.image} {base.digest if base.digest != '-' else base.id}"


def _versions(
    old: Lock | None, new: Lock, kind: Literal["pip", "apt"]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    if old is not None and (new_side := getattr(new, kind)) and getattr(old, kind):
        return getattr(old, kind), new_side
    pinned = pinned_pip if kind == "pip" else pinned_apt
    return ({} if old is None else pinned(old)), pinned(new)


def pinned_pip(lock: Lock) -> dict[str, str]:
    """Return the versions of Python packages that a lock's layers ask for."""
    return dict(pin_version(pin) for pins in lock.layers.values() for pin in pins)


def pinned_apt(lock: Lock) -> dict[str, str]:
    """Return the versions of Debian packages that a lock's layers ask for."""
    found = {}
    for names in lock.apt_layers.values():
        for each in names:
            name, _, version = each.partition("=")
            found[name] = version or "any"
    return found


def _differences(
    kind: Literal["pip", "apt"], old: Mapping[str, str], new: Mapping[str, str]
) -> list[Change]:
    return [
        Change(kind, name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _line(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"{value!r} is not a text of one line")
    return value


def _lines(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return tuple(_line(item) for item in value)


def _broken(path: Path, why: str) -> HelperError:
    return HelperError(
        Exit.CONFIG,
        f"'{path}' is not as DS01 wrote it: {why}",
        f"run 'rm {path}' to have it made anew, with the newest versions",
    )
