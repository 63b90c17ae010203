"""The values that GPU decisions share."""

from __future__ import annotations

from ds01.gpus.devices.types import FULL, Device, Inventory


def test_a_whole_gpu_is_one_equivalent() -> None:
    gpu = Device("GPU-1", "GPU-1", FULL, 40 << 30)
    assert not gpu.is_mig
    assert gpu.share == 1.0


def test_a_slice_is_its_part_of_the_compute_slices() -> None:
    slice_ = Device("MIG-1", "GPU-1", "3g.20gb", 20 << 30, 3, 7, 0, 4)
    assert slice_.is_mig
    assert slice_.share == 3 / 7


def test_an_inventory_is_empty_or_unknown_never_both() -> None:
    assert Inventory().error is None
    assert Inventory(error="driver/library version mismatch").devices == ()
