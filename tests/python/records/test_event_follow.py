"""records/log_follow.py: each line once and in order, however the log is rotated."""

from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_event_reader import START, line, lines

from ds01.records.log_follow import Follower


class Log:
    """A log with a writer, and what an administrator does to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0

    def write(self, count: int = 1) -> None:
        with self.path.open("ab") as file:
            for _ in range(count):
                file.write(line(self.written))
                self.written += 1

    def shift(self) -> None:
        files = sorted(
            (path for path in self.path.parent.iterdir() if path != self.path),
            key=lambda path: -int(path.name.split(".")[2]),
        )
        for path in files:
            _, _, number, *packed = path.name.split(".")
            name = ".".join([self.path.name, str(int(number) + 1), *packed])
            path.rename(path.with_name(name))

    def rename(self, *, create: bool = True) -> None:
        self.shift()
        if self.path.exists():
            self.path.rename(f"{self.path}.1")
        if create:
            self.path.touch()

    def copytruncate(self) -> None:
        self.shift()
        if self.path.exists():
            shutil.copyfile(self.path, f"{self.path}.1")
            self.path.write_bytes(b"")

    def pack(self, number: int) -> None:
        path = Path(f"{self.path}.{number}")
        if path.exists():
            Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "events.jsonl")


@pytest.fixture
def follower(log: Log) -> Iterator[Follower]:
    it = Follower(log.path)
    yield it
    it.close()


def take(follower: Follower) -> bytes:
    return b"".join(follower.poll())


def test_new_lines_come_once(log: Log, follower: Follower) -> None:
    log.write(2)
    assert take(follower) == lines(0, 1)
    assert take(follower) == b""
    log.write(1)
    assert take(follower) == lines(2)


def test_a_log_that_is_not_there_yet(log: Log, follower: Follower) -> None:
    assert take(follower) == b""
    log.path.touch()
    assert take(follower) == b""
    log.write(1)
    assert take(follower) == lines(0)


def test_half_a_line_waits_for_its_end(log: Log, follower: Follower) -> None:
    log.path.write_bytes(lines(0)[:10])
    assert take(follower) == b""
    log.path.write_bytes(lines(0, 1))
    assert take(follower) == lines(0, 1)


def test_it_begins_at_a_moment(log: Log) -> None:
    log.path.with_name("events.jsonl.1").write_bytes(lines(0, 1))
    log.written = 2
    log.write(2)
    it = Follower(log.path, START + timedelta(seconds=1))
    assert lines(1, 2, 3) in take(it)
    log.write(1)
    assert take(it) == lines(4)
    it.close()


@pytest.mark.parametrize("create", [True, False])
def test_it_survives_renaming(log: Log, follower: Follower, create: bool) -> None:
    log.write(2)
    take(follower)
    log.write(1)
    log.rename(create=create)
    assert take(follower) == lines(2)
    log.write(1)
    assert take(follower) == lines(3)


def test_a_writer_that_came_late_to_the_old_file(log: Log, follower: Follower) -> None:
    log.write(1)
    take(follower)
    with log.path.open("ab") as late:
        log.rename()
        assert take(follower) == b""
        late.write(line(1))
    log.written = 2
    log.write(1)
    assert take(follower) == lines(1, 2)


def test_it_survives_several_rotations_at_once(log: Log, follower: Follower) -> None:
    log.write(1)
    take(follower)
    for _ in range(4):
        log.write(3)
        log.rename()
    log.pack(3)
    log.pack(4)
    log.write(2)
    assert take(follower) == lines(*range(1, 15))


def test_it_survives_copytruncate(log: Log, follower: Follower) -> None:
    log.write(5)
    take(follower)
    log.write(2)
    log.copytruncate()
    assert take(follower) == lines(5, 6)
    assert take(follower) == b""
    # As long as before, and longer: the size alone would not tell.
    log.write(7)
    assert take(follower) == lines(*range(7, 14))


def test_a_log_that_was_emptied_by_hand(log: Log, follower: Follower) -> None:
    log.write(5)
    take(follower)
    log.path.write_bytes(b"")
    log.write(6)
    assert take(follower) == lines(*range(5, 11))


def test_a_file_that_is_gone_with_what_was_read(log: Log, follower: Follower) -> None:
    log.write(2)
    take(follower)
    log.rename()
    log.write(2)
    log.rename()
    Path(f"{log.path}.2").unlink()
    log.write(1)
    assert take(follower) == lines(2, 3, 4)


def test_a_log_that_is_removed_and_made_anew(log: Log, follower: Follower) -> None:
    log.write(2)
    take(follower)
    log.path.unlink()
    assert take(follower) == b""
    log.write(1)
    assert take(follower) == lines(2)


ACTIONS = ("write", "write", "write", "poll", "poll", "rename", "bare", "copy", "pack")


@settings(max_examples=150)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=40),
    chance=st.randoms(use_true_random=False),
)
def test_every_line_comes_once_and_in_order(
    actions: list[str], chance: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = Log(tmp_path_factory.mktemp("log") / "events.jsonl")
    follower = Follower(log.path)
    found = b""
    for action in actions:
        if action == "write":
            log.write(chance.randint(1, 4))
        elif action == "poll":
            found += take(follower)
        elif action == "copy":
            log.copytruncate()
        elif action == "pack":
            log.pack(chance.randint(1, 3))
        else:
            log.rename(create=action == "rename")
    log.write(1)
    found += take(follower)
    found += take(follower)
    follower.close()
    assert found == lines(*range(log.written))
