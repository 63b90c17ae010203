"""Debian's logrotate with the shipped configuration: no line lost, torn or moved."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ds01.core.paths import Paths
from ds01.records.event_log import append_event
from ds01.records.log_follow import Follower
from ds01.records.log_reader import list_files, log_path, read_lines, select

pytestmark = pytest.mark.engine  # needs root, and logrotate of the bench

SHIPPED = Path(__file__).resolve().parents[3] / "config/logrotate.d/ds01"
WRITERS = 8
# So many at least, and until there were so many rotations.
LINES = 150
ROTATIONS = 5

WRITE = """
import sys
from pathlib import Path
from ds01.core.paths import Paths
from ds01.records.event_log import append_event
root, writer, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
paths = Paths(root, root, root / "log of ds01")
number = -1
while number + 1 < count or not (root / "enough").exists():
    number += 1
    for log in ("events", "gpu-allocations"):
        append_event("started", log=log, paths=paths, writer=writer, number=number,
                     text="x" * (number % 97 * 20))
(root / f"lines{writer}").write_text(str(number + 1))
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A log folder as install.sh makes it: the group of the engine may write."""
    log = tmp_path / "log of ds01"
    log.mkdir()
    os.chown(log, 0, grp.getgrnam("users").gr_gid)
    log.chmod(0o2775)
    return Paths(tmp_path, tmp_path, log)


@pytest.fixture
def rotate(paths: Paths) -> Callable[..., None]:
    """A function that runs logrotate once, as cron does."""
    text = SHIPPED.read_text(encoding="utf-8")
    assert text.count("/var/log/ds01/") == 3
    text = text.replace("/var/log/ds01", str(paths.log))
    assert "su root docker\n" in text
    config = paths.etc / "ds01.conf"
    # More rotations than in a year, so none may go yet.
    text = text.replace("su root docker", "su root users").replace(
        "rotate 60", "rotate 999"
    )
    config.write_text(text, encoding="utf-8")
    config.chmod(0o644)
    program = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program, "tests/run installs logrotate"

    def run(*options: str) -> None:
        done = subprocess.run(
            [program, *options, "--state", paths.state / "status", config],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")

    return run


def test_eight_writers_lose_no_line(
    paths: Paths, rotate: Callable[..., None], tmp_path: Path
) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    followers = [
        Follower(log_path(paths, log)) for log in ("events", "gpu-allocations")
    ]
    followed: list[list[bytes]] = [[], []]
    done = threading.Event()

    def follow() -> None:
        while not done.wait(0.05):
            for follower, found in zip(followers, followed, strict=True):
                found.extend(follower.poll())

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITE, str(tmp_path), str(number), str(LINES)],
                env=env,
            )
            for number in range(WRITERS)
        ]
        rotations = 0
        while any(writer.poll() is None for writer in writers):
            rotate("--force")
            rotations += 1
            if rotations == ROTATIONS:
                (tmp_path / "enough").touch()
    finally:
        (tmp_path / "enough").touch()
        done.set()
        thread.join()
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    assert rotations >= ROTATIONS
    lines = [int((tmp_path / f"lines{n}").read_text()) for n in range(WRITERS)]
    for log, follower, found in zip(
        ("events", "gpu-allocations"), followers, followed, strict=True
    ):
        path = log_path(paths, log)
        found.extend(follower.poll())
        follower.close()
        assert [path.suffix for path in list_files(path)].count(".gz") >= 3
        read = list(read_lines(path))
        assert list(select(iter(found), None, None)) == read
        assert len(found) == len(read) == sum(lines)
        times = [event["time"] for event in read]
        assert times == sorted(times)
        for writer in range(WRITERS):
            numbers = [e["number"] for e in read if e["writer"] == writer]
            assert numbers == list(range(lines[writer]))


def test_a_new_file_has_the_rights_and_the_group_of_the_old(
    paths: Paths, rotate: Callable[..., None]
) -> None:
    append_event("started", paths=paths)
    rotate("--force")
    append_event("stopped", paths=paths)
    for path in list_files(paths.events):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o660
        assert grp.getgrgid(status.st_gid).gr_name == "users"
    assert [event["type"] for event in read_lines(paths.events)] == [
        "started",
        "stopped",
    ]


def test_nothing_is_rotated_before_its_time(
    paths: Paths, rotate: Callable[..., None]
) -> None:
    rotate()
    append_event("started", paths=paths)
    rotate()
    rotate()
    assert list_files(paths.events) == [paths.events]
