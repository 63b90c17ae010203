"""Says which process and user something belongs to, over crashes and reboots."""

from __future__ import annotations

import os
import pwd
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start: int
    boot: str


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return the kernel's name for this boot."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return "unknown"
    return text.strip()


def _process(pid: int) -> tuple[str, int] | None:
    """Return state letter and start time of a process; None if it is not visible."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        line = os.read(file, 4096)
    except OSError:
        return None
    finally:
        os.close(file)
    # The name in parentheses may hold anything, spaces and parentheses included.
    fields = line[line.rindex(b")") + 1 :].split(None, 20)
    return fields[0].decode("ascii"), int(fields[19])


def own() -> Owner | None:
    """Return the identity of this process, which is looked up once."""
    return _own(os.getpid())


@lru_cache(maxsize=1)
def _own(pid: int) -> Owner | None:
    return owner_of(pid)


# The number of a forked process may have been another's before.
os.register_at_fork(after_in_child=_own.cache_clear)


def owner_of(pid: int) -> Owner | None:
    """Return the identity of a living process, None if there is none."""
    seen = _process(pid)
    if seen is None or seen[0] in "ZX":
        return None
    return Owner(pid, seen[1], boot_id())


def is_alive(owner: Owner) -> bool:
    """Is this very process still running? One that cannot be looked at counts as so."""
    if owner.boot != boot_id() or owner.pid <= 0:
        return False
    seen = _process(owner.pid)
    if seen is None:
        # With hidepid other users' processes are not in /proc: ask the kernel.
        try:
            os.kill(owner.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        seen = _process(owner.pid)
        if seen is None:
            return True
    return seen[0] not in "ZX" and seen[1] == owner.start


def user_name(uid: int | None = None) -> str:
    """Return the login name of a uid, of the caller by default; the number if none."""
    return _name_of(os.getuid() if uid is None else uid)


# Each lock and each line of a log asks for it, and LDAP may be slow.
@lru_cache(maxsize=256)
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owner_dict(owner: Owner) -> dict[str, int | str]:
    """Return an owner as plain values for JSON."""
    return owner._asdict()


def owner_from(value: object) -> Owner | None:
    """Return the owner that a record names, None if it names none."""
    if not isinstance(value, dict):
        return None
    pid, start, boot = value.get("pid"), value.get("start"), value.get("boot")
    if isinstance(pid, int) and isinstance(start, int) and isinstance(boot, str):
        return Owner(pid, start, boot)
    return None
