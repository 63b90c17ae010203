"""What a lifecycle pass prints: a table and lines for people, or JSON."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

from ds01.core import table
from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.plain import plain
from ds01.core.program import say
from ds01.core.text import span
from ds01.core.units import utc_stamp
from ds01.lifecycle import words
from ds01.lifecycle.pass_ import Report
from ds01.lifecycle.types import Decision, Subject
from ds01.records import reasons
from ds01.records.outlooks import outlook
from ds01.records.passes import entry_json, pass_info

PROGRAM = "lifecycle"


def row(subject: Subject, decision: Decision, now: datetime) -> list[str]:
    """Return one line of the table: a container, how idle it is, and what comes."""
    shown = outlook(subject.container, entry_json(decision.entry), now)
    idle = "" if shown.idle_seconds is None else span(shown.idle_seconds)
    act = decision.act
    if act is not None:
        verbs = {"stop": "stops", "remove": "is removed", "return-gpus": "GPUs return"}
        coming = f"{verbs[act.action]} now: {reasons.WHY.get(act.rule, act.rule)}"
    else:
        coming = shown.words(now)
    because = decision.entry.active_because if shown.idle_seconds is not None else ""
    return [subject.name, subject.user, subject.state, idle, coming, because]


def show(found: Report, *, dry_run: bool) -> None:
    """Print what a pass decided and did, for people."""
    header = ["CONTAINER", "USER", "STATE", "IDLE", "NEXT", "LAST ACTIVITY"]
    rows = [
        row(subject, decision, found.at)
        for subject, decision in sorted(found.decisions, key=lambda d: d[0].container)
    ]
    if rows:
        sys.stdout.write(table.render(header, rows))
    else:
        whose = "there are no" if os.geteuid() == 0 else "you have no"
        say("info", f"{whose} containers of DS01's", PROGRAM)
    warned = "would warn" if dry_run else "warned"
    for subject, decision in found.decisions:
        for notice in decision.notices:
            text = words.describe(notice, subject.name, found.at)
            print(f"{warned} {subject.user}: {text}")
    for item in found.done:
        act, name = item.task.act, item.task.subject.name
        if item.changed is None:
            print(words.done_text(act, name, item.facts or {}))
        else:
            print(f"container '{name}': not done ({act.action}), {item.changed}")


def as_json(found: Report) -> dict[str, Any]:
    """Return what a pass decided and did, for programs."""
    return {
        "at": utc_stamp(found.at),
        "took": round(found.took, 3),
        "busy": found.is_busy,
        "skipped": found.skipped.message if found.skipped else None,
        "containers": {
            subject.container: {
                **entry_json(decision.entry),
                "warnings": [
                    {
                        "rule": notice.rule,
                        "percent": notice.percent,
                        "due": utc_stamp(notice.due),
                        "text": words.describe(notice, subject.name, found.at),
                        "figures": dict(notice.figures),
                    }
                    for notice in decision.notices
                ],
                "act": plain(decision.act),
            }
            for subject, decision in found.decisions
        },
        "done": [
            {
                "container": item.task.subject.container,
                "action": item.task.act.action,
                "rule": item.task.act.rule,
                "not_done": item.changed,
                **(item.facts or {}),
            }
            for item in found.done
        ],
    }


def without_memory(paths: Paths, error: HelperError) -> Report:
    """Return the report of a pass whose memory cannot be written; log why, once.

    What is new is told by the log then; after a day it is said again.
    """
    from ds01.records.event_log import append_events  # noqa: PLC0415 - rarely needed
    from ds01.records.log_reader import read_lines  # noqa: PLC0415

    now = datetime.now(timezone.utc)
    day = now - timedelta(days=1)
    since = max(pass_info(paths).at or day, day)
    is_new = True
    with contextlib.suppress(HelperError):
        lines = read_lines(paths.events, since, wanted=(b'"pass-skipped"',))
        is_new = all(line.get("reason") != error.message for line in lines)
        if is_new:
            reason = {"reason": error.message}
            append_events([("pass-skipped", reason)], paths=paths)
    return Report(now, skipped=error, is_new=is_new)
