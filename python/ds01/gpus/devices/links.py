"""How the whole GPUs of a host are connected: NVLink before PCIe.

`read_links` asks NVML, `rank_links` is pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ds01.gpus.devices.nvml import Handle, Reader
from ds01.gpus.devices.readings import FUNCTION_NOT_FOUND, NOT_SUPPORTED, Answer, Fault

# By NVML's level of the common ancestor: on one board, one switch, several switches,
# one host bridge, one NUMA node, across nodes.
_PCIE = {0: 6, 10: 5, 20: 4, 30: 3, 40: 2, 50: 1}
_NVLINK = 100
_SWITCH = 2
_MOST_LINKS = 36


@dataclass(frozen=True)
class RawLink:
    """How two whole GPUs are connected: NVLinks between them, and the PCIe level."""

    a: str
    b: str
    nvlinks: int
    level: Answer[int]


def rank_links(links: Iterable[RawLink]) -> dict[tuple[str, str], int]:
    """Return the rank of each pair: NVLinks by their number, above PCIe by nearness."""
    ranks: dict[tuple[str, str], int] = {}
    for link in links:
        if link.nvlinks:
            rank = _NVLINK + link.nvlinks
        else:
            rank = 0 if isinstance(link.level, Fault) else _PCIE.get(link.level, 0)
        if rank:
            ranks[min(link.a, link.b), max(link.a, link.b)] = rank
    return ranks


def read_links(reader: Reader) -> Iterator[RawLink]:
    """Return how the whole GPUs that were read are connected, pair by pair."""
    handles = reader.handles
    if len(handles) < 2:
        return
    by_pci = {handle.pci: handle.uuid for handle in handles}
    direct: Counter[tuple[str, str]] = Counter()
    switched: Counter[str] = Counter()
    for handle in handles:
        _count_nvlinks(reader, handle, by_pci, direct, switched)
    for number, a in enumerate(handles):
        for b in handles[number + 1 :]:
            ab, ba = (a.uuid, b.uuid), (b.uuid, a.uuid)
            through_switch = min(switched[a.uuid], switched[b.uuid])
            yield RawLink(
                *ab,
                max(direct[ab], direct[ba]) + through_switch,
                reader.ask("nvmlDeviceGetTopologyCommonAncestor", a.value, b.value),
            )


def _count_nvlinks(
    reader: Reader,
    gpu: Handle,
    by_pci: Mapping[str, str],
    direct: Counter[tuple[str, str]],
    switched: Counter[str],
) -> None:
    for link in range(_MOST_LINKS):
        state = reader.ask("nvmlDeviceGetNvLinkState", gpu.value, link)
        if isinstance(state, Fault):
            if link == 0 or state.code != NOT_SUPPORTED:
                return
            continue
        if not state:
            continue
        pci = reader.pci("nvmlDeviceGetNvLinkRemotePciInfo", gpu.value, link)
        if isinstance(pci, str) and pci in by_pci:
            direct[gpu.uuid, by_pci[pci]] += 1
            continue
        kind = reader.ask("nvmlDeviceGetNvLinkRemoteDeviceType", gpu.value, link)
        # An older driver cannot tell; what is no GPU of this host is a switch then.
        if kind == _SWITCH or _is_missing(kind):
            switched[gpu.uuid] += 1


def _is_missing(answer: object) -> bool:
    return isinstance(answer, Fault) and answer.code == FUNCTION_NOT_FOUND
