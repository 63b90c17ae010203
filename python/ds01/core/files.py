"""Locks with a time limit, atomic writes and whole-line appends for shared folders.

The inner part of the room records; nothing else writes state. Files are written under a
lock only, and are made with their mode set, whatever the umask. Every failure is a
HelperError that says what to do; the old content is then still in place.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from ds01.core import turns
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, boot_id, is_alive, own, user_name
from ds01.core.program import program_name
from ds01.core.units import utc_stamp

LOCK_SECONDS = 10.0
PRIVATE_MODE = 0o660
PUBLIC_MODE = 0o664

# Two rotations between the same two calls do not happen; ten need no thought.
_OPEN_TRIES = 10

_TEMP_PREFIX = ".ds01-tmp."


class LockHeldError(HelperError):
    """A lock that somebody else held for longer than one would wait."""


def explain(error: OSError, what: str, path: Path) -> HelperError:
    """Return the HelperError for a failed file operation: what happened, what to do."""
    folder = path if _is_folder(path) else path.parent
    reason = (error.strerror or str(error)).lower()
    code = Exit.PREREQUISITE
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        reason = f"folder '{folder}' does not exist"
        hint = "run install.sh again to make the folders of DS01"
    elif error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = f"make room, 'df -h {folder}' shows how much there is"
    elif error.errno in {errno.EACCES, errno.EPERM}:
        hint = (
            f"ask the administrator to add '{user_name()}' to the group that owns "
            f"'{folder}', then log in anew"
        )
    elif error.errno == errno.EROFS:
        hint = f"ask the administrator to mount '{folder}' for writing"
    else:
        code, hint = Exit.CONFIG, f"'ls -la {folder}' may show what is in the way"
    return HelperError(code, f"cannot {what} '{path}': {reason}", hint)


def _is_folder(path: Path) -> bool:
    # Path.is_dir raises where a folder above may not be searched.
    return os.path.isdir(path)  # noqa: PTH112


@contextlib.contextmanager
def locked(
    path: Path,
    timeout: float = LOCK_SECONDS,
    purpose: str | None = None,
    prepare: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Hold the lock of a lock file; raise HelperError(CONFIG) past the time limit.

    Who has to wait may `prepare` meanwhile, see lock_turns.take().
    The file names its holder, since when, and with which command, for those who wait.
    The kernel drops the lock of a process that dies, however it dies.
    """
    deadline = time.monotonic() + timeout
    while True:
        file = _open_lock(path)
        try:
            _take(file, path, timeout, deadline, prepare)
            # Somebody may have removed the file meanwhile: then others lock a new one.
            if _is_same_file(file, path):
                break
            turns.leave(file)
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    try:
        _note_holder(file, purpose)
        yield
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
    finally:
        turns.leave(file)
        os.close(file)


def _open_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        ensure_file(path, PRIVATE_MODE)
        return os.open(path, flags)
    except FileNotFoundError as error:
        if _is_folder(path.parent):  # removed between the two calls
            with contextlib.suppress(OSError):
                return os.open(path, flags | os.O_CREAT, PRIVATE_MODE)
        raise explain(error, "lock", path) from error
    except OSError as error:
        raise explain(error, "lock", path) from error


def _take(
    file: int,
    path: Path,
    timeout: float,
    deadline: float,
    prepare: Callable[[], object] | None,
) -> None:
    try:
        if turns.take(file, deadline, prepare):
            return
    except OSError as error:
        raise explain(error, "lock", path) from error
    raise _lock_timeout(file, path, timeout)


def _is_same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


def _note_holder(file: int, purpose: str | None) -> None:
    command = purpose or program_name("state")
    note = _holder(os.getpid(), command, user_name()) % utc_stamp()
    # A full disk must not stop those who come to free space: the lock itself is held.
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, note.encode(), 0)


@lru_cache(maxsize=16)
def _holder(pid: int, command: str, user: str) -> str:
    """Return what is noted of a holder, with %s for the time."""
    rest = json.dumps({"pid": pid, "command": command, "user": user})
    return '{"since": "%s", ' + rest[1:].replace("%", "%%")


def _lock_timeout(file: int, path: Path, timeout: float) -> HelperError:
    try:
        holder = json.loads(os.pread(file, 4096, 0))
        who = (
            f"'{holder['command']}' of {holder['user']} "
            f"(process {holder['pid']}) since {holder['since']}"
        )
        hint = f"try again; 'ps -p {holder['pid']}' shows what holds the lock"
    except (OSError, ValueError, KeyError, TypeError):
        who = "a process that left no name"
        hint = f"try again; 'fuser -v {path}' shows what holds the lock"
    return LockHeldError(
        Exit.CONFIG, f"lock '{path}' is held by {who}, waited {timeout:g} s", hint
    )


def ensure_file(path: Path, mode: int) -> None:
    """Make an empty file with its mode set from the first moment, if there is none."""
    if os.path.lexists(path):
        return
    sweep(path.parent)
    temp = _temp_path(path)
    try:
        _create(temp, mode, b"")
        with contextlib.suppress(FileExistsError):
            os.link(temp, path)
    finally:
        with contextlib.suppress(OSError):
            temp.unlink()


_temp_numbers = itertools.count(1)


def _temp_path(path: Path) -> Path:
    me = own()
    start, boot = (me.start, me.boot[:8]) if me else (0, "unknown")
    name = f"{_TEMP_PREFIX}{os.getpid()}.{start}.{boot}."
    # Two threads of one process never get the same number.
    return path.with_name(f"{name}{next(_temp_numbers)}")


def _create(path: Path, mode: int, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fchmod(file, mode)
        os.fsync(file)
    finally:
        os.close(file)


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE_MODE) -> None:
    """Replace a file's content as a whole; call it with the folder's lock held.

    A reader sees the old or the new content and never a part; so does whoever comes
    after a crash. Leftovers of writers that were killed are swept first.
    """
    sweep(path.parent)
    temp = _temp_path(path)
    try:
        _create(temp, mode, data)
        temp.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise explain(error, "write", path) from error
    finally:
        with contextlib.suppress(OSError):
            temp.unlink()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sweep(folder: Path) -> None:
    """Remove temporary files of ours whose writer is dead; never any other file."""
    boot = boot_id()
    try:
        entries = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return
    for name in entries:
        if not name.startswith(_TEMP_PREFIX):
            continue
        parts = name[len(_TEMP_PREFIX) :].split(".")
        if len(parts) != 4 or not (parts[0].isdigit() and parts[1].isdigit()):
            continue
        same_boot = parts[2] == boot[:8]
        owner = Owner(int(parts[0]), int(parts[1]), boot)
        if not same_boot or not is_alive(owner):
            with contextlib.suppress(OSError):
                (folder / name).unlink()


def append_line(
    path: Path,
    line: bytes,
    mode: int = PRIVATE_MODE,
    later: contextlib.ExitStack | None = None,
) -> None:
    """Append one whole line; call it with the log's lock held.

    The file is opened by its name each time, so that rotation may move it away. A line
    that does not fit on the disk leaves nothing of itself. It is on the disk when this
    returns, or when `later` is closed, which needs no lock.
    """
    try:
        file = _open_log(path, mode)
    except OSError as error:
        raise explain(error, "write", path) from error
    try:
        size = os.fstat(file).st_size
        # A crash of the machine may have left half a line: end it.
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + line + b"\n"
        try:
            _write_whole(file, data)
            if later is None:
                os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
        if later is not None:
            later.callback(_sync, os.dup(file), path)
    except OSError as error:
        raise explain(error, "write", path) from error
    finally:
        os.close(file)


def _sync(file: int, path: Path) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        raise explain(error, "write", path) from error
    finally:
        os.close(file)


def _open_log(path: Path, mode: int) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    for _ in range(_OPEN_TRIES - 1):
        ensure_file(path, mode)
        # Rotation may have moved it away between the two calls.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
    ensure_file(path, mode)
    return os.open(path, flags)


def _write_whole(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, with the fewest calls."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # One more than there is, so that the end is seen at once.
        parts = [os.read(file, os.fstat(file).st_size + 1)]
        while parts[-1]:
            parts.append(os.read(file, 1 << 20))
        return b"".join(parts)
    finally:
        os.close(file)


def ensure_folder(path: Path) -> None:
    """Make a missing folder inside an existing one, with that one's mode and group."""
    if _is_folder(path):
        return
    try:
        parent = path.parent.stat()
        path.mkdir(mode=0o700)
        path.chmod(stat.S_IMODE(parent.st_mode))
    except FileExistsError:
        return
    except OSError as error:
        raise explain(error, "make", path) from error
