"""The only code that writes below the state folder: one document a file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ds01.core import files
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.core.units import utc_stamp
from ds01.records.event_log import append_event

Record = dict[str, Any]
_LARGEST_RECORD = 256 * 1024


@contextlib.contextmanager
def state_lock(
    paths: Paths,
    timeout: float = files.LOCK_SECONDS,
    prepare: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Hold the lock of the state folder. It is not re-entrant.

    Who has to wait may `prepare` meanwhile, what it reads then may be old.
    """
    with files.locked(paths.state / "state.lock", timeout, prepare=prepare):
        files.ensure_folder(paths.metadata)
        yield


def read_document(path: Path) -> Record | None:
    """Return a JSON document of ours; None if there is none.

    Raises ValueError for one that cannot be used; set_aside() gets it out of the way.
    """
    text = read_text(path)
    if text is None:
        return None
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind for callers
    return document


def read_text(path: Path) -> str | None:
    """Return a document's text; None if there is none, ValueError if it is no text."""
    try:
        data = files.read_bytes(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise files.explain(error, "read", path) from error
    return data.decode("utf-8")


def set_aside(path: Path, reason: str, paths: Paths | None = None) -> Path:
    """Rename a document that cannot be used to `*.corrupt-TIME`; call it locked."""
    stamp = utc_stamp().replace(":", "").replace(".", "")
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    try:
        path.rename(target)
    except OSError as error:
        raise files.explain(error, "set aside", path) from error
    say("warning", f"'{path}' was not usable ({reason}), kept as '{target}'", "state")
    # The log may be what is full or broken; going on matters more.
    with contextlib.suppress(HelperError):
        append_event(
            "state-corrupt",
            paths=paths,
            file=str(path),
            kept=str(target),
            reason=reason,
        )
    return target


def write_document(
    path: Path,
    document: Mapping[str, Any],
    mode: int,
    *,
    compact: bool = False,
    largest: int = _LARGEST_RECORD,
) -> None:
    """Replace a JSON document as a whole; call it locked.

    `compact` is for documents that are written often: ten times as fast.
    """
    separators = (",", ":") if compact else None
    text = json.dumps(
        document,
        ensure_ascii=False,
        indent=None if compact else 1,
        separators=separators,
    )
    write_text(path, text + "\n", mode, largest)


def write_text(path: Path, text: str, mode: int, largest: int) -> None:
    """Replace a document's text as a whole; call it locked."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > largest:
        raise HelperError(Exit.USAGE, f"'{path.name}' would be {len(data)} bytes long")
    files.write_atomic(path, data, mode)
