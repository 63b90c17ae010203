"""What a user is told once, at the next login or command: a small file per user.

`leave` adds a line to /var/lib/ds01/notices/UID: seconds since the epoch, a blank, the
text. lib/login-notice and lib/notices.bash show lines that are newer than what the
user's own ~/.cache/ds01/notices-seen says, so nobody but the user marks them as seen.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from ds01.core import files
from ds01.core.paths import Paths
from ds01.records import documents

FOLDER = "notices"
# Who did not come for so long need not know any more; and nobody reads more at once.
KEEP = timedelta(days=30)
MOST = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def leave(paths: Paths, uid: int, text: str, now: datetime) -> Path:
    """Leave a line for a user; call it without the state's lock.

    Raises HelperError where it cannot be written.
    """
    folder = paths.state / FOLDER
    path = folder / str(uid)
    line = f"{int(now.timestamp())} {_CONTROL.sub('?', text)}"
    with documents.state_lock(paths):
        files.ensure_folder(folder)
        kept = [*recent(_lines(path), now), line][-MOST:]
        data = "".join(f"{item}\n" for item in kept).encode("utf-8", "replace")
        files.write_atomic(path, data, files.PUBLIC_MODE)
    return path


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def recent(lines: list[str], now: datetime) -> list[str]:
    """Return the lines that are young enough to be kept."""
    oldest = (now - KEEP).timestamp()
    return [
        line
        for line in lines
        if (head := line.partition(" ")[0]).isdigit() and int(head) >= oldest
    ]
