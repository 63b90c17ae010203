"""What was installed in a container, as the files that it changed tell it."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from typing import Any
from urllib.parse import quote

from ds01.containers.containers import Container, find_own
from ds01.core import settings
from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths
from ds01.core.program import print_json
from ds01.images.requirements.words import normal_name
from ds01.records import containers, documents

Change = tuple[str, int]  # path, kind: one entry of the engine's list
_ADDED, _DELETED = 1, 2
_DIST = re.compile(
    r"(?P<site>/.+/(?:site|dist)-packages)/(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info"
    r"(?:/(?P<file>REQUESTED|direct_url\.json))?"
)
_OLD_STYLE = re.compile(
    r"/.+/(?:site|dist)-packages/(?P<name>[^/]+?)(?:-[^/]+)?\.(?:egg-info|egg-link|egg)"
)
# What apt brings here is known to dpkg.
_DEBIAN_SITE = "/usr/lib/python3/dist-packages"
_VENV = "/pyvenv.cfg"
_DPKG = re.compile(
    r"/var/lib/dpkg/info/(?P<name>[a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?\.list"
)
_STATUS, _AUTO = "/var/lib/dpkg/status", "/var/lib/apt/extended_states"
_REQUIRED = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass
class Dist:
    """A Python package that is new in a container."""

    name: str
    version: str
    folder: str
    requested: bool = False
    has_url: bool = False


@dataclass
class Found:
    """What a list of changed files tells: packages by name, folders of environments."""

    added: dict[str, Dist] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    apt_added: set[str] = field(default_factory=set)
    apt_removed: set[str] = field(default_factory=set)
    environments: set[str] = field(default_factory=set)
    old_style: set[str] = field(default_factory=set)


def read_changes(changes: Iterable[Change]) -> Found:
    """Return the packages that the changed files of a container tell of.

    Those of a virtual environment, known by its pyvenv.cfg, are not the image's matter.
    """
    entries = [(path, kind) for path, kind in changes if kind in (_ADDED, _DELETED)]
    found = Found()
    found.environments = {
        path.removesuffix(_VENV)
        for path, kind in entries
        if path.endswith(_VENV) and kind == _ADDED
    }
    inside = tuple(f"{folder}/" for folder in found.environments)
    for path, kind in entries:
        if match := _DPKG.fullmatch(path):
            names = found.apt_added if kind == _ADDED else found.apt_removed
            names.add(match["name"])
        elif path.startswith(f"{_DEBIAN_SITE}/") or path.startswith(inside):
            continue
        elif match := _DIST.fullmatch(path):
            _note_dist(found, match, kind)
        elif kind == _ADDED and (match := _OLD_STYLE.fullmatch(path)):
            found.old_style.add(match["name"])
    return found


def _note_dist(found: Found, match: re.Match[str], kind: int) -> None:
    name = normal_name(match["name"])
    if kind == _DELETED:
        if not match["file"]:
            found.removed[name] = match["version"]
        return
    folder = match.string if not match["file"] else match.string.rpartition("/")[0]
    dist = found.added.setdefault(name, Dist(name, match["version"], folder))
    dist.requested |= match["file"] == "REQUESTED"
    dist.has_url |= match["file"] == "direct_url.json"


def roots(added: Mapping[str, Dist], needs: Mapping[str, set[str]]) -> list[str]:
    """Return the packages that stand for all that were added, sorted.

    Those that somebody asked for, and those that none of these needs: an extra's
    packages are known from its name only, which the records do not keep.
    """
    chosen = {name for name, dist in added.items() if dist.requested}
    while left := sorted(set(added) - _reach(chosen, needs)):
        needed = {need for name in left for need in needs.get(name, ()) if need != name}
        # A circle has no member that nothing needs: its first one stands for it.
        chosen.update([name for name in left if name not in needed] or left[:1])
    return sorted(chosen)


def _reach(names: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    todo, seen = list(names), set[str]()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(needs.get(name, set()))
    return seen


def needs_of(metadata: str) -> set[str]:
    """Return the packages that one needs always, by its METADATA: none of an extra."""
    head = HeaderParser().parsestr(metadata)
    found = set[str]()
    for line in head.get_all("Requires-Dist") or []:
        word, _, marker = line.partition(";")
        match = _REQUIRED.match(word)
        if match and "extra" not in marker:
            found.add(normal_name(match[1]))
    return found


def word_of(dist: Dist, direct_url: str | None) -> tuple[str | None, str | None]:
    """Return the word that asks for a package as it is installed, or why none can."""
    if direct_url is None:
        return f"{dist.name}=={dist.version}", None
    try:
        told = json.loads(direct_url)
        url = str(told["url"])
    except (ValueError, KeyError, TypeError):
        return f"{dist.name}=={dist.version}", None
    if url.startswith("file:"):
        path = url.removeprefix("file://")
        return None, f"'{dist.name}' came from '{path}': put it beside image.yaml"
    if vcs := told.get("vcs_info"):
        url = f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}"
    if told.get("subdirectory"):
        url += f"#subdirectory={told['subdirectory']}"
    return f"{dist.name} @ {url}", None


def manual(names: Iterable[str], status: str, automatic: str) -> dict[str, str]:
    """Return the Debian packages that were asked for, with their versions.

    `status` is dpkg's, `automatic` apt's list of what came along.
    """
    auto = {
        block["Package"]
        for block in _blocks(automatic)
        if block.get("Auto-Installed") == "1" and "Package" in block
    }
    versions = {
        block["Package"]: block.get("Version", "")
        for block in _blocks(status)
        if block.get("Status", "").endswith(" installed") and "Package" in block
    }
    return {
        name: versions[name]
        for name in sorted(names)
        if name in versions and name not in auto
    }


def _blocks(text: str) -> Iterable[dict[str, str]]:
    for block in text.split("\n\n"):
        pairs = (
            line.partition(": ") for line in block.splitlines() if line[:1].strip()
        )
        if fields := {key: value for key, _, value in pairs}:
            yield fields


def base_words(
    item: Container, record: Mapping[str, Any], own: str | None
) -> list[str] | None:
    """Return the words of `image_plan create` for what a container was made of.

    `own` is the image of the caller that it was made of: a new one is built on top.
    """
    framework, _, version = item.framework.partition("-")
    image = str(record.get("image") or "")
    if own:
        return [f"--from={own}", "--no-tiers"]
    if framework != "Custom" and version and not image.startswith("mlc-import:"):
        return [f"--framework={framework}", f"--version={version}", "--no-tiers"]
    if image and not image.startswith("mlc-import:"):
        return [f"--from={image}", "--no-tiers"]
    return None


class Files:
    """The files of one container, read through the engine."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._path = f"/containers/{quote(container, '')}"

    def changes(self) -> list[Change]:
        """Return what differs from the image; None of it is what was mounted."""
        found = self._engine.get(f"{self._path}/changes")
        return [(str(entry["Path"]), int(entry["Kind"])) for entry in found or []]

    def read(self, path: str) -> str | None:
        """Return the text of a file inside, or None where there is none."""
        status, data = self._engine.call("GET", f"{self._path}/archive", {"path": path})
        if status == 404:
            return None
        if status != 200:
            raise HelperError(Exit.BUG, f"cannot read '{path}' inside: {reason(data)}")
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            member = archive.next()
            source = archive.extractfile(member) if member else None
            return source.read().decode("utf-8", "replace") if source else None


def describe(found: Found, read: Callable[[str], str | None]) -> dict[str, Any]:
    """Return the packages and notes; `read` gives the files of the container."""
    needs = {}
    for name, dist in found.added.items():
        needs[name] = needs_of(read(f"{dist.folder}/METADATA") or "")
        # uv marks all that it installs as requested.
        if dist.requested and (read(f"{dist.folder}/INSTALLER") or "").strip() == "uv":
            dist.requested = False
    pip, notes = [], []
    for name in roots(found.added, needs):
        dist = found.added[name]
        direct = read(f"{dist.folder}/direct_url.json") if dist.has_url else None
        word, why = word_of(dist, direct)
        if why:
            notes.append(why)
        pip.append(
            {
                "name": name,
                "version": dist.version,
                "old": found.removed.get(name),
                "word": word,
            }
        )
    apt: dict[str, str] = {}
    if found.apt_added:
        apt = manual(found.apt_added, read(_STATUS) or "", read(_AUTO) or "")
    notes += [
        f"the environment in '{folder}' stays in the container"
        for folder in sorted(found.environments)
    ]
    notes += [
        f"'{name}' was installed in a way that leaves no record of where it came from"
        for name in sorted(found.old_style)
    ]
    return {
        "pip": [item for item in pip if item["word"]],
        "apt": [{"name": n, "version": v, "word": n} for n, v in apt.items()],
        "removed": {
            "pip": sorted(set(found.removed) - set(found.added)),
            "apt": sorted(found.apt_removed),
        },
        "notes": notes,
    }


def do_show(words: argparse.Namespace) -> int:
    with Engine(settings.engine_address()) as engine:
        item = find_own(engine, words.name, os.getuid())
        details = engine.container(item.id) or {}
        labels: Mapping[str, str] = (details.get("Config") or {}).get("Labels") or {}
        files = Files(engine, item.id)
        shown = describe(read_changes(files.changes()), files.read)
    record: Mapping[str, Any] = {}
    with contextlib.suppress(ValueError):
        path = containers.record_path(find_paths(), item.container)
        record = documents.read_document(path) or {}
    name = labels.get("ds01.image.name", "-")
    mine = name != "-" and labels.get("ds01.image.uid") == str(os.getuid())
    own = str(record.get("image") or "") if mine else ""
    print_json(
        {
            "name": item.name,
            "container": item.container,
            "image": name if mine else None,
            "base": base_words(item, record, own or None),
            **shown,
        }
    )
    return Exit.OK
