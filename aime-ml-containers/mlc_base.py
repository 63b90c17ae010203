"""What every part of mlc shares: failures, messages, the caller, signals."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

VERSION = "2.1.2-ds01.1"
LABEL_VERSION = "4"

# What mlc ends with: some failure, no such image, a registry that does not answer, no
# space for the file.
FAILED, NO_IMAGE, NO_REGISTRY, NO_SPACE = 1, 3, 7, 7

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class MlcError(Exception):
    """An expected failure: one line that says what is wrong, and one next step."""

    def __init__(
        self, message: str, hint: str | None = None, status: int = FAILED
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status


class Interrupted(BaseException):
    """A signal asked this run to end; raised in the main thread by its handler."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_program = "mlc"


def set_program(name: str) -> None:
    """Set the words that begin each message, such as `mlc create`."""
    global _program  # noqa: PLW0603  one process runs one command
    _program = name


def say(kind: str, message: str) -> None:
    """Print `<command>: <kind>: <message>` on stderr, line by line, harmless to a
    terminal whatever an engine or a name put into it."""
    for line in message.splitlines() or [""]:
        print(f"{_program}: {kind}: {_CONTROL.sub('?', line)}", file=sys.stderr)


def catch_signals() -> None:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted, so that clean-up runs.

    A SIGINT that came before, where who started this held it back, comes now.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def shielded(*signals: signal.Signals) -> Iterator[None]:
    """Ignore signals; those that end a run, for clean-up, which must get to its end."""
    numbers = signals or _SIGNALS
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class Person(NamedTuple):
    """A Unix account, as a container gets it."""

    name: str
    uid: int
    gid: int
    group: str
    home: str


def home_of(name: str, uid: int) -> str:
    """Return the home folder inside a container; never outside /home but for root."""
    if uid == 0:
        return "/root"
    if name in {"", ".", ".."} or "/" in name:
        return f"/home/{uid}"
    return f"/home/{name}"


def check_account_word(word: str, what: str) -> None:
    """Refuse what would break the line of an account file."""
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        raise MlcError(f"the {what} name {word!a} is not UTF-8") from None
    if not word or _CONTROL.search(word) or ":" in word:
        raise MlcError(f"the {what} name {word!a} cannot stand in an account file")


def caller() -> Person:
    """Return who runs this, from the real ids: no terminal or login is needed.

    An id without an entry in the account database is its own name.
    """
    uid, gid = os.getuid(), os.getgid()
    try:
        entry = pwd.getpwuid(uid)
        name, gid = entry.pw_name, entry.pw_gid
    except KeyError:
        name = str(uid)
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = name
    check_account_word(name, "user")
    check_account_word(group, "group")
    return Person(name, uid, gid, group, home_of(name, uid))
