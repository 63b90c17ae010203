"""DCGM's figures for MIG devices, from its programs' output as NVIDIA documents it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.core.processes import Process
from ds01.gpus.devices import dcgm
from ds01.gpus.devices.types import Device
from ds01.lifecycle.activity import GpuUse, Known, Sample, judge
from ds01.lifecycle.activity_reader import gpu_use
from ds01.policy.sections import Lifecycle
from lifecycle_world import EPOCH, at

PARENT = "GPU-5fd15f35-e148-2992-4ecb-9825e534f253"
HIERARCHY = f"""\
+-------------------+--------------------------------------------------------------+
| Instance Hierarchy                                                               |
+===================+==============================================================+
| GPU 0             | GPU {PARENT} (EntityID: 0)    |
| -> I 0/1          | GPU Instance (EntityID: 4)                                   |
|    -> CI 0/1/0    | Compute Instance (EntityID: 9)                               |
| -> I 0/2          | GPU Instance (EntityID: 5)                                   |
|    -> CI 0/2/0    | Compute Instance (EntityID: 3)                               |
+-------------------+--------------------------------------------------------------+
"""
ROWS = """\
# Entity  GRACT
      Id
 GPU-I 4  N/A
 GPU-I 5  0.000
 GPU-I 4  0.534
 GPU-I 5  0.000
   GPU 4  0.990
"""
ID = "a" * 64


def device(number: int, *, busy: bool = True) -> Device:
    return Device(
        f"MIG-{number}",
        PARENT,
        "3g.20gb",
        20 << 30,
        processes=(Process(7, "python", 1, ID),) if busy else (),
        instance=number,
    )


def test_which_number_is_whose() -> None:
    assert dcgm.parse_hierarchy(HIERARCHY) == {(PARENT, 1): 4, (PARENT, 2): 5}
    assert dcgm.parse_hierarchy("error\n") == {}
    assert dcgm.parse_rows(ROWS) == {4: 0.534, 5: 0.0}


def test_the_programs_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dcgmi"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/asked
case $1 in discovery) cat <<'X'
{HIERARCHY}X
;; dmon) cat <<'X'
{ROWS}X
;; esac
"""
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    devices = [device(1), device(2), device(3), device(1, busy=False)]
    assert dcgm.read_use(devices) == {}  # not to be run: not there
    program.chmod(0o755)
    found = dcgm.read_use(devices)
    assert found == {"MIG-1": pytest.approx(53.4), "MIG-2": 0.0}
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[1] == "dmon -e 1001 -i instance:4,instance:5 -c 3 -d 100"
    # Nobody is asked for what has no processes.
    (tmp_path / "asked").unlink()
    assert dcgm.read_use([device(1, busy=False)]) == {}
    assert not (tmp_path / "asked").exists()
    program.write_text("#!/bin/sh\nexit 1\n")
    assert dcgm.read_use(devices) == {}


def test_a_figure_shows_work_and_none_shows_nothing() -> None:
    def because(use: GpuUse) -> str:
        known = {"cpu": 0, "block": 0, "network": 0, "memory MIG-1": 5}
        sample = Sample(at(60), 0, 0, block=0, gpus=(use,))
        marked = judge(Sample(EPOCH, 0, 0, block=0, gpus=(use,)), Known(), Lifecycle())
        before = Known(EPOCH, {**known, **marked.counters}, EPOCH, "earlier")
        return judge(sample, before, Lifecycle()).because

    assert because(gpu_use(device(1), "MIG-1", ID, {"MIG-1": 53.4})) == "GPU 53%"
    for figures in ({"MIG-1": 0.0}, {"MIG-1": 2.0}, {}, None):
        assert because(gpu_use(device(1), "MIG-1", ID, figures)) == "earlier"
