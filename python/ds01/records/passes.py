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

`outlooks` and `pass_info` are for those who show it; they never fail.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.plain import plain, read
from ds01.core.text import span
from ds01.records import documents
from ds01.records.pass_entries import Action, Entry, Memory, PassInfo, Warned

FILE = "lifecycle.json"
_VERSION = 1
_LARGEST = 16 << 20
# Everybody may read it; the folder's group may not write it.
_MODE = 0o644
# Passes come each minute, or each five: without one for so long none comes.
_STALE_SECONDS = 900

_VERBS = {"stop": "stops", "return-gpus": "GPUs return", "remove": "is removed"}


@dataclass(frozen=True)
class Outlook:
    """What a person wants to know of a container: how idle it is, what comes next.

    `container` is the engine's name, `name` the owner's word for it. `idle_seconds` is
    None for one that does not run. `at` is when `action` will happen by `rule`; action
    is None where nothing is to come. `why` is the reason in a few words. `note` says
    what happened to it last without its owner, such as a stop.
    """

    container: str
    name: str
    uid: int
    user: str
    state: str
    last_active: datetime | None
    idle_seconds: float | None
    active_because: str
    action: Action | None
    rule: str
    at: datetime | None
    why: str
    kept_until: datetime | None
    kept_by: str
    warned: tuple[Warned, ...]
    note: str = ""

    def words(self, now: datetime, *, brief: bool = False) -> str:
        """Return what comes next as people read it: `stops in 3h 42m: idle`, or ``;
        brief `stops in 3h`."""
        kept = self.kept_until is not None and self.kept_until > now
        if self.action is None or self.at is None:
            return "kept" if kept else ""
        verb = _VERBS[self.action]
        seconds = (self.at - now).total_seconds()
        when = "now" if seconds < 1 else f"in {span(seconds, 1 if brief else 2)}"
        why = "" if brief else f": {self.why}"
        return f"{verb} {when}{why}{', kept' if kept else ''}"


def to_json(memory: Memory) -> dict[str, Any]:
    """Return the document as plain values."""
    last = memory.last
    seconds = {key: round(getattr(last, key), 3) for key in ("took", "uptime", "tick")}
    return {
        "version": _VERSION,
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
    if raw.get("version") != _VERSION:
        raise ValueError(f"version {raw.get('version')!r}")
    containers = raw["containers"].items()
    return Memory(
        read(PassInfo, raw["pass"], ("looked", "looked_boot")),
        {str(name): read(Entry, item, ("doing",)) for name, item in containers},
    )


def path_of(paths: Paths) -> Path:
    """Return the document's file."""
    return paths.state / FILE


def outlooks(paths: Paths, now: datetime | None = None) -> dict[str, Outlook]:
    """Return the outlook of every container that the last pass saw, by engine name.

    Empty where no pass ran yet, or the document cannot be read.
    """
    now = now or datetime.now(timezone.utc)
    return {
        name: outlook(name, entry, now)
        for name, entry in peek(paths).containers.items()
    }


def outlook(name: str, entry: Entry, now: datetime) -> Outlook:
    """Return the outlook of one container."""
    idle = None
    if entry.state in {"running", "paused"} and entry.last_active is not None:
        idle = max(0.0, (now - entry.last_active).total_seconds())
    coming = entry.next
    return Outlook(
        container=name,
        name=entry.name,
        uid=entry.uid,
        user=entry.user,
        state=entry.state,
        last_active=entry.last_active,
        idle_seconds=idle,
        active_because=entry.active_because,
        action=coming.action if coming else None,
        rule=coming.rule if coming else "",
        at=coming.at if coming else None,
        why=coming.why if coming else "",
        kept_until=entry.kept_until,
        kept_by=entry.kept_by,
        warned=entry.warned,
        note=entry.note,
    )


def pass_info(paths: Paths) -> PassInfo:
    """Return what is known of the last pass; `at` is None where none ran yet."""
    return peek(paths).last


def present(
    paths: Paths, now: datetime | None = None
) -> tuple[dict[str, Outlook], str | None]:
    """Return the outlooks for showing now, and why they do not hold, if so.

    Empty where no pass ran for long, or none did anything: what was foreseen then does
    not come. Where there never was a pass there is nothing to say either.
    """
    now = now or datetime.now(timezone.utc)
    memory = peek(paths)
    last = memory.last
    if last.at is None:
        return {}, None
    age = (now - last.at).total_seconds()
    if age > _STALE_SECONDS:
        return {}, f"idle times are not watched since {span(age)}"
    if last.skipped is not None:
        return {}, f"idle times are not watched: {last.skipped}"
    found = memory.containers.items()
    return {name: outlook(name, entry, now) for name, entry in found}, None


def peek(paths: Paths) -> Memory:
    """Return the document without a lock; an empty one where it cannot be used."""
    try:
        raw = documents.read_document(path_of(paths))
        return Memory() if raw is None else parse(raw)
    except _UNUSABLE:
        return Memory()


_UNUSABLE = (
    HelperError,
    ValueError,
    RecursionError,
    TypeError,
    KeyError,
    AttributeError,
)


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
    except _UNUSABLE as error:
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
