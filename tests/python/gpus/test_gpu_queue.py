"""allocator/queue.py, ledger/use.py: order, turns, passing without delaying anybody."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.core.errors import Exit
from ds01.gpus.allocator.queue import Given, Outcome, Place, find_turn, order
from ds01.gpus.ledger import use as ledger_use
from ds01.gpus.ledger.document import Grant, Ticket, Use
from ds01.gpus.rules.refusal import GrantedDevice, Refusal
from gpu_world import START

DAY = 86400.0


def ticket(number: int, kind: str = "a", priority: int = 10, uid: int = 0) -> Ticket:
    return Ticket(number, f"c{number}", uid or number, "x", kind, priority, START)


def placer(free: set[str], everything: set[str], quota: int = 99) -> Place:
    """Requests such as `aab`: two devices named a…, one named b…."""

    def place(
        asked: Ticket, given_: Sequence[Given], barred: frozenset[str]
    ) -> Outcome:
        has = sum(len(g.devices) for g in given_ if g.ticket.uid == asked.uid)
        if has + len(asked.request) > quota:
            return Outcome(reason=Refusal("quota-gpus", "too many"))
        chosen: list[str] = []
        useful = frozenset(d for d in everything if d[0] in asked.request)
        for kind in asked.request:
            left = sorted(d for d in free - barred - set(chosen) if d.startswith(kind))
            if not left:
                none = Refusal("no-free-device", "none", code=Exit.NO_GPU)
                return Outcome(useful=useful, reason=none)
            chosen.append(left[0])
        return Outcome(tuple(chosen), useful=useful)

    return place


def test_order_is_priority_then_use_then_arrival() -> None:
    tickets = [
        ticket(1, uid=1),
        ticket(2, uid=2),
        ticket(3, uid=3),
        ticket(4, uid=2),
        ticket(5, priority=50, uid=1),
    ]
    uses = {1: 100.0, 2: 5.0, 3: 5.0}
    ordered = order(tickets, lambda uid: uses[uid])
    assert [t.number for t in ordered] == [5, 2, 3, 4, 1]


def test_the_first_gets_what_is_free() -> None:
    queue = [ticket(1), ticket(2)]
    place = placer({"a1"}, {"a1", "a2"})
    assert find_turn(queue[0], queue, place).devices == ("a1",)
    second = find_turn(queue[1], queue, place)
    assert second.devices is None
    assert second.position == 2
    assert second.ready == (queue[0],)
    assert second.kept == {"a1"}


def test_a_small_one_does_not_take_what_a_large_one_collects() -> None:
    queue = [ticket(1, "aa"), ticket(2, "a")]
    place = placer({"a1"}, {"a1", "a2"})
    assert find_turn(queue[1], queue, place).devices is None


def test_a_small_one_passes_with_what_the_large_one_has_no_use_for() -> None:
    queue = [ticket(1, "aa"), ticket(2, "b")]
    place = placer({"a1", "b1"}, {"a1", "a2", "b1"})
    turn = find_turn(queue[1], queue, place)
    assert turn.devices == ("b1",)
    assert turn.position == 2


def test_who_has_used_up_the_quota_keeps_nothing() -> None:
    queue = [ticket(1, "aaaa"), ticket(2, "a")]
    turn = find_turn(queue[1], queue, placer({"a1"}, {"a1", "a2"}, quota=3))
    assert turn.devices == ("a1",)
    assert turn.position == 1


def test_no_way_past_oneself_into_ones_own_quota() -> None:
    large, small = ticket(1, "aa", uid=7), ticket(2, "b", uid=7)
    place = placer({"a1", "b1"}, {"a1", "a2", "b1"}, quota=2)
    assert find_turn(small, [large, small], place).devices is None
    roomy = placer({"a1", "b1"}, {"a1", "a2", "b1"}, quota=3)
    assert find_turn(small, [large, small], roomy).devices == ("b1",)


def test_what_those_ahead_will_have_counts_for_their_user() -> None:
    first, second = ticket(1, "a", uid=7), ticket(2, "a", uid=7)
    turn = find_turn(second, [first, second], placer({"a1", "a2"}, {"a1"}, quota=1))
    assert turn.outcome.refused


KINDS = st.text("ab", min_size=1, max_size=3)


@settings(max_examples=300)
@given(
    st.lists(KINDS, min_size=1, max_size=5),
    KINDS,
    st.lists(st.integers(0, 7), max_size=40),
    st.integers(0, 255),
)
def test_passing_never_delays_anybody(
    ahead: list[str], late: str, releases: list[int], free_bits: int
) -> None:
    """Whatever comes free when: those ahead start at the same moment and with the same
    devices, whether somebody comes behind them or not; who comes behind keeps what they
    got for ever, the worst case."""
    everything = {f"a{n}" for n in range(4)} | {f"b{n}" for n in range(4)}
    names = sorted(everything)
    start = {names[n] for n in range(8) if free_bits >> n & 1}

    def run(queue: list[Ticket]) -> dict[int, tuple[int, tuple[str, ...]]]:
        free, waiting = set(start), list(queue)
        started: dict[int, tuple[int, tuple[str, ...]]] = {}
        # What is in use at the beginning comes back in any order.
        busy = [name for name in names if name not in free]
        for moment in range(len(releases) + 1):
            progress = True
            while progress:
                progress = False
                for mine in list(waiting):
                    turn = find_turn(mine, waiting, placer(free, everything))
                    if turn.devices is not None:
                        free -= set(turn.devices)
                        waiting.remove(mine)
                        started[mine.number] = (moment, turn.devices)
                        progress = True
            if moment < len(releases) and busy:
                free.add(busy.pop(releases[moment] % len(busy)))
        return started

    queue = [ticket(number + 1, kind) for number, kind in enumerate(ahead)]
    alone = run(queue)
    crowded = run([*queue, ticket(99, late)])
    crowded.pop(99, None)
    assert crowded == alone


@settings(max_examples=200)
@given(st.lists(st.tuples(KINDS, st.sampled_from([1, 2, 3])), max_size=6))
def test_no_device_is_promised_twice(wishes: list[tuple[str, int]]) -> None:
    everything = {"a1", "a2", "b1"}
    queue = [ticket(n + 1, kind, uid=uid) for n, (kind, uid) in enumerate(wishes)]
    place = placer(everything, everything)
    got = [find_turn(mine, queue, place).devices or () for mine in queue]
    devices = [device for each in got for device in each]
    assert len(devices) == len(set(devices))


def test_use_fades_by_half_in_a_week() -> None:
    use = Use(100.0, START)
    later = START + timedelta(days=7)
    assert math.isclose(ledger_use.faded(use, later), 50)
    assert ledger_use.faded(use, START - timedelta(hours=1)) == 100
    assert ledger_use.faded(None, START) == 0


@given(st.floats(0.01, 8), st.floats(0, 30 * DAY), st.floats(0, 30 * DAY))
def test_use_in_two_parts_is_as_much_as_in_one(
    share: float, first: float, second: float
) -> None:
    middle = START + timedelta(seconds=first)
    end = middle + timedelta(seconds=second)
    whole = ledger_use.worth(share, START, end, end)
    parts = ledger_use.worth(share, START, middle, end) + ledger_use.worth(
        share, middle, end, end
    )
    assert math.isclose(whole, parts, rel_tol=1e-6, abs_tol=1e-3)
    assert whole <= share * (first + second) + 1e-3


def test_use_is_made_anew_from_the_log(tmp_path: Path) -> None:
    end = START + timedelta(days=1)
    device = GrantedDevice("GPU-1", "GPU-1", "full", None, None, 0.5, False)
    grant = Grant("a", 7, "a", "1", "allocated", START, (device,))
    line = {
        "time": "2026-11-03T08:00:00.000Z",
        "type": "release",
        "uid": 7,
        "share": 0.5,
        "begin": "2026-11-02T08:00:00.000Z",
        "end": "2026-11-03T08:00:00.000Z",
    }
    texts = [json.dumps(line, separators=(",", ":"))]
    for bad in ({"uid": "7"}, {"share": None}, {"begin": "x"}, {"type": "grant"}):
        texts.append(json.dumps({**line, **bad}, separators=(",", ":")))
    texts += ['{"type":"release"', ""]
    log = tmp_path / "gpu-allocations.log"
    log.write_text("\n".join(texts))
    # Files that were rotated away count, too.
    packed = json.dumps({**line, "uid": 8}, separators=(",", ":")) + "\n"
    (tmp_path / "gpu-allocations.log.4.gz").write_bytes(gzip.compress(packed.encode()))
    found = ledger_use.from_log(log, end)
    remembered = ledger_use.add({}, grant, end)
    assert remembered is not None
    assert set(found) == {7, 8}
    assert math.isclose(found[7].seconds, remembered[7].seconds)
    assert math.isclose(found[8].seconds, remembered[7].seconds)
    assert ledger_use.from_log(tmp_path / "none", end) == {}


def test_what_is_in_use_now_counts() -> None:
    device = GrantedDevice("GPU-1", "GPU-1", "full", None, None, 1.0, False)
    grant = Grant("a", 7, "a", "1", "allocated", START, (device,))
    now = START + timedelta(seconds=100)
    assert 99 < ledger_use.of_user(7, {}, [grant], now) <= 100
    assert ledger_use.of_user(8, {}, [grant], now) == 0
