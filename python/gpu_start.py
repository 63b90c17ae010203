"""Give a stopped container its GPUs back before it is started.

The same devices if it still has them or they are free; otherwise others that its
request allows, for which it is made anew (gpu_rehome.py). Reads engine, NVML and
policy; prints one JSON object: `moved`, and the `devices` it has now. Exit statuses:
docs/exit-codes.md; 5 where none is free.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

import gpu_rehome
import settings
import units
from _common import Exit, HelperError, find_paths, print_json, program_name, run, say
from engine import Engine
from event_log import append_event
from gateway_gpus import labels_of
from gateway_types import Gpus
from gpu_allocator import Allocator, Started
from gpu_state import Grant
from gpu_wait import wait_to_start
from locked_files import ensure_folder, locked
from process_owner import Owner, owner_of

PROGRAM = "gpu_start"


def check_caller(labels: Mapping[str, str], caller: int) -> None:
    """Raise HelperError(REFUSED) unless the container is the caller's; root may all."""
    text = labels.get("ds01.uid", "")
    if text.isascii() and text.isdigit() and caller not in (0, int(text)):
        raise HelperError(
            Exit.REFUSED,
            "this container belongs to somebody else",
            "run 'container-list' to see your containers",
        )


def get(
    allocator: Allocator, name: str, owner: Owner | None, wait: str | None
) -> Started:
    """Return what the container has now; waits in the queue if that was asked for."""
    if wait is None:
        return allocator.reacquire(name, owner)
    limit = units.parse_duration(wait) if wait else None
    return wait_to_start(
        allocator, name, limit, lambda text: say("info", text, PROGRAM), owner
    )


def move(engine: Engine, allocator: Allocator, grant: Grant) -> None:
    """Make the container anew on a grant's devices. Nothing is lost if it fails."""
    name = grant.container
    details = engine.container(name)
    if details is None:
        raise HelperError(Exit.NOT_FOUND, f"container '{name}' not found")
    old = str(details["Id"])
    try:
        new = gpu_rehome.remake(engine, details, Gpus(grant.uuids, labels_of(grant)))
        try:
            allocator.commit(name, new)
        except BaseException:
            gpu_rehome.undo(engine, new, old, name)
            raise
    except BaseException:
        allocator.release(name, "not-moved", owner=grant.owner)
        raise
    gpu_rehome.drop(engine, old)
    append_event("moved", container=name, id=new, was=old, gpus=list(grant.uuids))


@contextlib.contextmanager
def turn(container: str) -> Iterator[None]:
    """Let only one process at a time get a container its devices."""
    folder = find_paths().state / "sessions"
    ensure_folder(folder)
    with locked(folder / f"{container}.move.lock", purpose="getting GPUs"):
        yield


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program_name(PROGRAM), description=__doc__, allow_abbrev=False
    )
    parser.add_argument("container")
    parser.add_argument("--owner-pid", type=int)
    parser.add_argument("--wait", metavar="DURATION")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    owner = None if words.owner_pid is None else owner_of(words.owner_pid)
    address = settings.engine_address()
    allocator = Allocator(find_paths(), address)
    with turn(words.container), Engine(address) as engine:
        gpu_rehome.recover(engine, words.container)
        details = engine.container(words.container)
        if details is None:
            raise HelperError(
                Exit.NOT_FOUND,
                f"container '{words.container}' not found",
                "run 'container-list' to see your containers",
            )
        labels = (details.get("Config") or {}).get("Labels") or {}
        check_caller(labels, os.getuid())
        started = get(allocator, words.container, owner, words.wait)
        grant = started.grant
        if grant is not None and started.moved:
            move(engine, allocator, grant)
            kinds = ", ".join(device.profile for device in grant.devices)
            say(
                "info",
                f"its GPUs went to others meanwhile: it has others now ({kinds}), "
                "and everything else as before",
                PROGRAM,
            )
    devices = [] if grant is None else list(grant.uuids)
    print_json({"moved": started.moved, "devices": devices})
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
