"""container_story.py and show/lives.py: what is told of one container."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import container_story
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths
from ds01.core.units import utc_stamp
from ds01.gpus.ledger import document
from ds01.gpus.ledger.document import Document, Grant
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.records import passes
from ds01.records.pass_entries import Entry, Memory, Next, PassInfo
from ds01.show.lives import lives
from ds01.show.story import find
from ds01.show.telling import Known

NOW = datetime.now(timezone.utc)
NAME = "train._.1001"
ID, OTHER = "a" * 64, "b" * 64


def event(kind: str, minutes: float, **fields: Any) -> dict[str, Any]:
    base = {
        "time": utc_stamp(NOW - timedelta(minutes=minutes)),
        "type": kind,
        "user": "alice",
        "uid": 1001,
        "container": NAME,
    }
    return {**base, **fields}


GRANT: dict[str, Any] = {
    "container_id": "",
    "request": "1",
    "devices": ["MIG-1"],
    "profiles": ["1g.5gb"],
    "share": 1 / 7,
    "quotas": {"max_gpus": [1 / 7, 1.0]},
}
LIMITS = {"cpus": "8", "memory": "32768m"}
IDLE = {"idle_seconds": 3600.0, "limit_seconds": 3600, "cpu_percent": 0.2}


def whole_life() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The events and the allocations of a container that was stopped as idle."""
    events = [
        event("created", 100, id=ID, image="pytorch:2.7", limits=LIMITS),
        event("started", 99, id=ID, kinds="1g.5gb"),
        event("warned", 52, rule="idle_timeout", percent=80, due="later", figures=IDLE),
        event("stopped", 40, rule="idle_timeout", figures=IDLE, by="lifecycle"),
        event("removed", 10, command="container-remove"),
    ]
    released = {"reason": "gone", "was": "held", "gpu_seconds": 5000.0}
    gpus = [
        event("refuse", 102, message="you have 2 and 1 is allowed", rule="max_gpus"),
        event("grant", 101, **GRANT),
        event("commit", 100.5, **{**GRANT, "container_id": ID}),
        event("hold", 39, **{**GRANT, "container_id": ID}, until=None),
        event("release", 9, **{**GRANT, "container_id": ID}, **released),
    ]
    return events, gpus


@pytest.fixture
def write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[dict[str, Any]], list[dict[str, Any]]], None]:
    """A function that writes both logs of a file layout of this test's own."""
    for name in ("etc/ds01", "var/lib/ds01/container-metadata", "var/log/ds01"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("DS01_ROOT", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")

    def logs(events: list[dict[str, Any]], gpus: list[dict[str, Any]]) -> None:
        for name, lines in (("events.jsonl", events), ("gpu-allocations.log", gpus)):
            text = "".join(json.dumps(e, separators=(",", ":")) + "\n" for e in lines)
            (tmp_path / "var/log/ds01" / name).write_text(text, encoding="utf-8")

    return logs


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def show(*words: str, uid: int = 1001) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getuid", lambda: uid)
            assert container_story.main(list(words)) == Exit.OK
        return capsys.readouterr().out.splitlines()

    return show


def test_the_story_of_a_container_that_is_gone(
    write: Callable[..., None], tell: Callable[..., list[str]]
) -> None:
    write(*whole_life())
    lines = tell("train")
    assert lines[0] == "container  train (removed) of alice"
    assert lines[1].endswith("Z from pytorch:2.7")
    assert lines[2] == "limits     8 CPUs, memory 32.0G"
    assert lines[3].startswith("removed ")
    assert lines[4] == "gpus       none"
    told = [line[22:] for line in lines[6:]]
    assert told == [
        "refuse        you have 2 and 1 is allowed, max_gpus",
        "grant         1g.5gb for the request '1', max_gpus before: 0.14 of 1",
        "created       from pytorch:2.7, GPUs: none, 8 CPUs, memory 32.0G",
        "started       GPUs: 1g.5gb",
        "warned        idle (idle_timeout), 80% of its time, due later, idle for 1h, "
        "limit 1h, cpu 0.2%",
        "stopped       by rule: idle (idle_timeout), idle for 1h, limit 1h, cpu 0.2%",
        "hold          1g.5gb kept without an end",
        "removed       by container-remove",
        "release       1g.5gb: gone, 1.39 GPU-hours",
    ]


def test_the_same_as_json(
    write: Callable[..., None], tell: Callable[..., list[str]]
) -> None:
    write(*whole_life())
    story = json.loads(tell("train", "--json")[0])
    assert (story["container"], story["state"], story["uid"]) == (NAME, "removed", 1001)
    assert [e["type"] for e in story["events"]][:3] == ["refuse", "grant", "commit"]
    assert story["events"][-1]["words"] == "1g.5gb: gone, 1.39 GPU-hours"
    assert story["problem"]


def test_what_comes_next_and_a_hold(
    write: Callable[..., None], tell: Callable[..., list[str]]
) -> None:
    write([event("created", 100, id=ID)], [])
    # What is shown is told from the moment of the call, not of the import.
    now = datetime.now(timezone.utc)
    coming = Next(
        "stop", "idle_timeout", now + timedelta(minutes=42, seconds=50), "idle"
    )
    entry = Entry(
        ID,
        1001,
        "alice",
        "train",
        "running",
        last_active=now - timedelta(hours=2),
        active_because="GPU at 71%",
        next=coming,
    )
    memory = Memory(PassInfo(now, 0.1), {NAME: entry})
    passes.save(find_paths(), memory)
    lines = tell("train")
    assert any(line.startswith("idle       2h") for line in lines)
    assert any("(GPU at 71%)" in line for line in lines)
    coming_line = next(line for line in lines if line.startswith("next"))
    assert coming_line.startswith("next       stops in 42m: idle (")
    assert coming_line.endswith("Z, idle_timeout)")


def test_a_hold_and_a_reservation_are_told(
    write: Callable[..., None], tell: Callable[..., list[str]]
) -> None:
    write([event("created", 100, id=ID)], [])
    device = GrantedDevice("MIG-1", "GPU-1", "1g.5gb", 0, 1, 1 / 7, True)
    grant = Grant(
        NAME,
        1001,
        "alice",
        "1",
        "held",
        NOW - timedelta(hours=2),
        (device,),
        until=NOW + timedelta(hours=3),
        stopped=NOW - timedelta(hours=1),
        container_id=ID,
        ends=NOW + timedelta(hours=9),
    )
    document.save(find_paths(), Document(born="x", grants=(grant,)))
    line = next(line for line in tell("train") if line.startswith("gpus"))
    assert line.startswith("gpus       1g.5gb, held since ")
    assert ", until " in line
    assert ", reserved for others from " in line
    shown = json.loads(tell("train", "--json")[0])
    assert shown["grant"]["state"] == "held"


def test_a_container_that_was_only_refused(
    write: Callable[..., None], tell: Callable[..., list[str]]
) -> None:
    write([], [event("refuse", 1, message="no GPU is free", rule="")])
    lines = tell("train")
    assert lines[0].startswith("container  train (")
    assert lines[-1].endswith("refuse        no GPU is free")


def test_a_name_that_was_used_before(
    write: Callable[..., None], tell: Callable[..., list[str]]
) -> None:
    events, gpus = whole_life()
    again = [
        event("created", 5, id=OTHER, image="debian"),
        event("started", 4, id=OTHER),
    ]
    write([*events, *again], gpus)
    lines = tell("train")
    assert lines[1].endswith("from debian")
    before = [line for line in lines if line.startswith("before")]
    assert len(before) == 1
    assert "removed" in before[0]
    assert [line[22:29] for line in lines[-2:]] == ["created", "started"]


def test_a_late_release_belongs_to_the_life_that_ended() -> None:
    told = lives(
        [
            event("created", 50, id=ID),
            event("removed", 40),
            event("grant", 31, **GRANT),
            event("created", 30, id=OTHER),
            event("release", 29, **{**GRANT, "container_id": ID}),
            event("moved", 20, id="c" * 64, was=OTHER),
            event("hold", 10, **{**GRANT, "container_id": "c" * 64}),
        ],
        NAME,
    )
    assert [[e["type"] for e in life.events] for life in told] == [
        ["created", "removed", "release"],
        ["grant", "created", "moved", "hold"],
    ]


def test_one_that_others_removed_ends_where_the_next_begins() -> None:
    told = lives([event("created", 50, id=ID), event("created", 5, id=OTHER)], NAME)
    assert [life.ids for life in told] == [{ID}, {OTHER}]


KNOWN = [
    Known("train._.1001", 1001, "alice"),
    Known("train._.1002", 1002, "bob"),
    Known("web", 1002, "bob"),
    Known("only._.1002", 1002, "bob"),
]


def test_names_mean_ones_own_first() -> None:
    assert find("train", 1001, KNOWN) == KNOWN[0]
    assert find("train._.1002", 1002, KNOWN) == KNOWN[1]
    assert find("web", 1002, KNOWN) == KNOWN[2]
    assert find("only", 0, KNOWN) == KNOWN[3]


@pytest.mark.parametrize(
    ("name", "uid", "code", "hint"),
    [
        ("trian", 1001, Exit.NOT_FOUND, "did you mean 'train'?"),
        ("onyl", 1001, Exit.NOT_FOUND, "run 'container-list' to see your containers"),
        ("web", 1001, Exit.NOT_FOUND, None),
        ("train._.1002", 1001, Exit.REFUSED, None),
        ("train", 0, Exit.USAGE, None),
        ("onli", 0, Exit.NOT_FOUND, "did you mean 'only'?"),
    ],
)
def test_names_that_mean_nothing(
    name: str, uid: int, code: Exit, hint: str | None
) -> None:
    with pytest.raises(HelperError) as caught:
        find(name, uid, KNOWN)
    assert caught.value.code == code
    assert hint is None or caught.value.hint == hint


def test_anothers_life_of_a_free_name_is_not_told(
    write: Callable[..., None], tell: Callable[..., list[str]]
) -> None:
    mine = {"container": "web", "uid": 1001}
    write(
        [
            event("created", 50, **{**mine, "uid": 1002, "user": "bob"}, id=ID),
            event("removed", 40, **{**mine, "uid": 1002, "user": "bob"}),
            event("created", 30, **mine, id=OTHER),
        ],
        [],
    )
    with pytest.raises(HelperError):
        tell("web", uid=1003)
    told = tell("web", uid=1001)
    assert not any("bob" in line for line in told)
    assert len([line for line in told if "  created " in line]) == 1
