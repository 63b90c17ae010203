"""Counters for Prometheus, from the lines of the logs since the last time.

The event log and the log of GPU allocations are read on from where the last pass
ended, also over a rotation. Where, and the sums so far, are in metrics.json; lost, the
counters begin anew at what the logs still hold: to Prometheus, a restart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ds01.core import files
from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.gpus.ledger.document import parse_time
from ds01.records import documents
from ds01.records.log_reader import LOGS, log_path

FILE = "metrics.json"
# What one pass reads of a log; the rest waits for the next.
MOST_BYTES = 8 << 20
_MOST_WAITING = 1000
_LARGEST = 1 << 20
_WORD = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)

# A metric's name and the value of its only label, empty for none.
Key = tuple[str, str]


@dataclass(frozen=True)
class Place:
    """How far a log was read: which file, known by its inode, and how many bytes."""

    inode: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Counters:
    """The sums so far; `waiting` is since when places in the queue are held."""

    sums: Mapping[Key, float] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    engine_root: str | None = None


def add(counters: Counters, lines: list[dict[str, Any]]) -> Counters:
    """Return the counters with lines of the logs added."""
    sums, waiting = dict(counters.sums), dict(counters.waiting)

    def count(name: str, label: object = "", by: float = 1) -> None:
        key = (name, _WORD.sub("_", str(label))[:60] if label != "" else "")
        sums[key] = sums.get(key, 0) + by

    for line in lines:
        kind = str(line.get("type", ""))
        if "code" in line and kind == "denied":
            count("ds01_requests_denied_total", line["code"] or "other")
        elif kind in _BUILDS:
            count("ds01_image_builds_total", _BUILDS[kind])
        elif kind == "leftover-removed":
            count("ds01_leftovers_removed_total", line.get("kind") or "other")
        elif line.get("by") == "lifecycle" and kind in ACTIONS:
            count("ds01_lifecycle_actions_total", kind)
        elif kind == "grant" and line.get("devices"):
            count("ds01_gpu_grants_total")
        elif kind == "refuse":
            count(
                "ds01_gpu_refusals_total",
                line.get("rule") or line.get("code") or "other",
            )
        _wait(kind, line, waiting, count)
    return replace(counters, sums=sums, waiting=waiting)


_BUILDS = {"image-built": "ok", "image-failed": "failed"}
ACTIONS = ("warned", "stopped", "gpus-returned", "archived", "removed")


def _wait(
    kind: str, line: Mapping[str, Any], waiting: dict[str, str], count: Any
) -> None:
    """Count the time that a place in the queue was held for until its grant."""
    ticket = str(line.get("ticket", ""))
    if not ticket:
        return
    if kind == "enqueue":
        waiting[ticket] = str(line.get("time"))
        while len(waiting) > _MOST_WAITING:
            waiting.pop(next(iter(waiting)))
    elif kind in {"grant", "leave"}:
        begun = waiting.pop(ticket, None)
        if kind == "leave":
            count("ds01_gpu_waits_abandoned_total", line.get("reason") or "other")
        elif begun is not None:
            seconds = _seconds(begun, line.get("time"))
            count("ds01_gpu_wait_seconds_sum", by=seconds)
            count("ds01_gpu_wait_seconds_count")


def _seconds(begun: object, ended: object) -> float:
    try:
        return max(0.0, (parse_time(ended) - parse_time(begun)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def read_on(path: Path, place: Place) -> tuple[list[dict[str, Any]], Place]:
    """Return the whole lines of a log behind a place, and the new place.

    A log that was rotated is read to its end under its new name first. One that became
    shorter is read from its beginning.
    """
    lines: list[dict[str, Any]] = []
    try:
        now = path.stat()
    except OSError:
        return lines, place
    if place.inode not in (0, now.st_ino):
        older = path.with_name(f"{path.name}.1")
        try:
            if older.stat().st_ino == place.inode:
                lines += _rest(older, place.offset)
        except OSError:
            pass
        place = Place(now.st_ino, 0)
    offset = place.offset if place.offset <= now.st_size else 0
    try:
        data, read = _behind(path, offset)
    except OSError:
        return lines, place
    lines += _objects(data)
    return lines, Place(now.st_ino, offset + read)


def _rest(path: Path, offset: int) -> Iterator[dict[str, Any]]:
    """Yield all lines behind an offset of a log that nobody writes any more."""
    while True:
        data, read = _behind(path, offset)
        if not read:
            return
        yield from _objects(data)
        offset += read


def _behind(path: Path, offset: int) -> tuple[bytes, int]:
    """Return the bytes behind an offset up to the last end of a line."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(MOST_BYTES)
    end = data.rfind(b"\n") + 1
    # A line longer than all that is read at once is not one of ours.
    return data[:end], end or (len(data) if len(data) == MOST_BYTES else 0)


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def load(paths: Paths) -> Counters:
    """Return the counters of the last pass, empty ones where they cannot be used."""
    try:
        raw = documents.read_document(paths.state / FILE) or {}
        return Counters(
            {
                (str(name), str(label)): float(value)
                for name, label, value in raw.get("sums", [])
            },
            {str(k): str(v) for k, v in raw.get("waiting", {}).items()},
            {
                str(log): Place(int(inode), int(offset))
                for log, (inode, offset) in raw.get("places", {}).items()
            },
            raw.get("engine_root"),
        )
    except (ValueError, TypeError, AttributeError, RecursionError, HelperError):
        return Counters()


def save(paths: Paths, counters: Counters) -> None:
    """Write the counters."""
    document = {
        "version": 1,
        "sums": [[*key, value] for key, value in sorted(counters.sums.items())],
        "waiting": dict(counters.waiting),
        "places": {k: [p.inode, p.offset] for k, p in counters.places.items()},
        "engine_root": counters.engine_root,
    }
    with documents.state_lock(paths):
        documents.write_document(
            paths.state / FILE,
            document,
            files.PUBLIC_MODE,
            compact=True,
            largest=_LARGEST,
        )


def update(paths: Paths, counters: Counters) -> Counters:
    """Return the counters with all that the logs have by now."""
    places = dict(counters.places)
    for log in LOGS:
        lines, places[log] = read_on(log_path(paths, log), places.get(log, Place()))
        counters = add(counters, lines)
    return replace(counters, places=places)
