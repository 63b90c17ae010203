"""core/turns.py: the order of those who wait for a lock, and what wakes them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ds01.core import files, turns
from ds01.core.errors import HelperError


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def waits(path: Path, number: int = 1) -> None:
    """Return when so many wait for the lock."""
    end = time.monotonic() + 90
    with opened(path) as file:
        while time.monotonic() < end:
            found, after = 0, 0
            while (ticket := ticket_after(file, after)) is not None:
                found, after = found + 1, ticket
            if found == number:
                return
            time.sleep(0.002)
    pytest.fail(f"{number} do not wait")


def ticket_after(file: int, after: int) -> int | None:
    """The lowest ticket above a number, by the kernel's word."""
    import fcntl

    start = after + 1 if after else 1 << 60
    lowest, length = None, 0
    while True:
        asked = turns._FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        answer = turns._FLOCK.unpack(fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))
        if answer[0] == fcntl.F_UNLCK:
            return lowest
        lowest = int(answer[2])
        length = lowest - start
        if not length:
            return lowest


def take(path: Path, name: str, order: list[str], seconds: float = 20) -> None:
    with files.locked(path, seconds):
        order.append(name)


def start(path: Path, name: str, order: list[str]) -> threading.Thread:
    thread = threading.Thread(target=take, args=(path, name, order))
    thread.start()
    return thread


def test_who_came_first_is_first(tmp_path: Path) -> None:
    path, order = tmp_path / "x.lock", list[str]()
    threads = []
    with files.locked(path):
        for number in range(12):
            threads.append(start(path, str(number), order))
            waits(path, number + 1)
    for thread in threads:
        thread.join()
    assert order == [str(number) for number in range(12)]


def test_a_newcomer_does_not_pass_those_who_wait(tmp_path: Path) -> None:
    path, order = tmp_path / "x.lock", list[str]()
    with files.locked(path):
        thread = start(path, "old", order)
        waits(path)
    take(path, "new", order)
    thread.join()
    assert order == ["old", "new"]


def test_the_next_is_woken_and_need_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_FIRST_LOOKS", 3600.0)
    monkeypatch.setattr(turns, "_OTHERS_LOOK", 3600.0)
    path, order = tmp_path / "x.lock", list[str]()
    with files.locked(path):
        threads = [start(path, "a", order)]
        waits(path, 1)
        threads.append(start(path, "b", order))
        waits(path, 2)
    for thread in threads:
        thread.join(120)
    assert sorted(order) == ["a", "b"]


def test_without_sockets_the_next_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> socket.socket:
        raise OSError("none left")

    monkeypatch.setattr(socket, "socket", fail)
    path, order = tmp_path / "x.lock", list[str]()
    with files.locked(path):
        thread = start(path, "a", order)
        waits(path)
    thread.join(90)
    assert order == ["a"]


def test_who_gives_up_leaves_no_ticket(tmp_path: Path) -> None:
    path, order = tmp_path / "x.lock", list[str]()
    with files.locked(path):
        with pytest.raises(HelperError, match=r"waited 0\.05 s"):
            take(path, "late", order, 0.05)
        with opened(path) as file:
            assert ticket_after(file, 0) is None
        thread = start(path, "a", order)
        waits(path)
    thread.join()
    assert order == ["a"]


def _hold(path: Path, ready: object, seconds: float) -> None:
    with files.locked(path, 120):
        ready.set()  # type: ignore[attr-defined]
        time.sleep(seconds)


def test_a_waiter_that_is_killed_keeps_nobody(tmp_path: Path) -> None:
    path, order = tmp_path / "x.lock", list[str]()
    context = multiprocessing.get_context("fork")
    with files.locked(path):
        first = context.Process(target=_hold, args=(path, context.Event(), 0))
        first.start()
        waits(path, 1)
        second = start(path, "b", order)
        waits(path, 2)
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        first.join()
    second.join(90)
    assert order == ["b"]


def test_a_holder_that_is_killed_keeps_nobody(tmp_path: Path) -> None:
    path, order = tmp_path / "x.lock", list[str]()
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(path, ready, 600))
    holder.start()
    assert ready.wait(90)
    thread = start(path, "a", order)
    waits(path)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    thread.join(90)
    holder.join()
    assert order == ["a"]


def test_a_child_forked_under_the_lock_does_not_keep_it(tmp_path: Path) -> None:
    path, order = tmp_path / "x.lock", list[str]()
    with files.locked(path):
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(0)
    try:
        take(path, "a", order, 5)
        assert order == ["a"]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _count(path: Path, rounds: int, total: Path) -> None:
    for _ in range(rounds):
        with files.locked(path, 300):
            value = int(total.read_text())
            time.sleep(0)
            total.write_text(str(value + 1))


def test_many_processes_are_never_inside_at_once(tmp_path: Path) -> None:
    path, total = tmp_path / "x.lock", tmp_path / "total"
    total.write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_count, args=(path, 40, total)) for _ in range(12)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert total.read_text() == "480"


def test_who_is_next_but_one_prepares_meanwhile(
    tmp_path: Path,
) -> None:
    path, order = tmp_path / "x.lock", list[str]()

    def prepared() -> None:
        with files.locked(path, 120, prepare=lambda: order.append("prepared")):
            order.append("second")

    def first() -> None:
        with files.locked(path, 120):
            order.append("first")
            # It is told while the one before holds the lock.
            end = time.monotonic() + 90
            while "prepared" not in order and time.monotonic() < end:
                time.sleep(0.002)

    with files.locked(path):
        threads = [threading.Thread(target=first)]
        threads[0].start()
        waits(path, 1)
        threads.append(threading.Thread(target=prepared))
        threads[1].start()
        waits(path, 2)
    for thread in threads:
        thread.join()
    assert sorted(order) == ["first", "prepared", "second"]
    assert order[-1] == "second"


def test_who_does_not_wait_does_not_prepare(tmp_path: Path) -> None:
    order: list[str] = []
    with files.locked(tmp_path / "x.lock", prepare=lambda: order.append("prepared")):
        pass
    assert order == []


def test_the_lowest_ticket_is_told_whatever_the_order_of_setting(
    tmp_path: Path,
) -> None:
    import fcntl

    path = tmp_path / "x.lock"
    with opened(path) as late, opened(path) as early, opened(path) as looks:
        low = (1 << 60) + 5
        assert turns._oldest(looks) is None
        assert turns._set(late, fcntl.F_WRLCK, low + 1)
        assert turns._set(early, fcntl.F_WRLCK, low)
        assert turns._oldest(looks) == low
        assert turns._oldest(looks, after=low) == low + 1
        assert turns._oldest(looks, after=low + 1) is None
        assert turns._any_ticket(late, before=low + 1) == low
        assert turns._any_ticket(early, before=low) is None
        assert not turns._set(looks, fcntl.F_WRLCK, low)
