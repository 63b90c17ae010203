"""Tell the story of one container: what was done to it, by which rule, what comes next.

Reads its record, both logs across rotation, the lifecycle's memory and, if it answers,
the engine; also of containers that are gone. NAME is the owner's word, or the engine's.
Everybody is told of their own containers, root of all. Prints lines for people, with
--json one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import gpu_state
import settings
import state
from _common import (
    Exit,
    HelperError,
    Paths,
    find_paths,
    nearest,
    print_json,
    program_name,
    run,
    say,
)
from container_lives import Life, Teller, current, lives
from containers import SEPARATOR, as_json, from_summary
from engine import Engine
from event_reader import LOGS, log_path, read_lines
from event_words import clock, joined, kinds, limits
from event_words import say as say_event
from events_show import Wanted, hide_others, hints, may_show_names, merged
from gpu_state import Grant
from lifecycle_memory import Outlook, outlooks, pass_info, span
from units import utc_stamp

PROGRAM = "container_story"

Event = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """A container that something is known of."""

    container: str
    uid: int | None
    user: str

    @property
    def name(self) -> str:
        return self.container.rpartition(SEPARATOR)[0] or self.container


@dataclass(frozen=True)
class Story:
    """All that is known of a container; `engine` says why the engine did not tell."""

    known: Known
    state: str
    record: Mapping[str, Any]
    shown: Mapping[str, Any]
    grant: Grant | None
    outlook: Outlook | None
    life: Life
    earlier: Sequence[Life] = ()
    engine: str | None = None
    notes: tuple[str, ...] = field(default=())


def find(name: str, uid: int, known: Sequence[Known]) -> Known:
    """Return the container that a name means to a user.

    Raises HelperError: NOT_FOUND with the nearest name, REFUSED for another user's,
    USAGE where root must say whose.
    """
    own = [item for item in known if item.uid == uid]
    for item in own:
        if name in {item.container, item.name}:
            return item
    others = [item for item in known if name in {item.container, item.name}]
    if uid == 0 and others:
        names = ", ".join(dict.fromkeys(item.container for item in others))
        if "," in names:
            raise HelperError(
                Exit.USAGE,
                f"there are several containers '{name}': {names}",
                f"run '{program_name(PROGRAM)} {others[0].container}'",
            )
        return others[-1]
    if any(name == item.container for item in others) and SEPARATOR in name:
        raise HelperError(
            Exit.REFUSED,
            f"container '{name}' is not yours",
            "run 'container-list' to see your containers",
        )
    visible = known if uid == 0 else own
    close = nearest(name, [word for k in visible for word in (k.name, k.container)])
    raise HelperError(
        Exit.NOT_FOUND,
        f"nothing is known of a container '{name}'",
        f"did you mean '{close}'?"
        if close
        else "run 'container-list' to see your containers",
    )


def remembered(
    paths: Paths, records: Iterable[Mapping[str, Any]], seen: Iterable[Known]
) -> list[Known]:
    """Return every container of the engine, the records and the lifecycle, once."""
    found = dict.fromkeys(seen)
    for record in records:
        _add(found, record)
    for outlook in outlooks(paths).values():
        found[Known(outlook.container, outlook.uid, outlook.user)] = None
    return list(found)


def logged(paths: Paths) -> list[Known]:
    """Return every container that the logs name, also those that were only refused."""
    found: dict[Known, None] = {}
    for log in LOGS:
        for event in read_lines(log_path(paths, log), wanted=(b'"container":"',)):
            _add(found, event)
    return list(found)


def _add(found: dict[Known, None], source: Mapping[str, Any]) -> None:
    container, uid = str(source.get("container") or ""), source.get("uid")
    if container:
        known = Known(
            container, uid if type(uid) is int else None, str(source.get("user") or "")
        )
        found[known] = None


def look_at_engine() -> tuple[list[Mapping[str, Any]], str | None]:
    """Return the engine's list of containers, and why there is none."""
    try:
        with Engine(settings.engine_address()) as engine:
            return list(engine.containers([])), None
    except HelperError as error:
        return [], error.message


def gather(paths: Paths, name: str, uid: int) -> Story:
    """Return the story of a container; raises HelperError as find() does."""
    entries, problem = look_at_engine()
    here = {item.container: item for item in map(from_summary, entries)}
    records = {str(r.get("container")): r for r in state.list_records(paths)}
    seen = [Known(c.container, c.uid, c.user) for c in here.values()]
    known = remembered(paths, records.values(), seen)
    try:
        it = find(name, uid, known)
    except HelperError as error:
        if error.code != Exit.NOT_FOUND:
            raise
        # The logs are longer than all else, and rarely needed.
        it = find(name, uid, [*known, *logged(paths)])
    record = records.get(it.container, {})
    told = lives(events_of(paths, it, uid), it.container)
    life = current(told)
    document = gpu_state.peek(paths)
    grant = document.grant_of(it.container) if document else None
    seen_now = here.get(it.container)
    outlook = outlooks(paths).get(it.container)
    return Story(
        known=it,
        state=_state(seen_now.state if seen_now else None, record, life, problem),
        record=record,
        shown=as_json(seen_now) if seen_now else {},
        grant=grant,
        outlook=outlook if seen_now or problem else None,
        life=life,
        earlier=[other for other in told if other is not life],
        engine=problem,
        notes=tuple(_notes(paths)),
    )


def _notes(paths: Paths) -> Iterable[str]:
    last = pass_info(paths)
    if last.at is None:
        yield "no pass of the lifecycle ran yet, so what comes next is not known"
    elif last.skipped:
        yield f"the lifecycle does nothing: {last.skipped}"


def _state(
    seen: str | None, record: Mapping[str, Any], life: Life, problem: str | None
) -> str:
    if seen:
        return seen
    if record.get("phase") == "removed" or life.removed:
        return "removed"
    if problem:
        return "unknown"
    return "gone" if life.made or record else "never made"


def events_of(paths: Paths, it: Known, uid: int) -> list[Event]:
    """Return the lines of both logs about a container, in the order of their times."""
    wanted = hints(Wanted(container=it.container))
    streams = [read_lines(log_path(paths, log), wanted=wanted) for log in LOGS]
    found = [e for e in merged(streams) if e.get("container") == it.container]
    if uid == 0:
        return found
    names: list[bool] = []

    def show_names() -> bool:
        if not names:
            names.append(may_show_names(paths))
        return names[0]

    # A name that no user's number ends may have been another's before.
    own = [event for event in found if event.get("uid") in {None, uid}]
    return [hide_others(event, uid, show_names) for event in own]


def heading(story: Story, now: datetime) -> list[str]:
    """Return what is so now: state, making, GPUs, use, what comes next."""
    record, shown, life = story.record, story.shown, story.life
    framework = shown.get("framework") or record.get("framework") or life.framework
    what = joined(str(framework or ""), story.state)
    lines = [("container", f"{story.known.name} ({what}) of {story.known.user}")]
    made = life.made or record.get("created") or shown.get("created")
    created = life.first("created") or {}
    image = created.get("image") or record.get("image") or shown.get("image")
    if made:
        lines.append(("made", f"{clock(made)} from {image}" if image else clock(made)))
    bound = limits({"limits": record.get("limits")}) or limits(created)
    if bound:
        lines.append(("limits", bound))
    if story.state == "removed":
        lines.append(("removed", clock(record.get("removed") or life.removed)))
    lines.append(("gpus", _gpus(story)))
    lines += _activity(story, now)
    return [f"{key:<10} {text}" for key, text in lines]


def _gpus(story: Story) -> str:
    grant = story.grant
    if grant is None or not grant.devices:
        return "none"
    shown = kinds({"profiles": [device.profile for device in grant.devices]})
    text = f"{shown}, {grant.state}"
    text += f" since {clock(utc_stamp(grant.stopped or grant.since))}"
    if grant.until:
        text += f", until {clock(utc_stamp(grant.until))}"
    if grant.ends:
        text += f", reserved for others from {clock(utc_stamp(grant.ends))}"
    return text


def _activity(story: Story, now: datetime) -> Iterable[tuple[str, str]]:
    outlook = story.outlook
    if outlook is None:
        return
    if outlook.idle_seconds is not None:
        last = outlook.last_active
        seen = f"last active {clock(utc_stamp(last))}" if last else ""
        because = outlook.active_because
        yield (
            "idle",
            joined(
                span(outlook.idle_seconds), f"{seen} ({because})" if because else seen
            ),
        )
    if outlook.kept_until is not None and outlook.kept_until > now:
        by = f" by {outlook.kept_by}" if outlook.kept_by else ""
        yield "kept", f"until {clock(utc_stamp(outlook.kept_until))}{by}"
    words = outlook.words(now)
    when = f" ({clock(utc_stamp(outlook.at))}, {outlook.rule})" if outlook.at else ""
    if words:
        yield "next", f"{words}{when}"
    elif story.state in {"running", "paused", "exited", "created"}:
        yield "next", "nothing is to come"


def lines_of(story: Story, now: datetime) -> list[str]:
    """Return the whole story for people."""
    lines = heading(story, now)
    for life in story.earlier:
        end = (
            f"removed {clock(life.removed)}" if life.removed else "its end is not known"
        )
        made = clock(life.made) if life.made else "long ago"
        lines.append(f"{'before':<10} made {made}, {end}")
    if story.life.events:
        lines.append("")
    teller = Teller()
    for event in story.life.events:
        text = teller.tell(event)
        if text is not None:
            lines.append(f"{clock(event['time'])}  {event['type']:<13} {text}".rstrip())
    return lines


def as_object(story: Story, now: datetime) -> dict[str, Any]:
    """Return the whole story for programs."""
    known, outlook = story.known, story.outlook
    return {
        "container": known.container,
        "name": known.name,
        "user": known.user,
        "uid": known.uid,
        "state": story.state,
        "record": dict(story.record),
        "engine": dict(story.shown) or None,
        "grant": gpu_state.grant_json(story.grant) if story.grant else None,
        "outlook": outlook and _outlook_json(outlook, now),
        "events": [{**e, "words": say_event(e)} for e in story.life.events],
        "earlier": [
            {"made": life.made, "removed": life.removed, "events": life.events}
            for life in story.earlier
        ],
        "problem": story.engine,
        "notes": list(story.notes),
    }


def _outlook_json(outlook: Outlook, now: datetime) -> dict[str, Any]:
    def stamp(moment: datetime | None) -> str | None:
        return None if moment is None else utc_stamp(moment)

    return {
        "last_active": stamp(outlook.last_active),
        "idle_seconds": outlook.idle_seconds,
        "active_because": outlook.active_because,
        "action": outlook.action,
        "rule": outlook.rule,
        "at": stamp(outlook.at),
        "why": outlook.why,
        "words": outlook.words(now),
        "kept_until": stamp(outlook.kept_until),
        "kept_by": outlook.kept_by,
        "warned": [
            {
                "rule": item.rule,
                "percent": item.percent,
                "at": stamp(item.at),
                "due": stamp(item.due),
            }
            for item in outlook.warned
        ],
    }


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program_name(PROGRAM), description=__doc__, allow_abbrev=False
    )
    parser.add_argument("container", metavar="NAME")
    parser.add_argument("--json", action="store_true")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    now = datetime.now(timezone.utc)
    story = gather(find_paths(), words.container, os.getuid())
    if words.json:
        print_json(as_object(story, now))
        return Exit.OK
    if story.engine:
        say("info", f"the engine does not answer: {story.engine}", PROGRAM)
    if story.state != "removed":
        for note in story.notes:
            say("info", note, PROGRAM)
    print("\n".join(lines_of(story, now)))
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
