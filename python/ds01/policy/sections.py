"""What the policy says of the whole server: keys and types of its three sections.

`gpu_allocation`, `images` and `lifecycle` of resource-limits.yaml concern nobody in
particular, unlike the limits of types.py. Durations are seconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ds01.policy.schema import Key, key, keys_of


@dataclass(frozen=True)
class Allocation:
    """How GPUs are chosen, and who may see who waits for them."""

    strategy: str = key(
        "choice",
        "pack",
        "pack keeps whole GPUs free, spread balances heat",
        choices=("pack", "spread"),
    )
    show_names: bool = key(
        "flag",
        "false",
        "May everybody see the names of those who wait for GPUs, or their place only",
    )
    exclude: tuple[str, ...] = key(
        "list",
        "[]",
        "UUIDs of GPUs and MIG devices that are never handed out",
        value=(),
    )


@dataclass(frozen=True)
class Images:
    """How users' images are built; None: no such bound."""

    max_builds: int | None = key(
        "whole", "2", "Builds of images at once on this server", least=1
    )
    build_timeout: int | None = key(
        "duration", "2h", "How long one build may take before it is ended", least=1
    )
    min_free_disk: int | None = key(
        "size",
        "20g",
        "Free space that a build must leave where the engine stores images",
        null_means="not checked",
    )
    pins_max_age: int = key(
        "duration",
        "30d",
        "How long versions of tiers, resolved once, are used again for others",
    )


@dataclass(frozen=True)
class Lifecycle:
    """What idle means, and what happens to containers that nobody uses."""

    idle_gpu_percent: float = key(
        "number", "5", "A GPU used less than this, in percent, idles", most=100
    )
    idle_cpu_percent: float = key(
        "number",
        "2",
        "A container using less CPU than this, in percent of one CPU, idles",
        most=100,
    )
    idle_network_bytes_per_second: int = key(
        "whole",
        "10240",
        "A container with less network traffic than this, in bytes per second, idles",
    )
    idle_io_bytes_per_second: int = key(
        "whole",
        "102400",
        "A container that reads and writes less on disks than this, in bytes per "
        "second, idles",
    )
    warn_at: tuple[int, ...] = key(
        "list",
        "[80, 95]",
        "When users are warned, in percent of a time limit, rising",
        value=(80, 95),
    )
    stop_grace: int = key(
        "duration",
        "60s",
        "How long a container has to end by itself when it is stopped",
        most=3600,
    )
    keep_alive_max: int | None = key(
        "duration",
        "24h",
        "The longest time for which a user may ask to be left running",
    )
    demand_factor: float = key(
        "number",
        "0.5",
        "Share of idle_timeout that remains while others wait for the same GPUs, "
        "up to 1",
        least=0.01,
        most=1,
    )
    demand_floor: int = key(
        "duration", "30m", "Least idle_timeout that demand_factor leaves", least=10
    )
    created_timeout: int | None = key(
        "duration",
        "30m",
        "How long a container that was never started keeps its GPUs and is kept",
        least=10,
        null_means="for ever",
    )
    archive: Path | None = key(  # noqa: RUF009 - it returns a field
        "folder",
        "null",
        "Folder to which a container's files are exported before it is removed",
        null_means="none",
    )
    removal_notice: int = key(
        "duration", "24h", "How long before its removal a container's owner is told"
    )
    record_keep: int | None = key(
        "duration",
        "90d",
        "How long the records of removed containers are kept",
        null_means="for ever",
    )
    leftover_keep: int = key(
        "duration",
        "7d",
        "How long DS01's own left-overs lie before they are cleared away",
    )
    mail: bool = key(
        "flag", "false", "Are warnings sent by mail too, where the host has sendmail"
    )


SECTIONS: dict[str, tuple[Key, ...]] = {
    "gpu_allocation": keys_of(Allocation),
    "images": keys_of(Images),
    "lifecycle": keys_of(Lifecycle),
}
