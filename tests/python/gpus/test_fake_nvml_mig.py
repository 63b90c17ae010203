"""MIG of the simulated driver under the unmodified pynvml, with NVIDIA's geometry."""

from __future__ import annotations

import pytest

import fake_gpus
from fake_gpus import A100_40, A100_80, Model, a100_40, process, topology
from gpu_bench import FakeDriver
from nvml_probe import Probe


def test_mode_and_pending_mode(nvml: Probe, fake_driver: FakeDriver) -> None:
    made = topology([a100_40(), a100_40(mig=["1g.5gb"]), a100_40()])
    made["gpus"][0]["mig"]["pending"] = True
    del made["gpus"][2]["mig"]
    fake_driver.write(made)
    assert nvml("nvmlDeviceGetMigMode(gpu(0))") == [0, 1]
    assert nvml("nvmlDeviceGetMigMode(gpu(1))") == [1, 1]
    assert nvml.error("nvmlDeviceGetMigMode(gpu(2))") == "Not Supported"
    counts = "[nvmlDeviceGetMaxMigDeviceCount(gpu(i)) for i in range(3)]"
    assert nvml(counts) == [0, 7, 0]
    assert nvml.error("mig(0, 0)") == "Not Found"


def test_holes_in_the_index(nvml: Probe, fake_driver: FakeDriver) -> None:
    profiles = ["3g.20gb", "", "1g.5gb", "", "1g.5gb"]
    made = fake_driver.write(topology([a100_40(mig=profiles)]))
    instances = made["gpus"][0]["mig"]["instances"]
    for one in instances:
        index = one["index"]
        assert nvml(f"nvmlDeviceGetUUID(mig(0, {index}))") == one["uuid"]
        assert nvml(f"nvmlDeviceGetIndex(mig(0, {index}))") == index
    assert [one["index"] for one in instances] == [0, 2, 4]
    for index in (1, 3, 5, 6):
        assert nvml.error(f"mig(0, {index})") == "Not Found"
    assert nvml.error("mig(0, 7)") == "Invalid Argument"


def test_a_mig_device(nvml: Probe, fake_driver: FakeDriver) -> None:
    made = fake_driver.write(topology([a100_40(), a100_40(mig=["2g.10gb@4"])]))
    one = made["gpus"][1]["mig"]["instances"][0]
    one["processes"] = [process(21, 2000)]
    fake_driver.write(made)
    by_uuid = f"nvmlDeviceGetHandleByUUID(b'{one['uuid']}')"
    assert nvml(f"nvmlDeviceGetName({by_uuid})").endswith("A100-SXM4-40GB MIG 2g.10gb")
    assert nvml("nvmlDeviceIsMigDeviceHandle(mig(1, 0))") == 1
    assert nvml("nvmlDeviceIsMigDeviceHandle(gpu(1))") == 0
    parent = "nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig(1, 0))"
    assert nvml(f"nvmlDeviceGetUUID({parent})") == made["gpus"][1]["uuid"]
    assert nvml("nvmlDeviceGetGpuInstanceId(mig(1, 0))") == 5
    assert nvml("nvmlDeviceGetComputeInstanceId(mig(1, 0))") == 0
    attributes = nvml("fields(nvmlDeviceGetAttributes_v2(mig(1, 0)))")
    assert attributes["gpuInstanceSliceCount"] == 2
    assert attributes["computeInstanceSliceCount"] == 2
    assert attributes["memorySizeMB"] == 9856
    assert attributes["multiprocessorCount"] == 28
    memory = nvml("fields(nvmlDeviceGetMemoryInfo(mig(1, 0)))")
    assert (memory["total"], memory["used"]) == (9856 << 20, 2000 << 20)
    # Seen from the whole GPU, a process tells its instance.
    for handle in ("gpu(1)", "mig(1, 0)"):
        nvml(f"rows := nvmlDeviceGetComputeRunningProcesses({handle})")
        assert nvml("[[p.pid, p.gpuInstanceId] for p in rows]") == [[21, 5]]
    assert nvml("nvmlDeviceGetMemoryInfo(gpu(1)).used") == 2000 << 20
    assert nvml("nvmlDeviceGetTotalEccErrors(mig(1, 0), 1, 0)") == 0


def test_what_mig_does_not_tell(nvml: Probe, fake_driver: FakeDriver) -> None:
    fake_driver.write(topology([a100_40(mig=["1g.5gb"])]))
    for handle in ("gpu(0)", "mig(0, 0)"):
        for call in (
            f"nvmlDeviceGetUtilizationRates({handle})",
            f"nvmlDeviceGetProcessUtilization({handle}, 0)",
            f"nvmlDeviceGetEncoderUtilization({handle})",
        ):
            assert nvml.error(call) == "Not Supported", call
    assert nvml.error("nvmlDeviceGetTemperature(mig(0, 0), 0)") == "Not Supported"
    assert nvml.error("nvmlDeviceGetMigMode(mig(0, 0))") == "Not Supported"
    assert nvml.error("nvmlDeviceGetAttributes_v2(gpu(0))") == "Not Supported"


@pytest.mark.parametrize("model", [A100_40, A100_80])
def test_geometry(nvml: Probe, fake_driver: FakeDriver, model: Model) -> None:
    """The table of NVIDIA's MIG user guide, and of nvidia-smi mig -lgipp."""
    fake_driver.write(topology([fake_gpus.gpu(model, [])]))
    unit = 5 if model is A100_40 else 10
    expected = {
        f"1g.{unit}gb": (19, 1, 7, [[start, 1] for start in range(7)]),
        f"1g.{unit}gb+me": (20, 1, 1, [[start, 1] for start in range(7)]),
        f"1g.{unit * 2}gb": (15, 1, 4, [[0, 2], [2, 2], [4, 2], [6, 2]]),
        f"2g.{unit * 2}gb": (14, 2, 3, [[0, 2], [2, 2], [4, 2]]),
        f"3g.{unit * 4}gb": (9, 3, 2, [[0, 4], [4, 4]]),
        f"4g.{unit * 4}gb": (5, 4, 1, [[0, 4]]),
        f"7g.{unit * 8}gb": (0, 7, 1, [[0, 8]]),
    }
    found = {}
    for number in range(16):
        info = nvml(f"fields(nvmlDeviceGetGpuInstanceProfileInfo(gpu(0), {number}))")
        if "error" in info:
            continue
        nvml("count := c_uint(16)")
        nvml("room := (c_nvmlGpuInstancePlacement_t * 16)()")
        nvml(
            "nvmlDeviceGetGpuInstancePossiblePlacements("
            f"gpu(0), {info['id']}, room, byref(count))"
        )
        places = nvml("[[p.start, p.size] for p in room[:count.value]]")
        call = f"nvmlDeviceGetGpuInstanceRemainingCapacity(gpu(0), {info['id']})"
        assert nvml(call) == info["instanceCount"]
        name = info["name"].removeprefix("MIG ")
        values = info["id"], info["sliceCount"], info["instanceCount"], places
        found[name] = values
        assert info["memorySizeMB"] * 10 > int(name.split(".")[1].split("g")[0]) * 9000
        first = nvml(
            f"fields(nvmlDeviceGetGpuInstanceProfileInfo(gpu(0), {number}, 1))"
        )
        assert first["memorySizeMB"] == info["memorySizeMB"]
    assert found == expected


def test_what_still_fits(nvml: Probe, fake_driver: FakeDriver) -> None:
    fake_driver.write(topology([a100_40(mig=["3g.20gb@4", "1g.5gb@0"])]))
    rest = "nvmlDeviceGetGpuInstanceRemainingCapacity(gpu(0), %d)"
    # One 1g in the lower half leaves three of 1g, or one of 2g, and no 3g.
    assert [nvml(rest % number) for number in (19, 14, 9, 5, 0)] == [3, 1, 0, 0, 0]


def test_instances(nvml: Probe, fake_driver: FakeDriver) -> None:
    profiles = ["3g.20gb", "1g.5gb@4", "1g.5gb@6"]
    made = fake_driver.write(topology([a100_40(mig=profiles)]))
    nvml("count := c_uint(7)")
    nvml("room := (c_nvmlGpuInstance_t * 7)()")
    nvml("nvmlDeviceGetGpuInstances(gpu(0), 19, room, byref(count))")
    infos = nvml(
        "[[i.id, i.profileId, i.placement.start, i.placement.size]"
        " for i in map(nvmlGpuInstanceGetInfo, room[:count.value])]"
    )
    assert infos == [[11, 19, 4, 1], [13, 19, 6, 1]]
    nvml("one := nvmlDeviceGetGpuInstanceById(gpu(0), 1)")
    parent = "nvmlDeviceGetUUID(nvmlGpuInstanceGetInfo(one).device)"
    assert nvml(parent) == made["gpus"][0]["uuid"]
    nvml("ci := nvmlGpuInstanceGetComputeInstanceById(one, 0)")
    nvml("info := nvmlComputeInstanceGetInfo(ci)")
    assert nvml("[info.id, info.profileId, info.placement.size]") == [0, 2, 3]
    uuid = made["gpus"][0]["mig"]["instances"][0]["uuid"]
    assert nvml("nvmlDeviceGetUUID(info.device)") == uuid
    share = "nvmlGpuInstanceGetComputeInstanceProfileInfo(one, 0, 0)"
    assert nvml(f"[{share}.sliceCount, {share}.instanceCount]") == [1, 3]
    assert nvml.error("nvmlDeviceGetGpuInstanceById(gpu(0), 2)") == "Not Found"


def test_a_gpu_instance_without_compute_instance_is_no_device(
    nvml: Probe, fake_driver: FakeDriver
) -> None:
    made = topology([a100_40(mig=["1g.5gb", "1g.5gb"])])
    del made["gpus"][0]["mig"]["instances"][0]["uuid"]
    fake_driver.write(made)
    assert nvml.error("mig(0, 0)") == "Not Found"
    assert nvml("nvmlDeviceGetIndex(mig(0, 1))") == 1
    assert (
        nvml("nvmlGpuInstanceGetInfo(nvmlDeviceGetGpuInstanceById(gpu(0), 7)).id") == 7
    )


def test_a_remade_layout_has_other_uuids(nvml: Probe, fake_driver: FakeDriver) -> None:
    made = fake_driver.write(topology([a100_40(mig=["3g.20gb", "1g.5gb"])]))
    before = made["gpus"][0]["mig"]["instances"][0]["uuid"]
    nvml("old := mig(0, 0)")
    nvml("instance := nvmlDeviceGetGpuInstanceById(gpu(0), 1)")
    fake_gpus.remake(made, 0, ["3g.20gb", "1g.5gb"], "after the reboot")
    fake_driver.write(made)
    after = nvml("nvmlDeviceGetUUID(mig(0, 0))")
    assert after != before
    assert nvml.error("nvmlDeviceGetUUID(old)") == "Invalid Argument"
    assert nvml.error(f"nvmlDeviceGetHandleByUUID(b'{before}')") == "Not Found"
    # Alike as it is, the instance is the one at the same place.
    assert nvml("nvmlGpuInstanceGetInfo(instance).id") == 1
