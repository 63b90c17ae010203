"""The engine's containers, as people see them and menus offer them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ds01.core import table
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.labels import MLC
from ds01.core.paths import find_paths
from ds01.core.program import print_json, say
from ds01.core.text import SEPARATOR, age, nearest, size_text
from ds01.core.units import counted, utc_stamp

if TYPE_CHECKING:
    from ds01.records.outlooks import Outlook
LIMITS = ("cpus", "memory", "memory-swap", "shm", "pids")
# What a container's state must be for a menu that offers some of them.
STATES = {"running": {"running"}, "stopped": {"created", "exited"}}


class Container(NamedTuple):
    """One mlc container, read from the engine's answer and its labels.

    Times are seconds since the epoch, sizes bytes, None where not known.
    """

    name: str
    container: str
    id: str
    user: str
    uid: int | None
    state: str
    status: str
    framework: str
    architecture: str
    image: str
    created: float
    gpus: str
    devices: list[str]
    workspace: str
    data: str
    models: str
    limits: dict[str, str]
    managed: bool
    size: int | None = None


def owner_uid(engine_name: str, labels: Mapping[str, str]) -> int | None:
    """Return the owner's UID, from DS01's label or else from mlc's name NAME._.UID."""
    text = labels.get("ds01.uid") or engine_name.rpartition(SEPARATOR)[2]
    return int(text) if text.isascii() and text.isdigit() else None


def devices(labels: Mapping[str, str]) -> list[str]:
    """Return the UUIDs of the GPU devices that a container was made with."""
    text = labels.get("ds01.gpus", "none")
    return [] if text == "none" else text.split(";")


def kinds(labels: Mapping[str, str]) -> str:
    """Return a container's GPUs as kinds, such as `2 x full`; for one that was not made
    through the gateway what mlc asked for."""
    if "ds01.gpus" not in labels:
        return labels.get(f"{MLC}.GPUS", "")
    found = labels.get("ds01.gpu.profiles", "").split(";")
    counted = {kind: found.count(kind) for kind in found if kind}
    return (
        ", ".join(
            kind if number == 1 else f"{number} x {kind}"
            for kind, number in counted.items()
        )
        or "none"
    )


def from_summary(entry: Mapping[str, Any]) -> Container:
    """Return the container in one entry of the engine's container list."""
    labels: Mapping[str, str] = entry.get("Labels") or {}
    engine_name = str((entry.get("Names") or ["/?"])[0]).removeprefix("/")
    return Container(
        # Not the label of mlc's: anybody may write anything into that.
        name=engine_name.rpartition(SEPARATOR)[0],
        container=engine_name,
        id=str(entry.get("Id", "")),
        # An image may carry labels of mlc's; DS01's own are written by DS01 alone.
        user=labels.get("ds01.user")
        or labels.get(f"{MLC}.USER")
        or labels.get(MLC, ""),
        uid=owner_uid(engine_name, labels),
        state=str(entry.get("State", "")),
        status=str(entry.get("Status", "")),
        framework=labels.get(f"{MLC}.FRAMEWORK", ""),
        architecture=labels.get(f"{MLC}.ARCH", ""),
        image=str(entry.get("Image", "")),
        created=float(entry.get("Created", 0)),
        gpus=kinds(labels),
        devices=devices(labels),
        workspace=labels.get(f"{MLC}.WORK_MOUNT", ""),
        data=labels.get(f"{MLC}.DATA_MOUNT", ""),
        models=labels.get(f"{MLC}.MODELS_MOUNT", ""),
        limits={
            key: labels[f"ds01.limit.{key}"]
            for key in LIMITS
            if f"ds01.limit.{key}" in labels
        },
        managed="ds01.uid" in labels,
        # The engine leaves out a size of 0; SizeRootFs is there if sizes were asked.
        size=entry.get("SizeRw", 0 if "SizeRootFs" in entry else None),
    )


def as_json(item: Container) -> dict[str, Any]:
    """Return a container as programs read it, its time as ISO 8601."""
    made = datetime.fromtimestamp(item.created, timezone.utc)
    return {**item._asdict(), "created": utc_stamp(made)}


def select(entries: Iterable[Mapping[str, Any]], uid: int | None) -> list[Container]:
    """Return the containers of one user, or of all where uid is None, by name."""
    found = [from_summary(entry) for entry in entries]
    return sorted(
        (item for item in found if uid is None or item.uid == uid),
        key=lambda item: (item.name, item.container),
    )


def foreseen(item: Container, outlooks: Mapping[str, Outlook]) -> Outlook | None:
    """Return a container's outlook; None where it was stopped or started since the last
    lifecycle pass."""
    known = outlooks.get(item.container)
    return known if known is not None and known.state == item.state else None


def coming(
    item: Container,
    outlooks: Mapping[str, Outlook],
    now: datetime,
    *,
    brief: bool = False,
) -> tuple[str, str]:
    """Return for how long a container has been idle, and what comes next, in words."""
    from ds01.core.text import span  # noqa: PLC0415 - see _present

    known = foreseen(item, outlooks)
    if known is None:
        return "", ""
    seconds = known.idle_seconds
    idle = "" if seconds is None else span(seconds, 1 if brief else 2)
    return idle, known.words(now, brief=brief)


def choice(
    item: Container, outlooks: Mapping[str, Outlook], now: datetime
) -> dict[str, str]:
    """Return the row of a menu: short, since it stands beside the name on a screen."""
    idle, after = coming(item, outlooks, now, brief=True)
    gpus = "" if item.gpus in {"", "none"} else f"GPU {item.gpus}"
    facts = (item.framework, item.state, gpus, idle and f"idle {idle}", after)
    text = table.plain(", ".join(filter(None, facts)))
    return {"name": item.name, "state": item.state, "text": text}


def list_rows(
    containers: Sequence[Container],
    now: datetime,
    columns: Sequence[str],
    outlooks: Mapping[str, Outlook],
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the list, with the extra columns that were asked."""
    makers: dict[str, tuple[str, Callable[[Container], str]]] = {
        "user": ("USER", lambda c: c.user),
        "arch": ("ARCH", lambda c: c.architecture),
        "workspace": ("WORKSPACE", lambda c: c.workspace),
        "data": ("DATA", lambda c: c.data),
        "models": ("MODELS", lambda c: c.models),
        "size": ("SIZE", lambda c: size_text(c.size)),
    }
    header = ["CONTAINER", "FRAMEWORK", "STATE", "AGE", "CPUS", "MEMORY", "GPUS"]
    header += ["IDLE", "NEXT"]
    header += [makers[column][0] for column in columns]
    rows = []
    for item in containers:
        row = [
            item.name or item.container,
            item.framework,
            item.state,
            age(now.timestamp() - item.created),
            item.limits.get("cpus", ""),
            item.limits.get("memory", ""),
            item.gpus,
            *coming(item, outlooks, now),
        ]
        rows.append(row + [makers[column][1](item) for column in columns])
    return header, rows


def find_own(engine: Engine, name: str, uid: int) -> Container:
    """Return the user's container of that name.

    Raises HelperError(NOT_FOUND), naming the nearest of the user's containers.
    """
    own = select(engine.containers([MLC]), uid)
    for item in own:
        if item.name == name:
            return item
    close = nearest(name, [item.name for item in own])
    raise HelperError(
        Exit.NOT_FOUND,
        f"container '{name}' not found",
        f"did you mean '{close}'?"
        if close
        else "run 'container-list' to see your containers",
    )


def applied_limits(details: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the limits that the engine holds a container to: CPUs, bytes, tasks.

    None means unlimited, as 0 or -1 does for the engine.
    """
    host: Mapping[str, Any] = details.get("HostConfig") or {}

    def bound(value: object) -> float | None:
        if isinstance(value, int | float) and value > 0:
            return float(value)
        return None

    nano = bound(host.get("NanoCpus"))
    quota = bound(host.get("CpuQuota"))
    period = bound(host.get("CpuPeriod")) or 100_000.0
    cpus = nano / 1e9 if nano else quota / period if quota else None
    return {
        "cpus": cpus,
        "memory": bound(host.get("Memory")),
        "memory_swap": bound(host.get("MemorySwap")),
        "shm_size": bound(host.get("ShmSize")),
        "pids": bound(host.get("PidsLimit")),
    }


def _present(now: datetime) -> tuple[dict[str, Outlook], str | None]:
    """Return what the lifecycle foresees, and what is wrong with that."""
    # Here, because what is asked most often, one container, does without.
    from ds01.records.outlooks import present  # noqa: PLC0415

    return present(find_paths(), now)


def do_list(words: argparse.Namespace, engine: Engine) -> int:
    """Print the containers of the caller, or of everybody."""
    entries = engine.containers([MLC], size=words.json or "size" in words.column)
    found = select(entries, None if words.all_users else os.getuid())
    now = datetime.now(timezone.utc)
    outlooks, trouble = _present(now)
    if words.json:
        shown = [as_json(item) | _outlook_json(item, outlooks, now) for item in found]
        print_json({"containers": shown})
        return Exit.OK
    if not found:
        whose = "no containers" if words.all_users else "you have no containers"
        say("info", whose, "containers")
        return Exit.OK
    columns = [
        c
        for c in ("user", "arch", "workspace", "data", "models", "size")
        if c in words.column
    ]
    sys.stdout.write(table.render(*list_rows(found, now, columns, outlooks)))
    if trouble is not None:
        say("warning", trouble, "containers")
    return Exit.OK


def choices(engine: Engine, fits: Callable[[Container], bool]) -> list[dict[str, str]]:
    """Return the rows of a menu: the caller's containers that fit.

    Sizes, which take long, are not asked. One that is not called as mlc calls its own
    has no name to choose it by.
    """
    now = datetime.now(timezone.utc)
    outlooks, _ = _present(now)
    found = select(engine.containers([MLC]), os.getuid())
    return [choice(item, outlooks, now) for item in found if item.name and fits(item)]


def do_choices(words: argparse.Namespace, engine: Engine) -> int:
    """Print the caller's containers for a menu, or those that are in some state."""

    def fits(item: Container) -> bool:
        return words.only is None or item.state in STATES[words.only]

    print_json({"containers": choices(engine, fits)})
    return Exit.OK


def _outlook_json(
    item: Container, outlooks: Mapping[str, Outlook], now: datetime
) -> dict[str, Any]:
    """Return for programs how idle a container is, and what comes next and when."""
    known = foreseen(item, outlooks)
    if known is None:
        return {"idle_seconds": None, "next": "", "next_action": None, "next_at": None}
    return {
        "idle_seconds": known.idle_seconds,
        "next": known.words(now),
        "next_action": known.action,
        "next_at": known.at and utc_stamp(known.at),
    }


def is_idle(details: Mapping[str, Any], processes: int) -> bool:
    """Is only what the engine started left in a container: its shell, and its init?"""
    has_init = bool((details.get("HostConfig") or {}).get("Init"))
    return processes <= (2 if has_init else 1)


def is_removable(details: Mapping[str, Any]) -> bool:
    """Is this, after a create that died, certainly without anything of a person's?

    The caller has proven that a create of this name died. A container that never ran
    holds nothing; neither does one without mlc's label, which is mlc's temporary one.
    """
    labels = (details.get("Config") or {}).get("Labels") or {}
    return MLC not in labels or not ever_started(details)


def ever_started(details: Mapping[str, Any]) -> bool:
    """Did the container ever run? The engine's zero time says no."""
    started = str((details.get("State") or {}).get("StartedAt", ""))
    return not started.startswith("0001-")


def limits_line(applied: Mapping[str, float | None]) -> str:
    """Return what the engine holds a container to, for people."""

    def limit(key: str, text: Callable[[float], str]) -> str:
        value = applied[key]
        return "unlimited" if value is None else text(value)

    return (
        f"{counted(limit('cpus', lambda n: f'{n:g}'), 'CPU')}, "
        f"memory {limit('memory', size_text)}, "
        f"shared memory {limit('shm_size', size_text)}, "
        f"{limit('pids', lambda n: f'{n:.0f}')} processes"
    )


def summary_lines(shown: Mapping[str, Any], image: str | None) -> list[str]:
    """Return what a person wants to read about a container that was just made.

    `image` is the one that was asked for; the engine only knows mlc's prepared one.
    """
    lines = [f"container  {shown['name']} ({shown['framework']}, {shown['state']})"]
    lines.append(f"image      {image or shown['image']}")
    for key, inside in (("workspace", "/workspace"), ("data", "/data")):
        if shown[key] not in ("", "-"):
            lines.append(f"{key:<10} {shown[key]} is {inside} inside")
    if shown["models"] not in ("", "-"):
        lines.append(f"models     {shown['models']} is /models inside")
    lines.append(f"limits     {limits_line(shown['applied'])}")
    lines.append(f"gpus       {shown['gpus'] or 'none'}")
    lines.append(f"next       container-open {shown['name']}")
    return lines


def named(engine: Engine, container: str) -> Container:
    """Return the mlc container of that engine name, as the engine lists it.

    Raises HelperError(NOT_FOUND).
    """
    # The engine's filter is a pattern that may lie anywhere in the name.
    query = {"all": "1", "filters": json.dumps({"label": [MLC], "name": [container]})}
    for entry in engine.listing("/containers/json", query):
        if f"/{container}" in (entry.get("Names") or ()):
            return from_summary(entry)
    raise HelperError(
        Exit.NOT_FOUND,
        f"container '{container}' not found",
        "run 'container-list' to see your containers",
    )


def describe(engine: Engine, item: Container) -> dict[str, Any]:
    """Return a container with the limits that the engine applies, as programs read it.

    Raises HelperError(NOT_FOUND) where it has gone meanwhile.
    """
    details = engine.container(item.id)
    if details is None:
        raise HelperError(Exit.NOT_FOUND, f"container '{item.name}' not found")
    state = details.get("State") or {}
    return {
        **as_json(item),
        "running": bool(state.get("Running")),
        "paused": bool(state.get("Paused")),
        "ever_started": ever_started(details),
        "exit_code": state.get("ExitCode"),
        "error": state.get("Error") or "",
        "network": (details.get("HostConfig") or {}).get("NetworkMode", ""),
        "applied": applied_limits(details),
    }


def do_show(words: argparse.Namespace, engine: Engine) -> int:
    """Print one of the caller's containers, with the limits that the engine applies."""
    print_json(describe(engine, find_own(engine, words.name, os.getuid())))
    return Exit.OK
