"""The allocator's memory, gpu-state.json, as typed values.

It holds what Docker cannot know: reservations in flight, holds after a stop, devices
that are not clean yet, the queue, and the users' recent use. It may be deleted at any
time; reconcile.py makes it anew from the engine. Keys that this version does not
know are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from ds01.core import files
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, owner_dict, owner_from
from ds01.core.paths import Paths
from ds01.core.units import read_stamp, utc_stamp
from ds01.gpus.devices.types import Device
from ds01.gpus.ledger import document_text
from ds01.gpus.ledger.document_text import Lines
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
Item = TypeVar("Item")
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
    request: str
    state: GrantState
    since: datetime
    devices: tuple[GrantedDevice, ...]
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
        """Return the document with a grant added, in place of the container's own.

        Its container is not passed by any more.
        """
        others = tuple(g for g in self.grants if g.container != grant.container)
        passed = {k: v for k, v in self.passed.items() if k != grant.container_id}
        return replace(self, grants=(*others, grant), passed=passed)

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
    documents.write_text(
        path_of(paths), text_of(document), files.PRIVATE_MODE, _LARGEST
    )


def text_of(document: Document) -> str:
    """Return what is written of a document."""
    head = {
        "version": VERSION,
        "born": document.born,
        "changes": document.changes,
        "freed": document.freed,
        "tickets": document.tickets,
        "passed": dict(document.passed),
        **document.extra,
    }
    parts = _containers.lines([document.containers]) + _uses.lines([document.use])
    lists = {
        "grants": _grants.lines(document.grants),
        "dirty": _dirties.lines(document.dirty),
        "queue": _tickets.lines(document.queue),
    }
    return document_text.join(head, parts, lists)


def read(text: str) -> Document:
    """Return the document of a text; raises as parse() does."""
    try:
        head, parts, lists = document_text.split(text, _PARTS, _LISTS)
        return _document(
            head,
            containers=_containers.values(parts[:1])[0],
            use=_uses.values(parts[1:])[0],
            grants=_grants.values(lists[0]),
            dirty=_dirties.values(lists[1]),
            queue=_tickets.values(lists[2]),
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
    apart = {"bare": rest.pop("bare", ""), "containers": rest.pop("containers", {})}
    return _document(rest, containers=_read_containers(apart))


def _document(rest: Json, **known: Any) -> Document:
    """Return the document of what is known and what the rest says."""
    version = rest.pop("version", None)
    if type(version) is not int or version < 1:
        raise ValueError(f"version {version!r}")
    if version > VERSION:
        raise HelperError(
            Exit.CONFIG,
            f"'{FILE}' has version {version}, this DS01 knows {VERSION}",
            "install the newer DS01 again, or remove the file: it is made anew",
        )
    document = _read(Document, rest, **known)
    if len({grant.container for grant in document.grants}) != len(document.grants):
        raise ValueError("a container is there twice")
    uuids = [uuid for grant in document.grants for uuid in grant.uuids]
    if len(set(uuids)) != len(uuids):
        raise ValueError("a device is granted twice")
    return document


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


def _share(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
        raise TypeError(f"share {value!r}")
    return float(value)


def _state(value: object) -> object:
    if value not in {"reserved", "allocated", "held"}:
        raise ValueError(f"state {value!r}")
    return value


parse_time = read_stamp


def _read(kind: Callable[..., Item], raw: Json, **known: Any) -> Item:
    """Return the value that JSON says; keys that are not known become its `extra`."""
    rest = dict(raw)
    for name, field_kind, _ in _fields(kind):
        if name in rest and name not in known:
            value = rest.pop(name)
            is_none = value is None and field_kind.endswith("| None")
            known[name] = None if is_none else _KINDS[field_kind][0](value)
    return kind(**known, extra=rest)


def _show(item: Any) -> Json:
    """Return a value as plain values; what may be left out is, where it is empty."""
    shown: Json = {}
    for name, field_kind, default in _fields(item.__class__):
        value = getattr(item, name)
        if value != default:
            shown[name] = _KINDS[field_kind][1](value)
    return {**shown, **item.extra}


@lru_cache(maxsize=8)
def _fields(kind: Any) -> list[tuple[str, str, object]]:
    """Return name, type and default of all fields but `extra`."""
    return [
        (item.name, str(item.type), item.default)
        for item in fields(kind)
        if item.name != "extra"
    ]


def _device(raw: Json) -> GrantedDevice:
    start, size = raw.get("start"), raw.get("size")
    return GrantedDevice(
        uuid=_text(raw["uuid"]),
        parent=_text(raw["parent"]),
        profile=_text(raw["profile"]),
        start=None if start is None else _whole(start),
        size=None if size is None else _whole(size),
        share=_share(raw["share"]),
        is_mig=bool(raw["is_mig"]),
    )


def _grant(raw: Json) -> Grant:
    return _read(Grant, {"request": "", **raw})


def grant_json(grant: Grant) -> Json:
    """Return a grant as plain values; what is empty is left out."""
    return _show(grant)


def _dirty(raw: Json) -> Dirty:
    return _read(Dirty, {"container": "", "uid": -1, **raw})


def _ticket(raw: Json) -> Ticket:
    return _read(Ticket, raw)


def ticket_json(ticket: Ticket) -> Json:
    """Return a ticket as plain values."""
    return _show(ticket)


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


def _read_uses(raw: Any) -> Uses:
    return None if raw is None else {int(uid): _use(use) for uid, use in raw.items()}


def _show_uses(uses: Uses) -> Json | None:
    return None if uses is None else {str(uid): _use_json(uses[uid]) for uid in uses}


def _read_containers(raw: Json) -> Containers:
    holding = {name: tuple(words) for name, words in raw["containers"].items()}
    return {**dict.fromkeys(_text(raw["bare"]).split(), ()), **holding}


def _show_containers(containers: Containers) -> Json:
    # One text for the many without GPUs.
    return {
        "bare": " ".join(name for name, words in containers.items() if not words),
        "containers": {name: words for name, words in containers.items() if words},
    }


def _each(read: Callable[[Any], Any]) -> Callable[[object], tuple[Any, ...]]:
    return lambda value: tuple(map(read, _list(value)))


# How a field is read from JSON and shown as JSON, by its type as the class writes it.
_KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "str": (_text, str),
    "int": (_whole, int),
    "GrantState": (_state, str),
    "datetime": (read_stamp, utc_stamp),
    "datetime | None": (read_stamp, utc_stamp),
    "Owner | None": (owner_from, owner_dict),
    "tuple[str, ...]": (_each(_text), list),
    "tuple[GrantedDevice, ...]": (
        _each(_device),
        lambda devices: [dict(vars(device)) for device in devices],
    ),
    "Mapping[str, str]": (
        lambda value: {str(key): str(text) for key, text in value.items()},
        dict,
    ),
    "tuple[Grant, ...]": (_each(_grant), list),
    "tuple[Dirty, ...]": (_each(_dirty), list),
    "tuple[Ticket, ...]": (_each(_ticket), list),
    "Uses": (_read_uses, _show_uses),
}

_PARTS = (("bare", "containers"), ("use",))
_LISTS = ("grants", "dirty", "queue")
_containers = Lines(_read_containers, _show_containers)
_uses = Lines(
    lambda raw: _read_uses(raw["use"]), lambda uses: {"use": _show_uses(uses)}
)
_grants = Lines(_grant, grant_json)
_dirties = Lines(_dirty, _show)
_tickets = Lines(_ticket, ticket_json)
