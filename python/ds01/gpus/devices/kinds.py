"""The kinds of devices that a host has to give. Pure functions over an inventory.

Kinds are `full` and the MIG profiles. What is sick, excluded by the policy, a GPU that
is divided into MIG instances or is to be (MIG mode without any) is not to be given.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from ds01.gpus.devices.types import FULL, Device, Inventory


@dataclass(frozen=True)
class Host:
    """What there is to give: `kinds`, the smallest first, and why the rest is not.

    `kinds` holds at least one device for each kind. `withheld` tells for every other
    device why not. `has_mig` if MIG instances exist, whatever their state.
    """

    kinds: dict[str, tuple[Device, ...]] = field(default_factory=dict)
    by_uuid: dict[str, Device] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    has_mig: bool = False


def survey(inventory: Inventory, exclude: Collection[str]) -> Host:
    """Return what a host has to give; `exclude` names GPUs or instances by UUID."""
    excluded = {uuid.lower() for uuid in exclude}
    divided = {device.parent for device in inventory.devices if device.is_mig}
    kinds: dict[str, list[Device]] = {}
    withheld: dict[str, str] = {}
    for device in inventory.devices:
        why = _withheld(device, divided, excluded)
        if why:
            withheld[device.uuid] = why
        else:
            kinds.setdefault(device.profile, []).append(device)
    ordered = sorted(kinds, key=lambda kind: _rank(kind, kinds[kind]))
    return Host(
        {kind: tuple(sorted(kinds[kind], key=by_uuid)) for kind in ordered},
        {device.uuid.lower(): device for device in inventory.devices},
        withheld,
        bool(divided),
    )


def _withheld(device: Device, divided: Collection[str], excluded: set[str]) -> str:
    if excluded and not excluded.isdisjoint(
        (device.uuid.lower(), device.parent.lower())
    ):
        return "exclude"
    if not device.is_mig and device.uuid in divided:
        return "mig-parent"
    if device.mig_mode:
        return "mig-empty"
    return "sick" if device.sick else ""


def by_uuid(device: Device) -> str:
    """The order of devices wherever nothing else decides."""
    return device.uuid


def _rank(kind: str, devices: Collection[Device]) -> tuple[float, int, str]:
    return (
        min(device.share for device in devices),
        min(device.memory for device in devices),
        kind,
    )


def memory_of(device: Device) -> int:
    """Return the memory of a device, as its profile names it if that is more.

    NVML shows a little less for some: a 1g.18gb has 16.5 GiB.
    """
    named = re.search(r"g\.(\d+)gb", device.profile)
    return max(device.memory, int(named[1]) * 10**9 if named else 0)


def name_of(kind: str) -> str:
    """Return a kind in words."""
    return "whole GPU" if kind == FULL else f"'{kind}'"
