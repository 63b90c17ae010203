"""Which devices a request may be given, or which rule refuses it. Pure functions.

`check` knows nothing of what is free: it says what a request may have at all.
gpu_placement.choose takes of that what is free, and `none_free` says that nothing is.

Kinds are `full` and the MIG profiles that the host has. The smallest kind that a user
may have is the one with the least compute share, then the least memory, among those
that the limits do not rule out for good: whole GPUs need allow_full_gpu where MIG
instances exist, MIG instances max_mig_instances, and no kind may be larger than
max_gpus. What is used up does not change the kind: who has no 1g left does not get a
2g unasked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gpu_refusal import GrantedDevice, Holding, Refusal
from gpu_request import Request
from gpu_reservations import NO_RESERVATIONS, ReservationView
from gpu_types import Device, Inventory
from policy import Limits

__all__ = ["Allowed", "GrantedDevice", "Holding", "Refusal", "check", "none_free"]


@dataclass(frozen=True)
class Allowed:
    """What a request may be given: `count` devices out of one of the `groups`.

    The first group that has them free is taken. Devices in a group may be free or not.
    `until` names devices that must be given back at a time. `note` is what the user is
    told. A `count` of 0 is a container without GPU.
    """

    count: int
    groups: tuple[tuple[Device, ...], ...] = ()
    until: Mapping[str, datetime] = field(default_factory=dict)
    note: str = ""
    notes_of: Mapping[str, str] = field(default_factory=dict)

    @property
    def useful(self) -> frozenset[str]:
        """All devices that may be given, free or not."""
        return frozenset(device.uuid for group in self.groups for device in group)

    def until_of(self, devices: Iterable[Device]) -> datetime | None:
        """Return when devices that were chosen must be given back, None for never."""
        times = [self.until[d.uuid] for d in devices if d.uuid in self.until]
        return min(times, default=None)

    def note_of(self, devices: Iterable[Device]) -> str:
        """Return what the user of chosen devices is told, empty for nothing."""
        notes = [self.note, *(self.notes_of.get(d.uuid, "") for d in devices)]
        return "; ".join(dict.fromkeys(note for note in notes if note))


def check(
    request: Request,
    limits: Limits,
    holdings: Iterable[Holding],
    inventory: Inventory,
    *,
    containers: int | None = None,
    exclude: Collection[str] = (),
    free: Collection[str] = (),
    reserved: ReservationView = NO_RESERVATIONS,
) -> Allowed:
    """Return what a user's request may be given; raises Refusal.

    `holdings` are all of the user's, without the container that asks. `containers` is
    how many containers the user has already (None: not looked at). `free` are UUIDs, for
    the hints only. `reserved` is what the policy's reservations leave the user.
    """
    raise NotImplementedError


def none_free(request: Request, allowed: Allowed, free: Collection[str]) -> Refusal:
    """Return the refusal of a request of which not enough is free."""
    raise NotImplementedError
