"""What a base image brings: its system, its Python, and the packages in both.

`probe` asks once per image, in a workshop, and remembers the answer by the image's id
in the caller's cache folder. Everything but the question itself is pure.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.files import write_atomic
from ds01.images.requirements.words import normal_name
from ds01.images.shelf.turn import own_folder
from ds01.images.versions.workshop import Workshop, uv_version

# Raised when the questions change, so that answers to older ones are not taken.
_VERSION = 2
_END = "--ds01-next--"

# In the image: no more than a POSIX shell is sure to be there.
_SHELL = f"""
cat /etc/os-release 2>/dev/null
echo {_END}
dpkg-query -W -f '${{Package}}\\t${{Version}}\\t${{db:Status-Abbrev}}\\n' 2>/dev/null
echo {_END}
command -v apt-get
echo {_END}
python=$(command -v python3 || command -v python) && "$python" -c "$1"
echo {_END}
"$2" --version 2>/dev/null
exit 0
"""
_PYTHON = """
import json, sys
out = {"version": "%d.%d.%d" % sys.version_info[:3], "interpreter": sys.executable}
out["pip"] = None
found = {}
try:
    from importlib import metadata
    for it in metadata.distributions():
        name = it.metadata["Name"]
        if name and name not in found:
            extras = it.metadata.get_all("Provides-Extra") or []
            found[name] = [it.version, it.requires or [], extras]
except ImportError:
    pass
out["packages"] = found
try:
    import pip
    out["pip"] = pip.__version__
except Exception:
    pass
print(json.dumps(out))
"""


_PUT_PYTHON = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -q && apt-get install -y --no-install-recommends python3
"""


_WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True)
class Package:
    """A Python package of the base, with what it needs."""

    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a base image brings; `-` for a Python that it does not have."""

    python: str = "-"
    interpreter: str = "-"
    pip: str = "-"
    packages: Mapping[str, Package] = field(default_factory=dict)
    apt: Mapping[str, str] = field(default_factory=dict)
    system: str = "-"
    has_apt: bool = False
    has_uv: bool = False
    # The base has no Python: what is told is of the one that Debian brings.
    was_without: bool = False

    @property
    def installer(self) -> str:
        """Return uv, pip, or none where neither works."""
        return "uv" if self.has_uv else "pip" if self.pip != "-" else "none"


def probe(workshop: Workshop, image: str, *, needs_python: bool = False) -> Found:
    """Return what an image (by its id) brings; asked once, then remembered.

    With `needs_python`, one that lacks Python is given Debian's first.
    """
    folder = own_folder("XDG_CACHE_HOME", ".cache")
    path = folder / f"base-{image.removeprefix('sha256:')[:32]}.json"
    found = parse(_remembered(path, lambda: _answers(workshop)))
    if not (needs_python and found.python == "-" and found.has_apt):
        return found
    path = path.with_name(f"{path.stem}-python.json")

    def ask_again() -> str:
        workshop.run(["sh", "-c", _PUT_PYTHON])
        return _answers(workshop)

    again = replace(parse(_remembered(path, ask_again)), was_without=True)
    if again.python == "-":
        path.unlink(missing_ok=True)
        return found
    return again


def _remembered(path: Path, ask: Callable[[], str]) -> str:
    key = f"{_VERSION} {uv_version()}"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return str(kept["said"])
    said = ask()
    # Where it cannot be kept, it is asked for again.
    with contextlib.suppress(OSError, HelperError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"key": key, "said": said}).encode(), 0o600)
    return said


def look(workshop: Workshop) -> Found:
    """Return what the workshop's image brings; raises HelperError(CONFIG)."""
    return parse(_answers(workshop))


def _answers(workshop: Workshop) -> str:
    done = workshop.run(["sh", "-c", _SHELL, "sh", _PYTHON, workshop.uv()])
    if done.status != 0:
        raise HelperError(
            Exit.CONFIG,
            "the base image has no shell to look into it with: "
            f"{done.err.strip() or done.out.strip() or 'no reason given'}",
            "choose another base",
        )
    return done.out


def parse(text: str) -> Found:
    """Return what the answers of the image say."""
    system, apt, apt_get, python, uv = (text.split(f"{_END}\n") + [""] * 5)[:5]
    told: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        told = json.loads(python.strip().splitlines()[-1] if python.strip() else "{}")
    packages = {
        normal_name(name): Package(value[0] or "0", tuple(value[1]), tuple(value[2]))
        for name, value in (told.get("packages") or {}).items()
    }
    return Found(
        python=told.get("version") or "-",
        interpreter=told.get("interpreter") or "-",
        pip=told.get("pip") or "-",
        packages=packages,
        apt=_debian(apt),
        system=_system(system),
        has_apt=bool(apt_get.strip()),
        has_uv=uv.startswith("uv "),
    )


def _debian(text: str) -> dict[str, str]:
    rows = (line.split("\t") for line in text.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2].startswith("ii")}


def _system(text: str) -> str:
    found = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    return found.get("PRETTY_NAME") or found.get("NAME") or "-"


def stand_ins(found: Found) -> dict[str, bytes]:
    """Return a wheel without contents for each package of the base, by file name.

    The resolver knows packages by index or file; what AIME built itself is in no index,
    and what is installed needs no download. Of what a package needs only that counts
    which the base fulfils: what is amiss there already is not the user's to solve.
    """
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    wheels: dict[str, bytes] = {}
    for name, package in sorted(found.packages.items()):
        try:
            version = str(Version(package.version))
        except InvalidVersion:
            continue
        stem = f"{name.replace('-', '_')}-{version}"
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Provides-Extra: {extra}" for extra in package.extras]
        lines += [f"Requires-Dist: {it}" for it in _fulfilled(package, found)]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            info = f"{stem}.dist-info"
            entries = {
                "METADATA": "\n".join(lines) + "\n",
                "WHEEL": _WHEEL,
                "RECORD": "",
            }
            for entry, text in entries.items():
                moment = (1980, 1, 1, 0, 0, 0)
                archive.writestr(zipfile.ZipInfo(f"{info}/{entry}", moment), text)
        wheels[f"{stem}-py3-none-any.whl"] = buffer.getvalue()
    return wheels


def _fulfilled(package: Package, found: Found) -> list[str]:
    from packaging.requirements import (  # noqa: PLC0415 - slow to load
        InvalidRequirement,
        Requirement,
    )

    kept = []
    for text in package.requires:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.marker and "extra" in str(wanted.marker):
            kept.append(text)
            continue
        present = found.packages.get(normal_name(wanted.name))
        if present and wanted.specifier.contains(present.version, prereleases=True):
            kept.append(text if wanted.url is None else wanted.name)
    return kept
