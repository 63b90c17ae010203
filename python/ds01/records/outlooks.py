"""What the last pass foresaw, for those who show it; they never fail.

Read out of lifecycle.json as it stands (passes.py tells what is in it), and without
what the pass itself needs to load: a list of containers asks on each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.text import span
from ds01.core.units import read_stamp
from ds01.records import documents

FILE = "lifecycle.json"
VERSION = 1
# Passes come each minute, or each five: without one for so long none comes.
_STALE_SECONDS = 900
_VERBS = {"stop": "stops", "return-gpus": "GPUs return", "remove": "is removed"}
# What reading a document raises that is none.
UNUSABLE = (
    HelperError,
    ValueError,
    RecursionError,
    TypeError,
    KeyError,
    AttributeError,
)


class Outlook(NamedTuple):
    """What a person wants to know of a container: how idle it is, what comes next.

    `container` is the engine's name, `name` the owner's word for it. `idle_seconds` is
    None for one that does not run. `at` is when `action` will happen by `rule`; action
    is None where nothing is to come. `why` is the reason in a few words. `warned` are
    the warnings that were told, as plain values. `note` says what happened to it last
    without its owner, such as a stop.
    """

    container: str
    name: str
    uid: int
    user: str
    state: str
    last_active: datetime | None
    idle_seconds: float | None
    active_because: str
    action: str | None
    rule: str
    at: datetime | None
    why: str
    kept_until: datetime | None
    kept_by: str
    warned: tuple[Mapping[str, Any], ...]
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


def path_of(paths: Paths) -> Path:
    """Return the document's file."""
    return paths.state / FILE


def outlook(name: str, known: Mapping[str, Any], now: datetime) -> Outlook:
    """Return the outlook of one container from what the document says of it.

    Raises ValueError and the like where that cannot be used.
    """
    state, last_active = str(known["state"]), _moment(known["last_active"])
    idle = None
    if state in {"running", "paused"} and last_active is not None:
        idle = max(0.0, (now - last_active).total_seconds())
    coming = known["next"] or {}
    if coming and coming["action"] not in _VERBS:
        raise ValueError(f"action {coming['action']!r}")
    return Outlook(
        container=name,
        name=str(known["name"]),
        uid=int(known["uid"]),
        user=str(known["user"]),
        state=state,
        last_active=last_active,
        idle_seconds=idle,
        active_because=str(known["active_because"]),
        action=coming["action"] if coming else None,
        rule=str(coming["rule"]) if coming else "",
        at=read_stamp(coming["at"]) if coming else None,
        why=str(coming["why"]) if coming else "",
        kept_until=_moment(known["kept_until"]),
        kept_by=str(known["kept_by"]),
        warned=tuple(known["warned"]),
        note=str(known["note"]),
    )


def outlooks(paths: Paths, now: datetime | None = None) -> dict[str, Outlook]:
    """Return the outlook of every container that the last pass saw, by engine name.

    Empty where no pass ran yet, or the document cannot be read.
    """
    return _read(paths, now or datetime.now(timezone.utc))[1]


def present(
    paths: Paths, now: datetime | None = None
) -> tuple[dict[str, Outlook], str | None]:
    """Return the outlooks for showing now, and why they do not hold, if so.

    Empty where no pass ran for long, or none did anything: what was foreseen then does
    not come. Where there never was a pass there is nothing to say either.
    """
    now = now or datetime.now(timezone.utc)
    last, found = _read(paths, now)
    at = _moment(last.get("at"))
    if at is None:
        return {}, None
    age = (now - at).total_seconds()
    if age > _STALE_SECONDS:
        return {}, f"idle times are not watched since {span(age)}"
    if last.get("skipped") is not None:
        return {}, f"idle times are not watched: {last['skipped']}"
    return found, None


def _read(paths: Paths, now: datetime) -> tuple[Mapping[str, Any], dict[str, Outlook]]:
    """Return the last pass and the outlooks; nothing where they cannot be used."""
    try:
        raw = documents.read_document(path_of(paths))
        if raw is None or raw.get("version") != VERSION:
            return {}, {}
        last, known = raw["pass"], raw["containers"].items()
        _moment(last["at"])
        return last, {name: outlook(name, item, now) for name, item in known}
    except UNUSABLE:
        return {}, {}


def _moment(value: object) -> datetime | None:
    return None if value is None else read_stamp(value)
