"""What state each device is in: a pure function of document, engine and inventory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ds01.gpus.devices.types import MIG_SLICES, Device, Inventory, State
from ds01.gpus.ledger.document import Dirty, Document, Grant
from ds01.gpus.ledger.engine_view import View, resolve


@dataclass(frozen=True)
class DeviceState:
    """A device at one moment: its state, whose it is, and why it is so."""

    device: Device
    state: State
    grant: Grant | None = None
    why: str = ""


def device_states(
    document: Document, view: View, inventory: Inventory
) -> tuple[DeviceState, ...]:
    """Return the state of every device, in the inventory's order; lost ones last.

    A GPU that is divided into instances is not listed, the instances are.
    """
    owners = {uuid: grant for grant in document.grants for uuid in grant.uuids}
    dirty = {item.uuid: item for item in document.dirty}
    foreign: dict[str, str] = {}
    for container in view.containers:
        if not container.managed and container.active and container.holds:
            for uuid in resolve(container.holds, inventory):
                foreign.setdefault(uuid, container.name)
    divided = {d.parent for d in inventory.devices if d.is_mig}
    states: list[DeviceState] = []
    for device in inventory.devices:
        if device.mig_mode and device.uuid in divided:
            continue
        grant = None if device.mig_mode else owners.get(device.uuid)
        if grant is not None:
            states.append(_granted_state(device, grant, foreign.get(device.uuid)))
        elif device.mig_mode:
            states.append(DeviceState(device, "mig-empty", why="no MIG instances"))
        else:
            above = owners.get(device.parent)
            states.append(
                _idle_state(
                    device, dirty.get(device.uuid), foreign.get(device.uuid), above
                )
            )
    return (*states, *_missing(document, inventory))


def _granted_state(device: Device, grant: Grant, foreign: str | None) -> DeviceState:
    if device.sick:
        return DeviceState(device, "sick", grant, device.sick)
    why = f"container '{foreign}', not made by DS01, has it too" if foreign else ""
    if not why:
        others = _others(device, grant)
        if others:
            why = f"process {others[0]} is not of its container"
    return DeviceState(device, grant.state, grant, why)


def _others(device: Device, grant: Grant) -> list[int]:
    """Return the processes on a device that are not of its container."""
    return [
        process.pid
        for process in device.processes or ()
        if process.container is None or process.container != grant.container_id
    ]


def _idle_state(
    device: Device, dirty: Dirty | None, foreign: str | None, above: Grant | None
) -> DeviceState:
    if device.sick:
        return DeviceState(device, "sick", why=device.sick)
    if above is not None:
        why = f"its GPU was given whole to container '{above.container}'"
        return DeviceState(device, "foreign", why=why)
    pids = [str(process.pid) for process in device.processes or ()]
    if dirty is not None:
        what = f"process {', '.join(pids)}" if pids else "something"
        why = f"{what} of container '{dirty.container}' still sits on it"
        return DeviceState(device, "dirty", why=why)
    if foreign is not None:
        why = f"container '{foreign}', not made by DS01, has it"
        return DeviceState(device, "foreign", why=why)
    if device.processes is None:
        return DeviceState(device, "unknown", why="NVML does not tell its processes")
    if pids:
        why = f"process {', '.join(pids)} of no container of DS01 uses it"
        return DeviceState(device, "foreign", why=why)
    return DeviceState(device, "free")


def _missing(document: Document, inventory: Inventory) -> Iterable[DeviceState]:
    """Return the granted devices that NVML does not show."""
    found = {device.uuid for device in inventory.devices if not device.mig_mode}
    for grant in document.grants:
        for item in grant.devices:
            if item.uuid not in found:
                device = Device(
                    uuid=item.uuid,
                    parent=item.parent,
                    profile=item.profile,
                    memory=0,
                    slices=round(item.share * MIG_SLICES),
                    total_slices=MIG_SLICES,
                    start=item.start,
                    size=item.size,
                )
                if inventory.error is not None:
                    yield DeviceState(device, "unknown", grant, inventory.error)
                else:
                    yield DeviceState(device, "lost", grant, "the device is gone")
