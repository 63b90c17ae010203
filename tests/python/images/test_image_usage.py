"""image_usage: which containers use an image, and which are helpers of a build."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ds01.core.engine import Engine
from ds01.core.labels import HELPER
from ds01.images.shelf.usage import custom_containers, is_helper, usage_of
from ds01.images.versions.workshop import sweep

# What the engine says of a workshop whose program is dead.
WORKSHOP: dict[str, Any] = {
    "Id": "w",
    "Names": ["/quiet_name"],
    "Command": "sleep 900",
    "Labels": {HELPER: "4999999.1.boot", "ds01.uid": "1000"},
}


def container(**labels: str) -> dict[str, Any]:
    """Return a container of an image in which somebody wrote the helper's label."""
    own = {"ds01.image.uid": "1001", "ds01.image.name": "x", "ds01.managed": "1"}
    return {
        "Id": "c",
        "Names": ["/work._.1000"],
        "Command": "bash",
        "Labels": {**own, HELPER: "4999999.1.boot", "aime.mlc.NAME": "work", **labels},
    }


class Told(Engine):
    """An engine with these containers, which notes what it is asked to do."""

    def __init__(self, found: list[dict[str, Any]]) -> None:
        self.found = found
        self.calls: list[str] = []

    def containers(self, _labels: object = ()) -> list[dict[str, Any]]:  # type: ignore[override]
        return self.found

    def call(
        self, method: str, path: str, *_: object, **__: object
    ) -> tuple[int, bytes]:
        self.calls.append(f"{method} {path}")
        return 204, b""


def test_a_label_from_an_image_makes_no_helper() -> None:
    assert is_helper(WORKSHOP)
    assert not is_helper(container())
    # Made past the gateway, or of an image that sleeps as long.
    assert not is_helper(container(**{"ds01.managed": "-"}))
    assert not is_helper({**container(), "Command": "sleep 900"})
    assert not is_helper({**WORKSHOP, "Labels": {}})


@pytest.mark.parametrize("found", [container(), container(**{"ds01.managed": "-"})])
def test_only_workshops_are_swept_away(found: dict[str, Any]) -> None:
    engine = Told([WORKSHOP, found])
    sweep(engine)
    assert engine.calls == ["DELETE /containers/w"]


def test_such_a_container_uses_its_image_all_the_same() -> None:
    used = custom_containers(Told([container(), WORKSHOP]))
    assert usage_of(used, "1001", "x", "-").containers == ["work"]


def test_containers_of_others_are_told_apart() -> None:
    mine = container(**{"ds01.uid": str(os.getuid())})
    theirs = container(**{"ds01.uid": "4000", "ds01.user": "bob"})
    used = custom_containers(Told([theirs, mine]))
    assert usage_of(used, "1001", "x", "-").containers == ["bob/work", "work"]
