"""Reads the logs across rotation: plain and gzipped, oldest first, whole lines only.

Lines that are no JSON object (a crash of the machine may tear one) are left out. Files
are opened before the first line is read, so that a rotation meanwhile takes nothing
away. Written by event_log.py, followed by log_follow.py.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ds01.core.files import explain
from ds01.core.paths import Paths
from ds01.core.units import utc_stamp

Line = dict[str, Any]

EVENTS = "events"
GPUS = "gpu-allocations"
LOGS = (EVENTS, GPUS)

# A block that holds nothing young enough ends the search for the first line that is;
# so much of a log may be out of order because the clock was set back.
BLOCK = 1 << 20
_TRIES = 20
# What event_log.py writes first. Stamps of one form sort like their times.
_HEAD = b'{"time":"'
_STAMP = len("2026-11-24T10:00:00.000Z")
_ROTATED = re.compile(r"\.(?P<number>\d{1,6})|-(?P<date>\d{8}(?:-\d{2,10})?)")


@dataclass(frozen=True)
class LogFile:
    """One file of a log that is open for reading; `size` is what it held then."""

    path: Path
    file: IO[bytes]
    size: int
    inode: int

    @property
    def is_packed(self) -> bool:
        return self.path.suffix == ".gz"


def log_path(paths: Paths, log: str) -> Path:
    """Return the file of a log that is written to."""
    return paths.events if log == EVENTS else paths.log / f"{GPUS}.log"


def list_files(path: Path) -> list[Path]:
    """Return a log's files, oldest first; `path` itself is the last.

    logrotate's names, with numbers or with dates. Of a file that is just being packed
    only the plain one counts. Raises HelperError where the folder cannot be read.
    """
    found: dict[tuple[int, str | int], Path] = {}
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names are compared, not paths
    except OSError as error:
        raise explain(error, "read", path) from error
    for name in sorted(names):
        if not name.startswith(path.name) or name == path.name:
            continue
        match = _ROTATED.fullmatch(name[len(path.name) :].removesuffix(".gz"))
        if match is None:
            continue
        number = match["number"]
        # A plain name sorts before its packed twin, and stays.
        key = (1, -int(number)) if number else (0, str(match["date"]))
        found.setdefault(key, path.with_name(name))
    ordered = [found[key] for key in sorted(found, key=_age)]
    return [*ordered, path] if path.name in names else ordered


def _age(key: tuple[int, str | int]) -> tuple[int, str, int]:
    kind, value = key
    return (kind, value, 0) if isinstance(value, str) else (kind, "", value)


def open_files(path: Path, stack: ExitStack) -> list[LogFile]:
    """Open all files of a log as they are at one moment; the stack closes them.

    Raises HelperError for a file that may not be read.
    """
    for _ in range(_TRIES):
        with ExitStack() as attempt:
            before = list_files(path)
            opened = _open_all(before, attempt)
            if opened is not None and _names(opened) == _names_now(path):
                stack.push(attempt.pop_all())
                return opened
    # Only a log that is rotated without end comes here: what is open is what there is.
    opened = _open_all(list_files(path), stack)
    return opened or []


def _open_all(names: list[Path], stack: ExitStack) -> list[LogFile] | None:
    """Open files; None if one went away meanwhile."""
    opened: list[IO[bytes]] = []
    for name in names:
        try:
            opened.append(stack.enter_context(name.open("rb")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explain(error, "read", name) from error
    found: list[LogFile] = []
    # The youngest first: once it has lines, nobody writes to those before it.
    for name, file in zip(reversed(names), reversed(opened), strict=True):
        status = os.fstat(file.fileno())
        found.append(LogFile(name, file, status.st_size, status.st_ino))
    return found[::-1]


def _names(opened: list[LogFile]) -> list[tuple[Path, int]]:
    return [(item.path, item.inode) for item in opened]


def _names_now(path: Path) -> list[tuple[Path, int]]:
    found: list[tuple[Path, int]] = []
    for name in list_files(path):
        try:
            found.append((name, name.stat().st_ino))
        except OSError:
            return []
    return found


def parse(line: bytes) -> Line | None:
    """Return the object on a line; None for one that is torn or no event."""
    try:
        value = json.loads(str(line, "utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return None
    return value if isinstance(value.get("time"), str) else None


def stamp_of(line: bytes) -> bytes:
    """Return the time of a line without parsing it; empty where it has none."""
    if line.startswith(_HEAD) and len(line) > len(_HEAD) + _STAMP:
        return line[len(_HEAD) : len(_HEAD) + _STAMP]
    return b""


def raw_lines(item: LogFile, place: int = 0) -> Iterator[bytes]:
    """Return the whole lines of a file from a place on, which begins a line."""
    if item.is_packed:
        try:
            item.file.seek(0)
            with gzip.open(item.file) as packed:
                packed.seek(place)
                for line in packed:
                    if line.endswith(b"\n"):
                        yield line
        except (OSError, EOFError, zlib.error):
            return  # a broken archive: what could be read has been
        return
    item.file.seek(place)
    left = item.size - item.file.tell()
    while left > 0:
        # What is appended meanwhile is not looked at: the reader would never end.
        line = item.file.readline(left)
        if not line.endswith(b"\n"):
            return
        left -= len(line)
        yield line


def start_of(item: LogFile, since: bytes) -> int:
    """Return where to begin reading, so that no line at `since` or later is missed.

    Goes back from the end by blocks until one holds only lines that are older; it is
    the beginning of a line in that one. A packed file is read from its beginning.
    """
    if not since or item.is_packed:
        return 0
    begin = item.size
    while begin > 0:
        first = max(0, begin - BLOCK)
        head, *lines = os.pread(item.file.fileno(), begin - first, first).split(b"\n")
        stamps = [stamp for stamp in map(stamp_of, lines) if stamp]
        if first and stamps and max(stamps) < since:
            return first + len(head) + 1
        begin = first
    return 0


def read_lines(
    path: Path,
    since: datetime | None = None,
    until: datetime | None = None,
    wanted: tuple[bytes, ...] = (),
) -> Iterator[Line]:
    """Return a log's events from `since` up to but not including `until`.

    With `wanted` only lines that hold one of these texts, which is cheaper than to
    parse them. Raises HelperError where the log may not be read.
    """
    with ExitStack() as stack:
        files = open_files(path, stack)
        for item in files_since(files, since):
            lines = raw_lines(item, start_of(item, stamp_text(since)))
            yield from select(lines, since, until, wanted=wanted)


def select(
    lines: Iterator[bytes],
    since: datetime | None,
    until: datetime | None,
    *,
    wanted: tuple[bytes, ...] = (),
) -> Iterator[Line]:
    """Return the events on lines that lie in the window."""
    first, last = stamp_text(since), stamp_text(until)
    for line in lines:
        stamp = stamp_of(line)
        if first and stamp and stamp < first:
            continue
        if last and stamp >= last:
            continue
        if wanted and not any(text in line for text in wanted):
            continue
        event = parse(line)
        if event is None or (not stamp and not _inside(event, first, last)):
            continue
        yield event


def _inside(event: Line, first: bytes, last: bytes) -> bool:
    """Is an event in the window that somebody else's writer wrote?"""
    time = str(event["time"]).encode("utf-8", "replace")
    return (not first or time >= first) and (not last or time < last)


def stamp_text(moment: datetime | None) -> bytes:
    return b"" if moment is None else utc_stamp(moment).encode("ascii")


def files_since(files: list[LogFile], since: datetime | None) -> list[LogFile]:
    """Return the files that may hold lines at `since` or later: the youngest, back to
    the first whose last line is older."""
    if since is None:
        return files
    first = stamp_text(since)
    kept: list[LogFile] = []
    for item in reversed(files):
        last = last_stamp(item)
        if kept and last and last < first:
            break
        kept.append(item)
    return kept[::-1]


def last_stamp(item: LogFile) -> bytes:
    """Return the time of a file's last line; of a packed file when it was written."""
    if item.is_packed:
        # gzip gives the archive the time of the last write.
        moment = datetime.fromtimestamp(
            os.fstat(item.file.fileno()).st_mtime
        ).astimezone()
        return stamp_text(moment)
    begin = max(0, item.size - BLOCK)
    lines = os.pread(item.file.fileno(), item.size - begin, begin).split(b"\n")
    return next((stamp for stamp in map(stamp_of, reversed(lines)) if stamp), b"")
