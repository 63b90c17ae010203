"""What the rules allow a request, and the refusal if nothing of it is free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from ds01.core.errors import Exit
from ds01.gpus.devices.types import Device
from ds01.gpus.rules.refusal import Broken, Refusal
from ds01.gpus.rules.request import Request, format_request


@dataclass(frozen=True)
class Allowed:
    """What a request may be given: `count` devices out of one of the `groups`.

    The first group that has them free is taken. Devices in a group may be free or not.
    `until` names devices that must be given back at a time, `notes` what the user of a
    device is told, `note` what is told in any case. A `count` of 0 is a container
    without GPU.
    """

    count: int
    groups: tuple[tuple[Device, ...], ...] = ()
    until: Mapping[str, datetime] = field(default_factory=dict)
    note: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def useful(self) -> frozenset[str]:
        """All devices that may be given, free or not."""
        return frozenset(device.uuid for group in self.groups for device in group)

    def until_of(self, devices: Iterable[Device]) -> datetime | None:
        """Return when devices that were chosen must be given back, None for never."""
        times = [self.until[d.uuid] for d in devices if d.uuid in self.until]
        return min(times, default=None)

    def note_of(self, devices: Iterable[Device]) -> str:
        """Return what the user of devices that were chosen is told, or nothing."""
        notes = [self.note, *(self.notes.get(d.uuid, "") for d in devices)]
        return "; ".join(dict.fromkeys(note for note in notes if note))


def none_free(request: Request, allowed: Allowed, free: Collection[str]) -> Refusal:
    """Return the refusal of a request that has not enough free of what it may have."""
    useful = allowed.useful
    have = sum(uuid in free for uuid in useful)
    common = "run 'gpu-status' to see who has what, or add '--wait' to wait"
    if request.kind == "device":
        busy = sorted(uuid for uuid in useful if uuid not in free)
        code, message = "device-busy", f"GPU '{busy[0]}' is not free"
    else:
        code = "no-free-device"
        message = (
            f"no GPU is free for '{format_request(request)}': {have} of the "
            f"{len(useful)} that would do are free, and {allowed.count} needed"
        )
    return Refusal(
        Broken(code, "devices-of-the-server", have, allowed.count, len(useful)),
        message,
        code=Exit.NO_GPU,
        hint=common,
        useful=useful,
    )
