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
        if self._file is not None and self._last and self._is_current():
            yield from self._take()
            return
        with ExitStack() as stack:
            files = open_files(self._path, stack)
            if not self._last:
                files = files_since(files, self._since)
                since = stamp_text(self._since)
                yield from self._read(files, start_of(files[0], since) if files else 0)
                return
            if self._file is not None and self._offset and self._is_intact():
                # Asked for after the files were looked at: if one of them has lines by
                # then, nobody writes to this one any more.
                yield from self._take()
            yield from self._read(*self._search(files))

    def _read(self, files: list[LogFile], place: int) -> Iterator[bytes]:
        """Read files in their order, from a place in the first; the last with lines in
        it is the one to follow.

        An empty one after it may be new while somebody still writes to this one.
        """
        full = [number for number, item in enumerate(files) if item.size]
        if full and not files[full[-1]].is_packed:
            files = files[: full[-1] + 1]
        for number, item in enumerate(files, start=1):
            if number == len(files) and not item.is_packed:
                self._hold(item, place)
                yield from self._take()
                return
            for line in raw_lines(item, place):
                self._last = line
                yield line
            place = 0

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

    def _search(self, files: list[LogFile]) -> tuple[list[LogFile], int]:
        """Return the files to go on with after the last line that was read, wherever it
        is now, and the place in the first of them."""
        if self._file is not None and self._offset and self._is_intact():
            mine = os.fstat(self._file).st_ino
            for index, item in enumerate(files):
                if item.inode == mine:
                    return files[index:], self._offset
        for index in reversed(range(len(files))):
            place = _find(files[index], self._last)
            if place is not None:
                return files[index:], place
        # It was taken away with its file: what is younger is all new.
        stamp = stamp_of(self._last)
        younger = [item for item in files[:-1] if last_stamp(item) > stamp]
        return [*younger, *files[-1:]], 0


def _find(item: LogFile, line: bytes) -> int | None:
    """Return the place behind a line's last occurrence, None where it is not."""
    place, found = 0, None
    for text in raw_lines(item):
        place += len(text)
        if text == line:
            found = place
    return found
