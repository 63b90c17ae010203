"""How the queue and explanations read."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.gpus.allocator.report import Place
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger.document import Ticket
from ds01.show import queue
from ds01.show.queue import container_lines, queue_rows, request_lines
from gpu_show import build_parser
from gpu_world import World, make_paths

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def place(number: int, uid: int) -> Place:
    ticket = Ticket(
        number=number,
        container=f"job{number}._.{uid}",
        uid=uid,
        user=f"user{uid}",
        request="1g.5gb",
        priority=10,
        since=NOW - timedelta(minutes=5),
    )
    words = f"place {number} in the queue for '1g.5gb'; needed: one of 1g.5gb"
    return Place(ticket, number, words, ready=False)


def test_others_are_shown_in_kind_only() -> None:
    header, rows = queue_rows([place(1, 1001), place(2, 1002)], 1002, NOW)
    first, second = (dict(zip(header, row, strict=True)) for row in rows)
    assert (first["USER"], first["CONTAINER"]) == ("", "")
    assert (second["USER"], second["CONTAINER"]) == ("user1002", "job2")
    assert first["REQUEST"] == "1g.5gb"
    assert first["WAITING"] == "5m"
    assert first["NEEDS"] == "one of 1g.5gb"


def test_everybody_sees_names_where_the_policy_shows_them() -> None:
    header, rows = queue_rows([place(1, 1001)], 1002, NOW, show_names=True)
    shown = dict(zip(header, rows[0], strict=True))
    assert (shown["USER"], shown["CONTAINER"]) == ("user1001", "job1")


def test_root_sees_names() -> None:
    header, rows = queue_rows([place(1, 1001)], 0, NOW)
    assert dict(zip(header, rows[0], strict=True))["USER"] == "user1001"


def test_a_refusal_shows_rule_both_numbers_and_hint() -> None:
    answer = {
        "request": "full",
        "user": "alice",
        "granted": False,
        "code": "quota-gpus",
        "rule": "max_gpus",
        "have": 1.0,
        "limit": 1.0,
        "message": "more than your quota of GPUs",
        "hint": "run 'container-stop x'",
    }
    lines = request_lines(answer)
    assert "refused   more than your quota of GPUs" in lines
    assert "rule      max_gpus: 1 of 1" in lines
    assert "hint      run 'container-stop x'" in lines


def test_a_grant_names_its_devices() -> None:
    answer = {
        "request": "1",
        "user": "a",
        "granted": True,
        "devices": ["GPU-1"],
        "strategy": "pack",
        "free": ["GPU-1", "GPU-2"],
        "quotas": {
            "max_gpus": [0.285714, 1.0],
            "max_mig_instances": [2, None],
        },
    }
    lines = request_lines(answer)
    assert "would get GPU-1" in lines
    assert "placement pack, 2 free" in lines
    assert "quota     max_gpus: 0.29 of 1" in lines
    assert "quota     max_mig_instances: 2 of unlimited" in lines


def test_the_story_of_a_container_ends_with_the_log() -> None:
    answer = {
        "container": "job._.1",
        "grant": {"state": "held", "since": "2026-11-24T08:00:00Z", "request": "1"},
        "devices": [{"uuid": "GPU-1", "state": "held", "why": ""}],
        "waiting": [],
        "log": [
            {
                "time": "t",
                "type": "grant",
                "request": "2",
                "devices": ["GPU-1", "GPU-2"],
            }
        ],
    }
    lines = container_lines(answer)
    assert lines[0] == "container job"
    assert "has       held since 2026-11-24T08:00:00Z for the request '1'" in lines
    assert "device    GPU-1: held" in lines
    assert lines[-1] == "log       t grant request 2, devices GPU-1, GPU-2"


def run_verb(world: World, *words: str) -> int:
    parsed = build_parser().parse_args(words)
    verb = {"queue": queue.show_queue, "explain": queue.explain}[parsed.verb]
    return verb(parsed, world.allocator())


def test_the_queue_says_what_does_not_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(make_paths(tmp_path), inventory=Inventory(error="no driver"))
    world.engine_up = False
    assert run_verb(world, "queue") == Exit.OK
    told = capsys.readouterr()
    assert told.out == ""
    assert "info: the engine does not answer: no Docker engine answers" in told.err
    assert "info: the NVIDIA driver does not answer: no driver" in told.err
    assert run_verb(world, "queue", "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out) == {
        "queue": [],
        "nvml": "no driver",
        "engine": "no Docker engine answers",
    }


def test_no_request_is_explained_without_the_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(make_paths(tmp_path))
    world.engine_up = False
    with pytest.raises(HelperError) as caught:
        run_verb(world, "explain", "--request", "1")
    assert caught.value.code == Exit.PREREQUISITE
    assert capsys.readouterr().out == ""


def test_a_container_is_explained_from_memory_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(make_paths(tmp_path))
    world.run("a", 7, "1g.5gb")
    world.engine_up = False
    assert run_verb(world, "explain", "--container", "a") == Exit.OK
    told = capsys.readouterr()
    assert "has       allocated" in told.out
    assert "the engine does not answer: no Docker engine answers" in told.err
