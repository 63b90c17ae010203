"""Removes what DS01 left behind; part of the lifecycle pass (see sweep).

Images that no container uses, folders and files of processes that are gone, old
records, locks of containers that are gone, expired pins. leftover_rules.py decides,
this reads and acts. Each removal is an event `leftover-removed`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ds01.core import files
from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import user_name
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.core.units import utc_stamp
from ds01.gpus.ledger.document import parse_time
from ds01.lifecycle import leftover_rules, view
from ds01.lifecycle.leftover_rules import File, Image, InUse, Kind, Removal
from ds01.policy.types import Policy
from ds01.records import containers, documents
from ds01.records.event_log import append_events

_PROGRAM = "leftovers"
FILE = "leftovers.json"
# Looking costs a list of all images: once an hour is often enough for what is days old.
EVERY_SECONDS = 3600
# The engine takes seconds for a large image; the rest waits for the next time.
MOST_IMAGES = 20
# Where commands that root does not know the TMPDIR of make their folders.
TEMPORARY = Path("/tmp")  # noqa: S108
_RUN_FOLDER = re.compile(r"ds01-(?:run\.|gateway-)(\d+)[.-][A-Za-z0-9_]+", re.ASCII)
_LOCK = re.compile(r"(.+?)(?:\.move)?\.lock", re.ASCII)
_PINS = re.compile(r"[^.].*\.json")
_CORRUPT = re.compile(r".+\.json\.corrupt-[0-9TZ-]+", re.ASCII)


def sweep(paths: Paths, engine: Engine, policy: Policy, now: datetime) -> list[Removal]:
    """Remove what is left over; return what was removed.

    Looks once an hour only. What cannot be removed now is tried again the next time.
    Called by one process at a time, without the state's lock.

    Raises HelperError where engine or state cannot be read: nothing is removed then.
    """
    if not is_due(paths, now):
        return []
    found = find(paths, engine, policy, now)
    _note_time(paths, now)
    done = [removal for removal in _up_to(found) if _remove(paths, engine, removal)]
    append_events([("leftover-removed", _fields(r)) for r in done], paths=paths)
    return done


def is_due(paths: Paths, now: datetime) -> bool:
    """Is it time to look again? A clock that was set back does not delay it."""
    try:
        last = parse_time((documents.read_document(paths.state / FILE) or {}).get("at"))
    except (ValueError, TypeError, HelperError):
        return True
    return not timedelta(0) <= now - last < timedelta(seconds=EVERY_SECONDS)


def _note_time(paths: Paths, now: datetime) -> None:
    with documents.state_lock(paths):
        documents.write_document(
            paths.state / FILE,
            {"version": 1, "at": utc_stamp(now)},
            files.PUBLIC_MODE,
        )


def find(paths: Paths, engine: Engine, policy: Policy, now: datetime) -> list[Removal]:
    """Return what may go now, files first; changes nothing."""
    # Containers are read last: what one that is just made needs must not look unused.
    images = list(_images(engine))
    known = {str(r.get("container", "")): r for r in containers.list_records(paths)}
    in_use = _in_use(engine)
    keep = policy.lifecycle.leftover_keep
    sessions, expired = paths.state / "sessions", "these versions have expired"
    locks = _matching(sessions, _LOCK, "container '{}' is gone", "lock")
    pins = _matching(paths.state / "pins", _PINS, expired)
    corrupt = chain.from_iterable(
        _matching(folder, _CORRUPT, "nobody came for it")
        for folder in (paths.state, paths.metadata)
    )
    named = {leftover_rules.tag_of(name) for image in images for name in image.tags}
    return [
        *leftover_rules.files(_folders(), in_use, now, keep),
        *leftover_rules.files(locks, in_use, now, keep),
        *leftover_rules.files(pins, in_use, now, policy.images.pins_max_age),
        *leftover_rules.files(
            corrupt, in_use, now, policy.lifecycle.record_keep or _FOREVER
        ),
        *leftover_rules.records(
            known, in_use, named, now, policy.lifecycle.record_keep
        ),
        *leftover_rules.images(images, in_use, known, now, keep),
    ]


_FOREVER = 10 * 366 * 86400


def _in_use(engine: Engine) -> InUse:
    names: set[str] = set()
    images: set[str] = set()
    for summary in engine.listing("/containers/json", {"all": "1"}):
        names |= {str(name).lstrip("/") for name in summary.get("Names") or []}
        images.add(str(summary.get("ImageID", "")))
    return InUse(frozenset(names), frozenset(images))


def _images(engine: Engine) -> Iterator[Image]:
    """Yield the images that may be left over, with the times at which they were named.

    Only those are asked for in detail; there may be hundreds of others.
    """
    for summary in engine.listing("/images/json"):
        image = _image(summary)
        if not _is_candidate(image):
            continue
        details = engine.image(image.id)
        if details is not None:
            yield replace(image, used=_named(details, image.made))


def _image(summary: Mapping[str, Any]) -> Image:
    made = datetime.fromtimestamp(int(summary.get("Created") or 0), timezone.utc)
    return Image(
        str(summary["Id"]),
        tuple(
            str(tag)
            for tag in summary.get("RepoTags") or ()
            if not str(tag).startswith("<none>")
        ),
        summary.get("Labels") or {},
        made,
        made,
    )


def _is_candidate(image: Image) -> bool:
    if not image.tags:
        return leftover_rules.BUILDER in image.labels
    return any(
        "._." in tag
        or tag.startswith((leftover_rules.ALIASES, f"{leftover_rules.MOVED}:"))
        for tag in image.tags
    )


def _named(details: Mapping[str, Any], made: datetime) -> datetime:
    """Return when an image was last named: a build that finds all in the cache gives an
    old image a new name."""
    named = view.moment((details.get("Metadata") or {}).get("LastTagTime"))
    return max(made, named or made)


def _used(path: Path) -> datetime:
    return datetime.fromtimestamp(path.lstat().st_mtime, timezone.utc)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _folders() -> Iterator[File]:
    """Yield temporary folders of commands that were killed; root sees everybody's."""
    for path in _listed(TEMPORARY):
        match = _RUN_FOLDER.fullmatch(path.name)
        if not match or Path("/proc", match[1]).exists():
            continue
        with contextlib.suppress(OSError):
            if path.is_symlink() or os.geteuid() not in (0, path.lstat().st_uid):
                continue
            yield File(path, _used(path), "file", f"process {match[1]} is gone")


def _matching(
    folder: Path, pattern: re.Pattern[str], why: str, kind: Kind = "file"
) -> Iterator[File]:
    """Yield the files of such names; of a lock the name tells the container."""
    for path in _listed(folder):
        match = pattern.fullmatch(path.name)
        if match:
            container = match[1] if kind == "lock" else ""
            with contextlib.suppress(OSError):
                yield File(path, _used(path), kind, why.format(container), container)


def _up_to(found: Sequence[Removal]) -> Iterator[Removal]:
    images = 0
    for removal in found:
        if removal.kind in _IMAGE_KINDS:
            images += 1
            if images > MOST_IMAGES:
                continue
        yield removal


_IMAGE_KINDS = frozenset({"prepared-image", "moved-image", "alias", "build-image"})


def _remove(paths: Paths, engine: Engine, removal: Removal) -> bool:
    """Remove one thing; tell whether it is gone now by our doing."""
    try:
        if removal.kind in _IMAGE_KINDS:
            return _remove_image(engine, removal)
        if removal.kind == "record":
            return _remove_record(paths, removal)
        path = Path(removal.what)
        if removal.kind == "lock":
            return _remove_lock(path)
        if path.is_dir() and not path.is_symlink():
            # Safe where others may exchange what is in it for links.
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return False
    except (OSError, HelperError) as error:
        say("warning", f"cannot remove '{removal.what}': {error}", _PROGRAM)
        return False
    return True


def _remove_image(engine: Engine, removal: Removal) -> bool:
    # Without force: the engine refuses what a container has come to use meanwhile.
    status, answer = engine.call("DELETE", f"/images/{quote(removal.what, '')}")
    if status in (404, 409):
        return False
    if status >= 400:
        raise HelperError(Exit.BUG, reason(answer))
    return bool(json.loads(answer or b"[]"))


def _remove_record(paths: Paths, removal: Removal) -> bool:
    """Remove a record, unless it changed: somebody makes the container anew then."""
    path = containers.record_path(paths, removal.container)
    with documents.state_lock(paths):
        try:
            record = documents.read_document(path)
        except (ValueError, RecursionError):
            return False
        if record is None or leftover_rules.last_change(record) != removal.seen:
            return False
        path.unlink()
    return True


def _remove_lock(path: Path) -> bool:
    """Remove a lock file that nobody holds."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _fields(removal: Removal) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "what": removal.what,
        "kind": removal.kind,
        "why": removal.why,
        "by": "lifecycle",
    }
    if removal.container:
        fields["container"] = removal.container
    if removal.uid is not None:
        fields |= {"uid": removal.uid, "user": user_name(removal.uid)}
    return fields
