"""The inventory as a whole: faults of the driver, lost GPUs, the program.

test_gpu_inventory_driver.py has the same on the real pynvml and a simulated driver.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ds01.gpus.devices import inventory as devices_inventory
from ds01.gpus.devices.inventory import read_inventory
from ds01.gpus.devices.types import Inventory
from nvml_stand_in import (
    Driver,
    NvmlError,
    gpu,
    linked,
    sick,
    taker,
    uuids,
)

Take = Callable[..., Inventory]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for name in ("proc", "dev"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def inventory(host: Path, monkeypatch: pytest.MonkeyPatch) -> Take:
    return taker(host, monkeypatch)


def test_no_library_and_no_driver_is_a_host_without_gpus(inventory: Take) -> None:
    assert inventory(Driver(init=NvmlError(12))) == Inventory()


@pytest.mark.parametrize("trace", ["proc/driver/nvidia", "dev/nvidiactl"])
def test_no_library_but_a_driver_is_an_error(
    inventory: Take, host: Path, trace: str
) -> None:
    (host / trace).mkdir(parents=True)
    found = inventory(Driver(init=NvmlError(12)))
    assert found.error == (
        "the NVIDIA driver's library libnvidia-ml.so.1 cannot be loaded"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (4, "no permission to ask the NVIDIA driver"),
        (9, "the NVIDIA driver is not loaded"),
        (
            18,
            "the NVIDIA driver and its library are of different versions, as after an "
            "upgrade without a reboot",
        ),
        (999, "NVML does not answer: Error 999"),
        (15, "NVML does not answer: Error 15"),
    ],
)
def test_a_driver_that_does_not_answer_is_unknown_not_empty(
    inventory: Take, code: int, said: str
) -> None:
    assert inventory(Driver(init=NvmlError(code))) == Inventory(error=said)


def test_gpus_that_cannot_be_counted_are_unknown(inventory: Take) -> None:
    found = inventory(Driver([gpu(0)], count=NvmlError(999)))
    assert found == Inventory(error="NVML does not answer: Error 999")


def test_a_driver_without_gpus_is_empty(inventory: Take) -> None:
    assert inventory(Driver()) == Inventory()


def test_without_pynvml_a_driver_is_an_error(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(devices_inventory, "_LIBRARY", "libno-such-thing.so.1")
    assert read_inventory(host / "proc", dev=host / "dev") == Inventory()
    (host / "dev/nvidiactl").touch()
    found = read_inventory(host / "proc", dev=host / "dev")
    assert found.error == "the Python package nvidia-ml-py is missing"
    (host / "dev/nvidiactl").unlink()
    monkeypatch.setattr(devices_inventory, "_LIBRARY", "libc.so.6")
    assert read_inventory(host / "proc", dev=host / "dev").error == found.error


def test_inventories_in_a_row_start_and_end_nvml_each(inventory: Take) -> None:
    driver = Driver([gpu(0)])
    assert inventory(driver) == inventory(driver)
    driver.gpus = [gpu(1)]
    assert uuids(inventory(driver)) == ["GPU-1"]


def test_a_bug_leaves_nvml_closed(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver([gpu(0, UUID=ZeroDivisionError())])
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    with pytest.raises(ZeroDivisionError):
        read_inventory(host / "proc", dev=host / "dev")
    assert driver.open == 0


def information(proc: Path, pci: str, uuid: str) -> None:
    folder = proc / "driver/nvidia/gpus" / pci
    folder.mkdir(parents=True)
    text = f"Model: \t\t NVIDIA A100\nIRQ:   \t\t 42\nGPU UUID: \t {uuid}\n"
    (folder / "information").write_text(text)


def test_a_lost_gpu_is_known_by_the_kernel(inventory: Take, host: Path) -> None:
    names = [f"GPU-{number:08x}-0000-0000-0000-000000000000" for number in range(3)]
    for number, name in enumerate(names):
        information(host / "proc", f"0000:0{number}:00.0", name)
    gpus = [gpu(number, UUID=name) for number, name in enumerate(names)]
    found = inventory(Driver([gpus[0], NvmlError(15), gpus[2]]))
    assert uuids(found) == names
    assert found.devices[1].pci == "0000:01:00.0"
    assert sick(found) == {names[1]: "the GPU is lost: it has fallen off the bus"}
    strange = inventory(Driver([gpus[0], gpu(1, UUID=NvmlError(999)), gpus[2]]))
    assert sick(strange) == {names[1]: "NVML does not reach it: Error 999"}
    # Where it is not certain which is whose, nothing is guessed.
    assert uuids(inventory(Driver([gpus[0], NvmlError(15)]))) == [
        names[0],
        "unreadable-1",
    ]


def test_the_kernel_may_have_forgotten_the_uuid(inventory: Take, host: Path) -> None:
    information(host / "proc", "0000:00:00.0", "GPU-????????-????-????-????-????????")
    assert uuids(inventory(Driver([NvmlError(15)]))) == ["unreadable-0"]


def test_what_is_read_of_two_linked_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = linked(Driver([gpu(1), gpu(0)]), {(0, 1): 10})
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    shown = read_inventory()
    assert shown.error is None
    assert [device.uuid for device in shown.devices] == ["GPU-1", "GPU-0"]
    assert shown.links == {("GPU-0", "GPU-1"): 5}
    driver.init = NvmlError(9)
    down = Inventory(error="the NVIDIA driver is not loaded")
    assert read_inventory(detail=True) == down
