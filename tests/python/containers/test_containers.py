"""What the engine's answers are read as."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ds01.containers import containers as containers_containers
from ds01.containers.containers import (
    applied_limits,
    choice,
    coming,
    from_summary,
    is_idle,
    is_removable,
    list_rows,
    owner_uid,
    select,
    summary_lines,
)
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.text import age, size_text
from ds01.records.outlooks import Outlook


def entry(name: str, uid: int, **more: Any) -> dict[str, Any]:
    """What the engine lists for an mlc container."""
    labels = {
        "aime.mlc": "alice",
        "aime.mlc.NAME": name,
        "aime.mlc.USER": "alice",
        "aime.mlc.FRAMEWORK": "Debian-bookworm",
        "aime.mlc.ARCH": "CPU",
        "aime.mlc.WORK_MOUNT": "/home/alice/workspace",
        "aime.mlc.DATA_MOUNT": "-",
        "aime.mlc.MODELS_MOUNT": "-",
        "aime.mlc.GPUS": "all",
    }
    return {
        "Id": "f" * 64,
        "Names": [f"/{name}._.{uid}"],
        "Image": f"ds01/debian:{name}._.{uid}",
        "State": "running",
        "Status": "Up 2 hours",
        "Created": 1000,
        "Labels": labels | more.pop("labels", {}),
        **more,
    }


def test_a_container_is_read_from_its_labels() -> None:
    item = from_summary(entry("a", 1001, labels={"ds01.limit.cpus": "16"}))
    assert (item.name, item.container, item.uid) == ("a", "a._.1001", 1001)
    assert item.limits == {"cpus": "16"}
    assert item.managed is False
    assert item.size is None


def test_a_name_is_the_engines_and_not_what_a_label_says() -> None:
    made = entry("a", 1, labels={"aime.mlc.NAME": "b\x1b[2J\nc  9999"})
    assert from_summary(made).name == "a"
    made["Names"] = ["/vscode"]
    assert from_summary(made).name == ""


def test_sizes_of_zero_are_left_out_by_the_engine() -> None:
    assert from_summary(entry("a", 1, SizeRootFs=5)).size == 0
    assert from_summary(entry("a", 1, SizeRootFs=5, SizeRw=7)).size == 7


def test_ds01s_label_wins_over_the_name() -> None:
    assert owner_uid("x._.1001", {}) == 1001
    assert owner_uid("x._.1001", {"ds01.uid": "7"}) == 7
    assert owner_uid("foreign", {}) is None
    assert owner_uid("x._.٣", {}) is None


def test_the_owners_name_is_ds01s_word_where_there_is_one() -> None:
    assert from_summary(entry("a", 1)).user == "alice"
    assert from_summary(entry("a", 1, labels={"ds01.user": "bob"})).user == "bob"


def test_select_is_by_owner_and_sorted() -> None:
    entries = [entry("b", 1), entry("a", 2), entry("a", 1)]
    assert [c.container for c in select(entries, 1)] == ["a._.1", "b._.1"]
    assert len(select(entries, None)) == 3


def test_json_has_its_time_in_iso() -> None:
    shown = containers_containers.as_json(from_summary(entry("a", 1)))
    assert shown["created"] == "1970-01-01T00:16:40.000Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (200000, "2d")],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "-"), (0, "0B"), (1536, "2K"), (1 << 20, "1.0M"), (3 << 40, "3.0T")],
)
def test_size_text(size: float | None, text: str) -> None:
    assert size_text(size) == text


def test_rows_hold_the_extra_columns_in_order() -> None:
    now = datetime.fromtimestamp(4600, timezone.utc)
    item = from_summary(entry("a", 1))
    header, rows = list_rows([item], now, ["user", "data"], {})
    assert header[-4:] == ["IDLE", "NEXT", "USER", "DATA"]
    assert rows == [
        ["a", "Debian-bookworm", "running", "1h", "", "", "all", "", "", "alice", "-"]
    ]


def test_what_comes_next_is_that_of_the_same_state() -> None:
    now = datetime.fromtimestamp(4600, timezone.utc)
    item = from_summary(entry("a", 1))
    known = Outlook(
        container=item.container,
        name="a",
        uid=1,
        user="alice",
        state="running",
        last_active=now - timedelta(hours=1),
        idle_seconds=3600.0,
        active_because="CPU 40%",
        action="stop",
        rule="idle_timeout",
        at=now + timedelta(minutes=42),
        why="idle",
        kept_until=None,
        kept_by="",
        warned=(),
    )
    assert coming(item, {item.container: known}, now) == ("1h", "stops in 42m: idle")
    # Stopped since the last pass: what was foreseen does not come.
    stopped = item._replace(state="exited")
    assert coming(stopped, {item.container: known}, now) == ("", "")
    assert coming(item, {}, now) == ("", "")
    # A menu has less room.
    assert choice(item, {item.container: known}, now) == {
        "name": "a",
        "state": "running",
        "text": "Debian-bookworm, running, GPU all, idle 1h, stops in 42m",
    }
    assert choice(stopped, {item.container: known}, now)["text"] == (
        "Debian-bookworm, exited, GPU all"
    )


def test_applied_limits_know_both_ways_to_say_cpus() -> None:
    def host(**fields: object) -> dict[str, float | None]:
        return applied_limits({"HostConfig": fields})

    assert host(NanoCpus=1_500_000_000)["cpus"] == 1.5
    assert host(CpuQuota=50_000, CpuPeriod=100_000)["cpus"] == 0.5
    assert host(CpuQuota=50_000)["cpus"] == 0.5
    assert host(NanoCpus=0, CpuQuota=-1)["cpus"] is None
    unlimited = host(Memory=0, MemorySwap=-1, PidsLimit=None)
    assert set(unlimited.values()) == {None}
    assert host(PidsLimit=77)["pids"] == 77


def test_idle_means_only_the_shell_and_its_init() -> None:
    assert is_idle({"HostConfig": {"Init": True}}, 2)
    assert not is_idle({"HostConfig": {"Init": True}}, 3)
    assert is_idle({"HostConfig": {}}, 1)
    assert not is_idle({"HostConfig": {"Init": None}}, 2)


def test_only_what_holds_nothing_may_be_removed() -> None:
    never, ran = "0001-01-01T00:00:00Z", "2026-11-24T08:00:00.123456789Z"

    def remains(started: str, labels: dict[str, str] | None) -> bool:
        details = {"Config": {"Labels": labels}, "State": {"StartedAt": started}}
        return is_removable(details)

    assert remains(never, {"aime.mlc": "alice"})
    assert not remains(ran, {"aime.mlc": "alice"})
    # mlc's temporary container carries none of its labels.
    assert remains(ran, None)
    assert remains(ran, {"other": "x"})


def test_the_summary_says_what_is_unlimited() -> None:
    shown = containers_containers.as_json(from_summary(entry("a", 1))) | {
        "applied": {"cpus": 2.0, "memory": None, "shm_size": 1 << 30, "pids": 77.0}
    }
    one = {**shown, "applied": {**shown["applied"], "cpus": 1.0}}
    assert "1 CPU, memory" in summary_lines(one, "x")[3]
    lines = summary_lines(shown, "ds01/debian:bookworm")
    assert lines[0] == "container  a (Debian-bookworm, running)"
    assert lines[1] == "image      ds01/debian:bookworm"
    assert lines[2] == "workspace  /home/alice/workspace is /workspace inside"
    assert "2 CPUs, memory unlimited, shared memory 1.0G, 77 processes" in lines[3]
    assert lines[-1] == "next       container-open a"


class FakeEngine(Engine):
    """Answers with a fixed list: only to provoke names that are not there."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._entries = entries

    def containers(self, labels: object, *, size: bool = False) -> list[Any]:
        return self._entries


def test_what_is_not_found_names_the_nearest_of_ones_own() -> None:
    engine = FakeEngine([entry("my-project", 1), entry("my-projekt", 2)])
    assert containers_containers.find_own(engine, "my-project", 1).uid == 1
    with pytest.raises(HelperError) as caught:
        containers_containers.find_own(engine, "my-projekt", 1)
    assert caught.value.code == Exit.NOT_FOUND
    assert caught.value.hint == "did you mean 'my-project'?"
    with pytest.raises(HelperError) as caught:
        containers_containers.find_own(engine, "zzz", 1)
    assert "container-list" in str(caught.value.hint)
