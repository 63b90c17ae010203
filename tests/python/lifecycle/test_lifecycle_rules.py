"""Who is stopped, when, and how they are warned: on a virtual clock."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.lifecycle import words
from ds01.lifecycle.rules import decide
from ds01.lifecycle.types import Holding, Moment, Subject, Term, Terms
from ds01.policy.sections import Lifecycle
from ds01.records.pass_entries import Entry
from lifecycle_world import (
    DAY,
    EPOCH,
    HOUR,
    IDLE,
    MINUTE,
    Doing,
    Run,
    Series,
    at,
    percents,
    replay,
    since,
    steps,
)

RECORDED = Path(__file__).resolve().parents[2] / "fixtures/activity"

TRAINS = Doing(cpu=130, gpu=92, processes=(41,), memory=9 << 30)
LOADS = Doing(cpu=9, gpu=0, processes=(41,), memory=9 << 30, block=40e6)
# Its figures would say idle, if the kernel did not say that it waits for a file.
WAITS = Doing(cpu=0.1, gpu=0, processes=(41,), memory=9 << 30, waits=4)
JUPYTER = Doing(cpu=0.6, gpu=0, processes=(41,), memory=2 << 30, network=200)
ON_MIG = Doing(cpu=25, gpu=None, is_mig=True, processes=(41,), memory=4 << 30)
IDLE_MIG = Doing(cpu=0.4, gpu=None, is_mig=True, processes=(41,), memory=4 << 30)
TYPES = Doing(cpu=0.3, typed=True)

ACTIVE: dict[str, Series] = {
    "training with minutes of loading": steps(
        (20 * MINUTE, TRAINS), (9 * MINUTE, LOADS)
    ),
    "training that waits for a slow file system": steps(
        (10 * MINUTE, TRAINS), (40 * MINUTE, WAITS)
    ),
    "one epoch an hour": steps((3 * MINUTE, TRAINS), (57 * MINUTE, IDLE)),
    "training on MIG, without figures": steps(
        (15 * MINUTE, ON_MIG), (30 * MINUTE, IDLE_MIG)
    ),
    "memory that changes on MIG": lambda second: replace(
        IDLE_MIG, memory=(4 << 30) + int(second // 3000)
    ),
    "a person who types now and then": steps((100 * MINUTE, IDLE), (MINUTE, TYPES)),
    "a download": steps((HOUR, IDLE), (5 * MINUTE, Doing(network=60e3))),
    "a GPU that cannot be read": lambda _: Doing(gpu=None, processes=(41,)),
    "a device whose processes cannot be listed": lambda _: Doing(
        gpu=None, processes=None
    ),
}
IDLING: dict[str, Series] = {
    "nothing": lambda _: IDLE,
    "Jupyter left open": lambda _: JUPYTER,
    "a kernel on MIG that holds its memory": lambda _: IDLE_MIG,
}


@pytest.mark.parametrize("tick", [MINUTE, 5 * MINUTE])
@pytest.mark.parametrize("name", ACTIVE)
def test_no_active_container_is_stopped_or_even_warned_last(
    name: str, tick: float
) -> None:
    run = Run(ACTIVE[name], idle=2 * HOUR).go(4 * DAY, tick)
    assert run.acts == []
    assert 95 not in percents(run)


@pytest.mark.parametrize(
    ("limit", "tick"),
    [
        (30 * MINUTE, MINUTE),
        (2 * HOUR, MINUTE),
        (2 * HOUR, 5 * MINUTE),
        (48 * HOUR, 5 * MINUTE),
    ],
)
@pytest.mark.parametrize("name", IDLING)
def test_each_idle_container_is_stopped_within_a_tick_after_both_warnings(
    name: str, tick: float, limit: float
) -> None:
    busy = 17 * MINUTE
    series = IDLING[name]
    run = Run(lambda s: TRAINS if s < busy else series(s), idle=limit)
    run.go(busy + limit + 2 * tick, tick)
    assert run.entry is not None and run.entry.last_active is not None
    idle_since = since(run.entry.last_active)
    assert busy - tick <= idle_since <= busy + tick
    due = idle_since + limit
    assert run.stopped is not None and due <= run.stopped < due + tick
    assert run.acts[0][1].rule == "idle_timeout"
    (first, early), (second, late) = run.told
    assert [early.percent, late.percent] == [80, 95]
    for moment, notice in run.told:
        own = idle_since + limit * notice.percent / 100
        assert own - 1.25 * tick <= moment < own + tick
        assert since(notice.due) == due
    assert first < second < run.stopped


def test_a_warning_without_a_pass_of_its_own_comes_one_early() -> None:
    run = Run(lambda _: IDLE, idle=10 * MINUTE).go(HOUR, 5 * MINUTE)
    assert [(time, notice.percent) for time, notice in run.told] == [(300, 95)]
    assert run.stopped == 600


RECORDINGS = sorted(path.stem for path in RECORDED.glob("*.json"))


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_series(name: str) -> None:
    recorded = json.loads((RECORDED / f"{name}.json").read_text("utf-8"))
    # A recording of two minutes, over and over, under a limit of ten.
    run = Run(replay(recorded["samples"]), idle=10 * MINUTE, step=1.0).go(HOUR)
    if recorded["active"]:
        assert run.acts == [] and run.told == []
    else:
        assert run.stopped is not None and run.stopped <= 12 * MINUTE
        assert percents(run)[-1] == 95


def test_recordings_are_there() -> None:
    assert len(RECORDINGS) >= 4


def test_activity_after_a_warning_begins_anew_and_warns_anew() -> None:
    series = steps((110 * MINUTE, IDLE), (2 * MINUTE, TRAINS), (DAY, IDLE))
    run = Run(series, idle=2 * HOUR).go(6 * HOUR)
    assert percents(run) == [80, 80, 95]
    assert run.stopped is not None
    assert abs(run.stopped - 112 * MINUTE - 2 * HOUR) <= MINUTE


def test_kept_containers_are_warned_before_the_end_of_that() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR).go(100 * MINUTE)
    run.kept_until = at(8 * HOUR)
    run.go(DAY)
    times = [time for time, _ in run.told]
    assert times == [96 * MINUTE, 8 * HOUR - 24 * MINUTE, 8 * HOUR - 6 * MINUTE]
    assert run.stopped == 8 * HOUR


def test_an_exemption_holds_until_its_end() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR)
    run.lifted_until = at(3 * DAY)
    run.go(4 * DAY)
    assert run.stopped == 3 * DAY
    assert percents(run) == [80, 95]
    unlimited = Run(lambda _: IDLE, idle=None).go(9 * DAY)
    assert unlimited.acts == [] and unlimited.told == []


def test_a_keep_alive_file_counts_as_long_as_it_is_young() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR)
    run.keep_file = at(90 * MINUTE)
    run.go(HOUR)  # its time is yet to come: not believed
    assert (
        run.entry is not None and run.entry.active_because != "/workspace/.keep-alive"
    )
    run.go(DAY)
    assert run.stopped is not None
    assert abs(run.stopped - 210 * MINUTE) <= MINUTE


def test_missed_passes_give_as_much_notice_as_there_would_have_been() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR).go(94 * MINUTE)
    for _ in range(2):  # pauses that do not count as unwatched
        run.live(14 * MINUTE)
        run.look()
    assert run.acts == []
    told, notice = run.told[-1]
    assert told == 122 * MINUTE and notice.percent == 95
    assert since(notice.due) == told + 6 * MINUTE
    run.go(HOUR)
    assert run.stopped == told + 6 * MINUTE


def test_what_nobody_watched_counts_as_activity() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR).go(100 * MINUTE)
    run.live(10 * HOUR)
    decision = run.look()
    assert decision.act is None and decision.entry.warned == ()
    assert decision.entry.active_because == "not watched for a while"


def test_demand_shortens_the_limit_and_says_why() -> None:
    run = Run(
        lambda _: IDLE,
        idle=10 * HOUR,
        holding=Holding(("GPU-1",), EPOCH),
    ).go(6 * HOUR)
    run.is_wanted = True
    run.go(5 * HOUR)
    told, notice = run.told[-1]
    assert notice.rule == "demand" and notice.percent == 95
    assert told == 6 * HOUR + MINUTE
    # Half of ten hours is over already: the notice is 5% of what is left of the limit.
    assert run.stopped == told + 15 * MINUTE
    assert run.acts[0][1].rule == "demand"


def test_demand_never_goes_below_the_floor() -> None:
    run = Run(lambda _: IDLE, idle=40 * MINUTE, policy=Lifecycle(demand_factor=0.01))
    run.is_wanted = True
    run.go(HOUR)
    assert run.stopped == 30 * MINUTE
    short = Run(lambda _: IDLE, idle=20 * MINUTE)
    short.is_wanted = True
    assert short.go(HOUR).acts[0][1].rule == "idle_timeout"


def test_a_demand_that_ended_leaves_the_usual_limit() -> None:
    run = Run(lambda _: IDLE, idle=10 * HOUR)
    run.is_wanted = True
    run.go(4 * HOUR + 10 * MINUTE)
    assert percents(run) == [80]
    run.is_wanted = False
    run.go(DAY)
    assert [notice.rule for _, notice in run.told] == ["demand"] + ["idle_timeout"] * 2
    assert run.stopped == 10 * HOUR


def test_the_longest_run_time_counts_from_the_start_over_short_restarts() -> None:
    run = Run(lambda _: TRAINS, idle=2 * HOUR, runtime=10 * HOUR).go(5 * HOUR)
    run.state, run.finished = "exited", at(5 * HOUR)
    run.look()
    run.live(50 * MINUTE)
    run.state, run.started = "running", at(run.second)
    run.look()
    run.go(DAY)
    assert run.stopped == 10 * HOUR
    assert run.acts[0][1].rule == "max_runtime"
    assert percents(run) == [80, 95]


def test_a_long_pause_begins_a_new_run() -> None:
    run = Run(lambda _: TRAINS, idle=None, runtime=10 * HOUR).go(5 * HOUR)
    run.state, run.finished = "exited", at(5 * HOUR)
    run.look()
    run.live(70 * MINUTE)
    run.state, run.started = "running", at(run.second)
    run.look()
    run.go(DAY)
    assert run.stopped == 16 * HOUR + 10 * MINUTE


def test_a_restart_after_the_longest_run_time_is_told_and_ends_soon() -> None:
    run = Run(lambda _: TRAINS, idle=None, runtime=100 * HOUR).go(101 * HOUR)
    assert run.stopped == 100 * HOUR
    run.state, run.finished = "exited", at(100 * HOUR + 30)
    run.live(MINUTE)
    run.look()
    run.live(4 * MINUTE)
    run.state, run.started = "running", at(run.second)
    run.acts.clear()
    run.go(HOUR)
    assert run.told[-1][0] == run.told[-1][0] and run.told[-1][1].percent == 95
    assert run.stopped is not None
    assert 0 <= run.stopped - run.told[-1][0] - 10 * MINUTE < 1


def test_keeping_again_and_again_does_not_lift_the_longest_run_time() -> None:
    run = Run(lambda _: TRAINS, idle=None, runtime=10 * HOUR)
    for _ in range(60):
        run.kept_until = at(run.second + DAY)
        run.go(HOUR)
        if run.acts:
            break
    assert run.stopped == 34 * HOUR


def test_a_reservation_of_the_policy_ends_a_grant() -> None:
    holding = Holding(("GPU-1",), EPOCH, ends=at(10 * HOUR))
    run = Run(lambda _: TRAINS, idle=2 * HOUR, holding=holding)
    run.kept_until = at(20 * HOUR)
    run.go(DAY)
    assert run.stopped == 10 * HOUR
    assert run.acts[0][1].rule == "reservation"
    assert percents(run) == [80, 95]


def test_without_the_owners_limits_nothing_is_done() -> None:
    run = Run(lambda _: IDLE)
    subject = replace(run.subject(), terms=None)
    moment = Moment(at(0))
    decision = decide(subject, None, Lifecycle(), moment)
    later = decide(subject, decision.entry, Lifecycle(), Moment(at(90 * DAY)))
    assert later.act is None and later.notices == () and later.entry.next is None


def test_a_container_that_restarts_is_left_alone() -> None:
    run = Run(lambda _: IDLE).go(100 * MINUTE)
    run.state = "restarting"
    assert run.go(DAY).acts == []


def test_a_stop_that_is_not_seen_done_is_begun_again() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR).go(3 * HOUR)
    assert run.stopped == 2 * HOUR
    run.live(MINUTE)
    assert run.look().act is None  # it has its grace, and some more
    run.live(2 * MINUTE)
    assert run.look().act is not None


def test_a_stop_that_a_killed_pass_did_not_log_is_found() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR).go(3 * HOUR)
    run.state, run.finished = "exited", at(2 * HOUR + 5)
    run.live(MINUTE)
    decision = run.look()
    ((kind, facts),) = decision.found
    assert (kind, facts["rule"]) == ("stopped", "idle_timeout")
    assert facts["figures"]["idle_seconds"] == 2 * HOUR
    run.live(MINUTE)
    assert run.look().found == ()


def test_after_a_reboot_what_ran_is_found_stopped() -> None:
    run = Run(lambda _: TRAINS).go(HOUR)
    run.state, run.finished = "exited", at(HOUR + 5)
    subject = run.subject()
    known = run.entry
    moment = Moment(at(2 * HOUR), rebooted=True)
    decision = decide(subject, known, Lifecycle(), moment)
    assert decision.found == (("found-stopped", {"why": "the server was restarted"}),)
    assert decision.entry.note == "stopped: the server was restarted"
    again = decide(subject, decision.entry, Lifecycle(), Moment(at(2 * HOUR + 60)))
    assert again.found == () and again.entry.note == decision.entry.note
    by_hand = decide(subject, known, Lifecycle(), Moment(at(2 * HOUR)))
    assert by_hand.found == ()


def _stopped(hold: float | None, **fields: object) -> Subject:
    subject = Subject(
        container="proj._.1000",
        id="1" * 64,
        name="proj",
        uid=1000,
        user="alice",
        state="exited",
        created=EPOCH,
        started=EPOCH,
        finished=at(HOUR),
        terms=Terms(removal=Term(None if hold is None else int(hold))),
    )
    return replace(subject, **fields)  # type: ignore[arg-type]


def _watch(
    subject: Subject, policy: Lifecycle, end: float, begin: float = HOUR
) -> list[tuple[float, str]]:
    """Return what passes of every minute told and did, until the first act."""
    found: list[tuple[float, str]] = []
    entry: Entry | None = None
    second = begin
    while second <= end:
        decision = decide(subject, entry, policy, Moment(at(second)))
        entry = decision.entry
        found += [(second, f"tell {n.action} {n.rule}") for n in decision.notices]
        if decision.act is not None:
            found.append((second, f"{decision.act.action} {decision.act.rule}"))
            break
        second += MINUTE
    return found


def test_a_stopped_container_is_removed_only_where_the_policy_says_so() -> None:
    assert _watch(_stopped(None), Lifecycle(), 9 * DAY) == []
    rule = "container_hold_after_stop"
    assert _watch(_stopped(7 * DAY), Lifecycle(), 9 * DAY) == [
        (HOUR + 6 * DAY, f"tell remove {rule}"),
        (HOUR + 7 * DAY, f"remove {rule}"),
    ]


def test_nothing_is_removed_before_its_notice_is_over() -> None:
    rule = "container_hold_after_stop"
    # A pass comes long after the time: the announcement comes first all the same.
    late = 30 * DAY
    assert _watch(_stopped(7 * DAY), Lifecycle(), 40 * DAY, late) == [
        (late, f"tell remove {rule}"),
        (late + DAY, f"remove {rule}"),
    ]
    kept = _stopped(7 * DAY, kept_until=at(20 * DAY))
    assert _watch(kept, Lifecycle(), 40 * DAY)[-1] == (20 * DAY, f"remove {rule}")


def test_while_the_server_is_off_no_notice_runs_down() -> None:
    policy, subject = Lifecycle(), _stopped(7 * DAY)
    first = decide(subject, None, policy, Moment(at(6 * DAY + HOUR)))
    assert len(first.notices) == 1
    # An hour later it goes off, and comes back long after the time.
    moment = Moment(at(9 * DAY), rebooted=True, unwatched=3 * DAY - 2 * HOUR)
    back = decide(subject, first.entry, policy, moment)
    assert back.act is None and back.entry.next is not None and not back.notices
    assert since(back.entry.next.at) == 9 * DAY + 23 * HOUR
    before = decide(subject, back.entry, policy, Moment(at(9 * DAY + 22 * HOUR)))
    assert before.act is None and before.notices == ()
    after = decide(subject, before.entry, policy, Moment(at(9 * DAY + 23 * HOUR)))
    assert after.act is not None and after.act.action == "remove"


def test_a_container_that_ran_in_between_is_announced_anew() -> None:
    policy = Lifecycle()
    subject = _stopped(7 * DAY)
    first = decide(subject, None, policy, Moment(at(30 * DAY)))
    assert first.entry.warned
    again = replace(subject, finished=at(30 * DAY + HOUR))
    second = decide(again, first.entry, policy, Moment(at(31 * DAY + HOUR)))
    assert second.act is None and second.entry.warned == ()


def test_never_started_gpus_go_first_and_then_the_container() -> None:
    terms = Terms(created=Term(1800), created_gpus=Term(1800))
    fresh = _stopped(None, state="created", started=None, finished=None, terms=terms)
    with_gpus = replace(fresh, holding=Holding(("GPU-1",), EPOCH))
    assert _watch(with_gpus, Lifecycle(), DAY, 0.0) == [
        (30 * MINUTE, "tell remove created_timeout"),
        (30 * MINUTE, "return-gpus created_timeout"),
    ]
    assert _watch(fresh, Lifecycle(), DAY, 0.0) == [
        (30 * MINUTE, "tell remove created_timeout"),
        (HOUR, "remove created_timeout"),
    ]
    # What holds a person's files stays, and so does everything without the limit.
    assert _watch(replace(fresh, holds_files=True), Lifecycle(), DAY, 0.0) == []
    free = replace(fresh, terms=Terms(created=Term(None)))
    assert _watch(free, Lifecycle(), 9 * DAY, 0.0) == []


def test_gpus_of_a_stopped_container_go_when_a_reservation_begins() -> None:
    holding = Holding(("GPU-1",), EPOCH, until=at(2 * DAY), ends=at(DAY))
    found = _watch(_stopped(None, holding=holding), Lifecycle(), 3 * DAY)
    assert found == [(DAY, "return-gpus reservation")]


def test_the_hint_of_a_warning_is_true() -> None:
    run = Run(lambda _: TRAINS, idle=None, runtime=2 * HOUR).go(100 * MINUTE)
    (_, notice), most = run.told[0], int(HOUR)
    assert words.hint(notice, "proj", most) == (
        "'container-keep proj' keeps it running for up to 1h"
    )
    # Kept as long as the policy allows: asking again would not help.
    run.kept_until = at(9 * HOUR)
    run.policy = replace(run.policy, keep_alive_max=most)
    last = run.go(75 * MINUTE).told[-1][1]
    assert since(last.due) == 3 * HOUR
    assert words.hint(last, "proj", most).startswith("save your work: it has been kept")
    assert "'container-keep proj' keeps it" in words.hint(last, "proj", None)


def test_what_comes_next() -> None:
    run = Run(lambda _: IDLE, idle=2 * HOUR, runtime=7 * DAY).go(78 * MINUTE)
    assert run.entry is not None and run.entry.next is not None
    assert (run.entry.next.action, run.entry.next.why) == ("stop", "idle")
    assert since(run.entry.next.at) == 2 * HOUR
    busy = Run(lambda _: TRAINS, idle=2 * HOUR, runtime=7 * DAY).go(78 * MINUTE)
    assert busy.entry is not None and busy.entry.next is not None
    assert busy.entry.next.rule == "max_runtime"
    holding = Holding(("GPU-1",), EPOCH, until=at(2 * DAY))
    stopped = decide(
        _stopped(7 * DAY, holding=holding), None, Lifecycle(), Moment(at(DAY))
    )
    assert stopped.entry.next is not None
    assert stopped.entry.next.action == "return-gpus"


@st.composite
def lives(
    draw: st.DrawFn,
) -> tuple[list[tuple[float, Doing]], float, float, tuple[int, ...]]:
    kinds = st.sampled_from([TRAINS, LOADS, WAITS, IDLE, IDLE, JUPYTER, TYPES])
    parts = draw(
        st.lists(
            st.tuples(st.integers(1, 200).map(lambda n: n * MINUTE), kinds),
            min_size=1,
            max_size=12,
        )
    )
    limit = draw(st.sampled_from([20 * MINUTE, HOUR, 3 * HOUR]))
    tick = draw(st.sampled_from([MINUTE, 2 * MINUTE, 5 * MINUTE]))
    warn_at = draw(st.sampled_from([(80, 95), (50,), (10, 60, 99), (90,)]))
    # That a process waits is seen while it does; counters tell of all else afterwards.
    parts = [(max(n, 2 * tick) if doing is WAITS else n, doing) for n, doing in parts]
    return parts, limit, tick, warn_at


ACTIVE_KINDS = (TRAINS, LOADS, WAITS, TYPES)


@settings(max_examples=300)
@given(lives())
def test_any_life(
    life: tuple[list[tuple[float, Doing]], float, float, tuple[int, ...]],
) -> None:
    parts, limit, tick, warn_at = life
    series = steps(*parts, (5 * HOUR, IDLE), repeat=False)
    whole = sum(length for length, _ in parts)
    run = Run(series, idle=limit, policy=Lifecycle(warn_at=warn_at), step=MINUTE)
    run.go(whole + limit + 2 * tick, tick)

    # The last second before it was stopped, or the end, in which it was at work.
    end = run.stopped if run.stopped is not None else run.second
    spans, begin = [], 0.0
    for length, doing in parts:
        if doing in ACTIVE_KINDS and begin < end:
            spans.append((begin, min(begin + length, end)))
        begin += length
    last = max((stop for _, stop in spans), default=0.0)
    if run.stopped is None:
        pytest.fail("an idle container was not stopped")
    # It was at work less than its limit ago: never.
    assert run.stopped - last >= limit - tick
    assert not any(
        a < run.stopped - limit and b > run.stopped - limit + tick for a, b in spans
    )
    # Idle for its limit: within a tick, one more for when the last pass saw it at work.
    assert run.entry is not None and run.entry.last_active is not None
    seen = since(run.entry.last_active)
    assert last - tick <= seen <= last + tick
    assert seen + limit <= run.stopped < seen + limit + tick
    # Every warning at its own time before, each once.
    spell = [(time, n) for time, n in run.told if since(n.due) == seen + limit]
    told = [n.percent for _, n in spell]
    assert told == sorted(set(told)) and told[-1] == warn_at[-1]
    for time, notice in spell:
        own = seen + limit * notice.percent / 100
        assert own - 1.25 * tick <= time < own + tick and time < run.stopped
    assert {w.percent for w in run.entry.warned} == set(warn_at)


@settings(max_examples=200)
@given(st.data())
def test_whatever_happens_nobody_is_stopped_before_the_announced_time(
    data: st.DataObject,
) -> None:
    """Demand, keeping, exemptions and missed passes come and go at random."""
    run = Run(
        lambda _: IDLE,
        idle=2 * HOUR,
        runtime=data.draw(st.sampled_from([None, 5 * HOUR])),
        step=MINUTE,
    )
    run.look()
    for _ in range(40):
        if run.acts:
            break
        run.is_wanted = data.draw(st.booleans())
        if data.draw(st.integers(0, 5)) == 0:
            minutes = data.draw(st.integers(1, 300))
            run.kept_until = at(run.second) + timedelta(minutes=minutes)
        if data.draw(st.integers(0, 9)) == 0:
            run.lifted_until = at(run.second) + timedelta(minutes=30)
        run.live(data.draw(st.integers(1, 14)) * MINUTE)
        run.look()
    if not run.acts:
        return
    moment, act = run.acts[0]
    told = [(time, n) for time, n in run.told if n.rule == act.rule]
    assert told and told[-1][0] < moment
    assert since(told[-1][1].due) <= moment
    if act.rule in {"idle_timeout", "demand"} and run.kept_until is not None:
        assert since(run.kept_until) <= moment
