"""What the lifecycle pass remembers, lifecycle.json, as typed values.

One document, written by the pass alone (lifecycle.py), read by everybody: when each
container was last active, what was warned, what comes next and when. It may be deleted
at any time: every container counts as just active then.

    {"version": 1,
     "pass": {"at", "took", "skipped", "boot", "uptime", "tick"},
     "containers": {ENGINE_NAME: {
         "id", "uid", "user", "name", "state", "sampled", "last_active",
         "active_because", "counters": {"cpu", "network", "block", "gpu_memory"},
         "started", "run_began", "stopped", "kept_until", "kept_by",
         "warned": [{"rule", "percent", "at", "due"}],
         "next": {"action", "rule", "at", "why"} or null,
         "note", "gpus": [UUID],
         "doing": {"action", "rule", "at", "patience", "figures"} or left out}}}

`outlooks` and `pass_info` are for those who show it; they never fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, cast

import locked_files
import state
from _common import HelperError, Paths
from units import read_stamp, utc_stamp

VERSION = 1
FILE = "lifecycle.json"
_LARGEST = 16 << 20
# Passes come each minute, or each five: without one for so long none comes.
_STALE_SECONDS = 900

Json = dict[str, Any]
Action = Literal["stop", "return-gpus", "remove"]
_ACTIONS = ("stop", "return-gpus", "remove")
_VERBS = {"stop": "stops", "return-gpus": "GPUs return", "remove": "is removed"}


@dataclass(frozen=True)
class Warned:
    """A warning that was told: at `at`, that the rule's time is `due`.

    `percent` is the policy's of warn_at; 0 is the announcement of a removal.
    """

    rule: str
    percent: int
    at: datetime
    due: datetime


@dataclass(frozen=True)
class Next:
    """What will be done to a container, if nothing changes, and why in words."""

    action: Action
    rule: str
    at: datetime
    why: str


@dataclass(frozen=True)
class Doing:
    """What a pass has begun to do and has not seen done yet.

    `patience` is for how many seconds it may take, `figures` what it was decided on.
    """

    action: Action
    rule: str
    at: datetime
    patience: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What is remembered of one container.

    `counters` are totals that grow, at `sampled`: CPU nanoseconds, bytes on the
    network, bytes of block I/O; and the GPU memory held then. `run_began` is what
    max_runtime counts from. `note` says what happened to it last without its owner,
    until it is started again. `gpus` are the devices that it has.
    """

    id: str
    uid: int
    user: str
    name: str
    state: str
    sampled: datetime | None = None
    last_active: datetime | None = None
    active_because: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)
    started: datetime | None = None
    run_began: datetime | None = None
    stopped: datetime | None = None
    kept_until: datetime | None = None
    kept_by: str = ""
    warned: tuple[Warned, ...] = ()
    next: Next | None = None
    doing: Doing | None = None
    note: str = ""
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassInfo:
    """The last pass: when it began, how many seconds it took, why nothing was done.

    `boot` and `uptime` (seconds since boot) tell a clock that jumped. `tick` are the
    seconds since the pass before.
    """

    at: datetime | None = None
    took: float = 0.0
    skipped: str | None = None
    boot: str = ""
    uptime: float = 0.0
    tick: float = 0.0


@dataclass(frozen=True)
class Memory:
    """lifecycle.json."""

    last: PassInfo = PassInfo()
    containers: Mapping[str, Entry] = field(default_factory=dict)


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

    def words(self, now: datetime) -> str:
        """Return what comes next as people read it: `stops in 42m: idle`, or ``."""
        kept = self.kept_until is not None and self.kept_until > now
        if self.action is None or self.at is None:
            return "kept" if kept else ""
        verb = _VERBS[self.action]
        seconds = (self.at - now).total_seconds()
        when = "now" if seconds < 1 else f"in {span(seconds)}"
        return f"{verb} {when}: {self.why}{', kept' if kept else ''}"


def span(seconds: float) -> str:
    """Return a duration in its two largest units: `42m`, `9h 36m`, `3d 4h`."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2 or (parts and unit == "m"):
            break
    return " ".join(part for part in parts if part) or "0s"


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
        raw = state.read_document(path_of(paths))
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
    """Return the document, under the lock of the pass; one that is broken is set aside.

    Raises HelperError where the file cannot be read at all.
    """
    path = path_of(paths)
    try:
        raw = state.read_document(path)
        return Memory() if raw is None else parse(raw)
    except HelperError:
        raise
    except _UNUSABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    state.set_aside(path, reason, paths)
    return Memory()


def save(paths: Paths, memory: Memory) -> None:
    """Write the document, on the disk when this returns; only the pass calls it."""
    with state.state_lock(paths):
        state.write_document(
            path_of(paths),
            to_json(memory),
            locked_files.PUBLIC_MODE,
            compact=True,
            largest=_LARGEST,
        )


def to_json(memory: Memory) -> Json:
    """Return the document as plain values."""
    last = memory.last
    return {
        "version": VERSION,
        "pass": {
            "at": _stamp(last.at),
            "took": round(last.took, 3),
            "skipped": last.skipped,
            "boot": last.boot,
            "uptime": round(last.uptime, 3),
            "tick": round(last.tick, 3),
        },
        "containers": {
            name: entry_json(entry) for name, entry in memory.containers.items()
        },
    }


def entry_json(entry: Entry) -> Json:
    """Return what is remembered of a container as plain values."""
    coming, doing = entry.next, entry.doing
    return {
        "id": entry.id,
        "uid": entry.uid,
        "user": entry.user,
        "name": entry.name,
        "state": entry.state,
        "sampled": _stamp(entry.sampled),
        "last_active": _stamp(entry.last_active),
        "active_because": entry.active_because,
        "counters": dict(entry.counters),
        "started": _stamp(entry.started),
        "run_began": _stamp(entry.run_began),
        "stopped": _stamp(entry.stopped),
        "kept_until": _stamp(entry.kept_until),
        "kept_by": entry.kept_by,
        **told_json(entry),
        "next": coming
        and {
            "action": coming.action,
            "rule": coming.rule,
            "at": utc_stamp(coming.at),
            "why": coming.why,
        },
        "note": entry.note,
        "gpus": list(entry.gpus),
        **({"doing": _doing_json(doing)} if doing else {}),
    }


def _doing_json(doing: Doing) -> Json:
    return {
        "action": doing.action,
        "rule": doing.rule,
        "at": utc_stamp(doing.at),
        "patience": doing.patience,
        "figures": dict(doing.figures),
    }


def told_json(entry: Entry) -> Json:
    """Return the warnings that were told as plain values, under `warned`."""
    return {
        "warned": [
            {
                "rule": item.rule,
                "percent": item.percent,
                "at": utc_stamp(item.at),
                "due": utc_stamp(item.due),
            }
            for item in entry.warned
        ]
    }


def parse(raw: Mapping[str, Any]) -> Memory:
    """Return the document that JSON says; raises ValueError and the like."""
    if raw.get("version") != VERSION:
        raise ValueError(f"version {raw.get('version')!r}")
    last = raw["pass"]
    return Memory(
        PassInfo(
            _moment(last["at"]),
            float(last["took"]),
            None if last["skipped"] is None else str(last["skipped"]),
            str(last["boot"]),
            float(last["uptime"]),
            float(last["tick"]),
        ),
        {str(name): _entry(item) for name, item in raw["containers"].items()},
    )


def _entry(raw: Json) -> Entry:
    coming, doing = raw["next"], raw.get("doing")
    return Entry(
        id=str(raw["id"]),
        uid=int(raw["uid"]),
        user=str(raw["user"]),
        name=str(raw["name"]),
        state=str(raw["state"]),
        sampled=_moment(raw["sampled"]),
        last_active=_moment(raw["last_active"]),
        active_because=str(raw["active_because"]),
        counters={str(k): int(v) for k, v in raw["counters"].items()},
        started=_moment(raw["started"]),
        run_began=_moment(raw["run_began"]),
        stopped=_moment(raw["stopped"]),
        kept_until=_moment(raw["kept_until"]),
        kept_by=str(raw["kept_by"]),
        warned=tuple(
            Warned(
                str(item["rule"]),
                int(item["percent"]),
                read_stamp(item["at"]),
                read_stamp(item["due"]),
            )
            for item in raw["warned"]
        ),
        next=None
        if coming is None
        else Next(
            _action(coming["action"]),
            str(coming["rule"]),
            read_stamp(coming["at"]),
            str(coming["why"]),
        ),
        doing=None
        if doing is None
        else Doing(
            _action(doing["action"]),
            str(doing["rule"]),
            read_stamp(doing["at"]),
            int(doing["patience"]),
            dict(doing["figures"]),
        ),
        note=str(raw["note"]),
        gpus=tuple(str(item) for item in raw["gpus"]),
    )


def _action(text: object) -> Action:
    if text not in _ACTIONS:
        raise ValueError(f"action {text!r}")
    return cast("Action", text)


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else utc_stamp(moment)


def _moment(value: object) -> datetime | None:
    return None if value is None else read_stamp(value)


def with_entry(memory: Memory, name: str, entry: Entry) -> Memory:
    """Return the memory with a container's entry replaced."""
    return replace(memory, containers={**memory.containers, name: entry})
