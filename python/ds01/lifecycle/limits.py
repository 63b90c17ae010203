"""Time limits of running containers as moments, and when their owners are warned.

Pure functions. A limit has a moment, `due`, and warnings have moments of their own
before it. A container is stopped when due has come, every warning was told in an
earlier pass, and the time that the last one announced is over. So whoever was not
warned (no pass ran, the policy changed) is warned first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ds01.core.units import utc_stamp
from ds01.lifecycle.types import Moment, Notice, Subject
from ds01.policy.sections import Lifecycle
from ds01.records.pass_entries import Entry, Next, Warned
from ds01.records.reasons import DEMAND, IDLE, RESERVATION, RUNTIME, WHY

# What comes next is not worth a word as long as the container hardly idles.
_QUIET_SECONDS = 300.0
# Somebody who starts a container again whose time is over was told before.
_RESTART_NOTICE = 600.0


@dataclass(frozen=True)
class Limit:
    """One limit as a moment: `length` seconds that end at `due`.

    `most_notice` bounds the seconds that one who was not warned in time is given.
    """

    rule: str
    due: datetime
    length: float
    figures: Mapping[str, Any]
    most_notice: float | None = None


def limits(
    subject: Subject, entry: Entry, policy: Lifecycle, now: datetime
) -> Iterator[Limit]:
    """Yield the limits that hold for a running container."""
    terms = subject.terms
    assert terms is not None  # noqa: S101 - the caller has looked
    assert entry.last_active is not None and entry.run_began is not None  # noqa: S101
    if terms.idle.limit is not None:
        rule, length = IDLE, float(terms.idle.limit)
        if subject.is_wanted:
            less = max(length * policy.demand_factor, float(policy.demand_floor))
            if less < length:
                rule, length = DEMAND, less
        due = entry.last_active + timedelta(seconds=length)
        due = latest(due, terms.idle.lifted_until, subject.kept_until)
        idle = (now - entry.last_active).total_seconds()
        figures = {
            "idle_seconds": round(idle),
            "limit_seconds": round(length),
            "last_active": utc_stamp(entry.last_active),
            "last_activity": entry.active_because,
        }
        yield Limit(rule, due, length, figures)
    if terms.runtime.limit is not None:
        length = float(terms.runtime.limit)
        due = entry.run_began + timedelta(seconds=length)
        kept = subject.kept_until
        if kept is not None and policy.keep_alive_max is not None:
            # Asking again and again does not lift the limit.
            most = due + timedelta(seconds=policy.keep_alive_max)
            kept = min(kept, most)
        due = latest(due, terms.runtime.lifted_until, kept)
        figures = {
            "run_seconds": round((now - entry.run_began).total_seconds()),
            "limit_seconds": round(length),
            "run_began": utc_stamp(entry.run_began),
        }
        started = subject.started or due
        notice = _RESTART_NOTICE if started >= due else None
        yield Limit(RUNTIME, due, length, figures, notice)
    if subject.holding is not None and subject.holding.ends is not None:
        holding, due = subject.holding, subject.holding.ends
        length = max(1.0, (due - holding.since).total_seconds())
        figures = {"gpus": list(holding.gpus), "ends": utc_stamp(due)}
        yield Limit(RESERVATION, due, length, figures)


def latest(due: datetime, *others: datetime | None) -> datetime:
    return max([due, *(other for other in others if other is not None)])


def _warning_times(limit: Limit, percents: tuple[int, ...]) -> dict[int, datetime]:
    return {
        percent: limit.due - timedelta(seconds=limit.length * (100 - percent) / 100)
        for percent in percents
    }


def still_true(
    limit: Limit, warned: tuple[Warned, ...], percents: tuple[int, ...], tick: float
) -> tuple[Warned, ...]:
    """Return those warnings of a rule that were told for this very time.

    One whose own time has moved into the future since belongs to an idle spell that is
    over, or to a time before the owner asked for more.
    """
    times = _warning_times(limit, percents)
    early = timedelta(seconds=2 * tick + 1)
    return tuple(
        item
        for item in warned
        if item.rule == limit.rule
        and item.percent in times
        and item.at >= times[item.percent] - early
    )


def warn(
    limit: Limit,
    told: tuple[Warned, ...],
    percents: tuple[int, ...],
    moment: Moment,
) -> tuple[tuple[Warned, ...], Notice | None]:
    """Return the warnings whose time has come, and the one of them to be told."""
    known = {item.percent for item in told}
    times = _warning_times(limit, percents)
    now, tick = moment.now, timedelta(seconds=moment.tick)
    # Before the next pass it would be too late: early is better than with the stop.
    is_last = now + tick * 1.25 >= limit.due
    due = [
        percent
        for percent in percents
        if percent not in known and (times[percent] <= now or is_last)
    ]
    if not due:
        return (), None
    end, last = limit.due, percents[-1]
    if last in due and now > times[last] + 1.25 * tick:
        # Too late for its own time: as much notice as it would have had, from now.
        notice = limit.due - times[last]
        if limit.most_notice is not None:
            notice = min(notice, timedelta(seconds=limit.most_notice))
        end = max(end, now + notice)
    fresh = tuple(Warned(limit.rule, percent, now, end) for percent in due)
    return fresh, Notice(limit.rule, due[-1], end, "stop", limit.figures)


def is_warned(told: tuple[Warned, ...], percents: tuple[int, ...]) -> bool:
    return {item.percent for item in told}.issuperset(percents)


def end(limit: Limit, told: tuple[Warned, ...], percents: tuple[int, ...]) -> datetime:
    """Return when the container ends by this limit: never before what was announced."""
    last = percents[-1:]
    return max([limit.due, *(item.due for item in told if item.percent in last)])


def next_stop(
    comes: list[tuple[datetime, Limit]], entry: Entry, now: datetime
) -> Next | None:
    """Return the stop that comes first; an idle limit only for one that idles."""
    assert entry.last_active is not None  # noqa: S101 - only for those that run
    idle = (now - entry.last_active).total_seconds()
    shown = [
        (at, limit)
        for at, limit in comes
        if limit.rule not in {IDLE, DEMAND}
        or idle >= min(_QUIET_SECONDS, limit.length / 10)
    ]
    if not shown:
        return None
    at, limit = min(shown, key=lambda item: item[0])
    return Next("stop", limit.rule, at, WHY[limit.rule])
