"""Gets the gateway's containers their GPUs: reserve before the create, commit after it.

A request for GPUs is Docker's own device request; what Docker has no words for comes in
its options (`ds01.*`), `ds01.wait` among them: how long to wait in the queue, empty for
as long as it takes. The allocator's calls block on a lock and on files, so they run in
threads. Who is cancelled while reserving, or told to leave the queue, has nothing
reserved: the place in the queue is left, and what the thread still got is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths
from ds01.gateway.types import Caller
from ds01.gpus.ledger.device_request import Create, Gpus, labels_of, waits

if TYPE_CHECKING:
    from ds01.gpus.allocator.allocator import Allocator
    from ds01.gpus.ledger.document import Grant
    from ds01.gpus.rules.request import Request
_NUMBERS = itertools.count(1)
_CLOSE_SECONDS = 2.0

Answer = TypeVar("Answer")
Tell = Callable[[str, str], None]


@dataclass(frozen=True)
class Reserved:
    """What is reserved for a container in the making, under the key of its grant."""

    key: str
    gpus: Gpus


class GpuDesk:
    """Asks the allocator on behalf of one caller."""

    def __init__(self, caller: Caller, engine: str, tell: Tell) -> None:
        """Take the caller, the path of the engine's socket, and where notes go."""
        self._caller = caller
        self._address = f"unix://{engine}"
        self._tell = tell
        self._made: Allocator | None = None
        self._lock = threading.Lock()
        # Of each key the latest reservation, by the event that is set when it is left.
        self._latest: weakref.WeakValueDictionary[str, threading.Event] = (
            weakref.WeakValueDictionary()
        )
        self._turn = threading.Lock()
        self._threads: set[threading.Thread] = set()
        # Of all who wait in the queue, or may have to.
        self._waiting: set[threading.Event] = set()

    def _allocator(self) -> Allocator:
        from ds01.gpus.allocator.allocator import Allocator  # noqa: PLC0415 - needed by a create only

        with self._lock:
            if self._made is None:
                self._made = Allocator(find_paths(), self._address)
            return self._made

    async def reserve(self, create: Create, name: str) -> Reserved:
        """Return what is reserved for a create request; its own wish is left in it.

        Raises Refusal and other HelperErrors as the allocator does; HelperError(LEFT)
        where leave_queue() came between.
        """
        from ds01.gpus.rules.request import from_device_request  # noqa: PLC0415

        requests = create.get("HostConfig", {}).get("DeviceRequests") or []
        request = from_device_request(requests)
        is_waiting, limit = waits(requests)
        key = name or f"unnamed-{os.getpid()}-{next(_NUMBERS)}"
        try:
            grant = await self._reserve(request, key, is_waiting, limit)
        except HelperError as error:
            if error.code is Exit.LEFT:
                self._tell("info", error.message)
            raise
        if grant.note:
            self._tell("info" if grant.ends is None else "warning", grant.note)
        uuids = tuple(device.uuid for device in grant.devices)
        return Reserved(key, Gpus(uuids, labels_of(grant)))

    async def _reserve(
        self,
        request: Request,
        key: str,
        is_waiting: bool,
        limit: float | None,
    ) -> Grant:
        from ds01.policy.users import identify_user  # noqa: PLC0415

        left = threading.Event()

        def reserve() -> Grant:
            with self._turn:
                self._latest[key] = left
            user = identify_user(self._caller.uid)
            if not is_waiting:
                return self._allocator().reserve(user, request, key)
            from ds01.gpus.allocator.wait import wait_for  # noqa: PLC0415

            def say(text: str) -> None:
                if not left.is_set():
                    self._tell("info", text)

            allocator = self._allocator()
            return wait_for(allocator, user, request, key, limit, say, stop=left)

        def give_back(_: Grant) -> None:
            with self._turn, contextlib.suppress(HelperError):
                # Not what a later request for the same name has got.
                if self._latest.get(key) is left:
                    self._release(key, "left")

        if is_waiting:
            self._waiting.add(left)
        try:
            return await self._in_own_thread(reserve, give_back, left)
        finally:
            self._waiting.discard(left)

    def leave_queue(self) -> None:
        """Have all who wait in the queue leave it now."""
        for left in self._waiting:
            left.set()

    async def close(self) -> None:
        """Wait a moment until those who were cancelled have left the queue."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _CLOSE_SECONDS
        while loop.time() < end and any(it.is_alive() for it in self._threads):
            await asyncio.sleep(0.02)

    async def commit(self, reserved: Reserved, container_id: str, name: str) -> None:
        """Bind what is reserved to the container that the engine made.

        Raises Refusal if the devices are somebody else's meanwhile.
        """
        await asyncio.to_thread(
            self._allocator().commit, reserved.key, container_id, name
        )

    async def release(self, reserved: Reserved, reason: str) -> None:
        """Give back what this process reserved. If that fails, it is found out by the
        next call: the reservation ends with this process."""

        with contextlib.suppress(HelperError):
            await asyncio.to_thread(self._release, reserved.key, reason)

    def _release(self, key: str, reason: str) -> None:
        from ds01.core.owner import owner_of  # noqa: PLC0415

        self._allocator().release(key, reason, owner=owner_of(os.getpid()))

    async def _in_own_thread(
        self,
        body: Callable[[], Answer],
        undo: Callable[[Answer], None],
        left: threading.Event,
    ) -> Answer:
        """Run something that may take hours; nobody waits for it if the caller leaves.

        Then `left` is set, and an answer that nobody takes is undone; so it is where
        others set `left`, and HelperError(LEFT) is raised. A daemon thread,
        since asyncio's own threads are waited for at the end: at worst the place in the
        queue, or the reservation, ends with the process.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        handing = threading.Lock()
        answers: list[Answer] = []
        errors: list[BaseException] = []

        def settle() -> None:
            if not future.done():
                future.set_result(None)

        def work() -> None:
            try:
                answer = body()
            except BaseException as error:
                errors.append(error)
            else:
                with handing:
                    is_wanted = not left.is_set()
                    if is_wanted:
                        answers.append(answer)
                if not is_wanted:
                    undo(answer)
                    errors.append(HelperError(Exit.LEFT, "left the queue"))
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(settle)

        self._start(work)
        try:
            await future
        except asyncio.CancelledError:
            with handing:
                left.set()
            if answers:
                self._start(partial(undo, answers[0]))
            raise
        if errors:
            raise errors[0]
        return answers[0]

    def _start(self, work: Callable[[], None]) -> None:
        self._threads = {it for it in self._threads if it.is_alive()}
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.add(thread)
