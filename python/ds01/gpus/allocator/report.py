"""What the allocator knows, for people and programs: status, queue and explanations.

Reads without the lock, since documents are replaced as a whole, and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.units import utc_stamp
from ds01.gpus.allocator.choice import Choices
from ds01.gpus.allocator.desk import LOG, Desk
from ds01.gpus.allocator.queue import find_turn
from ds01.gpus.allocator.queue_words import ordered, refusal_json, turn_words
from ds01.gpus.allocator.turns import make_ticket
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.device_states import DeviceState, device_states
from ds01.gpus.ledger.document import Document, Grant, Ticket
from ds01.gpus.ledger.engine_view import View
from ds01.gpus.ledger.reconcile import Work, World
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import Request, format_request
from ds01.policy.types import User

_LARGEST_LOG = 16 << 20
_LINES = 20
# What is told of a device, and of a process on it.
_DEVICE = (
    *("uuid", "index", "name", "parent", "profile"),
    *("memory", "memory_used", "utilisation", "temperature"),
)
_PROCESS = ("pid", "name", "uid", "container", "memory")


@dataclass(frozen=True)
class Status:
    """Every device and its state, every grant, and the queue in its order.

    `nvml` and `engine` say what did not answer: then states are what is remembered.
    """

    devices: tuple[DeviceState, ...]
    grants: tuple[Grant, ...]
    queue: tuple[Ticket, ...]
    inventory: Inventory
    view: View
    nvml: str | None = None
    engine: str | None = None


@dataclass(frozen=True)
class Place:
    """A ticket, its place in the queue, and what it waits for in words."""

    ticket: Ticket
    position: int
    words: str
    ready: bool


@dataclass(frozen=True)
class Queue:
    """The queue in its order; `nvml` and `engine` as of Status."""

    places: tuple[Place, ...]
    nvml: str | None = None
    engine: str | None = None


def look(desk: Desk) -> tuple[Document, World, HelperError | None]:
    """Return document and world as they are now, put in order in memory only.

    The last is why the engine did not answer: then nothing is put in order.
    """
    work = Work(ledger_document.peek(desk.paths) or Document())
    try:
        world = desk.observe(work)
    except HelperError as error:
        inventory = desk.read_inventory()
        world = World(View(), inventory, desk.now(), desk.is_alive, desk.hold_of)
        return work.document, world, error
    return work.document, world, None


def status(desk: Desk) -> Status:
    """Return the state of every device."""
    document, world, problem = look(desk)
    return status_of(document, world, problem)


def status_of(
    document: Document, world: World, problem: HelperError | None = None
) -> Status:
    """Return the state of every device, from what was looked at."""
    return Status(
        devices=device_states(document, world.view, world.inventory),
        grants=document.grants,
        queue=tuple(ordered(document, world, document.queue)),
        inventory=world.inventory,
        view=world.view,
        nvml=world.inventory.error,
        engine=problem.message if problem else None,
    )


def waiting(desk: Desk) -> Queue:
    """Return the queue, and what did not answer when it was looked at."""
    document, world, problem = look(desk)
    found = _places(desk, document, world)
    engine = problem.message if problem else None
    return Queue(tuple(found), world.inventory.error, engine)


def _places(desk: Desk, document: Document, world: World) -> list[Place]:
    choices = Choices(document, world, desk)
    queue = ordered(document, world, document.queue)
    found: list[Place] = []
    for position, ticket in enumerate(queue, start=1):
        turn = find_turn(ticket, queue, choices.place)
        words = turn_words(ticket, turn, choices)
        found.append(Place(ticket, position, words, turn.devices is not None))
    return found


def explain_request(desk: Desk, user: User, request: Request) -> dict[str, Any]:
    """Return what a request would get now, or which rule refuses it.

    Raises HelperError(PREREQUISITE) where no engine answers: who has what is not known
    then, and a request would end with the same.
    """
    document, world, problem = look(desk)
    if problem is not None:
        raise problem
    return answer_request(desk, document, world, user, request)


def answer_request(
    desk: Desk, document: Document, world: World, user: User, request: Request
) -> dict[str, Any]:
    """Return what a request would get, as explain_request, from what was looked at."""
    answer: dict[str, Any] = {
        "request": format_request(request),
        "user": user.name,
        "nvml": world.inventory.error,
        "queue": len(document.queue),
    }
    choices = Choices(document, world, desk)
    mine = make_ticket(desk, document, user, request, "")
    try:
        chosen = choices.choose(user, request, "")
        queue = ordered(document, world, [*document.queue, mine])
        turn = find_turn(mine, queue, choices.place)
        answer |= {
            "granted": turn.devices is not None,
            "devices": [device.uuid for device in chosen.devices],
            "ends": chosen.ends and utc_stamp(chosen.ends),
            "note": chosen.note,
            "position": turn.position,
            "words": turn_words(mine, turn, choices),
            **(chosen.why or {}),
        }
    except Refusal as refusal:
        answer |= {"granted": False, **refusal_json(refusal)}
    return answer


def explain_container(desk: Desk, container: str) -> dict[str, Any]:
    """Return what a container has, its queue place, and the log's lines about it.

    The lines are the last ones; `found` tells whether anything is known of it.
    """
    document, world, problem = look(desk)
    grant = document.grant_of(container)
    states = device_states(document, world.view, world.inventory)
    waits = [
        place
        for place in _places(desk, document, world)
        if place.ticket.container == container
    ]
    names = {container} | ({grant.container, grant.container_id} if grant else set())
    lines = list(_log_lines(desk.paths, names - {""}))[-_LINES:]
    return {
        "container": grant.container if grant else container,
        "grant": ledger_document.grant_json(grant) if grant else None,
        "devices": [
            {"uuid": s.device.uuid, "state": s.state, "why": s.why}
            for s in states
            if grant is not None and s.grant is grant
        ],
        "waiting": [place_json(place) for place in waits],
        "engine": problem.message if problem else None,
        "nvml": world.inventory.error,
        "log": lines,
        "found": bool(grant or waits or lines),
    }


def _log_lines(paths: Paths, names: set[str]) -> Iterator[dict[str, Any]]:
    for path in (paths.log / f"{LOG}.log.1", paths.log / f"{LOG}.log"):
        for line in _tail(path):
            # Cheaper than reading every line as JSON.
            if not any(name in line for name in names):
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if {entry.get("container"), entry.get("container_id")} & names:
                yield entry


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LARGEST_LOG))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def place_json(place: Place) -> dict[str, Any]:
    """Return a place in the queue as plain values."""
    return {
        **ledger_document.ticket_json(place.ticket),
        "position": place.position,
        "words": place.words,
        "ready": place.ready,
    }


def state_json(state: DeviceState) -> dict[str, Any]:
    """Return a device and its state as plain values."""
    device, grant = state.device, state.grant
    return {
        **{name: getattr(device, name) for name in _DEVICE},
        "state": state.state,
        "why": state.why,
        "grant": ledger_document.grant_json(grant) if grant else None,
        "processes": None
        if device.processes is None
        else [
            {name: getattr(process, name) for name in _PROCESS}
            for process in device.processes
        ],
    }


def status_json(found: Status) -> dict[str, Any]:
    """Return a status as plain values."""
    return {
        "devices": [state_json(state) for state in found.devices],
        "grants": [ledger_document.grant_json(grant) for grant in found.grants],
        "queue": [ledger_document.ticket_json(ticket) for ticket in found.queue],
        "nvml": found.nvml,
        "engine": found.engine,
    }
