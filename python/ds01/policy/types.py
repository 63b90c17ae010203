"""What the policy says, as objects; None means unlimited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ds01.policy import schema
from ds01.policy.schema import Value
from ds01.policy.sections import Allocation, Images, Lifecycle

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
