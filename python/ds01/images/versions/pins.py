"""The versions of shared layers, remembered so that all users of a server share them.

The first who builds a tier on a base has its versions worked out; who comes after takes
the same, so that the engine has the layer already. A memory is used until the policy's
`images.pins_max_age`, then resolved anew; `--upgrade` makes it anew at once. One
document per chain of layers on a base, below /var/lib/ds01/pins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds01.core.errors import HelperError
from ds01.core.files import PUBLIC_MODE, ensure_folder, locked
from ds01.core.paths import Paths
from ds01.images.source.packages import parse_apt
from ds01.images.source.types import Layer
from ds01.records import documents

_VERSION = 1
_LARGEST = 1 << 20
# A layer for everybody installs versions from the index, and nothing else.
_PIN = re.compile(r"[a-z0-9][a-z0-9.-]*(?:\[[a-z0-9,-]+\])?==[A-Za-z0-9.!+]+", re.ASCII)


@dataclass(frozen=True)
class Versions:
    """What a layer installs: Python packages and Debian packages."""

    pip: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()


def keys(base: str, context: Sequence[str], layers: Iterable[Layer]) -> dict[str, str]:
    """Return a checksum for each layer: of all that its versions depend on.

    `base` is the base's id, `context` what else counts (which packages keep their
    version, the installer). Each holds those before it.
    """
    found: dict[str, str] = {}
    text = json.dumps([_VERSION, base, list(context)])
    for layer in layers:
        asked = [layer.apt, layer.pip, layer.options, layer.constraints, layer.files]
        text = json.dumps([hashlib.sha256(text.encode()).hexdigest(), asked])
        found[layer.name] = hashlib.sha256(text.encode()).hexdigest()[:32]
    return found


def recall(paths: Paths, key: str, max_age: int) -> Versions | None:
    """Return what is remembered under a key, if it is not too old."""
    with contextlib.suppress(ValueError, RecursionError, HelperError):
        return _checked(documents.read_document(_path(paths, key)), max_age)
    return None


def remember(
    paths: Paths, key: str, layer: Layer, versions: Versions, max_age: int
) -> Versions:
    """Remember a layer's versions; return those that hold.

    Somebody else may have been faster: then theirs hold, unless `max_age` is 0. Where
    nothing can be written, the layer is just not shared.
    """
    try:
        _check(versions)
        with locked(paths.state / "pins.lock", purpose="pins of image layers"):
            ensure_folder(paths.state / "pins")
            there = recall(paths, key, max_age) if max_age else None
            if there is not None:
                return there
            document: dict[str, Any] = {
                "version": _VERSION,
                "time": int(time.time()),
                "uid": os.getuid(),
                "layer": layer.name,
                "asked": {"pip": list(layer.pip), "apt": list(layer.apt)},
                "pip": list(versions.pip),
                "apt": list(versions.apt),
            }
            path = _path(paths, key)
            documents.write_document(path, document, PUBLIC_MODE, largest=_LARGEST)
            _forget_old(paths, max(max_age, 1))
    except (HelperError, ValueError):
        return versions
    return versions


def _path(paths: Paths, key: str) -> Path:
    return paths.state / "pins" / f"{key}.json"


def _checked(document: dict[str, Any] | None, max_age: int) -> Versions | None:
    if document is None or document.get("version") != _VERSION:
        return None
    if not 0 <= time.time() - int(document["time"]) < max_age:
        return None
    found = Versions(tuple(document["pip"]), tuple(document["apt"]))
    _check(found)
    return found


def _check(versions: Versions) -> None:
    """Raise ValueError for what must not get into other people's images."""
    for pin in versions.pip:
        if not _PIN.fullmatch(pin):
            raise ValueError(f"'{pin}' is not a version of an index")
    for name in versions.apt:
        parse_apt(name)


def _forget_old(paths: Paths, max_age: int) -> None:
    """Remove what nobody may use any more; call it locked."""
    if max_age <= 1:
        return
    with contextlib.suppress(OSError):
        for path in (paths.state / "pins").glob("*.json"):
            if time.time() - path.stat().st_mtime > 2 * max_age:
                path.unlink()
