"""The one place that calls NVML: takes the readings that readings.py judges.

The module pynvml comes in as a value; it has no types, so what it gives is Any here and
nowhere else. No call ends another: what fails becomes a Fault in its place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ds01.gpus.devices.readings import (
    FUNCTION_NOT_FOUND,
    NO_PERMISSION,
    NOT_ASKED,
    UNKNOWN,
    Answer,
    Attributes,
    Fault,
    Memory,
    RawGpu,
    RawInstance,
    RawProcess,
    find_profile,
)

_INVALID_ARGUMENT = 2
_NOT_FOUND = 6
_INSUFFICIENT_SIZE = 7
# The largest GPU instance of a GPU is all of its slices: 8, 7 (A100), 6 or 4 (A30).
_WHOLE_PROFILES = (0x5, 0x4, 0x6, 0x3)
_GRAPHICS_PROFILE = "+gfx"
_MPS_PROCESSES = "nvmlDeviceGetMPSComputeRunningProcesses"
_GRAPHICS_PROCESSES = "nvmlDeviceGetGraphicsRunningProcesses"
_MEMORY_V2 = 0x02000028
_UNCORRECTED = 1
_VOLATILE = 0
_TEMPERATURE_GPU = 0
_ATTEMPTS = 3
# How far back a process's use of a GPU is asked for.
_LOAD_SECONDS = 60.0


@dataclass(frozen=True)
class Handle:
    """A whole GPU, for calls on pairs."""

    uuid: str
    pci: str
    value: Any


class Reader:
    """Takes readings between nvmlInit and nvmlShutdown.

    `detail` asks for figures that only people read, too. `handles` holds the whole GPUs
    that were read.
    """

    def __init__(self, nvml: Any, detail: bool = False) -> None:
        self._nvml = nvml
        self._detail = detail
        self._may_see_instances = True
        self.handles: list[Handle] = []

    def ask(self, name: str, *words: Any) -> Any:
        """Return what a function of pynvml returns, or the Fault that it raised."""
        try:
            return getattr(self._nvml, name)(*words)
        except self._nvml.NVMLError as error:
            return Fault(int(error.value), str(error).rstrip("."))
        except AttributeError:
            return Fault(FUNCTION_NOT_FOUND, f"pynvml has no {name}")
        except UnicodeDecodeError:
            return Fault(UNKNOWN, "the answer is not text")

    def gpus(self) -> Answer[tuple[RawGpu, ...]]:
        """Return the readings of all GPUs, or why they cannot even be counted."""
        count = self.ask("nvmlDeviceGetCount")
        if isinstance(count, Fault):
            return count
        return tuple(self._gpu(index) for index in range(count))

    def _gpu(self, index: int) -> RawGpu:
        handle = self.ask("nvmlDeviceGetHandleByIndex", index)
        if isinstance(handle, Fault):
            return RawGpu(index, uuid=handle, fault=handle)
        mig = self._mig(handle)
        divided = not isinstance(mig, Fault) and bool(mig[0])
        slices, layout, instances = self._layout(handle) if divided else _UNDIVIDED
        uuid: Answer[str] = self.ask("nvmlDeviceGetUUID", handle)
        pci = self.pci("nvmlDeviceGetPciInfo", handle)
        if isinstance(uuid, str) and isinstance(pci, str) and not divided:
            self.handles.append(Handle(uuid, pci, handle))
        return RawGpu(
            index,
            uuid=uuid,
            name=self.ask("nvmlDeviceGetName", handle),
            pci=pci,
            memory=self._memory(handle),
            mig=mig,
            ecc=self.ask(
                "nvmlDeviceGetTotalEccErrors", handle, _UNCORRECTED, _VOLATILE
            ),
            retired=_as_bool(
                self.ask("nvmlDeviceGetRetiredPagesPendingStatus", handle)
            ),
            remap=self._remap(handle),
            processes=() if divided else self._processes(handle, graphics=True),
            utilisation=NOT_ASKED if divided else self._utilisation(handle),
            temperature=self._temperature(handle),
            slices=slices,
            layout=layout,
            instances=instances,
        )

    def _mig(self, handle: Any) -> Answer[tuple[int, int]]:
        mode = self.ask("nvmlDeviceGetMigMode", handle)
        return mode if isinstance(mode, Fault) else (int(mode[0]), int(mode[1]))

    def pci(self, name: str, *words: Any) -> Answer[str]:
        """Return the PCI address that a function of pynvml returns."""
        info = self.ask(name, *words)
        if isinstance(info, Fault):
            return info
        return normalise_pci(info.busId)

    def _memory(self, handle: Any) -> Answer[Memory]:
        # The second form leaves out what the driver keeps for itself.
        info = self.ask("nvmlDeviceGetMemoryInfo", handle, _MEMORY_V2)
        if isinstance(info, Fault) and not info.is_fatal:
            info = self.ask("nvmlDeviceGetMemoryInfo", handle)
        return info if isinstance(info, Fault) else Memory(info.total, info.used)

    def _remap(self, handle: Any) -> Answer[tuple[bool, bool]]:
        rows = self.ask("nvmlDeviceGetRemappedRows", handle)
        return rows if isinstance(rows, Fault) else (bool(rows[2]), bool(rows[3]))

    def _utilisation(self, handle: Any) -> Answer[int]:
        if not self._detail:
            return NOT_ASKED
        rates = self.ask("nvmlDeviceGetUtilizationRates", handle)
        return rates if isinstance(rates, Fault) else int(rates.gpu)

    def _temperature(self, handle: Any) -> Answer[int]:
        if not self._detail:
            return NOT_ASKED
        degrees = self.ask("nvmlDeviceGetTemperature", handle, _TEMPERATURE_GPU)
        return degrees if isinstance(degrees, Fault) else int(degrees)

    def _processes(
        self, handle: Any, graphics: bool, is_instance: bool = False
    ) -> Answer[tuple[RawProcess, ...]]:
        computing = self._listed("nvmlDeviceGetComputeRunningProcesses", handle)
        if isinstance(computing, Fault):
            return computing
        # Clients of NVIDIA's Multi-Process Service have a list of their own.
        found = [computing, self._listed(_MPS_PROCESSES, handle)]
        if graphics:
            found.append(self._listed(_GRAPHICS_PROCESSES, handle))
        processes: dict[int, RawProcess] = {}
        loads: dict[int, int] = {}
        if self._detail and not is_instance:
            lists = [listed for listed in found if not isinstance(listed, Fault)]
            pids = [int(entry.pid) for listed in lists for entry in listed]
            loads = self._loads(handle, pids) if pids else {}
        for number, listed in enumerate(found):
            if isinstance(listed, Fault):
                if not listed.is_absent:
                    return listed
                continue
            for entry in listed:
                pid, draws = int(entry.pid), number == 2
                process = RawProcess(pid, entry.usedGpuMemory, draws, loads.get(pid))
                processes.setdefault(pid, process)
        return tuple(processes[pid] for pid in sorted(processes))

    def _loads(self, handle: Any, pids: Iterable[int]) -> dict[int, int]:
        """Return how much each process used the GPU lately; empty if that is not told.

        NVML lists those only that used it.
        """
        since = int((time.time() - _LOAD_SECONDS) * 1e6)
        rows = self.ask("nvmlDeviceGetProcessUtilization", handle, since)
        loads = dict.fromkeys(pids, 0)
        if isinstance(rows, Fault):
            return loads if rows.code == _NOT_FOUND else {}
        for row in rows:
            loads[int(row.pid)] = max(loads.get(int(row.pid), 0), int(row.smUtil))
        return loads

    def _listed(self, name: str, handle: Any) -> Any:
        answer: Any = Fault(FUNCTION_NOT_FOUND, f"NVML has no {name}")
        for version in ("_v3", "_v2"):
            for _ in range(_ATTEMPTS):
                answer = self.ask(name + version, handle)
                # More processes came between pynvml's two calls.
                if not _is(answer, _INSUFFICIENT_SIZE):
                    break
            if not _is(answer, FUNCTION_NOT_FOUND):
                break
        return answer

    def _layout(
        self, gpu: Any
    ) -> tuple[Answer[int], Fault | None, tuple[RawInstance, ...]]:
        """Return the slices of a GPU in MIG mode, and its MIG devices."""
        most = self.ask("nvmlDeviceGetMaxMigDeviceCount", gpu)
        if isinstance(most, Fault):
            return most, most, ()
        instances: list[RawInstance] = []
        for index in range(most):
            handle = self.ask("nvmlDeviceGetMigDeviceHandleByIndex", gpu, index)
            if not isinstance(handle, Fault):
                instances.append(self._instance(gpu, handle, index))
            elif handle.is_fatal:
                return most, handle, tuple(instances)
            elif handle.code not in {_NOT_FOUND, _INVALID_ARGUMENT}:
                instances.append(RawInstance(index, uuid=handle))
        return self._slices(gpu, most), None, tuple(instances)

    def _slices(self, gpu: Any, most: int) -> int:
        for profile in _WHOLE_PROFILES:
            info = self.ask("nvmlDeviceGetGpuInstanceProfileInfo", gpu, profile, 1)
            if not isinstance(info, Fault) and info.sliceCount:
                return int(info.sliceCount)
        return most

    def _instance(self, gpu: Any, handle: Any, index: int) -> RawInstance:
        name: Answer[str] = self.ask("nvmlDeviceGetName", handle)
        known = find_profile(name) if isinstance(name, str) else None
        info = self._gpu_instance(gpu, handle)
        placement: Answer[tuple[int, int]]
        profile: Answer[str] = NOT_ASKED
        if isinstance(info, Fault):
            placement = info
        else:
            placement = (int(info.placement.start), int(info.placement.size))
            if not known:
                profile = self._profile_name(gpu, info.profileId)
        return RawInstance(
            index,
            uuid=self.ask("nvmlDeviceGetUUID", handle),
            name=name,
            memory=self._memory(handle),
            processes=self._processes(
                handle, known is None or _GRAPHICS_PROFILE in known, is_instance=True
            ),
            placement=placement,
            profile=profile,
            attributes=NOT_ASKED if known else self._attributes(handle),
            number=self.ask("nvmlDeviceGetGpuInstanceId", handle)
            if self._detail
            else NOT_ASKED,
        )

    def _gpu_instance(self, gpu: Any, handle: Any) -> Any:
        # Placements are for root: who was refused once need not ask for each.
        if not self._may_see_instances:
            return Fault(NO_PERMISSION)
        info = self.ask("nvmlDeviceGetGpuInstanceId", handle)
        if not isinstance(info, Fault):
            info = self.ask("nvmlDeviceGetGpuInstanceById", gpu, info)
        if not isinstance(info, Fault):
            info = self.ask("nvmlGpuInstanceGetInfo", info)
        self._may_see_instances = not _is(info, NO_PERMISSION)
        return info

    def _profile_name(self, gpu: Any, profile_id: int) -> Answer[str]:
        info = self.ask("nvmlDeviceGetGpuInstanceProfileInfoById", gpu, profile_id)
        return info if isinstance(info, Fault) else _text(info.name)

    def _attributes(self, handle: Any) -> Answer[Attributes]:
        has = self.ask("nvmlDeviceGetAttributes_v2", handle)
        if isinstance(has, Fault):
            return has
        return Attributes(
            int(has.gpuInstanceSliceCount),
            int(has.computeInstanceSliceCount),
            int(has.memorySizeMB),
        )


def normalise_pci(text: str | bytes) -> str:
    """Return a PCI address as the kernel writes it: `0000:07:00.0`."""
    address = _text(text)
    domain, colon, rest = address.lower().partition(":")
    return f"{domain[-4:]}{colon}{rest}" if domain[:-4].strip("0") == "" else address


def _text(value: str | bytes) -> str:
    # pynvml decodes in some structures only.
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _is(answer: object, code: int) -> bool:
    return isinstance(answer, Fault) and answer.code == code


def _as_bool(answer: Any) -> Answer[bool]:
    return answer if isinstance(answer, Fault) else bool(answer)


_UNDIVIDED: tuple[Answer[int], None, tuple[RawInstance, ...]] = (NOT_ASKED, None, ())
