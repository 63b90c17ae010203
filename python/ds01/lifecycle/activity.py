"""What a running container did since it was last looked at: samples, and what they say.

A Sample is what was read at one moment (activity_reader.py reads it); `judge` compares
it with what is remembered of the one before. Pure functions. What is not known counts
as activity: nothing is ever stopped for lack of knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ds01.policy.sections import Lifecycle

# Two looks that are closer say nothing about rates; the next one sees both spans.
LEAST_SECONDS = 5.0
# Nobody looked for longer than this: what happened meanwhile is not known.
MOST_SECONDS = 900.0


@dataclass(frozen=True)
class GpuUse:
    """A device of a container: percent it was used by it, None where not known.

    `processes` are the container's own on it, None where they cannot be listed;
    `memory` is what is held on the device. `is_mig`: NVML has no percentage for those.
    """

    uuid: str
    percent: float | None = None
    processes: tuple[int, ...] | None = ()
    memory: int | None = None
    is_mig: bool = False


@dataclass(frozen=True)
class Sample:
    """What was seen of a container at one moment; None where it could not be read.

    `cpu` (nanoseconds), `network` and `block` (bytes) are totals since its start.
    `shares_network`: with the host, so that its bytes are not the container's.
    `files`: what the processes that there are moved from and to disks, which counts
    where the cgroup does not. `waits`: processes that wait for a disk. `inputs`: when
    something was last typed into its terminals. `keep_file` is the time of
    /workspace/.keep-alive, if any.
    `gpus` is None where NVML does not answer.
    """

    at: datetime
    cpu: int | None = None
    network: int | None = None
    shares_network: bool = False
    block: int | None = None
    files: int = 0
    waits: int = 0
    inputs: tuple[datetime, ...] | None = ()
    keep_file: datetime | None = None
    keep_file_known: bool = True
    gpus: tuple[GpuUse, ...] | None = ()


@dataclass(frozen=True)
class Known:
    """When a container was last active and why; what the next sample goes by."""

    at: datetime | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    last_active: datetime | None = None
    because: str = ""


def judge(sample: Sample, before: Known, limits: Lifecycle) -> Known:
    """Return what a sample says, compared with the one before."""
    now = sample.at
    if before.at is None or before.last_active is None:
        return Known(now, counters_of(sample), now, "seen for the first time")
    elapsed = (now - before.at).total_seconds()
    if elapsed > MOST_SECONDS or elapsed < 0:
        return Known(now, counters_of(sample), now, "not watched for a while")
    is_short = elapsed < LEAST_SECONDS
    because = next(_signs(sample, before, limits, elapsed, is_short), None)
    # A short look keeps the older one to compare with.
    at = before.at if is_short else now
    counters = before.counters if is_short else counters_of(sample)
    if because is not None:
        return Known(at, counters, now, because)
    moment, why = max(_moments(sample, before, now), key=lambda item: item[0])
    return Known(at, counters, moment, why)


def counters_of(sample: Sample) -> dict[str, int]:
    """Return the totals that the next sample is compared with."""
    found = {"cpu": sample.cpu, "network": sample.network, "block": sample.block}
    found["files"] = sample.files
    for gpu in sample.gpus or ():
        found[f"memory {gpu.uuid}"] = gpu.memory
        if gpu.processes is not None:
            # The list itself may be long, and only its change is a sign.
            found[f"processes {gpu.uuid}"] = _mark(gpu.processes)
    return {key: value for key, value in found.items() if value is not None}


def _mark(pids: tuple[int, ...]) -> int:
    return hash(pids) & 0xFFFFFFFF


def _signs(
    sample: Sample, before: Known, limits: Lifecycle, elapsed: float, is_short: bool
) -> Iterator[str]:
    """Yield each reason why the container is active at this moment."""
    if sample.cpu is None:
        yield "its CPU time cannot be read"
    elif not is_short:
        used = _grown(sample.cpu, before, "cpu")
        if used is None:
            yield "its CPU time was not known before"
        elif used / elapsed / 1e7 >= limits.idle_cpu_percent:
            yield f"CPU {used / elapsed / 1e7:.0f}%"
    yield from _gpu_signs(sample, before, limits)
    if sample.waits:
        yield "waits for a disk"
    if not is_short:
        yield from _traffic(sample, before, limits, elapsed)
    if sample.inputs is None:
        yield "its terminals cannot be looked at"
    if not sample.keep_file_known:
        yield "its workspace cannot be looked at"


def _traffic(
    sample: Sample, before: Known, limits: Lifecycle, elapsed: float
) -> Iterator[str]:
    kinds = [
        ("block", "disk", sample.block, limits.idle_io_bytes_per_second),
    ]
    if not sample.shares_network:
        limit = limits.idle_network_bytes_per_second
        kinds.append(("network", "network", sample.network, limit))
    for key, word, total, limit in kinds:
        used = None if total is None else _grown(total, before, key)
        if total is None:
            yield f"its {word} traffic cannot be read"
        elif used is None:
            yield f"its {word} traffic was not known before"
        elif used / elapsed >= limit and used:
            yield f"{word} {_rate(used / elapsed)}"
    # The engine's kernel may not count blocks, and those on a network it never does.
    # The total is less when a process has ended: that is no sign of anything.
    moved = sample.files - before.counters.get("files", sample.files)
    if moved > 0 and moved / elapsed >= limits.idle_io_bytes_per_second:
        yield f"disk {_rate(moved / elapsed)}"


def _gpu_signs(sample: Sample, before: Known, limits: Lifecycle) -> Iterator[str]:
    if sample.gpus is None:
        yield "NVML does not answer"
    for gpu in sample.gpus or ():
        if gpu.percent is not None:
            if gpu.percent >= limits.idle_gpu_percent and gpu.percent > 0:
                yield f"GPU {gpu.percent:.0f}%"
            if not (gpu.is_mig and gpu.processes):
                continue
        if gpu.processes is None:
            yield "what runs on its GPU is not known"
        elif gpu.processes and not gpu.is_mig:
            yield "how much its GPU is used is not known"
        elif gpu.processes:
            # MIG has no figures: changes on the device, and the container's own CPU
            # time and traffic, have to do.
            known = before.counters.get(f"memory {gpu.uuid}")
            if gpu.memory is not None and known is not None and gpu.memory != known:
                yield "memory on its MIG device changes"
            listed = before.counters.get(f"processes {gpu.uuid}")
            if listed != _mark(gpu.processes):
                yield "processes on its MIG device change"


def _moments(
    sample: Sample, before: Known, now: datetime
) -> Iterator[tuple[datetime, str]]:
    """Yield the moments of activity that lie before this one, the known one first."""
    assert before.last_active is not None  # noqa: S101 - judge() has looked
    yield before.last_active, before.because
    for moment in sample.inputs or ():
        # The terminal's clock counts whole seconds, in steps of some; never ahead.
        if moment <= now + timedelta(seconds=60):
            yield min(moment, now), "typed in a terminal"
    if sample.keep_file is not None and sample.keep_file <= now + timedelta(minutes=5):
        yield min(sample.keep_file, now), "/workspace/.keep-alive"


def _grown(total: int, before: Known, key: str) -> int | None:
    """Return by how much a total grew; None where it is not known or began anew."""
    known = before.counters.get(key)
    return None if known is None or total < known else total - known


def _rate(bytes_per_second: float) -> str:
    for unit in ("B", "KB"):
        if bytes_per_second < 1000:
            return f"{bytes_per_second:.0f} {unit}/s"
        bytes_per_second /= 1000
    return f"{bytes_per_second:.1f} MB/s"
