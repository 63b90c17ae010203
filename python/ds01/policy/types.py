"""What the policy says, as objects; None means unlimited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ds01.policy.schema import MIB, Key, Value, key, keys_of
from ds01.policy.sections import Allocation, Images, Lifecycle


@dataclass(frozen=True)
class Aggregate:
    """Caps over all of a user's containers together; None is unlimited."""

    cpus: float | None = key(
        "number", "null", "CPUs over all of a user's containers together", least=0.01
    )
    memory: int | None = key(
        "size", "null", "Memory over all of a user's containers together", least=6 * MIB
    )
    pids: int | None = key(
        "whole",
        "null",
        "Processes and threads over all of a user's containers together",
        least=1,
    )


@dataclass(frozen=True)
class Limits:
    """The limits that hold for one user: bytes, seconds, None is unlimited."""

    max_gpus: float | None = key(
        "number",
        "1",
        "GPUs over all of a user's containers; a MIG slice counts its compute share",
    )
    max_mig_instances: int | None = key(
        "whole", "2", "MIG devices over all of a user's containers"
    )
    max_gpus_per_container: int | None = key(
        "whole", "1", "GPUs or MIG devices in one container"
    )
    allow_full_gpu: bool = key(
        "flag", "false", "May a user be given a whole GPU where MIG slices exist"
    )
    max_containers_per_user: int | None = key(
        "whole", "3", "Containers of one user, running or stopped"
    )
    priority: int = key(
        "whole",
        "10",
        "Place in the queue for GPUs, 0 to 100; higher goes first",
        most=100,
    )
    max_cpus: float | None = key("number", "16", "CPUs of one container", least=0.01)
    memory: int | None = key("size", "32g", "Memory of one container", least=6 * MIB)
    memory_swap: int | None = key(
        "size",
        "32g",
        "Memory and swap of one container together, as Docker counts it",
        least=6 * MIB,
    )
    shm_size: int | None = key(
        "size", "16g", "Shared memory (/dev/shm) of one container", least=1
    )
    pids_limit: int | None = key(
        "whole", "4096", "Processes and threads in one container", least=1
    )
    idle_timeout: int | None = key(
        "duration",
        "48h",
        "How long a container may idle before it is stopped",
        least=10,
    )
    max_runtime: int | None = key(
        "duration",
        "168h",
        "How long a container may run before it is stopped",
        least=10,
    )
    gpu_hold_after_stop: int | None = key(
        "duration", "24h", "How long a stopped container keeps its GPUs"
    )
    container_hold_after_stop: int | None = key(
        "duration", "null", "How long a stopped container is kept before it is removed"
    )
    network: str = key(
        "choice",
        "host",
        "Network of the containers: host (as AIME) or bridge",
        choices=("host", "bridge"),
    )
    aggregate: Aggregate = field(default_factory=Aggregate)


LIMIT_KEYS: dict[str, Key] = {
    key.name: key for key in (*keys_of(Limits), *keys_of(Aggregate, "aggregate."))
}


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
