"""A stay in a container: what comes before it starts, and after the last has left."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Mapping
from typing import Any

from ds01.containers.containers import describe, find_own, is_idle
from ds01.core import settings
from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths
from ds01.core.program import say
from ds01.core.text import SEPARATOR
from ds01.records.event_log import append_event

PROGRAM = "container_session"


def prepare(words: argparse.Namespace) -> dict[str, Any]:
    """Return a container that is to run; a stopped one with GPUs has them again.

    Raises HelperError where there is no such container, or it cannot have GPUs.
    """
    with Engine(settings.engine_address()) as engine:
        shown = describe(engine, find_own(engine, words.name, os.getuid()))
        if not shown["running"] and (words.request or shown["devices"]):
            get_gpus(words, engine, str(shown["container"]))
    return shown


def get_gpus(words: argparse.Namespace, engine: Engine, container: str) -> None:
    """Get a stopped container its GPUs, or others if need be."""
    from ds01.gpus.allocator import rehome, start  # noqa: PLC0415 - only with GPUs
    from ds01.gpus.allocator.allocator import Allocator  # noqa: PLC0415 - only with GPUs
    from ds01.gpus.rules.request import parse_wait  # noqa: PLC0415 - only with GPUs

    if words.wait is not None:
        parse_wait(words.wait)
    allocator = Allocator(find_paths(), engine.address)
    with start.turn(container):
        rehome.recover(engine, container)
    # A wait may take hours, in which nobody else need stand in line for the lock.
    is_waiting = words.wait is not None
    with contextlib.nullcontext() if is_waiting else start.turn(container):
        start.start(words, engine, allocator, container)


def started(name: str) -> dict[str, Any]:
    """Return a container that was to be started; if it runs, that is in the log."""
    with Engine(settings.engine_address()) as engine:
        shown = describe(engine, find_own(engine, name, os.getuid()))
    if shown["running"]:
        _note(
            "started",
            container=shown["container"],
            name=shown["name"],
            id=shown["id"],
            image=shown["image"],
            framework=shown["framework"],
            gpus=shown["devices"],
            kinds=shown["gpus"],
            limits=shown["applied"],
        )
    return shown


def leave(container: str, *, was_open: bool, is_last: bool) -> dict[str, Any]:
    """Stop a container if only its idle shell is left in it, and say so in the log.

    `was_open`: mlc had it open, and may have stopped it itself. Who is not the last
    to leave stops nothing. Returns whether it is stopped.
    """
    with Engine(settings.engine_address()) as engine:
        details = engine.container(container)
        if details is None:
            return {"stopped": False}
        if not (details.get("State") or {}).get("Running"):
            if was_open:
                _note_end(container)
            return {"stopped": True}
        if not is_last or not _is_left(engine, details):
            return {"stopped": False}
        status, answer = engine.call(
            "POST", f"/containers/{details['Id']}/stop", {"t": "0"}
        )
        # 304: it has stopped meanwhile.
        if status not in {204, 304}:
            why = reason(answer)
            say("warning", f"container '{container}' was not stopped: {why}", PROGRAM)
            return {"stopped": False}
    _note_end(container)
    return {"stopped": True}


def _is_left(engine: Engine, details: Mapping[str, Any]) -> bool:
    """Is only what the engine started left in a running container?"""
    top = engine.get(f"/containers/{details['Id']}/top")
    count = len((top or {}).get("Processes") or [])
    return bool(count) and is_idle(details, count)


def _note_end(container: str) -> None:
    name = container.rpartition(SEPARATOR)[0]
    _note("stopped", container=container, name=name, reason="last-session-ended")


def _note(kind: str, **fields: Any) -> None:
    """Log what was done; a log that cannot be written stops nothing."""
    try:
        append_event(kind, **fields)
    except HelperError as error:
        if error.code is Exit.USAGE:
            raise
        say("error", error.message, PROGRAM)
        say("warning", f"'{kind}' is not in the event log", PROGRAM)
