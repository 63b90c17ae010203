"""Which devices follow from NVML's answers, and which of them are sick."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from ds01.core.processes import Process
from ds01.gpus.devices.health import devices_of, profile_of, sick_reason
from ds01.gpus.devices.readings import (
    FUNCTION_NOT_FOUND,
    GPU_IS_LOST,
    NO_PERMISSION,
    NOT_SUPPORTED,
    RESET_REQUIRED,
    UNKNOWN,
    Attributes,
    Fault,
    Memory,
    RawGpu,
    RawInstance,
    RawProcess,
    compute_slices,
    find_profile,
)
from ds01.gpus.devices.types import FULL, Device

GIB = 1 << 30
LOST = Fault(GPU_IS_LOST, "GPU is lost")
STRANGE = Fault(UNKNOWN, "Unknown Error")

WHOLE = RawGpu(
    index=3,
    uuid="GPU-3",
    name="NVIDIA A100-SXM4-40GB",
    pci="0000:07:00.0",
    memory=Memory(40 * GIB, GIB),
    mig=(0, 0),
    ecc=0,
    retired=False,
    remap=(False, False),
    processes=(RawProcess(7, 99),),
    utilisation=12,
    temperature=40,
)
SMALL = RawInstance(
    index=4,
    uuid="MIG-4",
    name="NVIDIA A100-SXM4-40GB MIG 1g.5gb",
    memory=Memory(5 * GIB, 0),
    processes=(),
    placement=(6, 1),
)
LARGE = RawInstance(
    index=0,
    uuid="MIG-0",
    name="NVIDIA A100-SXM4-40GB MIG 3g.20gb",
    memory=Memory(20 * GIB, 0),
    processes=(RawProcess(8),),
    placement=(0, 4),
)
DIVIDED = replace(WHOLE, mig=(1, 1), slices=7, instances=(LARGE, SMALL), processes=())


def describe(raw: RawProcess) -> Process:
    return Process(raw.pid, "python", 1001, None, raw.memory)


def devices(gpu: RawGpu) -> list[Device]:
    return devices_of(gpu, describe)


def changed_by(changed: dict[str, Any]) -> RawGpu:
    return replace(WHOLE, **changed)


def test_a_whole_gpu_is_one_device() -> None:
    assert devices(WHOLE) == [
        Device(
            uuid="GPU-3",
            parent="GPU-3",
            profile=FULL,
            memory=40 * GIB,
            index="3",
            name="NVIDIA A100-SXM4-40GB",
            pci="0000:07:00.0",
            processes=(Process(7, "python", 1001, None, 99),),
            utilisation=12,
            memory_used=GIB,
            temperature=40,
        )
    ]


def test_a_divided_gpu_is_itself_and_its_instances() -> None:
    whole, large, small = devices(DIVIDED)
    assert whole.mig_mode
    assert (whole.profile, whole.share, whole.processes) == (FULL, 1.0, ())
    assert (large.uuid, large.parent, large.profile) == ("MIG-0", "GPU-3", "3g.20gb")
    assert (large.index, large.slices, large.total_slices) == ("3:0", 3, 7)
    assert (large.start, large.size) == (0, 4)
    assert [process.pid for process in large.processes or ()] == [8]
    assert (small.index, small.share, small.memory) == ("3:4", 1 / 7, 5 * GIB)
    assert {d.sick for d in (whole, large, small)} == {None}
    assert {d.pci for d in (whole, large, small)} == {"0000:07:00.0"}
    assert (small.utilisation, small.temperature) == (None, 40)


def test_a_divided_gpu_without_instances_is_still_listed() -> None:
    (only,) = devices(replace(DIVIDED, instances=()))
    assert only.mig_mode
    assert only.sick is None


def test_an_a30_has_four_slices_and_an_unknown_gpu_seven() -> None:
    quarter = replace(SMALL, name="NVIDIA A30 MIG 1g.6gb")
    assert devices(replace(DIVIDED, slices=4, instances=(quarter,)))[1].share == 0.25
    unknown = replace(DIVIDED, slices=Fault(NOT_SUPPORTED))
    assert [d.total_slices for d in devices(unknown)] == [7, 7, 7]


def test_a_placement_that_is_for_root_only_is_not_known_and_not_sick() -> None:
    small = replace(SMALL, placement=Fault(NO_PERMISSION))
    device = devices(replace(DIVIDED, instances=(small,)))[1]
    assert (device.start, device.size, device.sick) == (None, None, None)


@pytest.mark.parametrize("code", [NOT_SUPPORTED, FUNCTION_NOT_FOUND, NO_PERMISSION])
@pytest.mark.parametrize("what", ["ecc", "retired", "remap", "memory", "name"])
def test_what_is_not_supported_or_not_allowed_is_not_sick(what: str, code: int) -> None:
    assert sick_reason(changed_by({what: Fault(code)})) is None


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("ecc", "its ECC errors cannot be read: Unknown Error"),
        ("retired", "its retired pages cannot be read: Unknown Error"),
        ("remap", "its remapped rows cannot be read: Unknown Error"),
        ("memory", "its memory cannot be read: Unknown Error"),
        ("name", "its name cannot be read: Unknown Error"),
        ("mig", "its MIG mode cannot be read: Unknown Error"),
        ("uuid", "its UUID cannot be read: Unknown Error"),
        ("layout", "its MIG devices cannot be read: Unknown Error"),
        ("fault", "NVML does not reach it: Unknown Error"),
    ],
)
def test_an_unexpected_fault_is_sick(what: str, said: str) -> None:
    assert sick_reason(changed_by({what: STRANGE})) == said


@pytest.mark.parametrize(
    "what",
    [f.name for f in fields(RawGpu) if f.name not in {"index", "instances"}],
)
def test_a_lost_gpu_is_sick_whatever_call_shows_it(what: str) -> None:
    said = sick_reason(changed_by({what: LOST}))
    assert said == "the GPU is lost: it has fallen off the bus"


def test_a_gpu_that_needs_a_reset_is_sick() -> None:
    gpu = replace(WHOLE, utilisation=Fault(RESET_REQUIRED))
    assert sick_reason(gpu) == "the GPU must be reset"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ecc": 2}, "2 uncorrectable memory errors (ECC) since the last reset"),
        (
            {"retired": True},
            "memory pages wait to be retired: the GPU must be reset",
        ),
        (
            {"remap": (True, False)},
            "memory rows wait to be remapped: the GPU must be reset",
        ),
        (
            {"remap": (True, True)},
            "memory rows could not be remapped: the GPU is worn out",
        ),
        ({"mig": (0, 1)}, "its MIG mode changes at the next reset"),
        ({"mig": (1, 0)}, "its MIG mode changes at the next reset"),
    ],
)
def test_bad_health_is_sick_for_the_gpu_and_its_instances(
    changed: dict[str, Any], said: str
) -> None:
    assert [d.sick for d in devices(replace(WHOLE, **changed))] == [said]
    divided = replace(DIVIDED, **changed)
    assert {d.sick for d in devices(divided)} == {said}


def test_utilisation_and_temperature_that_fail_are_not_known() -> None:
    gpu = replace(WHOLE, utilisation=STRANGE, temperature=Fault(NOT_SUPPORTED))
    (device,) = devices(gpu)
    assert (device.utilisation, device.temperature, device.sick) == (None, None, None)


def test_processes_that_cannot_be_read_are_unknown_not_none() -> None:
    assert devices(replace(WHOLE, processes=STRANGE))[0].processes is None
    small = replace(SMALL, processes=Fault(NO_PERMISSION))
    assert devices(replace(DIVIDED, instances=(small,)))[1].processes is None


def test_memory_that_cannot_be_read_is_none_at_all() -> None:
    (device,) = devices(replace(WHOLE, memory=Fault(NOT_SUPPORTED)))
    assert (device.memory, device.memory_used) == (0, None)


def test_a_gpu_without_uuid_is_listed_by_its_index() -> None:
    (device,) = devices(RawGpu(5, uuid=LOST, fault=LOST))
    assert (device.uuid, device.parent) == ("unreadable-5", "unreadable-5")
    assert device.sick == "the GPU is lost: it has fallen off the bus"
    assert device.processes is None


def test_a_lost_gpu_keeps_the_uuids_that_still_answer() -> None:
    found = devices(replace(DIVIDED, memory=LOST, layout=LOST))
    assert [d.uuid for d in found] == ["GPU-3", "MIG-0", "MIG-4"]
    assert all(d.sick for d in found)


def test_one_sick_instance_does_not_harm_the_others() -> None:
    bad = RawInstance(2, uuid=STRANGE)
    whole, large, sick, small = devices(replace(DIVIDED, instances=(LARGE, bad, SMALL)))
    assert (whole.sick, large.sick, small.sick) == (None, None, None)
    assert (sick.uuid, sick.profile) == ("unreadable-3:2", "unknown")
    assert sick.sick == "its UUID cannot be read: Unknown Error"
    assert sick.is_mig


def test_an_instance_of_unknown_profile_is_sick() -> None:
    nameless = replace(SMALL, name=Fault(NOT_SUPPORTED))
    device = devices(replace(DIVIDED, instances=(nameless,)))[1]
    assert device.sick == "its MIG profile cannot be read"


@pytest.mark.parametrize(
    ("name", "profile", "slices"),
    [
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "1g.5gb", 1),
        ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", "3g.40gb", 3),
        ("NVIDIA A100 80GB PCIe MIG 1g.10gb+me", "1g.10gb+me", 1),
        ("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb", "1c.3g.20gb", 1),
        ("NVIDIA A100-SXM4-40GB MIG 2c.7g.40gb", "2c.7g.40gb", 2),
        ("NVIDIA RTX PRO 6000 MIG 2g.48gb+me.all", "2g.48gb+me.all", 2),
        ("NVIDIA RTX PRO 6000 MIG 1g.24gb-me", "1g.24gb-me", 1),
        ("NVIDIA H200 MIG 7g.141gb", "7g.141gb", 7),
    ],
)
def test_the_profile_is_in_the_name(name: str, profile: str, slices: int) -> None:
    assert find_profile(name) == profile
    assert compute_slices(profile) == slices


def test_a_whole_gpus_name_holds_no_profile() -> None:
    assert find_profile("NVIDIA A100-SXM4-40GB") is None
    assert find_profile("") is None
    assert compute_slices("unknown") == 1


def test_without_a_telling_name_the_gpu_instances_profile_counts() -> None:
    raw = replace(SMALL, name="NVIDIA A100", profile="MIG 2g.10gb")
    assert profile_of(raw, 40 * GIB) == "2g.10gb"


# Slices, megabytes and the GPU's megabytes as NVIDIA's drivers report them.
@pytest.mark.parametrize(
    ("slices", "megabytes", "whole", "profile"),
    [
        ((1, 1), 4864, 40960, "1g.5gb"),
        ((1, 1), 9856, 40960, "1g.10gb"),
        ((2, 2), 9984, 40960, "2g.10gb"),
        ((3, 3), 20096, 40960, "3g.20gb"),
        ((3, 1), 20096, 40960, "1c.3g.20gb"),
        ((7, 7), 40192, 40960, "7g.40gb"),
        ((1, 1), 9856, 81920, "1g.10gb"),
        ((4, 4), 40448, 81920, "4g.40gb"),
        ((7, 7), 81050, 81920, "7g.80gb"),
        ((1, 1), 5952, 24576, "1g.6gb"),
        ((4, 4), 24125, 24576, "4g.24gb"),
        ((1, 1), 4864, 0, "1g.5gb"),
    ],
)
def test_slices_tell_the_profile_in_the_end(
    slices: tuple[int, int], megabytes: int, whole: int, profile: str
) -> None:
    raw = replace(SMALL, name=Fault(UNKNOWN), attributes=Attributes(*slices, megabytes))
    assert profile_of(raw, whole << 20) == profile


def test_attributes_of_nothing_tell_nothing() -> None:
    raw = replace(SMALL, name="", attributes=Attributes(0, 0, 0))
    assert profile_of(raw, 40 * GIB) is None


def test_processes_that_are_left_out_are_not_listed() -> None:
    assert devices_of(WHOLE, lambda _: None)[0].processes == ()
