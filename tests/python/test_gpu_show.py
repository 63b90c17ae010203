"""How the queue and explanations read."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gpu_report import Place
from gpu_show import container_lines, queue_rows, request_lines
from gpu_state import Ticket

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
    }
    lines = request_lines(answer)
    assert "would get GPU-1" in lines
    assert "placement pack, 2 free" in lines


def test_the_story_of_a_container_ends_with_the_log() -> None:
    answer = {
        "container": "job._.1",
        "grant": {"state": "held", "since": "2026-11-24T08:00:00Z", "request": "1"},
        "devices": [{"uuid": "GPU-1", "state": "held", "why": ""}],
        "waiting": [],
        "log": [{"time": "t", "type": "grant", "request": "1", "devices": ["GPU-1"]}],
    }
    lines = container_lines(answer)
    assert lines[0] == "container job"
    assert "has       held since 2026-11-24T08:00:00Z for the request '1'" in lines
    assert "device    GPU-1: held" in lines
    assert lines[-1].startswith("log       t grant request 1")
