"""Adds up what users got of the GPUs in a window, how long they waited, and what was
refused, made and taken back.

Reads both logs across rotation, the allocator's present grants, and the use that the
lifecycle's pass sampled. What was not sampled is unknown (None), not unused.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ds01.core.errors import HelperError
from ds01.core.owner import user_name
from ds01.core.paths import Paths
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.document import parse_time
from ds01.policy.limits import find_group, load_policy
from ds01.policy.types import Policy
from ds01.policy.users import identify_user
from ds01.usage.books import Books, read_books
from ds01.usage.days import Use
from ds01.usage.intervals import Interval, bucketed

Event = Mapping[str, Any]

UNKNOWN_GROUP = "unknown"
_MOST_BUCKETS = 40


@dataclass(frozen=True)
class Row:
    """One user, group, or all of them. GPU figures are GPU-equivalent seconds."""

    name: str
    group: str = ""
    uid: int | None = None
    users: int = 1
    granted: float = 0.0
    held: float = 0.0
    use: Use = field(default_factory=Use)
    waited: tuple[float, ...] = ()
    gave_up: int = 0
    refused: int = 0
    created: int = 0
    removed: int = 0
    stopped: int = 0
    builds: int = 0
    failed_builds: int = 0

    @property
    def used(self) -> float | None:
        """GPU-seconds that were used; None where nothing was measured."""
        return self.use.used if self.use.measured > 0 else None

    @property
    def idle(self) -> float | None:
        return self.use.idle if self.use.judged > 0 else None

    @property
    def measured(self) -> float | None:
        """Which part of the granted time, without holds, was measured (0..1)."""
        running = self.granted - self.held
        return min(1.0, self.use.measured / running) if running > 0 else None

    def plus(self, other: Row) -> Row:
        """Return the sum of two rows, under this one's name."""
        sums = {
            key: value + getattr(other, key)
            for key, value in vars(self).items()
            if key not in {"name", "group", "uid"}
        }
        return replace(self, **sums)


@dataclass(frozen=True)
class Refused:
    """A reason for refusals: how often, and to how many users."""

    reason: str
    count: int
    users: int


@dataclass(frozen=True)
class Reclaimed:
    """What the lifecycle took back: stops by rule, the GPU-seconds that the stopped had
    been idle, and GPU-equivalents given back after a stop."""

    stops: Mapping[str, int] = field(default_factory=dict)
    idle: float = 0.0
    returned: float = 0.0


@dataclass(frozen=True)
class Report:
    """Everything about a window; `edges` and `series` (group, GPU-seconds per span)
    are its course. `capacity` is GPU-equivalents of the host now, None if unknown."""

    begin: datetime
    end: datetime
    users: tuple[Row, ...]
    groups: tuple[Row, ...]
    total: Row
    refused: tuple[Refused, ...] = ()
    reclaimed: Reclaimed = Reclaimed()
    waiting: int | None = None
    edges: tuple[datetime, ...] = ()
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    capacity: float | None = None
    notes: tuple[str, ...] = ()


def user_rows(books: Books, groups: Mapping[int, str]) -> list[Row]:
    """Return a row for every user of the books."""
    # Hours and counts, which are added up alike.
    sums: dict[int, Counter[str]] = {}
    uses: dict[int, Use] = {}
    waited: dict[int, list[float]] = {}
    for item in books.held:
        figures: Any = sums.setdefault(item.uid, Counter())
        figures["granted"] += item.gpu_seconds()
        figures["held"] += item.held_seconds()
    for uid, _, use in books.uses:
        uses[uid] = uses.get(uid, Use()) + use
    for wait in books.waits:
        if wait.served and wait.seconds is not None:
            waited.setdefault(wait.uid, []).append(wait.seconds)
        elif not wait.served:
            sums.setdefault(wait.uid, Counter())["gave_up"] += 1
    for uid, counts in books.counts.items():
        sums.setdefault(uid, Counter()).update(counts)
    rows = [
        Row(
            books.names.get(uid) or user_name(uid),
            groups.get(uid, UNKNOWN_GROUP),
            uid,
            use=uses.get(uid, Use()),
            waited=tuple(waited.get(uid, ())),
            **sums.get(uid, {}),  # type: ignore[arg-type]
        )
        for uid in sorted({*sums, *uses, *waited})
    ]
    return sorted(rows, key=lambda row: (-row.granted, row.name))


def sum_rows(rows: Iterable[Row], name: str) -> Row:
    """Return the sum of rows under a name."""
    total = Row(name, users=0)
    for row in rows:
        total = total.plus(row)
    return total


def group_rows(rows: Iterable[Row]) -> list[Row]:
    """Return a row for every group of users, the largest first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    sums = [sum_rows(members, name) for name, members in found.items()]
    return sorted(sums, key=lambda row: (-row.granted, row.name))


def reclaimed(books: Books) -> Reclaimed:
    """Return what the lifecycle took back."""
    held: dict[str, list[Interval]] = {}
    for item in books.held:
        held.setdefault(item.container, []).append(item)
    stops = Counter(str(event["rule"]) for event in books.stops)
    idle = 0.0
    for event in books.stops:
        figures = event.get("figures")
        seconds = figures.get("idle_seconds") if isinstance(figures, dict) else None
        if isinstance(seconds, int | float):
            idle += seconds * _share_at(
                held.get(str(event.get("container")), ()), event
            )
    return Reclaimed(dict(stops), idle, books.returned)


def _share_at(held: Iterable[Interval], event: Event) -> float:
    """Return the GPU-equivalents that a container had when something happened."""
    try:
        time = parse_time(event["time"])
    except ValueError:
        return 0.0
    return next((i.share for i in held if i.begin <= time <= i.end), 0.0)


def edges_of(begin: datetime, end: datetime) -> tuple[datetime, ...]:
    """Return the spans of a window's course: hours, days, weeks or months."""
    length = (end - begin).total_seconds()
    steps = (900, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400, 365 * 86400)
    step = next((s for s in steps if length / s <= _MOST_BUCKETS), steps[-1])
    first = begin.timestamp() // step * step
    edges = [begin]
    mark = first + step
    while mark < end.timestamp():
        edges.append(datetime.fromtimestamp(mark, begin.tzinfo))
        mark += step
    return (*edges, end)


def group_series(
    held: Iterable[Interval], edges: Sequence[datetime], groups: Mapping[int, str]
) -> dict[str, tuple[float, ...]]:
    """Return each group's GPU-seconds in each span."""
    sums = bucketed(held, edges)
    found: dict[str, list[float]] = {}
    for number, part in enumerate(sums):
        for uid, seconds in part.items():
            name = groups.get(uid, UNKNOWN_GROUP)
            found.setdefault(name, [0.0] * len(sums))[number] += seconds
    return {name: tuple(values) for name, values in sorted(found.items())}


def groups_of(uids: Iterable[int], policy: Policy | None) -> dict[int, str]:
    """Return the policy's group of each user; those of whom it is not known are out."""
    found: dict[int, str] = {}
    for uid in uids:
        if policy is not None:
            try:
                found[uid] = find_group(policy, identify_user(uid))[0].name
            except HelperError:
                continue
    return found


def make(
    paths: Paths, begin: datetime, end: datetime, capacity: float | None = None
) -> Report:
    """Return the report of a window; `end` is at most now.

    Raises HelperError where the logs may not be read.
    """
    notes = []
    try:
        policy: Policy | None = load_policy(paths.policy)
    except HelperError as error:
        policy = None
        notes.append(f"the groups are not known: {error.message}")
    document = ledger_document.peek(paths)
    books = read_books(paths, begin, end, document.grants if document else None)
    uids = {*books.names, *(uid for uid, _, _ in books.uses)}
    groups = groups_of(uids, policy)
    users = user_rows(books, groups)
    total = sum_rows(users, "total")
    edges = edges_of(begin, end)
    if total.granted > 0 and total.used is None:
        notes.append("how much of the GPU time was used is unknown: it was not sampled")
    return Report(
        begin=begin,
        end=end,
        users=tuple(users),
        groups=tuple(group_rows(users)),
        total=total,
        refused=tuple(
            Refused(reason, count, len(books.refused_users.get(reason, ())))
            for reason, count in books.refusals.most_common(10)
        ),
        reclaimed=reclaimed(books),
        waiting=None if document is None else len(document.queue),
        edges=edges,
        series=group_series(books.held, edges, groups),
        capacity=capacity,
        notes=tuple(notes),
    )


def for_user(report: Report, uid: int) -> Report:
    """Return the report as a user may see it: the others only as a sum."""
    own = [row for row in report.users if row.uid == uid]
    others = [row for row in report.users if row.uid != uid]
    if not others:
        return report
    name = "1 other" if len(others) == 1 else f"{len(others)} others"
    total = sum_rows(others, name)
    return replace(report, users=(*own, total))


def median(values: Sequence[float]) -> float | None:
    """Return the middle of some values, None where there are none."""
    return statistics.median(values) if values else None


def default_window(
    now: datetime, since: datetime | None, until: datetime | None, days: int
) -> tuple[datetime, datetime]:
    """Return the window: `days` up to `until`, unless `since` is given."""
    end = min(until or now, now)
    return (since or end - timedelta(days=days), end)
