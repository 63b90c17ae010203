"""What a key of resource-limits.yaml is: unit, default and meaning.

The tables are the classes that hold the values: the limits in types.py, the sections of
the whole server in sections.py.

file.py checks files against these tables, docs/configuration.md is compared with
them by a test. Defaults are written as the file writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

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


@cache
def default_value(key: Key) -> Value:
    """Return the typed built-in default of a key."""
    return None if key.default == "null" else parse_value(key, key.default)


def key(kind: str, default: str, meaning: str, **more: Any) -> Any:
    """Return a field of a table: a key that has the built-in default as its value.

    `more` are further fields of Key. A list has its `value` said, since only file.py
    reads lists.
    """
    built_in = more.pop("value", None)
    made = Key("", kind, default, meaning, **more)
    if kind != "list":
        built_in = default_value(made)
    return field(default=built_in, metadata={"key": made})


def keys_of(table: Any, prefix: str = "") -> tuple[Key, ...]:
    """Return the keys of a table in order; null may be written where None is a value.

    `prefix` comes before their names.
    """
    return tuple(
        replace(
            item.metadata["key"],
            name=prefix + item.name,
            nullable="None" in str(item.type),
        )
        for item in fields(table)
        if "key" in item.metadata
    )
