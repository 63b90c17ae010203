"""How much MIG devices are used, as NVIDIA's DCGM tells: NVML has no figure for those.

Only where `dcgmi` is installed and its host engine answers. DCGM has numbers of its own
for GPU instances; `dcgmi discovery` tells which is which.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from ds01.gpus.devices.types import Device

# Together; what comes later comes too late.
_SECONDS = 3.0
# GR_ENGINE_ACTIVE: the share of time in which anything was running.
_FIELD = "1001"
_GPU = re.compile(r"GPU\s+(\d+)\s*\|\s*GPU\s+(GPU-[0-9a-f-]{36})")
_INSTANCE = re.compile(r"->\s*I\s+(\d+)/(\d+)\s*\|.*\(EntityID:\s*(\d+)\)")
_ROW = re.compile(r"\s*GPU-I\s+(\d+)\s+(\d+(?:\.\d+)?)\s*$")


def read_use(devices: Iterable[Device]) -> dict[str, float]:
    """Return the percent of time in which MIG devices were used, by UUID.

    Those with processes only; empty where DCGM does not tell.
    """
    asked = [d for d in devices if d.is_mig and d.processes and d.instance is not None]
    if not asked or not _has_dcgmi():
        return {}
    entities = parse_hierarchy(_run("discovery", "-c"))
    found = {
        d.uuid: entities[d.parent, d.instance]
        for d in asked
        if d.instance is not None and (d.parent, d.instance) in entities
    }
    if not found:
        return {}
    listed = ",".join(f"instance:{number}" for number in sorted(set(found.values())))
    shares = parse_rows(
        _run("dmon", "-e", _FIELD, "-i", listed, "-c", "3", "-d", "100")
    )
    return {
        uuid: shares[entity] * 100 for uuid, entity in found.items() if entity in shares
    }


def parse_hierarchy(text: str) -> dict[tuple[str, int], int]:
    """Return DCGM's numbers of GPU instances, by their GPU's UUID and NVML's number."""
    gpus: dict[str, str] = {}
    found: dict[tuple[str, int], int] = {}
    for line in text.splitlines():
        if gpu := _GPU.search(line):
            gpus[gpu[1]] = gpu[2]
        elif (instance := _INSTANCE.search(line)) and instance[1] in gpus:
            found[gpus[instance[1]], int(instance[2])] = int(instance[3])
    return found


def parse_rows(text: str) -> Mapping[int, float]:
    """Return the highest share of each GPU instance in the lines of `dcgmi dmon`."""
    found: dict[int, float] = {}
    for line in text.splitlines():
        if row := _ROW.match(line):
            entity, share = int(row[1]), min(1.0, float(row[2]))
            found[entity] = max(found.get(entity, 0.0), share)
    return found


def _has_dcgmi() -> bool:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return any(os.access(os.path.join(f, "dcgmi"), os.X_OK) for f in folders if f)  # noqa: PTH118


def _run(*words: str) -> str:
    import subprocess  # noqa: PLC0415 - hardly any host needs it

    try:
        done = subprocess.run(
            ["dcgmi", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
