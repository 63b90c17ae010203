"""usage/intervals.py: grants over a window, unfinished ones, clocks that go back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.units import utc_stamp
from ds01.gpus.ledger.document import Grant
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.usage.intervals import Interval, bucketed, in_window, intervals, joined, waits

START = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
DEVICE = GrantedDevice("GPU-1", "GPU-1", "full", None, None, 1.0, False)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def event(kind: str, minutes: float, **fields: Any) -> dict[str, Any]:
    base = {
        "time": utc_stamp(at(minutes)),
        "type": kind,
        "container": "c._.7",
        "uid": 7,
        "user": "alice",
        "devices": ["GPU-1"],
        "share": 1.0,
    }
    return {**base, **fields}


def release(begin: float, end: float, **fields: Any) -> dict[str, Any]:
    span = {"begin": utc_stamp(at(begin)), "end": utc_stamp(at(end))}
    return event("release", end, **span, was="allocated", **fields)


def grant(since: float, **fields: Any) -> Grant:
    base: dict[str, Any] = {
        "container": "c._.7",
        "uid": 7,
        "user": "alice",
        "devices": (DEVICE,),
        "request": "1",
        "state": "allocated",
        "since": at(since),
    }
    return Grant(**{**base, **fields})


def minutes(found: Sequence[Interval]) -> float:
    return sum(item.gpu_seconds() for item in found) / 60


def held(found: Sequence[Interval]) -> float:
    return sum(item.held_seconds() for item in found) / 60


def test_a_release_tells_the_whole_grant() -> None:
    found = intervals([event("grant", 0), release(0, 30)], [], at(60))
    assert minutes(found) == 30
    assert held(found) == 0


def test_a_release_alone_is_enough() -> None:
    assert minutes(intervals([release(-1000, 30)], [], at(60))) == 1030


def test_shares_weigh() -> None:
    assert minutes(intervals([release(0, 70, share=1 / 7)], [], at(70))) == (
        pytest.approx(10)
    )


def test_containers_without_gpus_have_none() -> None:
    lines = [event("grant", 0, devices=[]), release(0, 30, devices=[], share=0)]
    assert intervals(lines, [], at(60)) == []


def test_an_unfinished_grant_lasts_until_now() -> None:
    lines = [event("grant", 0), event("commit", 1)]
    assert minutes(intervals(lines, [grant(0)], at(60))) == 60
    # Without the allocator's memory the log alone tells.
    assert minutes(intervals(lines, None, at(60))) == 60
    # With it, a release that was not logged ends with the last word.
    assert minutes(intervals(lines, [], at(60))) == 1


def test_a_grant_older_than_the_log_is_known_from_the_allocator() -> None:
    assert minutes(intervals([], [grant(-500)], at(60))) == 560


def test_stopped_time_is_held_and_granted() -> None:
    lines = [
        event("grant", 0),
        event("hold", 11, stopped=utc_stamp(at(10))),
        event("resume", 20),
        event("hold", 31, stopped=utc_stamp(at(30))),
        release(0, 45),
    ]
    found = intervals(lines, [], at(60))
    assert minutes(found) == 45
    assert held(found) == 25
    window = in_window(found, at(15), at(35))
    assert (minutes(window), held(window)) == (20, 10)


def test_a_present_hold_is_known_without_the_log() -> None:
    found = intervals([], [grant(0, state="held", stopped=at(40))], at(60))
    assert (minutes(found), held(found)) == (60, 20)


def test_two_containers_of_one_name_one_after_the_other() -> None:
    lines = [event("grant", 0), release(0, 10), event("grant", 20), release(20, 25)]
    assert minutes(intervals(lines, [], at(60))) == 15


def test_a_clock_that_was_set_back_counts_for_nothing() -> None:
    assert minutes(intervals([release(30, 10)], [], at(60))) == 0
    assert minutes(intervals([], [grant(90)], at(60))) == 0
    lines = [event("grant", 50), event("hold", 20, stopped=utc_stamp(at(20)))]
    found = intervals(lines, None, at(10))
    assert (minutes(found), held(found)) == (0, 0)


@pytest.mark.parametrize(
    "broken",
    [
        {"time": None},
        {"time": "soon"},
        {"uid": "7"},
        {"share": "much"},
        {"share": -1.0},
        {"begin": 7},
        {"end": None},
    ],
)
def test_lines_that_make_no_sense_are_left_out(broken: dict[str, Any]) -> None:
    lines = [{**release(0, 30), **broken}, release(40, 45)]
    assert minutes(intervals(lines, [], at(60))) == 5


def test_waits_are_from_the_ticket_to_the_grant() -> None:
    lines = [
        event("enqueue", 0, ticket=4),
        event("enqueue", 5, ticket=5, container="d._.7"),
        event("grant", 12, ticket=4),
        event("leave", 15, ticket=5, container="d._.7", reason="cancelled"),
        event("grant", 20, ticket=6, container="e._.7"),
        event("leave", 21, ticket=3, container="f._.7"),
        event("grant", 22),
    ]
    found = waits(lines, at(0), at(60))
    assert [(item.seconds, item.served) for item in found] == [
        (720, True),
        (600, False),
        (None, False),
    ]
    assert [item.seconds for item in waits(lines, at(13), at(16))] == [600]


# Properties -------------------------------------------------------------------

MINUTES = st.integers(-2000, 2000)
INTERVALS = st.builds(
    lambda begin, length, share, uid, pauses: Interval(
        uid,
        str(uid),
        "c",
        at(begin),
        at(begin + length),
        share,
        tuple((at(begin + a), at(begin + b)) for a, b in pauses),
    ),
    MINUTES,
    st.integers(0, 1500),
    st.sampled_from([1.0, 2.0, 1 / 7, 3 / 7]),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(-50, 1600), st.integers(-50, 1600)), max_size=4),
)


@given(st.lists(INTERVALS, max_size=8), MINUTES, MINUTES)
def test_a_window_and_the_rest_are_the_whole(
    found: list[Interval], one: int, other: int
) -> None:
    begin, end = sorted((at(one), at(other)))
    early, late = at(-99_999), at(99_999)
    parts = [
        *in_window(found, early, begin),
        *in_window(found, begin, end),
        *in_window(found, end, late),
    ]
    assert minutes(parts) == pytest.approx(minutes(found))
    assert held(parts) == pytest.approx(held(found))


@given(st.lists(INTERVALS, max_size=8))
def test_nobody_holds_more_than_is_granted(found: list[Interval]) -> None:
    for item in found:
        assert 0 <= item.held_seconds() <= item.gpu_seconds() + 1e-6


@given(st.lists(INTERVALS, max_size=8), st.lists(MINUTES, min_size=2, unique=True))
def test_buckets_add_up_to_the_window(found: list[Interval], marks: list[int]) -> None:
    edges = [at(mark) for mark in sorted(marks)]
    total = sum(sum(sums.values()) for sums in bucketed(found, edges)) / 60
    assert total == pytest.approx(minutes(in_window(found, edges[0], edges[-1])))


@given(st.lists(st.tuples(MINUTES, MINUTES), max_size=10))
def test_joined_spans_are_apart_and_cover_the_same(
    spans: list[tuple[int, int]],
) -> None:
    result = joined([(at(a), at(b)) for a, b in spans])
    assert all(a[1] < b[0] for a, b in itertools.pairwise(result))
    covered = {m for a, b in spans for m in range(a, b)}
    length = sum((end - begin).total_seconds() for begin, end in result) / 60
    assert length == len(covered)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grant", "hold", "resume", "start", "release"]),
        st.integers(-30, 200),
    ),
    max_size=20,
)


@given(STEPS, st.booleans())
def test_any_story_gives_sane_figures(
    steps: list[tuple[str, int]], is_known: bool
) -> None:
    clock, since, lines = 0, 0, []
    for kind, step in steps:
        clock += step  # now and then the clock is set back
        if kind == "grant":
            since = clock
        lines.append(release(since, clock) if kind == "release" else event(kind, clock))
    found = intervals(lines, [] if is_known else None, at(clock))
    for item in found:
        assert item.end >= item.begin
        assert 0 <= item.held_seconds() <= item.gpu_seconds() + 1e-6
