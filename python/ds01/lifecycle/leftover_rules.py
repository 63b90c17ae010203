"""What DS01 left behind and may remove: pure decisions on a snapshot.

Only what is provably DS01's own goes, and only by age: an image by its labels or by the
record of the container that it was prepared for, never by its name alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from ds01.core.units import format_duration, read_stamp

Kind = Literal[
    "prepared-image", "moved-image", "alias", "build-image", "file", "record", "lock"
]

MOVED = "ds01-moved"
ALIASES = "ds01-untagged/"
MANAGED = "ds01.managed"
IMAGE_UID = "ds01.image.uid"
BUILDER = "ds01.build.by"
_MADE = "ds01.image.created"
# The longest that a build may take; an image that came later is one of a user's own,
# made from ours: it has our labels too.
_BUILD_TIME = timedelta(hours=6)
_PREPARED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\._\.(\d{1,10})", re.ASCII)


@dataclass(frozen=True)
class Image:
    """An image of the engine; `used` is when it was made or last named."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    made: datetime
    used: datetime


@dataclass(frozen=True)
class File:
    """A file or folder that DS01 made, and how it is known that nobody uses it."""

    path: Path
    used: datetime
    kind: Kind = "file"
    why: str = ""
    container: str = ""


@dataclass(frozen=True)
class Removal:
    """One thing to remove: an image's name or id, a container (its record), or a path.

    `seen` is when a record had last changed.
    """

    kind: Kind
    what: str
    why: str
    container: str = ""
    uid: int | None = None
    seen: datetime | None = None


@dataclass(frozen=True)
class InUse:
    """What the engine's containers hold: their names, and the ids of their images."""

    names: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()


def repository(name: str) -> str:
    """Return an image's name without tag and digest; a registry's port stays."""
    name = name.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def tag_of(name: str) -> str:
    return name.removeprefix(repository(name)).removeprefix(":")


def images(
    found: Iterable[Image],
    in_use: InUse,
    records: Mapping[str, Mapping[str, Any]],
    now: datetime,
    keep: int,
) -> Iterator[Removal]:
    """Yield the images, or names of images, that no container uses any more.

    The engine has a last say: it refuses to remove an image that a container uses.
    """
    for image in found:
        if now - image.used < timedelta(seconds=keep):
            continue
        if not image.tags:
            if image.id not in in_use.images and _is_built(image):
                yield _image(image, "build-image", image.id, "replaced by a newer one")
            continue
        for name in image.tags:
            if name.startswith(ALIASES):
                # Only a second name goes; the image itself is its owner's.
                if len(image.tags) > 1 and image.id not in in_use.images:
                    yield _image(image, "alias", name, "a second name, not needed")
                continue
            container = tag_of(name)
            if container in in_use.names or image.id in in_use.images:
                continue
            if repository(name) == MOVED:
                if MANAGED in image.labels and _is_owners(container, image):
                    yield _of_container(image, "moved-image", name)
            elif _is_prepared(name, image, records.get(container), now, keep):
                yield _of_container(image, "prepared-image", name)


def _is_built(image: Image) -> bool:
    """Was an untagged image built by DS01, and is none that a user made from one?"""
    labels = image.labels
    if IMAGE_UID not in labels or BUILDER not in labels or MANAGED in labels:
        return False
    begun = _moment(labels.get(_MADE))
    return begun is not None and image.made <= begun + _BUILD_TIME


def _is_owners(container: str, image: Image) -> bool:
    """Do name and label agree whose it is?"""
    match = _PREPARED.fullmatch(container)
    return match is None or image.labels.get("ds01.uid") == match[1]


def _is_prepared(
    name: str,
    image: Image,
    record: Mapping[str, Any] | None,
    now: datetime,
    keep: int,
) -> bool:
    """Was this image prepared by mlc for a container that DS01 made?"""
    match = _PREPARED.fullmatch(tag_of(name))
    if not match:
        return False
    history = (record or {}).get("history")
    known = {
        repository(str(item["image"]))
        for item in [record, *(history if isinstance(history, list) else ())]
        if isinstance(item, Mapping) and item.get("image")
    }
    if not known:
        return MANAGED in image.labels and _is_owners(match[0], image)
    # Another name with this tag, such as of a backup, is a user's own.
    if record is None or now - last_change(record) < timedelta(seconds=keep):
        return False
    return repository(name) in known


def _of_container(image: Image, kind: Kind, name: str) -> Removal:
    return _image(image, kind, name, f"its container '{tag_of(name)}' is gone")


def _image(image: Image, kind: Kind, what: str, why: str) -> Removal:
    match = _PREPARED.fullmatch(tag_of(what))
    uid = match[1] if match else image.labels.get(IMAGE_UID, "")
    return Removal(
        kind,
        what,
        why,
        tag_of(what) if match else "",
        int(uid) if uid.isascii() and uid.isdigit() else None,
    )


def last_change(record: Mapping[str, Any]) -> datetime:
    """Return when a record last changed; one that does not tell counts as young."""
    moments = [
        moment
        for key in ("changed", "removed", "created", "begun")
        if (moment := _moment(record.get(key))) is not None
    ]
    return max(moments, default=datetime.max.replace(tzinfo=timezone.utc))


def _moment(value: object) -> datetime | None:
    try:
        return read_stamp(value)
    except (TypeError, ValueError):
        return None


def records(
    found: Mapping[str, Mapping[str, Any]],
    in_use: InUse,
    named: Collection[str],
    now: datetime,
    keep: int | None,
) -> Iterator[Removal]:
    """Yield the records of containers that are gone for longer than `keep` seconds.

    One stays while an image is `named` after its container: it is the proof of whose
    that is. With None all are kept.
    """
    if keep is None:
        return
    for container, record in found.items():
        if container in in_use.names or container in named:
            continue
        if now - last_change(record) >= timedelta(seconds=keep):
            why = f"the container is gone for more than {format_duration(keep)}"
            uid = record.get("uid")
            yield Removal(
                "record",
                container,
                why,
                container,
                uid if type(uid) is int else None,
                last_change(record),
            )


def files(
    found: Iterable[File], in_use: InUse, now: datetime, keep: int
) -> Iterator[Removal]:
    """Yield the files that nobody uses for longer than `keep` seconds."""
    for file in found:
        if file.container in in_use.names:
            continue
        if now - file.used >= timedelta(seconds=keep):
            yield Removal(file.kind, str(file.path), file.why, file.container)
