"""Stands in for the module pynvml, to raise what no driver raises on demand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ds01.gpus.devices.inventory import read_inventory
from ds01.gpus.devices.types import Inventory

GIB = 1 << 30


class NvmlError(Exception):
    """Stands for pynvml's NVMLError."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return f"Error {self.value}."


Answers = dict[str, Any]


@dataclass
class Driver:
    """Stands for the module pynvml: handles are the answers of their device.

    An answer is a value, an exception to raise, or a function to call.
    """

    gpus: list[Any] = field(default_factory=list)
    init: Exception | None = None
    count: Exception | None = None
    open: int = 0
    calls: list[str] = field(default_factory=list)
    NVMLError = NvmlError

    def nvmlInit(self) -> None:
        if self.init:
            raise self.init
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        if self.count:
            raise self.count
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        return self._give(self.gpus[index])

    def _give(self, answer: Any, *words: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer(*words) if callable(answer) else answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("nvml"):
            raise AttributeError(name)

        def call(handle: Answers, *words: Any) -> Any:
            assert self.open > 0, "NVML was asked before its start or after its end"
            self.calls.append(name)
            return self._give(handle.get(name, NvmlError(3)), *words)

        return call


def memory(total: int, used: int = 0) -> SimpleNamespace:
    return SimpleNamespace(total=total, used=used)


def running(*pids: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=1000 + pid) for pid in pids]


def gpu(number: int, **changed: Any) -> Answers:
    answers: Answers = {
        "nvmlDeviceGetUUID": f"GPU-{number}",
        "nvmlDeviceGetName": "NVIDIA A100-SXM4-40GB",
        "nvmlDeviceGetPciInfo": SimpleNamespace(busId=f"00000000:0{number}:00.0"),
        "nvmlDeviceGetMemoryInfo": memory(40 * GIB),
        "nvmlDeviceGetMigMode": [0, 0],
        "nvmlDeviceGetTotalEccErrors": 0,
        "nvmlDeviceGetRemappedRows": (0, 0, 0, 0),
        "nvmlDeviceGetComputeRunningProcesses_v3": [],
        "nvmlDeviceGetGraphicsRunningProcesses_v3": [],
    }
    return answers | {f"nvmlDeviceGet{key}": value for key, value in changed.items()}


def instance(number: int, profile: str = "1g.5gb", **changed: Any) -> Answers:
    answers: Answers = {
        "nvmlDeviceGetUUID": f"MIG-{number}",
        "nvmlDeviceGetName": f"NVIDIA A100-SXM4-40GB MIG {profile}",
        "nvmlDeviceGetMemoryInfo": memory(5 * GIB),
        "nvmlDeviceGetComputeRunningProcesses_v3": [],
        "nvmlDeviceGetGpuInstanceId": number + 7,
    }
    return answers | {f"nvmlDeviceGet{key}": value for key, value in changed.items()}


def divided(number: int, instances: list[Any], **changed: Any) -> Answers:
    def by_index(index: int) -> Any:
        answer = instances[index] if index < len(instances) else None
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            raise NvmlError(6)
        return answer

    def by_id(wanted: int) -> Answers:
        place = SimpleNamespace(start=wanted - 7, size=1)
        return {
            "nvmlGpuInstanceGetInfo": SimpleNamespace(profileId=19, placement=place)
        }

    answers: Answers = {
        "MigMode": [1, 1],
        "MaxMigDeviceCount": 7,
        "MigDeviceHandleByIndex": by_index,
        "GpuInstanceById": by_id,
    }
    return gpu(number, **(answers | changed))


def linked(driver: Driver, levels: dict[tuple[int, int], int]) -> Driver:
    """Give the GPUs common ancestors."""
    for a, answers in enumerate(driver.gpus):
        by_uuid = {
            driver.gpus[b]["nvmlDeviceGetUUID"]: level
            for (x, b), level in levels.items()
            if x == a
        }
        answers["nvmlDeviceGetTopologyCommonAncestor"] = lambda other, by=by_uuid: by[
            other["nvmlDeviceGetUUID"]
        ]
    return driver


def taker(host: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Inventory]:
    """Return what takes an inventory of a driver, on a host without one otherwise."""
    for name in ("proc", "dev"):
        (host / name).mkdir(exist_ok=True)

    def take(driver: Driver, **words: bool) -> Inventory:
        monkeypatch.setitem(sys.modules, "pynvml", driver)
        found = read_inventory(host / "proc", dev=host / "dev", **words)
        assert driver.open == 0, "NVML was left open"
        return found

    return take


def uuids(inventory: Inventory) -> list[str]:
    return [device.uuid for device in inventory.devices]


def sick(inventory: Inventory) -> dict[str, str]:
    return {d.uuid: d.sick for d in inventory.devices if d.sick}
