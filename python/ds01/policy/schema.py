"""The keys of resource-limits.yaml: one table each, with unit, default and meaning.

The sections of the whole server are in sections.py.

limits.py checks files against these tables, docs/configuration.md is compared with
them by a test. Defaults are written as the file writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ds01.core import units

Value = float | int | str | bool | None


@dataclass(frozen=True)
class Key:
    """One key: how its value is read, what holds when nothing is written.

    `kind` is number, whole, flag, size, duration, choice, folder or list. With
    `nullable`, null may be written and means `null_means`. `least` and `most` bound
    the value itself (bytes, seconds).
    """

    name: str
    kind: str
    default: str
    meaning: str
    nullable: bool = True
    least: float = 0
    most: float | None = None
    choices: tuple[str, ...] = ()
    null_means: str = "unlimited"


MIB = 1 << 20

# Each may stand in `defaults`, in a group and in a user override.
LIMITS: tuple[Key, ...] = (
    Key(
        "max_gpus",
        "number",
        "1",
        "GPUs over all of a user's containers; a MIG slice counts its compute share",
    ),
    Key(
        "max_mig_instances",
        "whole",
        "2",
        "MIG devices over all of a user's containers",
    ),
    Key(
        "max_gpus_per_container",
        "whole",
        "1",
        "GPUs or MIG devices in one container",
    ),
    Key(
        "allow_full_gpu",
        "flag",
        "false",
        "May a user be given a whole GPU where MIG slices exist",
        nullable=False,
    ),
    Key(
        "max_containers_per_user",
        "whole",
        "3",
        "Containers of one user, running or stopped",
    ),
    Key(
        "priority",
        "whole",
        "10",
        "Place in the queue for GPUs, 0 to 100; higher goes first",
        nullable=False,
        most=100,
    ),
    Key("max_cpus", "number", "16", "CPUs of one container", least=0.01),
    Key("memory", "size", "32g", "Memory of one container", least=6 * MIB),
    Key(
        "memory_swap",
        "size",
        "32g",
        "Memory and swap of one container together, as Docker counts it",
        least=6 * MIB,
    ),
    Key(
        "shm_size", "size", "16g", "Shared memory (/dev/shm) of one container", least=1
    ),
    Key(
        "pids_limit", "whole", "4096", "Processes and threads in one container", least=1
    ),
    Key(
        "idle_timeout",
        "duration",
        "48h",
        "How long a container may idle before it is stopped",
        least=10,
    ),
    Key(
        "max_runtime",
        "duration",
        "168h",
        "How long a container may run before it is stopped",
        least=10,
    ),
    Key(
        "gpu_hold_after_stop",
        "duration",
        "24h",
        "How long a stopped container keeps its GPUs",
    ),
    Key(
        "container_hold_after_stop",
        "duration",
        "null",
        "How long a stopped container is kept before it is removed",
    ),
    Key(
        "network",
        "choice",
        "host",
        "Network of the containers: host (as AIME) or bridge",
        nullable=False,
        choices=("host", "bridge"),
    ),
    Key(
        "aggregate.cpus",
        "number",
        "null",
        "CPUs over all of a user's containers together",
        least=0.01,
    ),
    Key(
        "aggregate.memory",
        "size",
        "null",
        "Memory over all of a user's containers together",
        least=6 * MIB,
    ),
    Key(
        "aggregate.pids",
        "whole",
        "null",
        "Processes and threads over all of a user's containers together",
        least=1,
    ),
)

# The limits that an exemption can lift.
EXEMPTABLE = (
    "idle_timeout",
    "max_runtime",
    "gpu_hold_after_stop",
    "container_hold_after_stop",
)

TOP_KEYS: dict[str, str] = {
    "version": "Format of this file: 1",
    "default_group": "Group of users whom no group names; null refuses them",
    "defaults": "Limits of everybody, where group and override say nothing else",
    "groups": "Groups by name: members, unix_groups and limits of their own",
    "user_overrides": "Limits of single users by login name, with reason and expiry",
    "reservations": "GPUs kept for groups or users in a span of time",
    "exemptions": "Users whom a time limit does not concern",
    "gpu_allocation": "How GPUs are chosen, and who may see who waits",
    "images": "How users' images are built",
    "lifecycle": "What idle means, and what happens to containers that nobody uses",
}
GROUP_KEYS: dict[str, str] = {
    "members": "Login names of its members",
    "unix_groups": "Unix groups whose members belong to it",
}
OVERRIDE_KEYS: dict[str, str] = {
    "reason": "Why; shown to the user",
    "expires": "When it ends (UTC); a date alone is its first moment",
}
RESERVATION_KEYS: dict[str, str] = {
    "name": "Its name, once only",
    "groups": "Groups that may use the GPUs",
    "users": "Users that may use the GPUs",
    "gpus": "How many GPUs are kept",
    "start": "When it begins (UTC)",
    "end": "When it ends (UTC)",
    "reason": "Why; shown to everybody",
}
EXEMPTION_KEYS: dict[str, str] = {
    "user": "Login name",
    "from": f"Limits that do not concern the user: {', '.join(EXEMPTABLE)}",
    "until": "When it ends (UTC); null or left out: never",
    "reason": "Why",
}

_PARSERS: dict[str, Callable[[str], Value]] = {
    "number": units.parse_number,
    "whole": units.parse_whole,
    "size": units.parse_size,
    "duration": units.parse_duration,
}
# A value in quotes is text, which these are not.
UNQUOTED_KINDS = ("number", "whole", "flag")


def parse_value(key: Key, text: str) -> Value:
    """Return the typed value of a key; raises ValueError with what is wrong.

    Sizes are bytes, durations seconds. `null` is not handled here but by the caller,
    who knows whether it was quoted.
    """
    if key.kind == "flag":
        if text.lower() not in {"true", "false"}:
            raise ValueError(f"'{text}' is neither true nor false")
        return text.lower() == "true"
    if key.kind == "choice":
        if text not in key.choices:
            raise ValueError(f"'{text}' is none of {', '.join(key.choices)}")
        return text
    if key.kind == "folder":
        return _parse_folder(text)
    value = _PARSERS[key.kind](text)
    assert isinstance(value, (int, float))  # noqa: S101 - for mypy
    if value < key.least:
        raise ValueError(f"'{text}' is less than {format_value(key, key.least)}")
    if key.most is not None and value > key.most:
        raise ValueError(f"'{text}' is more than {format_value(key, key.most)}")
    return value


def _parse_folder(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f"'{text}' is not an absolute path without '..'")
    if not text.isprintable():
        raise ValueError(f"{text!r} has control characters")
    return text.rstrip("/") or "/"


def format_value(key: Key, value: Value) -> str:
    """Return a value as the policy file writes it; what null means for null."""
    if value is None:
        return key.null_means
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if key.kind == "size":
        return units.format_size(int(value))
    if key.kind == "duration":
        return units.format_duration(int(value))
    return units.format_number(value)


def default_value(key: Key) -> Value:
    """Return the typed built-in default of a key."""
    return None if key.default == "null" else parse_value(key, key.default)
