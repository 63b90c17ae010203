"""mlc list and mlc stats: tables for people."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import mlc_docker as docker
from mlc_base import caller, say
from mlc_find import Container, containers


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def columns(words: argparse.Namespace) -> list[tuple[str, str]]:
    """Return (heading, key) of the columns that the flags name; a label's key is its
    name, others are the fields of Container."""
    every = (
        (True, "CONTAINER", "name"),
        (words.size, "SIZE", "size"),
        (words.all_users, "USER", "USER"),
        (True, "FRAMEWORK", "FRAMEWORK"),
        (words.architecture, "ARCH", "ARCH"),
        (True, "STATUS", "status"),
        (words.workspace_dir, "WORKSPACE", "WORK_MOUNT"),
        (words.data_dir, "DATA", "DATA_MOUNT"),
        (words.models_dir, "MODELS", "MODELS_MOUNT"),
    )
    return [(heading, key) for flag, heading, key in every if flag or words.all]


def cell(container: Container, key: str) -> str:
    value: str = container.labels[key] if key.isupper() else getattr(container, key)
    return "".join(char if char.isprintable() else "?" for char in value) or "-"


def show(words: argparse.Namespace) -> int:
    """Run `mlc list`."""
    size = words.size or words.all
    found = containers(None if words.all_users else caller().uid, size=size)
    if not found:
        say("info", "no containers yet")
        return 0
    chosen = columns(words)
    rows = [[f"[{heading}]" for heading, _ in chosen]]
    rows += [[cell(one, key) for _, key in chosen] for one in found]
    print(table(rows))
    return 0


def stats(_: argparse.Namespace) -> int:
    """Run `mlc stats`: one look at the caller's running containers."""
    running = [one for one in containers(caller().uid) if one.state == "running"]
    if not running:
        say("info", "no container of yours is running")
        return 0
    names = {one.full: one.name for one in running}
    asked = ["stats", "--no-stream", "--format", "{{json .}}"]
    asked += [one.id for one in running]
    out = docker.must(asked, "cannot read what the containers use")
    rows = [["[CONTAINER]", "[CPU]", "[MEMORY]", "[NETWORK]", "[DISK]", "[PROCESSES]"]]
    keys = ("CPUPerc", "MemUsage", "NetIO", "BlockIO", "PIDs")
    for row in docker.json_lines(out):
        rows.append([names.get(row["Name"], row["Name"]), *(row[key] for key in keys)])
    print(table(rows))
    return 0
