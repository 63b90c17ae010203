"""Gets the gateway's containers their GPUs: reserve before the create, commit after it.

A request for GPUs is Docker's own device request; what Docker has no words for comes in
its options (`ds01.*`), `ds01.wait` among them: how long to wait in the queue, empty for
as long as it takes. The allocator's calls block on a lock and on files, so they run in
threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import units
from _common import Exit, HelperError, find_paths
from gateway_types import Caller, Create, Gpus

if TYPE_CHECKING:
    from gpu_allocator import Allocator
    from gpu_request import Request
    from gpu_state import Grant

WAIT_OPTION = "ds01.wait"
_NUMBERS = itertools.count(1)

Answer = TypeVar("Answer")
Tell = Callable[[str, str], None]


@dataclass(frozen=True)
class Reserved:
    """What is reserved for a container in the making, under the key of its grant."""

    key: str
    gpus: Gpus


def waits(requests: Sequence[Mapping[str, Any]]) -> tuple[bool, float | None]:
    """Return whether a request waits in the queue, and for how many seconds at most.

    Raises HelperError(USAGE) for what is no duration.
    """
    for request in requests:
        for key, value in (request.get("Options") or {}).items():
            if key.lower() != WAIT_OPTION:
                continue
            if not value:
                return True, None
            try:
                return True, float(units.parse_duration(value))
            except ValueError as error:
                raise HelperError(
                    Exit.USAGE,
                    f"'{value}' is not a time to wait: {error}",
                    "write '--wait' alone, or '--wait=2h'",
                ) from error
    return False, None


def labels_of(grant: Grant) -> dict[str, str]:
    """Return the labels that tell what a container was given; never with a comma."""
    if not grant.devices:
        return {"ds01.gpus": "none", "ds01.gpu.request": grant.request or "none"}
    return {
        "ds01.gpus": ";".join(device.uuid for device in grant.devices),
        "ds01.gpu.profiles": ";".join(device.profile for device in grant.devices),
        "ds01.gpu.request": grant.request.replace(",", ";"),
    }


class GpuDesk:
    """Asks the allocator on behalf of one caller."""

    def __init__(self, caller: Caller, engine: str, tell: Tell) -> None:
        """Take the caller, the path of the engine's socket, and where notes go."""
        self._caller = caller
        self._address = f"unix://{engine}"
        self._tell = tell
        self._made: Allocator | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def _allocator(self) -> Allocator:
        from gpu_allocator import Allocator  # noqa: PLC0415 - needed by a create only

        with self._lock:
            if self._made is None:
                self._made = Allocator(find_paths(), self._address)
            return self._made

    async def reserve(self, create: Create, name: str) -> Reserved:
        """Return what is reserved for a create request; its own wish is left in it.

        Raises Refusal and other HelperErrors as the allocator does.
        """
        from gpu_request import from_device_request  # noqa: PLC0415

        requests = create.get("HostConfig", {}).get("DeviceRequests") or []
        request = from_device_request(requests)
        is_waiting, limit = waits(requests)
        key = name or f"unnamed-{os.getpid()}-{next(_NUMBERS)}"
        grant = await self._reserve(request, key, is_waiting, limit)
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
        from policy import identify_user  # noqa: PLC0415

        def reserve() -> Grant:
            user = identify_user(self._caller.uid)
            if not is_waiting:
                return self._allocator().reserve(user, request, key)
            from gpu_wait import wait_for  # noqa: PLC0415

            def say(text: str) -> None:
                self._tell("info", text)

            return wait_for(self._allocator(), user, request, key, limit, say)

        if not is_waiting:
            return await asyncio.to_thread(reserve)
        return await _in_own_thread(reserve)

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

        def release() -> None:
            from process_owner import owner_of  # noqa: PLC0415

            me = owner_of(os.getpid())
            self._allocator().release(reserved.key, reason, owner=me)

        with contextlib.suppress(HelperError):
            await asyncio.to_thread(release)


async def _in_own_thread(body: Callable[[], Answer]) -> Answer:
    """Run something that may take hours; nobody waits for it if the caller leaves.

    A daemon thread, since asyncio's own threads are waited for at the end: the place in
    the queue ends with the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)  # type: ignore[arg-type]

    def work() -> None:
        answer: Answer | None = None
        error: BaseException | None = None
        try:
            answer = body()
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(settle, answer, error)

    threading.Thread(target=work, daemon=True).start()
    return await future
