"""Reads and checks resource-limits.yaml against the tables of schema.py.

policy.load_policy is the way in; this module only turns YAML nodes into its types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


class _Section:
    """A section of the file: its keys, and where it stands."""

    def __init__(self, source: Source, keys: Keys, path: str = "") -> None:
        self.source = source
        self.keys = keys
        self.path = path

    def section(self, name: str, known: Iterable[str] | None = None) -> _Section:
        """Return a section in this one, without keys where it is not written."""
        path, keys = self.where(name), {}
        if name in self.keys:
            keys = self.source.mapping(self.keys[name][1], path, known)
        return _Section(self.source, keys, path)

    def items(
        self, name: str, known: Iterable[str], required: Iterable[str]
    ) -> Iterator[tuple[Node, _Section]]:
        """Return the sections of a list; what is required and missing is noted."""
        if name not in self.keys:
            return
        for number, node in enumerate(self.source.items(self.keys[name][1], name)):
            path = f"{name}[{number}]"
            at = _Section(self.source, self.source.mapping(node, path, known), path)
            for key in required:
                if key not in at.keys:
                    self.source.problem(node, at.where(key), "missing")
            yield node, at

    def where(self, name: str) -> str:
        return join(self.path, name)

    def problem(self, name: str, what: str) -> None:
        self.source.problem(self.keys[name][1], self.where(name), what)

    def names(self, name: str) -> tuple[str, ...]:
        if name not in self.keys:
            return ()
        return self.source.names(self.keys[name][1], self.where(name))

    def text(self, name: str) -> str | None:
        if name not in self.keys:
            return None
        return self.source.text(self.keys[name][1], self.where(name))

    def time(self, name: str) -> datetime | None:
        if name not in self.keys:
            return None
        where = self.where(name)
        return self.source.scalar(self.keys[name][1], where, units.parse_time)

    def value(self, key: Key, name: str = "") -> Entry | None:
        """Return what is written for a key, by default of its own name; None if wrong
        or not there."""
        name = name or key.name
        if name not in self.keys:
            return None
        return _value(self.source, self.keys[name][1], self.where(name), key)


def read(path: Path) -> Policy:
    """Return the checked policy of a file; raises HelperError(CONFIG)."""
    source = Source(path)
    top = _Section(source, source.top(schema.TOP_KEYS))
    defaults = _limits(top.section("defaults", _TOP_LIMITS))
    groups = _groups(top)
    written: dict[str, Entry] = {}
    policy = Policy(
        path,
        _default_group(top, groups),
        defaults,
        groups,
        _overrides(top),
        _reservations(top, groups),
        _exemptions(top),
        _allocation(top, written),
        _lifecycle(top, written),
        _images(top, written),
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


def _limits(at: _Section) -> dict[str, Entry]:
    """Return the limits that a section writes itself."""
    found: dict[str, Entry] = {}
    for name in at.keys:
        if name == "aggregate":
            caps = at.section(name, _AGGREGATE)
            for part in caps.keys:
                full = f"aggregate.{part}"
                entry = caps.value(LIMIT_KEYS[full], part)
                if entry is not None:
                    found[full] = entry
        elif name in LIMIT_KEYS:
            entry = at.value(LIMIT_KEYS[name])
            if entry is not None:
                found[name] = entry
    if "memory" in found and "memory_swap" in found:
        memory, swap = found["memory"], found["memory_swap"]
        if swap.value is not None and (
            memory.value is None or float(memory.value) > float(swap.value)
        ):
            what = f"'{swap.text}' is less than memory '{memory.text}'"
            at.problem("memory_swap", f"{what}, which it includes")
    return found


def _named(
    top: _Section, name: str, known: Iterable[str], what: str
) -> Iterator[tuple[str, _Section]]:
    """Return the sections under names of people and groups, which must be printable."""
    section = top.section(name)
    for entry, (key, _) in section.keys.items():
        if not entry or not entry.isprintable():
            problem = f"{what} must be printable text"
            top.source.problem(key, section.where(entry), problem)
        yield entry, section.section(entry, [*known, *_TOP_LIMITS])


def _groups(top: _Section) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    member_of: dict[str, str] = {}
    for name, at in _named(top, "groups", schema.GROUP_KEYS, "a group's name"):
        members = at.names("members")
        for member in members:
            first = member_of.setdefault(member, name)
            if first != name:
                what = f"'{member}' is a member of group '{first}' above, which wins"
                top.source.warning(at.keys["members"][1], at.where("members"), what)
        groups[name] = Group(name, members, at.names("unix_groups"), _limits(at))
    return groups


def _default_group(top: _Section, groups: Mapping[str, Group]) -> str | None:
    name = "default_group"
    if name not in top.keys or is_null(top.keys[name][1]):
        return None
    group = top.text(name)
    if group is not None:
        _known_groups(top, name, [group], groups)
    return group


def _known_groups(
    at: _Section, key: str, names: Iterable[str], groups: Mapping[str, Group]
) -> None:
    for name in names:
        if name not in groups:
            close = did_you_mean(name, groups)
            at.problem(key, f"group '{name}' does not exist{close}")


def _overrides(top: _Section) -> dict[str, Override]:
    known = schema.OVERRIDE_KEYS
    return {
        user: Override(user, _limits(at), at.text("reason"), at.time("expires"))
        for user, at in _named(top, "user_overrides", known, "a login name")
    }


def _reservations(
    top: _Section, groups: Mapping[str, Group]
) -> tuple[Reservation, ...]:
    found: list[Reservation] = []
    names: set[str] = set()
    required = ("name", "gpus", "start", "end")
    for node, at in top.items("reservations", schema.RESERVATION_KEYS, required):
        if "groups" not in at.keys and "users" not in at.keys:
            top.source.problem(node, at.path, "names neither groups nor users")
        name = at.text("name")
        if name is not None and name in names:
            at.problem("name", f"'{name}' is there twice")
        names.add(name or "")
        for_groups = at.names("groups")
        _known_groups(at, "groups", for_groups, groups)
        entry = at.value(Key("gpus", "number", "1", "", False, 0.01))
        gpus = 1.0 if entry is None else entry.value
        start, end = at.time("start"), at.time("end")
        if start is not None and end is not None and end <= start:
            at.problem("end", "is not after start")
        if name and isinstance(gpus, (int, float)) and start and end:
            users, reason = at.names("users"), at.text("reason")
            found.append(
                Reservation(name, for_groups, users, float(gpus), start, end, reason)
            )
    return tuple(found)


def _exemptions(top: _Section) -> tuple[Exemption, ...]:
    found: list[Exemption] = []
    for _, at in top.items("exemptions", schema.EXEMPTION_KEYS, ("user", "from")):
        limits = at.names("from")
        for name in limits:
            if name not in schema.EXEMPTABLE:
                close = did_you_mean(name, schema.EXEMPTABLE)
                at.problem("from", f"'{name}' cannot be lifted{close}")
        user = at.text("user")
        until = None
        if "until" in at.keys and not is_null(at.keys["until"][1]):
            until = at.time("until")
        reason = at.text("reason")
        if user is not None:
            found.append(Exemption(user, limits, until, reason))
    return tuple(found)


def _allocation(top: _Section, written: dict[str, Entry]) -> Allocation:
    at, values = _server(top, "gpu_allocation", written)
    exclude = at.names("exclude")
    if "exclude" in at.keys:
        where = top.source.place(at.keys["exclude"][1])
        text = f"[{', '.join(exclude)}]"
        written["gpu_allocation.exclude"] = Entry(text, text, where)
    # The keys of these three tables carry the types.
    return Allocation(exclude=exclude, **values)  # type: ignore[arg-type]


def _images(top: _Section, written: dict[str, Entry]) -> Images:
    return Images(**_server(top, "images", written)[1])  # type: ignore[arg-type]


def _lifecycle(top: _Section, written: dict[str, Entry]) -> Lifecycle:
    source = top.source
    at, found = _server(top, "lifecycle", written)
    values: dict[str, object] = {**found}
    if "warn_at" in at.keys:
        path, node = "lifecycle.warn_at", at.keys["warn_at"][1]
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


def _server(
    top: _Section, name: str, written: dict[str, Entry]
) -> tuple[_Section, dict[str, Value]]:
    """Return a section of the whole server, and all its values but the lists.

    What the file writes itself is put in `written`, by key path.
    """
    table = sections.SECTIONS[name]
    at = top.section(name, [key.name for key in table])
    values: dict[str, Value] = {}
    for key in table:
        if key.kind == "list":
            continue
        values[key.name] = schema.default_value(key)
        entry = at.value(key)
        if entry is not None:
            values[key.name], written[at.where(key.name)] = entry.value, entry
    return at, values
