"""What GPU decisions work on: plain values that inventory, allocator and gateway share.

Devices are known by UUID. Sizes are bytes, times aware UTC datetimes or seconds since
the epoch where named so; None is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ds01.core.processes import Process

MIG_SLICES = 7

FULL = "full"

State = Literal[
    "free",
    "reserved",
    "allocated",
    "held",
    "dirty",
    "foreign",
    "sick",
    "lost",
    "mig-empty",
    "unknown",
]


@dataclass(frozen=True)
class Device:
    """A device that a container can be given: a whole GPU, or a MIG instance of one.

    `uuid` is GPU-… or MIG-…; `parent` the UUID of the physical GPU (a whole GPU is its
    own). `profile` is `full` or MIG's, such as `1g.10gb`. `slices` of `total_slices`
    compute slices are its share; `start` and `size` its placement in memory slices
    (None for a whole GPU, or where NVML does not tell). `index` is for display only:
    `0`, or `0:2` for the third instance of GPU 0. `sick` is why it must not be handed
    out. A GPU in MIG mode is listed itself (`mig_mode`), and is never handed out.
    `instance` is the number of a MIG device's GPU instance.
    """

    uuid: str
    parent: str
    profile: str
    memory: int
    slices: int = 1
    total_slices: int = 1
    start: int | None = None
    size: int | None = None
    index: str = ""
    name: str = ""
    pci: str = ""
    mig_mode: bool = False
    sick: str | None = None
    processes: tuple[Process, ...] | None = ()
    utilisation: int | None = None
    memory_used: int | None = None
    temperature: int | None = None
    instance: int | None = None

    @property
    def is_mig(self) -> bool:
        return self.profile != FULL

    @property
    def share(self) -> float:
        """GPU-equivalents: 1 for a whole GPU, 1/7 for a 1g of an A100."""
        return self.slices / self.total_slices


@dataclass(frozen=True)
class Inventory:
    """All devices of the host at one moment.

    `error` says why NVML as a whole does not answer: then nothing is known, which is
    not the same as no devices. `links` ranks how two GPUs (by UUID, the smaller first)
    are connected: higher is better, NVLink above PCIe.
    """

    devices: tuple[Device, ...] = ()
    error: str | None = None
    links: Mapping[tuple[str, str], int] = field(default_factory=dict)
