"""The GPU devices as lines of a table, and what the table has no room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ds01.core.text import age
from ds01.gpus.allocator.queue_words import name_of
from ds01.gpus.allocator.report import Status
from ds01.gpus.devices.types import Device
from ds01.gpus.ledger.device_states import DeviceState
from ds01.records.outlooks import Outlook

PROGRAM = "gpu_status"
HEADER = (
    *("DEVICE", "KIND", "STATE", "USER", "CONTAINER", "PROCESSES"),
    *("MEMORY", "USE", "SINCE", "IDLE", "UNTIL"),
)


def gigabytes(size: int | None) -> str:
    """Return bytes as NVIDIA names memory, in GB; empty where not known."""
    return "" if size is None else f"{size / 10**9:.1f}"


def memory(device: Device) -> str:
    """Return used and whole memory of a device, as `3.2/39.6G`."""
    if not device.memory:
        return ""
    used = gigabytes(device.memory_used) or "?"
    return f"{used}/{gigabytes(device.memory)}G"


def processes(device: Device) -> str:
    """Return what runs on a device: names, and how many more."""
    if device.processes is None:
        return "?"
    if not device.processes:
        return ""
    names = [process.name or str(process.pid) for process in device.processes]
    more = f" +{len(names) - 2}" if len(names) > 2 else ""
    return ",".join(names[:2]) + more


def row(
    state: DeviceState, now: datetime, outlooks: Mapping[str, Outlook] | None = None
) -> list[str]:
    """Return one line of the table.

    IDLE is since when the container of a held device is stopped, or how long one that
    runs has been idle; UNTIL is when the device comes back, if nothing changes.
    """
    device, grant = state.device, state.grant
    cells = [device.index or device.uuid, device.profile, state.state]
    if grant is None:
        cells += ["", "" if state.state != "foreign" else state.why]
    else:
        cells += [grant.user, name_of(grant.container)]
    use = "" if device.utilisation is None else f"{device.utilisation}%"
    cells += [processes(device), memory(device), use]
    if grant is None:
        return [*cells, "", "", ""]

    def ago(moment: datetime | None) -> str:
        return "" if moment is None else age((now - moment).total_seconds())

    idle, ends = ago(grant.stopped), [grant.until, grant.ends]
    known = (outlooks or {}).get(grant.container)
    if known is not None and known.state == "running" and grant.stopped is None:
        idle = age(known.idle_seconds or 0)
        ends.append(known.at if known.action == "stop" else None)
    end = min((moment for moment in ends if moment is not None), default=None)
    until = "" if end is None else f"in {age((end - now).total_seconds())}"
    return [*cells, ago(grant.since), idle, until]


def notes(found: Status, states: Sequence[DeviceState]) -> list[str]:
    """Return what the table has no room for: why a device cannot be had."""
    told = [
        f"{state.device.index or state.device.uuid} is {state.state}: {state.why}"
        for state in states
        if state.why and state.state in ("sick", "lost", "dirty", "mig-empty")
    ]
    if found.nvml:
        told.append(f"the NVIDIA driver does not answer: {found.nvml}")
    if found.engine:
        told.append(f"the engine does not answer: {found.engine}")
    if found.queue:
        told.append(f"{len(found.queue)} waiting, see 'gpu-queue'")
    return told
