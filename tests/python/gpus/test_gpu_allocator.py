"""gpu_allocator.py and what it stands on: who gets what, over every kind of fault."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner
from ds01.core.processes import Process
from ds01.gpus.allocator import report
from ds01.gpus.allocator.desk import PolicyFile
from ds01.gpus.allocator.queue import NotYet
from ds01.gpus.allocator.wait import wait_for, wait_to_start
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.document import Grant
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import parse_request
from gpu_world import (
    POLICY,
    START,
    World,
    assert_sound,
    gpu,
    make_paths,
    make_policy,
    me,
    mig,
    user,
    with_processes,
)

ONE = parse_request("1")
FULL = parse_request("full")
NOBODY = Owner(2**22 + 1, 1, "an earlier boot")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two whole GPUs and two of seven instances; nobody has anything."""
    return World(make_paths(tmp_path))


@pytest.fixture
def single(tmp_path: Path) -> World:
    """One GPU."""
    return World(make_paths(tmp_path), inventory=Inventory((gpu(0),)))


def held(world: World) -> Grant:
    """The only grant, as a status shows it: it is held."""
    [grant] = report.status(world.allocator().desk).grants
    assert grant.state == "held"
    return grant


def refused(world: World, uid: int, words: str, name: str = "x") -> Refusal:
    with pytest.raises(Refusal) as caught:
        world.allocator().reserve(user(uid), parse_request(words), name, me())
    return caught.value


# Two phases


def test_reserve_commit_release(single: World) -> None:
    allocator = single.allocator()
    grant = allocator.reserve(user(7), ONE, "a", me())
    assert grant.uuids == (gpu(0).uuid,)
    assert single.states() == {gpu(0).uuid: "reserved"}
    made = single.make("a", 7, *grant.uuids)
    assert allocator.commit("a", made.id) is not None
    assert single.states() == {gpu(0).uuid: "allocated"}
    single.remove("a")
    assert allocator.release("a", "removed", container_id=made.id) is not None
    assert single.states() == {gpu(0).uuid: "free"}
    assert [line["type"] for line in single.log()] == ["grant", "commit", "release"]


def test_the_log_explains_a_grant_and_a_refusal(single: World) -> None:
    single.run("a", 7, "1")
    refused(single, 8, "1")
    grant, _, refusal = single.log()
    assert grant["user"] == "user7"
    assert grant["devices"] == grant["candidates"] == grant["free"] == [gpu(0).uuid]
    assert grant["strategy"] == "pack"
    assert grant["quotas"]["max_gpus"] == [0, 2.0]
    assert refusal["code"] == "no-free-device"
    assert refusal["container"] == "x"
    assert refusal["exit"] == Exit.NO_GPU


def test_committing_twice_is_no_mistake(single: World) -> None:
    made = single.run("a", 7, "1")
    assert single.allocator().commit("a", made.id) is not None
    assert len(single.log("commit")) == 1


def test_the_engine_may_give_the_name(single: World) -> None:
    allocator = single.allocator()
    grant = allocator.reserve(user(7), ONE, "unnamed-1", me())
    made = single.make("jolly_newton", 7, *grant.uuids)
    # Another call sees the container before it is committed.
    allocator.reconcile()
    assert not single.log("adopt", "conflict")
    committed = allocator.commit("unnamed-1", made.id, "jolly_newton")
    assert committed is not None
    assert committed.container == "jolly_newton"


def test_a_container_without_gpu_leaves_nothing_behind(single: World) -> None:
    allocator = single.allocator()
    allocator.reserve(user(7), parse_request("none"), "a", me())
    made = single.make("a", 7)
    assert allocator.commit("a", made.id) is None
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert document.grants == ()


def test_a_name_that_had_a_gpu_is_free_for_a_container_without(single: World) -> None:
    single.run("a", 7, "1")
    single.remove("a")
    grant = single.allocator().reserve(user(7), parse_request("none"), "a", me())
    assert grant.devices == ()
    assert single.states() == {gpu(0).uuid: "free"}


def test_two_at_once_cannot_pass_the_limit_of_containers(world: World) -> None:
    world.policy = make_policy(
        world.paths.etc,
        POLICY.replace("max_containers_per_user: 8", "max_containers_per_user: 1"),
    )
    world.allocator().reserve(user(7), parse_request("none"), "a", me())
    assert refused(world, 7, "none").machine == "quota-containers"


def test_a_name_is_made_by_one_process_only(world: World) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        from ds01.core.owner import owner_of

        world.allocator().reserve(user(7), ONE, "x", owner_of(other.pid))
        assert refused(world, 7, "1").machine == "container-exists"
        other.kill()
    # It is dead: what it reserved is back.
    world.allocator().reserve(user(7), ONE, "x", me())
    # And the same process may try again.
    grant = world.allocator().reserve(user(7), ONE, "x", me())
    document = ledger_document.peek(world.paths)
    assert document is not None
    assert [g.uuids for g in document.grants] == [grant.uuids]


def test_release_spares_another_container_of_the_name(world: World) -> None:
    old = world.run("a", 7, "1")
    world.remove("a")
    allocator = world.allocator()
    allocator.reserve(user(7), ONE, "a", me())
    assert allocator.release("a", "removed", container_id=old.id) is None
    assert allocator.release("a", "failed", owner=NOBODY) is None
    assert allocator.release("a", "failed", owner=me()) is not None


def test_a_reservation_lasts_as_long_as_its_owner(single: World) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        from ds01.core.owner import owner_of

        single.allocator().reserve(user(7), ONE, "job", owner_of(other.pid))
        assert single.states() == {gpu(0).uuid: "reserved"}
        single.allocator().reconcile()
        assert single.states() == {gpu(0).uuid: "reserved"}
        other.kill()
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "free"}


# Engine truth


def test_a_container_keeps_its_devices_whatever_the_document_says(world: World) -> None:
    made = world.run("a", 7, "1g.5gb")
    ledger_document.path_of(world.paths).unlink()
    world.allocator().reconcile()
    states = world.states()
    assert [u for u, s in states.items() if s != "free"] == list(made.holds)
    (line,) = world.log("adopt")
    assert line["container"] == "a"
    document = ledger_document.peek(world.paths)
    assert document is not None
    assert document.grants[0].devices[0].profile == "1g.5gb"


def test_a_stopped_container_made_anew_is_held_since_it_stopped(world: World) -> None:
    world.run("a", 7, "1g.5gb")
    world.pass_time(hours=1)
    world.stop("a")
    world.pass_time(hours=10)
    ledger_document.path_of(world.paths).unlink()
    world.allocator().reconcile()
    document = ledger_document.peek(world.paths)
    assert document is not None
    (grant,) = document.grants
    assert grant.state == "held"
    assert grant.until == START + timedelta(hours=25)
    # And one whose time is over is not taken in at all.
    ledger_document.path_of(world.paths).unlink()
    world.pass_time(hours=20)
    world.allocator().reconcile()
    assert set(world.states().values()) == {"free"}


def test_a_container_that_is_gone_gives_its_devices_back(world: World) -> None:
    world.run("a", 7, "1g.5gb")
    world.remove("a")
    world.allocator().reconcile()
    assert set(world.states().values()) == {"free"}
    assert world.log("release")[0]["reason"] == "gone"


def test_foreign_containers_hold_what_they_name(world: World) -> None:
    uuid = world.inventory.devices[0].uuid
    world.make("dcgm", -1, "index:0", managed=False)
    assert world.states()[uuid] == "foreign"
    world.make("greedy", -1, "all", managed=False)
    assert set(world.states().values()) == {"foreign"}
    refusal = refused(world, 7, "1g.5gb")
    assert refusal.code == Exit.NO_GPU
    world.stop("greedy")
    assert world.states()[uuid] == "foreign"
    world.stop("dcgm")
    assert set(world.states().values()) == {"free"}


def test_a_foreign_container_on_a_granted_device_is_told(single: World) -> None:
    single.run("a", 7, "1")
    single.make("greedy", -1, "all", managed=False)
    found = report.status(single.allocator().desk).devices[0]
    assert found.state == "allocated"
    assert "greedy" in found.why


def test_a_container_that_comes_late_gets_no_second_grant(single: World) -> None:
    """The engine makes a container although its client is dead, after the reservation
    went to somebody else."""
    single.run("a", 7, "1")
    single.make("late", 8, gpu(0).uuid)
    single.allocator().reconcile()
    single.allocator().reconcile()
    assert len(single.log("conflict")) == 1
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert [g.container for g in document.grants] == ["a"]
    with pytest.raises(Refusal):
        single.allocator().reacquire("late", me())
    # Once the device is free, the running one has it.
    single.remove("a")
    single.allocator().reconcile()
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert [g.container for g in document.grants] == ["late"]


def test_a_grant_lost_with_the_document_is_not_committed_over_another(
    single: World,
) -> None:
    first = single.allocator()
    grant = first.reserve(user(7), ONE, "a", me())
    ledger_document.path_of(single.paths).unlink()
    single.run("b", 8, "1")
    made = single.make("a", 7, *grant.uuids, active=False, fresh=True)
    with pytest.raises(Refusal) as caught:
        first.commit("a", made.id)
    assert caught.value.machine == "grant-lost"


def test_a_grant_lost_with_the_document_is_found_again(single: World) -> None:
    grant = single.allocator().reserve(user(7), ONE, "a", me())
    ledger_document.path_of(single.paths).unlink()
    made = single.make("a", 7, *grant.uuids, active=False, fresh=True)
    assert single.allocator().commit("a", made.id) is not None
    assert_sound(single)


# Hold and return


def test_hold_and_return(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(hours=23)
    assert single.states() == {gpu(0).uuid: "held"}
    single.allocator().reconcile()
    assert refused(single, 8, "1").code == Exit.NO_GPU
    single.pass_time(hours=2)
    grant = single.allocator().reserve(user(8), ONE, "b", me())
    assert grant.uuids == (gpu(0).uuid,)
    assert [line["type"] for line in single.log("hold", "release")] == [
        "hold",
        "release",
    ]


def test_a_hold_is_counted_from_the_last_stop(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.allocator().reconcile()
    single.pass_time(hours=20)
    # Started and stopped again, and nobody looked.
    single.stop("a")
    single.pass_time(hours=20)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "held"}


def test_a_stop_after_an_announced_start_is_told_at_once(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(hours=20)
    single.allocator().reacquire("a", me())
    # Whoever announced it ended before the container ran.
    single.alive = lambda _: False
    single.pass_time(minutes=5)
    single.allocator().reconcile()
    assert held(single).stopped == START + timedelta(hours=20)
    single.pass_time(hours=2)
    single.stop("a")  # it ran meanwhile, and nobody looked
    single.pass_time(minutes=1)
    stopped = START + timedelta(hours=22, minutes=5)
    assert held(single).stopped == stopped
    assert held(single).until == stopped + timedelta(hours=24)


def test_the_engine_is_not_asked_again_for_a_stop_that_is_known(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.allocator().reconcile()
    single.stopped.clear()
    single.pass_time(hours=2)
    single.allocator().reconcile()
    assert held(single).stopped == START


def test_a_held_container_that_runs_again_has_its_grant(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.allocator().reconcile()
    single.start("a")
    single.pass_time(hours=48)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "allocated"}
    assert len(single.log("resume")) == 1


def test_no_hold_at_all(single: World) -> None:
    text = POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s")
    single.policy = make_policy(single.paths.etc, text)
    single.run("a", 7, "1", active=False, fresh=True)
    single.pass_time(minutes=5)
    single.allocator().reconcile()
    # Not started yet is not stopped.
    assert single.states() == {gpu(0).uuid: "allocated"}
    single.start("a")
    single.stop("a")
    # Announced, the start keeps the device until the container runs.
    single.containers["a"] = replace(single.containers["a"], fresh=False)
    assert single.allocator().reacquire("a", me()).moved is False
    single.pass_time(seconds=5)
    single.allocator().reconcile()
    assert single.states()[gpu(0).uuid] != "free"
    single.pass_time(minutes=5)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "free"}


def test_an_exempt_user_holds_for_ever(single: World) -> None:
    text = POLICY + "exemptions:\n  - {user: user7, from: [gpu_hold_after_stop]}\n"
    single.policy = make_policy(single.paths.etc, text)
    single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(days=300)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "held"}


@pytest.mark.parametrize(("hold", "state"), [("1h", "free"), ("9h", "held")])
def test_a_changed_policy_counts_for_what_is_held(
    single: World, hold: str, state: str
) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.allocator().reconcile()
    text = POLICY.replace("gpu_hold_after_stop: 24h", f"gpu_hold_after_stop: {hold}")
    single.policy = make_policy(single.paths.etc, text)
    single.pass_time(hours=3)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: state}


def test_an_exemption_that_is_over_gives_the_device_back(single: World) -> None:
    text = POLICY + (
        "exemptions:\n  - {user: user7, from: [gpu_hold_after_stop], "
        "until: 2026-11-05T08:00Z}\n"
    )
    single.policy = make_policy(single.paths.etc, text)
    single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(days=2)
    single.allocator().reconcile()
    assert held(single).until is None
    single.pass_time(days=2)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "free"}


def test_a_user_is_asked_for_once_in_a_pass(world: World) -> None:
    for name in "abc":
        world.run(name, 7, "1g.5gb")
        world.stop(name)
    desk = world.allocator().desk
    asked: list[int] = []
    hold_of = desk.hold_of

    def counted(uid: int) -> int | None:
        asked.append(uid)
        return hold_of(uid)

    desk.hold_of = counted  # type: ignore[method-assign]
    with desk.work() as work:
        desk.observe(work)
    assert asked == [7]


def test_started_again_with_the_same_devices(single: World) -> None:
    made = single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(hours=30)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "free"}
    started = single.allocator().reacquire("a", me())
    assert started.moved is False
    assert started.grant is not None
    assert started.grant.container_id == made.id
    single.start("a")
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "allocated"}


def test_started_again_with_others(world: World) -> None:
    world.run("a", 7, "1g.5gb")
    world.stop("a")
    world.pass_time(hours=30)
    world.run("b", 8, f"device={world.containers['a'].holds[0]}")
    started = world.allocator().reacquire("a", me())
    assert started.moved is True
    assert started.grant is not None
    assert started.grant.state == "reserved"
    assert started.grant.devices[0].profile == "1g.5gb"
    assert set(started.grant.uuids).isdisjoint(world.containers["b"].holds)
    # The caller makes it anew.
    del world.containers["a"]
    made = world.make("a", 7, *started.grant.uuids, id="e" * 64)
    world.allocator().commit("a", made.id)
    assert list(world.states().values()).count("allocated") == 2
    assert_sound(world)


def test_started_again_with_nothing_free(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(hours=30)
    single.run("b", 8, "1")
    with pytest.raises(Refusal) as caught:
        single.allocator().reacquire("a", me())
    assert caught.value.code == Exit.NO_GPU
    with pytest.raises(HelperError) as missing:
        single.allocator().reacquire("nobody", me())
    assert missing.value.code == Exit.NOT_FOUND


def test_started_again_without_gpu(single: World) -> None:
    single.make("a", 7)
    assert single.allocator().reacquire("a", me()).grant is None


# Faults


def test_nobody_gets_anything_while_the_engine_is_down(single: World) -> None:
    single.run("a", 7, "1")
    single.engine_up = False
    single.pass_time(days=9)
    with pytest.raises(HelperError) as caught:
        single.allocator().reserve(user(8), ONE, "b", me())
    assert caught.value.code == Exit.PREREQUISITE
    found = report.status(single.allocator().desk)
    assert found.engine
    assert found.devices[0].state == "allocated"
    single.engine_up = True
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "allocated"}


def test_nothing_is_given_or_taken_while_nvml_fails(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.allocator().reconcile()
    working = single.inventory
    single.inventory = Inventory(error="driver/library version mismatch")
    single.pass_time(days=9)
    single.allocator().reconcile()
    single.remove("a")
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "unknown"}
    refusal = refused(single, 8, "1")
    assert refusal.machine == "nvml-down"
    assert refusal.code == Exit.PREREQUISITE
    # Without GPU, containers can be made.
    assert single.allocator().reserve(user(8), parse_request("none"), "c", me())
    single.inventory = working
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "free"}


def test_a_container_is_taken_in_while_nvml_fails(world: World) -> None:
    world.run("a", 7, "1g.5gb", profiles=("1g.5gb",))
    ledger_document.path_of(world.paths).unlink()
    working, world.inventory = world.inventory, Inventory(error="gone")
    world.allocator().reconcile()
    document = ledger_document.peek(world.paths)
    assert document is not None
    assert document.grants[0].share == pytest.approx(1 / 7)
    world.inventory = working
    world.allocator().reconcile()
    document = ledger_document.peek(world.paths)
    assert document is not None
    assert document.grants[0].devices[0].parent == gpu(2).uuid


def test_a_lost_gpu_stays_with_its_container_and_nobody_else_suffers(
    world: World,
) -> None:
    world.run("a", 0, f"device={gpu(0).uuid}")
    world.inventory = replace(
        world.inventory,
        devices=tuple(d for d in world.inventory.devices if d.uuid != gpu(0).uuid),
    )
    world.allocator().reconcile()
    world.allocator().reconcile()
    assert world.states()[gpu(0).uuid] == "lost"
    assert len(world.log("lost")) == 1
    assert world.allocator().reserve(user(0), FULL, "b", me()).uuids == (gpu(1).uuid,)
    # It comes back.
    world.inventory = replace(
        world.inventory, devices=(gpu(0), *world.inventory.devices)
    )
    world.allocator().reconcile()
    assert world.states()[gpu(0).uuid] == "allocated"


def test_a_layout_made_anew_leaves_grants_lost_not_mapped(world: World) -> None:
    made = world.run("a", 7, "1g.5gb")
    world.inventory = Inventory(
        (gpu(0), gpu(1), *mig(2, generation=1), *mig(3, generation=1))
    )
    world.allocator().reconcile()
    states = world.states()
    assert states[made.holds[0]] == "lost"
    assert list(states.values()).count("free") == 16
    # A start moves it onto new ones.
    world.stop("a")
    started = world.allocator().reacquire("a", me())
    assert started.moved
    assert started.grant is not None
    assert started.grant.uuids[0] in states
    assert_sound(world)


def test_a_lost_grant_is_kept_where_there_is_nothing_else(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.allocator().reconcile()
    single.inventory = Inventory((replace(gpu(0), sick="fell off the bus"),))
    with pytest.raises(Refusal):
        single.allocator().reacquire("a", me())
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert [g.container for g in document.grants] == ["a"]
    assert single.states() == {gpu(0).uuid: "sick"}


def test_a_whole_gpu_turned_into_instances_is_not_given_twice(single: World) -> None:
    single.run("a", 0, "full")
    single.inventory = Inventory(tuple(mig(0)))
    single.allocator().reconcile()
    states = single.states()
    assert states[gpu(0).uuid] == "lost"
    assert set(states.values()) == {"lost", "foreign"}


def test_indices_mean_nothing(world: World) -> None:
    made = world.run("a", 7, "1g.5gb")
    before = world.states()
    devices = [
        replace(d, index=str(99 - n)) for n, d in enumerate(world.inventory.devices)
    ]
    world.inventory = replace(world.inventory, devices=tuple(reversed(devices)))
    world.allocator().reconcile()
    assert world.states() == before
    assert before[made.holds[0]] == "allocated"
    assert [line["type"] for line in world.log()] == ["grant", "commit"]


def test_a_device_with_an_orphan_on_it_is_dirty_until_it_ends(single: World) -> None:
    clean = single.inventory
    single.run("a", 7, "1")
    single.inventory = with_processes(clean, gpu(0).uuid, Process(4711, "python"))
    single.remove("a")
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "dirty"}
    assert refused(single, 8, "1").code == Exit.NO_GPU
    (line,) = single.log("dirty")
    assert line["processes"] == [4711]
    assert line["container"] == "a"
    single.inventory = clean
    single.allocator().reserve(user(8), ONE, "b", me())
    assert len(single.log("clean")) == 1


def test_a_process_of_somebody_else_makes_a_free_device_foreign(single: World) -> None:
    single.inventory = with_processes(single.inventory, gpu(0).uuid, Process(1, "X"))
    assert single.states() == {gpu(0).uuid: "foreign"}
    assert refused(single, 8, "1").code == Exit.NO_GPU
    # That its processes are not known does not make a device free.
    devices = tuple(replace(d, processes=None) for d in single.inventory.devices)
    single.inventory = Inventory(devices)
    assert single.states() == {gpu(0).uuid: "unknown"}


def test_a_clock_set_back_takes_nothing(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.allocator().reconcile()
    single.pass_time(hours=-1)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "held"}
    single.remove("a")
    single.allocator().reconcile()
    assert single.log("release")[0]["gpu_seconds"] == 0
    assert single.states() == {gpu(0).uuid: "free"}


def test_after_a_reboot_reservations_are_over_and_containers_stopped(
    world: World,
) -> None:
    world.run("a", 7, "1g.5gb")
    allocator = world.allocator()
    allocator.reserve(user(8), parse_request("1g.5gb"), "b", me())
    allocator.enqueue(user(8), parse_request("1g.5gb"), "c", me())
    # Every process number may be alive again, but not in this boot.
    world.alive = lambda owner: owner.boot != me().boot
    world.stop("a")
    world.allocator().reconcile()
    states = list(world.states().values())
    assert states.count("held") == 1
    assert states.count("free") == 15
    document = ledger_document.peek(world.paths)
    assert document is not None
    assert document.queue == ()


@pytest.mark.parametrize("damage", ["truncate", "garble", "delete", "empty"])
def test_a_damaged_document_is_made_anew(world: World, damage: str) -> None:
    made = world.run("a", 7, "1g.5gb")
    path = ledger_document.path_of(world.paths)
    data = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(
            {"truncate": data[: len(data) // 2], "garble": b"\x00" * 99, "empty": b""}[
                damage
            ]
        )
    grant = world.allocator().reserve(user(8), parse_request("1g.5gb"), "b", me())
    assert set(grant.uuids).isdisjoint(made.holds)
    assert_sound(world)
    kinds = [line["type"] for line in world.log()]
    assert kinds[2:] == (
        ["adopt", "grant"] if damage == "delete" else ["rebuild", "adopt", "grant"]
    )


def test_a_broken_policy_grants_nothing_and_takes_nothing(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(days=3)

    def broken() -> None:
        raise HelperError(Exit.CONFIG, "line 3: no")

    allocator = single.allocator()
    allocator.desk.policy = broken  # type: ignore[assignment]
    with pytest.raises(HelperError) as caught:
        allocator.reserve(user(8), ONE, "b", me())
    assert caught.value.code == Exit.CONFIG
    allocator.reconcile()
    found = report.status(allocator.desk)
    assert [s.state for s in found.devices] == ["held"]
    # Once it can be read, what it says of the hold counts, from the stop on.
    single.pass_time(minutes=1)
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "free"}


def test_a_hold_ends_although_the_policy_was_broken_at_the_stop(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    working = single.policy
    single.policy_error = HelperError(Exit.CONFIG, "line 3: no")
    single.allocator().reconcile()
    assert held(single).until is None
    single.policy_error = None
    single.policy = working
    single.allocator().reconcile()
    assert held(single).until == START + timedelta(hours=24)
    # Broken again, what was decided stands until it would take something.
    single.policy_error = HelperError(Exit.CONFIG, "line 3: no")
    single.allocator().reconcile()
    assert held(single).until == START + timedelta(hours=24)
    single.pass_time(hours=25)
    single.allocator().reconcile()
    assert held(single).until is None
    single.policy_error = None
    single.allocator().reconcile()
    assert single.states() == {gpu(0).uuid: "free"}


def test_a_broken_policy_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    make_policy(tmp_path, POLICY)
    path = tmp_path / "resource-limits.yaml"
    source = PolicyFile(path)
    assert source.get() is source.get()
    path.write_text("version: [\n")
    with pytest.raises(HelperError) as first:
        source.get()
    with pytest.raises(HelperError) as second:
        source.get()
    assert first.value is second.value
    assert first.value.code == Exit.CONFIG
    path.write_text(POLICY)
    assert source.get().defaults


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds next to nothing."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True
    )
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_grants_nothing(full_disk: Path) -> None:
    world = World(make_paths(full_disk))
    world.run("a", 7, "1g.5gb")
    before = ledger_document.path_of(world.paths).read_bytes()
    fill = full_disk / "fill"
    with fill.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(b"x" * 512)
    with pytest.raises(HelperError) as caught:
        world.allocator().reserve(user(8), parse_request("1g.5gb"), "b", me())
    assert caught.value.code == Exit.PREREQUISITE
    assert ledger_document.path_of(world.paths).read_bytes() == before
    fill.unlink()
    assert world.allocator().reserve(user(8), parse_request("1g.5gb"), "b", me())


def test_a_folder_that_cannot_be_written_grants_nothing(world: World) -> None:
    world.run("a", 7, "1g.5gb")
    subprocess.run(
        ["mount", "--bind", world.paths.state, world.paths.state], check=True
    )
    subprocess.run(["mount", "-o", "remount,ro,bind", world.paths.state], check=True)
    try:
        with pytest.raises(HelperError) as caught:
            world.allocator().reserve(user(8), parse_request("1g.5gb"), "b", me())
        assert caught.value.code == Exit.PREREQUISITE
        # Looking is possible.
        assert list(world.states().values()).count("allocated") == 1
    finally:
        subprocess.run(["umount", world.paths.state], check=True)


def test_a_log_that_cannot_be_written_stops_nothing(
    single: World, capsys: pytest.CaptureFixture[str]
) -> None:
    log = single.paths.log / "gpu-allocations.log"
    log.mkdir()
    single.run("a", 7, "1")
    assert "not logged" in capsys.readouterr().err
    assert single.states() == {gpu(0).uuid: "allocated"}


def test_the_lock_fails_closed(single: World) -> None:
    from ds01.records import documents

    with documents.state_lock(single.paths):
        errors: list[HelperError] = []

        def ask() -> None:
            from ds01.core import files

            original = files.locked
            try:
                with original(single.paths.state / "state.lock", 0.2):
                    pass
            except HelperError as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert errors[0].code == Exit.CONFIG
    assert str(os.getpid()) in errors[0].message


# The queue


def test_who_waits_gets_it_when_it_comes_free(single: World) -> None:
    single.run("a", 7, "1")
    said: list[str] = []
    answers: list[float] = []

    def wait() -> None:
        wait_for(single.allocator(), user(8), ONE, "b", 300, said.append)
        answers.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    while not said:
        time.sleep(0.02)
    assert "place 1" in said[0]
    assert "allocated" in said[0]
    # Nobody passes by who comes later.
    made = single.containers["a"]
    single.remove("a")
    single.allocator().release("a", "removed", container_id=made.id)
    thread.join(300)
    assert answers
    assert_sound(single)
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert document.queue == ()
    assert [g.container for g in document.grants] == ["b"]


def test_who_comes_later_does_not_pass_who_waits(single: World) -> None:
    made = single.run("a", 7, "1")
    allocator = single.allocator()
    ticket = allocator.enqueue(user(8), ONE, "b", me())
    single.remove("a")
    allocator.release("a", "removed", container_id=made.id)
    assert refused(single, 9, "1").machine == "queue"
    # Higher priority goes first, though.
    assert allocator.reserve(user(1), ONE, "c", me())
    allocator.release("c", "failed")
    assert allocator.reserve(user(8), ONE, "b", me(), ticket.number)


def test_who_does_not_take_what_is_offered_loses_the_place(single: World) -> None:
    allocator = single.allocator()
    ticket = allocator.enqueue(user(8), ONE, "b", me())
    refused(single, 9, "1")
    single.pass_time(seconds=31)
    refused(single, 9, "1")
    assert allocator.reserve(user(9), ONE, "c", me())
    with pytest.raises(Refusal) as caught:
        allocator.reserve(user(8), ONE, "b", me(), ticket.number)
    assert caught.value.machine == "ticket-gone"


def test_waiting_is_no_help_against_a_rule(single: World) -> None:
    with pytest.raises(Refusal) as caught:
        wait_for(single.allocator(), user(8), parse_request("3"), "b", 5, print)
    assert not caught.value.waits
    assert not single.log("enqueue")


def test_past_the_limit_the_place_is_given_up(single: World) -> None:
    single.run("a", 7, "1")
    with pytest.raises(Refusal) as caught:
        wait_for(single.allocator(), user(8), ONE, "b", 0.3, lambda _: None)
    assert caught.value.code == Exit.NO_GPU
    assert [line["type"] for line in single.log("enqueue", "leave")] == [
        "enqueue",
        "leave",
    ]


def test_who_interrupts_leaves_the_queue(single: World) -> None:
    single.run("a", 7, "1")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for(single.allocator(), user(8), ONE, "b", None, interrupt)
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert document.queue == ()


def test_who_is_stopped_by_another_thread_leaves_the_queue(single: World) -> None:
    single.run("a", 7, "1")
    stop = threading.Event()
    said: list[str] = []
    caught: list[HelperError] = []

    def wait() -> None:
        try:
            wait_for(
                single.allocator(), user(8), ONE, "b", None, said.append, stop=stop
            )
        except HelperError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not said:
        time.sleep(0.02)
    stop.set()
    thread.join(300)
    assert [error.code for error in caught] == [Exit.LEFT]
    assert [line["reason"] for line in single.log("leave")] == ["left"]
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert document.queue == ()


def test_who_waits_keeps_waiting_when_the_document_is_lost(single: World) -> None:
    made = single.run("a", 7, "1")
    said: list[str] = []
    got: list[object] = []
    thread = threading.Thread(
        target=lambda: got.append(
            wait_for(single.allocator(), user(8), ONE, "b", 300, said.append)
        )
    )
    thread.start()
    while not said:
        time.sleep(0.02)
    ledger_document.path_of(single.paths).unlink()
    time.sleep(0.6)
    single.remove("a")
    single.allocator().release("a", "removed", container_id=made.id)
    thread.join(300)
    assert got


def test_the_dead_do_not_wait(single: World) -> None:
    single.run("a", 7, "1")
    single.allocator().enqueue(user(8), ONE, "b", NOBODY)
    single.allocator().reconcile()
    assert single.log("leave")[0]["reason"] == "owner-gone"


def test_a_ticket_is_its_users(single: World) -> None:
    single.run("a", 7, "1")
    allocator = single.allocator()
    ticket = allocator.enqueue(user(8), ONE, "b", me())
    with pytest.raises(HelperError) as caught:
        allocator.cancel(ticket.number, uid=9)
    assert caught.value.code == Exit.REFUSED
    assert allocator.cancel(ticket.number, uid=8) == ticket
    with pytest.raises(HelperError) as gone:
        allocator.cancel(ticket.number)
    assert gone.value.code == Exit.NOT_FOUND


def test_a_start_waits_too(single: World) -> None:
    single.run("a", 7, "1")
    single.stop("a")
    single.pass_time(hours=30)
    made = single.run("b", 8, "1")
    said: list[str] = []
    got: list[bool] = []
    thread = threading.Thread(
        target=lambda: got.append(
            wait_to_start(single.allocator(), "a", 300, said.append).moved
        )
    )
    thread.start()
    while not said:
        time.sleep(0.02)
    single.remove("b")
    single.allocator().release("b", "removed", container_id=made.id)
    thread.join(300)
    assert got == [False]


# What it says


def test_explain_a_request(world: World) -> None:
    desk = world.allocator().desk
    answer = report.explain_request(desk, user(7), parse_request("1g.5gb"))
    assert answer["granted"] is True
    assert len(answer["devices"]) == 1
    refusal = report.explain_request(desk, user(7), FULL)
    assert refusal["granted"] is False
    assert refusal["code"] == "full-gpu-not-allowed"
    assert refusal["hint"]
    assert not ledger_document.path_of(world.paths).exists()


def test_nothing_is_promised_while_the_engine_is_down(world: World) -> None:
    world.engine_up = False
    with pytest.raises(HelperError) as caught:
        report.explain_request(world.allocator().desk, user(7), ONE)
    assert caught.value.code == Exit.PREREQUISITE
    assert caught.value.message == "no Docker engine answers"
    assert report.waiting(world.allocator().desk).engine == caught.value.message


def test_explain_a_container(world: World) -> None:
    made = world.run("a", 7, "1g.5gb")
    answer = report.explain_container(world.allocator().desk, "a")
    assert answer["grant"]["container_id"] == made.id
    assert [line["type"] for line in answer["log"]] == ["grant", "commit"]
    assert report.explain_container(world.allocator().desk, made.id)["found"]
    assert not report.explain_container(world.allocator().desk, "b")["found"]


def test_places_do_not_name_people(single: World) -> None:
    single.run("a", 7, "1")
    allocator = single.allocator()
    allocator.enqueue(user(8), ONE, "b", me())
    allocator.enqueue(user(1), ONE, "c", me())
    places = report.waiting(allocator.desk).places
    assert [p.ticket.container for p in places] == ["c", "b"]
    assert "after '1' of priority 50" in places[1].words
    assert not any("user" in p.words for p in places)


def test_places_name_people_where_the_policy_shows_names(single: World) -> None:
    single.policy = make_policy(
        single.paths.etc, POLICY + "gpu_allocation: {show_names: true}\n"
    )
    single.run("a", 7, "1")
    allocator = single.allocator()
    allocator.enqueue(user(1), ONE, "first._.1", me())
    ticket = allocator.enqueue(user(8), ONE, "b", me())
    words = report.waiting(allocator.desk).places[1].words
    assert f"after '1' of priority 50 ({user(1).name}: 'first')" in words
    with pytest.raises(NotYet) as caught:
        allocator.reserve(user(8), ONE, "b", me(), ticket.number)
    assert caught.value.words == words


def test_files_are_for_the_group(single: World) -> None:
    old = os.umask(0o077)
    try:
        single.run("a", 7, "1")
    finally:
        os.umask(old)
    for path in (
        ledger_document.path_of(single.paths),
        single.paths.log / "gpu-allocations.log",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_policy_reservation_is_kept(single: World) -> None:
    text = POLICY + (
        "reservations:\n  - {name: exam, users: [user9], gpus: 1, "
        "start: 2026-11-02T07:00Z, end: 2026-11-02T12:00Z}\n"
    )
    single.policy = make_policy(single.paths.etc, text)
    assert refused(single, 7, "1").machine == "reservation"
    assert single.allocator().reserve(user(9), ONE, "b", me())


def test_a_grant_before_a_reservation_ends_with_it(single: World) -> None:
    text = POLICY + (
        "reservations:\n  - {name: exam, users: [user9], gpus: 1, "
        "start: 2026-11-02T18:00Z, end: 2026-11-02T20:00Z}\n"
    )
    single.policy = make_policy(single.paths.etc, text)
    grant = single.allocator().reserve(user(7), ONE, "a", me())
    assert grant.ends == START + timedelta(hours=10)
    assert grant.note
    document = ledger_document.peek(single.paths)
    assert document is not None
    assert document.grants[0].ends == grant.ends


def test_no_gpu_in_the_host(tmp_path: Path) -> None:
    world = World(make_paths(tmp_path), inventory=Inventory())
    grant = world.allocator().reserve(user(7), parse_request("default"), "a", me())
    assert grant.devices == ()
