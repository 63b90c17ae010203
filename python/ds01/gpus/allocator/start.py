"""A stopped container's way back to its GPUs: the same ones, or others.

With others it is made anew, by rehome.py.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping

from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.files import ensure_folder, locked
from ds01.core.owner import Owner, owner_of
from ds01.core.paths import find_paths
from ds01.core.program import say
from ds01.gpus.allocator import rehome
from ds01.gpus.allocator.allocator import Allocator, Started
from ds01.gpus.allocator.wait import wait_for, wait_to_start
from ds01.gpus.ledger.device_request import Gpus, labels_of
from ds01.gpus.ledger.document import CHANGED, Grant
from ds01.gpus.rules.request import Request, parse_request, parse_wait
from ds01.records.event_log import append_event

PROGRAM = "container_session"


def check_caller(labels: Mapping[str, str], caller: int) -> None:
    """Raise HelperError(REFUSED) unless the container is the caller's; root may all."""
    text = labels.get("ds01.uid", "")
    if text.isascii() and text.isdigit() and caller not in (0, int(text)):
        raise HelperError(
            Exit.REFUSED,
            "this container belongs to somebody else",
            "run 'container-list' to see your containers",
        )


def tell(text: str) -> None:
    say("info", text, PROGRAM)


def get(
    allocator: Allocator, name: str, owner: Owner | None, wait: str | None
) -> Started:
    """Return what the container has now; waits in the queue if that was asked for."""
    if wait is None:
        return allocator.reacquire(name, owner)
    return wait_to_start(allocator, name, parse_wait(wait), tell, owner)


def change(
    allocator: Allocator,
    name: str,
    identity: str,
    request: Request,
    *,
    owner: Owner | None,
    wait: str | None,
) -> Grant:
    """Return a grant for another request than the one the container was made with.

    What it has is given back first, since the quotas count it; if the new request is
    refused, it is taken again as far as it is still free.
    """
    user, _ = allocator.wish_of(name)
    allocator.release(name, CHANGED, container_id=identity)
    try:
        if wait is None:
            return allocator.reserve(user, request, name, owner)
        return wait_for(allocator, user, request, name, parse_wait(wait), tell, owner)
    except BaseException:
        with contextlib.suppress(HelperError):
            allocator.reacquire(name, owner)
        raise


def move(engine: Engine, allocator: Allocator, grant: Grant) -> None:
    """Make the container anew on a grant's devices. Nothing is lost if it fails."""
    name = grant.container
    details = engine.container(name)
    if details is None:
        raise HelperError(Exit.NOT_FOUND, f"container '{name}' not found")
    old = str(details["Id"])
    try:
        new = rehome.remake(engine, details, Gpus(grant.uuids, labels_of(grant)))
        try:
            allocator.commit(name, new)
        except BaseException:
            rehome.undo(engine, new, old, name)
            raise
    except BaseException:
        allocator.release(name, "not-moved", owner=grant.owner)
        raise
    rehome.drop(engine, old)
    append_event("moved", container=name, id=new, was=old, gpus=list(grant.uuids))


@contextlib.contextmanager
def turn(container: str) -> Iterator[None]:
    """Let only one process at a time get a container its devices."""
    folder = find_paths().state / "sessions"
    ensure_folder(folder)
    with locked(folder / f"{container}.move.lock", purpose="getting GPUs"):
        yield


def check_driver(allocator: Allocator) -> None:
    """Raise HelperError(PREREQUISITE) while NVML does not answer: the engine could not
    start a container with GPUs, and would give other reasons."""
    error = allocator.desk.read_inventory().error
    if error:
        raise HelperError(
            Exit.PREREQUISITE,
            f"the NVIDIA driver does not answer: {error}",
            "ask the administrator; the container keeps its GPUs",
        )


def start(
    words: argparse.Namespace, engine: Engine, allocator: Allocator, name: str
) -> Started:
    """Return what the container has now, having moved it if need be."""
    owner = None if words.owner_pid is None else owner_of(words.owner_pid)
    details = engine.container(name)
    if details is None:
        raise HelperError(
            Exit.NOT_FOUND,
            f"container '{name}' not found",
            "run 'container-list' to see your containers",
        )
    labels = (details.get("Config") or {}).get("Labels") or {}
    check_caller(labels, os.getuid())
    if words.request is None:
        started = get(allocator, name, owner, words.wait)
    else:
        grant = change(
            allocator,
            name,
            str(details["Id"]),
            parse_request(words.request),
            owner=owner,
            wait=words.wait,
        )
        started = Started(grant, moved=True)
    grant_now = started.grant
    if grant_now is None:
        return started
    if started.moved:
        move(engine, allocator, grant_now)
        kinds = ", ".join(device.profile for device in grant_now.devices) or "none"
        why = "its GPUs went to others meanwhile: " if words.request is None else ""
        tell(f"{why}it has other GPUs now ({kinds}), and everything else as before")
    elif grant_now.devices:
        check_driver(allocator)
    return started
