"""What the policy says of the whole server: keys and types of its three sections.

`gpu_allocation`, `images` and `lifecycle` of resource-limits.yaml concern nobody in
particular, unlike the limits of schema.py. Durations are seconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ds01.policy.schema import Key


@dataclass(frozen=True)
class Allocation:
    """How GPUs are chosen, and who may see who waits for them."""

    strategy: str = "pack"
    exclude: tuple[str, ...] = ()
    show_names: bool = False


@dataclass(frozen=True)
class Images:
    """How users' images are built; None: no such bound."""

    max_builds: int | None = 2
    build_timeout: int | None = 2 * 3600
    min_free_disk: int | None = 20 << 30
    pins_max_age: int = 30 * 86400


@dataclass(frozen=True)
class Lifecycle:
    """What idle means, and what happens to containers that nobody uses."""

    idle_gpu_percent: float = 5
    idle_cpu_percent: float = 2
    idle_network_bytes_per_second: int = 10240
    warn_at: tuple[int, ...] = (80, 95)
    stop_grace: int = 60
    keep_alive_max: int | None = 24 * 3600
    idle_io_bytes_per_second: int = 102400
    demand_factor: float = 0.5
    demand_floor: int = 30 * 60
    created_timeout: int | None = 30 * 60
    archive: Path | None = None
    removal_notice: int = 24 * 3600
    record_keep: int | None = 90 * 86400
    leftover_keep: int = 7 * 86400
    mail: bool = False


ALLOCATION_KEYS: tuple[Key, ...] = (
    Key(
        "strategy",
        "choice",
        "pack",
        "pack keeps whole GPUs free, spread balances heat",
        nullable=False,
        choices=("pack", "spread"),
    ),
    Key(
        "show_names",
        "flag",
        "false",
        "May everybody see the names of those who wait for GPUs, or their place only",
        nullable=False,
    ),
    Key(
        "exclude",
        "list",
        "[]",
        "UUIDs of GPUs and MIG devices that are never handed out",
        nullable=False,
    ),
)

IMAGE_KEYS: tuple[Key, ...] = (
    Key("max_builds", "whole", "2", "Builds of images at once on this server", least=1),
    Key(
        "build_timeout",
        "duration",
        "2h",
        "How long one build may take before it is ended",
        least=1,
    ),
    Key(
        "min_free_disk",
        "size",
        "20g",
        "Free space that a build must leave where the engine stores images",
        null_means="not checked",
    ),
    Key(
        "pins_max_age",
        "duration",
        "30d",
        "How long versions of tiers, resolved once, are used again for others",
        nullable=False,
    ),
)

LIFECYCLE_KEYS: tuple[Key, ...] = (
    Key(
        "idle_gpu_percent",
        "number",
        "5",
        "A GPU used less than this, in percent, idles",
        nullable=False,
        most=100,
    ),
    Key(
        "idle_cpu_percent",
        "number",
        "2",
        "A container using less CPU than this, in percent of one CPU, idles",
        nullable=False,
        most=100,
    ),
    Key(
        "idle_network_bytes_per_second",
        "whole",
        "10240",
        "A container with less network traffic than this, in bytes per second, idles",
        nullable=False,
    ),
    Key(
        "idle_io_bytes_per_second",
        "whole",
        "102400",
        "A container that reads and writes less on disks than this, in bytes per "
        "second, idles",
        nullable=False,
    ),
    Key(
        "warn_at",
        "list",
        "[80, 95]",
        "When users are warned, in percent of a time limit, rising",
        nullable=False,
    ),
    Key(
        "stop_grace",
        "duration",
        "60s",
        "How long a container has to end by itself when it is stopped",
        nullable=False,
        most=3600,
    ),
    Key(
        "keep_alive_max",
        "duration",
        "24h",
        "The longest time for which a user may ask to be left running",
    ),
    Key(
        "demand_factor",
        "number",
        "0.5",
        "Share of idle_timeout that remains while others wait for the same GPUs, "
        "up to 1",
        nullable=False,
        least=0.01,
        most=1,
    ),
    Key(
        "demand_floor",
        "duration",
        "30m",
        "Least idle_timeout that demand_factor leaves",
        nullable=False,
        least=10,
    ),
    Key(
        "created_timeout",
        "duration",
        "30m",
        "How long a container that was never started keeps its GPUs and is kept",
        least=10,
        null_means="for ever",
    ),
    Key(
        "archive",
        "folder",
        "null",
        "Folder to which a container's files are exported before it is removed",
        null_means="none",
    ),
    Key(
        "removal_notice",
        "duration",
        "24h",
        "How long before its removal a container's owner is told",
        nullable=False,
    ),
    Key(
        "record_keep",
        "duration",
        "90d",
        "How long the records of removed containers are kept",
        null_means="for ever",
    ),
    Key(
        "leftover_keep",
        "duration",
        "7d",
        "How long DS01's own left-overs lie before they are cleared away",
        nullable=False,
    ),
    Key(
        "mail",
        "flag",
        "false",
        "Are warnings sent by mail too, where the host has sendmail",
        nullable=False,
    ),
)

SECTIONS: dict[str, tuple[Key, ...]] = {
    "gpu_allocation": ALLOCATION_KEYS,
    "images": IMAGE_KEYS,
    "lifecycle": LIFECYCLE_KEYS,
}
