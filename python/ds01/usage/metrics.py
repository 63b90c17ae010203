"""Writes DS01's metrics for Prometheus, at the end of a lifecycle pass.

The file ds01.prom is for node_exporter's textfile collector; it is replaced as a whole.
Where it goes is `metrics_dir` in ds01.yaml. The metrics are in metric_table.py.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import get_args

from ds01.core import files, settings
from ds01.core.engine import Engine
from ds01.core.errors import HelperError
from ds01.core.paths import PROJECT_ROOT, Paths
from ds01.core.program import say
from ds01.gpus.allocator.report import Status
from ds01.gpus.devices.types import State
from ds01.usage import metric_counters
from ds01.usage.metric_counters import Counters
from ds01.usage.metric_table import BY_NAME, Samples, family

_PROGRAM = "metrics"
FILE = "ds01.prom"
# node_exporter, which runs under another user, reads it.
_MODE = 0o644
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Pass:
    """What a lifecycle pass knows at its end.

    `skipped` is why it did nothing, None if it worked. `status` is what it saw, None if
    it came to see nothing. `idle` is for how many seconds containers have been idle, by
    the engine's names.
    """

    now: datetime
    seconds: float
    skipped: str | None = None
    status: Status | None = None
    idle: Mapping[str, float] = field(default_factory=dict)


def write_metrics(
    paths: Paths,
    figures: Pass,
    group_of: Callable[[int], str],
    engine: Engine | None = None,
) -> Path | None:
    """Write the metrics; return the file, or None where none is wanted or possible.

    `group_of` tells the policy's group of a user by uid. The engine is asked once where
    it keeps images. Metrics never fail a pass: what goes wrong is a warning.
    """
    try:
        folder = settings.metrics_folder(settings.load_settings(paths.settings))
        if folder is None:
            return None
        before = metric_counters.load(paths)
        counters = _with_root(metric_counters.update(paths, before), engine)
        samples = Samples()
        put_all(samples, figures, counters, group_of)
        put_disks(samples, paths, counters)
        if counters != before:
            metric_counters.save(paths, counters)
        path = folder / FILE
        files.write_atomic(path, samples.text().encode(), _MODE)
    except HelperError as error:
        say("warning", f"no metrics: {error.message}", _PROGRAM)
        return None
    return path


def _with_root(counters: Counters, engine: Engine | None) -> Counters:
    if counters.engine_root is not None or engine is None:
        return counters
    found = engine.get("/info") or {}
    return replace(counters, engine_root=str(found.get("DockerRootDir") or ""))


def put_all(
    samples: Samples,
    figures: Pass,
    counters: Counters,
    group_of: Callable[[int], str],
) -> None:
    """Put every metric that follows from a pass and the counters."""
    version = (PROJECT_ROOT / "VERSION").read_text(encoding="utf-8").strip()
    samples.put("ds01_info", 1, version)
    put_pass(samples, figures)
    for (series, label), value in sorted(counters.sums.items()):
        if series not in BY_NAME and not series.startswith("ds01_gpu_wait_seconds"):
            continue  # of another version
        samples.put(series, value, *([label] if family(series).labels else ()))
    _put_zeros(samples)
    if figures.status is not None:
        put_devices(samples, figures.status)
        put_users(samples, figures.status, group_of)
        put_queue(samples, figures.status, figures.now)
        put_idle(samples, figures.status, figures.idle)


# So that rates exist before the first event.
_ZEROS = (
    ("ds01_gpu_wait_seconds_sum",),
    ("ds01_gpu_wait_seconds_count",),
    ("ds01_gpu_grants_total",),
    ("ds01_image_builds_total", "ok"),
    ("ds01_image_builds_total", "failed"),
    *(("ds01_lifecycle_actions_total", kind) for kind in metric_counters.ACTIONS),
)


def _put_zeros(samples: Samples) -> None:
    for series, *labels in _ZEROS:
        samples.add(series, 0, *labels)


def put_pass(samples: Samples, figures: Pass) -> None:
    status = figures.status
    samples.put("ds01_lifecycle_pass_timestamp_seconds", figures.now.timestamp())
    samples.put("ds01_lifecycle_pass_duration_seconds", figures.seconds)
    samples.put("ds01_lifecycle_pass_skipped", int(figures.skipped is not None))
    if figures.skipped:
        samples.put("ds01_lifecycle_pass_skipped_info", 1, figures.skipped[:120])
    if status is not None:
        samples.put("ds01_engine_up", int(status.engine is None))
        samples.put("ds01_nvml_up", int(status.nvml is None))


def put_devices(samples: Samples, status: Status) -> None:
    """Put the devices; a state in which none is shows as 0."""
    counted = Counter((s.device.profile, s.state) for s in status.devices)
    for profile in sorted({profile for profile, _ in counted}):
        for state in STATES:
            number = counted[profile, state]
            samples.put("ds01_gpu_devices", number, profile, state)
    for item in status.devices:
        device = item.device
        about = (device.uuid, device.index)
        labels = (*about, device.name, device.profile, item.state)
        samples.put("ds01_gpu_device_state", 1, *labels)
        if device.memory:
            samples.put("ds01_gpu_device_memory_bytes", device.memory, *about)
        if device.memory_used is not None:
            used = device.memory_used
            samples.put("ds01_gpu_device_memory_used_bytes", used, *about)
        if device.utilisation is not None:
            ratio = device.utilisation / 100
            samples.put("ds01_gpu_device_utilization_ratio", ratio, *about)
        if device.temperature is not None:
            degrees = device.temperature
            samples.put("ds01_gpu_device_temperature_celsius", degrees, *about)


def put_users(samples: Samples, status: Status, group_of: Callable[[int], str]) -> None:
    """Put what users hold: GPUs by the state of the grants, and containers."""

    @cache
    def group(uid: int) -> str:
        try:
            return group_of(uid)
        except HelperError:  # of no group, or no account any more
            return ""

    for grant in status.grants:
        who = (grant.user or str(grant.uid), group(grant.uid))
        samples.add("ds01_user_gpus", grant.share, *who, grant.state)
    for container in status.view.containers:
        if container.managed:
            state = "running" if container.active else "stopped"
            if container.fresh:
                state = "created"
            who = (container.user or str(container.uid), group(container.uid))
            samples.add("ds01_user_containers", 1, *who, state)


def put_queue(samples: Samples, status: Status, now: datetime) -> None:
    samples.put("ds01_gpu_queue_requests", len(status.queue))
    waits = [(now - ticket.since).total_seconds() for ticket in status.queue]
    samples.put("ds01_gpu_queue_oldest_seconds", max([0.0, *waits]))


def put_idle(samples: Samples, status: Status, idle: Mapping[str, float]) -> None:
    for container in status.view.containers:
        if container.active and container.name in idle:
            labels = (container.name, container.user)
            samples.put("ds01_container_idle_seconds", idle[container.name], *labels)


def put_disks(samples: Samples, paths: Paths, counters: Counters) -> None:
    """Put size and free space where DS01 and the engine write."""
    places = {"state": paths.state, "log": paths.log}
    if counters.engine_root:
        places["engine"] = Path(counters.engine_root)
    for name, folder in sorted(places.items()):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        samples.put("ds01_disk_size_bytes", usage.total, name)
        samples.put("ds01_disk_free_bytes", usage.free, name)
