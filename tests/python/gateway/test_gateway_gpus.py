"""The gateway's way to the allocator: what is reserved, committed, given back."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, owner_of
from ds01.gateway.gpus import GpuDesk
from ds01.gateway.types import Caller
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.device_request import labels_of, waits
from ds01.gpus.ledger.document import Grant
from ds01.gpus.rules.refusal import GrantedDevice, Refusal
from gpu_world import World, gpu, make_paths

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def grant(*uuids: str, request: str = "1") -> Grant:
    devices = tuple(
        GrantedDevice(uuid, "GPU-1", "1g.5gb", 0, 1, 1 / 7, True) for uuid in uuids
    )
    return Grant("c", 0, "root", request, "reserved", NOW, devices)


class Recorder:
    """In the allocator's place: only to see what it is asked, and to refuse."""

    def __init__(self, answer: Grant | HelperError) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []

    def reserve(self, user: Any, request: Any, container: str) -> Grant:
        self.calls.append(("reserve", user.uid, request.kind, container))
        if isinstance(self.answer, HelperError):
            raise self.answer
        return self.answer

    def commit(self, container: str, identity: str, name: str) -> None:
        self.calls.append(("commit", container, identity, name))

    def release(self, container: str, reason: str, *, owner: Owner | None) -> None:
        # Only what this very process reserved.
        assert owner == owner_of(os.getpid())
        self.calls.append(("release", container, reason))
        raise HelperError(Exit.CONFIG, "state is gone")


def desk(answer: Grant | HelperError) -> tuple[GpuDesk, Recorder, list[str]]:
    told: list[str] = []
    recorder = Recorder(answer)
    made = GpuDesk(Caller(0, "root"), "/none", lambda _, text: told.append(text))
    made._made = recorder  # type: ignore[assignment]
    return made, recorder, told


def test_labels_hold_no_comma_and_are_never_empty() -> None:
    found = labels_of(grant("M1", "M2", request="device=M1,M2"))
    assert found == {
        "ds01.gpus": "M1;M2",
        "ds01.gpu.profiles": "1g.5gb;1g.5gb",
        "ds01.gpu.request": "device=M1;M2",
    }
    assert labels_of(grant(request="none"))["ds01.gpus"] == "none"
    assert all(labels_of(grant(request="")).values())


def test_the_option_to_wait_is_read_in_any_case() -> None:
    assert waits([]) == (False, None)
    assert waits([{"Options": {"DS01.Wait": ""}}]) == (True, None)
    assert waits([{"Options": None}, {"Options": {"ds01.wait": "90s"}}]) == (True, 90.0)
    with pytest.raises(HelperError) as caught:
        waits([{"Options": {"ds01.wait": "90"}}])
    assert caught.value.code == Exit.USAGE


def test_reserve_commit_and_release_use_one_key() -> None:
    made, recorder, told = desk(grant("M1"))
    request = {
        "HostConfig": {"DeviceRequests": [{"Count": 1, "Capabilities": [["gpu"]]}]}
    }

    async def play() -> None:
        reserved = await made.reserve(request, "job")
        assert reserved.gpus.uuids == ("M1",)
        await made.commit(reserved, "id1", "job")
        # What fails here is found out by the next call: nothing is raised.
        await made.release(reserved, "not-made")

    asyncio.run(play())
    assert [call[0] for call in recorder.calls] == ["reserve", "commit", "release"]
    assert recorder.calls[0] == ("reserve", 0, "count", "job")
    assert recorder.calls[1] == ("commit", "job", "id1", "job")
    assert told == []


def test_containers_without_a_name_have_different_keys() -> None:
    made, _, _ = desk(grant("M1"))

    async def play() -> set[str]:
        return {(await made.reserve({}, "")).key for _ in range(3)}

    assert len(asyncio.run(play())) == 3


def test_who_gets_no_gpu_is_told() -> None:
    note = "this server has no GPU: the container runs without"
    made, _, told = desk(replace(grant(request="default"), note=note))
    request = {
        "HostConfig": {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}
    }
    reserved = asyncio.run(made.reserve(request, "job"))
    assert reserved.gpus.uuids == ()
    assert told == [note]


def test_a_refusal_reaches_the_caller() -> None:
    refusal = Refusal("quota-gpus", "too many")
    made, _, _ = desk(refusal)
    with pytest.raises(Refusal):
        asyncio.run(made.reserve({}, "job"))


class Slow(Recorder):
    """Grants only when told to, like an allocator whose lock is taken."""

    def __init__(self) -> None:
        super().__init__(grant("M1"))
        self.begun = threading.Event()
        self.go = threading.Event()
        self.given_back = threading.Event()

    def reserve(self, user: Any, request: Any, container: str) -> Grant:
        self.begun.set()
        self.go.wait(600)
        return super().reserve(user, request, container)

    def release(self, container: str, reason: str, *, owner: Owner | None) -> None:
        self.given_back.set()
        super().release(container, reason, owner=owner)


def slow_desk() -> tuple[GpuDesk, Slow]:
    made, _, _ = desk(grant("M1"))
    slow = Slow()
    made._made = slow  # type: ignore[assignment]
    return made, slow


async def leave(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_grant_that_comes_after_its_client_left_is_given_back() -> None:
    made, slow = slow_desk()

    async def play() -> None:
        task = asyncio.ensure_future(made.reserve({}, "job"))
        await asyncio.to_thread(slow.begun.wait, 20)
        await leave(task)
        slow.go.set()
        await made.close()

    asyncio.run(play())
    assert slow.given_back.wait(120)
    assert slow.calls == [("reserve", 0, "none", "job"), ("release", "job", "left")]


def test_a_grant_that_comes_as_its_client_leaves_is_given_back() -> None:
    made, slow = slow_desk()
    slow.go.set()

    async def play() -> None:
        task = asyncio.ensure_future(made.reserve({}, "job"))
        await asyncio.sleep(0)
        # The answer is there before this loop has seen it.
        for thread in made._threads:
            thread.join(120)
        await leave(task)
        await made.close()

    asyncio.run(play())
    assert slow.given_back.wait(120)


def test_what_a_later_request_for_the_name_has_is_left_to_it() -> None:
    made, slow = slow_desk()

    async def play() -> None:
        first = asyncio.ensure_future(made.reserve({}, "job"))
        await asyncio.to_thread(slow.begun.wait, 20)
        await leave(first)
        slow.begun.clear()
        second = asyncio.ensure_future(made.reserve({}, "job"))
        await asyncio.to_thread(slow.begun.wait, 20)
        slow.go.set()
        await second
        await made.close()

    asyncio.run(play())
    assert [call[0] for call in slow.calls] == ["reserve", "reserve"]


def test_nobody_waits_for_a_reservation_whose_client_left() -> None:
    made, slow = slow_desk()

    async def play() -> None:
        task = asyncio.ensure_future(made.reserve({}, "job"))
        await asyncio.to_thread(slow.begun.wait, 20)
        await leave(task)
        await made.close()

    # Not by the loop's end either: the thread is still at it.
    asyncio.run(play())
    assert not slow.calls
    slow.go.set()


WAITS = {"Count": 1, "Capabilities": [["gpu"]], "Options": {"ds01.wait": ""}}


@pytest.mark.parametrize("is_told", [False, True])
def test_who_leaves_is_out_of_the_queue_at_once(tmp_path: Path, is_told: bool) -> None:
    world = World(make_paths(tmp_path), inventory=Inventory((gpu(0),)))
    world.run("a", 7, "1")
    told: list[str] = []
    waiting = threading.Event()

    def tell(_kind: str, text: str) -> None:
        told.append(text)
        waiting.set()

    made = GpuDesk(Caller(0, "root"), "/none", tell)
    made._made = world.allocator()

    async def play() -> None:
        create = {"HostConfig": {"DeviceRequests": [WAITS]}}
        task = asyncio.ensure_future(made.reserve(create, "job"))
        assert await asyncio.to_thread(waiting.wait, 20)
        if is_told:
            made.leave_queue()
            with pytest.raises(HelperError) as failed:
                await asyncio.wait_for(task, 2)
            assert failed.value.code is Exit.LEFT
        else:
            await leave(task)
        await made.close()

    asyncio.run(play())
    for thread in made._threads:
        thread.join(120)
    assert [line["reason"] for line in world.log("leave")] == ["left"]
    # Who has hung up reads nothing.
    assert told[1:] == (["left the queue"] if is_told else [])
    document = ledger_document.peek(world.paths)
    assert document is not None
    assert document.queue == ()
