"""lifecycle.json as plain values and back; passes.py tells what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from ds01.core.units import read_stamp, utc_stamp
from ds01.records.pass_entries import (
    Action,
    Doing,
    Entry,
    Memory,
    Next,
    PassInfo,
    Warned,
)

VERSION = 1
_ACTIONS = ("stop", "return-gpus", "remove")

Json = dict[str, Any]


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
            "looked": _stamp(last.looked),
            "looked_boot": last.looked_boot,
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
            _moment(last.get("looked")),
            str(last.get("looked_boot", "")),
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
