"""What containers use at the moment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from ds01.containers.containers import Container, select
from ds01.core import table
from ds01.core.engine import Engine
from ds01.core.errors import Exit
from ds01.core.labels import MLC
from ds01.core.program import print_json, say
from ds01.core.text import size_text


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


def read_usages(address: str, items: Sequence[Container]) -> list[Usage]:
    """Return what those that run use; the engine needs a second to measure."""
    running = [item for item in items if item.state == "running"]
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(running)))) as pool:
        read = list(pool.map(lambda item: read_usage(address, item), running))
    return [usage for usage in read if usage]


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


def show_stats(engine: Engine, words: argparse.Namespace) -> int:
    """Print what the running containers use; the engine needs a second to measure."""
    found = select(engine.containers([MLC]), None if words.all_users else os.getuid())
    usages = read_usages(engine.address, found)
    if words.json:
        print_json({"containers": [asdict(usage) for usage in usages]})
        return Exit.OK
    if not usages:
        whose = (
            "no container runs" if words.all_users else "none of your containers runs"
        )
        say("info", whose, "container_stats")
        return Exit.OK
    sys.stdout.write(table.render(*stats_rows(usages, words.all_users)))
    return Exit.OK
