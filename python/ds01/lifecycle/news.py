"""What a lifecycle pass has to say: lines for the event log, messages for owners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ds01.core.units import utc_stamp
from ds01.lifecycle import words
from ds01.lifecycle.look import Snapshot
from ds01.lifecycle.tell import PROGRAM, Message
from ds01.lifecycle.types import Decision, Subject
from ds01.records.pass_entries import Entry

Event = tuple[str, dict[str, Any]]


def news(
    decisions: Iterable[tuple[Subject, Decision]], snapshot: Snapshot, now: datetime
) -> tuple[list[Event], list[Message]]:
    """Return the events of what was decided and found, and what owners are told."""
    events: list[Event] = []
    messages: list[Message] = []
    for subject, decision in decisions:
        for kind, facts in decision.found:
            events.append((kind, about(subject.container, subject, facts)))
            text = words.found_text(kind, facts, subject.name)
            if text is not None:
                hint = words.after_stop(subject.name)
                messages.append(Message(kind, subject, text, hint, 0, facts))
        for notice in decision.notices:
            kind = "removal-announced" if notice.action == "remove" else "warned"
            facts = {
                "rule": notice.rule,
                "percent": notice.percent,
                "due": utc_stamp(notice.due),
                "figures": dict(notice.figures),
            }
            events.append((kind, about(subject.container, subject, facts)))
            text = words.describe(notice, subject.name, now)
            most = snapshot.policy.lifecycle.keep_alive_max
            hint = words.hint(notice, subject.name, most)
            pid = snapshot.pids.get(subject.id, 0)
            messages.append(Message(kind, subject, text, hint, pid, facts))
    return events, messages


def about(
    container: str, who: Subject | Entry, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what an event says of a container: it is its owner's, by the pass."""
    return {
        "container": container,
        "name": who.name,
        "user": who.user,
        "uid": who.uid,
        "by": PROGRAM,
        **facts,
    }
