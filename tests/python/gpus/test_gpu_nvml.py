"""What the inventory makes of NVML's answers, call by call: faults, processes, MIG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ds01.core.processes import Process
from ds01.gpus.devices.types import Inventory
from nvml_stand_in import (
    GIB,
    Driver,
    NvmlError,
    divided,
    gpu,
    instance,
    memory,
    running,
    sick,
    taker,
    uuids,
)

ID = "4b3f136f7c626f8fb13e8fd1c16771d759258b0eb361fd0a57251fdc1932cbbe"
Take = Callable[..., Inventory]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name in ("proc", "dev"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def inventory(host: Path, monkeypatch: pytest.MonkeyPatch) -> Take:
    return taker(host, monkeypatch)


# One device and the others.


def test_a_lost_gpu_does_not_hide_the_others(inventory: Take) -> None:
    found = inventory(Driver([gpu(0), NvmlError(15), gpu(2)]))
    assert uuids(found) == ["GPU-0", "unreadable-1", "GPU-2"]
    assert sick(found) == {"unreadable-1": "the GPU is lost: it has fallen off the bus"}


def test_a_gpu_that_no_one_may_see_is_sick(inventory: Take) -> None:
    found = inventory(Driver([NvmlError(4), gpu(1)]))
    assert sick(found) == {"unreadable-0": "NVML does not reach it: Error 4"}


def test_a_gpu_lost_between_two_calls_keeps_what_it_said(inventory: Take) -> None:
    lost = {"MemoryInfo": NvmlError(15), "TotalEccErrors": NvmlError(15)}
    found = inventory(Driver([gpu(0, **lost), gpu(1)]))
    assert uuids(found) == ["GPU-0", "GPU-1"]
    assert sick(found) == {"GPU-0": "the GPU is lost: it has fallen off the bus"}
    assert found.devices[0].memory == 0


def test_calls_that_an_old_driver_lacks_do_no_harm(inventory: Take) -> None:
    old = gpu(
        0,
        MigMode=NvmlError(3),
        RemappedRows=NvmlError(13),
        TotalEccErrors=NvmlError(3),
        ComputeRunningProcesses_v3=NvmlError(13),
        ComputeRunningProcesses_v2=running(5),
        GraphicsRunningProcesses_v3=NvmlError(13),
        GraphicsRunningProcesses_v2=running(6),
    )
    (device,) = inventory(Driver([old])).devices
    assert device.sick is None
    assert [process.pid for process in device.processes or ()] == [5, 6]


def test_memory_is_without_the_drivers_own_where_nvml_can_tell(inventory: Take) -> None:
    def info(version: int | None = None) -> SimpleNamespace:
        return memory(40 * GIB, 0 if version else GIB)

    def old_info(version: int | None = None) -> SimpleNamespace:
        if version:
            raise NvmlError(13)
        return memory(40 * GIB, GIB)

    found = inventory(Driver([gpu(0, MemoryInfo=info), gpu(1, MemoryInfo=old_info)]))
    assert [device.memory_used for device in found.devices] == [0, GIB]


def test_a_name_that_is_no_text_is_sick(inventory: Take) -> None:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")
    found = inventory(Driver([gpu(0, Name=error)]))
    assert sick(found) == {"GPU-0": "its name cannot be read: the answer is not text"}


def test_figures_for_people_are_asked_for_only_when_wanted(inventory: Take) -> None:
    driver = Driver(
        [gpu(0, UtilizationRates=SimpleNamespace(gpu=42), Temperature=lambda _: 50)]
    )
    (device,) = inventory(driver).devices
    assert (device.utilisation, device.temperature) == (None, None)
    (device,) = inventory(driver, detail=True).devices
    assert (device.utilisation, device.temperature) == (42, 50)


# Processes.


def process(host: Path, pid: int, name: str, cgroup: str) -> None:
    folder = host / f"proc/{pid}"
    folder.mkdir()
    (folder / "status").write_text(f"Name:\t{name}\nUid:\t1001\t0\t0\t0\n")
    (folder / "cgroup").write_text(cgroup)


def test_processes_are_found_in_their_containers(inventory: Take, host: Path) -> None:
    process(host, 5, "python", f"0::/ds01/u1001/{ID}\n")
    process(host, 6, "blender", "0::/user.slice\n")
    device = gpu(
        0,
        ComputeRunningProcesses_v3=running(5, 9),
        GraphicsRunningProcesses_v3=running(5, 6),
    )
    (found,) = inventory(Driver([device])).devices
    assert found.processes == (
        Process(5, "python", 1001, ID, 1005),
        Process(6, "blender", 1001, None, 1006),
        Process(9, memory=1009),
    )


def test_a_display_server_does_not_count_but_a_computing_one_does(
    inventory: Take, host: Path
) -> None:
    process(host, 5, "Xorg", "0::/\n")
    drawing = gpu(0, GraphicsRunningProcesses_v3=running(5))
    computing = gpu(1, ComputeRunningProcesses_v3=running(5))
    found = inventory(Driver([drawing, computing])).devices
    assert found[0].processes == ()
    assert [p.pid for p in found[1].processes or ()] == [5]


def test_clients_of_the_multi_process_service_count(inventory: Take) -> None:
    shared = gpu(
        0,
        ComputeRunningProcesses_v3=running(5),
        MPSComputeRunningProcesses_v3=running(5, 6),
    )
    (found,) = inventory(Driver([shared])).devices
    assert [process.pid for process in found.processes or ()] == [5, 6]


def test_a_process_on_two_gpus_has_its_memory_on_each(inventory: Take) -> None:
    more = [SimpleNamespace(pid=5, usedGpuMemory=None)]
    gpus = [
        gpu(0, ComputeRunningProcesses_v3=running(5)),
        gpu(1, ComputeRunningProcesses_v3=more),
    ]
    found = inventory(Driver(gpus)).devices
    assert [d.processes for d in found] == [
        (Process(5, memory=1005),),
        (Process(5, memory=None),),
    ]


def test_processes_that_multiply_meanwhile_are_asked_for_again(inventory: Take) -> None:
    answers = iter([NvmlError(7), running(5)])

    def growing() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    (found,) = inventory(Driver([gpu(0, ComputeRunningProcesses_v3=growing)])).devices
    assert [p.pid for p in found.processes or ()] == [5]
    always = gpu(0, ComputeRunningProcesses_v3=NvmlError(7))
    assert inventory(Driver([always])).devices[0].processes is None


def test_graphics_that_cannot_be_read_leave_the_processes_unknown(
    inventory: Take,
) -> None:
    (found,) = inventory(
        Driver([gpu(0, GraphicsRunningProcesses_v3=NvmlError(999))])
    ).devices
    assert (found.processes, found.sick) == (None, None)


# MIG.


def test_instances_are_listed_over_holes_in_the_index(inventory: Take) -> None:
    found = inventory(Driver([divided(0, [None, instance(1), None, instance(3)])]))
    assert uuids(found) == ["GPU-0", "MIG-1", "MIG-3"]
    assert [d.index for d in found.devices] == ["0", "0:1", "0:3"]
    assert [(d.start, d.size) for d in found.devices[1:]] == [(1, 1), (3, 1)]
    assert sick(found) == {}


def test_the_slices_are_those_of_the_largest_instance(inventory: Take) -> None:
    def info(profile: int, version: int) -> SimpleNamespace:
        if profile != 3:
            raise NvmlError(3)
        return SimpleNamespace(sliceCount=4)

    a30 = divided(0, [instance(0)], MaxMigDeviceCount=4, GpuInstanceProfileInfo=info)
    other = divided(1, [instance(1)], MaxMigDeviceCount=4)
    found = inventory(Driver([a30, other, divided(2, [instance(2)])])).devices
    assert [d.total_slices for d in found] == [4, 4, 4, 4, 7, 7]


def test_who_may_not_see_placements_asks_only_once(inventory: Take) -> None:
    driver = Driver(
        [divided(0, [instance(n) for n in range(7)], GpuInstanceById=NvmlError(4))]
    )
    found = inventory(driver)
    assert {(d.start, d.sick) for d in found.devices} == {(None, None)}
    assert driver.calls.count("nvmlDeviceGetGpuInstanceById") == 1


def test_a_name_without_profile_leads_to_other_witnesses(inventory: Take) -> None:
    def by_id(_: int) -> SimpleNamespace:
        return SimpleNamespace(name="MIG 2g.10gb")

    has = SimpleNamespace(
        gpuInstanceSliceCount=3, computeInstanceSliceCount=3, memorySizeMB=20096
    )
    named = divided(
        0, [instance(0, Name="NVIDIA A100")], GpuInstanceProfileInfoById=by_id
    )
    sliced = divided(1, [instance(1, Name="NVIDIA A100", Attributes_v2=has)])
    silent = divided(2, [instance(2, Name="NVIDIA A100")])
    found = inventory(Driver([named, sliced, silent])).devices
    assert [d.profile for d in found if d.is_mig] == ["2g.10gb", "3g.20gb", "unknown"]
    assert [bool(d.sick) for d in found if d.is_mig] == [False, False, True]


def test_a_sick_instance_does_not_hide_the_others(inventory: Take) -> None:
    bad = [instance(0), NvmlError(999), instance(2, UUID=NvmlError(999)), instance(3)]
    found = inventory(Driver([divided(0, bad), gpu(1)]))
    assert uuids(found) == [
        "GPU-0",
        "MIG-0",
        "unreadable-0:1",
        "unreadable-0:2",
        "MIG-3",
        "GPU-1",
    ]
    assert list(sick(found)) == ["unreadable-0:1", "unreadable-0:2"]


def test_a_divided_gpu_that_is_lost_makes_its_instances_sick(inventory: Take) -> None:
    found = inventory(Driver([divided(0, [instance(0), NvmlError(15), instance(2)])]))
    assert uuids(found) == ["GPU-0", "MIG-0"]
    assert set(sick(found).values()) == {"the GPU is lost: it has fallen off the bus"}


def test_a_divided_gpu_whose_instances_cannot_be_listed_is_sick(
    inventory: Take,
) -> None:
    found = inventory(Driver([divided(0, [], MaxMigDeviceCount=NvmlError(999))]))
    assert sick(found) == {"GPU-0": "its MIG devices cannot be read: Error 999"}


def test_processes_of_an_instance_are_its_own(inventory: Take) -> None:
    busy = instance(1, ComputeRunningProcesses_v3=running(5))
    hidden = instance(2, ComputeRunningProcesses_v3=NvmlError(4))
    found = inventory(Driver([divided(0, [instance(0), busy, hidden])])).devices
    assert [d.processes for d in found] == [(), (), (Process(5, memory=1005),), None]
