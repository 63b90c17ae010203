"""gpu_offers.py: the kinds of GPUs that a user may ask for now."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpu_world
from _common import Exit, HelperError
from gpu_offers import offers
from gpu_types import Inventory


@pytest.fixture
def world(tmp_path: Path) -> gpu_world.World:
    """One whole GPU, and one divided into a 3g and two 1g."""
    devices = (gpu_world.gpu(0), *gpu_world.mig(1, "3g.20gb,1g.5gb*2"))
    return gpu_world.World(gpu_world.make_paths(tmp_path), inventory=Inventory(devices))


def asked(world: gpu_world.World, uid: int) -> dict[str, str]:
    found = offers(world.allocator().desk, gpu_world.user(uid))
    return {offer["request"]: offer["text"] for offer in found}


def test_kinds_are_told_smallest_first_with_what_is_free(
    world: gpu_world.World,
) -> None:
    shown = asked(world, 1)
    assert list(shown) == ["1g.5gb", "3g.20gb", "full"]
    assert shown["1g.5gb"] == "2 of 2 free, 5.0G of memory"
    assert shown["full"] == "1 of 1 free, 40.0G of memory"


def test_what_the_policy_never_allows_is_not_offered(world: gpu_world.World) -> None:
    # Students may not have a whole GPU where there is MIG.
    assert list(asked(world, 4001)) == ["1g.5gb", "3g.20gb"]


def test_a_wait_and_a_quota_are_said(world: gpu_world.World) -> None:
    world.make("a", 1, world.inventory.devices[2].uuid)
    world.allocator().reconcile()
    text = asked(world, 2)["3g.20gb"]
    assert text.startswith("0 of 1 free")
    assert text.endswith("; number 1 in the queue")
    # Two whole GPUs are all that 4001 may have in all, a slice comes on top of them.
    more = Inventory((*world.inventory.devices, gpu_world.gpu(2)))
    world.inventory = more
    world.make("b", 4001, more.devices[0].uuid)
    world.make("c", 4001, more.devices[-1].uuid)
    assert "; not now: you have 2 GPUs" in asked(world, 4001)["1g.5gb"]


def test_an_engine_that_is_silent_is_an_error(world: gpu_world.World) -> None:
    world.engine_up = False
    with pytest.raises(HelperError) as caught:
        asked(world, 1)
    assert caught.value.code is Exit.PREREQUISITE


def test_a_host_without_gpus_offers_none(tmp_path: Path) -> None:
    world = gpu_world.World(gpu_world.make_paths(tmp_path), inventory=Inventory(()))
    assert asked(world, 1) == {}
