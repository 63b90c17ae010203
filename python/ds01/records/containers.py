"""The records of containers: begun, finished, kept as history."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.core import files
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, is_alive, owner_dict, owner_from, user_name
from ds01.core.paths import Paths
from ds01.core.units import utc_stamp
from ds01.records.documents import (
    Record,
    read_document,
    set_aside,
    state_lock,
    write_document,
)

VERSION = 1
# What a record is made of by this module; callers cannot set these.
RESERVED = ("version", "container", "phase", "owner", "history", "changed")
_HISTORY = 5

# Engine names; `#` is allowed by mlc. No slash, no leading dot or dash.
_CONTAINER = re.compile(r"[A-Za-z0-9_#][A-Za-z0-9_.#-]{0,199}", re.ASCII)


def record_path(paths: Paths, container: str) -> Path:
    """Return the file of a container's record; refuses names that are no file names."""
    if not _CONTAINER.fullmatch(container):
        raise HelperError(
            Exit.USAGE,
            f"'{container}' is not a container name",
            "use letters, digits and _ . - # only, 200 at most",
        )
    return paths.metadata / f"{container}.json"


def _load(path: Path) -> Record | None:
    """Return a record, under the lock; one that is corrupt is set aside: None."""
    try:
        return read_document(path)
    except (ValueError, RecursionError) as error:
        set_aside(path, " ".join(str(error).split()))
        return None


def _save(path: Path, record: Mapping[str, Any]) -> None:
    write_document(path, record, files.PUBLIC_MODE)


def _check_fields(fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name in RESERVED:
            raise HelperError(Exit.USAGE, f"field '{name}' is not for callers to set")


def _fresh(container: str, phase: str, fields: Mapping[str, Any]) -> Record:
    return {
        "version": VERSION,
        "container": container,
        "phase": phase,
        "changed": utc_stamp(),
        "user": user_name(),
        "uid": os.getuid(),
        **fields,
    }


def begin(
    paths: Paths,
    container: str,
    owner: Owner,
    fields: Mapping[str, Any],
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Mark a create in flight; return {"container", "previous"}.

    `previous` is `none` (nothing, or removed), `ready` (a container was made and not
    removed through us) or `abandoned` (an earlier create that never came to its end).

    Raises HelperError(REFUSED) while another living process creates the container.
    """
    path = record_path(paths, container)
    _check_fields(fields)
    with state_lock(paths, timeout):
        old = _load(path)
        phase = old.get("phase") if old else None
        previous = {"ready": "ready", "creating": "abandoned"}.get(str(phase), "none")
        history = _list_of(old, "history")
        if old is not None and phase == "creating":
            _refuse_living(container, old, owner)
        elif old is not None:
            history = [
                *history,
                {name: value for name, value in old.items() if name != "history"},
            ][-_HISTORY:]
        record = _fresh(container, "creating", fields)
        record["owner"] = owner_dict(owner)
        record["begun"] = record["changed"]
        if history:
            record["history"] = history
        _save(path, record)
    return {"container": container, "previous": previous}


def _list_of(record: Record | None, name: str) -> list[Any]:
    value = (record or {}).get(name)
    return list(value) if isinstance(value, list) else []


def _refuse_living(container: str, record: Record, me: Owner) -> None:
    owner = owner_from(record.get("owner"))
    if owner is None or owner == me or not is_alive(owner):
        return
    raise HelperError(
        Exit.REFUSED,
        f"container '{container}' is being created by {record.get('user')} "
        f"(process {owner.pid}) since {record.get('begun')}",
        f"wait for it, or see what it does with 'ps -fp {owner.pid}'",
    )


def finish(
    paths: Paths,
    container: str,
    fields: Mapping[str, Any],
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Mark a container as made and note what it is; return its record.

    A record that went away meanwhile is made anew; keys that others wrote are kept.
    """
    path = record_path(paths, container)
    _check_fields(fields)
    with state_lock(paths, timeout):
        record = _load(path) or _fresh(container, "ready", {})
        record.update(fields)
        record.update(phase="ready", changed=utc_stamp())
        record.setdefault("created", record["changed"])
        record.pop("owner", None)
        record.pop("removed", None)
        _save(path, record)
    return record


def forget(
    paths: Paths,
    container: str,
    owner: Owner | None = None,
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Drop the record of a create that failed; return {"container", "forgotten"}.

    Only a record in flight is dropped; with `owner`, only that process's own or a
    dead one's. What was known of an earlier container of the name comes back.
    """
    path = record_path(paths, container)
    with state_lock(paths, timeout):
        record = _load(path)
        if record is None or record.get("phase") != "creating":
            return {"container": container, "forgotten": False}
        holder = owner_from(record.get("owner"))
        if owner and holder and holder != owner and is_alive(holder):
            return {"container": container, "forgotten": False}
        history = [item for item in _list_of(record, "history") if type(item) is dict]
        if history:
            *older, last = history
            _save(path, {**last, "history": older} if older else last)
        else:
            try:
                path.unlink()
            except OSError as error:
                raise files.explain(error, "remove", path) from error
    return {"container": container, "forgotten": True}


def removed(
    paths: Paths,
    container: str,
    fields: Mapping[str, Any] | None = None,
    timeout: float = files.LOCK_SECONDS,
) -> Record:
    """Mark a container as removed and keep its record as history; return the record."""
    path = record_path(paths, container)
    _check_fields(fields or {})
    with state_lock(paths, timeout):
        record = _load(path) or _fresh(container, "removed", {})
        record.update(fields or {})
        record.update(phase="removed", changed=utc_stamp())
        record["removed"] = record["changed"]
        record.pop("owner", None)
        _save(path, record)
    return record


def annotate(
    paths: Paths,
    container: str,
    notes: Mapping[str, Any],
    fields: Mapping[str, Any] | None = None,
    timeout: float = files.LOCK_SECONDS,
) -> None:
    """Set single fields of a container's record, whatever phase it is in.

    One without a record, such as compose's, gets one, with `fields` besides.
    """
    path = record_path(paths, container)
    _check_fields(notes)
    with state_lock(paths, timeout):
        record = _load(path) or _fresh(container, "ready", fields or {})
        if all(record.get(key) == value for key, value in notes.items()):
            return
        record.update(notes)
        record["changed"] = utc_stamp()
        _save(path, record)


def show(paths: Paths, container: str) -> Record:
    """Return a container's record; raises HelperError(NOT_FOUND) if there is none.

    Needs no lock, because records are replaced as a whole.
    """
    path = record_path(paths, container)
    try:
        record = read_document(path)
    except (ValueError, RecursionError):
        with state_lock(paths):
            record = _load(path)
    if record is None:
        raise HelperError(
            Exit.NOT_FOUND,
            f"no record of container '{container}'",
            "run 'container-list' to see your containers",
        )
    return record


def list_records(paths: Paths) -> list[Record]:
    """Return all records that can be read, ordered by container name."""
    found: list[Record] = []
    try:
        names = sorted(path.name for path in paths.metadata.iterdir())
    except FileNotFoundError:
        return found
    except OSError as error:
        raise files.explain(error, "read", paths.metadata) from error
    for name in names:
        if name.endswith(".json") and not name.startswith("."):
            with contextlib.suppress(ValueError, RecursionError, HelperError):
                record = read_document(paths.metadata / name)
                if record is not None:
                    found.append(record)
    return found


def picked(fields: Record, wanted: str) -> Record:
    """Return what is wanted of an object: `gpus=devices` names its `devices` `gpus`."""
    pairs = [word.partition("=") for word in wanted.split()]
    return {key: fields.get(member or key) for key, _, member in pairs}
