"""The lock of one image of the caller's: it is built, or deleted, by one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ds01.core.errors import Exit, HelperError


def own_folder(variable: str, otherwise: str) -> Path:
    """Return the caller's folder of DS01 below a folder of XDG's."""
    base = os.environ.get(variable, "")
    return (Path(base) if base.startswith("/") else Path.home() / otherwise) / "ds01"


def state_folder() -> Path:
    """Return the folder of logs and locks."""
    return own_folder("XDG_STATE_HOME", ".local/state")


@contextlib.contextmanager
def hold(name: str) -> Iterator[None]:
    """Hold the lock of an image; raises HelperError(REFUSED) while it is built."""
    folder = state_folder() / "builds"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip() or "?"
            raise HelperError(
                Exit.REFUSED,
                f"image '{name}' is being built already (process {holder})",
                f"wait for it, or see what it does with 'ps -fp {holder}'",
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(file, 0)
    finally:
        os.close(file)
