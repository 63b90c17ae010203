#!/usr/bin/env python3
"""Topologies for the simulated NVIDIA driver of tests/fake-nvml.

In a test:

    gpus = topology([a100_40(), a100_40(mig=["3g.20gb", "1g.5gb@6"]), a100_80()])
    gpus["gpus"][0]["processes"] = [process(4711, 1200)]
    write(path, gpus)          # all at once; the driver reads it at its next call

By hand and in bats tests: `fake_gpus.py [--output FILE] MODEL[:PROFILE,...]...`, as in
`a100-40 a100-40:3g.20gb,1g.5gb a100-80:`; prints the file, or writes it in one step.
What the keys mean is in tests/fake-nvml/README.md.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

# UUIDs are the same in every run: they come from the place in the topology.
NAMESPACE = uuid.UUID("6f1c54b2-3b0e-4c11-8a5c-0d5017e57000")


@dataclass(frozen=True)
class Profile:
    """A kind of GPU instance: `starts` and `size` count memory slices, of eight."""

    name: str
    id: int
    nvml_profile: int
    slices: int
    size: int
    starts: tuple[int, ...]
    instances: int
    memory_mib: int
    copy_engines: int
    decoders: int
    jpeg: int = 0
    ofa: int = 0

    def to_json(self) -> Json:
        multiprocessors = 14 * self.slices
        return {**asdict(self), "multiprocessors": multiprocessors}


@dataclass(frozen=True)
class Model:
    """A kind of GPU, with the profiles that NVIDIA documents for it."""

    name: str
    memory_mib: int
    pci_device_id: int
    profiles: tuple[Profile, ...]


def _a100_profiles(
    small: int, large: int, memory: Sequence[int]
) -> tuple[Profile, ...]:
    """Return the A100's profiles; small and large are the gigabytes of 1g and 7g."""
    one, two, four, eight = memory
    every = tuple(range(7))
    return (
        Profile(f"1g.{small}gb", 19, 0, 1, 1, every, 7, one, 1, 0),
        Profile(f"1g.{small}gb+me", 20, 7, 1, 1, every, 1, one, 1, 1, 1, 1),
        Profile(f"1g.{small * 2}gb", 15, 9, 1, 2, (0, 2, 4, 6), 4, two, 1, 1),
        Profile(f"2g.{small * 2}gb", 14, 1, 2, 2, (0, 2, 4), 3, two, 2, 1),
        Profile(f"3g.{small * 4}gb", 9, 2, 3, 4, (0, 4), 2, four, 3, 2),
        Profile(f"4g.{small * 4}gb", 5, 3, 4, 4, (0,), 1, four, 4, 2),
        Profile(f"7g.{large}gb", 0, 4, 7, 8, (0,), 1, eight, 7, 5, 1, 1),
    )


A100_40 = Model(
    "NVIDIA A100-SXM4-40GB",
    40960,
    0x20B010DE,
    _a100_profiles(5, 40, (4864, 9856, 19968, 40192)),
)
A100_80 = Model(
    "NVIDIA A100-SXM4-80GB",
    81920,
    0x20B210DE,
    _a100_profiles(10, 80, (9728, 19968, 40192, 80896)),
)
MODELS = {"a100-40": A100_40, "a100-80": A100_80}


def process(
    pid: int, memory_mib: int | None = 1000, load: int | None = None, **values: Any
) -> Json:
    """Return a process of the machine; load is its share of the GPU in percent.

    kind="graphics" or "mps" says what else than compute it does; while_alive=True lists
    it only as long as the kernel knows the PID.
    """
    made: Json = {"pid": pid, "memory_mib": memory_mib, **values}
    if load is not None:
        made["utilisation"] = {"gpu": load, "memory": load // 2}
    return made


def gpu(model: Model, mig: Sequence[str] | None = None, **values: Any) -> Json:
    """Return a healthy idle GPU; values replace or add keys of the topology file.

    mig=None is a GPU with MIG mode off, mig=[] one in MIG mode without instances. A
    profile goes to the lowest place where all fit, or where `1g.5gb@6` says; "" leaves
    a hole in the index of the MIG devices.
    """
    made: Json = {
        "name": model.name,
        "memory_mib": model.memory_mib,
        "pci_device_id": model.pci_device_id,
        "bar1_mib": model.memory_mib * 8 // 5,
        "processes": [],
        "utilisation": {"gpu": 0, "memory": 0, "encoder": 0, "decoder": 0},
        "temperature": 33,
        "temperature_limits": {"shutdown": 92, "slowdown": 89, "gpu": 85},
        "memory_temperature": 35,
        "fan": None,
        "power": {"usage_mw": 55000, "limit_mw": 400000, "energy_mj": 1000000},
        "clocks": {"graphics": 210, "sm": 210, "memory": 1215, "video": 585},
        "max_clocks": {"graphics": 1410, "sm": 1410, "memory": 1215, "video": 1290},
        "throttle_reasons": 1,
        "pcie": {"generation": 4, "width": 16, "sent_kib": 0, "received_kib": 0},
        "persistence_mode": True,
        "compute_mode": 0,
        "performance_state": 0,
        "display": False,
        "architecture": 7,
        "compute_capability": {"major": 8, "minor": 0},
        "ecc": {
            "current": True,
            "pending": True,
            "corrected": {"volatile": 0, "aggregate": 0},
            "uncorrected": {"volatile": 0, "aggregate": 0},
        },
        # The A100 remaps rows; older cards retire pages.
        "retired_pages": None,
        "remapped_rows": {
            "correctable": 0,
            "uncorrectable": 0,
            "pending": False,
            "failure": False,
        },
        "nvlinks": 12,
        "mig": {
            "current": mig is not None,
            "pending": mig is not None,
            "max": 7,
            "profiles": [profile.to_json() for profile in model.profiles],
            "instances": instances(model, mig or []),
        },
    }
    return {**made, **values}


def a100_40(mig: Sequence[str] | None = None, **values: Any) -> Json:
    """Return an A100 with 40 GB; see gpu()."""
    return gpu(A100_40, mig, **values)


def a100_80(mig: Sequence[str] | None = None, **values: Any) -> Json:
    """Return an A100 with 80 GB; see gpu()."""
    return gpu(A100_80, mig, **values)


def place(model: Model, names: Sequence[str]) -> list[tuple[Profile, int]]:
    """Return profile and start of each name, as low as all fit, or ValueError."""
    known = {profile.name: profile for profile in model.profiles}
    wanted = []
    for name in names:
        plain, _, start = name.partition("@")
        if plain not in known:
            raise ValueError(f"{model.name} has no profile {plain!r}")
        profile = known[plain]
        wanted.append((profile, (int(start),) if start else profile.starts))
    for profile in known.values():
        if sum(profile is one for one, _ in wanted) > profile.instances:
            raise ValueError(f"too many instances of {profile.name}")

    def search(rest: Sequence[tuple[Profile, tuple[int, ...]]], taken: int) -> Any:
        if not rest:
            return []
        profile, starts = rest[0]
        for start in starts:
            if start not in profile.starts:
                raise ValueError(f"{profile.name} cannot start at {start}")
            slices = ((1 << profile.size) - 1) << start
            if not slices & taken:
                found = search(rest[1:], taken | slices)
                if found is not None:
                    return [(profile, start), *found]
        return None

    placed = search(wanted, 0)
    if placed is None:
        raise ValueError(f"{', '.join(names)} do not fit on {model.name}")
    result: list[tuple[Profile, int]] = placed
    return result


def _instance_id(profile: Profile, start: int) -> int:
    """Return a GPU instance id as the driver's: small ones have the higher numbers."""
    first = {8: 0, 4: 1, 2: 3, 1: 7}[profile.size]
    return first + start // profile.size


def instances(model: Model, names: Sequence[str]) -> list[Json]:
    """Return the MIG instances of these profiles; their UUIDs come with topology()."""
    placed = iter(place(model, [name for name in names if name]))
    made = []
    for index, name in enumerate(names):
        if not name:
            continue
        profile, start = next(placed)
        made.append(
            {
                "index": index,
                "profile": profile.name,
                "start": start,
                "size": profile.size,
                "gpu_instance": _instance_id(profile, start),
                "compute_instance": 0,
                "memory_mib": profile.memory_mib,
                "bar1_mib": profile.memory_mib * 8 // 5,
                "processes": [],
            }
        )
    return made


def name_instances(gpu: Json, layout: str = "") -> None:
    """Give instances without a UUID theirs: another layout text, other UUIDs."""
    for one in (gpu.get("mig") or {}).get("instances", []):
        words = f"{gpu['uuid']} {layout} {one['profile']} {one['start']}"
        one.setdefault("uuid", f"MIG-{uuid.uuid5(NAMESPACE, words)}")


def topology(gpus: Iterable[Json] = (), **values: Any) -> Json:
    """Return a whole topology; UUIDs and PCI ids that GPUs lack come from their place.

    values: faults={"nvmlInit": "driver_not_loaded"} or other keys of the file, such as
    nvswitch=True, or links=[link(...)].
    """
    made = []
    for position, given in enumerate(gpus):
        one = copy.deepcopy(given)
        one.setdefault("uuid", f"GPU-{uuid.uuid5(NAMESPACE, f'gpu {position}')}")
        one.setdefault("pci", f"00000000:{7 + 8 * position:02X}:00.0")
        one.setdefault("minor", position)
        one.setdefault("serial", f"15650201{position:05d}")
        name_instances(one)
        made.append(one)
    driver = {"version": "550.54.15", "nvml": "12.550.54.15", "cuda": 12040}
    return {"driver": driver, "gpus": made, **values}


def link(one: Json, other: Json, nvlinks: int = 0, level: str = "system") -> Json:
    """Return how two GPUs of a topology are connected."""
    return {"gpus": [one["uuid"], other["uuid"]], "nvlinks": nvlinks, "level": level}


def remake(
    topology: Json, position: int, mig: Sequence[str] | None, layout: str
) -> None:
    """Make a GPU's MIG layout anew, as after a reboot: other UUIDs, no processes."""
    one = topology["gpus"][position]
    model = next(model for model in MODELS.values() if model.name == one["name"])
    one["mig"] = gpu(model, mig)["mig"]
    name_instances(one, layout)


def devices(topology: Json) -> Iterator[Json]:
    """Yield what a container can be given: GPUs with MIG mode off, and MIG devices."""
    for one in topology["gpus"]:
        mig = one.get("mig") or {}
        if mig.get("current"):
            yield from (each for each in mig.get("instances", []) if each.get("uuid"))
        else:
            yield one


def find(topology: Json, name: str) -> Json:
    """Return the GPU or MIG instance of this UUID, to be changed in place."""
    for one in topology["gpus"]:
        for each in [one, *(one.get("mig") or {}).get("instances", [])]:
            if each.get("uuid") == name:
                found: Json = each
                return found
    raise KeyError(name)


def write(path: Path | str, topology: Json) -> None:
    """Put the topology into a file in one step, readable for all users."""
    target = Path(path)
    number, name = tempfile.mkstemp(dir=target.parent, prefix=".topology")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        json.dump(topology, file, indent=1)
        os.fchmod(file.fileno(), 0o644)
    Path(name).replace(target)


def parse(words: str) -> Json:
    """Return the GPU that MODEL[:PROFILE,...] means; ValueError if there is none."""
    name, colon, profiles = words.partition(":")
    if name not in MODELS:
        raise ValueError(f"no model {name!r}: {', '.join(MODELS)}")
    return gpu(MODELS[name], [p for p in profiles.split(",") if p] if colon else None)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fake_gpus.py", allow_abbrev=False)
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument("gpus", nargs="*", metavar="MODEL[:PROFILE,...]")
    options = parser.parse_args(argv)
    try:
        made = topology([parse(words) for words in options.gpus])
    except ValueError as error:
        parser.error(str(error))
    if options.output:
        write(options.output, made)
    else:
        print(json.dumps(made, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
