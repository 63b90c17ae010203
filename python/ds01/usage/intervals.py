"""Who had how much of the GPUs and when, out of the log of GPU allocations.

Pure functions. A grant that ended is told by its release, with its beginning; one that
has not is in the allocator's document. Time in which the clock went back counts as
none. GPUs are counted in equivalents: a MIG instance is its part of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from ds01.gpus.ledger.document import Grant, parse_time

Event = Mapping[str, Any]

# How far before a window its waits may have begun.
LONGEST_WAIT = timedelta(days=7)
_OPENING = frozenset({"grant", "commit", "adopt", "start", "resume", "hold"})


@dataclass(frozen=True)
class Interval:
    """`share` GPU-equivalents of one user, from `begin` to `end`.

    `held` is for how many of its seconds the container was stopped.
    """

    uid: int
    user: str
    container: str
    begin: datetime
    end: datetime
    share: float
    pauses: tuple[tuple[datetime, datetime], ...] = ()

    def seconds(self) -> float:
        """Return its length; none where the clock went back."""
        return max(0.0, (self.end - self.begin).total_seconds())

    def gpu_seconds(self) -> float:
        return self.seconds() * self.share

    def held_seconds(self) -> float:
        """Return GPU-seconds in which the container was stopped."""
        inside = [
            (max(begin, self.begin), min(end, self.end)) for begin, end in self.pauses
        ]
        return self.share * sum(
            max(0.0, (end - begin).total_seconds()) for begin, end in joined(inside)
        )

    def clipped(self, begin: datetime, end: datetime) -> Interval:
        """Return the part inside a window, which may be empty."""
        first = min(max(self.begin, begin), end)
        return replace(self, begin=first, end=max(first, min(self.end, end)))


def joined(
    spans: Iterable[tuple[datetime, datetime]],
) -> list[tuple[datetime, datetime]]:
    """Return spans of time without overlaps, in order; empty ones vanish."""
    found: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if end <= begin:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


@dataclass
class _Open:
    """A grant of the log that has not ended yet."""

    event: Event
    begin: datetime
    last: datetime
    pauses: list[tuple[datetime, datetime]]
    paused: datetime | None = None


def intervals(
    events: Iterable[Event], grants: Sequence[Grant] | None, now: datetime
) -> list[Interval]:
    """Return all grants that the events end, and those that have not ended by `now`.

    `grants` are the allocator's own of now. Where they are not known (None), a grant
    without a release counts up to now; where they are, one that is not among them
    counts up to the last word about it.
    """
    found: list[Interval] = []
    open_: dict[str, _Open] = {}
    for event in events:
        kind, container = event.get("type"), str(event.get("container") or "")
        try:
            time = parse_time(event["time"])
            if kind == "release":
                found += _released(event, open_.pop(container, None), time)
            elif kind in _OPENING and event.get("devices"):
                item = open_.setdefault(container, _Open(event, time, time, []))
                _follow(item, event, time)
        except (KeyError, ValueError, TypeError):
            continue
    current = {grant.container: grant for grant in grants or () if grant.devices}
    for container, item in open_.items():
        if container not in current:
            found += _unfinished(item, item.last if grants is not None else now)
    return found + [_current(g, open_.get(c), now) for c, g in current.items()]


def _follow(item: _Open, event: Event, time: datetime) -> None:
    item.last = max(item.last, time)
    if event["type"] == "hold":
        stopped = event.get("stopped")
        item.paused = item.paused or (parse_time(stopped) if stopped else time)
    elif item.paused is not None:
        item.pauses.append((item.paused, time))
        item.paused = None


def _pauses(item: _Open | None, end: datetime) -> tuple[tuple[datetime, datetime], ...]:
    if item is None:
        return ()
    last = [(item.paused, end)] if item.paused is not None else []
    return tuple(joined([*item.pauses, *last]))


def _released(event: Event, item: _Open | None, time: datetime) -> list[Interval]:
    if not event.get("devices"):
        return []
    begin, end = parse_time(event["begin"]), parse_time(event["end"])
    pauses = _pauses(item, end)
    if item is None and event.get("was") == "held":
        # When it stopped was rotated away; nothing before the release is known of it.
        pauses = ()
    return [_interval(event, begin, end, pauses)]


def _interval(
    event: Event,
    begin: datetime,
    end: datetime,
    pauses: tuple[tuple[datetime, datetime], ...],
) -> Interval:
    uid, share = event["uid"], float(event["share"])
    if type(uid) is not int or not 0 <= share < 1e6:
        raise ValueError("not a grant")
    return Interval(
        uid,
        str(event.get("user") or uid),
        str(event.get("container") or ""),
        begin,
        max(begin, end),
        share,
        pauses,
    )


def _unfinished(item: _Open, end: datetime) -> list[Interval]:
    try:
        return [_interval(item.event, item.begin, end, _pauses(item, end))]
    except (KeyError, ValueError, TypeError):
        return []


def _current(grant: Grant, item: _Open | None, now: datetime) -> Interval:
    pauses = list(_pauses(item, now))
    if grant.state == "held" and grant.stopped is not None:
        pauses.append((grant.stopped, now))
    return Interval(
        grant.uid,
        grant.user,
        grant.container,
        grant.since,
        max(grant.since, now),
        grant.share,
        tuple(joined(pauses)),
    )


def in_window(
    found: Iterable[Interval], begin: datetime, end: datetime
) -> list[Interval]:
    """Return the parts of intervals that lie in a window; empty ones vanish."""
    parts = (item.clipped(begin, end) for item in found)
    return [item for item in parts if item.seconds() > 0]


def bucketed(
    found: Iterable[Interval], edges: Sequence[datetime]
) -> list[dict[int, float]]:
    """Return GPU-seconds per uid for each span between two edges."""
    sums: list[dict[int, float]] = [{} for _ in edges[1:]]
    for item in found:
        for number, (begin, end) in enumerate(pairwise(edges)):
            if item.end <= begin or item.begin >= end:
                continue
            part = item.clipped(begin, end).gpu_seconds()
            sums[number][item.uid] = sums[number].get(item.uid, 0.0) + part
    return sums


@dataclass(frozen=True)
class Wait:
    """A place in the queue that ended, served or given up.

    `seconds` is None where the log does not reach back to its beginning.
    """

    uid: int
    user: str
    end: datetime
    seconds: float | None
    served: bool


def waits(events: Iterable[Event], begin: datetime, end: datetime) -> list[Wait]:
    """Return the waits that ended in a window; `events` should reach back further."""
    since: dict[tuple[object, object, object], datetime] = {}
    found: list[Wait] = []
    for event in events:
        kind, ticket = event.get("type"), event.get("ticket")
        if kind not in {"enqueue", "grant", "leave"} or ticket is None:
            continue
        key = (ticket, event.get("container"), event.get("uid"))
        try:
            time = parse_time(event["time"])
            uid = int(event["uid"])
        except (KeyError, ValueError, TypeError):
            continue
        if kind == "enqueue":
            since[key] = time
            continue
        asked = since.pop(key, None)
        if kind == "grant" and asked is None:
            continue  # served at once, with the number that the next ticket gets
        if begin <= time < end:
            took = None if asked is None else max(0.0, (time - asked).total_seconds())
            user = str(event.get("user") or uid)
            found.append(Wait(uid, user, time, took, kind == "grant"))
    return found
