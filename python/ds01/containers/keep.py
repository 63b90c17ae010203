"""Keeping a container from being stopped for a while."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

from ds01.containers.containers import Container, select
from ds01.core import table
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.labels import MANAGED
from ds01.core.owner import user_name
from ds01.core.paths import find_paths
from ds01.core.program import print_json, report, say
from ds01.core.text import nearest, span
from ds01.core.units import format_duration, format_time, parse_duration, utc_stamp
from ds01.policy.limits import load_policy
from ds01.records import containers, kept
from ds01.records.event_log import append_event

PROGRAM = "container_keep"
_USUAL_SECONDS = 86400
_SAFE_SECONDS = 4 * 3600


def find(engine: Engine, name: str, uid: int) -> Container:
    """Return a user's container; root may name anybody's by the engine's name.

    Raises HelperError(NOT_FOUND), naming the nearest.
    """
    entries = engine.containers([MANAGED])
    own = select(entries, uid)
    for item in own:
        if name in {item.name, item.container}:
            return item
    if uid == 0:
        for item in select(entries, None):
            if item.container == name:
                return item
    close = nearest(name, [item.name or item.container for item in own])
    raise HelperError(
        Exit.NOT_FOUND,
        f"container '{name}' not found",
        f"did you mean '{close}'?"
        if close
        else "run 'container-list' to see your containers",
    )


def seconds_for(text: str | None, most: int | None, name: str | None = None) -> int:
    """Return how long to keep a container: what was asked for, within the policy.

    With the container's name the hint is a line that will do. Raises
    HelperError(USAGE) or HelperError(REFUSED).
    """
    if text is None:
        return _USUAL_SECONDS if most is None else most
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        usual = format_duration(min(_SAFE_SECONDS, most or _SAFE_SECONDS))
        hint = f"run 'container-keep {shlex.quote(name)} {usual}'" if name else None
        raise HelperError(Exit.USAGE, str(error), hint) from error
    if seconds == 0:
        raise HelperError(
            Exit.USAGE, f"'{text}' is no time at all", "use '--off' to keep it no more"
        )
    if most is not None and seconds > most:
        raise HelperError(
            Exit.REFUSED,
            f"'{text}' is longer than {format_duration(most)}, the policy's "
            "keep_alive_max",
            f"run 'container-keep {shlex.quote(name)} {format_duration(most)}'"
            if name
            else f"ask for {format_duration(most)} at most, and again later",
        )
    return seconds


def do_keep(words: argparse.Namespace, engine: Engine) -> int:
    """Keep a container; print until when."""
    paths = find_paths()
    most = load_policy(paths.policy).lifecycle.keep_alive_max
    seconds = seconds_for(words.duration, most, words.name)
    item = find(engine, words.name, os.getuid())
    now = datetime.now(timezone.utc)
    until = utc_stamp(now + timedelta(seconds=seconds))
    asked = {"id": item.id, "until": until, "at": utc_stamp(now), "by": user_name()}
    note(item, asked)
    log("kept", item, {"until": until, "seconds": seconds})
    shown = item.name or item.container
    end = format_time((now + timedelta(seconds=seconds)).replace(microsecond=0))
    text = f"container '{shown}' is kept for {span(seconds)}, until {end}"
    print_json({"name": shown, "until": until, "by": user_name(), "text": text})
    return Exit.OK


def do_check(words: argparse.Namespace, _: Engine) -> int:
    """Print what is wrong with a duration, in a sentence; nothing if it will do."""
    most = load_policy(find_paths().policy).lifecycle.keep_alive_max
    problem = ""
    try:
        seconds_for(words.duration, most)
    except HelperError as error:
        # Of one that cannot be read the message says by itself how to write it.
        parts = [error.message, error.hint if error.code == Exit.REFUSED else None]
        problem = ": ".join(filter(None, parts)) + "."
    print_json({"problem": problem})
    return Exit.OK


def do_end(words: argparse.Namespace, engine: Engine) -> int:
    """Keep a container no more."""
    item = find(engine, words.name, os.getuid())
    records = kept.read_records(find_paths(), [item.container])
    now = datetime.now(timezone.utc)
    until, _ = kept.kept(records.get(item.container), item.id, None, now)
    shown = item.name or item.container
    if until is None:
        text = f"container '{shown}' was not kept"
        print_json({"name": shown, "until": None, "text": text})
        return Exit.OK
    note(item, None)
    log("keep-ended", item, {"until": utc_stamp(now)})
    text = f"container '{shown}' is kept no more"
    print_json({"name": shown, "until": None, "text": text})
    return Exit.OK


def note(item: Container, asked: dict[str, Any] | None) -> None:
    fields = {"user": item.user, "uid": item.uid}
    containers.annotate(find_paths(), item.container, {"kept": asked}, fields)


def log(kind: str, item: Container, facts: dict[str, Any]) -> None:
    """Log it as the container's owner's; `by` is who asked."""
    try:
        append_event(
            kind,
            container=item.container,
            name=item.name or item.container,
            user=item.user,
            uid=item.uid,
            by=user_name(),
            **facts,
        )
    except HelperError as error:
        report(error, PROGRAM)


def do_list(words: argparse.Namespace, engine: Engine) -> int:
    """Print all containers that are kept, of everybody."""
    paths, now = find_paths(), datetime.now(timezone.utc)
    most = load_policy(paths.policy).lifecycle.keep_alive_max
    items = select(engine.containers([MANAGED]), None)
    records = kept.read_records(paths, [item.container for item in items])
    found = []
    for item in items:
        record = records.get(item.container)
        until, by = kept.kept(record, item.id, most, now)
        if until is not None:
            found.append((item, until, by))
    if words.json:
        print_json(
            {
                "kept": [
                    {
                        "name": item.name or item.container,
                        "container": item.container,
                        "user": item.user,
                        "until": utc_stamp(until),
                        "by": by,
                    }
                    for item, until, by in found
                ]
            }
        )
        return Exit.OK
    if not found:
        say("info", "no container is kept", PROGRAM)
        return Exit.OK
    rows = [
        [
            item.name or item.container,
            item.user,
            format_time(until.replace(microsecond=0)),
            span((until - now).total_seconds()),
            by,
        ]
        for item, until, by in found
    ]
    header = ["CONTAINER", "USER", "KEPT UNTIL", "FOR", "BY"]
    sys.stdout.write(table.render(header, rows))
    return Exit.OK
