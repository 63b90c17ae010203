"""Appends to the event log and the log of GPU allocations.

One JSON object per line, in the order of their times; whole lines, whatever happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.files import LOCK_SECONDS, append_line, locked
from ds01.core.owner import user_name
from ds01.core.paths import Paths, find_paths
from ds01.core.program import program_name
from ds01.core.units import utc_stamp

Line = dict[str, Any]

_EVENT = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)


def append_event(
    event: str,
    /,
    *,
    log: str = "events",
    paths: Paths | None = None,
    timeout: float = LOCK_SECONDS,
    **fields: Any,
) -> Line:
    """Append one line to the event log, on the disk when this returns; return it.

    `log` is `events` or `gpu-allocations`. time, type and pid are set here; user and
    uid are the caller's unless given (the gateway acts for others).
    """
    return append_events([(event, fields)], log=log, paths=paths, timeout=timeout)[0]


def append_events(
    events: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    log: str = "events",
    paths: Paths | None = None,
    timeout: float = LOCK_SECONDS,
) -> list[Line]:
    """Append lines that belong together, in one write; return them."""
    if not events:
        return []
    with log_lock(paths, log, timeout) as append:
        return append(events)


@contextlib.contextmanager
def log_lock(
    paths: Paths | None = None,
    log: str = "events",
    timeout: float = LOCK_SECONDS,
    later: contextlib.ExitStack | None = None,
) -> Iterator[Callable[[Sequence[tuple[str, Mapping[str, Any]]]], list[Line]]]:
    """Hold the lock of the logs; yield the function that appends lines.

    Who appends before letting go of another lock has the lines in that one's order.
    They are on the disk when this returns, or when `later` is closed.
    """
    if log not in {"events", "gpu-allocations"}:
        raise HelperError(Exit.USAGE, f"'{log}' is not a log")
    paths = paths or find_paths()
    target = paths.events if log == "events" else paths.log / "gpu-allocations.log"

    def append(events: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Line]:
        # Under the lock, so that the lines are in the order of their times.
        stamp = utc_stamp()
        lines = [_line(event, stamp, fields) for event, fields in events]
        append_line(target, b"\n".join(map(_encode, lines)), later=later)
        return lines

    with locked(paths.log / ".events.lock", timeout):
        yield append


def _encode(line: Line) -> bytes:
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "backslashreplace")


def _line(event: str, stamp: str, fields: Mapping[str, Any]) -> Line:
    if not _EVENT.fullmatch(event):
        raise HelperError(Exit.USAGE, f"'{event}' is not an event type")
    line: Line = {
        "time": stamp,
        "type": event,
        "user": user_name(),
        "uid": os.getuid(),
        "command": program_name("state"),
        **fields,
        "pid": os.getpid(),
    }
    line.update(time=stamp, type=event)
    return line
