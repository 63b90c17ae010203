"""Reservations of the policy: which devices they keep, and what they leave to whom."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ds01.gpus.devices.types import Inventory
from ds01.gpus.rules.reservations import (
    NO_RESERVATIONS,
    Holder,
    ReservationView,
    kept_devices,
    reservation_view,
)
from ds01.policy.sections import Allocation, Lifecycle
from ds01.policy.types import Entry, Group, Override, Policy, Reservation
from gpu_hosts import SEVEN, divided, host, whole

START = datetime(2026, 12, 10, 8, tzinfo=timezone.utc)
END = START + timedelta(hours=4)
HOUR = timedelta(hours=1)
GPUS = host(*(whole(f"GPU-{n}") for n in range(4)))
MIXED = host(whole("GPU-0"), divided("GPU-1", *SEVEN), divided("GPU-2", *SEVEN))
FULL = {"allow_full_gpu": Entry(True, "true", "f:1")}


def exam(gpus: float = 2, **fields: Any) -> Reservation:
    values: dict[str, Any] = {
        "name": "exam",
        "groups": ("student",),
        "users": (),
        "start": START,
        "end": END,
    }
    return Reservation(gpus=gpus, **{**values, **fields})


def policy(*reservations: Reservation, **fields: Any) -> Policy:
    values: dict[str, Any] = {
        "path": Path("f"),
        "default_group": "student",
        "defaults": {},
        "groups": {
            "student": Group("student"),
            "researcher": Group("researcher", ("carol",), limits=FULL),
        },
        "overrides": {},
        "exemptions": (),
        "allocation": Allocation(),
        "lifecycle": Lifecycle(),
    }
    return Policy(reservations=reservations, **{**values, **fields})


def kept(
    it: Policy, inventory: Inventory = GPUS, now: datetime = START, **holders: Holder
) -> list[list[str]]:
    held = {name.replace("_", "-"): holder for name, holder in holders.items()}
    return [sorted(uuids) for _, uuids in kept_devices(it, inventory, held, now)]


def view(
    it: Policy,
    user: str = "bob",
    group: str = "researcher",
    now: datetime = START,
    max_runtime: int | None = None,
) -> ReservationView:
    return reservation_view(
        it, GPUS, {}, user=user, group=group, max_runtime=max_runtime, now=now
    )


def test_without_reservations_nothing_is_kept() -> None:
    assert view(policy()) is NO_RESERVATIONS
    assert view(policy(exam()), now=END) is NO_RESERVATIONS


def test_in_its_window_the_devices_are_for_its_users() -> None:
    it = policy(exam())
    for now in (START, END - timedelta(seconds=1)):
        others = view(it, now=now)
        assert others.blocked == {"GPU-2": END, "GPU-3": END}
        assert others.names == {"GPU-2": "exam", "GPU-3": "exam"}
        assert not others.mine
        mine = view(it, "alice", "student", now)
        assert mine.mine == {"GPU-2", "GPU-3"}
        assert not mine.blocked
    by_name = policy(exam(groups=(), users=("bob",)))
    assert view(by_name).mine == {"GPU-2", "GPU-3"}
    assert view(by_name, "alice", "student").blocked


def test_before_it_opens() -> None:
    it = policy(exam())
    day = START - 24 * HOUR
    # Who is done in time is not concerned.
    assert view(it, now=day, max_runtime=24 * 3600) == ReservationView()
    for runtime in (None, 24 * 3600 + 1):
        found = view(it, now=day, max_runtime=runtime)
        assert found.until == {"GPU-2": START, "GPU-3": START}
        assert not found.blocked
    # In the last hour a container would have no use of it.
    soon = START - HOUR + timedelta(seconds=1)
    assert view(it, now=soon).blocked == {"GPU-2": END, "GPU-3": END}
    assert view(it, now=soon, max_runtime=600) == ReservationView()
    # Its own users are not concerned, and nothing is theirs yet.
    assert view(it, "alice", "student", day) == ReservationView()


def test_what_its_users_have_counts_and_what_others_have_comes_last() -> None:
    it = policy(exam())
    own, other = Holder("alice", "student"), Holder("bob", "researcher")
    assert kept(it, GPU_0=own) == [["GPU-0", "GPU-3"]]
    assert kept(it, GPU_3=other) == [["GPU-1", "GPU-2"]]
    assert kept(it, GPU_0=other, GPU_2=other, GPU_3=other) == [["GPU-1", "GPU-3"]]
    # Who has given it back by then is no hindrance.
    in_time = Holder("bob", "researcher", START)
    assert kept(it, now=START - HOUR, GPU_3=in_time) == [["GPU-2", "GPU-3"]]


def test_who_may_not_have_whole_gpus_is_kept_instances() -> None:
    (ones,) = kept(policy(exam(1)), MIXED)
    assert ones == [f"MIG-GPU-2-{start}" for start in range(7)]
    assert kept(policy(exam(1, groups=("researcher",))), MIXED) == [["GPU-0"]]
    assert len(kept(policy(exam(9)), MIXED)[0]) == 14
    assert kept(policy(exam(1)), GPUS) == [["GPU-3"]]
    assert kept(policy(exam(1, groups=(), users=("carol",))), MIXED) == [["GPU-0"]]
    override = {"dave": Override("dave", FULL)}
    dave = policy(exam(1, groups=(), users=("dave",)), overrides=override)
    assert kept(dave, MIXED) == [["GPU-0"]]
    everybody = policy(exam(1), defaults=FULL)
    assert kept(everybody, MIXED) == [["GPU-0"]]


def test_instances_of_the_gpu_that_others_use_least() -> None:
    other = Holder("bob", "researcher")
    (found,) = kept(policy(exam(0.2)), MIXED, MIG_GPU_2_0=other)
    assert found == ["MIG-GPU-1-5", "MIG-GPU-1-6"]


def test_part_of_a_gpu() -> None:
    assert kept(policy(exam(0.5))) == [["GPU-3"]]
    (found,) = kept(policy(exam(3 / 7)), MIXED)
    assert found == [f"MIG-GPU-2-{start}" for start in (4, 5, 6)]


def test_what_cannot_be_given_is_not_kept() -> None:
    sick = host(whole("GPU-0"), whole("GPU-1"), whole("GPU-2", sick="lost"))
    assert kept(policy(exam(1)), sick) == [["GPU-1"]]
    excluded = policy(exam(1), allocation=Allocation(exclude=("GPU-1",)))
    assert kept(excluded, sick) == [["GPU-0"]]
    assert kept(policy(exam(1)), Inventory(error="down")) == [[]]


def test_several_reservations() -> None:
    first = exam(2, name="b")
    during = exam(1, name="a", groups=("researcher",), start=START + HOUR)
    after = exam(1, name="c", start=END, end=END + HOUR)
    it = policy(after, during, first)
    assert kept(it) == [["GPU-2", "GPU-3"], ["GPU-1"], ["GPU-3"]]
    found = view(it, now=START)
    assert found.blocked == {"GPU-2": END, "GPU-3": END}
    assert found.until == {"GPU-3": END}
    student = view(it, "alice", "student", START)
    assert student.mine == {"GPU-2", "GPU-3"}
    assert student.until == {"GPU-1": START + HOUR}


@given(
    st.floats(0.01, 5),
    st.dictionaries(
        st.sampled_from([d.uuid for d in MIXED.devices]),
        st.builds(
            Holder,
            st.just("x"),
            st.sampled_from(["student", "researcher"]),
            st.none() | st.just(START),
        ),
    ),
    st.sampled_from(["student", "researcher"]),
)
def test_enough_is_kept_and_not_more_than_needed(
    gpus: float, holders: dict[str, Holder], group: str
) -> None:
    it = policy(exam(gpus, groups=(group,)))
    ((_, uuids),) = kept_devices(it, MIXED, holders, START - 24 * HOUR)
    devices = [d for d in MIXED.devices if d.uuid in uuids]
    usable = [d for d in MIXED.devices if not d.mig_mode]
    usable = [d for d in usable if group == "researcher" or d.is_mig]
    assert set(devices) <= set(usable)
    total = sum(d.share for d in devices)
    assert total >= gpus - 1e-3 or len(devices) == len(usable)
    assert not devices or total - max(d.share for d in devices) < gpus + 1e-3
