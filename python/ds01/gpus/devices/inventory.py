"""What GPU devices this host has and which are sound, as NVML tells now.

`read_inventory` reads NVML (the package nvidia-ml-py, module pynvml) and /proc. An
inventory has `devices` (whole GPUs and MIG devices, with their processes), `links`
(how whole GPUs are connected, higher is better) and `error`: why NVML does not answer,
None if it does. An error means that nothing is known; a host without GPUs has no
devices and no error.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ds01.core import processes
from ds01.core.processes import Process
from ds01.gpus.devices.health import devices_of
from ds01.gpus.devices.links import rank_links, read_links
from ds01.gpus.devices.nvml import Reader, normalise_pci
from ds01.gpus.devices.readings import Fault, RawGpu, RawProcess
from ds01.gpus.devices.types import Inventory

_LIBRARY = "libnvidia-ml.so.1"
_LIBRARY_NOT_FOUND = 12
_REASONS = {
    4: "no permission to ask the NVIDIA driver",
    9: "the NVIDIA driver is not loaded",
    _LIBRARY_NOT_FOUND: f"the NVIDIA driver's library {_LIBRARY} cannot be loaded",
    18: "the NVIDIA driver and its library are of different versions, as after an "
    "upgrade without a reboot",
}
_UUID_LINE = re.compile(r"^GPU UUID:\s*(GPU-[0-9a-f-]{36})\s*$", re.MULTILINE)


def read_inventory(
    proc: Path = Path("/proc"),
    *,
    dev: Path = Path("/dev"),
    detail: bool = False,
    links: bool = True,
) -> Inventory:
    """Return all devices, or why nothing is known of them.

    Utilisation and temperature are asked for with `detail` only. Without `links`, how
    GPUs are connected is not asked.
    """
    try:
        import pynvml  # noqa: PLC0415 - most commands need no GPU
    except ImportError:
        if _has_driver(proc, dev) or _has_library():
            return Inventory(error="the Python package nvidia-ml-py is missing")
        return Inventory()
    # Known only now: pynvml's own exception.
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        code = int(error.value)
        if code == _LIBRARY_NOT_FOUND and not _has_driver(proc, dev):
            return Inventory()
        return Inventory(error=_reason(Fault(code, str(error))))
    try:
        return _read(Reader(pynvml, detail), proc, links)
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _read(reader: Reader, proc: Path, links: bool) -> Inventory:
    gpus = reader.gpus()
    if isinstance(gpus, Fault):
        return Inventory(error=_reason(gpus))
    describe = _describer(proc)
    devices = [
        device
        for gpu in with_kernel_uuids(gpus, proc)
        for device in devices_of(gpu, describe)
    ]
    ranks = rank_links(read_links(reader)) if links else {}
    return Inventory(tuple(devices), links=ranks)


def _reason(fault: Fault) -> str:
    return _REASONS.get(fault.code) or f"NVML does not answer: {str(fault).rstrip('.')}"


def _has_driver(proc: Path, dev: Path) -> bool:
    return (proc / "driver/nvidia").exists() or (dev / "nvidiactl").exists()


def _has_library() -> bool:
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def _describer(proc: Path) -> Callable[[RawProcess], Process | None]:
    """Return what looks up a process, each once; display servers are left out."""
    own = processes.read_own(proc)
    known: dict[int, Process] = {}

    def describe(raw: RawProcess) -> Process | None:
        if raw.pid not in known:
            known[raw.pid] = processes.read_process(raw.pid, proc, own)
        found = known[raw.pid]
        if raw.draws and processes.is_display(found):
            return None
        return replace(found, memory=raw.memory, utilisation=raw.utilisation)

    return describe


def with_kernel_uuids(gpus: Sequence[RawGpu], proc: Path) -> Iterator[RawGpu]:
    """Return the GPUs; those that do not tell their UUID get it from the kernel.

    The driver's files in /proc keep the UUIDs. Which is whose is certain only where as
    many are left over as are missing; both go by PCI address. The fault stays: a GPU is
    sick for it, but known.
    """
    missing = [gpu for gpu in gpus if isinstance(gpu.uuid, Fault)]
    if not missing:
        yield from gpus
        return
    read = {gpu.uuid for gpu in gpus if isinstance(gpu.uuid, str)}
    left = [item for item in _kernel_uuids(proc) if item[1] not in read]
    certain = len(left) == len(missing)
    rest = iter(left if certain else [])
    for gpu in gpus:
        if certain and isinstance(gpu.uuid, Fault):
            pci, uuid = next(rest)
            yield replace(gpu, uuid=uuid, pci=pci, fault=gpu.fault or gpu.uuid)
        else:
            yield gpu


def _kernel_uuids(proc: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for file in sorted((proc / "driver/nvidia/gpus").glob("*/information")):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        match = _UUID_LINE.search(text)
        if match:
            found.append((normalise_pci(file.parent.name), match[1]))
    return found
