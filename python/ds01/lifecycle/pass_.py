"""One lifecycle pass: look at everything, decide, write down, tell, act.

A pass holds a lock, so that two never overlap; a second one leaves. Where engine, NVML,
policy, state or clock cannot be trusted nothing is done, and the reason is kept for
everybody to see. What a pass is about to do is written down before it is done: whenever
it is killed, the next one goes on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial

from ds01.core.errors import HelperError
from ds01.core.files import LockHeldError, locked
from ds01.core.owner import boot_id
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.devices.inventory import read_inventory
from ds01.gpus.devices.types import Inventory
from ds01.lifecycle import acts, clock, tell, words
from ds01.lifecycle.look import Snapshot, look
from ds01.lifecycle.news import Event, about, news
from ds01.lifecycle.rules import decide
from ds01.lifecycle.tell import Message
from ds01.lifecycle.types import Decision, Subject
from ds01.records import containers, passes, reasons
from ds01.records.event_log import append_events
from ds01.records.pass_entries import Entry, Memory, PassInfo

PROGRAM = "lifecycle"
LOCK = "lifecycle.lock"
# Another pass is through by then, or the next one sees to it.
_SETTLE_SECONDS = 60.0


@dataclass
class Report:
    """What a pass saw and did. `is_busy`: another pass is at work, nothing was looked
    at. `is_new`: the reason to do nothing is another one than the last time."""

    at: datetime
    took: float = 0.0
    skipped: HelperError | None = None
    is_new: bool = False
    is_busy: bool = False
    memory: Memory = field(default_factory=Memory)
    snapshot: Snapshot | None = None
    decisions: list[tuple[Subject, Decision]] = field(default_factory=list)
    done: list[acts.Done] = field(default_factory=list)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _inventory() -> Inventory:
    return read_inventory(detail=True, links=False)


class Pass:
    """A pass over one installation; clock and NVML can be given, for tests."""

    def __init__(
        self,
        paths: Paths,
        address: str,
        *,
        dry_run: bool = False,
        now: Callable[[], datetime] = _now,
        uptime: Callable[[], float] = _uptime,
        inventory: Callable[[], Inventory] = _inventory,
    ) -> None:
        self._paths = paths
        self._address = address
        self._is_dry = dry_run
        self._clock = now
        self._uptime = uptime
        self._inventory = inventory
        self._seen = Inventory()
        self._desk = Desk(paths, address, now=now, inventory=lambda: self._seen)

    def _now(self) -> datetime:
        return clock.whole(self._clock())

    def run(self) -> Report:
        """Make the pass; return what came of it.

        Raises HelperError where not even the lock can be had.
        """
        report = Report(self._now())
        began = time.monotonic()
        if self._is_dry:
            self._decide(report, passes.peek(self._paths))
            report.took = time.monotonic() - began
            return report
        try:
            with locked(self._paths.state / LOCK, 0.0, "a lifecycle pass"):
                self._decide(report, passes.load(self._paths))
                self._write(report, began)
        except LockHeldError:
            report.is_busy = True
            return report
        if report.skipped is None:
            self._act(report)
        report.took = time.monotonic() - began
        return report

    # ---- look and decide ----

    def _decide(self, report: Report, memory: Memory) -> None:
        now, last = report.at, memory.last
        gap = (now - last.at).total_seconds() if last.at else 0.0
        info = PassInfo(now, 0.0, None, boot_id(), self._uptime(), max(0.0, gap))
        report.memory = replace(memory, last=info)
        try:
            clock.check(last, info)
            self._seen = self._inventory()
            report.snapshot = snapshot = look(
                self._paths,
                self._desk,
                self._address,
                self._seen,
                write=not self._is_dry,
            )
        except HelperError as error:
            looked, boot = clock.look_of(last)
            skipped = replace(
                info, skipped=error.message, looked=looked, looked_boot=boot
            )
            report.memory = replace(memory, last=skipped)
            if isinstance(error, clock.ClockError):
                report.memory = clock.shifted(report.memory, error.drift)
            report.skipped = error
            report.is_new = error.message != last.skipped
            return
        moment = clock.moment_of(last, info)
        policy = snapshot.policy.lifecycle
        for subject in snapshot.subjects:
            known = memory.containers.get(subject.container)
            decision = decide(subject, known, policy, moment)
            report.decisions.append((subject, decision))

    # ---- write down and tell ----

    def _write(self, report: Report, began: float) -> None:
        """Write the memory, tell owners and log, give GPUs back; under the lock."""
        if report.snapshot is None:
            self._write_skipped(report, began)
            return
        before = report.memory
        events, messages = news(report.decisions, report.snapshot, report.at)
        events += self._vanished(before, report)
        fresh = {
            subject.container: decision.entry for subject, decision in report.decisions
        }
        # What is to be told is remembered when it is told: twice is better than never.
        pending = {
            subject.container
            for subject, decision in report.decisions
            if decision.notices or decision.found
        }
        first = {
            name: before.containers[name] if name in pending else entry
            for name, entry in fresh.items()
            if name not in pending or name in before.containers
        }
        took = time.monotonic() - began
        last = replace(before.last, took=took)
        self._save(report, Memory(last, first if pending else fresh))
        self._log(events)
        if messages:
            mail = report.snapshot.policy.lifecycle.mail
            tell.tell(self._paths, messages, mail=mail)
        if pending:
            self._save(report, Memory(last, fresh))
        self._annotate(before, report.decisions)
        self._return_gpus(report)

    def _save(self, report: Report, memory: Memory) -> None:
        passes.save(self._paths, memory)
        report.memory = memory

    def _write_skipped(self, report: Report, began: float) -> None:
        """Note why nothing was done; a full disk may be the reason itself."""
        assert report.skipped is not None  # noqa: S101 - that is why it is called
        if report.is_new:
            self._log([("pass-skipped", {"reason": report.skipped.message})])
        last = replace(report.memory.last, took=time.monotonic() - began)
        try:
            self._save(report, replace(report.memory, last=last))
        except HelperError as error:
            say("warning", error.message, PROGRAM)

    def _vanished(self, before: Memory, report: Report) -> list[Event]:
        """Return the events of removals that a killed pass did not come to log."""
        here = {subject.container for subject, _ in report.decisions}
        events: list[Event] = []
        for name, entry in before.containers.items():
            doing = entry.doing
            if name in here or doing is None or doing.action != "remove":
                continue
            facts = {"rule": doing.rule, "figures": dict(doing.figures)}
            events.append(("removed", about(name, entry, facts)))
            fields = {"user": entry.user, "uid": entry.uid, "removed_by": PROGRAM}
            _try(partial(containers.removed, self._paths, name, fields))
        return events

    def _annotate(
        self, before: Memory, decisions: Iterable[tuple[Subject, Decision]]
    ) -> None:
        """Write what changed for good into the containers' records."""
        for subject, decision in decisions:
            known = before.containers.get(subject.container)
            if known is not None and _durable(known) == _durable(decision.entry):
                continue
            self._annotate_one(subject.container, decision.entry)

    def _annotate_one(self, name: str, entry: Entry) -> None:
        notes = {"lifecycle": passes.entry_json(entry)}
        notes["lifecycle"].pop("counters")
        fields = {"user": entry.user, "uid": entry.uid}
        _try(partial(containers.annotate, self._paths, name, notes, fields))

    def _log(self, events: Sequence[Event]) -> None:
        _try(partial(append_events, events, paths=self._paths))

    # ---- act ----

    def _tasks(self, report: Report, action: str) -> list[acts.Task]:
        return [
            acts.Task(subject, decision.entry, decision.act)
            for subject, decision in report.decisions
            if decision.act is not None and decision.act.action == action
        ]

    def _return_gpus(self, report: Report) -> None:
        tasks, done = self._tasks(report, "return-gpus"), []
        if not tasks:
            return
        from ds01.gpus.allocator.allocator import Allocator  # noqa: PLC0415 - rarely needed

        allocator = Allocator(self._paths, self._address)
        for task in tasks:
            try:
                done.append(acts.return_gpus(allocator, task))
            except HelperError as error:
                done.append(acts.Done(task, error.message))
        self._close(report, report.memory, done)

    def _act(self, report: Report) -> None:
        """Stop and remove, without the lock; then note what came of it."""
        stops = self._tasks(report, "stop")
        removals = self._tasks(report, "remove")
        if not (stops or removals) or report.snapshot is None:
            return
        policy = report.snapshot.policy.lifecycle
        done = acts.stop_all(self._paths, self._address, stops, policy)
        # Another process may be at it.
        with contextlib.suppress(LockHeldError):
            done += acts.remove_all(
                self._paths, self._address, removals, policy, self._now()
            )
        try:
            lock = self._paths.state / LOCK
            with locked(lock, _SETTLE_SECONDS, "the end of a lifecycle pass"):
                self._close(report, passes.load(self._paths), done)
        except HelperError as error:
            # The next pass sees for itself.
            say("warning", error.message, PROGRAM)

    def _close(self, report: Report, memory: Memory, done: Sequence[acts.Done]) -> None:
        """Log what was done, tell the owners, and remember it."""
        if not done:
            return
        report.done += done
        entries = dict(memory.containers)
        events: list[Event] = []
        messages: list[Message] = []
        for item in done:
            subject, act = item.task.subject, item.task.act
            told = partial(about, subject.container, subject)
            entry = entries.get(subject.container)
            if entry is None or entry.id != subject.id:
                continue  # a later pass has seen to it
            if act.action != "return-gpus" and entry.doing != item.task.entry.doing:
                continue
            facts = {"rule": act.rule, "figures": dict(act.figures)}
            if item.changed is not None:
                kind = {"stop": "not-stopped", "remove": "not-removed"}.get(act.action)
                if kind is not None:
                    facts = {**facts, "why": item.changed}
                    events.append((kind, told(facts)))
                if act.action == "stop":
                    entries[subject.container] = replace(entry, doing=None)
                continue
            kind, after = _after(item, entry, self._now())
            facts.update(item.facts or {})
            if "file" in facts:
                events.append(("archived", told({"file": facts["file"]})))
            events.append((kind, told(facts)))
            text = words.done_text(act, subject.name, facts)
            hint = words.after_stop(subject.name) if act.action == "stop" else ""
            messages.append(Message(kind, subject, text, hint, 0, facts))
            if after is None:
                del entries[subject.container]
                _try(partial(acts.close_record, self._paths, item))
            else:
                entries[subject.container] = after
                self._annotate_one(subject.container, after)
        self._log(events)
        assert report.snapshot is not None  # noqa: S101 - something was decided
        mail = report.snapshot.policy.lifecycle.mail
        tell.tell(self._paths, messages, mail=mail)
        self._save(report, replace(memory, containers=entries))


def _after(item: acts.Done, entry: Entry, now: datetime) -> tuple[str, Entry | None]:
    """Return the event's type, and the entry after an act; None for a removed one."""
    act = item.task.act
    if act.action == "remove":
        return "removed", None
    if act.action == "return-gpus":
        return "gpus-returned", replace(entry, gpus=(), next=None)
    note = f"stopped: {reasons.WHY.get(act.rule, act.rule)}"
    ended = replace(entry, doing=None, state="exited", stopped=now, note=note)
    return "stopped", replace(ended, warned=(), next=None)


def _try(body: Callable[[], object]) -> None:
    """Do what may fail without harm to the pass, such as writing to a full log."""
    try:
        body()
    except HelperError as error:
        say("warning", error.message, PROGRAM)


def _durable(entry: Entry) -> tuple[object, ...]:
    """Return what a record should hold anew when it changes; not each sample."""
    coming = entry.next and (entry.next.action, entry.next.rule)
    fixed = (entry.id, entry.state, entry.warned, entry.kept_until, entry.note)
    return (*fixed, entry.run_began, entry.gpus, coming)
