"""What the policy's reservations leave to a user. Pure functions.

A reservation names no devices but keeps a number of GPUs. Which ones is decided anew at
every look, from the same facts for everybody, until their shares add up to that number:

1. what its own users hold already, then what is free or comes free before it opens,
   then what others hold;
2. whole GPUs before MIG instances; but no whole GPU for users who may not have one;
3. instances of the GPU that others use least, then from the last UUID backwards, since
   placement begins with the first.

Reservations whose times overlap keep different devices; the earlier one chooses first.

While it is open its devices are for its users only. Before that, others may have them
if their max_runtime ends in time; otherwise only until it opens, and not at all in the
last hour before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from ds01.gpus.devices.kinds import survey
from ds01.gpus.devices.types import Device, Inventory
from ds01.gpus.rules.refusal import exact
from ds01.policy.types import Entry, Policy, Reservation

# A container that must end sooner than this is of no use to anybody.
SHORTEST_RUN = timedelta(hours=1)


@dataclass(frozen=True)
class Holder:
    """Who has a device: name and group of the policy, and until when (None: open)."""

    user: str
    group: str
    until: datetime | None = None


@dataclass(frozen=True)
class ReservationView:
    """What reservations mean for one user now.

    `blocked` devices are not for the user before the time given, `until` devices only
    until then, `mine` are kept for the user. `names` tells the reservation of a device
    that is blocked or limited.
    """

    blocked: Mapping[str, datetime] = field(default_factory=dict)
    until: Mapping[str, datetime] = field(default_factory=dict)
    mine: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)


NO_RESERVATIONS = ReservationView()


def reservation_view(
    policy: Policy,
    inventory: Inventory,
    holders: Mapping[str, Holder],
    *,
    user: str,
    group: str,
    max_runtime: int | None,
    now: datetime,
) -> ReservationView:
    """Return what the reservations leave to a user of a group of the policy.

    `holders` tells who has each device that is not free.
    """
    kept = kept_devices(policy, inventory, holders, now)
    if not kept:
        return NO_RESERVATIONS
    end = None if max_runtime is None else now + timedelta(seconds=max_runtime)
    blocked: dict[str, datetime] = {}
    until: dict[str, datetime] = {}
    mine: set[str] = set()
    names: dict[str, str] = {}
    for reservation, uuids in kept:
        if is_for(reservation, user, group):
            if reservation.start <= now:
                mine |= uuids
            continue
        if end is not None and end <= reservation.start:
            continue
        is_soon = reservation.start - now < SHORTEST_RUN
        for uuid in uuids:
            if is_soon:
                blocked[uuid] = max(blocked.get(uuid, now), reservation.end)
            else:
                until[uuid] = min(until.get(uuid, reservation.start), reservation.start)
            names.setdefault(uuid, reservation.name)
    return ReservationView(blocked, until, frozenset(mine), names)


def is_for(reservation: Reservation, user: str, group: str) -> bool:
    """Is a reservation for this user, by name or by group of the policy?"""
    return user in reservation.users or group in reservation.groups


def kept_devices(
    policy: Policy,
    inventory: Inventory,
    holders: Mapping[str, Holder],
    now: datetime,
) -> list[tuple[Reservation, frozenset[str]]]:
    """Return the reservations that are not over, each with the devices it keeps."""
    coming = sorted(
        (item for item in policy.reservations if item.end > now),
        key=lambda item: (item.start, item.name),
    )
    if not coming:
        return []
    host = survey(inventory, policy.allocation.exclude)
    usable = [device for devices in host.kinds.values() for device in devices]
    kept: list[tuple[Reservation, frozenset[str]]] = []
    for reservation in coming:
        others: set[str] = set()
        for earlier, uuids in kept:
            if earlier.end > reservation.start:
                others |= uuids
        whole = not host.has_mig or _may_have_whole(policy, reservation)
        devices = [
            device
            for device in usable
            if device.uuid not in others and (whole or device.is_mig)
        ]
        kept.append((reservation, _pick(reservation, devices, holders)))
    return kept


def _pick(
    reservation: Reservation,
    devices: Iterable[Device],
    holders: Mapping[str, Holder],
) -> frozenset[str]:
    def held(device: Device) -> int:
        """0 held by its users, 1 free in time, 2 held by others."""
        holder = holders.get(device.uuid)
        if holder is None:
            return 1
        if is_for(reservation, holder.user, holder.group):
            return 0
        is_in_time = holder.until is not None and holder.until <= reservation.start
        return 1 if is_in_time else 2

    backwards = sorted(
        devices, key=lambda d: (d.parent, d.start or 0, d.uuid), reverse=True
    )
    disturbed = Counter(device.parent for device in backwards if held(device) == 2)
    ordered = sorted(backwards, key=lambda d: (held(d), d.is_mig, disturbed[d.parent]))
    total, need = Fraction(0), exact(reservation.gpus)
    kept: list[str] = []
    for device in ordered:
        if total >= need:
            break
        total += exact(device.share)
        kept.append(device.uuid)
    return frozenset(kept)


def _may_have_whole(policy: Policy, reservation: Reservation) -> bool:
    """May any of a reservation's users have a whole GPU where MIG instances exist?

    By the policy alone: whose Unix groups decide the group counts with the defaults.
    """
    default = policy.defaults.get("allow_full_gpu")

    def allows(limits: Mapping[str, Entry]) -> bool:
        entry = limits.get("allow_full_gpu", default)
        return entry is not None and entry.value is True

    layers = [policy.groups[name].limits for name in reservation.groups]
    for user in reservation.users:
        if user in policy.overrides and allows(policy.overrides[user].limits):
            return True
        groups = [g for g in policy.groups.values() if user in g.members]
        layers.append(groups[0].limits if groups else {})
    return any(allows(limits) for limits in layers)
