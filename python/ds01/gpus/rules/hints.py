"""What is said of a refusal: the message with its numbers, and one step that helps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from ds01.core.units import counted
from ds01.gpus.devices.kinds import name_of
from ds01.gpus.devices.types import FULL, Device
from ds01.gpus.rules.quota import Used
from ds01.gpus.rules.refusal import Broken, show
from ds01.gpus.rules.request import Request, format_memory

_STATUS = "run 'gpu-status' to see the GPUs of this server"


def use(word: str) -> str:
    return f"use '--gpus {word}'"


def another(kinds: Sequence[str], otherwise: str = _STATUS) -> str:
    """Return the hint to take another kind, of those that are allowed."""
    return use(kinds[0]) if kinds else otherwise


def nearest(
    kind: str,
    allowed: Sequence[str],
    kinds: Mapping[str, Sequence[Device]],
    free: Collection[str] | None,
) -> str:
    """Return the hint for a profile that the host does not have.

    Named is the one spelled most alike, but with as many slices if there is one.
    """
    if not allowed:
        return _STATUS
    slices = kind.partition("g.")[0]
    alike = [other for other in allowed if other.partition("g.")[0] == slices]
    near = get_close_matches(kind, alike or allowed, 1, 0.0)
    best = near[0] if near else allowed[0]
    if free is None:
        return use(best)
    count = sum(device.uuid in free for device in kinds[best])
    return f"{use(best)} ({count} of {len(kinds[best])} free)"


def several(kind: str, count: int, allowed: Sequence[str]) -> str:
    """Return the hint for several MIG instances whose profile was not named."""
    if kind in allowed:
        return use(f"{kind}:{count}")
    if FULL in allowed:
        return use(f"{FULL}:{count}")
    return use("1")


def fewer(request: Request, kind: str, most: int) -> str:
    """Return the hint to ask for fewer of the same."""
    if request.kind == "count":
        return use(str(most))
    if request.kind == "memory":
        kind = f"mem={format_memory(request.memory)}"
    return use(kind if most == 1 else f"{kind}:{most}")


def make_room(used: Used) -> str:
    """Return the hint to give something back, a stopped container first."""
    held = [h for h in used.holdings if h.state == "held"] or list(used.holdings)
    if not held:
        return use("none")
    name = held[0].container.partition("._.")[0]
    return f"run 'container-remove {name}' to make room"


def for_quota(quota: Broken, kind: str) -> str:
    """Return the message for a quota that is broken by a request for a kind."""
    have, asked, limit = show(quota.have), show(quota.asked), show(quota.limit)
    are = "is" if limit == "1" else "are"
    if quota.machine == "quota-per-container":
        return (
            f"{counted(asked, 'GPU')} asked for in one container, "
            f"and {limit} {are} allowed"
        )
    if quota.machine == "full-gpu-not-allowed":
        return "you are not given whole GPUs while this server has MIG instances"
    if quota.machine == "quota-mig-instances":
        return (
            f"you have {counted(have, 'MIG instance')} and ask for {asked} more, "
            f"and {limit} {are} allowed"
        )
    return (
        f"you have {counted(have, 'GPU')} and ask for {asked} more ({name_of(kind)}), "
        f"and {limit} {are} allowed"
    )
