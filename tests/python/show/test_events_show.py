"""events_show.py: who sees what of the logs, from when, and as it goes on."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import events_show
from ds01.core.errors import Exit, HelperError
from ds01.core.units import utc_stamp
from ds01.records.window import parse_moment, parse_window
from ds01.show import event_words
from ds01.show.events import Wanted, hide_others, parse_types

HELPER = Path(__file__).resolve().parents[3] / "python/events_show.py"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


def event(kind: str, ago: float = 0, **fields: Any) -> dict[str, Any]:
    base = {
        "time": utc_stamp(datetime.now(timezone.utc) - timedelta(seconds=ago)),
        "type": kind,
        "user": "alice",
        "uid": 1001,
        "container": "train._.1001",
    }
    return {**base, **fields}


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log folder of a file layout of this test's own."""
    for name in ("etc/ds01", "var/lib/ds01/container-metadata", "var/log/ds01"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("DS01_ROOT", str(tmp_path))
    return tmp_path / "var/log/ds01"


@pytest.fixture
def write(logs: Path) -> Callable[..., None]:
    def append(*events: dict[str, Any], log: str = "events.jsonl") -> None:
        with (logs / log).open("a", encoding="utf-8") as file:
            file.writelines(
                json.dumps(e, ensure_ascii=False, separators=(",", ":")) + "\n"
                for e in events
            )

    return append


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Any]]:
    def show(*words: str, uid: int = 0) -> list[Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getuid", lambda: uid)
            assert events_show.main([*words, "--json"]) == Exit.OK
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return show


def kinds(events: list[Any]) -> list[str]:
    return [item["type"] for item in events]


def test_times_are_ago_or_in_utc() -> None:
    assert parse_moment("2h", NOW) == NOW - timedelta(hours=2)
    assert parse_moment("1d12h", NOW) == NOW - timedelta(hours=36)
    assert parse_moment("2026-11-23", NOW) == NOW - timedelta(hours=36)
    assert parse_moment("2026-11-24T11:30Z", NOW) == NOW - timedelta(minutes=30)


@pytest.mark.parametrize("text", ["2", "", "now", "2026-11-24 10:00", "10:00", "2x"])
def test_other_times_are_wrong_words(text: str) -> None:
    with pytest.raises(HelperError) as caught:
        parse_moment(text, NOW)
    assert caught.value.code == Exit.USAGE
    assert caught.value.hint


def test_a_window_must_not_be_empty() -> None:
    assert parse_window("2h", "1h", NOW)[1] == NOW - timedelta(hours=1)
    with pytest.raises(HelperError, match="is not before"):
        parse_window("1h", "2h", NOW)


def test_a_type_that_does_not_exist_names_the_nearest() -> None:
    assert parse_types(["warned,stopped", "kept"]) == {"warned", "stopped", "kept"}
    with pytest.raises(HelperError) as caught:
        parse_types(["stoped"])
    assert caught.value.hint == "did you mean 'stopped'?"


def test_a_user_sees_own_events_and_root_all(
    write: Callable[..., None], shown: Callable[..., list[Any]]
) -> None:
    write(
        event("created"),
        event("started", user="bob", uid=1002, container="x._.1002"),
        event("pass-skipped", user="root", uid=0, container="", reason="no engine"),
    )
    assert kinds(shown(uid=1001)) == ["created"]
    assert kinds(shown(uid=1002)) == ["started"]
    assert kinds(shown()) == ["created", "started", "pass-skipped"]
    assert kinds(shown("--user", "root")) == ["pass-skipped"]
    with pytest.raises(HelperError) as caught:
        shown("--user", "root", uid=1001)
    assert caught.value.code == Exit.REFUSED


def test_filters(write: Callable[..., None], shown: Callable[..., list[Any]]) -> None:
    write(
        event("created", 7200),
        event("warned", 3000, container="other._.1001"),
        event("stopped", 60),
    )
    assert kinds(shown("--since", "1h")) == ["warned", "stopped"]
    assert kinds(shown("--until", "1h")) == ["created"]
    assert kinds(shown("--since", "1h", "--until", "10m")) == ["warned"]
    assert kinds(shown("--container", "train")) == ["created", "stopped"]
    assert kinds(shown("--container", "train._.1001")) == ["created", "stopped"]
    assert kinds(shown("--container", "rain")) == []
    assert kinds(shown("--type", "warned,stopped", "--container", "train")) == [
        "stopped"
    ]


def test_both_logs_come_in_the_order_of_their_times(
    write: Callable[..., None], shown: Callable[..., list[Any]]
) -> None:
    write(event("created", 50), event("stopped", 30))
    write(event("grant", 60), event("hold", 20), log="gpu-allocations.log")
    assert kinds(shown()) == ["created", "stopped"]
    assert kinds(shown("--gpus")) == ["grant", "created", "stopped", "hold"]
    # Who names a type of the other log means it.
    assert kinds(shown("--type", "hold")) == ["hold"]


def test_others_in_a_conflict_are_counted_and_not_named() -> None:
    conflict = {"type": "conflict", "holders": ["a._.1001", "b._.1002"]}
    assert hide_others(conflict, 1001, lambda: False)["holders"] == 2
    assert hide_others(conflict, 1001, lambda: True) == conflict
    own = {"type": "conflict", "holders": ["a._.1001"]}
    assert hide_others(own, 1001, lambda: False) == own


def test_lines_for_people(
    write: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures = {"idle_seconds": 172800.0, "limit_seconds": 172800, "gpu_percent": 0.5}
    write(
        event("stopped", rule="idle_timeout", figures=figures),
        event("denied", reason="evil \x1b[2J name"),
    )
    assert events_show.main([]) == Exit.OK
    first, second = capsys.readouterr().out.splitlines()
    assert first[19:] == (
        "Z  stopped       alice      train            by rule: idle (idle_timeout), "
        "idle for 2d, limit 2d, gpu 0.5%"
    )
    assert second.endswith("evil ?[2J name")
    # A terminal that is too narrow has the rest below the type.
    monkeypatch.setenv("DS01_COLUMNS", "80")
    assert events_show.main(["--type", "stopped"]) == Exit.OK
    head, below, *more = capsys.readouterr().out.splitlines()
    assert head.endswith("by rule: idle") and len(head) <= 80
    assert below.startswith(" " * 22 + "(idle_timeout), ") and more == []
    assert head.index("stopped") == 22


@pytest.mark.parametrize("kind", sorted(event_words.WORDS))
def test_every_type_has_words_whatever_its_fields(kind: str) -> None:
    assert isinstance(event_words.say({"type": kind}), str)
    strange = dict.fromkeys(
        ["figures", "limits", "profiles", "devices", "quotas", "until", "due", "gpus"],
        "x",
    )
    assert isinstance(event_words.say({"type": kind, **strange}), str)


def test_what_is_not_known_is_shown_as_it_is() -> None:
    told = event_words.say(
        {"type": "new-thing", "uid": 1, "colour": "red", "n": [1, 2]}
    )
    assert told == "colour red, n 1 2"


def test_wanted_takes_by_uid_and_not_by_name() -> None:
    assert not Wanted(uid=1002).takes(event("created", user="1002"))


def test_follow_goes_on_over_a_rotation(logs: Path, write: Callable[..., None]) -> None:
    write(event("created", 60))
    process = subprocess.Popen(
        [sys.executable, HELPER, "--follow", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        # Until it has begun, and then over a rotation.
        while not select.select([process.stdout], [], [], 0.1)[0]:
            write(event("started"))
        (logs / "events.jsonl").rename(logs / "events.jsonl.1")
        write(event("stopped"))
        kinds = [json.loads(process.stdout.readline())["type"]]
        while kinds[-1] == "started":
            kinds.append(json.loads(process.stdout.readline())["type"])
        assert kinds[-1] == "stopped" and len(kinds) > 1
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(120) == Exit.LEFT
