"""Decides what happens to containers that nobody uses: a pure function of a snapshot.

`decide` gets what is known of one container, what is remembered of it, and the time;
it returns what to remember, what to tell the owner, and what to do. It reads no clock.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ds01.lifecycle import rests
from ds01.lifecycle.activity import Known, Sample, judge
from ds01.lifecycle.limits import (
    Limit,
    end,
    is_warned,
    limits,
    next_stop,
    still_true,
    warn,
)
from ds01.lifecycle.types import (
    ACTIVE,
    ENDED,
    RETRY_SECONDS,
    SAME_RUN_SECONDS,
    Act,
    Decision,
    Found,
    Moment,
    Notice,
    Subject,
)
from ds01.policy.sections import Lifecycle
from ds01.records.pass_entries import Doing, Entry, Warned
from ds01.records.reasons import HOLD, WHY


def decide(
    subject: Subject, known: Entry | None, policy: Lifecycle, moment: Moment
) -> Decision:
    """Return what follows for a container; `known` is what is remembered of its name.

    Where its owner's limits cannot be said, or it is in a state of its own, nothing is
    done.
    """
    if known is not None and known.id != subject.id:
        known = _moved(known, subject)
    entry, found = _follow(subject, known, moment)
    if subject.state in ACTIVE:
        return _running(subject, known, entry, policy, moment, found)
    if subject.state in ENDED:
        return rests.stopped(subject, entry, policy, moment, found)
    if subject.state == "created":
        return rests.created(subject, entry, policy, moment, found)
    # Restarting, or being removed: somebody is at it.
    return Decision(replace(entry, next=None), found=tuple(found))


def _moved(known: Entry, subject: Subject) -> Entry | None:
    """Return what still holds of a container that was made anew under its name."""
    if not subject.holds_files:
        return None
    return replace(known, id=subject.id, warned=(), next=None, doing=None)


def _follow(
    subject: Subject, known: Entry | None, moment: Moment
) -> tuple[Entry, list[Found]]:
    """Return the entry with what is seen now, and what happened meanwhile."""
    entry = Entry(
        id=subject.id,
        uid=subject.uid,
        user=subject.user,
        name=subject.name,
        state=subject.state,
        started=subject.started,
        kept_until=subject.kept_until,
        kept_by=subject.kept_by,
        gpus=subject.holding.gpus if subject.holding else (),
    )
    found: list[Found] = []
    if known is None:
        return entry, found
    entry = replace(
        entry,
        sampled=known.sampled,
        last_active=known.last_active,
        active_because=known.active_because,
        counters=known.counters,
        run_began=known.run_began,
        stopped=known.stopped,
        warned=known.warned,
        doing=known.doing,
        note=known.note,
    )
    doing = known.doing
    if doing is not None and doing.action == "stop" and _has_ended(subject):
        told = {"rule": doing.rule, "figures": dict(doing.figures)}
        found.append(("stopped", told))
        note = f"stopped: {WHY.get(doing.rule, doing.rule)}"
        entry = replace(entry, doing=None, note=note)
    elif doing is not None:
        entry = replace(entry, doing=_still_doing(subject, doing, moment))
    elif known.state in ACTIVE and subject.state in ENDED:
        why = "the server was restarted" if moment.rebooted else ""
        if not why and subject.out_of_memory:
            why = "out of memory"
        if why:
            found.append(("found-stopped", {"why": why}))
            entry = replace(entry, note=f"stopped: {why}")
    if known.gpus and not entry.gpus and subject.hold_expired and _has_ended(subject):
        found.append(("gpus-returned", {"rule": HOLD, "gpus": list(known.gpus)}))
    return entry, found


def _has_ended(subject: Subject) -> bool:
    return subject.state not in ACTIVE and subject.state != "restarting"


def _still_doing(subject: Subject, doing: Doing, moment: Moment) -> Doing | None:
    """Return what is being done, None where it was overtaken or took too long."""
    if doing.action == "stop":
        # It stopped, and was started again.
        overtaken = subject.started is not None and subject.started > doing.at
    else:
        overtaken = subject.state in ACTIVE
    age = (moment.now - doing.at).total_seconds()
    in_time = 0 <= age < doing.patience + RETRY_SECONDS
    return doing if in_time and not overtaken else None


def _running(  # noqa: PLR0917 - the parts of a decision
    subject: Subject,
    known: Entry | None,
    entry: Entry,
    policy: Lifecycle,
    moment: Moment,
    found: list[Found],
) -> Decision:
    entry = _with_activity(subject, known, entry, policy, moment.now)
    entry = replace(entry, stopped=None, note="")
    if entry.doing is not None or subject.terms is None or subject.started is None:
        return Decision(replace(entry, next=None), found=tuple(found))
    warned: tuple[Warned, ...] = ()
    notices: list[Notice] = []
    ready: list[Limit] = []
    comes: list[tuple[datetime, Limit]] = []
    for limit in limits(subject, entry, policy, moment.now):
        told = still_true(limit, entry.warned, policy.warn_at, moment.tick)
        fresh, notice = warn(limit, told, policy.warn_at, moment)
        warned += told + fresh
        if notice is not None:
            notices.append(notice)
        at = end(limit, told + fresh, policy.warn_at)
        comes.append((at, limit))
        if not fresh and at <= moment.now and is_warned(told, policy.warn_at):
            ready.append(limit)
    entry = replace(entry, warned=warned, next=next_stop(comes, entry, moment.now))
    act = None
    if ready:
        limit = ready[0]
        act = Act("stop", limit.rule, limit.figures)
        doing = Doing("stop", limit.rule, moment.now, policy.stop_grace, limit.figures)
        entry = replace(entry, doing=doing)
    return Decision(entry, tuple(notices), act, tuple(found))


def _with_activity(
    subject: Subject,
    known: Entry | None,
    entry: Entry,
    policy: Lifecycle,
    now: datetime,
) -> Entry:
    """Return the entry with the activity up to now, and the beginning of its run."""
    before = Known()
    is_same_start = known is not None and known.started == subject.started
    if is_same_start:
        before = Known(
            entry.sampled, entry.counters, entry.last_active, entry.active_because
        )
    sample = subject.sample or Sample(now)
    verdict = judge(sample, before, policy)
    began = entry.run_began if known is not None else None
    if not is_same_start:
        # The engine still knows when it stopped before.
        ended = subject.finished or entry.stopped
        pause = (subject.started - ended) if subject.started and ended else None
        goes_on = pause is not None and pause <= timedelta(seconds=SAME_RUN_SECONDS)
        began = began if goes_on and began is not None else subject.started
    return replace(
        entry,
        sampled=verdict.at,
        counters=verdict.counters,
        last_active=verdict.last_active,
        active_because=verdict.because,
        run_began=began or subject.started,
    )
