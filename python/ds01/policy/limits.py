"""The policy: reads resource-limits.yaml, says who a user is and what limits hold.

`load_policy` reads and checks the whole file once, `effective_limits` is a pure
function of policy, user and time. Precedence, key by key: built-in < defaults < group
< user override. None is unlimited; nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path

import policy_schema as schema
from ds01.core import units
from ds01.core.errors import Exit, HelperError
from policy_schema import Value
from policy_server import Allocation, Images, Lifecycle

LIMIT_KEYS: dict[str, schema.Key] = {key.name: key for key in schema.LIMITS}


@dataclass(frozen=True)
class Aggregate:
    """Caps over all of a user's containers together; None is unlimited."""

    cpus: float | None
    memory: int | None
    pids: int | None


@dataclass(frozen=True)
class Limits:
    """The limits that hold for one user: bytes, seconds, None is unlimited."""

    max_gpus: float | None
    max_mig_instances: int | None
    max_gpus_per_container: int | None
    allow_full_gpu: bool
    max_containers_per_user: int | None
    priority: int
    max_cpus: float | None
    memory: int | None
    memory_swap: int | None
    shm_size: int | None
    pids_limit: int | None
    idle_timeout: int | None
    max_runtime: int | None
    gpu_hold_after_stop: int | None
    container_hold_after_stop: int | None
    network: str
    aggregate: Aggregate


@dataclass(frozen=True)
class Entry:
    """One value as it was written: typed, its text, and where (`FILE:LINE`)."""

    value: Value
    text: str
    place: str


@dataclass(frozen=True)
class Group:
    """A group: who belongs to it, and the limits that it writes itself."""

    name: str
    members: tuple[str, ...] = ()
    unix_groups: tuple[str, ...] = ()
    limits: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Override:
    """A single user's own limits, until `expires`."""

    user: str
    limits: Mapping[str, Entry] = field(default_factory=dict)
    reason: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class Reservation:
    """GPUs kept for groups or users from `start` to `end`."""

    name: str
    groups: tuple[str, ...]
    users: tuple[str, ...]
    gpus: float
    start: datetime
    end: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Exemption:
    """Time limits that do not concern a user, until `until`."""

    user: str
    limits: tuple[str, ...]
    until: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Policy:
    """One checked policy file."""

    path: Path
    default_group: str | None
    defaults: Mapping[str, Entry]
    groups: Mapping[str, Group]
    overrides: Mapping[str, Override]
    reservations: tuple[Reservation, ...]
    exemptions: tuple[Exemption, ...]
    allocation: Allocation
    lifecycle: Lifecycle
    images: Images = field(default_factory=Images)
    # What the server's sections write themselves, by key path (`images.max_builds`).
    server: Mapping[str, Entry] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class User:
    """A user of the host; the name is for display, the uid is who it is."""

    name: str
    uid: int
    unix_groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effective:
    """What holds for one user at one time.

    `origins` and `texts` have the same keys as the policy file (`aggregate.cpus`):
    where a value comes from, and the value as the file writes it (`unlimited`).
    `places` names file and line, where there is one.
    """

    user: User
    group: str
    group_origin: str
    limits: Limits
    origins: Mapping[str, str]
    texts: Mapping[str, str]
    places: Mapping[str, str]
    override: Override | None = None
    notes: tuple[str, ...] = ()


def load_policy(path: Path) -> Policy:
    """Return the checked policy of a file.

    Raises HelperError(CONFIG): `FILE:LINE: KEY.PATH: what is wrong`. With several
    problems it is a yaml_source.ConfigError that holds them all.
    """
    import policy_file  # noqa: PLC0415 - YAML is not needed to resolve limits

    return policy_file.read(path)


def identify_user(who: str | int) -> User:
    """Return the user of a login name or a uid.

    A login name that consists of digits wins over reading it as a uid. A uid without
    an account is a user without groups whose name is the number; should another
    account have that number for its name, the name is `uid:NUMBER`.

    Raises HelperError(NOT_FOUND) for a name that nobody has.
    """
    import grp  # noqa: PLC0415
    import os  # noqa: PLC0415
    import pwd  # noqa: PLC0415

    entry: pwd.struct_passwd | None = None
    uid = who if isinstance(who, int) else -1
    try:
        if isinstance(who, str):
            try:
                entry = pwd.getpwnam(who)
            except KeyError:
                if not (who.isascii() and who.isdigit() and len(who) < 11):
                    raise
                uid = int(who)
        if entry is None and 0 <= uid < 2**32 - 1:
            try:
                entry = pwd.getpwuid(uid)
            except KeyError:
                return User(_number_as_name(uid), uid)
    except (KeyError, ValueError):
        entry = None
    if entry is None:
        raise HelperError(
            Exit.NOT_FOUND,
            f"user '{who}' does not exist on this host",
            f"run 'getent passwd {who}' to see whether the host knows the name"
            if isinstance(who, str) and who.isprintable() and " " not in who
            else None,
        )
    names: list[str] = []
    for gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        try:
            names.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return User(entry.pw_name, entry.pw_uid, tuple(names))


def _number_as_name(uid: int) -> str:
    import pwd  # noqa: PLC0415

    try:
        pwd.getpwnam(str(uid))
    except KeyError:
        return str(uid)
    return f"uid:{uid}"


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
        values[name], origins[name], depth[name] = _built_in(key), "built-in", 0
        texts[name] = "unlimited" if key.default == "null" else key.default
        for level, (origin, entries) in enumerate(layers, start=1):
            if name in entries:
                entry = entries[name]
                values[name], origins[name] = entry.value, origin
                texts[name], places[name] = entry.text, entry.place
                depth[name] = level

    if _exceeds(values["memory"], values["memory_swap"]):
        swap_leads = depth["memory_swap"] > depth["memory"]
        lead, follow = (
            ("memory_swap", "memory")
            if swap_leads
            else (
                "memory",
                "memory_swap",
            )
        )
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


_BUILT_IN: dict[str, Value] = {}


def _built_in(key: schema.Key) -> Value:
    if key.name not in _BUILT_IN:
        _BUILT_IN[key.name] = schema.default_value(key)
    return _BUILT_IN[key.name]


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
    # The tables of policy_schema.py carry the types; a test compares them with Limits.
    aggregate = Aggregate(**nested)  # type: ignore[arg-type]
    return Limits(aggregate=aggregate, **flat)  # type: ignore[arg-type]


def limits_dict(limits: Limits) -> dict[str, object]:
    """Return limits as plain values for JSON: bytes, seconds, null for unlimited."""
    from dataclasses import asdict  # noqa: PLC0415

    return asdict(limits)
