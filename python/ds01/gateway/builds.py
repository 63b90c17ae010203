"""How many builds run at once, how long, and how much disk they may take.

`BuildDesk` lets so many builds run at once on this server as the policy says, over all
users and gateways, and ends one that takes too long or too much disk.

A place is a lock on one of `max_builds` files in the state folder. The kernel drops the
lock with the process, so that a killed gateway keeps none.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ds01.core import units
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths
from ds01.gateway.http import Gate
from ds01.gateway.proxy import Exchange
from ds01.gateway.types import HostFacts
from ds01.policy.sections import Images

_LOOK_SECONDS = 0.2
_GUARD_SECONDS = 1.0
# How buildx asks BuildKit for a build, in HTTP/2: the path of the call as it is, and
# as HPACK writes it. Once sent, a header may come as a number: but only the first asks
# for a place.
_SOLVE = (
    b"/moby.buildkit.v1.Control/Solve",
    bytes.fromhex("6293c7e978ed3512753257ee15ef1ea4d87a18dc7a3b97"),
)

Tell = Callable[[str, str], None]


def free_space(root: str, process: int | None) -> int | None:
    """Return the bytes that are free where the engine stores images; None: unknown.

    As the engine sees it, where this user may look: it may have mounts of its own.
    """
    seen = [f"/proc/{process}/root{root}"] if process else []
    for path in (*seen, root):
        try:
            found = os.statvfs(path)
        except OSError:
            continue
        return found.f_bavail * found.f_frsize
    return None


def too_little(
    free: int | None, rules: Images, *, is_before: bool
) -> HelperError | None:
    """Return the failure for too little space, None where it is enough or unknown."""
    least = rules.min_free_disk
    if free is None or least is None or free >= least:
        return None
    text = f"{free / (1 << 30):.1f} GiB are free where images are stored, "
    text += f"{units.format_size(least)} must remain"
    return HelperError(
        Exit.PREREQUISITE,
        f"no build: {text}" if is_before else f"the build was ended: {text}",
        "run 'image-list' and 'image-delete' to make room, or ask the administrator",
    )


class BuildDesk:
    """Lets builds in, and ends them when they go beyond the policy's bounds."""

    def __init__(self, engine: str, tell: Tell) -> None:
        """Take the path of the engine's socket, and where notes go."""
        self._engine = engine
        self._tell = tell
        self._process: int | None = None

    async def run(
        self,
        exchange: Exchange,
        target: str,
        rules: Images,
        host: HostFacts,
    ) -> HelperError | None:
        """Stream a build when there is a place for it; return why it was ended, if so.

        The connection to the engine is closed then, which ends the build there. Raises
        HelperError, before anything was sent, where the disk is too full to begin.
        """
        self._process = await asyncio.to_thread(_engine_process, self._engine)
        with contextlib.ExitStack() as held:
            # Who hangs up waits no more.
            with exchange.until_client_leaves():
                await self._take_place(rules, held)
            failure = too_little(self._free(host), rules, is_before=True)
            if failure:
                raise failure
            stream = asyncio.ensure_future(exchange.stream(target))
            return await self._guarded(stream, rules, host)

    async def run_grpc(
        self,
        exchange: Exchange,
        prepare: Callable[[], Awaitable[tuple[Images, HostFacts]]],
    ) -> HelperError | None:
        """Stream a connection to BuildKit; return why it was ended, if so.

        Only one on which a build is asked for needs a place: it waits at that request.
        """
        gate = Gate(_SOLVE)
        stream = asyncio.ensure_future(exchange.stream(gate=gate))
        try:
            first: set[asyncio.Future[Any]] = {stream, gate.reached}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if stream.done():
                stream.result()
                return None
            self._process = await asyncio.to_thread(_engine_process, self._engine)
            rules, host = await prepare()
            with contextlib.ExitStack() as held:
                with exchange.until_client_leaves():
                    await self._take_place(rules, held)
                failure = too_little(self._free(host), rules, is_before=True)
                if failure:
                    return failure
                gate.opened.set_result(None)
                return await self._guarded(stream, rules, host)
        except HelperError as error:
            return error
        finally:
            await _stop(stream)

    async def _guarded(
        self, stream: asyncio.Future[Any], rules: Images, host: HostFacts
    ) -> HelperError | None:
        guard = asyncio.ensure_future(self._guard(rules, host))
        try:
            await asyncio.wait({stream, guard}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _stop(stream)
            await _stop(guard)
        if not stream.cancelled():
            stream.result()
            return None
        return guard.result()

    async def _take_place(self, rules: Images, held: contextlib.ExitStack) -> None:
        if rules.max_builds is None:
            return
        folder = find_paths().state / "builds"
        is_told = False
        # Whoever is next holds the first lock, so that those who came later wait there.
        turn = held.enter_context(contextlib.ExitStack())
        while not _try_lock(folder / "next.lock", turn):
            is_told = is_told or self._say_full(rules.max_builds)
            await asyncio.sleep(_LOOK_SECONDS)
        while not any(
            _try_lock(folder / f"place-{number}.lock", held)
            for number in range(rules.max_builds)
        ):
            is_told = is_told or self._say_full(rules.max_builds)
            await asyncio.sleep(_LOOK_SECONDS)
        turn.close()
        if is_told:
            self._tell("info", "the build goes on")

    def _say_full(self, most: int) -> bool:
        running = "1 build runs" if most == 1 else f"{most} builds run"
        self._tell(
            "info",
            f"{running} on this server, as many as may at once: waiting for one to "
            "end, Ctrl-C leaves",
        )
        return True

    def _free(self, host: HostFacts) -> int | None:
        return free_space(host.data_root, self._process)

    async def _guard(self, rules: Images, host: HostFacts) -> HelperError:
        """Return why the build must end; no sooner than it must."""
        begun = time.monotonic()
        while True:
            await asyncio.sleep(_GUARD_SECONDS)
            failure = too_little(self._free(host), rules, is_before=False)
            if failure:
                return failure
            limit = rules.build_timeout
            if limit is not None and time.monotonic() - begun > limit:
                return HelperError(
                    Exit.REFUSED,
                    f"the build was ended: it took longer than "
                    f"{units.format_duration(limit)}, the limit of this server",
                    "build in smaller steps, or ask the administrator for more time",
                )


async def _stop(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _engine_process(engine: str) -> int | None:
    from ds01.gateway.facts import engine_processes  # noqa: PLC0415

    try:
        return engine_processes(engine)[0]
    except (OSError, IndexError):
        return None


def _try_lock(path: Path, held: contextlib.ExitStack) -> bool:
    """Take a lock until `held` ends; return whether it was free."""
    from ds01.core.files import PRIVATE_MODE, ensure_file, ensure_folder, explain  # noqa: PLC0415 - a build only needs it

    try:
        ensure_folder(path.parent)
        ensure_file(path, PRIVATE_MODE)
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise explain(error, "lock", path) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    except BaseException:
        os.close(file)
        raise
    held.callback(os.close, file)
    return True
