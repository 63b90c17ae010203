"""The allocator's memory, gpu-state.json, as typed values.

It holds what Docker cannot know: reservations in flight, holds after a stop, devices
that are not clean yet, the queue, and the users' recent use. It may be deleted at any
time; reconcile.py makes it anew from the engine. Keys that this version does not
know are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, cast

from ds01.core import files
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, owner_dict, owner_from
from ds01.core.paths import Paths
from ds01.core.units import read_stamp, utc_stamp
from ds01.gpus.devices.types import Device
from ds01.gpus.ledger import document_text
from ds01.gpus.ledger.document_text import Lines, Parts
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.records import documents

HOLD_EXPIRED = "hold-expired"
# The container is about to get others; what its label names is its own no more.
CHANGED = "changed"
# The lifecycle pass gives these back of containers that do not run.
CREATED_TIMEOUT = "created-timeout"
RESERVATION = "reservation"


def granted(device: Device) -> GrantedDevice:
    """Return what a grant remembers of a device."""
    return GrantedDevice(
        uuid=device.uuid,
        parent=device.parent,
        profile=device.profile,
        start=device.start,
        size=device.size,
        share=device.share,
        is_mig=device.is_mig,
    )


VERSION = 1
FILE = "gpu-state.json"
# Thousands of containers; far more is not a document of ours.
_LARGEST = 16 << 20

Json = dict[str, Any]
GrantState = Literal["reserved", "allocated", "held"]


@dataclass(frozen=True)
class Grant:
    """Devices that are somebody's.

    `container` is the engine's name, or what was reserved for until it has one; without
    `container_id` the grant lives as long as `owner`, or a container of that name.
    `since` is when the devices were given, `stopped` when a held one's container ended,
    `until` when its devices go back (None: never). `renewed` is the last start that was
    announced: a stop before it is old news. `lost` are its devices that are gone.
    `ends` is when a reservation of the policy needs them back. `note` is what the user
    should know.
    """

    container: str
    uid: int
    user: str
    devices: tuple[GrantedDevice, ...]
    request: str
    state: GrantState
    since: datetime
    until: datetime | None = None
    container_id: str = ""
    owner: Owner | None = None
    stopped: datetime | None = None
    renewed: datetime | None = None
    lost: tuple[str, ...] = ()
    ends: datetime | None = None
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def uuids(self) -> tuple[str, ...]:
        return tuple(device.uuid for device in self.devices)

    @property
    def share(self) -> float:
        """GPU-equivalents of all its devices."""
        return sum(device.share for device in self.devices)


@dataclass(frozen=True)
class Dirty:
    """A device that was given back, until NVML shows no process on it."""

    uuid: str
    since: datetime
    container: str
    uid: int
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ticket:
    """A place in the queue; it vanishes with its owner. Lower numbers came earlier.

    `offered` is since when it could have devices but did not come to take them.
    """

    number: int
    container: str
    uid: int
    user: str
    request: str
    priority: int
    since: datetime
    owner: Owner | None = None
    offered: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Use:
    """A user's decayed use at a moment, in GPU-equivalent seconds."""

    seconds: float
    at: datetime


Containers = Mapping[str, tuple[str, ...]]
Uses = Mapping[int, Use] | None


@dataclass(frozen=True)
class Document:
    """gpu-state.json.

    `born` tells this document from one that was lost. `changes` counts the writes,
    `freed` is its value when something last came free, so that waiters know when to
    look. `tickets` is the last number given out. `containers` caches what the engine's
    containers hold by id (engine_view.py). `passed` are containers that exist and
    carry devices that are not theirs any more, with the reason. `use` is None until it
    is read from the log.
    """

    born: str = ""
    changes: int = 0
    freed: int = 0
    tickets: int = 0
    grants: tuple[Grant, ...] = ()
    dirty: tuple[Dirty, ...] = ()
    queue: tuple[Ticket, ...] = ()
    passed: Mapping[str, str] = field(default_factory=dict)
    containers: Containers = field(default_factory=dict)
    use: Uses = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def grant_of(self, container: str) -> Grant | None:
        """Return the grant of a container by its name or id."""
        for grant in self.grants:
            if container in {grant.container, grant.container_id} and container:
                return grant
        return None

    def with_grant(self, grant: Grant) -> Document:
        """Return the document with a grant added, in place of the container's own."""
        others = tuple(g for g in self.grants if g.container != grant.container)
        return replace(self, grants=(*others, grant))

    def without(self, *gone: Grant) -> Document:
        kept = tuple(g for g in self.grants if g not in gone)
        return replace(self, grants=kept)


def path_of(paths: Paths) -> Path:
    """Return the document's file."""
    return paths.state / FILE


def load(paths: Paths) -> tuple[Document, str | None]:
    """Return the document, and why it had to be set aside; call it locked."""
    path = path_of(paths)
    try:
        text = documents.read_text(path)
        return (Document() if text is None else read(text)), None
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    documents.set_aside(path, reason, paths)
    return Document(), reason


def peek(paths: Paths) -> Document | None:
    """Return the document without a lock, None if there is none that can be used."""
    try:
        text = documents.read_text(path_of(paths))
        return None if text is None else read(text)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None


def save(paths: Paths, document: Document) -> None:
    """Write the document, on the disk when this returns; call it locked."""
    lists = {
        "grants": _grants.lines(document.grants),
        "dirty": _dirties.lines(document.dirty),
        "queue": _tickets.lines(document.queue),
    }
    bare, containers = _containers.texts(document.containers)
    (use,) = _uses.texts(document.use)
    parts = {"bare": bare, "containers": containers, "use": use}
    text = document_text.join(_head(document), parts, lists)
    documents.write_text(path_of(paths), text, files.PRIVATE_MODE, _LARGEST)


def read(text: str) -> Document:
    """Return the document of a text; raises as parse() does."""
    try:
        head, parts, lists = document_text.split(text, _PARTS, _LISTS)
        bare, containers, use = parts
        return _document(
            head,
            (
                _grants.values(lists[0]),
                _dirties.values(lists[1]),
                _tickets.values(lists[2]),
            ),
            _containers.value((bare, containers)),
            _uses.value((use,)),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raw = json.loads(text)
    if not isinstance(raw, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind for callers
    return parse(raw)


def parse(raw: Mapping[str, Any]) -> Document:
    """Return the document that JSON says; raises ValueError and the like.

    Raises HelperError(CONFIG) for one that a newer DS01 wrote.
    """
    rest = dict(raw)
    grants = tuple(_grant(item) for item in _list(rest.pop("grants", [])))
    dirty = tuple(_dirty(item) for item in _list(rest.pop("dirty", [])))
    queue = tuple(_ticket(item) for item in _list(rest.pop("queue", [])))
    containers = _read_containers([rest.pop("bare", ""), rest.pop("containers", {})])
    use = _read_use([rest.pop("use", None)])
    return _document(rest, (grants, dirty, queue), containers, use)


def _document(
    rest: Json,
    lists: tuple[tuple[Grant, ...], tuple[Dirty, ...], tuple[Ticket, ...]],
    containers: Containers,
    use: Uses,
) -> Document:
    """Return the document of its parts and the rest, which loses what is known."""
    grants, dirty, queue = lists
    version = rest.pop("version", None)
    if type(version) is not int or version < 1:
        raise ValueError(f"version {version!r}")
    if version > VERSION:
        raise HelperError(
            Exit.CONFIG,
            f"'{FILE}' has version {version}, this DS01 knows {VERSION}",
            "install the newer DS01 again, or remove the file: it is made anew",
        )
    document = Document(
        born=_text(rest.pop("born", "")),
        changes=_whole(rest.pop("changes", 0)),
        freed=_whole(rest.pop("freed", 0)),
        tickets=_whole(rest.pop("tickets", 0)),
        grants=grants,
        dirty=dirty,
        queue=queue,
        passed={str(k): str(v) for k, v in rest.pop("passed", {}).items()},
        containers=containers,
        use=use,
        extra=rest,
    )
    if len({grant.container for grant in grants}) != len(grants):
        raise ValueError("a container is there twice")
    uuids = [device.uuid for grant in grants for device in grant.devices]
    if len(set(uuids)) != len(uuids):
        raise ValueError("a device is granted twice")
    return document


def to_json(document: Document) -> Json:
    """Return the document as plain values."""
    bare, containers = _show_containers(document.containers)
    (use,) = _show_use(document.use)
    return {
        **_head(document),
        "bare": bare,
        "containers": containers,
        **({} if use is None else {"use": use}),
        "grants": [grant_json(grant) for grant in document.grants],
        "dirty": [_dirty_json(item) for item in document.dirty],
        "queue": [ticket_json(ticket) for ticket in document.queue],
    }


def _head(document: Document) -> Json:
    """Return all of a document but its large parts as plain values."""
    return {
        "version": VERSION,
        "born": document.born,
        "changes": document.changes,
        "freed": document.freed,
        "tickets": document.tickets,
        "passed": dict(document.passed),
        **document.extra,
    }


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def parse_time(text: object) -> datetime:
    """Return the moment of a stamp that utc_stamp wrote; raises ValueError."""
    return read_stamp(text)


def _moment(value: object) -> datetime | None:
    return None if value is None else parse_time(value)


def device_json(device: GrantedDevice) -> Json:
    """Return a granted device as plain values."""
    return {
        "uuid": device.uuid,
        "parent": device.parent,
        "profile": device.profile,
        "start": device.start,
        "size": device.size,
        "share": device.share,
        "is_mig": device.is_mig,
    }


def _device(raw: Json) -> GrantedDevice:
    start, size, share = raw.get("start"), raw.get("size"), raw["share"]
    if not isinstance(share, (int, float)) or isinstance(share, bool) or share < 0:
        raise TypeError(f"share {share!r}")
    return GrantedDevice(
        uuid=_text(raw["uuid"]),
        parent=_text(raw["parent"]),
        profile=_text(raw["profile"]),
        start=None if start is None else _whole(start),
        size=None if size is None else _whole(size),
        share=float(share),
        is_mig=bool(raw["is_mig"]),
    )


def _grant(raw: Json) -> Grant:
    rest = dict(raw)
    kind = rest.pop("state")
    if kind not in {"reserved", "allocated", "held"}:
        raise ValueError(f"state {kind!r}")
    return Grant(
        container=_text(rest.pop("container")),
        uid=_whole(rest.pop("uid")),
        user=_text(rest.pop("user")),
        devices=tuple(_device(item) for item in _list(rest.pop("devices"))),
        request=_text(rest.pop("request", "")),
        state=cast("GrantState", kind),
        since=parse_time(rest.pop("since")),
        until=_moment(rest.pop("until", None)),
        container_id=_text(rest.pop("container_id", "")),
        owner=owner_from(rest.pop("owner", None)),
        stopped=_moment(rest.pop("stopped", None)),
        renewed=_moment(rest.pop("renewed", None)),
        lost=tuple(_text(item) for item in _list(rest.pop("lost", []))),
        ends=_moment(rest.pop("ends", None)),
        note=_text(rest.pop("note", "")),
        extra=rest,
    )


def grant_json(grant: Grant) -> Json:
    """Return a grant as plain values; what is empty is left out."""
    optional: Json = {
        "until": utc_stamp(grant.until) if grant.until else None,
        "container_id": grant.container_id or None,
        "owner": owner_dict(grant.owner) if grant.owner else None,
        "stopped": utc_stamp(grant.stopped) if grant.stopped else None,
        "renewed": utc_stamp(grant.renewed) if grant.renewed else None,
        "lost": list(grant.lost) or None,
        "ends": utc_stamp(grant.ends) if grant.ends else None,
        "note": grant.note or None,
    }
    return {
        "container": grant.container,
        "uid": grant.uid,
        "user": grant.user,
        "request": grant.request,
        "state": grant.state,
        "since": utc_stamp(grant.since),
        "devices": [device_json(device) for device in grant.devices],
        **{key: value for key, value in optional.items() if value is not None},
        **grant.extra,
    }


def _dirty(raw: Json) -> Dirty:
    rest = dict(raw)
    return Dirty(
        uuid=_text(rest.pop("uuid")),
        since=parse_time(rest.pop("since")),
        container=_text(rest.pop("container", "")),
        uid=_whole(rest.pop("uid", -1)),
        extra=rest,
    )


def _dirty_json(item: Dirty) -> Json:
    return {
        "uuid": item.uuid,
        "since": utc_stamp(item.since),
        "container": item.container,
        "uid": item.uid,
        **item.extra,
    }


def _ticket(raw: Json) -> Ticket:
    rest = dict(raw)
    return Ticket(
        number=_whole(rest.pop("number")),
        container=_text(rest.pop("container")),
        uid=_whole(rest.pop("uid")),
        user=_text(rest.pop("user")),
        request=_text(rest.pop("request")),
        priority=_whole(rest.pop("priority")),
        since=parse_time(rest.pop("since")),
        owner=owner_from(rest.pop("owner", None)),
        offered=_moment(rest.pop("offered", None)),
        extra=rest,
    )


def ticket_json(ticket: Ticket) -> Json:
    """Return a ticket as plain values."""
    return {
        "number": ticket.number,
        "container": ticket.container,
        "uid": ticket.uid,
        "user": ticket.user,
        "request": ticket.request,
        "priority": ticket.priority,
        "since": utc_stamp(ticket.since),
        **({"owner": owner_dict(ticket.owner)} if ticket.owner else {}),
        **({"offered": utc_stamp(ticket.offered)} if ticket.offered else {}),
        **ticket.extra,
    }


def _use(raw: object) -> Use:
    seconds, at = _list(raw)
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise ValueError(f"use {seconds!r}")
    return _use_of(float(seconds), _text(at))


# A hundred users' are read and written at each call, and one of them has changed.
@lru_cache(maxsize=4096)
def _use_of(seconds: float, at: str) -> Use:
    return Use(seconds, parse_time(at))


@lru_cache(maxsize=4096)
def _use_json(use: Use) -> tuple[float, str]:
    return round(use.seconds, 3), utc_stamp(use.at)


def _read_use(parts: list[Any]) -> Uses:
    (raw,) = parts
    return None if raw is None else {int(k): _use(v) for k, v in raw.items()}


def _show_use(use: Uses) -> Sequence[Any]:
    if use is None:
        return (None,)
    return ({str(uid): list(_use_json(use[uid])) for uid in use},)


def _read_containers(parts: list[Any]) -> Containers:
    bare, holding = parts
    return {
        **dict.fromkeys(_text(bare).split(), ()),
        **{k: tuple(v) for k, v in holding.items()},
    }


def _show_containers(containers: Containers) -> Sequence[Any]:
    # One text for the many without GPUs.
    return (
        " ".join(k for k, v in containers.items() if not v),
        {k: v for k, v in containers.items() if v},
    )


_PARTS = ("bare", "containers", "use")
_LISTS = ("grants", "dirty", "queue")
_containers = Parts(_read_containers, _show_containers)
_uses = Parts(_read_use, _show_use)
_grants = Lines(_grant, grant_json)
_dirties = Lines(_dirty, _dirty_json)
_tickets = Lines(_ticket, ticket_json)
