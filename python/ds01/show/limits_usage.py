"""What a user uses of each limit.

Limits of one container are compared with the user's container that uses most; quotas
with the sum over all of them, stopped ones that hold GPUs included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ds01.containers.containers import select
from ds01.containers.stats import Usage, read_usages
from ds01.core import settings, units
from ds01.core.engine import Engine
from ds01.core.labels import MLC
from ds01.core.paths import find_paths
from ds01.core.text import size_text
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.allocator.report import status
from ds01.gpus.ledger.document import Grant
from ds01.policy.limits import effective_limits, load_policy
from ds01.policy.types import Limits, User

PROGRAM = "limits_usage"
BAR = 20


@dataclass(frozen=True)
class Use:
    """What is used of one limit: numbers in the unit of the policy's key.

    `limit` is None where it is unlimited; `container` is the one that uses most, where
    the limit is of each container by itself.
    """

    key: str
    used: float
    limit: float | None
    container: str = ""


def _largest(
    key: str, limit: float | None, pairs: Sequence[tuple[float | None, str]]
) -> Use:
    known = [(used, name) for used, name in pairs if used is not None]
    used, name = max(known, default=(0.0, ""))
    return Use(key, used, limit, name)


def uses(
    limits: Limits, count: int, usages: Sequence[Usage], grants: Sequence[Grant]
) -> list[Use]:
    """Return the use of each limit that something can be used of.

    `count` is the number of the user's containers, `usages` what the running ones use,
    `grants` the GPUs that they hold.
    """
    most = max(((len(g.devices), g.container) for g in grants), default=(0, ""))
    slices = sum(device.is_mig for grant in grants for device in grant.devices)
    return [
        Use("max_containers_per_user", count, limits.max_containers_per_user),
        Use("max_gpus", round(sum(g.share for g in grants), 4), limits.max_gpus),
        Use("max_mig_instances", slices, limits.max_mig_instances),
        Use(
            "max_gpus_per_container",
            most[0],
            limits.max_gpus_per_container,
            most[1].rpartition("._.")[0],
        ),
        _largest(
            "max_cpus",
            limits.max_cpus,
            [
                (None if u.cpu_percent is None else u.cpu_percent / 100, u.name)
                for u in usages
            ],
        ),
        _largest("memory", limits.memory, [(u.memory, u.name) for u in usages]),
        _largest("pids_limit", limits.pids_limit, [(u.pids, u.name) for u in usages]),
    ]


def bar(used: float, limit: float | None) -> str:
    """Return a bar of fixed width; an unlimited one stays empty."""
    if limit is None:
        return "." * BAR
    part = 1.0 if limit <= 0 else min(1.0, used / limit)
    full = BAR if part >= 1 else int(part * BAR)
    if used > 0 and limit > 0:
        full = max(1, full)
    elif used <= 0:
        full = 0
    return "#" * full + "." * (BAR - full)


def text(use: Use) -> str:
    """Return one line: the key, the bar, both numbers, and the container."""

    def number(value: float | None) -> str:
        if value is None:
            return "unlimited"
        if use.key == "memory":
            return size_text(value)
        return units.format_number(round(value, 2))

    what = f"  {use.container}" if use.container else ""
    numbers = f"{number(use.used)} of {number(use.limit)}"
    return f"{use.key:<24} [{bar(use.used, use.limit)}] {numbers}{what}"


def read(user: User) -> list[Use]:
    """Return the present use of a user's limits."""
    paths = find_paths()
    address = settings.engine_address()
    now = datetime.now(timezone.utc)
    limits = effective_limits(load_policy(paths.policy), user, now).limits
    with Engine(address) as engine:
        own = select(engine.containers([MLC]), user.uid)
    found = status(Allocator(paths, address).desk)
    grants = [grant for grant in found.grants if grant.uid == user.uid]
    return uses(limits, len(own), read_usages(address, own), grants)
