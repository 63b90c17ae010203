"""Decides what happens to containers that do not run: GPUs first, then the container.

Pure functions. Nothing is removed before its owner was told, `removal_notice` ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ds01.core.units import utc_stamp
from ds01.lifecycle.limits import latest
from ds01.lifecycle.types import Act, Decision, Found, Moment, Notice, Subject
from ds01.policy.sections import Lifecycle
from ds01.records.pass_entries import Doing, Entry, Next, Warned
from ds01.records.reasons import CREATED, HOLD, REMOVAL, RESERVATION, WHY

# An archive of a large container takes its time; a failed one is tried again then.
_REMOVAL_SECONDS = 3600


def stopped(
    subject: Subject,
    entry: Entry,
    policy: Lifecycle,
    moment: Moment,
    found: list[Found],
) -> Decision:
    """Return what follows for a container that ran and has ended."""
    ended = subject.finished or entry.stopped or moment.now
    warned = tuple(item for item in entry.warned if item.rule == REMOVAL)
    if entry.stopped is not None and entry.stopped != ended:
        warned = ()  # it ran in between: the announcement is old
    entry = replace(entry, stopped=ended, warned=warned, next=None)
    comes: list[Next] = []
    act = None
    holding = subject.holding
    if holding is not None:
        times = {HOLD: holding.until, RESERVATION: holding.ends}
        comes += _first(times)
        # The allocator itself sees to holds that are over.
        if comes and comes[0].rule == RESERVATION and comes[0].at <= moment.now:
            act = Act("return-gpus", RESERVATION, {"ends": utc_stamp(comes[0].at)})
    if subject.terms is None or subject.terms.removal.limit is None:
        return _close(replace(entry, warned=()), comes, act, found)
    term, limit = subject.terms.removal, subject.terms.removal.limit
    due = ended + timedelta(seconds=limit)
    due = latest(due, term.lifted_until, subject.kept_until)
    figures = {
        "stopped": utc_stamp(ended),
        "hold_seconds": limit,
        "archive": str(policy.archive) if policy.archive else None,
    }
    removal = _Removal(REMOVAL, due, float(policy.removal_notice), figures)
    return _remove(removal, entry, comes, act, moment, found)


def created(
    subject: Subject,
    entry: Entry,
    policy: Lifecycle,
    moment: Moment,
    found: list[Found],
) -> Decision:
    """Return what follows for a container that was never started: GPUs go first, and
    after as long again the container, unless it holds a person's files."""
    now = moment.now
    entry = replace(entry, next=None)
    comes: list[Next] = []
    act = None
    holding, terms = subject.holding, subject.terms
    since = subject.created
    if holding is not None:
        # Whoever gets devices for it is about to start it.
        since = max(since, holding.since, holding.renewed or holding.since)
        times = {RESERVATION: holding.ends}
        if terms is not None and terms.created_gpus.limit is not None:
            at = since + timedelta(seconds=terms.created_gpus.limit)
            times[CREATED] = latest(at, terms.created_gpus.lifted_until)
        comes += _first(times)
        if comes and comes[0].at <= now:
            figures: dict[str, Any] = {"created": utc_stamp(subject.created)}
            act = Act("return-gpus", comes[0].rule, figures)
    if subject.holds_files or terms is None or terms.created.limit is None:
        return _close(replace(entry, warned=()), comes, act, found)
    wait = terms.created.limit
    due = since + timedelta(seconds=2 * wait)
    due = latest(due, terms.created.lifted_until, subject.kept_until)
    figures = {"created": utc_stamp(subject.created), "timeout_seconds": wait}
    notice = float(min(wait, policy.removal_notice))
    removal = _Removal(CREATED, due, notice, figures)
    return _remove(removal, entry, comes, act, moment, found)


@dataclass(frozen=True)
class _Removal:
    """A removal that is to be, and for how many seconds before it is announced."""

    rule: str
    due: datetime
    notice: float
    figures: Mapping[str, Any]


def _remove(  # noqa: PLR0917 - the parts of a decision
    removal: _Removal,
    entry: Entry,
    comes: list[Next],
    act: Act | None,
    moment: Moment,
    found: list[Found],
) -> Decision:
    """Announce a removal when it is time, and decide it when its time has come."""
    now, rule, due = moment.now, removal.rule, removal.due
    notice = timedelta(seconds=removal.notice)
    early = timedelta(seconds=2 * moment.tick + 1)
    # An announcement of another time does not count.
    told = tuple(
        item
        for item in entry.warned
        if item.rule == rule and item.at >= due - notice - early
    )
    notices: tuple[Notice, ...] = ()
    if told and moment.unwatched:
        # While the server was off nobody could save anything: the time goes on now.
        away = timedelta(seconds=moment.unwatched)
        told = (*told[:-1], replace(told[-1], due=told[-1].due + away))
    if told:
        due = max(due, told[-1].due)
        if due <= now and entry.doing is None and act is None:
            act = Act("remove", rule, removal.figures)
            doing = Doing("remove", rule, now, _REMOVAL_SECONDS, removal.figures)
            entry = replace(entry, doing=doing)
    elif now >= due - notice:
        due = max(due, now + notice)
        told = (Warned(rule, 0, now, due),)
        notices = (Notice(rule, 0, due, "remove", removal.figures),)
    comes = [*comes, Next("remove", rule, due, WHY[rule])]
    decision = _close(replace(entry, warned=told), comes, act, found)
    return replace(decision, notices=notices)


def _first(times: Mapping[str, datetime | None]) -> list[Next]:
    """Return the return of GPUs that comes first, if any does."""
    known = {rule: time for rule, time in times.items() if time is not None}
    if not known:
        return []
    rule = min(known, key=lambda item: known[item])
    return [Next("return-gpus", rule, known[rule], WHY[rule])]


def _close(
    entry: Entry, comes: list[Next], act: Act | None, found: list[Found]
) -> Decision:
    first = min(comes, key=lambda item: item.at, default=None)
    return Decision(replace(entry, next=first), (), act, tuple(found))
