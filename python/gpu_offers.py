"""What a user could ask of GPUs now: the kinds that they may have, for a menu.

Prints one JSON object: `offers`, each with `request` (what --gpus takes) and `text`
(how many are free, and what a wait would mean). Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import gpu_report
import settings
from _common import Exit, find_paths, print_json, run
from containers import size_text
from gpu_allocator import Allocator
from gpu_desk import Desk
from gpu_device_states import DeviceState, device_states
from gpu_request import parse_request
from policy import User, identify_user


def offers(desk: Desk, user: User) -> list[dict[str, str]]:
    """Return the kinds of devices on this server that the user may have, the smallest
    first. Raises HelperError(PREREQUISITE) where the engine does not answer."""
    document, world, problem = gpu_report.look(desk)
    if problem is not None:
        raise problem
    states = device_states(document, world.view, world.inventory)
    kinds: dict[str, list[DeviceState]] = {}
    for state in sorted(states, key=lambda state: state.device.memory or 0):
        # The parent of MIG instances is no device to have.
        if state.device.is_mig or not state.device.mig_mode:
            kinds.setdefault(state.device.profile, []).append(state)
    found = []
    for kind, devices in kinds.items():
        answer = gpu_report.answer_request(
            desk, document, world, user, parse_request(kind)
        )
        text = offer_text(devices, answer)
        if text is not None:
            found.append({"request": kind, "text": text})
    return found


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


def main(argv: Sequence[str] | None = None) -> int:
    del argv
    allocator = Allocator(find_paths(), settings.engine_address())
    print_json({"offers": offers(allocator.desk, identify_user(os.getuid()))})
    return Exit.OK


if __name__ == "__main__":
    sys.exit(run(main, "gpu_offers"))
