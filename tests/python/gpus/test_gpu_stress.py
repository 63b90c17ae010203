"""The allocator under many processes at once, and under kill -9 at any moment."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import parse_request
from gpu_world import (
    FileEngine,
    World,
    assert_sound,
    gpu,
    make_paths,
    me,
    mig,
    user,
)

pytestmark = pytest.mark.alone

PROCESSES = 64
# `tests/run --fast` has a minute for everything.
ROUNDS = 20 if os.environ.get("BENCH_FAST") else 200
KILLS = 240
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def fast_dir() -> Iterator[Path]:
    """A folder in memory: thousands of durable writes."""
    folder = Path(tempfile.mkdtemp(prefix="ds01-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def ask_each_round(world: World, number: int, start: Any, end: Any, out: Any) -> None:
    request = parse_request("1")
    allocator = world.allocator()
    for turn in range(ROUNDS):
        start.wait()
        try:
            grant = allocator.reserve(user(100 + number), request, f"c{number}", me())
            out.put((turn, number, grant.uuids))
        except Refusal as refusal:
            out.put((turn, number, refusal.machine))
        end.wait()
        # Everybody has asked: who has it gives it back for the next round.
        document = ledger_document.peek(world.paths)
        if document and document.grant_of(f"c{number}"):
            allocator.release(f"c{number}", "round")
        end.wait()


def test_64_processes_ask_for_the_last_device(fast_dir: Path) -> None:
    world = World(make_paths(fast_dir), inventory=Inventory((gpu(0),)))
    start, end = FORK.Barrier(PROCESSES), FORK.Barrier(PROCESSES)
    out: Any = FORK.Queue()
    processes = [
        FORK.Process(target=ask_each_round, args=(world, number, start, end, out))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    answers = [out.get(timeout=600) for _ in range(PROCESSES * ROUNDS)]
    for process in processes:
        process.join(600)
    granted = Counter(turn for turn, _, answer in answers if answer == (gpu(0).uuid,))
    assert granted == Counter(range(ROUNDS))
    assert Counter(answer for _, _, answer in answers)["no-free-device"] == (
        ROUNDS * (PROCESSES - 1)
    )
    # The log says the same: never a grant while another one stands.
    holder = None
    for line in world.log("grant", "release"):
        if line["type"] == "grant":
            assert holder is None
            holder = line["container"]
        else:
            assert holder == line["container"]
            holder = None
    assert len(world.log("grant")) == ROUNDS
    assert len(world.log("refuse")) == ROUNDS * (PROCESSES - 1)


def live(world: World, number: int) -> None:
    """Make and remove containers for ever, as the gateway does."""
    allocator, request = world.allocator(), parse_request("1g.5gb")
    assert world.engine is not None
    turn = 0
    while True:
        turn += 1
        name = f"c{number}-{turn % 3}"
        try:
            grant = allocator.reserve(user(number), request, name, me())
        except Refusal:
            continue
        if turn % 4 == 0:
            allocator.release(name, "failed", owner=me())
            continue
        made = world.engine.create(name, number, grant.uuids)
        allocator.commit(name, made)
        world.engine.remove(made)
        allocator.release(name, "removed", container_id=made)


@pytest.mark.parametrize("seed", range(4))
def test_kill_at_any_moment(fast_dir: Path, seed: int) -> None:
    """After the next call no device is leaked, none held twice, whatever was killed."""
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    world = World(make_paths(fast_dir), inventory=Inventory(tuple(mig(0, "1g.5gb*3"))))
    world.engine = FileEngine(fast_dir / "engine.json")
    seen: Counter[str] = Counter()
    for number in range(KILLS // 4):
        child = os.fork()
        if child == 0:
            try:
                live(world, 100 + number)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        before = ledger_document.peek(world.paths)
        for grant in before.grants if before else ():
            seen[grant.state + (" with id" if grant.container_id else "")] += 1
        world.allocator().reconcile()
        assert_sound(world)
        document = ledger_document.peek(world.paths)
        containers = json.loads(world.engine.path.read_text())
        if document is None:  # killed before it wrote anything
            assert not containers
            continue
        # Exactly what the engine's containers hold is taken.
        held = {uuid for _, _, uuids in containers.values() for uuid in uuids}
        assert {u for grant in document.grants for u in grant.uuids} == held
        assert not document.dirty
        free = {u for u, state in world.states().items() if state == "free"}
        assert len(free) == 3 - len(held)
        # And it can be had.
        for place in range(len(free)):
            world.allocator().reserve(user(0), parse_request("1"), f"t{place}", me())
        for place in range(len(free)):
            assert world.allocator().release(f"t{place}", "test")
        for container_id in containers:
            world.engine.remove(container_id)
    leftovers = [p.name for p in world.paths.state.iterdir() if "tmp" in p.name]
    assert len(leftovers) <= 1
    # The moments were all kinds of moments.
    assert seen
