"""The metrics that DS01 gives Prometheus, and their text format.

docs/monitoring.md, the dashboard and the alert rules may name these and no others
(tests compare them).

Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Metric:
    """A family of series; `labels` are the names of its labels in their order."""

    name: str
    kind: str  # gauge, counter, summary
    help: str
    labels: tuple[str, ...] = ()


# Kind, name and labels of each, and below them its help.
_TABLE = """
gauge ds01_info version
    Always 1, with DS01's version.
gauge ds01_lifecycle_pass_timestamp_seconds
    When the last lifecycle pass ended.
gauge ds01_lifecycle_pass_duration_seconds
    How long the last lifecycle pass took.
gauge ds01_lifecycle_pass_skipped
    1 if the last pass did nothing, because something was not known.
gauge ds01_lifecycle_pass_skipped_info reason
    1 with the reason, where the last pass did nothing.
gauge ds01_engine_up
    1 if the Docker engine answered the last pass.
gauge ds01_nvml_up
    1 if the NVIDIA driver answered the last pass.
gauge ds01_gpu_devices profile state
    GPUs and MIG instances by kind and state.
gauge ds01_gpu_device_state uuid index name profile state
    1 for the state that a device is in.
gauge ds01_gpu_device_memory_bytes uuid index
    Memory of a device.
gauge ds01_gpu_device_memory_used_bytes uuid index
    Memory of a device that is in use.
gauge ds01_gpu_device_utilization_ratio uuid index
    Part of the time in which a device computed; not known for MIG instances.
gauge ds01_gpu_device_temperature_celsius uuid index
    Temperature of a GPU.
gauge ds01_user_gpus user group state
    GPUs of a user by the grant's state; a MIG instance is its share of a GPU.
gauge ds01_user_containers user group state
    Containers of a user by state.
gauge ds01_container_idle_seconds container user
    For how long a running container has been idle.
gauge ds01_gpu_queue_requests
    Requests that wait for GPUs.
gauge ds01_gpu_queue_oldest_seconds
    How long the oldest request in the queue has waited; 0 if none waits.
summary ds01_gpu_wait_seconds
    How long requests waited in the queue that were granted.
counter ds01_gpu_waits_abandoned_total reason
    Requests that left the queue without GPUs.
counter ds01_gpu_grants_total
    GPU requests that were granted.
counter ds01_gpu_refusals_total rule
    GPU requests that were refused, by the rule of the policy.
counter ds01_requests_denied_total code
    Requests to the engine that the gateway refused.
counter ds01_image_builds_total result
    Builds of images by result: ok or failed.
counter ds01_lifecycle_actions_total action
    What lifecycle passes did to containers.
counter ds01_leftovers_removed_total kind
    Images, files, locks and records that were left over and are removed.
gauge ds01_disk_size_bytes place
    Size of the file system of a place: engine, state or log.
gauge ds01_disk_free_bytes place
    What is free on the file system of a place.
"""


def _metrics() -> Iterator[Metric]:
    lines = iter(_TABLE.split("\n")[1:-1])
    for head, text in zip(lines, lines, strict=True):
        kind, name, *labels = head.split()
        yield Metric(name, kind, text.strip(), tuple(labels))


METRICS = tuple(_metrics())
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
