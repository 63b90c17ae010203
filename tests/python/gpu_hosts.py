"""Hosts for tests of GPU decisions: A100 GPUs whole and divided, limits, holdings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ds01.gpus.devices.types import FULL, Device, Inventory
from ds01.gpus.rules.refusal import GrantedDevice, Holding
from ds01.policy.types import Limits

MIB = 1 << 20
# Profiles of an A100 80 GB: compute slices, memory slices, MiB as NVML shows them.
PROFILES = {
    "1g.10gb": (1, 1, 9728),
    "1g.20gb": (1, 2, 19968),
    "2g.20gb": (2, 2, 19968),
    "3g.40gb": (3, 4, 40192),
    "4g.40gb": (4, 4, 40192),
    "7g.80gb": (7, 8, 80896),
}


def whole(name: str, **changes: Any) -> Device:
    """Return a whole GPU that is not divided."""
    return replace(Device(name, name, FULL, 81920 * MIB), **changes)


def divided(name: str, *layout: tuple[str, int], **changes: Any) -> list[Device]:
    """Return a GPU in MIG mode and its instances: (profile, first memory slice)."""
    gpu = whole(name, slices=7, total_slices=7, mig_mode=True)
    devices = [gpu]
    for profile, start in layout:
        slices, size, memory = PROFILES[profile]
        device = Device(
            f"MIG-{name}-{start}",
            name,
            profile,
            memory * MIB,
            slices,
            7,
            start,
            size,
        )
        devices.append(replace(device, **changes))
    return devices


SEVEN = tuple(("1g.10gb", start) for start in range(7))
MIXED = (("3g.40gb", 0), ("2g.20gb", 4), ("1g.10gb", 6))


def host(*parts: Device | list[Device], **fields: Any) -> Inventory:
    devices: list[Device] = []
    for part in parts:
        devices += [part] if isinstance(part, Device) else part
    return Inventory(tuple(devices), **fields)


def limits(**changes: Any) -> Limits:
    """Return limits that allow everything but what is changed."""
    free = {
        "max_gpus": None,
        "max_mig_instances": None,
        "max_gpus_per_container": None,
        "allow_full_gpu": True,
        "max_containers_per_user": None,
    }
    return replace(Limits(), **{**free, **changes})


def granted(device: Device) -> GrantedDevice:
    return GrantedDevice(
        device.uuid,
        device.parent,
        device.profile,
        device.start,
        device.size,
        device.share,
        device.is_mig,
    )


def holding(*devices: Device, name: str = "old", state: Any = "allocated") -> Holding:
    return Holding(f"{name}._.1000", 1000, tuple(map(granted, devices)), state)
