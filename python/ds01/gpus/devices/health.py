"""What follows from NVML's answers: the devices, and which of them are sick.

Pure: works on the readings of readings.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TypeVar

from ds01.core.processes import Process
from ds01.gpus.devices.readings import (
    GPU_IS_LOST,
    NO_PERMISSION,
    RESET_REQUIRED,
    Answer,
    Fault,
    Memory,
    RawGpu,
    RawInstance,
    RawProcess,
    compute_slices,
    find_profile,
)
from ds01.gpus.devices.types import FULL, Device

_FATAL = {
    GPU_IS_LOST: "the GPU is lost: it has fallen off the bus",
    RESET_REQUIRED: "the GPU must be reset",
}
_USUAL_SLICES = 7
_UNKNOWN_PROFILE = "unknown"

T = TypeVar("T")
Describe = Callable[[RawProcess], Process | None]


def devices_of(gpu: RawGpu, describe: Describe) -> list[Device]:
    """Return a GPU and its MIG devices; nothing that was read is left out.

    A device whose UUID cannot be read is called `unreadable-<index>`, and is sick. The
    MIG devices of a sick GPU are sick too.
    """
    sick = sick_reason(gpu)
    total = _or(gpu.slices, _USUAL_SLICES) if gpu.is_divided else 1
    whole = Device(
        uuid=_or(gpu.uuid, f"unreadable-{gpu.index}"),
        parent=_or(gpu.uuid, f"unreadable-{gpu.index}"),
        profile=FULL,
        memory=_or(gpu.memory, Memory(0, 0)).total,
        slices=total,
        total_slices=total,
        index=str(gpu.index),
        name=_or(gpu.name, ""),
        pci=_or(gpu.pci, ""),
        mig_mode=gpu.is_divided,
        sick=sick,
        processes=() if gpu.is_divided else _described(gpu.processes, describe),
        utilisation=_or_none(gpu.utilisation),
        memory_used=None if isinstance(gpu.memory, Fault) else gpu.memory.used,
        temperature=_or_none(gpu.temperature),
    )
    return [whole, *(_instance(raw, whole, describe) for raw in gpu.instances)]


def _instance(raw: RawInstance, whole: Device, describe: Describe) -> Device:
    index = f"{whole.index}:{raw.index}"
    profile = profile_of(raw, whole.memory)
    start, size = (None, None) if isinstance(raw.placement, Fault) else raw.placement
    return Device(
        uuid=_or(raw.uuid, f"unreadable-{index}"),
        parent=whole.uuid,
        profile=profile or _UNKNOWN_PROFILE,
        memory=_or(raw.memory, Memory(0, 0)).total,
        slices=compute_slices(profile) if profile else 1,
        total_slices=whole.total_slices,
        start=start,
        size=size,
        index=index,
        name=_or(raw.name, whole.name),
        pci=whole.pci,
        sick=whole.sick or _sick_instance(raw, profile),
        processes=_described(raw.processes, describe),
        memory_used=None if isinstance(raw.memory, Fault) else raw.memory.used,
        # The sensor is the GPU's; utilisation NVML does not tell for instances.
        temperature=whole.temperature,
        instance=_or_none(raw.number),
    )


def sick_reason(gpu: RawGpu) -> str | None:
    """Return why a GPU must not be handed out; None if nothing speaks against it.

    What a device does not support says nothing; neither does a health call that this
    caller may not make. Any other fault does: a GPU that does not answer is not sound.
    """
    answers = {f.name: getattr(gpu, f.name) for f in fields(gpu)}
    for answer in answers.values():
        if isinstance(answer, Fault) and answer.code in _FATAL:
            return _FATAL[answer.code]
    # What must be known: whose it is, and whether it is divided.
    if gpu.fault is not None:
        return f"NVML does not reach it: {gpu.fault}"
    for what, vital in (("UUID", gpu.uuid), ("MIG devices", gpu.layout)):
        if isinstance(vital, Fault):
            return _unreadable(what, vital)
    if isinstance(gpu.mig, Fault):
        if not gpu.mig.is_absent:
            return _unreadable("MIG mode", gpu.mig)
    elif gpu.mig[0] != gpu.mig[1]:
        return "its MIG mode changes at the next reset"
    return _ill_health(gpu) or _first_fault(
        {
            "memory": gpu.memory,
            "name": gpu.name,
            "ECC errors": gpu.ecc,
            "retired pages": gpu.retired,
            "remapped rows": gpu.remap,
        }
    )


def _ill_health(gpu: RawGpu) -> str | None:
    if not isinstance(gpu.remap, Fault):
        pending, failed = gpu.remap
        if failed:
            return "memory rows could not be remapped: the GPU is worn out"
        if pending:
            return "memory rows wait to be remapped: the GPU must be reset"
    if not isinstance(gpu.retired, Fault) and gpu.retired:
        return "memory pages wait to be retired: the GPU must be reset"
    if not isinstance(gpu.ecc, Fault) and gpu.ecc > 0:
        return f"{gpu.ecc} uncorrectable memory errors (ECC) since the last reset"
    return None


def _sick_instance(raw: RawInstance, profile: str | None) -> str | None:
    if isinstance(raw.uuid, Fault):
        return _unreadable("UUID", raw.uuid)
    fault = _first_fault({"memory": raw.memory, "name": raw.name})
    if fault is None and profile is None:
        return "its MIG profile cannot be read"
    return fault


def _first_fault(answers: Mapping[str, object]) -> str | None:
    for what, answer in answers.items():
        if (
            isinstance(answer, Fault)
            and not answer.is_absent
            and answer.code != NO_PERMISSION
        ):
            return _unreadable(what, answer)
    return None


def _unreadable(what: str, fault: Fault) -> str:
    if fault.code in _FATAL:
        return _FATAL[fault.code]
    return f"its {what} cannot be read: {fault}"


def profile_of(raw: RawInstance, whole_memory: int) -> str | None:
    """Return the profile of a MIG device; None where nothing tells it.

    Its own name is the best witness, as it knows of compute instances; then the profile
    of its GPU instance; then its slices, with memory counted as NVIDIA does: in eighths
    of the GPU's.
    """
    for text in (raw.name, raw.profile):
        found = None if isinstance(text, Fault) else find_profile(text)
        if found:
            return found
    if isinstance(raw.attributes, Fault) or not raw.attributes.gpu_slices:
        return None
    has = raw.attributes
    gigabytes = math.ceil(has.memory_mb / 1024)
    if whole_memory:
        eighths = math.ceil(has.memory_mb * (8 << 20) / whole_memory)
        gigabytes = round(eighths * math.ceil(whole_memory / (1 << 30)) / 8)
    part = has.compute_slices and has.compute_slices < has.gpu_slices
    head = f"{has.compute_slices}c." if part else ""
    return f"{head}{has.gpu_slices}g.{gigabytes}gb"


def _described(
    answer: Answer[tuple[RawProcess, ...]], describe: Describe
) -> tuple[Process, ...] | None:
    if isinstance(answer, Fault):
        return None
    found = (describe(raw) for raw in answer)
    return tuple(process for process in found if process is not None)


def _or(answer: Answer[T], otherwise: T) -> T:
    return otherwise if isinstance(answer, Fault) else answer


def _or_none(answer: Answer[T]) -> T | None:
    return None if isinstance(answer, Fault) else answer
