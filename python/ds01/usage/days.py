"""Remembers how much of their granted GPU time users used: one document for each day.

The lifecycle's pass notes a sample for each container with GPUs that runs; they are
added up per user and hour (UTC). All figures are GPU-equivalent seconds. What nobody
looked at, or what cannot be measured, is in no figure: it is unknown, not unused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from operator import add
from pathlib import Path
from typing import Any

from ds01.core.files import PRIVATE_MODE, ensure_folder
from ds01.core.paths import Paths
from ds01.records import documents

VERSION = 1
# A longer gap between two passes was watched by nobody.
LONGEST_SECONDS = 900.0
_KEEP_DAYS = 400
_LARGEST = 8 << 20
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Sample:
    """What one running container did with its GPUs from `begin` to `end`.

    `share` is in GPU-equivalents, `used` the mean utilisation of its devices (0..1),
    None where it is not known; `idle` if the rules count it as idle.
    """

    uid: int
    user: str
    begin: datetime
    end: datetime
    share: float
    used: float | None
    idle: bool | None = None


@dataclass(frozen=True)
class Use:
    """GPU-equivalent seconds: measured, used of the measured, judged, idle of those."""

    measured: float = 0.0
    used: float = 0.0
    judged: float = 0.0
    idle: float = 0.0

    def __add__(self, other: Use) -> Use:
        return Use(*map(add, vars(self).values(), vars(other).values()))

    def part(self, fraction: float) -> Use:
        """Return this use's part, where it lies only partly in a window."""
        return Use(*(number * fraction for number in vars(self).values()))


def use_of(sample: Sample) -> Use:
    """Return what a sample adds; nothing where nobody looked or the clock went back."""
    seconds = (sample.end - sample.begin).total_seconds()
    if not 0 < seconds <= LONGEST_SECONDS or sample.share <= 0:
        return Use()
    whole = seconds * sample.share
    known = sample.used is not None
    used = whole * min(1.0, max(0.0, sample.used or 0.0))
    judged = sample.idle is not None
    return Use(
        whole if known else 0.0,
        used if known else 0.0,
        whole if judged else 0.0,
        whole if sample.idle else 0.0,
    )


def hours_between(begin: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
    """Return the hours that an interval touches, each with its part of the interval."""
    whole = (end - begin).total_seconds()
    hour = begin.replace(minute=0, second=0, microsecond=0)
    while hour < end and whole > 0:
        inside = (min(end, hour + _HOUR) - max(begin, hour)).total_seconds()
        yield hour, inside / whole
        hour += _HOUR


def folder_of(paths: Paths) -> Path:
    """Return the folder of the documents."""
    return paths.state / "usage"


def _path(paths: Paths, day: date) -> Path:
    return folder_of(paths) / f"{day.isoformat()}.json"


def note(paths: Paths, samples: Iterable[Sample], now: datetime) -> None:
    """Add samples to their days; nothing is written where there are none.

    Raises HelperError where the state folder cannot be written.
    """
    added: dict[date, dict[tuple[int, int], Use]] = {}
    names: dict[int, str] = {}
    for sample in samples:
        use = use_of(sample)
        if use == Use():
            continue
        names[sample.uid] = sample.user
        begin = sample.begin.astimezone(timezone.utc)
        for hour, part in hours_between(begin, sample.end.astimezone(timezone.utc)):
            day = added.setdefault(hour.date(), {})
            key = (sample.uid, hour.hour)
            day[key] = day.get(key, Use()) + use.part(part)
    if not added:
        return
    with documents.state_lock(paths):
        ensure_folder(folder_of(paths))
        for date_of, uses in added.items():
            path = _path(paths, date_of)
            is_new = not path.exists()
            document = _merge(_load(path, paths), date_of, uses, names)
            documents.write_document(
                path, document, PRIVATE_MODE, compact=True, largest=_LARGEST
            )
            if is_new:
                _forget(paths, now)


def _load(path: Path, paths: Paths) -> dict[str, Any]:
    try:
        return documents.read_document(path) or {}
    except (ValueError, RecursionError) as error:
        documents.set_aside(path, " ".join(str(error).split()), paths)
        return {}


def _merge(
    document: dict[str, Any],
    day: date,
    uses: Mapping[tuple[int, int], Use],
    names: Mapping[int, str],
) -> dict[str, Any]:
    users = document.get("users")
    users = dict(users) if isinstance(users, dict) else {}
    for (uid, hour), use in uses.items():
        user = users.get(str(uid))
        hours = dict(user.get("hours") or {}) if isinstance(user, dict) else {}
        total = _use(hours.get(str(hour))) + use
        hours[str(hour)] = [round(number, 3) for number in vars(total).values()]
        users[str(uid)] = {"user": names[uid], "hours": hours}
    return {"version": VERSION, "day": day.isoformat(), "users": users}


def _use(value: object) -> Use:
    if not isinstance(value, list) or len(value) != 4:
        return Use()
    if not all(isinstance(number, int | float) and number >= 0 for number in value):
        return Use()
    return Use(*map(float, value))


def _forget(paths: Paths, now: datetime) -> None:
    """Remove days that are older than a report ever asks for."""
    oldest = (now - timedelta(days=_KEEP_DAYS)).date().isoformat()
    for path in folder_of(paths).glob("????-??-??.json"):
        if path.stem < oldest:
            with contextlib.suppress(OSError):
                path.unlink()


def read(
    paths: Paths, begin: datetime, end: datetime
) -> Iterator[tuple[int, datetime, Use]]:
    """Return user, hour and use in a window; of an hour cut by it the part inside.

    Days without a document, and documents that cannot be read, add nothing.
    """
    begin, end = begin.astimezone(timezone.utc), end.astimezone(timezone.utc)
    day = begin.date()
    while day <= end.date():
        midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        for uid, hour, use in _entries(_path(paths, day)):
            first = midnight + hour * _HOUR
            inside = (min(end, first + _HOUR) - max(begin, first)).total_seconds()
            if inside > 0:
                yield uid, first, use.part(inside / 3600)
        day += timedelta(days=1)


def _entries(path: Path) -> Iterator[tuple[int, int, Use]]:
    try:
        document = documents.read_document(path) or {}
    except (ValueError, RecursionError):
        return
    users = document.get("users")
    for uid, user in (users if isinstance(users, dict) else {}).items():
        hours = user.get("hours") if isinstance(user, dict) else None
        for hour, value in (hours if isinstance(hours, dict) else {}).items():
            if uid.isdigit() and hour.isdigit() and int(hour) < 24:
                yield int(uid), int(hour), _use(value)
