"""Who gets a lock next: first come, first served, and each is woken by name.

The lock is flock's. Whoever must wait holds a ticket besides: a byte far behind the
content of the lock file, numbered by the clock, which the kernel frees with its holder.
A ticket in sight keeps newcomers from the lock, so nobody is passed by. Who lets go
tells the oldest ticket by a datagram; that is a hint only, whoever hears nothing looks
for itself now and then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable
from functools import lru_cache

# The tickets' part of the file, which has no bytes there: locks need none.
_TICKETS = 1 << 60
_FIRST_LOOKS = 0.002
_OTHERS_LOOK = 0.05
_DEAF_LOOKS = 0.0005
# The words: it is your turn; it is, after the next.
_NOW, _SOON = b"n", b"s"


def take(
    file: int, deadline: float, prepare: Callable[[], object] | None = None
) -> bool:
    """Take the lock of an open file, after all who came before; False past `deadline`.

    `deadline` is of time.monotonic(). Works in any thread; nothing is left of a waiter
    that is interrupted or killed. Who has to wait is given the time to `prepare` while
    the one before is at work; it must not rely on that.
    """
    if _any_ticket(file) is None and _try_lock(file):
        return True
    with _Ticket(file) as ticket:
        while True:
            is_first = _any_ticket(file, before=ticket.number) is None
            if is_first and _try_lock(file):
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            word = ticket.listen(min(left, _FIRST_LOOKS if is_first else _OTHERS_LOOK))
            if word == _SOON and prepare is not None:
                prepare()
                prepare = None


def leave(file: int) -> None:
    """Let the lock go and tell who is next."""
    # Not by closing alone: a child that was forked meanwhile has the file open too.
    fcntl.flock(file, fcntl.LOCK_UN)
    _wake(file)


class _Ticket:
    """A place in the order of arrival, and an ear for the word that it is due."""

    def __init__(self, file: int) -> None:
        self._file = file
        self.number = 0
        self._ear: socket.socket | None = None

    def __enter__(self) -> _Ticket:
        try:
            while True:
                self.number = _TICKETS + time.monotonic_ns()
                # First the ear: whoever sees the ticket can be heard.
                self._open_ear()
                if _set(self._file, fcntl.F_WRLCK, self.number):
                    return self
                self._close_ear()
        except BaseException:
            self._close_ear()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            _set(self._file, fcntl.F_UNLCK, self.number)
        finally:
            self._close_ear()

    def _open_ear(self) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with contextlib.suppress(OSError):
            self._ear = socket.socket(socket.AF_UNIX, kind)
            self._ear.bind(_address(self._file, self.number))

    def _close_ear(self) -> None:
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def listen(self, seconds: float) -> bytes:
        """Sleep until a word comes, for so many seconds at most; return it."""
        if self._ear is None:
            time.sleep(min(seconds, _DEAF_LOOKS))
            return b""
        with contextlib.suppress(OSError):
            self._ear.settimeout(seconds)
            return self._ear.recv(1)
        return b""


def _address(file: int, ticket: int) -> bytes:
    """Return the name of a ticket's socket; it is the kernel's, and in no folder."""
    found = os.fstat(file)
    return b"\0ds01-lock.%d.%d.%d" % (found.st_dev, found.st_ino, ticket)


def _wake(file: int) -> None:
    first = _oldest(file)
    if first is None:
        return
    with contextlib.suppress(OSError):
        _mouth().sendto(_NOW, socket.MSG_DONTWAIT, _address(file, first))
    second = _oldest(file, after=first)
    if second is not None:
        with contextlib.suppress(OSError):
            _mouth().sendto(_SOON, socket.MSG_DONTWAIT, _address(file, second))


@lru_cache(maxsize=1)
def _mouth() -> socket.socket:
    """Return the socket for words to others; it has no name, and no reader."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# struct flock of 64-bit Linux: type, whence, start, length, process.
_FLOCK = struct.Struct("hhqqi4x")


def _oldest(file: int, after: int = _TICKETS - 1) -> int | None:
    """Return the lowest ticket of others above a number."""
    found = _any_ticket(file, after)
    oldest = found
    # The kernel tells the one that was set first, as a rule that is it.
    while found is not None:
        oldest = found
        found = _any_ticket(file, after, before=oldest)
    return oldest


def _any_ticket(file: int, after: int = _TICKETS - 1, before: int = 0) -> int | None:
    """Return a ticket of others between two numbers."""
    if before == after + 1:
        return None
    start = after + 1
    length = before - start if before else 0
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    answer = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))
    return None if answer[0] == fcntl.F_UNLCK else int(answer[2])


def _set(file: int, kind: int, ticket: int) -> bool:
    """Take or drop a ticket; False if somebody has that very one."""
    try:
        words = _FLOCK.pack(kind, os.SEEK_SET, ticket, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, words)
    except (BlockingIOError, PermissionError):  # what POSIX lets F_SETLK answer
        return False
    return True
