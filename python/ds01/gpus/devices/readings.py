"""What NVML answered about GPUs: plain values, not judged yet.

Every answer is either what was asked for or the fault that came instead. nvml.py
takes the readings, health.py judges them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar, Union

# NVML's codes, as far as decisions need them.
NOT_SUPPORTED = 3
NO_PERMISSION = 4
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
UNKNOWN = 999

# The device or the driver has no such thing (vGPU without ECC, an older interface).
_ABSENT = frozenset({NOT_SUPPORTED, FUNCTION_NOT_FOUND, 22, 25, 26})
_FATAL = frozenset({GPU_IS_LOST, RESET_REQUIRED})
_PROFILE = re.compile(r"(?:(\d+)c\.)?(\d+)g\.\d+gb(?:[+-]\w+(?:\.\w+)*)*")


@dataclass(frozen=True)
class Fault:
    """What NVML answered instead of a value."""

    code: int
    text: str = ""

    @property
    def is_absent(self) -> bool:
        """Tell that there is no such thing, which is no fault of the device."""
        return self.code in _ABSENT

    @property
    def is_fatal(self) -> bool:
        """Tell that the GPU is gone for all calls."""
        return self.code in _FATAL

    def __str__(self) -> str:
        return self.text or f"NVML error {self.code}"


T = TypeVar("T")
Answer = Union[T, Fault]  # noqa: UP007 - an alias with a type of its own
NOT_ASKED = Fault(NOT_SUPPORTED, "not asked")


@dataclass(frozen=True)
class Memory:
    """Sizes in bytes."""

    total: int
    used: int


@dataclass(frozen=True)
class RawProcess:
    """A process as NVML lists it; `draws` if it only uses the GPU for graphics.

    `utilisation` is the most, in percent, of the last minute's samples.
    """

    pid: int
    memory: int | None = None
    draws: bool = False
    utilisation: int | None = None


@dataclass(frozen=True)
class Attributes:
    """Slices of a MIG device: of its GPU instance, and its own of those."""

    gpu_slices: int
    compute_slices: int
    memory_mb: int


@dataclass(frozen=True)
class RawInstance:
    """The answers about a MIG device; `placement` is start and size, `number` that of
    its GPU instance."""

    index: int
    uuid: Answer[str]
    name: Answer[str] = NOT_ASKED
    memory: Answer[Memory] = NOT_ASKED
    processes: Answer[tuple[RawProcess, ...]] = NOT_ASKED
    placement: Answer[tuple[int, int]] = NOT_ASKED
    profile: Answer[str] = NOT_ASKED
    attributes: Answer[Attributes] = NOT_ASKED
    number: Answer[int] = NOT_ASKED


@dataclass(frozen=True)
class RawGpu:
    """The answers about a GPU.

    `fault` is of the GPU as a whole, `layout` where its MIG devices cannot be listed.
    `mig` is the current and the pending mode, `remap` tells if rows wait to be remapped
    and if that failed.
    """

    index: int
    uuid: Answer[str]
    name: Answer[str] = NOT_ASKED
    pci: Answer[str] = NOT_ASKED
    memory: Answer[Memory] = NOT_ASKED
    mig: Answer[tuple[int, int]] = NOT_ASKED
    ecc: Answer[int] = NOT_ASKED
    retired: Answer[bool] = NOT_ASKED
    remap: Answer[tuple[bool, bool]] = NOT_ASKED
    processes: Answer[tuple[RawProcess, ...]] = NOT_ASKED
    utilisation: Answer[int] = NOT_ASKED
    temperature: Answer[int] = NOT_ASKED
    slices: Answer[int] = NOT_ASKED
    fault: Fault | None = None
    layout: Fault | None = None
    instances: tuple[RawInstance, ...] = ()

    @property
    def is_divided(self) -> bool:
        """Tell that the GPU is in MIG mode now."""
        return not isinstance(self.mig, Fault) and bool(self.mig[0])


def find_profile(text: str) -> str | None:
    """Return the MIG profile that a name ends in, such as `1g.5gb` or `1c.3g.20gb`."""
    found = [match[0] for match in _PROFILE.finditer(text)]
    return found[-1] if found else None


def compute_slices(profile: str) -> int:
    """Return the compute slices of a MIG profile: 3 of `3g.20gb`, 1 of `1c.3g.20gb`."""
    match = _PROFILE.fullmatch(profile)
    return int(match[1] or match[2]) if match else 1
