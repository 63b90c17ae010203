"""Brings the allocator's document into line with the engine, NVML and living owners.

Pure functions over snapshots. The engine's containers come first: one that exists and
carries devices has them, whatever the document says. Where NVML does not answer,
nothing is taken from anybody.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ds01.core.errors import HelperError
from ds01.core.owner import Owner
from ds01.core.units import utc_stamp
from ds01.gpus.devices.types import FULL, MIG_SLICES, Inventory
from ds01.gpus.ledger import use
from ds01.gpus.ledger.document import (
    CHANGED,
    CREATED_TIMEOUT,
    HOLD_EXPIRED,
    RESERVATION,
    Dirty,
    Document,
    Grant,
    granted,
)
from ds01.gpus.ledger.engine_view import Container, View, resolve
from ds01.gpus.rules.refusal import GrantedDevice

Event = tuple[str, dict[str, Any]]
CONFLICT = "conflict"
_KEPT_FROM = frozenset({HOLD_EXPIRED, CHANGED, CREATED_TIMEOUT, RESERVATION})
# A container that was made but never started is about to be.
_FRESH_SECONDS = 900
# How long an announced start may take before the container counts as stopped again.
START_SECONDS = 60


@dataclass(frozen=True)
class World:
    """Everything that a pass looks at besides the document.

    `hold_of` says for how many seconds a user's stopped container keeps its devices
    (None: for ever). It raises HelperError where that cannot be said.
    """

    view: View
    inventory: Inventory
    now: datetime
    is_alive: Callable[[Owner], bool]
    hold_of: Callable[[int], int | None]


@dataclass
class Work:
    """A document in the making, and what will be logged of it."""

    document: Document
    events: list[Event] = field(default_factory=list)

    def tell(self, kind: str, **fields: Any) -> None:
        self.events.append((kind, fields))

    def release(self, grant: Grant, reason: str, now: datetime) -> Event:
        """Take a grant out; its devices have yet to be found clean. Return the line."""
        document = self.document
        dirty = [Dirty(uuid, now, grant.container, grant.uid) for uuid in grant.uuids]
        passed = dict(document.passed)
        if reason in _KEPT_FROM:
            passed[grant.container_id] = reason
        self.document = replace(
            document.without(grant),
            dirty=(*document.dirty, *dirty),
            use=use.add(document.use, grant, now),
            passed=passed,
            freed=document.changes + 1,
        )
        seconds = max(0.0, (now - grant.since).total_seconds()) * grant.share
        self.tell(
            "release",
            **describe(grant),
            reason=reason,
            was=grant.state,
            begin=utc_stamp(grant.since),
            end=utc_stamp(now),
            gpu_seconds=round(seconds, 3),
        )
        return self.events[-1]


@dataclass
class _Pass(Work):
    """One pass in the making."""

    world: World = field(kw_only=True)


def reconcile(document: Document, world: World) -> tuple[Document, list[Event]]:
    """Return the document as it should be, and what changed as lines for the log.

    The document is the same object if nothing changed.
    """
    # A user is asked for once, however many stopped containers are theirs.
    world = replace(world, hold_of=functools.cache(world.hold_of))
    run = _Pass(document, world=world)
    _check_grants(run)
    _adopt(run)
    _forget(run)
    if world.inventory.error is None:
        _check_devices(run)
        run.document, cleaned = clean(run.document, world.inventory)
        run.events += cleaned
    return run.document, run.events


def describe(grant: Grant) -> dict[str, Any]:
    """Return what every line of the log says of a grant."""
    return {
        "container": grant.container,
        "container_id": grant.container_id,
        "uid": grant.uid,
        "user": grant.user,
        "request": grant.request,
        "devices": list(grant.uuids),
        "profiles": [device.profile for device in grant.devices],
        "parents": [device.parent for device in grant.devices],
        "share": grant.share,
    }


def clean(document: Document, inventory: Inventory) -> tuple[Document, list[Event]]:
    """Return the document without the dirty devices that NVML shows no process on."""
    if not document.dirty or inventory.error is not None:
        return document, []
    found = {device.uuid: device for device in inventory.devices}
    kept: list[Dirty] = []
    events: list[Event] = []
    for item in document.dirty:
        device = found.get(item.uuid)
        about = {"container": item.container, "uid": item.uid, "devices": [item.uuid]}
        known = item.extra.get("processes")
        if device is not None and device.processes != ():
            pids = [process.pid for process in device.processes or ()]
            if known != pids:
                events.append(("dirty", {**about, "processes": pids}))
                extra = {**item.extra, "processes": pids}
                kept.append(replace(item, extra=extra))
            else:
                kept.append(item)
        elif known is not None:
            events.append(("clean", about))
    if tuple(kept) == document.dirty:
        return document, events
    freed = document.freed if len(kept) == len(document.dirty) else document.changes + 1
    return replace(document, dirty=tuple(kept), freed=freed), events


def _check_grants(run: _Pass) -> None:
    """Compare each grant with its container and its owner."""
    by_id = {item.id: item for item in run.world.view.containers}
    by_name = {item.name: item for item in run.world.view.containers if item.managed}
    for grant in run.document.grants:
        if grant.container_id:
            found, reason = by_id.get(grant.container_id), "gone"
        elif grant.owner is not None and run.world.is_alive(grant.owner):
            continue
        else:
            found, reason = by_name.get(grant.container), "owner-gone"
            if found is not None and not _carries(found, grant, run.world.inventory):
                found = None
        if found is not None:
            _follow(run, grant, found)
        elif run.world.inventory.error is None:
            run.release(grant, reason, run.world.now)


def _carries(container: Container, grant: Grant, inventory: Inventory) -> bool:
    return set(own_devices(container, inventory)) == set(grant.uuids)


def _set(run: _Pass, grant: Grant, **fields: Any) -> Grant:
    """Replace a grant in the document, if it differs then; return it."""
    changed = replace(grant, **fields)
    if changed == grant:
        return grant
    grants = tuple(changed if g is grant else g for g in run.document.grants)
    run.document = replace(run.document, grants=grants)
    return changed


def _follow(run: _Pass, grant: Grant, container: Container) -> None:
    """Let a grant be in the state that its container says."""
    if not grant.container_id:
        run.tell("commit", **describe(grant), found=container.id, reason="owner-gone")
    if (grant.container_id, grant.container) != (container.id, container.name):
        grant = _set(run, grant, container_id=container.id, container=container.name)
    if container.active:
        if grant.state == "held":
            run.tell("resume", **describe(grant))
        if grant.state != "allocated" or grant.owner:
            _set(run, grant, state="allocated", until=None, stopped=None, owner=None)
        return
    now = run.world.now
    if container.fresh and now < container.created + timedelta(seconds=_FRESH_SECONDS):
        return  # about to be started for the first time
    if _is_starting(run, grant):
        return
    stopped, until = _hold_of_grant(run.world, grant, container)
    if until is not None and until <= now:
        if run.world.inventory.error is None:
            run.release(grant, HOLD_EXPIRED, now)
        return
    fields = {"state": "held", "stopped": stopped, "until": until, "owner": None}
    held = _set(run, grant, **fields)
    if held is not grant:
        _tell_hold(run, held)


def _is_starting(run: _Pass, grant: Grant) -> bool:
    """Has a living owner announced the container's start just now?"""
    if grant.owner is None or grant.renewed is None:
        return False
    age = (run.world.now - grant.renewed).total_seconds()
    return 0 <= age < START_SECONDS and run.world.is_alive(grant.owner)


def _tell_hold(run: _Pass, grant: Grant) -> None:
    run.tell(
        "hold",
        **describe(grant),
        stopped=grant.stopped and utc_stamp(grant.stopped),
        until=grant.until and utc_stamp(grant.until),
    )


def _hold_of_grant(
    world: World, grant: Grant, container: Container
) -> tuple[datetime, datetime | None]:
    """Return since when and until when a grant is held, by the policy of now.

    The engine is asked for the stop only where what is remembered may be old: a start
    was announced since, or the devices would be taken.
    """
    if grant.state == "held" and grant.stopped is not None:
        until = _until(world, container, grant.stopped, grant.until)
        is_old = grant.renewed is not None and grant.renewed >= grant.stopped
        if not is_old and (until is None or until > world.now):
            return grant.stopped, until
    stopped = _stopped(world, container, grant.stopped)
    stopped = max(stopped, grant.renewed or grant.since)
    return stopped, _until(world, container, stopped, grant.until)


def _stopped(world: World, container: Container, known: datetime | None) -> datetime:
    """Return when a container stopped, `known` where the engine cannot say."""
    if container.fresh:
        return container.created
    return world.view.stopped_at(container.id) or known or world.now


def _until(
    world: World, container: Container, stopped: datetime, known: datetime | None
) -> datetime | None:
    """Return until when a stopped container keeps its devices, None for ever.

    Where that cannot be said nothing is taken: `known` holds if it is yet to come. It
    is decided anew at each pass.
    """
    try:
        seconds = world.hold_of(container.uid)
    except HelperError:
        return known if known is not None and known > world.now else None
    if seconds is None:
        return None
    if container.fresh:
        seconds = max(seconds, _FRESH_SECONDS)
    return stopped + timedelta(seconds=seconds)


def _adopt(run: _Pass) -> None:
    """Give containers that carry devices the grants that the document lacks."""
    held = {grant.container_id for grant in run.document.grants}
    for container in run.world.view.containers:
        if not container.managed or not container.holds or container.id in held:
            continue
        before = run.document.passed.get(container.id)
        if before is not None and not container.active:
            continue
        uuids = own_devices(container, run.world.inventory)
        if not uuids or _is_pending(run, container, uuids):
            continue
        owners = {u: grant for grant in run.document.grants for u in grant.uuids}
        taken = [uuid for uuid in uuids if uuid in owners]
        if taken:
            if before != CONFLICT:
                _pass_over(run, container, CONFLICT)
                run.tell(
                    "conflict",
                    **_about(container, uuids),
                    holders=sorted({owners[uuid].container for uuid in taken}),
                )
            continue
        _take_in(run, container, uuids)


def own_devices(container: Container, inventory: Inventory) -> tuple[str, ...]:
    """Return the UUIDs that a container of ours was given, as they were then."""
    uuids: dict[str, None] = {}
    for word in container.holds:
        if word.startswith(("GPU-", "MIG-")):
            uuids[word] = None
        else:
            uuids |= dict.fromkeys(resolve((word,), inventory))
    return tuple(uuids)


def _is_pending(run: _Pass, container: Container, uuids: Sequence[str]) -> bool:
    """Is it the container that a living owner reserved for and will commit soon?"""
    return any(
        not grant.container_id
        and grant.uid == container.uid
        and set(grant.uuids) == set(uuids)
        for grant in run.document.grants
    )


def _pass_over(run: _Pass, container: Container, reason: str) -> None:
    passed = {**run.document.passed, container.id: reason}
    run.document = replace(run.document, passed=passed)


def _about(container: Container, uuids: Sequence[str]) -> dict[str, Any]:
    return {
        "container": container.name,
        "container_id": container.id,
        "uid": container.uid,
        "user": container.user,
        "request": container.request,
        "devices": list(uuids),
    }


def _take_in(run: _Pass, container: Container, uuids: Sequence[str]) -> None:
    """Make a container's grant anew; one whose time is over is passed by."""
    world = run.world
    stopped = until = None
    if not container.active:
        stopped = _stopped(world, container, None)
        until = _until(world, container, stopped, None)
        if until is not None and until <= world.now:
            _pass_over(run, container, HOLD_EXPIRED)
            run.tell("pass", **_about(container, uuids), reason=HOLD_EXPIRED)
            return
    found = {d.uuid: d for d in world.inventory.devices if not d.mig_mode}
    profiles = container.profiles if len(container.profiles) == len(uuids) else ()
    devices = tuple(
        granted(found[uuid])
        if uuid in found
        else _unseen(uuid, profiles[number] if profiles else "")
        for number, uuid in enumerate(uuids)
    )
    grant = Grant(
        container=container.name,
        uid=container.uid,
        user=container.user,
        devices=devices,
        request=container.request,
        state="allocated" if container.active else "held",
        since=container.created,
        until=until,
        container_id=container.id,
        stopped=stopped,
    )
    dirty = tuple(d for d in run.document.dirty if d.uuid not in uuids)
    run.document = replace(run.document.with_grant(grant), dirty=dirty)
    run.tell("adopt", **describe(grant), state=grant.state)


def _unseen(uuid: str, profile: str) -> GrantedDevice:
    """Return a device that NVML does not show, by its UUID and profile alone."""
    is_mig = uuid.startswith("MIG-")
    slices = profile.partition("g.")[0].rpartition("c.")[2]
    share = int(slices) / MIG_SLICES if is_mig and slices.isdigit() else 1.0
    return GrantedDevice(
        uuid=uuid,
        parent="" if is_mig else uuid,
        profile=profile or ("" if is_mig else FULL),
        start=None,
        size=None,
        share=share,
        is_mig=is_mig,
    )


def _forget(run: _Pass) -> None:
    """Drop what is known of containers that are gone, and tickets of dead waiters."""
    ids = {container.id for container in run.world.view.containers}
    passed = {k: v for k, v in run.document.passed.items() if k in ids}
    if len(passed) != len(run.document.passed):
        run.document = replace(run.document, passed=passed)
    left = [
        ticket
        for ticket in run.document.queue
        if ticket.owner is None or not run.world.is_alive(ticket.owner)
    ]
    if left:
        queue = tuple(t for t in run.document.queue if t not in left)
        freed = run.document.changes + 1
        run.document = replace(run.document, queue=queue, freed=freed)
    for ticket in left:
        run.tell(
            "leave",
            container=ticket.container,
            uid=ticket.uid,
            user=ticket.user,
            request=ticket.request,
            ticket=ticket.number,
            reason="owner-gone",
        )


def _check_devices(run: _Pass) -> None:
    """Note which granted devices are gone; never give others in their place."""
    found = {d.uuid: d for d in run.world.inventory.devices if not d.mig_mode}
    for grant in run.document.grants:
        lost = tuple(uuid for uuid in grant.uuids if uuid not in found)
        if lost != grant.lost:
            kind = "lost" if len(lost) > len(grant.lost) else "found"
            run.tell(kind, **describe(grant), lost=list(lost))
            grant = _set(run, grant, lost=lost)  # noqa: PLW2901
        if any(not d.parent and d.uuid in found for d in grant.devices):
            devices = tuple(
                granted(found[d.uuid]) if not d.parent and d.uuid in found else d
                for d in grant.devices
            )
            _set(run, grant, devices=devices)
