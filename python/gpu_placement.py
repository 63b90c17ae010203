"""Which of the free devices a request gets. Pure functions."""

from __future__ import annotations

from collections.abc import Collection

from gpu_rules import Allowed
from gpu_types import Device, Inventory


def choose(
    allowed: Allowed,
    free: Collection[str],
    inventory: Inventory,
    strategy: str = "pack",
) -> tuple[Device, ...] | None:
    """Return the devices that a request gets, None if not enough is free.

    `free` are the UUIDs of devices that may be handed out now.
    """
    raise NotImplementedError
