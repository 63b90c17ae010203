"""Reads and checks resource-limits.yaml against the tables of schema.py.

policy.load_policy is the way in; this module only turns YAML nodes into its types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from yaml.nodes import Node, ScalarNode

from ds01.core import units
from ds01.core.yaml_source import Source, did_you_mean, is_empty, is_null, join
from ds01.policy import schema, sections
from ds01.policy.schema import Key, Value
from ds01.policy.sections import Allocation, Images, Lifecycle
from ds01.policy.types import (
    LIMIT_KEYS,
    Entry,
    Exemption,
    Group,
    Override,
    Policy,
    Reservation,
)

Keys = Mapping[str, tuple[ScalarNode, Node]]

_TOP_LIMITS = tuple(dict.fromkeys(name.partition(".")[0] for name in LIMIT_KEYS))
_AGGREGATE = tuple(
    name.partition(".")[2] for name in LIMIT_KEYS if name.startswith("aggregate.")
)


def read(path: Path) -> Policy:
    """Return the checked policy of a file; raises HelperError(CONFIG)."""
    source = Source(path)
    top = source.top(schema.TOP_KEYS)
    defaults = _defaults(source, top)
    groups = _groups(source, top)
    written: dict[str, Entry] = {}
    policy = Policy(
        path,
        _default_group(source, top, groups),
        defaults,
        groups,
        _overrides(source, top),
        _reservations(source, top, groups),
        _exemptions(source, top),
        _allocation(source, top, written),
        _lifecycle(source, top, written),
        _images(source, top, written),
        written,
        tuple(source.warnings),
    )
    source.finish()
    return policy


def _value(source: Source, node: Node, path: str, key: Key) -> Entry | None:
    """Return one typed value; a problem is noted."""
    if is_null(node):
        if not key.nullable:
            source.problem(node, path, f"cannot be null ({key.null_means})")
            return None
        return Entry(None, key.null_means, source.place(node))
    if is_empty(node):
        hint = f", write null for {key.null_means}" if key.nullable else ""
        what = f"has no value{hint}"
        source.problem(node, path, what)
        return None
    quoted = key.kind not in schema.UNQUOTED_KINDS
    value = source.scalar(
        node, path, lambda text: schema.parse_value(key, text), quoted
    )
    if value is None:
        return None
    text = node.value if isinstance(node, ScalarNode) else ""
    if key.kind in {"number", "flag", "size"}:
        text = schema.format_value(key, value)
    return Entry(value, text, source.place(node))


def _limits(source: Source, keys: Keys, path: str) -> dict[str, Entry]:
    """Return the limits that a section writes itself."""
    found: dict[str, Entry] = {}
    for name, (_, node) in keys.items():
        if name == "aggregate":
            where = join(path, name)
            for part, (_, cap) in source.mapping(node, where, _AGGREGATE).items():
                full = f"aggregate.{part}"
                entry = _value(source, cap, join(path, full), LIMIT_KEYS[full])
                if entry is not None:
                    found[full] = entry
        elif name in LIMIT_KEYS:
            entry = _value(source, node, join(path, name), LIMIT_KEYS[name])
            if entry is not None:
                found[name] = entry
    if "memory" in found and "memory_swap" in found:
        memory, swap = found["memory"], found["memory_swap"]
        if swap.value is not None and (
            memory.value is None or float(memory.value) > float(swap.value)
        ):
            source.problem(
                keys["memory_swap"][1],
                join(path, "memory_swap"),
                f"'{swap.text}' is less than memory '{memory.text}', which it includes",
            )
    return found


def _defaults(source: Source, top: Keys) -> dict[str, Entry]:
    if "defaults" not in top:
        return {}
    keys = source.mapping(top["defaults"][1], "defaults", _TOP_LIMITS)
    return _limits(source, keys, "defaults")


def _groups(source: Source, top: Keys) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    if "groups" not in top:
        return groups
    member_of: dict[str, str] = {}
    for name, (key, node) in source.mapping(top["groups"][1], "groups").items():
        path = join("groups", name)
        if not name or not name.isprintable():
            source.problem(key, path, "a group's name must be printable text")
        keys = source.mapping(node, path, [*schema.GROUP_KEYS, *_TOP_LIMITS])
        members = _names(source, keys, path, "members")
        for member in members:
            first = member_of.setdefault(member, name)
            if first != name:
                source.warning(
                    keys["members"][1],
                    join(path, "members"),
                    f"'{member}' is a member of group '{first}' above, which wins",
                )
        groups[name] = Group(
            name,
            members,
            _names(source, keys, path, "unix_groups"),
            _limits(source, keys, path),
        )
    return groups


def _default_group(
    source: Source, top: Keys, groups: Mapping[str, Group]
) -> str | None:
    if "default_group" not in top:
        return None
    node = top["default_group"][1]
    if is_null(node):
        return None
    name = source.text(node, "default_group")
    if name is not None:
        _known_groups(source, node, "default_group", [name], groups)
    return name


def _known_groups(
    source: Source,
    node: Node,
    path: str,
    names: Iterable[str],
    groups: Mapping[str, Group],
) -> None:
    for name in names:
        if name not in groups:
            what = f"group '{name}' does not exist{did_you_mean(name, groups)}"
            source.problem(node, path, what)


def _overrides(source: Source, top: Keys) -> dict[str, Override]:
    overrides: dict[str, Override] = {}
    if "user_overrides" not in top:
        return overrides
    section = source.mapping(top["user_overrides"][1], "user_overrides")
    for user, (key, node) in section.items():
        path = join("user_overrides", user)
        if not user or not user.isprintable():
            source.problem(key, path, "a login name must be printable text")
        keys = source.mapping(node, path, [*_TOP_LIMITS, *schema.OVERRIDE_KEYS])
        overrides[user] = Override(
            user,
            _limits(source, keys, path),
            _text(source, keys, path, "reason"),
            _time(source, keys, path, "expires"),
        )
    return overrides


def _reservations(
    source: Source, top: Keys, groups: Mapping[str, Group]
) -> tuple[Reservation, ...]:
    found: list[Reservation] = []
    names: set[str] = set()
    if "reservations" not in top:
        return ()
    for number, node in enumerate(source.items(top["reservations"][1], "reservations")):
        path = f"reservations[{number}]"
        keys = source.mapping(node, path, schema.RESERVATION_KEYS)
        _require(source, node, keys, path, ("name", "gpus", "start", "end"))
        if "groups" not in keys and "users" not in keys:
            source.problem(node, path, "names neither groups nor users")
        name = _text(source, keys, path, "name")
        if name is not None and name in names:
            source.problem(keys["name"][1], f"{path}.name", f"'{name}' is there twice")
        names.add(name or "")
        for_groups = _names(source, keys, path, "groups")
        if for_groups:
            where = f"{path}.groups"
            _known_groups(source, keys["groups"][1], where, for_groups, groups)
        gpus = _plain(source, keys, path, Key("gpus", "number", "1", "", False, 0.01))
        start = _time(source, keys, path, "start")
        end = _time(source, keys, path, "end")
        if start is not None and end is not None and end <= start:
            source.problem(keys["end"][1], f"{path}.end", "is not after start")
        if name and isinstance(gpus, (int, float)) and start and end:
            users = _names(source, keys, path, "users")
            reason = _text(source, keys, path, "reason")
            found.append(
                Reservation(name, for_groups, users, float(gpus), start, end, reason)
            )
    return tuple(found)


def _exemptions(source: Source, top: Keys) -> tuple[Exemption, ...]:
    found: list[Exemption] = []
    if "exemptions" not in top:
        return ()
    for number, node in enumerate(source.items(top["exemptions"][1], "exemptions")):
        path = f"exemptions[{number}]"
        keys = source.mapping(node, path, schema.EXEMPTION_KEYS)
        _require(source, node, keys, path, ("user", "from"))
        limits = _names(source, keys, path, "from")
        for name in limits:
            if name not in schema.EXEMPTABLE:
                close = did_you_mean(name, schema.EXEMPTABLE)
                what = f"'{name}' cannot be lifted{close}"
                source.problem(keys["from"][1], f"{path}.from", what)
        user = _text(source, keys, path, "user")
        until = None
        if "until" in keys and not is_null(keys["until"][1]):
            until = _time(source, keys, path, "until")
        reason = _text(source, keys, path, "reason")
        if user is not None:
            found.append(Exemption(user, limits, until, reason))
    return tuple(found)


def _allocation(source: Source, top: Keys, written: dict[str, Entry]) -> Allocation:
    keys, values = _section(source, top, "gpu_allocation", written)
    exclude = _names(source, keys, "gpu_allocation", "exclude")
    if "exclude" in keys:
        where = source.place(keys["exclude"][1])
        text = f"[{', '.join(exclude)}]"
        written["gpu_allocation.exclude"] = Entry(text, text, where)
    # The tables carry the types of these three; a test compares them.
    return Allocation(exclude=exclude, **values)  # type: ignore[arg-type]


def _images(source: Source, top: Keys, written: dict[str, Entry]) -> Images:
    return Images(**_section(source, top, "images", written)[1])  # type: ignore[arg-type]


def _lifecycle(source: Source, top: Keys, written: dict[str, Entry]) -> Lifecycle:
    keys, found = _section(source, top, "lifecycle", written)
    values: dict[str, object] = {**found}
    if "warn_at" in keys:
        path, node = "lifecycle.warn_at", keys["warn_at"][1]
        percent = Key("warn_at", "whole", "80", "", False, 1, 99)
        entries = [
            _value(source, item, path, percent) for item in source.items(node, path)
        ]
        numbers = [int(entry.value or 0) for entry in entries if entry is not None]
        if numbers != sorted(set(numbers)):
            source.problem(node, path, "must rise, as in [80, 95]")
        values["warn_at"] = tuple(numbers)
        written[path] = Entry(str(numbers), str(numbers), source.place(node))
    archive = found["archive"]
    values["archive"] = Path(archive) if isinstance(archive, str) else None
    return Lifecycle(**values)  # type: ignore[arg-type]


def _section(
    source: Source, top: Keys, path: str, written: dict[str, Entry]
) -> tuple[Keys, dict[str, Value]]:
    """Return a section of the whole server: its keys and all values but the lists.

    What the file writes itself is put in `written`, by key path.
    """
    table = sections.SECTIONS[path]
    keys: Keys = {}
    if path in top:
        keys = source.mapping(top[path][1], path, [key.name for key in table])
    values: dict[str, Value] = {}
    for key in table:
        if key.kind == "list":
            continue
        values[key.name] = schema.default_value(key)
        if key.name in keys:
            where = join(path, key.name)
            entry = _value(source, keys[key.name][1], where, key)
            if entry is not None:
                values[key.name], written[where] = entry.value, entry
    return keys, values


def _plain(source: Source, keys: Keys, path: str, key: Key) -> Value:
    """Return a key's value, its default where it is not written or wrong."""
    if key.name in keys:
        entry = _value(source, keys[key.name][1], join(path, key.name), key)
        if entry is not None:
            return entry.value
    return schema.default_value(key)


def _require(
    source: Source, node: Node, keys: Keys, path: str, names: Iterable[str]
) -> None:
    for name in names:
        if name not in keys:
            source.problem(node, join(path, name), "missing")


def _names(source: Source, keys: Keys, path: str, name: str) -> tuple[str, ...]:
    return source.names(keys[name][1], join(path, name)) if name in keys else ()


def _text(source: Source, keys: Keys, path: str, name: str) -> str | None:
    return source.text(keys[name][1], join(path, name)) if name in keys else None


def _time(source: Source, keys: Keys, path: str, name: str) -> datetime | None:
    if name not in keys:
        return None
    return source.scalar(keys[name][1], join(path, name), units.parse_time)
