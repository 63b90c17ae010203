"""Show what containers there are, as the engine and DS01's labels tell it.

Reads the engine only. `list` and `stats` print one JSON object, or a table for people
with --table; `show` prints one container's JSON. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

import _table
import settings
from _common import Exit, HelperError, print_json, program_name, run
from engine import Engine

MLC = "aime.mlc"
SEPARATOR = "._."
LIMITS = ("cpus", "memory", "memory-swap", "shm", "pids")


@dataclass(frozen=True)
class Container:
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
    workspace: str
    data: str
    models: str
    limits: dict[str, str]
    managed: bool
    size: int | None = None
    ports: list[str] = field(default_factory=list)


def owner_uid(engine_name: str, labels: Mapping[str, str]) -> int | None:
    """Return the owner's UID, from DS01's label or else from mlc's name NAME._.UID."""
    text = labels.get("ds01.uid") or engine_name.rpartition(SEPARATOR)[2]
    return int(text) if text.isascii() and text.isdigit() else None


def from_summary(entry: Mapping[str, Any]) -> Container:
    """Return the container in one entry of the engine's container list."""
    labels: Mapping[str, str] = entry.get("Labels") or {}
    engine_name = str((entry.get("Names") or ["/?"])[0]).removeprefix("/")
    return Container(
        name=labels.get(f"{MLC}.NAME") or engine_name.rpartition(SEPARATOR)[0],
        container=engine_name,
        id=str(entry.get("Id", "")),
        user=labels.get(f"{MLC}.USER") or labels.get(MLC, ""),
        uid=owner_uid(engine_name, labels),
        state=str(entry.get("State", "")),
        status=str(entry.get("Status", "")),
        framework=labels.get(f"{MLC}.FRAMEWORK", ""),
        architecture=labels.get(f"{MLC}.ARCH", ""),
        image=str(entry.get("Image", "")),
        created=float(entry.get("Created", 0)),
        gpus=labels.get("ds01.gpus") or labels.get(f"{MLC}.GPUS", ""),
        workspace=labels.get(f"{MLC}.WORK_MOUNT", ""),
        data=labels.get(f"{MLC}.DATA_MOUNT", ""),
        models=labels.get(f"{MLC}.MODELS_MOUNT", ""),
        limits={
            key: labels[f"ds01.limit.{key}"]
            for key in LIMITS
            if f"ds01.limit.{key}" in labels
        },
        managed="ds01.uid" in labels,
        size=entry.get("SizeRw"),
    )


def select(entries: Iterable[Mapping[str, Any]], uid: int | None) -> list[Container]:
    """Return the containers of one user, or of all where uid is None, by name."""
    found = [from_summary(entry) for entry in entries]
    return sorted(
        (item for item in found if uid is None or item.uid == uid),
        key=lambda item: (item.name, item.container),
    )


def age(seconds: float) -> str:
    """Return a duration as people say it: `5s`, `12m`, `3h`, `4d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def size_text(size: float | None) -> str:
    """Return bytes as `12M`, in powers of 1024; `-` where not known."""
    if size is None:
        return "-"
    for unit in ("B", "K", "M", "G", "T"):
        if size < 1024 or unit == "T":
            return f"{size:.0f}{unit}" if unit in "BK" else f"{size:.1f}{unit}"
        size /= 1024
    raise AssertionError("not reached")


def list_rows(
    containers: Sequence[Container], now: float, columns: Sequence[str]
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
    header += [makers[column][0] for column in columns]
    rows = []
    for item in containers:
        row = [
            item.name,
            item.framework,
            item.state,
            age(now - item.created),
            item.limits.get("cpus", ""),
            item.limits.get("memory", ""),
            item.gpus,
        ]
        rows.append(row + [makers[column][1](item) for column in columns])
    return header, rows


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the known name that a typing error most likely meant, or None."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return found[0] if found else None


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


def cpu_percent(sample: Mapping[str, Any]) -> float | None:
    """Return the CPU use in one stats sample, 100 being one core, as docker stats does.

    None where the engine has no earlier sample to compare with.
    """
    now = sample.get("cpu_stats") or {}
    before = sample.get("precpu_stats") or {}
    if "system_cpu_usage" not in now or "system_cpu_usage" not in before:
        return None
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now["system_cpu_usage"] - before["system_cpu_usage"]
    cores = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or [1])
    return 100.0 * cores * used / passed if passed > 0 else None


def memory_used(sample: Mapping[str, Any]) -> int | None:
    """Return the bytes in use without the page cache that the kernel can drop."""
    memory = sample.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(memory["usage"]) - int(inactive))


@dataclass(frozen=True)
class Usage:
    """What a running container uses now; percent of one core, bytes, tasks."""

    name: str
    container: str
    user: str
    cpu_percent: float | None
    memory: int | None
    memory_limit: int | None
    pids: int | None
    gpus: str
    limits: dict[str, str]


def read_usage(address: str, item: Container) -> Usage | None:
    """Return one container's use; None where it stopped meanwhile."""
    with Engine(address) as engine:
        sample = engine.get(f"/containers/{item.id}/stats", {"stream": "false"})
    if not sample or not (sample.get("pids_stats") or {}).get("current"):
        return None
    return Usage(
        name=item.name,
        container=item.container,
        user=item.user,
        cpu_percent=cpu_percent(sample),
        memory=memory_used(sample),
        memory_limit=(sample.get("memory_stats") or {}).get("limit"),
        pids=sample["pids_stats"]["current"],
        gpus=item.gpus,
        limits=item.limits,
    )


def stats_rows(
    usages: Sequence[Usage], with_user: bool
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the stats table: use, then the limit it runs into."""
    header = ["CONTAINER", "CPU%", "CPUS", "MEM", "MEM-LIMIT", "PIDS", "PIDS-LIMIT"]
    header += ["GPUS", "USER"] if with_user else ["GPUS"]
    rows = []
    for item in usages:
        row = [
            item.name,
            "" if item.cpu_percent is None else f"{item.cpu_percent:.1f}",
            item.limits.get("cpus", ""),
            size_text(item.memory),
            item.limits.get("memory") or size_text(item.memory_limit),
            "" if item.pids is None else str(item.pids),
            item.limits.get("pids", ""),
            item.gpus,
        ]
        rows.append([*row, item.user] if with_user else row)
    return header, rows


def do_list(words: argparse.Namespace, engine: Engine) -> int:
    """Print the containers of the caller, or of everybody."""
    entries = engine.containers([MLC], size=words.json or "size" in words.column)
    found = select(entries, None if words.all_users else os.getuid())
    if words.json:
        print_json({"containers": [asdict(item) for item in found]})
        return Exit.OK
    if not found:
        whose = "no containers" if words.all_users else "you have no containers"
        print(f"{program_name('containers')}: info: {whose}", file=sys.stderr)
        return Exit.OK
    columns = [
        c
        for c in ("user", "arch", "workspace", "data", "models", "size")
        if c in words.column
    ]
    now = datetime.now(timezone.utc).timestamp()
    sys.stdout.write(_table.render(*list_rows(found, now, columns)))
    return Exit.OK


def do_stats(words: argparse.Namespace, engine: Engine) -> int:
    """Print what the running containers use; the engine needs a second to measure."""
    found = select(engine.containers([MLC]), None if words.all_users else os.getuid())
    running = [item for item in found if item.state == "running"]
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(running)))) as pool:
        read = list(pool.map(lambda item: read_usage(engine.address, item), running))
    usages = [usage for usage in read if usage]
    if words.json:
        print_json({"containers": [asdict(usage) for usage in usages]})
        return Exit.OK
    if not usages:
        whose = (
            "no container runs" if words.all_users else "none of your containers runs"
        )
        print(f"{program_name('containers')}: info: {whose}", file=sys.stderr)
        return Exit.OK
    sys.stdout.write(_table.render(*stats_rows(usages, words.all_users)))
    return Exit.OK


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


def summary_lines(shown: Mapping[str, Any]) -> list[str]:
    """Return what a person wants to read about a container that was just made."""
    applied: Mapping[str, float | None] = shown["applied"]

    def limit(key: str, text: Callable[[float], str]) -> str:
        value = applied[key]
        return "unlimited" if value is None else text(value)

    lines = [f"container  {shown['name']} ({shown['framework']}, {shown['state']})"]
    lines.append(f"image      {shown['image']}")
    for key, inside in (("workspace", "/workspace"), ("data", "/data")):
        if shown[key] not in ("", "-"):
            lines.append(f"{key:<10} {shown[key]} is {inside} inside")
    if shown["models"] not in ("", "-"):
        lines.append(f"models     {shown['models']} is /models inside")
    lines.append(
        f"limits     {limit('cpus', lambda n: f'{n:g}')} CPUs, "
        f"memory {limit('memory', size_text)}, "
        f"shared memory {limit('shm_size', size_text)}, "
        f"{limit('pids', lambda n: f'{n:.0f}')} processes"
    )
    lines.append(f"next       container-open {shown['name']}")
    return lines


def do_is_idle(words: argparse.Namespace, engine: Engine) -> int:
    """Return 0 if nothing but the container's own shell runs in it, else 1."""
    details = engine.container(words.container)
    if details is None or not (details.get("State") or {}).get("Running"):
        return Exit.BUG
    top = engine.get(f"/containers/{details['Id']}/top")
    count = len((top or {}).get("Processes") or [])
    return Exit.OK if count and is_idle(details, count) else Exit.BUG


def do_remains(words: argparse.Namespace, engine: Engine) -> int:
    """Print whether the remains of a dead create may be removed."""
    details = engine.container(words.container)
    print_json({"removable": details is not None and is_removable(details)})
    return Exit.OK


def do_show(words: argparse.Namespace, engine: Engine) -> int:
    """Print one of the caller's containers, with the limits that the engine applies."""
    item = find_own(engine, words.name, os.getuid())
    details = engine.container(item.id)
    if details is None:
        raise HelperError(Exit.NOT_FOUND, f"container '{words.name}' not found")
    state = details.get("State") or {}
    shown = {
        **asdict(item),
        "running": bool(state.get("Running")),
        "paused": bool(state.get("Paused")),
        "ever_started": ever_started(details),
        "exit_code": state.get("ExitCode"),
        "error": state.get("Error") or "",
        "network": (details.get("HostConfig") or {}).get("NetworkMode", ""),
        "applied": applied_limits(details),
    }
    if words.summary:
        print("\n".join(summary_lines(shown)))
    else:
        print_json(shown)
    return Exit.OK


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program_name("containers"), description=__doc__, allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("list", "stats"):
        sub = verbs.add_parser(verb, allow_abbrev=False)
        sub.add_argument("--all-users", action="store_true")
        sub.add_argument("--json", action="store_true")
        if verb == "list":
            sub.add_argument("--column", action="append", default=[])
    show = verbs.add_parser("show", allow_abbrev=False)
    show.add_argument("name")
    show.add_argument("--summary", action="store_true")
    for verb in ("remains", "is-idle"):
        verbs.add_parser(verb, allow_abbrev=False).add_argument("container")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    words = build_parser().parse_args(argv)
    verb = {
        "list": do_list,
        "stats": do_stats,
        "show": do_show,
        "remains": do_remains,
        "is-idle": do_is_idle,
    }[words.verb]
    with Engine(settings.engine_address()) as engine:
        return verb(words, engine)


if __name__ == "__main__":
    sys.exit(run(main, "containers"))
