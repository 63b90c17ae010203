"""Reads what happened on a server in a window; report.py adds it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ds01.core.paths import Paths
from ds01.gpus.ledger.document import HOLD_EXPIRED, Grant, parse_time
from ds01.records.log_reader import EVENTS, GPUS, log_path, read_lines
from ds01.usage import days
from ds01.usage.days import Use
from ds01.usage.intervals import (
    LONGEST_WAIT,
    Interval,
    Wait,
    in_window,
    intervals,
    waits,
)

Event = Mapping[str, Any]

_COUNTED = {
    "created": "created",
    "removed": "removed",
    "image-built": "builds",
    "image-failed": "failed_builds",
}


@dataclass
class Books:
    """What is read before anything is added up."""

    held: list[Interval]
    waits: list[Wait]
    uses: list[tuple[int, datetime, Use]]
    counts: dict[int, Counter[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    refused_users: dict[str, set[int]] = field(default_factory=dict)
    stops: list[Event] = field(default_factory=list)
    returned: float = 0.0


def read_books(
    paths: Paths, begin: datetime, end: datetime, grants: Sequence[Grant] | None
) -> Books:
    """Return what happened in a window. `end` is at most now.

    The log is read to its end: a grant in the window may be given back after it.
    """
    path = log_path(paths, GPUS)
    events = list(read_lines(path, begin))
    before = read_lines(path, begin - LONGEST_WAIT, begin, (b'"enqueue"',))
    books = Books(
        held=in_window(intervals(events, grants, end), begin, end),
        waits=waits([*before, *events], begin, end),
        uses=list(days.read(paths, begin, end)),
    )
    for event in events:
        if _is_in(event, end):
            _count_allocation(books, event)
    for event in read_lines(log_path(paths, EVENTS), begin, end):
        _count_event(books, event)
    for item in books.held:
        books.names.setdefault(item.uid, item.user)
    for wait in books.waits:
        books.names.setdefault(wait.uid, wait.user)
    return books


def _is_in(event: Event, end: datetime) -> bool:
    try:
        return parse_time(event["time"]) < end
    except ValueError:
        return False


def _count_allocation(books: Books, event: Event) -> None:
    kind = event["type"]
    if kind == "refuse":
        _refusal(books, event, str(event.get("rule") or event.get("code") or "unknown"))
    elif kind == "release" and event.get("reason") == HOLD_EXPIRED:
        share = event.get("share")
        books.returned += share if isinstance(share, int | float) else 0.0


def _count_event(books: Books, event: Event) -> None:
    kind, uid = event["type"], event.get("uid")
    if type(uid) is not int:
        return
    if kind == "denied":
        _refusal(books, event, str(event.get("code") or "unknown"))
    elif kind == "stopped" and event.get("rule"):
        books.stops.append(event)
        _add(books, event, uid, "stopped")
    elif kind in _COUNTED:
        _add(books, event, uid, _COUNTED[kind])


def _add(books: Books, event: Event, uid: int, key: str) -> None:
    books.counts.setdefault(uid, Counter())[key] += 1
    books.names.setdefault(uid, str(event.get("user") or uid))


def _refusal(books: Books, event: Event, reason: str) -> None:
    uid = event.get("uid")
    books.refusals[reason] += 1
    if type(uid) is int:
        books.refused_users.setdefault(reason, set()).add(uid)
        _add(books, event, uid, "refused")
