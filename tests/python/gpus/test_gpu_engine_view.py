"""ledger/engine_view.py: whatever gives a container GPUs is seen, whoever made it."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from ds01.core.engine import Engine
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger.engine_view import ALL, container_of, holdings, read_view, resolve
from gpu_world import gpu, mig

INVENTORY = Inventory((gpu(0), gpu(1), *mig(2)))
GPU0, GPU1, GPU2 = (gpu(n).uuid for n in range(3))
MIGS = tuple(d.uuid for d in mig(2) if d.is_mig)


def details(host: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {"Config": config, "HostConfig": host}


def request(**fields: Any) -> dict[str, Any]:
    return {"DeviceRequests": [{"Capabilities": [["gpu"]], **fields}]}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (details({}), ()),
        ({}, ()),
        (details({}, Labels={"ds01.gpus": "MIG-1;MIG-2"}), ("MIG-1", "MIG-2")),
        (details({}, Labels={"ds01.gpus": "none"}), ()),
        (details(request(DeviceIDs=["GPU-1"])), ("GPU-1",)),
        (details(request(DeviceIDs=["0", "0:1"])), ("index:0", "index:0:1")),
        (details(request(Count=-1)), (ALL,)),
        (details(request(Count=2)), ("index:0", "index:1")),
        (details(request(Driver="nvidia", Capabilities=None, Count=-1)), (ALL,)),
        (details(request(Driver="amd", Count=-1)), ()),
        (details({"DeviceRequests": [{"Capabilities": [["tpu"]], "Count": 1}]}), ()),
        (
            details(request(Driver="cdi", DeviceIDs=["nvidia.com/gpu=all"])),
            (ALL,),
        ),
        (
            details({"Runtime": "nvidia"}, Env=["NVIDIA_VISIBLE_DEVICES=all"]),
            (ALL,),
        ),
        (
            details({"Runtime": "nvidia"}, Env=["NVIDIA_VISIBLE_DEVICES=GPU-1,3"]),
            ("GPU-1", "index:3"),
        ),
        (
            details(
                {"Runtime": "nvidia"},
                Env=["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_VISIBLE_DEVICES=void"],
            ),
            (),
        ),
        (details({"Runtime": "runc"}, Env=["NVIDIA_VISIBLE_DEVICES=all"]), ()),
        (
            details({"Devices": [{"PathOnHost": "/dev/nvidia3"}]}),
            ("index:3",),
        ),
        (details({"Devices": [{"PathOnHost": "/dev/nvidiactl"}]}), ()),
        (
            details(request(DeviceIDs=["GPU-1"]), Labels={"ds01.gpus": "GPU-1"}),
            ("GPU-1",),
        ),
        (
            # A label that tells less than what the container has.
            details(request(Count=-1), Labels={"ds01.gpus": "none"}),
            (ALL,),
        ),
    ],
)
def test_holdings(found: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert holdings(found) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([GPU0], {GPU0}),
        ([GPU0[:12]], {GPU0}),
        (["index:1"], {GPU1}),
        (["index:2:3"], {MIGS[3]}),
        # A divided GPU stands for all its instances.
        (["index:2"], {GPU2, *MIGS}),
        ([GPU2], {GPU2, *MIGS}),
        ([f"MIG-{GPU2}/7/0"], {GPU2, *MIGS}),
        ([ALL], {GPU0, GPU1, GPU2, *MIGS}),
        (["GPU-gone"], {"GPU-gone"}),
        (["index:9"], set()),
        ([], set()),
    ],
)
def test_resolve(words: list[str], expected: set[str]) -> None:
    assert set(resolve(words, INVENTORY)) == expected


def test_a_summary_with_little_in_it() -> None:
    found = container_of({"Id": "a" * 64, "Labels": None, "State": "exited"}, ())
    assert found.name == "a" * 12
    assert not found.active
    assert not found.managed
    linked = container_of(
        {"Id": "b", "Names": ["/other/alias", "/own"], "State": "paused"}, ()
    )
    assert linked.name == "own"
    assert linked.active


class OneByOne:
    """An engine of given answers that counts what it is asked."""

    def __init__(self, summaries: list[dict[str, Any]], details_: dict[str, Any]):
        self.summaries, self.details, self.asked = summaries, details_, 0

    def listing(self, path: str, query: object = None) -> Any:
        del query
        assert path == "/containers/json"
        return self.summaries

    def container(self, name: str) -> Any:
        self.asked += 1
        return self.details.get(name)


def test_each_container_is_inspected_once() -> None:
    summaries = [{"Id": "a", "Names": ["/a"]}, {"Id": "gone", "Names": ["/gone"]}]
    engine: Any = OneByOne(summaries, {"a": details(request(Count=-1))})
    view, cache = read_view(engine, {"old": ("GPU-1",)})
    assert [c.id for c in view.containers] == ["a"]
    assert cache == {"a": (ALL,)}
    engine.summaries = summaries[:1]
    view, cache = read_view(engine, cache)
    assert view.containers[0].holds == (ALL,)
    assert engine.asked == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "2026-11-02T08:00:00.123456789Z",
            datetime(2026, 11, 2, 8, tzinfo=timezone.utc),
        ),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
    ],
)
def test_when_it_stopped(text: str, expected: datetime | None) -> None:
    engine: Any = OneByOne([], {"a": {"State": {"FinishedAt": text}}})
    view, _ = read_view(engine, {})
    assert view.stopped_at("a") == expected
    assert view.stopped_at("missing") is None


@pytest.fixture
def engine_containers(docker_host: str) -> Iterator[dict[str, str]]:
    """A container of ours that runs, one that stopped, and one of somebody else."""
    assert docker_host == os.environ["DOCKER_HOST"]
    mark = uuid.uuid4().hex[:8]
    image, none = "ds01/debian:bookworm", ("--network", "none")
    names = {kind: f"g2-{mark}-{kind}" for kind in ("runs", "stopped", "foreign")}
    labels = ["--label", "ds01.managed=1", "--label", "ds01.uid=4711"]
    labels += ["--label", "ds01.gpus=MIG-a;MIG-b", "--label", "ds01.user=ada"]
    labels += ["--label", "ds01.gpu.profiles=1g.5gb;1g.5gb"]

    def docker(*words: str) -> None:
        subprocess.run(["docker", *words], check=True, capture_output=True)

    docker("run", "-d", *none, "--name", names["runs"], *labels, image, "sleep", "600")
    docker("run", *none, "--name", names["stopped"], *labels, image, "true")
    docker("create", "--name", names["foreign"], image, "true")
    yield names
    docker("rm", "-f", *names.values())


@pytest.mark.engine
def test_the_real_engine(engine_containers: dict[str, str], docker_host: str) -> None:
    with Engine(docker_host) as engine:
        view, cache = read_view(engine, {})
        found = {c.name: c for c in view.containers}
        runs = found[engine_containers["runs"]]
        assert runs.active
        assert runs.managed
        assert (runs.uid, runs.user) == (4711, "ada")
        assert runs.holds == ("MIG-a", "MIG-b")
        assert runs.profiles == ("1g.5gb", "1g.5gb")
        stopped = found[engine_containers["stopped"]]
        assert not stopped.active
        assert not stopped.fresh
        at = view.stopped_at(stopped.id)
        assert at is not None
        assert abs((datetime.now(timezone.utc) - at).total_seconds()) < 600
        foreign = found[engine_containers["foreign"]]
        assert foreign.fresh
        assert not foreign.managed
        again, same = read_view(engine, cache)
        assert {c.id for c in again.containers} >= {runs.id, stopped.id, foreign.id}
        assert json.dumps(same)
