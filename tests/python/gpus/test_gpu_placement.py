"""Placement: examples, and every choice on small hosts compared with all others."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.gpus.devices.types import Device, Inventory
from ds01.gpus.rules.allowed import Allowed
from ds01.gpus.rules.placement import choose
from ds01.gpus.rules.request import parse_request
from ds01.gpus.rules.rules import check
from gpu_hosts import MIXED, SEVEN, divided, host, limits, whole


def place(
    text: str, inventory: Inventory, free: Collection[str], strategy: str = "pack"
) -> list[str] | None:
    allowed = check(parse_request(text), limits(), (), inventory)
    chosen = choose(allowed, free, inventory, strategy)
    return None if chosen is None else [device.uuid for device in chosen]


def all_but(inventory: Inventory, *busy: str) -> set[str]:
    return {d.uuid for d in inventory.devices if not d.mig_mode} - set(busy)


def ones(*names: str) -> Inventory:
    return host(*(divided(name, *SEVEN) for name in names))


def test_a_small_one_goes_beside_other_small_ones() -> None:
    two = ones("A", "B")
    assert place("1", two, all_but(two, "MIG-B-5")) == ["MIG-B-4"]
    assert place("1", two, all_but(two, "MIG-B-5"), "spread") == ["MIG-A-0"]


def test_the_last_half_for_a_3g_is_left_alone() -> None:
    two = ones("A", "B")
    # A: only its second half is free as a whole. B: both halves are broken.
    busy = ["MIG-A-0", "MIG-B-0", "MIG-B-4", "MIG-B-5", "MIG-B-6"]
    assert place("1", two, all_but(two, *busy)) == ["MIG-B-1"]
    # Several: into broken halves, and then of the fuller GPU.
    assert place("1g.10gb:3", two, all_but(two, *busy)) == [
        "MIG-B-1",
        "MIG-B-2",
        "MIG-B-3",
    ]


def test_a_gpu_that_nobody_uses_stays_whole() -> None:
    two = ones("A", "B")
    busy = [f"MIG-B-{start}" for start in (0, 1)]
    found = place("1g.10gb:5", two, all_but(two, *busy))
    assert found == [f"MIG-B-{start}" for start in (2, 3, 4, 5, 6)]


def test_beside_a_3g_that_is_in_use() -> None:
    two = host(divided("A", *MIXED), divided("B", *MIXED))
    assert place("1", two, all_but(two, "MIG-B-0")) == ["MIG-B-6"]
    assert place("3g.40gb", two, all_but(two, "MIG-B-6")) == ["MIG-B-0"]


def test_by_memory_a_larger_one_only_if_no_small_one_is_free() -> None:
    gpu = host(divided("A", *MIXED))
    assert place("mem=10g", gpu, all_but(gpu)) == ["MIG-A-6"]
    assert place("mem=10g", gpu, all_but(gpu, "MIG-A-6")) == ["MIG-A-4"]
    assert place("1", gpu, all_but(gpu, "MIG-A-6")) is None


def test_spread_evens_out() -> None:
    three = ones("A", "B", "C")
    busy = ["MIG-A-0", "MIG-A-1", "MIG-B-0"]
    found = place("1g.10gb:4", three, all_but(three, *busy), "spread")
    assert found == ["MIG-A-2", "MIG-B-1", "MIG-C-0", "MIG-C-1"]


def test_not_enough() -> None:
    gpus = host(*(whole(f"GPU-{name}") for name in "ABC"))
    assert place("2", gpus, {"GPU-A"}) is None
    assert place("1", gpus, set()) is None
    assert place("none", gpus, set()) == []
    both = "device=GPU-A;GPU-B"
    assert place(both, gpus, {"GPU-A", "GPU-C"}) is None
    assert place(both, gpus, {"GPU-A", "GPU-B", "GPU-C"}) == ["GPU-A", "GPU-B"]


def test_the_best_connected() -> None:
    links = {("A", "B"): 2, ("A", "C"): 112, ("B", "D"): 112}
    four = host(*(whole(name) for name in "ABCD"), links=links)
    assert place("2", four, set("ABCD")) == ["A", "C"]
    assert place("2", four, set("BCD")) == ["B", "D"]
    # One GPU: of the pair that is broken already.
    assert place("1", four, set("BCD")) == ["C"]
    assert place("1", four, set("ABD")) == ["A"]
    # The weakest link counts first: A-B-C and A-B-D have one with no link at all.
    assert place("3", four, set("ABCD")) == ["A", "B", "C"]


def test_several_of_a_group_that_is_preferred() -> None:
    four = host(*(whole(name) for name in "ABCD"))
    first = tuple(d for d in four.devices if d.uuid in "CD")
    allowed = Allowed(2, (first, four.devices))
    chosen = choose(allowed, set("ABD"), four)
    assert chosen is not None
    assert [d.uuid for d in chosen] == ["A", "B"]


def test_spread_takes_the_cooler_gpu() -> None:
    two = host(whole("A", temperature=70), whole("B", temperature=35))
    assert place("1", two, {"A", "B"}, "spread") == ["B"]
    assert place("1", two, {"A", "B"}, "pack") == ["A"]


def test_sixteen_gpus() -> None:
    names = [f"{n:02}" for n in range(16)]
    pairs = {
        (a, b): 112 if int(a) // 4 == int(b) // 4 else 3
        for a, b in itertools.combinations(names, 2)
    }
    for links in (pairs, dict.fromkeys(pairs, 112), {}):
        big = host(*(whole(name) for name in names), links=links)
        for count in (1, 4, 8, 15):
            found = place(str(count), big, set(names))
            assert found is not None
            assert len(found) == count
        four = place("4", big, set(names) - {"00", "05"})
        assert four == (
            ["08", "09", "10", "11"] if links is pairs else ["01", "02", "03", "04"]
        )


def test_more_than_sixteen_gpus() -> None:
    names = [f"{n:02}" for n in range(20)]
    links = {
        (a, b): 112
        for a, b in itertools.combinations(names, 2)
        if int(a) % 5 == int(b) % 5
    }
    big = host(*(whole(name) for name in names), links=links)
    assert place("4", big, set(names)) == ["00", "05", "10", "15"]


# What follows says anew what is best, and looks at every set.


def worth_of_whole(
    chosen: Sequence[Device], free: Sequence[Device], inventory: Inventory
) -> tuple[Any, ...]:
    def link(a: Device, b: Device) -> int:
        return inventory.links.get((min(a.uuid, b.uuid), max(a.uuid, b.uuid)), 0)

    inside = [link(a, b) for a, b in itertools.combinations(chosen, 2)]
    cut = [link(a, b) for a in chosen for b in free if b not in chosen]
    return (min(inside, default=0), sum(inside), -sum(cut))


@st.composite
def linked(draw: st.DrawFn) -> tuple[Inventory, list[str], int]:
    names = [f"GPU-{n}" for n in range(draw(st.integers(1, 7)))]
    ranks = st.sampled_from([0, 1, 3, 102, 112])
    links = {
        pair: rank for pair in itertools.combinations(names, 2) if (rank := draw(ranks))
    }
    inventory = host(
        *(whole(name) for name in draw(st.permutations(names))), links=links
    )
    free = sorted(draw(st.sets(st.sampled_from(names), min_size=1)))
    return inventory, free, draw(st.integers(1, len(free)))


@given(linked())
@settings(max_examples=300)
def test_whole_gpus_against_all_sets(case: tuple[Inventory, list[str], int]) -> None:
    inventory, free, count = case
    devices = sorted(
        (d for d in inventory.devices if d.uuid in free), key=lambda d: d.uuid
    )
    best = max(
        worth_of_whole(chosen, devices, inventory)
        for chosen in itertools.combinations(devices, count)
    )
    first = next(
        chosen
        for chosen in itertools.combinations(devices, count)
        if worth_of_whole(chosen, devices, inventory) == best
    )
    assert place(str(count), inventory, free) == [d.uuid for d in first]


LAYOUTS = [
    SEVEN,
    MIXED,
    (("1g.10gb", 0), ("1g.10gb", 1), ("2g.20gb", 2), ("3g.40gb", 4)),
    (("3g.40gb", 0), ("3g.40gb", 4)),
    (("2g.20gb", 0), ("2g.20gb", 2), ("2g.20gb", 4), ("1g.10gb", 6)),
    (("4g.40gb", 0), ("1g.10gb", 4), ("1g.10gb", 5), ("1g.10gb", 6)),
]


def worth_of_instances(
    chosen: Sequence[Device], free: Collection[str], inventory: Inventory, strategy: str
) -> tuple[int, ...]:
    """Return the cost of a set of instances; less is better."""
    instances = [d for d in inventory.devices if d.is_mig]
    taken = {d.uuid for d in chosen}
    lost = [0, 0, 0]
    for parent in {d.parent for d in instances}:
        mine = [d for d in instances if d.parent == parent]
        for level, size in enumerate((8, 4, 2)):
            for start in range(0, 8, size):
                touching = {
                    d.uuid
                    for d in mine
                    if d.start is not None
                    and d.size is not None
                    and d.start < start + size
                    and start < d.start + d.size
                }
                lost[level] += touching <= set(free) and bool(touching & taken)
    loads = {
        parent: sum(
            d.slices for d in instances if d.parent == parent and d.uuid not in free
        )
        for parent in {d.parent for d in instances}
    }
    if strategy == "pack":
        return (*lost, -sum(loads[d.parent] for d in chosen))
    squares = 0
    for parent, load in loads.items():
        more = sum(d.slices for d in chosen if d.parent == parent)
        squares += (load + more) ** 2
    return (squares, *lost)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Inventory, set[str], str, int]:
    gpus = [
        divided(f"GPU-{n}", *draw(st.sampled_from(LAYOUTS)))
        for n in range(draw(st.integers(1, 3)))
    ]
    inventory = host(*gpus)
    names = [d.uuid for d in inventory.devices if d.is_mig]
    profiles = sorted({d.profile for d in inventory.devices if d.is_mig})
    free = draw(st.sets(st.sampled_from(names)))
    return inventory, free, draw(st.sampled_from(profiles)), draw(st.integers(1, 4))


@given(layouts(), st.sampled_from(["pack", "spread"]))
@settings(max_examples=300)
def test_instances_against_all_sets(
    case: tuple[Inventory, set[str], str, int], strategy: str
) -> None:
    inventory, free, profile, count = case
    fit = [d for d in inventory.devices if d.profile == profile]
    if len(fit) < count:
        return
    allowed = Allowed(count, (tuple(fit),))
    chosen = choose(allowed, free, inventory, strategy)
    sets = list(itertools.combinations([d for d in fit if d.uuid in free], count))
    if not sets:
        assert chosen is None
        return
    assert chosen is not None
    costs = [worth_of_instances(some, free, inventory, strategy) for some in sets]
    assert worth_of_instances(chosen, free, inventory, strategy) == min(costs)


@given(layouts(), st.randoms(), st.sampled_from(["pack", "spread"]))
def test_the_order_of_devices_does_not_matter(
    case: tuple[Inventory, set[str], str, int], random: Any, strategy: str
) -> None:
    inventory, free, profile, count = case
    fit = [d for d in inventory.devices if d.profile == profile]
    first = choose(Allowed(count, (tuple(fit),)), free, inventory, strategy)
    devices = list(inventory.devices)
    random.shuffle(fit)
    random.shuffle(devices)
    again = choose(
        Allowed(count, (tuple(fit),)), free, Inventory(tuple(devices)), strategy
    )
    assert (first is None) == (again is None)
    assert {d.uuid for d in first or ()} == {d.uuid for d in again or ()}


@pytest.mark.parametrize("strategy", ["pack", "spread"])
def test_placements_that_nobody_knows(strategy: str) -> None:
    gpus = divided("A", *SEVEN, start=None, size=None)
    named = [
        d if d.mig_mode else Device(f"MIG-{n}", "A", d.profile, d.memory, 1, 7)
        for n, d in enumerate(gpus)
    ]
    one = host(named)
    assert place("1", one, all_but(one, "MIG-1"), strategy) == ["MIG-2"]


def test_a_gpu_of_four_slices() -> None:
    devices = [
        Device(f"MIG-{name}-{n}", name, "1g.6gb", 6 << 30, 1, 4, n, 1)
        for name in ("A", "B")
        for n in range(4)
    ]
    two = host(devices)
    # A has a half left, B has none: its single slice costs nothing.
    assert place("1", two, all_but(two, "MIG-A-0", "MIG-B-0", "MIG-B-2")) == ["MIG-B-1"]
