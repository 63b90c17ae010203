"""container_greeting.py: what is said to somebody who opens a shell in a container."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from ds01.containers import greeting
from ds01.policy import limits
from ds01.policy import types as policy_types

SHOWN = {
    "name": "my-project",
    "framework": "Pytorch-2.8.0",
    "gpus": "1g.10gb",
    "workspace": "/home/alice/workspace",
    "applied": {
        "cpus": 16.0,
        "memory": 32.0 * (1 << 30),
        "memory_swap": None,
        "shm_size": None,
        "pids": 4096.0,
    },
}


def limits_of(folder: Path, idle: str) -> policy_types.Limits:
    file = folder / "resource-limits.yaml"
    text = f"version: 1\ndefault_group: all\ndefaults: {{idle_timeout: {idle}}}\n"
    file.write_text(text + "groups: {all: {members: []}}\n", encoding="utf-8")
    user = policy_types.User("alice", 1001)
    now = datetime(2026, 11, 24, tzinfo=timezone.utc)
    return limits.effective_limits(limits.load_policy(file), user, now).limits


def test_it_names_limits_gpu_files_the_way_out_and_the_idle_rule(
    tmp_path: Path,
) -> None:
    lines = greeting.greeting_lines(SHOWN, limits_of(tmp_path, "48h"), "")
    assert lines == [
        "container  my-project: Pytorch-2.8.0, GPU 1g.10gb",
        "limits     16 CPUs, memory 32.0G, shared memory unlimited, 4096 processes",
        "files      /workspace is /home/alice/workspace on the server and stays; "
        "the rest lives as long as the container",
        "leave      with 'exit': the container stops, unless something else runs in it",
        "idle       it is stopped after 2d without work, and you are warned before",
    ]


def test_what_is_to_come_takes_the_place_of_the_rule(tmp_path: Path) -> None:
    lines = greeting.greeting_lines(
        SHOWN, limits_of(tmp_path, "48h"), "stops in 42m: idle"
    )
    assert lines[-1] == "next       stops in 42m: idle"


def test_without_a_rule_or_a_policy_nothing_is_said_of_it(
    tmp_path: Path,
) -> None:
    assert len(greeting.greeting_lines(SHOWN, limits_of(tmp_path, "null"), "")) == 4
    lines = greeting.greeting_lines({**SHOWN, "gpus": ""}, None, "")
    assert len(lines) == 4
    assert lines[0].endswith("GPU none")
