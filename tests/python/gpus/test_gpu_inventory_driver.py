"""The inventory through the real pynvml, on the simulated driver of tests/fake-nvml.

pynvml keeps the library that it loaded: each inventory is a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fake_gpus import (
    A100_40,
    Json,
    a100_40,
    a100_80,
    gpu,
    link,
    process,
    topology,
    write,
)

PROJECT_ROOT = Path(__file__).resolve().parents[3]
# Prints the inventory as another process sees it; with --detail the readings too.
READ = f"""
import dataclasses, json, sys
sys.path.insert(0, {str(PROJECT_ROOT / "python")!r})
from ds01.gpus.devices.inventory import read_inventory
found = read_inventory(detail="--detail" in sys.argv)
shown = dict(error=found.error, devices=[*map(dataclasses.asdict, found.devices)])
shown["links"] = [dict(a=a, b=b, rank=n) for (a, b), n in sorted(found.links.items())]
print(json.dumps(shown))
"""
LOST = "the GPU is lost: it has fallen off the bus"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the simulated driver's library."""
    folder = tmp_path_factory.mktemp("nvml")
    build = PROJECT_ROOT / "tests/fake-nvml/build"
    done = subprocess.run([build, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Host:
    """A host with the simulated driver."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.file = folder / "topology.json"
        self.env = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library),
            "FAKE_NVML_TOPOLOGY": str(self.file),
        }

    def run(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-sE", *words],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def read(self, *options: str) -> Any:
        return self.run("-c", READ, *options)

    def inventory(self, gpus: list[Json], *options: str, **values: Any) -> Any:
        write(self.file, topology(gpus, **values))
        return self.read(*options)


@pytest.fixture
def host(library: Path, tmp_path: Path) -> Host:
    return Host(library, tmp_path)


def sick(inventory: Json) -> list[str | None]:
    return [device["sick"] for device in inventory["devices"]]


def test_gpus_and_instances_are_listed(host: Host) -> None:
    found = host.inventory(
        [a100_40(), a100_40(mig=["3g.20gb", "", "1g.5gb@6", "1g.5gb+me"]), a100_80([])]
    )
    assert found["error"] is None
    shown = [
        (
            d["index"],
            d["profile"],
            d["slices"],
            d["total_slices"],
            d["start"],
            d["size"],
        )
        for d in found["devices"]
    ]
    assert shown == [
        ("0", "full", 1, 1, None, None),
        ("1", "full", 7, 7, None, None),
        ("1:0", "3g.20gb", 3, 7, 0, 4),
        ("1:2", "1g.5gb", 1, 7, 6, 1),
        ("1:3", "1g.5gb+me", 1, 7, 4, 1),
        ("2", "full", 7, 7, None, None),
    ]
    modes = [d["mig_mode"] for d in found["devices"]]
    assert modes == [False, True, False, False, False, True]
    assert set(sick(found)) == {None}
    whole, _, large, small, *_ = found["devices"]
    assert large["uuid"].startswith("MIG-")
    assert large["parent"] == found["devices"][1]["uuid"]
    assert (whole["memory"], small["memory"]) == (40960 << 20, 4864 << 20)
    assert (whole["pci"], small["pci"]) == ("0000:07:00.0", "0000:0f:00.0")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("driver_not_loaded", "the NVIDIA driver is not loaded"),
        ("no_permission", "no permission to ask the NVIDIA driver"),
        (
            "lib_rm_version_mismatch",
            "the NVIDIA driver and its library are of different versions, as after an "
            "upgrade without a reboot",
        ),
        ("unknown", "NVML does not answer: Unknown Error"),
    ],
)
def test_a_driver_that_does_not_start_is_unknown(
    host: Host, fault: str, said: str
) -> None:
    found = host.inventory([a100_40()], faults={"nvmlInit": fault})
    assert found == {"error": said, "devices": [], "links": []}


def test_gpus_that_cannot_be_counted_are_unknown(host: Host) -> None:
    found = host.inventory([a100_40()], faults={"nvmlDeviceGetCount": "unknown"})
    assert (found["error"], found["devices"]) == (
        "NVML does not answer: Unknown Error",
        [],
    )


def test_no_library_is_a_host_without_gpus(host: Host, tmp_path: Path) -> None:
    host.env["LD_LIBRARY_PATH"] = str(tmp_path)
    assert host.read() == {"error": None, "devices": [], "links": []}


def test_a_driver_without_gpus_is_empty(host: Host) -> None:
    assert host.inventory([]) == {"error": None, "devices": [], "links": []}


def test_one_lost_gpu_does_not_hide_the_others(host: Host) -> None:
    found = host.inventory([a100_40(), a100_40(lost=True), a100_40(mig=["1g.5gb"])])
    assert sick(found) == [None, LOST, None, None]
    assert [d["index"] for d in found["devices"]] == ["0", "1", "2", "2:0"]


@pytest.mark.parametrize(
    "fault", ["lost", "unknown", "timeout", "irq_issue", "no_permission"]
)
def test_a_gpu_that_gives_no_handle_is_sick(host: Host, fault: str) -> None:
    found = host.inventory([a100_40(faults={"*": fault}), a100_40()])
    assert found["devices"][0]["uuid"] == "unreadable-0"
    reason, other = sick(found)
    assert reason
    assert other is None


def test_a_gpu_that_gets_lost_keeps_the_uuid_that_answers(host: Host) -> None:
    broken = a100_40(
        mig=["1g.5gb", "2g.10gb"], faults={"nvmlDeviceGetMemoryInfo": "lost"}
    )
    found = host.inventory([broken])
    assert sick(found) == [LOST, LOST, LOST]
    assert found["devices"][0]["uuid"].startswith("GPU-")
    assert found["devices"][1]["uuid"].startswith("MIG-")


ECC = a100_40()["ecc"]
# A driver that tells them of a GPU in MIG mode too: NVIDIA's does not.
ROWS = {**a100_40()["remapped_rows"], "with_mig": True}
UNCORRECTED = {"uncorrected": {"volatile": 3, "aggregate": 3}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"ecc": {**ECC, **UNCORRECTED}},
            "3 uncorrectable memory errors (ECC) since the last reset",
        ),
        (
            {"remapped_rows": {**ROWS, "pending": True}},
            "memory rows wait to be remapped: the GPU must be reset",
        ),
        (
            {"remapped_rows": {**ROWS, "failure": True}},
            "memory rows could not be remapped: the GPU is worn out",
        ),
        (
            {"faults": {"nvmlDeviceGetRemappedRows": "unknown"}},
            "its remapped rows cannot be read: Unknown Error",
        ),
        (
            {"faults": {"nvmlDeviceGetTotalEccErrors": "reset_required"}},
            "the GPU must be reset",
        ),
        ({"faults": {"nvmlDeviceGetRemappedRows": "no_permission"}}, None),
        ({"faults": {"nvmlDeviceGetTotalEccErrors": "not_supported"}}, None),
        ({"faults": {"nvmlDeviceGetTemperature": "unknown"}}, None),
        ({"ecc": None, "remapped_rows": None}, None),
        (
            {"retired_pages": {"single": [], "double": [4096], "pending": True}},
            "memory pages wait to be retired: the GPU must be reset",
        ),
    ],
)
def test_health_decides(host: Host, changed: Json, said: str | None) -> None:
    found = host.inventory([a100_40(**changed), a100_40(["1g.5gb"], **changed)])
    assert sick(found) == [said, said, said]


@pytest.mark.parametrize(("now", "later"), [(False, True), (True, False)])
def test_a_mig_mode_that_is_to_change_is_sick(
    host: Host, now: bool, later: bool
) -> None:
    changing = gpu(A100_40, ["1g.5gb"] if now else None)
    changing["mig"]["pending"] = later
    found = host.inventory([changing, a100_40()])
    said = "its MIG mode changes at the next reset"
    assert sick(found) == [*[said] * (1 + now), None]


def test_placements_are_for_root_and_not_needed(host: Host) -> None:
    refused = {"nvmlDeviceGetGpuInstanceById": "no_permission"}
    found = host.inventory([a100_40(mig=["3g.20gb", "1g.5gb"], faults=refused)])
    assert [(d["profile"], d["start"], d["size"]) for d in found["devices"]] == [
        ("full", None, None),
        ("3g.20gb", None, None),
        ("1g.5gb", None, None),
    ]
    assert set(sick(found)) == {None}


def test_profiles_are_known_without_telling_names(host: Host) -> None:
    divided = a100_40(mig=["3g.20gb", "1g.5gb"])
    for instance in divided["mig"]["instances"]:
        instance["faults"] = {"nvmlDeviceGetName": "not_supported"}
    found = host.inventory([divided])
    assert [d["profile"] for d in found["devices"]] == ["full", "3g.20gb", "1g.5gb"]
    divided["faults"] = {"nvmlDeviceGetGpuInstanceById": "no_permission"}
    found = host.inventory([divided])
    assert [d["profile"] for d in found["devices"]] == ["full", "3g.20gb", "1g.5gb"]
    assert set(sick(found)) == {None}


def test_an_instance_that_fails_does_not_hide_the_others(host: Host) -> None:
    divided = a100_40(mig=["1g.5gb"] * 3)
    divided["mig"]["instances"][1]["faults"] = {"*": "unknown"}
    found = host.inventory([divided])
    assert [bool(reason) for reason in sick(found)] == [False, False, True, False]
    assert found["devices"][2]["index"] == "0:1"


def test_figures_for_people_come_with_detail(host: Host) -> None:
    busy = a100_40(utilisation={"gpu": 73, "memory": 20}, temperature=61)
    whole, _, instance = host.inventory([busy, a100_40(["1g.5gb"])], "--detail")[
        "devices"
    ]
    assert (whole["utilisation"], whole["temperature"]) == (73, 61)
    assert (instance["utilisation"], instance["temperature"]) == (None, 33)


def test_processes_of_the_host_are_named(host: Host) -> None:
    own = os.getpid()
    gone = subprocess.Popen(["true"])
    gone.wait()
    divided = a100_40(mig=["1g.5gb", "1g.5gb"])
    divided["mig"]["instances"][1]["processes"] = [process(own, 300)]
    gpus = [a100_40(processes=[process(own, 1200), process(gone.pid, 10)]), divided]
    whole, parent, idle, busy = host.inventory(gpus)["devices"]
    first, second = sorted(whole["processes"], key=lambda p: -p["memory"])
    assert (first["pid"], first["uid"]) == (own, os.getuid())
    assert (first["container"], first["memory"]) == (None, 1200 << 20)
    assert first["name"]
    assert second["pid"] == gone.pid
    assert (second["name"], second["uid"], second["container"]) == ("", None, None)
    assert (parent["processes"], idle["processes"]) == ([], [])
    assert [p["pid"] for p in busy["processes"]] == [own]


@pytest.mark.engine
def test_processes_of_containers_are_found(host: Host, docker_host: str) -> None:
    assert docker_host
    image = ["ds01/debian:bookworm", "sleep", "60"]
    words = ["docker", "run", "--detach", "--rm", "--network", "none", *image]
    name = subprocess.check_output(words, text=True).strip()
    try:
        inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", name]
        pid = int(subprocess.check_output(inspect, text=True))
        (device,) = host.inventory([a100_40(processes=[process(pid, 5)])])["devices"]
        (found,) = device["processes"]
        assert (found["pid"], found["container"]) == (pid, name)
        assert found["name"] == "sleep"
    finally:
        subprocess.run(
            ["docker", "rm", "--force", name], capture_output=True, check=True
        )


def test_processes_that_cannot_be_read_are_unknown(host: Host) -> None:
    refused = {"nvmlDeviceGetComputeRunningProcesses": "unknown"}
    (device,) = host.inventory([a100_40(faults=refused)])["devices"]
    assert (device["processes"], device["sick"]) == (None, None)


def test_links_rank_nvlink_above_pcie(host: Host) -> None:
    gpus = topology([a100_40(), a100_40(), a100_40(), a100_40(["1g.5gb"])])["gpus"]
    a, b, c, _ = gpus
    links = [link(a, b, 0, "single"), link(a, c, 4, "system"), link(b, c, 2, "system")]
    found = host.inventory(gpus, links=links)["links"]
    names = {a["uuid"]: "a", b["uuid"]: "b", c["uuid"]: "c"}
    ranks = {
        "".join(sorted((names[one["a"]], names[one["b"]]))): one["rank"]
        for one in found
    }
    assert sorted(ranks, key=lambda pair: -ranks[pair]) == ["ac", "bc", "ab"]
    assert all(one["a"] < one["b"] for one in found)


def test_a_switch_joins_all_gpus_alike(host: Host) -> None:
    found = host.inventory([a100_40()] * 4, nvswitch=True)["links"]
    assert [one["rank"] for one in found] == [112] * 6


IN_ONE_PROCESS = """
import json, os, sys, threading
sys.path.insert(0, sys.argv[1])
from ds01.gpus.devices.inventory import read_inventory
import pynvml
from fake_gpus import a100_40, topology, write

def take(gpus, **values):
    write(os.environ["FAKE_NVML_TOPOLOGY"], topology(gpus, **values))
    found = read_inventory()
    return [found.error, [d.profile for d in found.devices]]

answers = [
    take([a100_40()]),
    take([a100_40(["1g.5gb"])]),
    take([a100_40()], faults={"nvmlInit": "unknown"}),
    take([a100_40(), a100_40()]),
]
before = len(os.listdir("/proc/self/fd"))
for _ in range(300):
    read_inventory()
results = []
threads = [
    threading.Thread(
        target=lambda: results.extend(len(read_inventory().devices) for _ in range(20))
    )
    for _ in range(4)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
answers.append([len(results), sorted(set(results))])
answers.append(len(os.listdir("/proc/self/fd")) - before)
try:
    pynvml.nvmlDeviceGetCount()
    answers.append("still open")
except pynvml.NVMLError_Uninitialized:
    answers.append("closed")
print(json.dumps(answers))
"""


def test_inventories_in_one_process_see_changes_and_leave_nothing(host: Host) -> None:
    folders = [str(PROJECT_ROOT / "python"), str(PROJECT_ROOT / "tests/python")]
    code = "import sys\nsys.path.insert(0, sys.argv[2])\n" + IN_ONE_PROCESS
    assert host.run("-c", code, *folders) == [
        [None, ["full"]],
        [None, ["full", "1g.5gb"]],
        ["NVML does not answer: Unknown Error", []],
        [None, ["full", "full"]],
        [80, [2]],
        0,
        "closed",
    ]
