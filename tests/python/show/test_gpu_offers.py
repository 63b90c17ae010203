"""gpu_offers.py: the kinds of GPUs that a user may ask for now."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpu_world
from ds01.core.errors import Exit, HelperError
from ds01.gpus.devices.types import Inventory
from ds01.show.offers import default_text, offers


@pytest.fixture
def world(tmp_path: Path) -> gpu_world.World:
    """One whole GPU, and one divided into a 3g and two 1g."""
    devices = (gpu_world.gpu(0), *gpu_world.mig(1, "3g.20gb,1g.5gb*2"))
    return gpu_world.World(gpu_world.make_paths(tmp_path), inventory=Inventory(devices))


def asked(world: gpu_world.World, uid: int) -> dict[str, str]:
    return offers(world.allocator().desk, gpu_world.user(uid))[0]


def default(world: gpu_world.World, uid: int) -> str:
    return offers(world.allocator().desk, gpu_world.user(uid))[1]


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


def test_the_default_is_told_as_what_it_comes_to(world: gpu_world.World) -> None:
    assert default(world, 1) == "1g.5gb: 2 of 2 free, 5.0G of memory"
    for name, device in enumerate(world.inventory.devices[3:]):
        world.make(f"c{name}", 1, device.uuid)
    world.allocator().reconcile()
    assert default(world, 2) == (
        "1g.5gb: 0 of 2 free, 5.0G of memory; number 1 in the queue"
    )


def test_a_default_that_a_quota_refuses_says_so(world: gpu_world.World) -> None:
    world.inventory = Inventory((*world.inventory.devices, gpu_world.gpu(2)))
    world.make("a", 4001, world.inventory.devices[0].uuid)
    world.make("b", 4001, world.inventory.devices[-1].uuid)
    assert default(world, 4001).startswith(
        "1g.5gb: 2 of 2 free, 5.0G of memory; not now: you have 2 GPUs"
    )


def test_the_default_of_who_may_have_none_is_none(world: gpu_world.World) -> None:
    assert default_text(["full"], {"full": []}, {"devices": []}) == "no GPU"
    world.inventory = Inventory(())
    assert default(world, 1) == "no GPU"


def test_an_engine_that_is_silent_is_an_error(world: gpu_world.World) -> None:
    world.engine_up = False
    with pytest.raises(HelperError) as caught:
        asked(world, 1)
    assert caught.value.code is Exit.PREREQUISITE


def test_a_host_without_gpus_offers_none(tmp_path: Path) -> None:
    world = gpu_world.World(gpu_world.make_paths(tmp_path), inventory=Inventory(()))
    assert asked(world, 1) == {}
