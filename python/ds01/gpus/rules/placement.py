"""Which of the free devices a request gets. Pure functions over a snapshot.

The MIG layout is the administrator's, so placement chooses among instances that exist.

`pack`, MIG: takes the instances whose loss costs least of what the GPU's free memory
slices could still become: first the whole GPU, then its halves (a 3g or 4g), then its
quarters (a 2g). So a 1g goes beside other 1g's, and the last half that could take a 3g
is touched only where nothing else is free. Then the fullest GPU, then the first UUIDs.
`spread`, MIG: the least loaded GPU first, each instance counted as it is given.

Whole GPUs, both strategies: the best-connected set (the weakest link as good as can be,
then the sum of links), then the one that leaves the others best connected, then the
coolest for `spread`, then the first UUIDs. Exact for up to 16 free GPUs; beyond that
a set is grown from the best beginning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import combinations

from ds01.gpus.devices.kinds import by_uuid
from ds01.gpus.devices.types import Device, Inventory
from ds01.gpus.rules.allowed import Allowed

_EXACT = 16
_NO_LINK = 1 << 30

# Costs are compared part by part and added up part by part.
Cost = tuple[int, ...]


def choose(
    allowed: Allowed,
    free: Collection[str],
    inventory: Inventory,
    strategy: str = "pack",
) -> tuple[Device, ...] | None:
    """Return the devices that a request gets, None if not enough is free.

    `free` are the UUIDs of devices that may be handed out now. The first group that has
    enough of them is taken from.
    """
    if allowed.count == 0:
        return ()
    for group in allowed.groups:
        some = sorted((d for d in group if d.uuid in free), key=by_uuid)
        if len(some) == allowed.count:
            return tuple(some)
        if len(some) > allowed.count:
            if some[0].is_mig:
                return _choose_instances(
                    some, allowed.count, free, inventory.devices, strategy
                )
            return _choose_whole(some, allowed.count, inventory.links, strategy)
    return None


def _choose_instances(
    some: Sequence[Device],
    count: int,
    free: Collection[str],
    devices: Sequence[Device],
    strategy: str,
) -> tuple[Device, ...]:
    """Return the cheapest instances; exact, since the costs of GPUs add up."""
    parents: dict[str, list[Device]] = {}
    for device in some:
        parents.setdefault(device.parent, []).append(device)
    all_of: dict[str, list[Device]] = {parent: [] for parent in parents}
    for device in devices:
        if device.is_mig and device.parent in all_of:
            all_of[device.parent].append(device)
    # The best way to take so many from the GPUs looked at so far.
    best: dict[int, tuple[Cost, tuple[str, ...], tuple[Device, ...]]] = {
        0: ((0,) * 4, (), ())
    }
    for parent in sorted(parents):
        ways = _ways(parents[parent], count, all_of[parent], free, strategy)
        longer: dict[int, tuple[Cost, tuple[str, ...], tuple[Device, ...]]] = {}
        for taken, (cost, names, chosen) in best.items():
            for more, (extra, added) in ways.items():
                if taken + more > count:
                    continue
                way = (
                    tuple(a + b for a, b in zip(cost, extra, strict=True)),
                    (*names, *(device.uuid for device in added)),
                    (*chosen, *added),
                )
                total = taken + more
                if total not in longer or way[:2] < longer[total][:2]:
                    longer[total] = way
        best = longer
    return best[count][2]


def _ways(
    some: Sequence[Device],
    count: int,
    siblings: Sequence[Device],
    free: Collection[str],
    strategy: str,
) -> dict[int, tuple[Cost, tuple[Device, ...]]]:
    """Return the cheapest way to take 0, 1, … instances of one GPU."""
    ways: dict[int, tuple[Cost, tuple[Device, ...]]] = {0: ((0,) * 4, ())}
    busy = [device for device in siblings if device.uuid not in free]
    load = sum(device.slices for device in busy)
    for number in range(1, min(count, len(some)) + 1):
        ways[number] = min(
            (
                (_cost(chosen, busy, siblings, load, strategy), chosen)
                for chosen in combinations(some, number)
            ),
            key=lambda way: (way[0], [device.uuid for device in way[1]]),
        )
    return ways


def _cost(
    chosen: Sequence[Device],
    busy: Sequence[Device],
    siblings: Sequence[Device],
    load: int,
    strategy: str,
) -> Cost:
    lost = lost_blocks(chosen, busy, siblings)
    number, slices = len(chosen), chosen[0].slices
    if strategy == "spread":
        # The loads that each of them finds, added up: the evener, the less.
        return (number * load + slices * number * (number - 1) // 2, *lost)
    return (*lost, -number * load)


def lost_blocks(
    chosen: Sequence[Device], busy: Sequence[Device], siblings: Sequence[Device]
) -> tuple[int, int, int]:
    """Return how many wholes, halves and quarters of a GPU are free no more.

    By memory slices; where a placement is not known, it touches all of them.
    """
    ends = [d.start + d.size for d in siblings if d.start is not None and d.size]
    slices = 4 if max(ends, default=8) <= 4 else 8
    before = _touched(busy, slices)
    after = before | _touched(chosen, slices)
    lost = [
        sum(
            not before & block and bool(after & block)
            for block in _blocks(slices, parts)
        )
        for parts in (1, 2, 4)
    ]
    return lost[0], lost[1], lost[2]


def _touched(devices: Sequence[Device], slices: int) -> int:
    """Return the memory slices of devices as bits."""
    bits = 0
    for device in devices:
        if device.start is None or not device.size:
            return (1 << slices) - 1
        bits |= ((1 << device.size) - 1) << device.start
    return bits


@lru_cache(maxsize=16)
def _blocks(slices: int, parts: int) -> tuple[int, ...]:
    size = slices // parts
    return tuple(((1 << size) - 1) << (part * size) for part in range(parts))


def _choose_whole(
    some: Sequence[Device],
    count: int,
    links: Mapping[tuple[str, str], int],
    strategy: str,
) -> tuple[Device, ...]:
    """Return the best-connected set of GPUs; `some` are in order."""
    numbers = range(len(some))
    link = [
        [links.get((min(a.uuid, b.uuid), max(a.uuid, b.uuid)), 0) for b in some]
        for a in some
    ]
    all_links = [sum(row) for row in link]
    is_heat_told = strategy == "spread"
    heats = [(device.temperature or 0) if is_heat_told else 0 for device in some]

    def score(chosen: Sequence[int]) -> Cost:
        """Return how good a set is: more is better."""
        pairs = [link[a][b] for a, b in combinations(chosen, 2)]
        inside = sum(pairs)
        cut = sum(all_links[number] for number in chosen) - 2 * inside
        heat = sum(heats[number] for number in chosen)
        return (min(pairs, default=_NO_LINK), inside, -cut, -heat)

    def grown(first: int) -> tuple[int, ...]:
        """Return a good set with one GPU in it: the best next one is added."""
        chosen = [first]
        while len(chosen) < count:
            others = [n for n in numbers if n not in chosen]
            chosen.append(max(others, key=lambda n: (score([*chosen, n]), -n)))
        return tuple(sorted(chosen))

    # Of equal sets the first in order.
    if len(some) <= _EXACT:
        best = max(combinations(numbers, count), key=score)
    else:
        best = max(sorted(map(grown, numbers)), key=score)
    return tuple(some[number] for number in best)
