"""What is told when a file system is full, and which one it is."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths


def no_space(error: OSError) -> HelperError:
    """Return the failure that an error for want of space stands for."""
    where = _file_system(error)
    if error.errno == errno.EDQUOT:
        message, command = "your share of the disk is used up", "quota -s"
    else:
        message, command = "no space left on device", f"df -h {shlex.quote(str(where))}"
    return HelperError(
        Exit.PREREQUISITE, f"{message}: '{where}'", f"free some; '{command}' tells more"
    )


def _file_system(error: OSError) -> Path:
    """Return where the full file system is mounted: that folder stays.

    The error of a write to an open file names no file; then what is full is looked for
    among the places that are written to.
    """
    named = error.filename2 or error.filename
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - only looked at
    places = [Path("/proc/self/fd/1"), Path(temporary), Path.home()]
    with contextlib.suppress(HelperError):
        paths = find_paths()
        places += [paths.state, paths.log]
    full = next((place for place in places if _is_full(place)), Path(temporary))
    return _mount_point(Path(os.fsdecode(named)) if named else full)


def _is_full(place: Path) -> bool:
    try:
        known = os.statvfs(place)
    except OSError:
        return False
    # Pipes and /proc have no blocks at all, some file systems no fixed number of files.
    return bool(known.f_blocks and not known.f_bavail) or bool(
        known.f_files and not known.f_favail
    )


def _mount_point(path: Path) -> Path:
    path = path.resolve()
    while not path.is_mount():
        path = path.parent
    return path
