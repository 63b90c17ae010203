"""gpustat and nvitop, unmodified, show the figures of the simulated driver."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_gpus import Json, a100_40, a100_80, process, topology
from gpu_bench import FakeDriver

NVITOP = """
import json
from nvitop import Device, MigDevice
rows = []
for device in Device.all():
    for one in [device, *device.mig_devices()]:
        rows.append({
            "index": one.index,
            "name": one.name(),
            "uuid": one.uuid(),
            "mig": one.mig_mode(),
            "total": one.memory_total(),
            "used": one.memory_used(),
            "load": one.gpu_utilization(),
            "temperature": one.temperature(),
            "power": one.power_usage(),
            "pids": sorted(one.processes()),
        })
print(json.dumps(rows))
"""


@pytest.fixture
def busy(fake_driver: FakeDriver) -> Iterator[Json]:
    """A GPU and a MIG device at work, for a process that exists."""
    with subprocess.Popen(["sleep", "300"]) as child:
        # No hole in the index of the MIG devices: nvitop stops at the first.
        first = a100_40(
            utilisation={"gpu": 87, "memory": 40, "encoder": 0, "decoder": 0},
            temperature=66,
            power={"usage_mw": 287000, "limit_mw": 400000},
            processes=[process(child.pid, 12345, load=80)],
        )
        made = topology([first, a100_80(mig=["3g.40gb", "1g.10gb"]), a100_40()])
        instance = made["gpus"][1]["mig"]["instances"][1]
        instance["processes"] = [process(child.pid, 2222)]
        yield fake_driver.write({**made, "pid": child.pid})
        child.kill()


def run(driver: FakeDriver, *words: str) -> str:
    """Run a program of the venv without a terminal; return what it prints."""
    program = Path(sys.executable).with_name(words[0])
    done = subprocess.run(
        [program, *words[1:]],
        env={**driver.env, "TERM": "dumb", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_gpustat(fake_driver: FakeDriver, busy: Json) -> None:
    shown = json.loads(run(fake_driver, "gpustat", "--json"))
    assert shown["driver_version"] == "550.54.15"
    first, second, third = shown["gpus"]
    assert [one["uuid"] for one in shown["gpus"]] == [
        one["uuid"] for one in busy["gpus"]
    ]
    assert first["name"] == "NVIDIA A100-SXM4-40GB"
    assert first["utilization.gpu"] == 87
    assert first["temperature.gpu"] == 66
    assert first["power.draw"] == 287
    assert first["enforced.power.limit"] == 400
    assert (first["memory.used"], first["memory.total"]) == (12345, 40960)
    (holder,) = first["processes"]
    assert (holder["pid"], holder["gpu_memory_usage"]) == (busy["pid"], 12345)
    assert holder["command"] == "sleep"
    # Under MIG the load is not known, the memory is.
    assert second["utilization.gpu"] is None
    assert (second["memory.used"], second["memory.total"]) == (2222, 81920)
    assert third["utilization.gpu"] == 0
    assert third["processes"] == []


def test_gpustat_lists_a_lost_gpu(fake_driver: FakeDriver, busy: Json) -> None:
    busy["gpus"][0]["lost"] = True
    fake_driver.write(busy)
    first, second, third = json.loads(run(fake_driver, "gpustat", "--json"))["gpus"]
    assert "lost" in first["name"].lower()
    assert second["memory.used"] == 2222
    assert third["temperature.gpu"] == 33


def test_nvitop_as_a_library(fake_driver: FakeDriver, busy: Json) -> None:
    rows: list[dict[str, Any]] = json.loads(fake_driver.python(NVITOP))
    assert [row["index"] for row in rows] == [0, 1, [1, 0], [1, 1], 2]
    whole, parent, large, small, idle = rows
    assert whole["load"] == 87
    assert whole["temperature"] == 66
    assert whole["power"] == 287000
    assert (whole["used"], whole["total"]) == (12345 << 20, 40960 << 20)
    assert whole["pids"] == small["pids"] == [busy["pid"]]
    assert (whole["mig"], parent["mig"]) == ("Disabled", "Enabled")
    instances = busy["gpus"][1]["mig"]["instances"]
    assert [large["uuid"], small["uuid"]] == [one["uuid"] for one in instances]
    assert large["name"].endswith("MIG 3g.40gb")
    assert (small["used"], small["total"]) == (2222 << 20, 9728 << 20)
    assert parent["load"] == large["load"] == small["load"] == "N/A"
    assert (large["used"], large["pids"], idle["pids"]) == (0, [], [])


def test_nvitop_on_the_screen(fake_driver: FakeDriver, busy: Json) -> None:
    screen = run(fake_driver, "nvitop", "--once", "--ascii")
    assert "Driver Version: 550.54.15" in screen
    lines = screen.splitlines()
    (first,) = [n for n, line in enumerate(lines) if "00000000:07:00.0" in line]
    assert all(text in lines[first + 1] for text in ("66C", "287W", "400W", "87%"))
    for profile, used in {"3g.40gb @ GI/CI: 1/0": "0B", "1g.10gb": "2222MiB"}.items():
        (line,) = [line for line in lines if f" {profile}" in line and "GI/CI" in line]
        assert used in line
    assert screen.count(f" {busy['pid']} ") == 2


@pytest.mark.parametrize("name", ["lib_rm_version_mismatch", "driver_not_loaded"])
def test_gpustat_says_that_there_is_no_driver(
    fake_driver: FakeDriver, name: str
) -> None:
    fake_driver.write(topology([a100_40()], faults={"nvmlInit": name}))
    program = Path(sys.executable).with_name("gpustat")
    done = subprocess.run(
        [program], env=fake_driver.env, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "NVIDIA" in done.stderr
