"""A user's terminals on the host, those inside a container, and writing to them.

A container's folders are its owner's to change, and root looks into them here: no link
is followed, and nothing is written but to terminals of the container's own.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ds01.core import processes

PROC = Path("/proc")
DEV = Path("/dev")
# Where systemd and login note who is logged in; newer systems have none.
UTMP = Path("/run/utmp")
_UTMP_ENTRY = struct.Struct("hi32s4s32s256s")
_UTMP_SIZE = 384
_USER_PROCESS = 7
_LOOK = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def folder_inside(pid: int, proc: Path = PROC) -> Iterator[int | None]:
    """Yield the open folder of a container's terminals, by a process of the container.

    None where it has none of its own: no /dev/pts, or the host's. Raises OSError where
    that cannot be seen.
    """
    with _folder_of(pid, proc) as folder:
        if folder is None or os.fstat(folder).st_dev in _terminal_devices(pid, proc):
            yield folder
        else:
            yield None


@contextlib.contextmanager
def _folder_of(pid: int, proc: Path) -> Iterator[int | None]:
    """Yield the open /dev/pts that a process sees, None where it sees none."""
    opened: list[int] = []
    try:
        try:
            opened.append(os.open(proc / str(pid) / "root", os.O_PATH | os.O_DIRECTORY))
            opened.append(os.open("dev", os.O_PATH | _LOOK, dir_fd=opened[-1]))
            opened.append(os.open("pts", _LOOK, dir_fd=opened[-1]))
        except (FileNotFoundError, NotADirectoryError):
            if not (proc / str(pid)).exists():
                raise
            yield None
            return
        yield opened[-1]
    finally:
        for number in reversed(opened):
            os.close(number)


def _terminal_devices(pid: int, proc: Path) -> set[int]:
    """Return the devices of the terminal file systems that a process has mounted, but
    for the host's."""
    found: set[int] = set()
    text = (proc / str(pid) / "mountinfo").read_text("utf-8", "replace")
    for line in text.splitlines():
        own, _, rest = line.partition(" - ")
        if rest.startswith("devpts "):
            major, _, minor = own.split()[2].partition(":")
            found.add(os.makedev(int(major), int(minor)))
    with contextlib.suppress(OSError):
        found.discard((DEV / "pts").stat().st_dev)
    return found


def inputs_inside(pid: int, proc: Path = PROC) -> list[float]:
    """Return when each terminal of a container was last typed into, as timestamps.

    The kernel sets a terminal's access time when its program reads what was typed.
    Raises OSError where they cannot be looked at.
    """
    with folder_inside(pid, proc) as folder:
        if folder is None:
            return []
        return [
            entry.stat(follow_symlinks=False).st_atime
            for entry in os.scandir(folder)
            if entry.name.isdigit()
        ]


def write_inside(pid: int, container: str, text: str, proc: Path = PROC) -> int:
    """Write to all terminals of a container; return to how many.

    `pid` is a process of it, `container` its id: another process may have the number.
    """
    written = 0
    own = processes.read_own(proc)
    with contextlib.suppress(OSError), folder_inside(pid, proc) as folder:
        cgroup = (proc / str(pid) / "cgroup").read_text("utf-8", "replace")
        if folder is None or processes.container_of(cgroup, own) != container:
            return 0
        for entry in os.scandir(folder):
            if entry.name.isdigit():
                written += _write(entry.name, text, folder)
    return written


@dataclass(frozen=True)
class Terminal:
    """A terminal of a user on the host: its file, and what is in front on it."""

    path: Path
    programs: Mapping[str, str]

    def shows(self, container: str, identity: str) -> bool:
        """Does it show a container's terminal, by way of the docker command?"""
        return any(
            name == "docker" and {container, identity} & set(words.split("\0"))
            for name, words in self.programs.items()
        )

    @property
    def is_divided(self) -> bool:
        """Does a program divide it, whose parts are terminals themselves?"""
        return any(name.startswith(("tmux", "screen")) for name in self.programs)


def of_user(uid: int, user: str) -> list[Terminal]:
    """Return the terminals on which a user is logged in or has programs."""
    paths = {
        DEV / "pts" / name
        for name in _names(DEV / "pts")
        if name.isdigit() and _owner(DEV / "pts" / name) == uid
    }
    paths |= {DEV / line for line in logged_in(user)}
    numbers = {path: _number(path) for path in sorted(paths)}
    front = _in_front({number for number in numbers.values() if number})
    return [
        Terminal(path, front.get(number, {}))
        for path, number in numbers.items()
        if number
    ]


def logged_in(user: str, utmp: Path = UTMP) -> list[str]:
    """Return the terminals, such as `pts/3`, that a user logged in on."""
    try:
        data = utmp.read_bytes()
    except OSError:
        return []
    found = []
    for offset in range(0, len(data) - _UTMP_SIZE + 1, _UTMP_SIZE):
        kind, _, line, _, name, _ = _UTMP_ENTRY.unpack_from(data, offset)
        words = line.rstrip(b"\0").decode("ascii", "replace")
        if kind == _USER_PROCESS and name.rstrip(b"\0").decode("utf-8", "replace") == (
            user
        ):
            found.append(words)
    return [words for words in found if words and ".." not in words]


def write(terminal: Terminal, text: str) -> int:
    """Write to a terminal of the host; return 1, or 0 where that failed."""
    return _write(str(terminal.path), text, None)


def _write(path: str, text: str, folder: int | None) -> int:
    try:
        number = os.open(path, _WRITE, dir_fd=folder)
    except OSError:
        return 0
    try:
        if not stat.S_ISCHR(os.fstat(number).st_mode):
            return 0
        # A terminal that is held up takes what it can, and nobody waits for it.
        return int(os.write(number, text.encode("utf-8", "replace")) > 0)
    except OSError:
        return 0
    finally:
        os.close(number)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are enough
    except OSError:
        return []


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:
        return None


def _number(path: Path) -> int | None:
    """Return a terminal's number as /proc/PID/stat has it."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISCHR(found.st_mode):
        return None
    major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def _is_on_host(pid: int, proc: Path) -> bool:
    """Are a process's terminals the host's? A container's have the same numbers."""
    with _folder_of(pid, proc) as folder:
        if folder is None:
            return False
        return os.fstat(folder).st_dev == (DEV / "pts").stat().st_dev


def _in_front(numbers: set[int], proc: Path = PROC) -> dict[int, dict[str, str]]:
    """Return the names and words of the programs in front of terminals, by number."""
    found: dict[int, dict[str, str]] = {}
    for pid in _names(proc) if numbers else ():
        if not pid.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = (proc / pid / "stat").read_text("utf-8", "replace")
            name = text[text.index("(") + 1 : text.rindex(")")]
            fields = text[text.rindex(")") + 2 :].split()
            group, number, front = int(fields[2]), int(fields[4]), int(fields[5])
            if number in numbers and group == front and _is_on_host(int(pid), proc):
                words = (proc / pid / "cmdline").read_text("utf-8", "replace")
                found.setdefault(number, {})[name] = words
    return found
