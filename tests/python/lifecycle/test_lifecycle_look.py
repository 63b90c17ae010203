"""What a lifecycle pass decides on: containers, their owners' limits, who waits."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger.document import CREATED_TIMEOUT, RESERVATION
from ds01.gpus.rules.request import parse_request
from ds01.lifecycle import look, view
from ds01.lifecycle.types import Term
from ds01.lifecycle.view import is_foreign, moment, seen_of, terms_of
from gpu_world import POLICY, World, gpu, make_paths, make_policy, me, mig, user

LABELS = {
    "ds01.managed": "1",
    "ds01.uid": "1000",
    "ds01.user": "alice",
    "aime.mlc": "alice",
    "aime.mlc.NAME": "proj",
}


def summary(name: str = "proj._.1000", **labels: str) -> dict[str, Any]:
    return {
        "Id": "1" * 64,
        "Names": [f"/{name}"],
        "State": "running",
        "Created": 1772000000,
        "Labels": {**LABELS, **labels},
    }


def details(**fields: Any) -> dict[str, Any]:
    return {
        "Created": "2026-03-01T08:00:00.123456789Z",
        "State": {
            "Status": "running",
            "Pid": 41,
            "StartedAt": "2026-03-01T09:00:00.5Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "Config": {"Labels": LABELS, "Image": "ds01/debian:proj._.1000"},
        "HostConfig": {"NetworkMode": "bridge"},
        "Mounts": [
            {"Type": "bind", "Source": "/home/alice/w", "Destination": "/workspace"},
            {"Type": "volume", "Source": "/var/x", "Destination": "/data"},
        ],
        **fields,
    }


def test_a_container_as_the_engine_tells_it() -> None:
    seen = seen_of(summary(), details())
    assert seen is not None
    subject, target = seen.subject, seen.target
    assert (subject.name, subject.uid, subject.state) == ("proj", 1000, "running")
    assert subject.created.microsecond == 123000  # as it is written and read again
    assert subject.started == datetime(2026, 3, 1, 9, 0, 0, 500000, timezone.utc)
    assert subject.finished is None and not subject.holds_files
    assert (target.pid, target.workspace) == (41, "/home/alice/w")
    assert not target.shares_network
    host = seen_of(summary(), details(HostConfig={"NetworkMode": "host"}))
    assert host is not None and host.target.shares_network


def test_what_is_not_to_be_touched_is_not_seen() -> None:
    # One that is set aside while it is made anew on other GPUs.
    assert seen_of(summary("proj._.1000-moving"), details()) is None
    # An owner that nobody knows.
    assert seen_of(summary(**{"ds01.uid": "x"}), details()) is None


@pytest.mark.parametrize(
    ("stamp", "image", "foreign"),
    [
        ("2026-03-01T08:59:59Z", None, False),  # no image is asked for
        ("2026-03-01T08:00:00Z", {"ds01.base": "bookworm"}, False),
        ("2026-03-01T08:00:00Z", {"ds01.managed": "1"}, False),
        # Of a container that was committed: this one was made past the gateway.
        (
            "2026-03-01T08:00:00Z",
            {"ds01.managed": "1", "ds01.created": "2026-03-01T08:00:00Z"},
            True,
        ),
        ("", {"ds01.managed": "1", "ds01.uid": "1000"}, True),
        ("2026-03-01T08:00:00Z", None, True),  # what cannot be seen is not touched
    ],
)
def test_labels_that_came_with_the_image_make_no_container_ds01s(
    stamp: str, image: dict[str, str] | None, *, foreign: bool
) -> None:
    stamps = {"ds01.created": stamp} if stamp else {}
    made = details(
        Created="2026-03-01T09:00:00Z", Config={"Labels": {**LABELS, **stamps}}
    )
    assert is_foreign(made, lambda _: image) is foreign


def test_one_that_was_made_anew_on_other_gpus_is_ds01s() -> None:
    # Its image is a commit of the one before.
    stamp = {"ds01.managed": "1", "ds01.created": "2026-03-01T08:00:00Z"}
    moved = {**LABELS, **stamp, "ds01.moved.from": "2" * 64}
    made = details(Created="2026-03-01T09:00:00Z", Config={"Labels": moved})
    assert not is_foreign(made, lambda _: stamp)
    assert not is_foreign(made, lambda _: {**stamp, "ds01.moved.from": "3" * 64})


def test_what_holds_a_persons_files_though_it_never_ran() -> None:
    moved = details(Config={"Labels": {**LABELS, "ds01.moved.from": "2" * 64}})
    imported = details(Config={"Labels": LABELS, "Image": "mlc-import:proj._.1000"})
    for found in (moved, imported):
        seen = seen_of(summary(), found)
        assert seen is not None and seen.subject.holds_files


def test_times_of_the_engine() -> None:
    assert moment("0001-01-01T00:00:00Z") is None
    assert moment("") is None and moment(None) is None
    assert moment("2026-03-01T08:00:00Z") == datetime(
        2026, 3, 1, 8, tzinfo=timezone.utc
    )


def test_limits_with_what_the_policy_exempts_from(tmp_path: Path) -> None:
    world = World(make_paths(tmp_path))
    world.now = datetime(2026, 11, 2, 8, tzinfo=timezone.utc)
    text = POLICY.replace("gpu_hold_after_stop: 24h", "idle_timeout: 2h") + (
        "lifecycle: {created_timeout: 20m}\n"
        "exemptions:\n"
        "  - {user: user5, from: [idle_timeout], until: 2026-12-01, reason: demo}\n"
        "  - {user: user5, from: [max_runtime], reason: service}\n"
        "  - {user: user6, from: [idle_timeout], until: 2026-11-01, reason: over}\n"
        "  - {user: user6, from: [container_hold_after_stop, gpu_hold_after_stop]}\n"
    )
    world.policy = make_policy(tmp_path / "p", text)
    desk = world.allocator().desk
    five, six = terms_of(desk, 5), terms_of(desk, 6)
    assert five is not None and six is not None
    until = datetime(2026, 12, 1, tzinfo=timezone.utc)
    assert five.idle == Term(7200, until) and five.runtime == Term(None)
    assert six.idle == Term(7200) and six.runtime == Term(168 * 3600)
    assert five.created == Term(1200) and five.created_gpus == Term(1200)
    assert six.created == Term(None) and six.created_gpus == Term(None)


def test_an_owner_whom_no_group_takes_has_no_limits_that_could_end(
    tmp_path: Path,
) -> None:
    world = World(make_paths(tmp_path))
    world.policy = make_policy(
        tmp_path / "p", POLICY.replace("default_group: student", "default_group: null")
    )
    assert terms_of(world.allocator().desk, 5) is None
    assert terms_of(world.allocator().desk, 1) is not None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        make_paths(tmp_path), inventory=Inventory((gpu(0), *mig(2, "3g.20gb*2")))
    )


def wanted(world: World) -> frozenset[str]:
    desk = world.allocator().desk
    with desk.work() as work:
        seen = desk.observe(work)
    return look._wanted(desk, work.document, seen)


def test_devices_are_wanted_by_those_who_could_have_them(world: World) -> None:
    first = world.run("a", 7, "3g.20gb")
    assert wanted(world) == frozenset()
    allocator = world.allocator()
    allocator.enqueue(user(8), parse_request("3g.20gb"), "x", me())
    # The second instance is free: nobody need give way.
    assert wanted(world) == frozenset()
    second = world.run("b", 1, "3g.20gb")
    assert wanted(world) == {*first.holds, *second.holds}
    # The whole GPU is not what they wait for.
    assert gpu(0).uuid not in wanted(world)


def test_who_is_refused_by_a_rule_wants_nothing_of_others(world: World) -> None:
    world.run("a", 7, "3g.20gb")
    world.run("b", 1, "3g.20gb")
    allocator = world.allocator()
    allocator.enqueue(user(8), parse_request("3g.20gb"), "x", me())
    world.policy = make_policy(
        world.paths.etc, POLICY.replace("max_mig_instances: 4", "max_mig_instances: 0")
    )
    assert wanted(world) == frozenset()


@pytest.mark.parametrize("reason", [CREATED_TIMEOUT, RESERVATION])
def test_what_a_pass_gave_back_is_not_the_containers_again(
    world: World, reason: str
) -> None:
    made = world.run("a", 7, "3g.20gb")
    world.stop("a")
    world.allocator().release("a", reason, container_id=made.id)
    desk = world.allocator().desk
    for _ in range(3):
        with desk.work() as work:
            desk.observe(work)
        assert work.document.grants == () and work.document.dirty == ()
        world.pass_time(minutes=1)
    assert view.holding_of(work.document, made.id) is None
    assert not view.is_expired(work.document, made.id)


def test_a_hold_that_is_over_is_known_as_such(world: World) -> None:
    made = world.run("a", 7, "3g.20gb")
    desk = world.allocator().desk
    with desk.work() as work:
        desk.observe(work)
    holding = view.holding_of(work.document, made.id)
    assert holding is not None and holding.gpus == made.holds
    world.stop("a")
    world.now += timedelta(hours=25)
    with desk.work() as work:
        desk.observe(work)
    assert view.is_expired(work.document, made.id)
