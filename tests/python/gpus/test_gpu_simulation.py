"""A day of load on a virtual clock: real allocator, rules, state and queue.

Tens of users with thousands of requests over 4 GPUs, two of them divided. At every
instant: no device has two holders, no quota is exceeded. At the end: everybody who
waited was served, and what equals had is shared equally.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ds01.gpus.allocator import turns
from ds01.gpus.allocator.queue import NotYet, Turn, order
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.use import of_user
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import parse_request
from gpu_world import START, World, gpu, make_paths, make_policy, me, mig, user

pytestmark = pytest.mark.alone

USERS = 30
# `tests/run --fast` has a minute for everything.
HOURS = 8 if os.environ.get("BENCH_FAST") else 24
POLICY = """\
version: 1
default_group: student
defaults:
  max_gpus: 1
  max_mig_instances: 2
  max_gpus_per_container: 2
  max_containers_per_user: 4
  gpu_hold_after_stop: 1m
groups:
  student: {members: []}
  phd: {members: [user1, user2, user3, user4, user5, user6], max_gpus: 2,
    max_mig_instances: 4, allow_full_gpu: true, priority: 50}
"""
QUOTA = {"student": (1.0, 2), "phd": (2.0, 4)}
PHD = range(1, 7)


@dataclass
class Day:
    """The day: what happens when, who waits, what came of it."""

    world: World
    rng: random.Random
    events: list[tuple[float, int, str, Any]] = field(default_factory=list)
    waiting: dict[int, tuple[int, str, str, float]] = field(default_factory=dict)
    waits: list[tuple[int, float]] = field(default_factory=list)
    had: Counter[int] = field(default_factory=Counter)
    asked: int = 0
    served: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    numbers: Any = field(default_factory=itertools.count)

    def at(self, hour: float, kind: str, what: Any) -> None:
        heapq.heappush(self.events, (hour, next(self.numbers), kind, what))

    def hour(self) -> float:
        return (self.world.now - START).total_seconds() / 3600


@pytest.fixture
def day() -> Iterator[Day]:
    """Two whole GPUs, one of seven instances, one of 3g + 2g + 2 × 1g."""
    folder = Path(tempfile.mkdtemp(prefix="ds01-test-", dir="/dev/shm"))
    devices = (gpu(0), gpu(1), *mig(2), *mig(3, "3g.20gb,2g.10gb,1g.5gb*2"))
    world = World(make_paths(folder), inventory=Inventory(devices))
    world.policy = make_policy(world.paths.etc, POLICY)
    yield Day(world, random.Random(20261102))  # noqa: S311 - the same day each time
    shutil.rmtree(folder)


def wish(day: Day, uid: int) -> str:
    words = ["1", "1g.5gb", "1g.5gb", "1g.5gb:2", "2g.10gb", "mem=15g"]
    if uid in PHD:
        words += ["full", "full", "full:2", "3g.20gb"]
    return day.rng.choice(words)


def begin(day: Day, uid: int, name: str, words: str, since: float) -> None:
    """Somebody has devices: the container runs for a while, then stops or goes."""
    document = ledger_document.peek(day.world.paths)
    assert document is not None
    grant = document.grant_of(name)
    assert grant is not None
    made = day.world.make(name, uid, *grant.uuids, request=words)
    day.world.allocator().commit(name, made.id)
    day.waits.append((uid, day.hour() - since))
    day.served += 1
    length = day.rng.expovariate(1 / 0.05)
    day.at(day.hour() + length, "end", (name, uid, grant.share * length))


def ask(day: Day, uid: int) -> None:
    """Somebody asks, unless two requests of theirs wait already."""
    if sum(waiting[0] == uid for waiting in day.waiting.values()) > 1:
        return
    name, words = f"u{uid}-{day.asked}", wish(day, uid)
    day.asked += 1
    request, allocator = parse_request(words), day.world.allocator()
    try:
        allocator.reserve(user(uid), request, name, me())
    except Refusal as refusal:
        if not refusal.waits:
            day.refused[refusal.machine] += 1
            return
        ticket = allocator.enqueue(user(uid), request, name, me())
        day.waiting[ticket.number] = (uid, name, words, day.hour())
    else:
        begin(day, uid, name, words, day.hour())


def end(day: Day, name: str, uid: int, used: float) -> None:
    day.had[uid] += used  # type: ignore[assignment]
    if day.rng.random() < 0.3:
        day.world.stop(name)
        day.at(day.hour() + 0.1, "remove", name)
    else:
        remove(day, name)


def remove(day: Day, name: str) -> None:
    made = day.world.containers.pop(name)
    day.world.allocator().release(name, "removed", container_id=made.id)


def wake(day: Day) -> None:
    """All who wait look, until nobody can get anything.

    A day is long: the last in the queue sees who before it could have devices, and only
    those look. Now and then everybody does, in any order, and must see the same.
    """
    while day.waiting:
        numbers = [last_number(day)]
        if day.rng.random() < 0.02:
            numbers = list(day.waiting)
            day.rng.shuffle(numbers)
        ready: set[int] = set()
        progress = False
        for number in numbers:
            turn = look(day, number)
            progress = progress or turn is None
            ready |= {t.number for t in turn.ready} if turn else set()
        for number in ready & set(day.waiting):
            progress = look(day, number) is None or progress
        if not progress:
            assert not ready
            return


def look(day: Day, number: int) -> Turn | None:
    """One who waits asks; returns how it stands, None if it waits no more."""
    uid, name, words, since = day.waiting[number]
    request = parse_request(words)
    try:
        day.world.allocator().reserve(user(uid), request, name, me(), number)
    except NotYet as refusal:
        return refusal.turn
    except Refusal as refusal:
        # By a quota that filled up while they waited.
        day.refused[f"late {refusal.machine}"] += 1
        day.world.allocator().cancel(number)
    else:
        begin(day, uid, name, words, since)
    del day.waiting[number]
    return None


def last_number(day: Day) -> int:
    document = ledger_document.peek(day.world.paths)
    assert document is not None

    def use(uid: int) -> float:
        return of_user(uid, document.use, document.grants, day.world.now)

    return order(document.queue, use)[-1].number


def check(day: Day) -> None:
    """No device twice, no quota exceeded, at this instant."""
    document = ledger_document.peek(day.world.paths)
    assert document is not None
    uuids = [uuid for grant in document.grants for uuid in grant.uuids]
    assert len(uuids) == len(set(uuids))
    share: defaultdict[int, float] = defaultdict(float)
    instances: Counter[int] = Counter()
    containers = Counter(g.uid for g in document.grants)
    for grant in document.grants:
        assert len(grant.uuids) <= 2
        share[grant.uid] += grant.share
        instances[grant.uid] += sum(device.is_mig for device in grant.devices)
    for uid in share:
        gpus, slices = QUOTA["phd" if uid in PHD else "student"]
        assert share[uid] <= gpus + 1e-9
        assert instances[uid] <= slices
        assert containers[uid] <= 4


def jain(shares: list[float]) -> float:
    """1 if all have the same, 1/n if one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def test_a_day(
    day: Day,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Those who wait look at every event here, which may be minutes apart.
    monkeypatch.setattr(turns, "OFFER_SECONDS", 1e6)
    for uid in range(1, USERS + 1):
        # Some ask ten times as often as others.
        pace = 0.1 if uid % 10 == 0 else 0.25
        hour = day.rng.uniform(0, 0.5)
        while hour < HOURS:
            day.at(hour, "ask", uid)
            hour += day.rng.expovariate(1 / pace)
    longest = 0.0
    while day.events:
        hour, _, kind, what = heapq.heappop(day.events)
        day.world.now = START + timedelta(hours=hour)
        if kind == "ask":
            ask(day, what)
        elif kind == "end":
            end(day, *what)
        else:
            remove(day, what)
        if kind != "ask":
            wake(day)
        check(day)
        for _, _, _, since in day.waiting.values():
            longest = max(longest, day.hour() - since)
    students = [float(day.had[uid]) for uid in range(7, USERS + 1)]
    index = jain(students)
    asked = [f"{name} {count}" for name, count in day.refused.most_common()]
    with capsys.disabled():
        print(
            f"\n{day.asked} requests of {USERS} users: {day.served} served, "
            f"refused: {', '.join(asked)}; longest wait {longest:.1f} h, "
            f"Jain index of {len(students)} students {index:.3f}"
        )
    assert day.asked > 80 * HOURS
    # Nobody waits for ever, and nobody who asks gets nothing.
    assert not day.waiting
    assert day.served + sum(day.refused.values()) == day.asked
    assert longest < HOURS / 2
    assert min(students) > 0
    assert index > 0.9
    # Priority is worth something.
    researchers = [float(day.had[uid]) for uid in PHD]
    assert sum(researchers) / len(researchers) > sum(students) / len(students)
    # All is back when all have gone.
    assert set(day.world.states().values()) == {"free"}
