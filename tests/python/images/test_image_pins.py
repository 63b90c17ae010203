"""image_pins: versions that all users of a server share."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ds01.core.paths import find_paths
from ds01.images.source.types import Layer
from ds01.images.versions import pins
from ds01.images.versions.pins import Versions

TIER = Layer("small", "Small", "tier", pip=("six",))
USE = Layer("more", "More", "use-case", pip=("toml",), apt=("tree",))


def test_a_key_holds_all_that_came_before() -> None:
    first = pins.keys("base", ["uv"], [TIER, USE])
    assert first == pins.keys("base", ["uv"], [replace(TIER, title="Other"), USE])
    assert first["small"] == pins.keys("base", ["uv"], [TIER])["small"]
    for other in (
        pins.keys("other", ["uv"], [TIER, USE]),
        pins.keys("base", ["pip"], [TIER, USE]),
        pins.keys("base", ["uv"], [replace(TIER, pip=("six>1",)), USE]),
        pins.keys("base", ["uv"], [USE]),
    ):
        assert other["more"] != first["more"]


def test_the_first_ones_versions_hold(ds01_root: Path) -> None:
    paths = find_paths()
    mine, theirs = Versions(("six==1.0",)), Versions(("six==2.0",))
    assert pins.recall(paths, "k", 100) is None
    assert pins.remember(paths, "k", TIER, mine, 100) == mine
    assert pins.remember(paths, "k", TIER, theirs, 100) == mine
    assert pins.recall(paths, "k", 100) == mine
    assert pins.remember(paths, "k", TIER, theirs, 0) == theirs
    assert pins.recall(paths, "k", 100) == theirs


def test_what_is_old_or_odd_is_not_used(ds01_root: Path) -> None:
    paths = find_paths()
    pins.remember(paths, "k", TIER, Versions(("six==1.0",), ("tree=2",)), 100)
    file = paths.state / "pins/k.json"
    good = json.loads(file.read_text())
    for change in (
        {"time": good["time"] - 101},
        {"time": good["time"] + 1000},
        {"version": 9},
        {"pip": ["six==1.0\n--index-url http://evil"]},
        {"pip": ["six @ https://evil/six.whl"]},
        {"apt": ["tree; rm -rf /"]},
    ):
        file.write_text(json.dumps({**good, **change}))
        assert pins.recall(paths, "k", 100) is None, change
    file.write_text("{")
    assert pins.recall(paths, "k", 100) is None


def test_where_nothing_can_be_written_the_versions_hold_all_the_same(
    ds01_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = find_paths()
    paths.state.rename(paths.state.with_name("away"))
    mine = Versions(("six==1.0",))
    assert pins.remember(paths, "k", TIER, mine, 100) == mine
    assert pins.recall(paths, "k", 100) is None
