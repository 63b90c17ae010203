"""The policy: reads resource-limits.yaml, says who a user is and what limits hold.

`load_policy` reads and checks the whole file once, `effective_limits` is a pure
function of policy, user and time. Precedence, key by key: built-in < defaults < group
< user override. None is unlimited; nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from ds01.core import units
from ds01.core.errors import Exit, HelperError
from ds01.policy import schema
from ds01.policy.schema import Value
from ds01.policy.types import (
    LIMIT_KEYS,
    Aggregate,
    Effective,
    Entry,
    Group,
    Limits,
    Policy,
    User,
)


def load_policy(path: Path) -> Policy:
    """Return the checked policy of a file.

    Raises HelperError(CONFIG): `FILE:LINE: KEY.PATH: what is wrong`. With several
    problems it is a yaml_source.ConfigError that holds them all.
    """
    from ds01.policy import file  # noqa: PLC0415 - YAML is not needed to resolve limits

    return file.read(path)


def find_group(policy: Policy, user: User) -> tuple[Group, str]:
    """Return the group of a user, and why: `member`, `unix group x` or `default`.

    A listed member beats Unix groups; within each, the first group in the file wins.

    Raises HelperError(REFUSED) for a user of no group, if there is no default group.
    """
    for group in policy.groups.values():
        if user.name in group.members:
            return group, "member"
    for group in policy.groups.values():
        for name in group.unix_groups:
            if name in user.unix_groups:
                return group, f"unix group {name}"
    if policy.default_group is None:
        raise HelperError(
            Exit.REFUSED,
            f"user '{user.name}' belongs to no group of '{policy.path}', "
            "and there is no default_group",
            f"ask the administrator to add '{user.name}' to a group in '{policy.path}'",
        )
    return policy.groups[policy.default_group], "default"


def effective_limits(policy: Policy, user: User, now: datetime) -> Effective:
    """Return the limits that hold for a user at a time, key by key, with origins.

    memory_swap counts the memory too, so it is never below it: where one of the two
    is written closer to the user than the other (in the group, say, against the
    defaults), the other follows.

    Raises HelperError(REFUSED) for a user whom no group takes.
    """
    group, group_origin = find_group(policy, user)
    override = policy.overrides.get(user.name)
    notes: list[str] = []
    layers: list[tuple[str, Mapping[str, Entry]]] = [
        ("defaults", policy.defaults),
        (f"group {group.name}", group.limits),
    ]
    if override is not None:
        until = units.format_time(override.expires) if override.expires else ""
        if override.expires is not None and override.expires <= now:
            notes.append(f"override {user.name} expired {until}, ignored")
            override = None
        else:
            name = f"override {user.name}" + (f" until {until}" if until else "")
            layers.append((name, override.limits))

    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    texts: dict[str, str] = {}
    places: dict[str, str] = {}
    depth: dict[str, int] = {}
    for name, key in LIMIT_KEYS.items():
        values[name], origins[name], depth[name] = (
            schema.default_value(key),
            "built-in",
            0,
        )
        texts[name] = "unlimited" if key.default == "null" else key.default
        for level, (origin, entries) in enumerate(layers, start=1):
            if name in entries:
                entry = entries[name]
                values[name], origins[name] = entry.value, origin
                texts[name], places[name] = entry.text, entry.place
                depth[name] = level

    if _exceeds(values["memory"], values["memory_swap"]):
        lead, follow = "memory", "memory_swap"
        if depth["memory_swap"] > depth["memory"]:
            lead, follow = follow, lead
        values[follow], texts[follow] = values[lead], texts[lead]
        origins[follow] = f"follows {lead} ({origins[lead]})"
        places.pop(follow, None)
        if lead in places:
            places[follow] = places[lead]
    return Effective(
        user,
        group.name,
        group_origin,
        _limits_of(values),
        origins,
        texts,
        places,
        override,
        tuple(notes),
    )


def _exceeds(one: Value, other: Value) -> bool:
    """Is the first limit higher than the second? None is higher than any."""
    if other is None:
        return False
    if one is None:
        return True
    return float(one) > float(other)


def _limits_of(values: Mapping[str, Value]) -> Limits:
    flat = {name: value for name, value in values.items() if "." not in name}
    nested = {part.name: values[f"aggregate.{part.name}"] for part in fields(Aggregate)}
    # The keys of the tables carry the types.
    aggregate = Aggregate(**nested)  # type: ignore[arg-type]
    return Limits(aggregate=aggregate, **flat)  # type: ignore[arg-type]


def limits_dict(limits: Limits) -> dict[str, object]:
    """Return limits as plain values for JSON: bytes, seconds, null for unlimited."""
    from dataclasses import asdict  # noqa: PLC0415

    return asdict(limits)
