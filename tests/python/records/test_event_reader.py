"""log_reader.py: logs across rotation, from a moment on, whatever is in them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.core.errors import HelperError
from ds01.core.units import utc_stamp
from ds01.records import log_reader
from ds01.records.log_reader import (
    list_files,
    open_files,
    raw_lines,
    read_lines,
)

START = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)


def line(number: int, moment: datetime | None = None, **fields: Any) -> bytes:
    moment = moment or START + timedelta(seconds=number)
    value = {"time": utc_stamp(moment), "type": "started", "n": number, **fields}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def lines(*numbers: int) -> bytes:
    return b"".join(map(line, numbers))


def numbers(
    path: Path, since: datetime | None = None, until: datetime | None = None
) -> list[int]:
    return [event["n"] for event in read_lines(path, since, until)]


def pack(path: Path, data: bytes, moment: datetime) -> None:
    with gzip.open(path, "wb") as file:
        file.write(data)
    os.utime(path, (moment.timestamp(), moment.timestamp()))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def rotated(log: Path) -> Path:
    pack(log.with_name("events.jsonl.10.gz"), lines(0, 1), START)
    pack(log.with_name("events.jsonl.3.gz"), lines(2, 3), START + timedelta(seconds=3))
    log.with_name("events.jsonl.2").write_bytes(lines(4, 5))
    log.with_name("events.jsonl.1").write_bytes(lines(6, 7))
    log.write_bytes(lines(8, 9))
    return log


def test_files_are_read_oldest_first_packed_or_not(rotated: Path) -> None:
    assert numbers(rotated) == list(range(10))


def test_dates_for_numbers_come_before_numbers(log: Path) -> None:
    for name in ("-20261123", "-20261122.gz", "-20261124-1300", ".1"):
        log.with_name(log.name + name).write_bytes(b"")
    assert [path.name for path in list_files(log)] == [
        "events.jsonl-20261122.gz",
        "events.jsonl-20261123",
        "events.jsonl-20261124-1300",
        "events.jsonl.1",
    ]


def test_of_a_file_that_is_being_packed_the_plain_one_counts(log: Path) -> None:
    log.write_bytes(lines(2))
    log.with_name("events.jsonl.1").write_bytes(lines(0, 1))
    log.with_name("events.jsonl.1.gz").write_bytes(b"\x1f\x8b half")
    assert numbers(log) == [0, 1, 2]


def test_strangers_beside_the_log_are_not_read(log: Path) -> None:
    log.write_bytes(lines(1))
    for name in (".swp", ".1.bak", ".corrupt", "x", "-2026", ".1x.gz"):
        log.with_name(log.name + name).write_bytes(lines(99))
    assert numbers(log) == [1]


def test_no_log_is_no_event(log: Path) -> None:
    assert numbers(log) == []


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(HelperError, match="does not exist"):
        list(read_lines(tmp_path / "no" / "events.jsonl"))


@pytest.mark.parametrize(
    "torn",
    [
        b"\n",
        b'{"time":"2026-11-24T12:00:00.500Z","type":"start\n',
        b"\x00\x00\x00\x00\n",
        b"[1]\n",
        b'{"type":"started"}\n',
        b'{"time":"2026-11-24T12:00:00.500Z","type":7}\n',
        b"\xff\xfe broken \n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_torn_lines_are_left_out(log: Path, torn: bytes) -> None:
    log.write_bytes(lines(0) + torn + lines(1))
    assert numbers(log) == [0, 1]
    assert numbers(log, START + timedelta(seconds=1)) == [1]


def test_half_a_line_at_the_end_is_not_an_event_yet(log: Path) -> None:
    log.write_bytes(lines(0, 1)[:-1])
    assert numbers(log) == [0]


def test_a_broken_archive_gives_what_can_be_read(log: Path) -> None:
    noise = [hashlib.sha256(bytes([n % 256, n // 256])) for n in range(2000)]
    data = b"".join(line(n, text=it.hexdigest()) for n, it in enumerate(noise))
    packed = gzip.compress(data)
    log.with_name("events.jsonl.2.gz").write_bytes(packed[: len(packed) // 2])
    log.with_name("events.jsonl.3.gz").write_bytes(b"no archive at all")
    log.write_bytes(lines(5000))
    found = numbers(log)
    assert found[-1] == 5000
    assert 500 < len(found) < 1500
    assert found[:-1] == list(range(len(found) - 1))


@pytest.mark.parametrize(("since", "until"), [(3, 7), (None, 2), (8, None), (4, 4)])
def test_a_window_has_its_beginning_and_not_its_end(
    rotated: Path, since: int | None, until: int | None
) -> None:
    def at(second: int | None) -> datetime | None:
        return None if second is None else START + timedelta(seconds=second)

    last = 10 if until is None else until
    assert numbers(rotated, at(since), at(until)) == list(range(since or 0, last))


def test_another_writers_lines_are_read_too(log: Path) -> None:
    log.write_bytes(b'{ "n": 1, "type": "x", "time": "2026-11-24T12:00:01Z" }\n')
    assert numbers(log, START) == [1]
    assert numbers(log, START + timedelta(minutes=1)) == []


def test_a_rotation_meanwhile_takes_nothing_away(rotated: Path) -> None:
    with ExitStack() as stack:
        files = open_files(rotated, stack)
        rotated.with_name("events.jsonl.2").unlink()
        rotated.rename(rotated.with_name("events.jsonl.1"))
        rotated.write_bytes(lines(10))
        found = [raw for item in files for raw in raw_lines(item)]
    assert b"".join(found) == lines(*range(10))


def test_recent_lines_are_found_from_the_end(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_bytes(b"".join(map(line, range(40_000))))
    size = log.stat().st_size
    read: list[int] = []
    pread = os.pread

    def counted(file: int, length: int, offset: int) -> bytes:
        read.append(length)
        return pread(file, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    monkeypatch.setattr(log_reader, "BLOCK", 1 << 16)
    assert numbers(log, START + timedelta(seconds=39_990)) == list(
        range(39_990, 40_000)
    )
    assert sum(read) < size / 8


def test_a_clock_that_was_set_back_hides_nothing_near(log: Path) -> None:
    before = [line(n) for n in range(100)]
    after = [line(n, START + timedelta(seconds=n - 150)) for n in range(100, 120)]
    log.write_bytes(b"".join([*before, *after]))
    found = numbers(log, START + timedelta(seconds=90))
    assert found == list(range(90, 100))


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=60),
    second=st.integers(0, 320),
    block=st.integers(40, 400),
)
def test_from_any_moment_no_line_is_missed(
    sizes: list[int], second: int, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("log") / "events.jsonl"
    log.write_bytes(b"".join(line(n * 5, text="x" * s) for n, s in enumerate(sizes)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_reader, "BLOCK", block)
        found = numbers(log, START + timedelta(seconds=second))
    assert found == [n * 5 for n in range(len(sizes)) if n * 5 >= second]
