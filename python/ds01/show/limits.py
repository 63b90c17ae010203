"""A user's limits as plain values, as flags for docker, and whether there is room."""

from __future__ import annotations

from ds01.core import units
from ds01.policy import limits as policy_limits
from ds01.policy.types import Effective, Limits, User


def docker_args(limits: Limits) -> list[str]:
    """Return the flags of `docker create` that give a container these limits.

    GPUs and the caps over all containers are not among them: the gateway sets those.
    """
    flags = []
    if limits.max_cpus is not None:
        flags.append(f"--cpus={units.format_number(limits.max_cpus)}")
    if limits.memory is not None:
        flags.append(f"--memory={units.format_size(limits.memory)}")
        swap = "-1"
        if limits.memory_swap is not None:
            swap = units.format_size(limits.memory_swap)
        flags.append(f"--memory-swap={swap}")
    if limits.shm_size is not None:
        flags.append(f"--shm-size={units.format_size(limits.shm_size)}")
    pids = -1 if limits.pids_limit is None else limits.pids_limit
    flags.append(f"--pids-limit={pids}")
    flags.append(f"--network={limits.network}")
    return flags


def as_json(effective: Effective) -> dict[str, object]:
    """Return what --json prints."""
    override = effective.override
    return {
        "user": effective.user.name,
        "uid": effective.user.uid,
        "group": effective.group,
        "group_origin": effective.group_origin,
        "limits": policy_limits.limits_dict(effective.limits),
        "text": dict(effective.texts),
        "reason": override.reason if override else None,
        "notes": list(effective.notes),
    }


def as_rows(effective: Effective) -> dict[str, object]:
    """Return what --origin prints: one row per key."""
    return {
        "user": effective.user.name,
        "uid": effective.user.uid,
        "group": effective.group,
        "group_origin": effective.group_origin,
        "rows": [
            {
                "key": key,
                "value": effective.texts[key],
                "origin": effective.origins[key],
                "place": effective.places.get(key),
            }
            for key in effective.texts
        ],
        "notes": list(effective.notes),
    }


def check_room(user: User, limits: Limits, name: str) -> None:
    """Raise HelperError where the user may have no container more, a container of that
    name not counted, or where no engine answers."""
    from ds01.core import settings  # noqa: PLC0415 - asks the engine, only here
    from ds01.core.engine import Engine  # noqa: PLC0415
    from ds01.gpus.ledger.engine_view import container_of  # noqa: PLC0415
    from ds01.gpus.rules.rules import check_room as check  # noqa: PLC0415

    with Engine(settings.engine_address()) as engine:
        found = [
            container_of(c, ()) for c in engine.containers([f"ds01.uid={user.uid}"])
        ]
    check(limits, sum(container.name != name for container in found))
