"""The lifecycle's memory: what is written is read again, and how it is shown."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ds01.containers.keep import seconds_for
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.core.text import span
from ds01.lifecycle import clock
from ds01.records import kept as records_kept
from ds01.records.outlooks import outlook, outlooks, path_of, present
from ds01.records.pass_entries import Doing, Entry, Memory, Next, PassInfo, Warned
from ds01.records.passes import entry_json, load, pass_info, save

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ENTRY = Entry(
    id="1" * 64,
    uid=1000,
    user="anna.müller@uni",
    name="proj",
    state="running",
    sampled=NOW,
    last_active=NOW - timedelta(hours=3),
    active_because="CPU 40%",
    counters={"cpu": 5, "memory GPU-1": 7},
    started=NOW - timedelta(days=1),
    run_began=NOW - timedelta(days=2),
    kept_until=NOW + timedelta(hours=1),
    kept_by="root",
    warned=(Warned("idle_timeout", 80, NOW, NOW + timedelta(minutes=42)),),
    next=Next("stop", "idle_timeout", NOW + timedelta(minutes=42), "idle"),
    doing=Doing("stop", "idle_timeout", NOW, 60, {"idle_seconds": 3}),
    note="",
    gpus=("GPU-1",),
)
MEMORY = Memory(PassInfo(NOW, 0.25, None, "boot", 77.5, 60.0), {"proj._.1000": ENTRY})


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("etc", "state/container-metadata", "log"):
        (tmp_path / name).mkdir(parents=True)
    return Paths(tmp_path / "etc", tmp_path / "state", tmp_path / "log")


def test_passes_that_did_nothing_hide_no_reboot_and_no_pause() -> None:
    last = PassInfo(NOW, boot="a", tick=60.0)
    later = NOW + timedelta(hours=3)
    now = PassInfo(later, boot="b", tick=60.0)
    moment = clock.moment_of(last, now)
    assert moment.rebooted and moment.unwatched == 3 * 3600
    looked, boot = clock.look_of(last)
    skipped = PassInfo(
        later - timedelta(minutes=1),
        skipped="x",
        boot="b",
        looked=looked,
        looked_boot=boot,
        tick=60.0,
    )
    assert clock.moment_of(skipped, now) == moment
    assert clock.look_of(skipped) == (NOW, "a")
    known = clock.shifted(Memory(skipped), timedelta(hours=1))
    assert clock.look_of(known.last) == (NOW + timedelta(hours=1), "a")
    usual = clock.moment_of(PassInfo(later - timedelta(minutes=1), boot="b"), now)
    assert not usual.rebooted and usual.unwatched == 0
    assert not clock.moment_of(PassInfo(), now).rebooted


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_a_document_that_somebody_else_made_decides_nothing(
    paths: Paths, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    save(paths, Memory(PassInfo(NOW)))
    file = path_of(paths)
    assert file.stat().st_mode & 0o777 == 0o644
    assert load(paths).last.at == NOW
    kept = file.rename(paths.log / "kept")
    if kind == "file":
        file.write_bytes(kept.read_bytes())
    elif kind == "link":
        file.symlink_to(kept)
    else:
        os.mkfifo(file)
    os.chown(file, 1001, -1, follow_symlinks=False)
    assert load(paths) == Memory()
    assert "it is of the user with the number 1001" in capfd.readouterr().err
    assert not os.path.lexists(file) and list(file.parent.glob("*.corrupt-*"))


def test_what_is_written_is_read_again(paths: Paths) -> None:
    save(paths, MEMORY)
    assert load(paths) == MEMORY
    bare = Memory(PassInfo(), {"x": Entry("2", 1, "u", "x", "created")})
    save(paths, bare)
    assert load(paths) == bare


def test_one_that_cannot_be_used_is_set_aside(paths: Paths) -> None:
    path_of(paths).write_text('{"version": 1}', "utf-8")
    assert outlooks(paths) == {} and pass_info(paths).at is None
    assert load(paths) == Memory()
    assert list(paths.state.glob("lifecycle.json.corrupt-*"))
    path_of(paths).write_text('{"version": 2}', "utf-8")
    assert load(paths) == Memory()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (42 * 60, "42m"),
        (42 * 60 + 30, "42m"),
        (9 * 3600 + 36 * 60, "9h 36m"),
        (3 * 86400 + 4 * 3600 + 5 * 60, "3d 4h"),
        (86400, "1d"),
        (-5, "0s"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_what_comes_next_in_words() -> None:
    shown = outlook("proj._.1000", entry_json(ENTRY), NOW)
    assert shown.idle_seconds == 3 * 3600
    assert shown.words(NOW) == "stops in 42m: idle, kept"
    assert shown.words(NOW + timedelta(hours=1)) == "stops now: idle"
    later = replace(ENTRY, next=None)
    assert outlook("p", entry_json(later), NOW).words(NOW) == "kept"
    assert outlook("p", entry_json(later), NOW).words(NOW + timedelta(hours=2)) == ""
    stopped = replace(ENTRY, state="exited")
    assert outlook("p", entry_json(stopped), NOW).idle_seconds is None


def test_nothing_is_foreseen_where_no_pass_works(paths: Paths) -> None:
    assert present(paths, NOW) == ({}, None)
    save(paths, MEMORY)
    found, trouble = present(paths, NOW + timedelta(minutes=2))
    assert found["proj._.1000"].rule == "idle_timeout" and trouble is None
    found, trouble = present(paths, NOW + timedelta(hours=2))
    assert (found, trouble) == ({}, "idle times are not watched since 2h")
    save(paths, replace(MEMORY, last=replace(MEMORY.last, skipped="NVML is down")))
    found, trouble = present(paths, NOW)
    assert (found, trouble) == ({}, "idle times are not watched: NVML is down")


def test_a_clock_that_was_set() -> None:
    last = PassInfo(NOW, boot="a", uptime=100.0)
    good = PassInfo(NOW + timedelta(seconds=60), boot="a", uptime=161.0)
    clock.check(last, good)
    clock.check(PassInfo(), good)
    for hours in (-2, 2):
        jumped = replace(good, at=NOW + timedelta(hours=hours))
        with pytest.raises(clock.ClockError) as caught:
            clock.check(last, jumped)
        assert abs(caught.value.drift - timedelta(hours=hours)) < timedelta(minutes=2)
    # After a reboot only a clock that stands before is certainly wrong.
    clock.check(last, replace(good, boot="b", at=NOW + timedelta(days=3), uptime=9.0))
    with pytest.raises(clock.ClockError):
        clock.check(last, replace(good, boot="b", at=NOW - timedelta(days=3)))
    moved = clock.shifted(MEMORY, timedelta(hours=2)).containers["proj._.1000"]
    assert moved.last_active == NOW - timedelta(hours=1)
    assert moved.warned[0].due == NOW + timedelta(hours=2, minutes=42)


def test_the_usual_time_between_passes() -> None:
    assert clock.tick_of(PassInfo(NOW, tick=60.0), 60.0) == 60.0
    # One that was late, or called by hand in between, does not count as usual.
    assert clock.tick_of(PassInfo(NOW, tick=60.0), 900.0) == 60.0
    assert clock.tick_of(PassInfo(NOW, tick=900.0), 60.0) == 60.0
    assert clock.tick_of(PassInfo(NOW, tick=900.0), 900.0) == 300.0
    assert clock.tick_of(PassInfo(), 0.0) == 1.0


def test_kept_containers() -> None:
    def stamp(moment: datetime) -> str:
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    asked = {
        "id": "1",
        "at": stamp(NOW),
        "until": stamp(NOW + timedelta(hours=4)),
        "by": "alice",
    }
    kept = records_kept.kept
    until = NOW + timedelta(hours=4)
    assert kept({"kept": asked}, "1", 86400, NOW) == (until, "alice")
    assert kept({"kept": asked}, "2", 86400, NOW) == (None, "")  # an earlier container
    assert kept({"kept": asked}, "1", 3600, NOW)[0] == NOW + timedelta(hours=1)
    assert kept({"kept": asked}, "1", None, until) == (None, "")
    # A record that was written by hand does not reach further than the policy.
    forged = asked | {
        "at": stamp(NOW + timedelta(days=900)),
        "until": "2999-01-01T00:00:00Z",
    }
    assert kept({"kept": forged}, "1", 3600, NOW)[0] == NOW + timedelta(hours=1)
    for broken in (
        None,
        {},
        {"kept": None},
        {"kept": {"id": "1"}},
        {"kept": asked | {"at": 3}},
    ):
        assert kept(broken, "1", None, NOW) == (None, "")


def test_how_long_one_may_ask_for() -> None:
    assert seconds_for("4h", 86400) == 4 * 3600
    assert seconds_for(None, 3600) == 3600
    assert seconds_for(None, None) == 86400
    assert seconds_for("90d", None) == 90 * 86400
    for text, most, code in (
        ("2d", 86400, Exit.REFUSED),
        ("4", 86400, Exit.USAGE),
        ("0s", 86400, Exit.USAGE),
    ):
        with pytest.raises(HelperError) as caught:
            seconds_for(text, most)
        assert caught.value.code == code


def test_the_document_is_as_documented(paths: Paths) -> None:
    save(paths, MEMORY)
    raw = json.loads(path_of(paths).read_text("utf-8"))
    assert set(raw) == {"version", "pass", "containers"}
    assert set(raw["pass"]) == {field.name for field in fields(PassInfo)}
    text = (
        Path(__file__).resolve().parents[3] / "python/ds01/records/passes.py"
    ).read_text()
    for key in raw["containers"]["proj._.1000"]:
        assert f'"{key}"' in text.partition('"""')[2].partition('"""')[0]
    for key in raw["pass"]:
        assert f'"{key}"' in text.partition('"""')[2].partition('"""')[0]
