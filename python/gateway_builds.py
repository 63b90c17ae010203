"""The gateway's rules for builds, whichever client asks: docker, compose, the SDK.

Pure: what of a build's parameters goes to the engine (`build_query`), and whose names
and labels a client may give (`check_reference`, `check_labels`). With the world:
`BuildDesk` lets so many builds run at once on this server as the policy says, over all
users and gateways, and ends one that takes too long or too much disk.

A place is a lock on one of `max_builds` files in the state folder. The kernel drops the
lock with the process, so that a killed gateway keeps none.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import gateway_policy as policy
import units
from _common import Exit, HelperError, find_paths
from gateway_http import Gate
from gateway_proxy import Exchange
from gateway_types import Caller, Create, HostFacts, Limits, Note, RefusalError, Site
from image_names import PREFIX, owner_part

# On the container that looks into an image: the process that it serves.
HELPER = "ds01.build.helper"
HELPER_SECONDS = "900"
_BUILD_PERIOD = 100_000
_LOOK_SECONDS = 0.2
_GUARD_SECONDS = 1.0
# What a client may give as the place of its context: its own session, or its upload.
_OWN_CONTEXTS = frozenset({"", "client-session", "upload-request"})
# How buildx asks BuildKit for a build, in HTTP/2: the path of the call as it is, and
# as HPACK writes it. Once sent, a header may come as a number: but only the first asks
# for a place.
_SOLVE = (
    b"/moby.buildkit.v1.Control/Solve",
    bytes.fromhex("6293c7e978ed3512753257ee15ef1ea4d87a18dc7a3b97"),
)
_NUMBERS = {
    "memory": "Memory",
    "memswap": "MemorySwap",
    "cpuquota": "CpuQuota",
    "cpuperiod": "CpuPeriod",
    "cpushares": "CpuShares",
    "shmsize": "ShmSize",
}

Tell = Callable[[str, str], None]


class Rules(Protocol):
    """The part of policy_server.Images that the gateway needs; None is no bound."""

    @property
    def max_builds(self) -> int | None: ...
    @property
    def build_timeout(self) -> int | None: ...
    @property
    def min_free_disk(self) -> int | None: ...


# What a build may ask for ------------------------------------------------------------


def build_query(
    query: Mapping[str, str],
    caller: Caller,
    limits: Limits,
    host: HostFacts,
    site: Site,
) -> tuple[dict[str, str], list[Note]]:
    """Return a build's parameters within policy. Raises RefusalError.

    The classic builder runs containers with what the parameters say: they get the
    limits of the caller's containers. BuildKit takes only the network from here.
    """
    result = dict(query)
    notes: list[Note] = []
    if query.get("remote", "") not in _OWN_CONTEXTS:
        raise RefusalError(
            "context",
            "a build on this server takes its context from you, not from an address",
            "download it first, then run 'docker build' on the folder",
        )
    check_reference(query.get("t", ""), caller)
    check_labels(query.get("labels", ""), caller)
    network = query.get("networkmode", "")
    if network == "host" and limits.network != "host":
        result["networkmode"] = "default"
        text = "the build has no host network: policy does not allow it"
        notes.append(Note("warning", "network", text))
    if network.startswith("container:") and not caller.private:
        raise RefusalError("network", f"network '{network}' is not allowed here")
    if query.get("securityopt"):
        raise RefusalError("security", "security options are not allowed in a build")
    parent = policy.cgroup_parent(caller, host, site)
    result.pop("cgroupparent", None)
    if parent:
        result["cgroupparent"] = parent
    if query.get("version") != "2":
        _limit_classic(result, limits, host, site)
    return result, notes


def _limit_classic(
    result: dict[str, str], limits: Limits, host: HostFacts, site: Site
) -> None:
    config: dict[str, Any] = {}
    for key, field in _NUMBERS.items():
        text = result.pop(key, "")
        if text.lstrip("-").isdigit() and text.isascii():
            config[field] = int(text[:20])
    config = policy.limit_build(config, limits, host, site)
    if "NanoCpus" in config:
        result["cpuperiod"] = str(_BUILD_PERIOD)
        result["cpuquota"] = str(config["NanoCpus"] * _BUILD_PERIOD // 10**9)
    for key in ("memory", "memswap", "cpushares", "shmsize"):
        if _NUMBERS[key] in config:
            result[key] = str(config[_NUMBERS[key]])


def check_reference(reference: str, caller: Caller) -> None:
    """Check a name that an image is to get or to lose. Raises RefusalError.

    `ds01/OWNER/…` says whose an image is: only root gives and takes others' names. What
    mlc prepares of a shared image for a container has the user's number in its tag.
    """
    if reference.endswith(f"._.{caller.uid}"):
        return
    parts = reference.removeprefix("docker.io/").split("/")
    if len(parts) < 3 or parts[0] != PREFIX or not caller.uid:
        return
    own = {owner_part(caller.name, caller.uid), str(caller.uid)}
    if parts[1] not in own:
        raise RefusalError(
            "image-name",
            f"image name '{reference}' is another user's",
            f"name it '{PREFIX}/{owner_part(caller.name, caller.uid)}/…'",
        )


def check_labels(text: str, caller: Caller) -> None:
    """Check the labels that a build's parameters give. Raises RefusalError.

    DS01 knows containers and images by its labels: a client gives an image those of
    its own user only, and none of those that containers are known by.
    """
    try:
        labels = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return  # the engine refuses it itself
    if not isinstance(labels, dict) or not caller.uid:
        return
    for key, value in labels.items():
        name = str(key).lower()
        if not name.startswith("ds01.") or name.startswith("ds01.build"):
            continue
        is_own = name.startswith("ds01.image.")
        if name == "ds01.image.uid":
            is_own = value == str(caller.uid)
        if not is_own:
            raise RefusalError(
                "label",
                f"label '{key}={value}' is DS01's own: a build cannot give it",
                f"leave out '--label {key}'",
            )


def is_helper(create: Create) -> bool:
    """Is this the container in which DS01 looks into an image for a build?

    It has nothing of the host's, ends by itself within minutes, and goes then, so that
    it counts as a part of the build and not as one of the user's containers.
    """
    config = create.get("HostConfig", {})
    command = create.get("Entrypoint", []), create.get("Cmd", [])
    return (
        HELPER in create.get("Labels", {})
        and config.get("AutoRemove") is True
        and command == (["sleep"], [HELPER_SECONDS])
        and not any(config.get(key) for key in ("Binds", "Devices", "DeviceRequests"))
        and all(mount.get("Type") == "volume" for mount in config.get("Mounts") or [])
    )


def helper_labels(asked: Create, sent: Create) -> dict[str, str]:
    """Return its labels: whose it is, but not that it is managed."""
    labels = {k: v for k, v in sent["Labels"].items() if k != "ds01.managed"}
    return {**labels, HELPER: asked["Labels"][HELPER]}


# How many, how long, how large -------------------------------------------------------


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
    free: int | None, rules: Rules, *, is_before: bool
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
        rules: Rules,
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
        prepare: Callable[[], Awaitable[tuple[Rules, HostFacts]]],
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
        self, stream: asyncio.Future[Any], rules: Rules, host: HostFacts
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

    async def _take_place(self, rules: Rules, held: contextlib.ExitStack) -> None:
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

    async def _guard(self, rules: Rules, host: HostFacts) -> HelperError:
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
    from gateway_facts import engine_processes  # noqa: PLC0415

    try:
        return engine_processes(engine)[0]
    except (OSError, IndexError):
        return None


def _try_lock(path: Path, held: contextlib.ExitStack) -> bool:
    """Take a lock until `held` ends; return whether it was free."""
    from locked_files import (  # noqa: PLC0415 - a build only needs it
        PRIVATE_MODE,
        ensure_file,
        ensure_folder,
        explain,
    )

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
