"""How much a container gets: each limit by itself, against policy and host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from ds01.gateway import limits
from ds01.gateway.types import HostFacts, Notes, Site

HOST = HostFacts(cpus=8, memory=64 << 30)


@dataclass(frozen=True)
class Allowed:
    """The limits of a caller; None is unlimited."""

    max_cpus: float | None = 4.0
    memory: int | None = 8 << 30
    memory_swap: int | None = 8 << 30
    shm_size: int | None = 1 << 30
    pids_limit: int | None = 512
    network: str = "host"


UNLIMITED = Allowed(None, None, None, None, None)


def applied(
    config: dict[str, Any], allowed: Allowed = Allowed()
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """Return the HostConfig, the limits as labels, and the codes of what was said."""
    result = dict(config)
    notes = Notes(is_mlc=False)
    labels = limits.apply(result, allowed, HOST, Site(), notes)
    return result, labels, [note.code for note in notes if note.level != "quiet"]


def test_what_is_not_asked_for_gets_the_policys_value() -> None:
    config, labels, said = applied({})
    assert config["NanoCpus"] == 4 * 10**9
    assert config["Memory"] == config["MemorySwap"] == 8 << 30
    assert config["ShmSize"] == 1 << 30
    assert config["PidsLimit"] == 512
    assert labels == {
        "cpus": "4",
        "memory": "8g",
        "memory-swap": "8g",
        "shm": "1g",
        "pids": "512",
    }
    assert said == []


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("NanoCpus", 10**9),
        ("Memory", 1 << 30),
        ("ShmSize", 1 << 20),
        ("PidsLimit", 10),
    ],
)
def test_a_smaller_wish_is_kept(field: str, asked: int) -> None:
    config, _, said = applied({field: asked})
    assert config[field] == asked
    assert said == []


@pytest.mark.parametrize(
    ("field", "asked", "given"),
    [
        ("NanoCpus", 8 * 10**9, 4 * 10**9),
        ("Memory", 9 << 30, 8 << 30),
        ("ShmSize", 2 << 30, 1 << 30),
        ("PidsLimit", 100_000, 512),
    ],
)
def test_a_larger_wish_is_lowered_and_told(field: str, asked: int, given: int) -> None:
    config, _, said = applied({field: asked})
    assert config[field] == given
    assert said != []


def test_no_limit_asked_for_means_the_policys_without_a_word() -> None:
    config, _, said = applied({"PidsLimit": -1})
    assert config["PidsLimit"] == 512
    assert said == []


def test_unlimited_is_the_host_where_the_engine_wants_a_number() -> None:
    _, labels, _ = applied({}, UNLIMITED)
    assert labels["memory"] == "unlimited"
    assert labels["pids"] == "unlimited"
    config, _, _ = applied({"NanoCpus": 100 * 10**9}, UNLIMITED)
    assert config["NanoCpus"] <= HOST.cpus * 10**9


def test_more_than_the_host_has_is_lowered_to_it() -> None:
    config, _, _ = applied({}, Allowed(max_cpus=64.0, memory=1 << 40))
    assert config["NanoCpus"] == HOST.cpus * 10**9
    assert config["Memory"] <= HOST.memory
