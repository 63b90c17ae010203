"""Appends to the event log and the log of GPU allocations; the outer part is state.py.

One JSON object per line, in the order of their times; whole lines, whatever happens.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from _common import Exit, HelperError, Paths, find_paths, program_name
from locked_files import LOCK_SECONDS, append_line, locked
from process_owner import user_name
from units import utc_stamp

_EVENT = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)


def append_event(
    event: str,
    /,
    *,
    log: str = "events",
    paths: Paths | None = None,
    timeout: float = LOCK_SECONDS,
    **fields: Any,
) -> dict[str, Any]:
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
) -> list[dict[str, Any]]:
    """Append lines that belong together, in one write; return them."""
    if log not in {"events", "gpu-allocations"}:
        raise HelperError(Exit.USAGE, f"'{log}' is not a log")
    paths = paths or find_paths()
    target = paths.events if log == "events" else paths.log / "gpu-allocations.log"
    lines = [_line(event, fields) for event, fields in events]
    if not lines:
        return lines
    with locked(paths.log / ".events.lock", timeout):
        # Under the lock, so that the lines are in the order of their times.
        stamp = utc_stamp()
        texts = []
        for line in lines:
            line["time"] = stamp
            texts.append(
                json.dumps(
                    line, ensure_ascii=False, separators=(",", ":"), default=str
                ).encode("utf-8", "backslashreplace")
            )
        append_line(target, b"\n".join(texts))
    return lines


def _line(event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    if not _EVENT.fullmatch(event):
        raise HelperError(Exit.USAGE, f"'{event}' is not an event type")
    line: dict[str, Any] = {
        "time": "",
        "type": event,
        "user": user_name(),
        "uid": os.getuid(),
        "command": program_name("state"),
        **fields,
        "pid": os.getpid(),
    }
    line["type"] = event
    return line
