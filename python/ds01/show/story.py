"""Finds a container that a person names, also one that is gone, and all about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from ds01.containers.containers import as_json, from_summary
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.core.program import program_name
from ds01.core.text import SEPARATOR, nearest
from ds01.gpus.ledger import document as ledger_document
from ds01.records import containers
from ds01.records.log_reader import LOGS, log_path, read_lines
from ds01.records.outlooks import outlooks
from ds01.records.passes import pass_info
from ds01.show.events import Wanted, hide_others, hints, may_show_names, merged
from ds01.show.lives import Life, current, lives
from ds01.show.telling import Known, Story

PROGRAM = "container_story"

Event = dict[str, Any]


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
    records = {str(r.get("container")): r for r in containers.list_records(paths)}
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
    document = ledger_document.peek(paths)
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
    show_names = cache(partial(may_show_names, paths))
    # A name that no user's number ends may have been another's before.
    own = [event for event in found if event.get("uid") in {None, uid}]
    return [hide_others(event, uid, show_names) for event in own]
