"""The metrics that DS01 gives Prometheus, and their text format.

One table: name, kind, labels, help. docs/monitoring.md, the dashboard and the alert
rules may name these and no others (tests compare them).

Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A family of series; `labels` are the names of its labels in their order."""

    name: str
    kind: Literal["gauge", "counter", "summary"]
    help: str
    labels: tuple[str, ...] = ()


METRICS: tuple[Metric, ...] = (
    Metric("ds01_info", "gauge", "Always 1, with DS01's version.", ("version",)),
    Metric(
        "ds01_lifecycle_pass_timestamp_seconds",
        "gauge",
        "When the last lifecycle pass ended.",
    ),
    Metric(
        "ds01_lifecycle_pass_duration_seconds",
        "gauge",
        "How long the last lifecycle pass took.",
    ),
    Metric(
        "ds01_lifecycle_pass_skipped",
        "gauge",
        "1 if the last pass did nothing, because something was not known.",
    ),
    Metric(
        "ds01_lifecycle_pass_skipped_info",
        "gauge",
        "1 with the reason, where the last pass did nothing.",
        ("reason",),
    ),
    Metric("ds01_engine_up", "gauge", "1 if the Docker engine answered the last pass."),
    Metric("ds01_nvml_up", "gauge", "1 if the NVIDIA driver answered the last pass."),
    Metric(
        "ds01_gpu_devices",
        "gauge",
        "GPUs and MIG instances by kind and state.",
        ("profile", "state"),
    ),
    Metric(
        "ds01_gpu_device_state",
        "gauge",
        "1 for the state that a device is in.",
        ("uuid", "index", "name", "profile", "state"),
    ),
    Metric(
        "ds01_gpu_device_memory_bytes",
        "gauge",
        "Memory of a device.",
        ("uuid", "index"),
    ),
    Metric(
        "ds01_gpu_device_memory_used_bytes",
        "gauge",
        "Memory of a device that is in use.",
        ("uuid", "index"),
    ),
    Metric(
        "ds01_gpu_device_utilization_ratio",
        "gauge",
        "Part of the time in which a device computed; not known for MIG instances.",
        ("uuid", "index"),
    ),
    Metric(
        "ds01_gpu_device_temperature_celsius",
        "gauge",
        "Temperature of a GPU.",
        ("uuid", "index"),
    ),
    Metric(
        "ds01_user_gpus",
        "gauge",
        "GPUs of a user by the grant's state; a MIG instance is its share of a GPU.",
        ("user", "group", "state"),
    ),
    Metric(
        "ds01_user_containers",
        "gauge",
        "Containers of a user by state.",
        ("user", "group", "state"),
    ),
    Metric(
        "ds01_container_idle_seconds",
        "gauge",
        "For how long a running container has been idle.",
        ("container", "user"),
    ),
    Metric("ds01_gpu_queue_requests", "gauge", "Requests that wait for GPUs."),
    Metric(
        "ds01_gpu_queue_oldest_seconds",
        "gauge",
        "How long the oldest request in the queue has waited; 0 if none waits.",
    ),
    Metric(
        "ds01_gpu_wait_seconds",
        "summary",
        "How long requests waited in the queue that were granted.",
    ),
    Metric(
        "ds01_gpu_waits_abandoned_total",
        "counter",
        "Requests that left the queue without GPUs.",
        ("reason",),
    ),
    Metric("ds01_gpu_grants_total", "counter", "GPU requests that were granted."),
    Metric(
        "ds01_gpu_refusals_total",
        "counter",
        "GPU requests that were refused, by the rule of the policy.",
        ("rule",),
    ),
    Metric(
        "ds01_requests_denied_total",
        "counter",
        "Requests to the engine that the gateway refused.",
        ("code",),
    ),
    Metric(
        "ds01_image_builds_total",
        "counter",
        "Builds of images by result: ok or failed.",
        ("result",),
    ),
    Metric(
        "ds01_lifecycle_actions_total",
        "counter",
        "What lifecycle passes did to containers.",
        ("action",),
    ),
    Metric(
        "ds01_leftovers_removed_total",
        "counter",
        "Images, files, locks and records that were left over and are removed.",
        ("kind",),
    ),
    Metric(
        "ds01_disk_size_bytes",
        "gauge",
        "Size of the file system of a place: engine, state or log.",
        ("place",),
    ),
    Metric(
        "ds01_disk_free_bytes",
        "gauge",
        "What is free on the file system of a place.",
        ("place",),
    ),
)

BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
_SUMMARY = ("_sum", "_count")


def family(series: str) -> Metric:
    """Return the metric of a series, `_sum` and `_count` of a summary too."""
    metric = BY_NAME.get(series)
    if metric is None:
        for ending in _SUMMARY:
            metric = metric or BY_NAME.get(series.removesuffix(ending))
    if metric is None:
        raise KeyError(series)
    return metric


@dataclass
class Samples:
    """Values of series, in the order in which they were given."""

    found: dict[str, dict[tuple[str, ...], tuple[str, float]]] = field(
        default_factory=dict
    )

    def put(self, series: str, value: float, *labels: str) -> None:
        """Set a series; the labels in the table's order."""
        metric = family(series)
        if len(labels) != len(metric.labels):
            raise ValueError(f"{series} has the labels {metric.labels}")
        key = (series, *labels)
        self.found.setdefault(metric.name, {})[key] = (series, value)

    def add(self, series: str, value: float, *labels: str) -> None:
        """Add to a series."""
        key = (series, *labels)
        known = self.found.get(family(series).name, {}).get(key)
        self.put(series, value + (known[1] if known else 0), *labels)

    def text(self) -> str:
        """Return all series in the text format, in the table's order."""
        lines: list[str] = []
        for metric in METRICS:
            series = self.found.get(metric.name)
            if not series:
                continue
            lines.append(f"# HELP {metric.name} {_escape(metric.help)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            for (name, *values), (_, value) in series.items():
                lines.append(f"{name}{_labels(metric.labels, values)} {_number(value)}")
        return "\n".join(lines) + "\n"


def _labels(names: Iterable[str], values: Iterable[str]) -> str:
    pairs = [
        f'{name}="{_escape(value, quotes=True)}"'
        for name, value in zip(names, values, strict=True)
    ]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escape(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    # Names come from accounts and drivers: what is no UTF-8 would spoil the file.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace('"', r"\"") if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))
