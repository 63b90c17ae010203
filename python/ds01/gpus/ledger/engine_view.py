"""What containers the engine has, and which GPUs each holds: all of them, unfiltered.

One list call for each decision. What a container was given never changes, so it is
inspected once and then remembered by its id in the allocator's document. A holding is
a list of words: a UUID (or the beginning of one), `all`, `index:0`, `index:0:2`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ds01.core.engine import Engine
from ds01.core.labels import MANAGED
from ds01.gpus.devices.types import Device, Inventory
from ds01.gpus.ledger.document import parse_time

ALL = "all"
GPUS_LABEL = "ds01.gpus"
REQUEST_LABEL = "ds01.gpu.request"
PROFILES_LABEL = "ds01.gpu.profiles"

# A container that is not in one of these has no processes.
_ACTIVE = frozenset({"running", "paused", "restarting"})
_NO_GPU = frozenset({"", "void", "none"})
_DEVICE_NODE = re.compile(r"/dev/nvidia(\d+)")
_FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True)
class Container:
    """A container of the engine; `holds` are the words of what it was given.

    `active` if it may have processes, `fresh` if it was never started. `managed` if
    DS01 made it: then `uid` and `user` are its owner's.
    """

    id: str
    name: str
    active: bool
    created: datetime
    fresh: bool = False
    managed: bool = False
    uid: int = -1
    user: str = ""
    request: str = ""
    profiles: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """All containers at one moment.

    `stopped_at` asks the engine when a container ended; None if it is not known.
    `summaries` are the engine's own, for who looks at more of them.
    """

    containers: tuple[Container, ...] = ()
    stopped_at: Callable[[str], datetime | None] = lambda _: None
    summaries: tuple[Mapping[str, Any], ...] = ()


Cache = Mapping[str, tuple[str, ...]]


def read_view(engine: Engine, cache: Cache) -> tuple[View, dict[str, tuple[str, ...]]]:
    """Return all containers and the new cache.

    Raises HelperError(PREREQUISITE) where no engine answers.
    """
    found: list[Container] = []
    kept: dict[str, tuple[str, ...]] = {}
    summaries = engine.listing("/containers/json", {"all": "1"})
    for summary in summaries:
        name = str(summary["Id"])
        holds = cache.get(name)
        if holds is None:
            details = engine.container(name)
            if details is None:  # removed since it was listed
                continue
            holds = holdings(details)
        kept[name] = holds
        found.append(container_of(summary, holds))
    view = View(tuple(found), lambda name: _stopped_at(engine, name), tuple(summaries))
    return view, kept


def container_of(summary: Mapping[str, Any], holds: tuple[str, ...]) -> Container:
    """Return a container from the engine's summary of it."""
    labels: Mapping[str, str] = summary.get("Labels") or {}
    names = summary.get("Names") or [summary["Id"][:12]]
    # A linked container has further names, of the form /other/alias.
    own = [name for name in names if name.count("/") <= 1] or names
    state = str(summary.get("State") or "")
    managed = MANAGED in labels
    uid = labels.get("ds01.uid", "")
    profiles = labels.get(PROFILES_LABEL, "")
    return Container(
        id=str(summary["Id"]),
        name=str(own[0]).lstrip("/"),
        active=state in _ACTIVE,
        created=datetime.fromtimestamp(int(summary.get("Created") or 0), timezone.utc),
        fresh=state == "created",
        managed=managed,
        uid=int(uid) if uid.isascii() and uid.isdigit() else -1,
        user=labels.get("ds01.user", ""),
        request=labels.get(REQUEST_LABEL, ""),
        profiles=tuple(p for p in profiles.split(";") if p not in _NO_GPU),
        holds=holds,
    )


def holdings(details: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a container was given, from all places that can give it GPUs.

    These are the label, Docker's device requests, NVIDIA_VISIBLE_DEVICES where NVIDIA's
    runtime reads it, and device nodes. A privileged container could use every GPU, but
    monitors do not: what it really uses shows by its processes.
    """
    config = details.get("Config") or {}
    host = details.get("HostConfig") or {}
    labels = config.get("Labels") or {}
    words = dict.fromkeys(
        word for word in labels.get(GPUS_LABEL, "").split(";") if word not in _NO_GPU
    )
    requests = [r for r in host.get("DeviceRequests") or [] if _is_gpu(r)]
    for request in requests:
        ids = request.get("DeviceIDs") or []
        words |= dict.fromkeys(_word(str(item)) for item in ids)
        count = int(request.get("Count") or 0)
        if count < 0:
            words[ALL] = None
        # Docker's own count takes the first devices of the host.
        words |= dict.fromkeys(f"index:{number}" for number in range(count))
    if "nvidia" in str(host.get("Runtime") or ""):
        words |= dict.fromkeys(_visible(config.get("Env") or [], bool(requests)))
    for device in host.get("Devices") or []:
        match = _DEVICE_NODE.fullmatch(str(device.get("PathOnHost", "")))
        if match:
            words[f"index:{match[1]}"] = None
    return (ALL,) if ALL in words else tuple(words)


def _is_gpu(request: Mapping[str, Any]) -> bool:
    if request.get("Driver") not in {None, "", "nvidia", "cdi"}:
        return False
    wanted = request.get("Capabilities") or []
    if request.get("Driver") == "cdi":
        return any("nvidia" in str(item) for item in request.get("DeviceIDs") or [])
    return not wanted or any("gpu" in group for group in wanted)


def _visible(env: Iterable[str], has_request: bool) -> list[str]:
    """Return the words of NVIDIA_VISIBLE_DEVICES; the last one counts."""
    value = ""
    for entry in env:
        name, _, text = entry.partition("=")
        if name == "NVIDIA_VISIBLE_DEVICES":
            value = text
    # A device request is what the hook follows then.
    if value.strip() in _NO_GPU or has_request:
        return []
    return [_word(item) for item in value.split(",") if item.strip() not in _NO_GPU]


def _word(text: str) -> str:
    """Return one id as a word: `0`, `0:2`, `GPU-…`, `MIG-…`, `nvidia.com/gpu=…`."""
    item = text.strip().rpartition("=")[2]
    if item == ALL:
        return ALL
    return f"index:{item}" if item.replace(":", "").isdigit() else item


def resolve(holds: Iterable[str], inventory: Inventory) -> tuple[str, ...]:
    """Return the UUIDs of what words name; one that is not there is kept as it is.

    A GPU in MIG mode stands for its instances too; with `all` every device is meant.
    """
    found: dict[str, None] = {}
    for word in holds:
        matches = [d for d in inventory.devices if _names(word, d)]
        for device in matches:
            found[device.uuid] = None
        if not matches and not word.startswith("index:") and word != ALL:
            found[word] = None
    return tuple(found)


def _names(word: str, device: Device) -> bool:
    if word in {ALL, device.uuid, device.parent}:
        return True
    if word.startswith("index:"):
        index = word.removeprefix("index:")
        return device.index == index or device.index.startswith(f"{index}:")
    if word.startswith("MIG-GPU-"):  # the old form names its GPU: all of it
        return device.parent == word.removeprefix("MIG-").partition("/")[0]
    # NVIDIA takes the beginning of a UUID as well.
    return len(word) >= 8 and (
        device.uuid.startswith(word) or device.parent.startswith(word)
    )


def _stopped_at(engine: Engine, name: str) -> datetime | None:
    details = engine.container(name)
    if details is None:
        return None
    text = str((details.get("State") or {}).get("FinishedAt") or "")
    try:
        # Nine decimals are more than Python reads.
        moment = parse_time(_FRACTION.sub("", text))
    except ValueError:
        return None
    return moment if moment.year > 1 else None
