"""Appends to the event log and the log of GPU allocations; the outer part is state.py.

One JSON object per line, in the order of their times; whole lines, whatever happens.
"""

from __future__ import annotations

import json
import os
import re
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
    if not _EVENT.fullmatch(event):
        raise HelperError(Exit.USAGE, f"'{event}' is not an event type")
    if log not in {"events", "gpu-allocations"}:
        raise HelperError(Exit.USAGE, f"'{log}' is not a log")
    paths = paths or find_paths()
    target = paths.events if log == "events" else paths.log / "gpu-allocations.log"
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
    with locked(paths.log / ".events.lock", timeout):
        # Under the lock, so that the lines are in the order of their times.
        line["time"] = utc_stamp()
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)
        append_line(target, text.encode("utf-8", "backslashreplace"))
    return line
