"""How pairs of GPUs are ranked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ds01.gpus.devices.types import Inventory
from nvml_stand_in import (
    Answers,
    Driver,
    NvmlError,
    divided,
    gpu,
    linked,
    taker,
)

Take = Callable[..., Inventory]


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Take:
    return taker(tmp_path, monkeypatch)


def nvlinks(**remote: str | None) -> Answers:
    """Make links to PCI addresses, inactive for None, `switch` for a switch."""
    ends = list(remote.values())

    def state(link: int) -> int:
        if link >= len(ends):
            raise NvmlError(2)
        return int(ends[link] is not None)

    def pci(link: int) -> SimpleNamespace:
        return SimpleNamespace(
            busId="00000000:F0:00.0" if is_switch(link) else ends[link]
        )

    def is_switch(link: int) -> bool:
        return ends[link] == "switch"

    def kind(link: int) -> int:
        return 2 if is_switch(link) else 1

    return {
        "NvLinkState": state,
        "NvLinkRemotePciInfo": pci,
        "NvLinkRemoteDeviceType": kind,
    }


def test_pairs_rank_by_their_pcie_level(inventory: Take) -> None:
    driver = linked(
        Driver([gpu(n) for n in range(3)]), {(0, 1): 10, (0, 2): 50, (1, 2): 40}
    )
    ranks = inventory(driver).links
    order = sorted(ranks, key=lambda pair: ranks[pair])
    assert order == [("GPU-0", "GPU-2"), ("GPU-1", "GPU-2"), ("GPU-0", "GPU-1")]
    assert inventory(driver, links=False).links == {}


def test_nvlink_ranks_above_pcie_and_by_number(inventory: Take) -> None:
    one, two = "00000000:01:00.0", "00000000:02:00.0"
    gpus = [gpu(0, **nvlinks(a=one, b=one, c=two, d=None)), gpu(1), gpu(2)]
    driver = linked(Driver(gpus), {(0, 1): 50, (0, 2): 50, (1, 2): 0})
    ranks = inventory(driver).links
    order = sorted(ranks, key=lambda pair: ranks[pair])
    assert order == [("GPU-1", "GPU-2"), ("GPU-0", "GPU-2"), ("GPU-0", "GPU-1")]


def test_switched_nvlink_joins_all(inventory: Take) -> None:
    gpus = [
        gpu(0, **nvlinks(a="switch", b="switch")),
        gpu(1, **nvlinks(a="switch", b=None)),
        gpu(2, **nvlinks(a="00000000:77:00.0")),
    ]
    driver = linked(Driver(gpus), {(0, 1): 50, (0, 2): 10, (1, 2): 10})
    ranks = inventory(driver).links
    assert ranks["GPU-0", "GPU-1"] > ranks["GPU-0", "GPU-2"]
    assert ranks["GPU-0", "GPU-2"] == ranks["GPU-1", "GPU-2"]


def test_unknown_levels_and_divided_gpus_have_no_links(inventory: Take) -> None:
    assert inventory(Driver([gpu(0), gpu(1)])).links == {}
    driver = linked(Driver([gpu(0), divided(1, []), gpu(2)]), {(0, 2): 10})
    assert list(inventory(driver).links) == [("GPU-0", "GPU-2")]
