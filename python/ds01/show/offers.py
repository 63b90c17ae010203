"""The kinds of GPUs that a user may have now, and what is said of each in a menu."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit
from ds01.core.text import size_text
from ds01.gpus.allocator import report
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.ledger.device_states import DeviceState, device_states
from ds01.gpus.rules.request import DEFAULT, parse_request
from ds01.images.shelf import catalog
from ds01.images.shelf.image import read_images
from ds01.policy.types import User


def offers(desk: Desk, user: User) -> tuple[dict[str, str], str]:
    """Return the kinds of devices on this server that the user may have, the smallest
    first, with what is said of them; and what the user has without a word.

    Raises HelperError(PREREQUISITE) where the engine does not answer.
    """
    document, world, problem = report.look(desk)
    if problem is not None:
        raise problem
    states = device_states(document, world.view, world.inventory)
    kinds: dict[str, list[DeviceState]] = {}
    for state in sorted(states, key=lambda state: state.device.memory or 0):
        # The parent of MIG instances is no device to have.
        if state.device.is_mig or not state.device.mig_mode:
            kinds.setdefault(state.device.profile, []).append(state)
    found = {}
    for kind, devices in kinds.items():
        answer = report.answer_request(desk, document, world, user, parse_request(kind))
        text = offer_text(devices, answer)
        if text is not None:
            found[kind] = text
    answer = report.answer_request(desk, document, world, user, DEFAULT)
    return found, default_text(list(found), kinds, answer)


def default_text(
    allowed: Sequence[str],
    kinds: Mapping[str, Sequence[DeviceState]],
    answer: Mapping[str, Any],
) -> str:
    """Return what is said of the default request, given the kinds that are allowed."""
    devices = answer.get("devices")
    if not allowed or devices == []:
        return "no GPU"
    # A refusal names no device: the default is one of the smallest kind.
    kind = allowed[0]
    for name, states in kinds.items():
        if devices and any(state.device.uuid in devices for state in states):
            kind = name
    text = offer_text(kinds[kind], answer)
    return f"{kind}: {text or 'not now: ' + answer['message']}"


def needs_none(words: argparse.Namespace) -> bool:
    """Does the image get no GPU unless one is asked for?

    Raises HelperError for an image that is none.
    """
    settled = settings.read()
    architecture = catalog.chosen_architecture(words.arch, settled)
    with Engine(settings.engine_address()) as engine:
        entry = catalog.find_entry(read_images(engine), words, settled, architecture)[1]
    return words.arch == "CPU" or catalog.is_for_cpu(entry)


def offer_text(devices: Sequence[DeviceState], answer: Mapping[str, Any]) -> str | None:
    """Return what is said of one kind, or None where the user may not have it."""
    states = Counter(state.state for state in devices)
    memory = devices[0].device.memory
    text = f"{states['free']} of {len(devices)} free"
    if memory:
        text += f", {size_text(memory)} of memory"
    if answer.get("granted"):
        return text
    if "code" not in answer:
        return f"{text}; number {answer['position']} in the queue"
    # What gpu_refusal calls `waits`; any other refusal is a rule's.
    if answer["exit"] == Exit.NO_GPU or answer["code"] == "reservation":
        return f"{text}; number {answer['queue'] + 1} in the queue"
    is_for_now = answer.get("limit") and answer["limit"] >= (answer.get("asked") or 0)
    return f"{text}; not now: {answer['message']}" if is_for_now else None
