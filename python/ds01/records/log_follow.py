"""Follows a log as it is written, across rotation: by renaming or by copytruncate.

Every whole line comes once and in order, however often the log is rotated between two
looks, as long as the files with lines not yet seen are kept. It stands on what
event_log.py promises: lines are appended one after the other under a lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from ds01.records.log_reader import (
    BLOCK,
    LogFile,
    files_since,
    last_stamp,
    open_files,
    raw_lines,
    stamp_of,
    stamp_text,
    start_of,
)


class Follower:
    """One log; it keeps the file open that the last line came from."""

    def __init__(self, path: Path, since: datetime | None = None) -> None:
        self._path = path
        self._since = since
        self._file: int | None = None
        self._offset = 0
        self._last = b""

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def poll(self) -> Iterator[bytes]:
        """Return the lines since the last call; at the first call all from `since`.

        Raises HelperError where the log may not be read.
        """
        if self._file is None or not self._last:
            yield from self._begin()
        elif self._is_current():
            yield from self._take()
        else:
            yield from self._go_on()

    def _begin(self) -> Iterator[bytes]:
        with ExitStack() as stack:
            files = open_files(self._path, stack)
            if self._last:
                yield from self._search(files)
            else:
                files = files_since(files, self._since)
                yield from self._read_all(files, stamp_text(self._since))

    def _read_all(self, files: list[LogFile], since: bytes = b"") -> Iterator[bytes]:
        """Read files in their order; the last with lines in it is the one to follow.

        An empty one after it may be new while somebody still writes to this one.
        """
        full = [number for number, item in enumerate(files) if item.size]
        if full and not files[full[-1]].is_packed:
            files = files[: full[-1] + 1]
        for number, item in enumerate(files, start=1):
            if number == len(files) and not item.is_packed:
                self._hold(item, start_of(item, since))
                yield from self._take()
                return
            for line in raw_lines(item, since):
                self._last = line
                yield line

    def _hold(self, item: LogFile, offset: int) -> None:
        self.close()
        self._file = os.dup(item.file.fileno())
        self._offset = offset

    def _take(self) -> Iterator[bytes]:
        """Return the whole lines after the place where reading ended."""
        rest = b""
        while block := os.pread(self._fd, BLOCK, self._offset + len(rest)):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self._last = line + b"\n"
                self._offset += len(self._last)
                yield self._last

    @property
    def _fd(self) -> int:
        assert self._file is not None  # noqa: S101 - for mypy
        return self._file

    def _is_current(self) -> bool:
        """Is the open file still the log's, and what was read still in it?"""
        mine = os.fstat(self._fd)
        try:
            now = self._path.stat()
        except OSError:
            return False
        return os.path.samestat(mine, now) and self._is_intact()

    def _is_intact(self) -> bool:
        """Is what was read still there? A file that was cut short holds other lines."""
        if self._offset == 0:
            # What is in it now may have followed other lines, which were cut off.
            return os.fstat(self._fd).st_size == 0
        length = min(len(self._last), self._offset)
        before = os.pread(self._fd, length, self._offset - length)
        return before == self._last[-length:]

    def _go_on(self) -> Iterator[bytes]:
        """Find the place where reading ended among the log's files, and go on there."""
        with ExitStack() as stack:
            files = open_files(self._path, stack)
            mine = os.fstat(self._fd).st_ino
            if self._offset and self._is_intact():
                names = [item.inode for item in files]
                later = files[names.index(mine) + 1 :] if mine in names else None
                # Asked for after the files were looked at: if one of them has lines by
                # then, nobody writes to this one any more.
                yield from self._take()
                if later is not None:
                    if any(item.size for item in later):
                        yield from self._read_all(later)
                    return
            yield from self._search(files)

    def _search(self, files: list[LogFile]) -> Iterator[bytes]:
        """Go on after the last line that was read, wherever it is now."""
        for index in range(len(files) - 1, -1, -1):
            item = files[index]
            find = _find_packed if item.is_packed else _find
            place = find(item, self._last)
            if place is None:
                continue
            if item.is_packed:
                for number, line in enumerate(raw_lines(item)):
                    if number >= place:
                        self._last = line
                        yield line
            else:
                self._hold(item, place)
                yield from self._take()
            later = files[index + 1 :]
            if any(other.size or item.is_packed for other in later):
                yield from self._read_all(later)
            return
        # It was taken away with its file: what is younger is all new.
        stamp = stamp_of(self._last)
        younger = [item for item in files[:-1] if last_stamp(item) > stamp]
        yield from self._read_all([*younger, *files[-1:]])


def _find(item: LogFile, line: bytes) -> int | None:
    """Return the place behind a line's last occurrence, None where it is not."""
    end = item.size
    while line and end > 0:
        begin = max(0, end - BLOCK)
        length = end - begin + len(line) - 1
        found = os.pread(item.file.fileno(), length, begin).rfind(line)
        if found >= 0:
            return begin + found + len(line)
        end = begin
    return None


def _find_packed(item: LogFile, line: bytes) -> int | None:
    """Return how many lines there are up to a line's last occurrence."""
    found = None
    for number, text in enumerate(raw_lines(item), start=1):
        if text == line:
            found = number
    return found
