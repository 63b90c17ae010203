"""What the lifecycle pass remembers, lifecycle.json, as typed values.

One document, written by the pass alone (lifecycle.py), read by everybody: when each
container was last active, what was warned, what comes next and when. It may be deleted
at any time: every container counts as just active then.

    {"version": 1,
     "pass": {"at", "took", "skipped", "boot", "uptime", "tick",
              "looked", "looked_boot"},
     "containers": {ENGINE_NAME: {
         "id", "uid", "user", "name", "state", "sampled", "last_active",
         "active_because", "counters": {"cpu", "network", "block", "files", …},
         "started", "run_began", "stopped", "kept_until", "kept_by",
         "warned": [{"rule", "percent", "at", "due"}],
         "next": {"action", "rule", "at", "why"} or null,
         "note", "gpus": [UUID],
         "doing": {"action", "rule", "at", "patience", "figures"} or left out}}}

outlooks.py reads it for those who show it; they never fail, nor does `pass_info`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.plain import plain, read
from ds01.records import documents
from ds01.records.outlooks import UNUSABLE, VERSION, path_of
from ds01.records.pass_entries import Entry, Memory, PassInfo

_LARGEST = 16 << 20
# Everybody may read it; the folder's group may not write it.
_MODE = 0o644


def to_json(memory: Memory) -> dict[str, Any]:
    """Return the document as plain values."""
    last = memory.last
    seconds = {key: round(getattr(last, key), 3) for key in ("took", "uptime", "tick")}
    return {
        "version": VERSION,
        "pass": plain(last) | seconds,
        "containers": {
            name: entry_json(entry) for name, entry in memory.containers.items()
        },
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return what is remembered of a container as plain values."""
    found: dict[str, Any] = plain(entry)
    if entry.doing is None:
        del found["doing"]
    return found


def parse(raw: Mapping[str, Any]) -> Memory:
    """Return the document that JSON says; raises ValueError and the like."""
    if raw.get("version") != VERSION:
        raise ValueError(f"version {raw.get('version')!r}")
    containers = raw["containers"].items()
    return Memory(
        read(PassInfo, raw["pass"], ("looked", "looked_boot")),
        {str(name): read(Entry, item, ("doing",)) for name, item in containers},
    )


def pass_info(paths: Paths) -> PassInfo:
    """Return what is known of the last pass; `at` is None where none ran yet."""
    return peek(paths).last


def peek(paths: Paths) -> Memory:
    """Return the document without a lock; an empty one where it cannot be used."""
    try:
        raw = documents.read_document(path_of(paths))
        return Memory() if raw is None else parse(raw)
    except UNUSABLE:
        return Memory()


def load(paths: Paths) -> Memory:
    """Return the document, under the lock of the pass; one that is broken is set aside,
    and so is one that somebody else has put there: it decides what is stopped.

    Raises HelperError where the file cannot be read at all.
    """
    path = path_of(paths)
    owner = _owner(path)
    if owner not in {None, 0, os.geteuid()}:
        documents.set_aside(path, f"it is of the user with the number {owner}", paths)
        return Memory()
    try:
        raw = documents.read_document(path)
        return Memory() if raw is None else parse(raw)
    except HelperError:
        raise
    except UNUSABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    documents.set_aside(path, reason, paths)
    return Memory()


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:
        return None


def save(paths: Paths, memory: Memory) -> None:
    """Write the document, on the disk when this returns; only the pass calls it."""
    with documents.state_lock(paths):
        documents.write_document(
            path_of(paths),
            to_json(memory),
            _MODE,
            compact=True,
            largest=_LARGEST,
        )
