"""The words in which people are told what happens to their containers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ds01.core.text import span
from ds01.core.units import read_stamp
from ds01.lifecycle.types import Act, Notice
from ds01.records.reasons import CREATED, DEMAND, IDLE, RESERVATION, RUNTIME, WHY


def describe(notice: Notice, name: str, now: datetime) -> str:
    """Return a warning as one sentence."""
    left = span((notice.due - now).total_seconds())
    when = f"in {left}"
    if notice.action == "remove":
        why = (
            "because it was never started"
            if notice.rule == CREATED
            else "because it is stopped"
        )
        return f"container '{name}' will be removed {when}, {why}"
    figures = notice.figures
    if notice.rule in {IDLE, DEMAND}:
        idle = span(float(figures["idle_seconds"]))
        more = (
            f"; others wait for its GPUs, so the limit is "
            f"{span(float(figures['limit_seconds']))}"
            if notice.rule == DEMAND
            else ""
        )
        return (
            f"container '{name}' has been idle for {idle} and will be stopped "
            f"{when}{more}"
        )
    if notice.rule == RUNTIME:
        ran = span(float(figures["run_seconds"]))
        return f"container '{name}' has run for {ran} and will be stopped {when}"
    return f"the GPUs of container '{name}' are reserved: it will be stopped {when}"


def hint(notice: Notice, name: str, most: int | None) -> str:
    """Return what an owner can do about what is announced."""
    if notice.action == "remove":
        return (
            f"'container-start {name}' keeps it, 'container-export {name}' saves it "
            "in a file"
        )
    if notice.rule == RESERVATION:
        return "save your work; it can be started again when the reservation is over"
    if notice.rule == RUNTIME and most is not None:
        figures = notice.figures
        longest = timedelta(seconds=figures["limit_seconds"] + most)
        if notice.due >= read_stamp(figures["run_began"]) + longest:
            return "save your work: it has been kept for as long as the policy allows"
    bound = "" if most is None else f" for up to {span(most)}"
    return f"'container-keep {name}' keeps it running{bound}"


def after_stop(name: str) -> str:
    """Return what an owner can do about a container that was stopped."""
    return f"its files are kept; 'container-start {name}' starts it again"


def done_text(act: Act, name: str, facts: Mapping[str, Any]) -> str:
    """Return what was done as one sentence."""
    why = WHY.get(act.rule, act.rule)
    if act.action == "stop":
        return f"container '{name}' was stopped: {why}"
    if act.action == "remove":
        saved = f"; its files are in '{facts['file']}'" if "file" in facts else ""
        return f"container '{name}' was removed: {why}{saved}"
    return f"the GPUs of container '{name}' went back: {why}"


def found_text(kind: str, facts: Mapping[str, Any], name: str) -> str | None:
    """Return what is told of something that happened without the pass, None for no
    word: the return of GPUs was announced by the time shown."""
    if kind == "stopped":
        rule = str(facts.get("rule", ""))
        return f"container '{name}' was stopped: {WHY.get(rule, rule)}"
    if kind == "found-stopped":
        return f"container '{name}' does not run any more: {facts.get('why', '')}"
    return None
