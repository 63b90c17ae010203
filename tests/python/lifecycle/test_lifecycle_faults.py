"""Lifecycle passes on the real engine when something is wrong: nothing is stopped that
should not be, nothing is lost, and the next pass goes on.

The containers are real, the clock is moved: a pass an hour later needs no hour.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ds01.core.errors import Exit
from ds01.core.files import locked
from ds01.core.paths import Paths, find_paths
from ds01.gpus.devices.types import Inventory
from ds01.lifecycle.activity_reader import Target, Watcher
from ds01.lifecycle.pass_ import LOCK, Pass, Report
from ds01.records import outlooks, passes
from ds01.records.pass_entries import Entry

pytestmark = [pytest.mark.engine, pytest.mark.passes]

IMAGE = "ds01/debian:bookworm"
DRIVER = Path(__file__).resolve().parents[1].joinpath("lifecycle_driver.py")
MINUTE = 60.0
POLICY = """\
version: 1
default_group: all
defaults: {idle_timeout: 30m, max_runtime: null}
groups: {all: {}}
lifecycle: {warn_at: [50, 90], stop_grace: 0s}
"""


def docker(*words: str) -> str:
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Bench:
    """An installation of its own and one idle container of DS01's."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.container = name
        self.paths: Paths = find_paths()
        self.offset = 0.0

    def make(self, *words: str) -> None:
        labels = {"ds01.managed": "1", "ds01.uid": "0", "ds01.user": "root"}
        flags = [w for k, v in labels.items() for w in ("--label", f"{k}={v}")]
        network = ["--network", "none", "--init"]
        docker("run", "-dit", "--name", self.container, *flags, *network, *words, IMAGE)

    def state(self) -> str:
        return docker("inspect", "--format", "{{.State.Status}}", self.container)

    def a_pass(
        self,
        forward: float = 0.0,
        address: str = "",
        inventory: Inventory | None = None,
        jump: float = 0.0,
    ) -> Report:
        """Make a pass so much later; with `jump` the clock was set besides."""
        self.offset += forward
        shift = timedelta(seconds=self.offset + jump)
        return Pass(
            self.paths,
            address or self.address,
            now=lambda: datetime.now(timezone.utc) + shift,
            uptime=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + self.offset,
            inventory=lambda: inventory or Inventory(),
        ).run()

    def cpu(self) -> int:
        """Return the CPU time of the container in nanoseconds."""
        words = ("inspect", "--format", "{{.Id}} {{.State.Pid}}", self.container)
        identity, pid = docker(*words).split()
        target = Target(identity, int(pid), 0)
        return Watcher(Inventory()).sample(target, datetime.now(timezone.utc)).cpu or 0

    def go(self, minutes: int) -> None:
        """Make passes of every minute."""
        for _ in range(minutes):
            assert self.a_pass(MINUTE).skipped is None

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        try:
            lines = self.paths.events.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        return [
            item
            for item in found
            if item.get("container") == self.container and kind in {"", item["type"]}
        ]

    def entry(self) -> Entry:
        return passes.peek(self.paths).containers[self.container]

    def told(self) -> list[int]:
        return [event["percent"] for event in self.events("warned")]


@pytest.fixture
def bench(docker_host: str, ds01_root: Path) -> Iterator[Bench]:
    (ds01_root / "etc/ds01/resource-limits.yaml").write_text(POLICY, "utf-8")
    found = Bench(docker_host, f"ds01t-idle-{os.getpid()}")
    found.make()
    yield found
    subprocess.run(
        ["docker", "rm", "-f", found.container], capture_output=True, check=False
    )


def test_an_idle_container_is_warned_stopped_and_explained(bench: Bench) -> None:
    bench.go(30)
    assert bench.state() == "running" and bench.told() == [50, 90]
    bench.a_pass(MINUTE)
    assert bench.state() == "exited"
    (event,) = bench.events("stopped")
    assert (event["rule"], event["by"], event["user"]) == (
        "idle_timeout",
        "lifecycle",
        "root",
    )
    assert event["figures"]["limit_seconds"] == 1800
    assert event["figures"]["idle_seconds"] >= 1800
    entry = bench.entry()
    assert entry.state == "exited" and entry.note == "stopped: idle"
    record = json.loads((bench.paths.metadata / f"{bench.container}.json").read_text())
    assert record["lifecycle"]["note"] == "stopped: idle"


@pytest.mark.parametrize("committed", [False, True])
def test_what_is_not_ours_is_not_even_looked_at(
    bench: Bench, *, committed: bool
) -> None:
    name, image = f"{bench.container}-other", IMAGE
    if committed:
        # With all labels of a container of DS01's, but made past the gateway.
        image = docker("commit", bench.container)
    docker("run", "-d", "--name", name, "--network", "none", image, "sleep", "600")
    try:
        report = bench.a_pass()
        assert {s.container for s, _ in report.decisions} >= {bench.container}
        assert name not in {s.container for s, _ in report.decisions}
        bench.go(40)
        assert docker("inspect", "-f", "{{.State.Status}}", name) == "running"
    finally:
        docker("rm", "-f", name)
        if committed:
            docker("rmi", image)


def test_a_busy_container_stays(bench: Bench) -> None:
    policy = bench.paths.policy
    policy.write_text(POLICY.replace("30m", "2m"), "utf-8")
    docker("exec", "-d", bench.container, "sh", "-c", "while :; do :; done")
    # The clock runs ahead, so that some work has to do for most of a minute; how long
    # that takes is a matter of what else the machine does.
    known = 0
    for _ in range(6):
        deadline = time.monotonic() + 120
        while (used := bench.cpu()) < known + 700_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        known = used
        bench.a_pass(30.0)
    assert bench.told() == [] and bench.state() == "running"
    assert bench.entry().active_because.startswith("CPU")


def test_nvml_down(bench: Bench) -> None:
    bench.go(29)
    down = Inventory(error="the driver's library is of another version")
    for _ in range(5):
        report = bench.a_pass(MINUTE, inventory=down)
        assert report.skipped is not None and report.skipped.code == Exit.PREREQUISITE
    assert bench.state() == "running"
    info = passes.pass_info(bench.paths)
    assert info.skipped is not None and "of another version" in info.skipped
    reasons = [
        json.loads(line)["reason"]
        for line in bench.paths.events.read_text("utf-8").splitlines()
        if '"pass-skipped"' in line
    ]
    assert len(reasons) == 1 and "NVML does not answer" in reasons[0]
    _, trouble = outlooks.present(
        bench.paths, datetime.now(timezone.utc) + timedelta(seconds=bench.offset)
    )
    assert trouble is not None and "NVML" in trouble
    bench.go(1)
    assert bench.state() == "exited" and bench.told() == [50, 90]


def test_broken_policy(bench: Bench) -> None:
    bench.go(29)
    policy = bench.paths.policy
    text = policy.read_text("utf-8")
    policy.write_text(text + "lifecycle_x: 3\n", "utf-8")
    report = bench.a_pass(5 * MINUTE)
    assert report.skipped is not None and report.skipped.code == Exit.CONFIG
    assert bench.state() == "running"
    policy.write_text(text, "utf-8")
    bench.a_pass(MINUTE)
    assert bench.state() == "exited"


@pytest.mark.parametrize("jump", [86400.0, -86400.0])
def test_a_clock_that_was_set(bench: Bench, jump: float) -> None:
    bench.go(10)
    report = bench.a_pass(MINUTE, jump=jump)
    assert report.skipped is not None
    assert "the clock jumped" in report.skipped.message
    # From now on the clock is like that.
    for _ in range(3):
        report = bench.a_pass(MINUTE, jump=jump)
        assert report.skipped is None
    assert bench.state() == "running" and bench.told() == []
    idle = report.at - (bench.entry().last_active or report.at)
    assert timedelta(minutes=12) < idle < timedelta(minutes=16)


def test_a_pass_while_another_one_is_at_work(bench: Bench) -> None:
    with locked(bench.paths.state / LOCK, 1.0):
        assert bench.a_pass().is_busy
    assert not bench.a_pass().is_busy


def test_many_passes_at_once_warn_once(bench: Bench) -> None:
    bench.go(14)
    words = [sys.executable, str(DRIVER), "--offset", str(bench.offset + 180)]
    children = [
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    answers = [json.loads(child.communicate(timeout=180)[0]) for child in children]
    assert all(answer["skipped"] is None for answer in answers)
    assert any(not answer["busy"] for answer in answers)
    assert bench.told() == [50]


class Failing:
    """A door to the engine that shuts for good after so many connections or bytes."""

    def __init__(self, address: str, folder: Path, answers: int) -> None:
        self._target = address.removeprefix("unix://")
        self._left = answers
        self._server = socket.socket(socket.AF_UNIX)
        path = folder / f"door{answers}"
        self._server.bind(str(path))
        self._server.listen()
        self.address = f"unix://{path}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self._target)
            words = (engine, client)
            threading.Thread(target=self._pass_back, args=words, daemon=True).start()
            while request := client.recv(65536):
                self._left -= 1
                if self._left < 0:
                    break
                engine.sendall(request)
            engine.shutdown(socket.SHUT_RDWR)

    def _pass_back(self, engine: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while answer := engine.recv(65536):
                client.sendall(answer)
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()


def test_the_engine_goes_away_in_the_middle(bench: Bench, tmp_path: Path) -> None:
    bench.go(29)
    skipped = 0
    for answers in range(5):
        door = Failing(bench.address, tmp_path, answers)
        report = bench.a_pass(30.0, address=door.address)
        door.close()
        skipped += report.skipped is not None
    # The lists and details are three requests; later ones are the stop itself.
    assert skipped >= 3
    passes.load(bench.paths)
    assert bench.told() == [50, 90]
    bench.a_pass(5 * MINUTE)
    assert bench.state() == "exited"
    assert len(bench.events("stopped")) == 1


@pytest.fixture
def small_disk(bench: Bench) -> Iterator[Path]:
    """The state folder on a disk of its own, which can be full or read-only."""
    folder = bench.paths.state
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=2777", "tmpfs", folder],
        check=True,
    )
    (folder / "container-metadata").mkdir(mode=0o2777)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(bench: Bench, small_disk: Path) -> None:
    bench.go(28)
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    for _ in range(4):
        try:
            report = bench.a_pass(MINUTE)
        except Exception as error:
            assert getattr(error, "code", None) in {Exit.PREREQUISITE, Exit.CONFIG}
        else:
            assert report.skipped is not None
    assert bench.state() == "running" and bench.events("stopped") == []
    filler.unlink()
    bench.a_pass(MINUTE)
    assert bench.state() == "exited" and bench.told()[-1] == 90


def test_a_state_that_cannot_be_written(bench: Bench, small_disk: Path) -> None:
    bench.go(28)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for _ in range(4):
        with pytest.raises(Exception, match="read-only"):
            bench.a_pass(MINUTE)
    assert bench.state() == "running" and bench.events("stopped") == []
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    bench.a_pass(MINUTE)
    assert bench.state() == "exited"


def test_after_a_reboot_the_owner_is_told(bench: Bench) -> None:
    bench.go(3)
    file = outlooks.path_of(bench.paths)
    before = json.loads(file.read_text("utf-8"))
    before["pass"]["boot"] = "another boot"
    file.write_text(json.dumps(before), "utf-8")
    docker("kill", bench.container)
    # Cron is there before the engine.
    assert bench.a_pass(9 * MINUTE, address="unix:///none.sock").skipped is not None
    bench.a_pass(MINUTE)
    (event,) = bench.events("found-stopped")
    assert event["why"] == "the server was restarted"
    shown = outlooks.outlooks(bench.paths)[bench.container]
    assert shown.note == "stopped: the server was restarted"
    bench.go(2)
    assert len(bench.events("found-stopped")) == 1
    docker("start", bench.container)
    bench.go(1)
    assert outlooks.outlooks(bench.paths)[bench.container].note == ""


def test_a_broken_memory_is_set_aside(bench: Bench) -> None:
    bench.go(29)
    outlooks.path_of(bench.paths).write_text('{"version": 1, "pass"', "utf-8")
    bench.go(2)
    assert bench.state() == "running"
    assert bench.entry().active_because == "seen for the first time"
    assert list(bench.paths.state.glob("lifecycle.json.corrupt-*"))


def _driver(offset: float, die_at: int = 0) -> int:
    words = [sys.executable, str(DRIVER), "--offset", str(offset)]
    if die_at:
        words += ["--die-at", str(die_at)]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode in {-9, 0}, done.stderr
    return done.returncode


def _calls(offset: float) -> int:
    words = [sys.executable, str(DRIVER), "--offset", str(offset), "--count"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, timeout=180
    )
    return int(done.stdout)


def test_killed_at_many_points_of_a_pass_that_warns(bench: Bench) -> None:
    bench.go(13)
    whole = _calls(bench.offset)
    bench.offset += 3 * MINUTE
    points = [1 + number * whole // 14 for number in range(15)]
    for point in points:
        assert _driver(bench.offset, point) in {-9, 0}
        passes.load(bench.paths)  # whole, whenever it was killed
        assert bench.state() == "running"
    assert _driver(bench.offset) == 0
    # Told once it was, or again where it died before it could note that.
    assert set(bench.told()) == {50} and 1 <= len(bench.told()) <= 4
    before = len(bench.told())
    assert _driver(bench.offset) == 0
    assert len(bench.told()) == before
    assert [item.percent for item in bench.entry().warned] == [50]


def test_killed_at_many_points_of_a_pass_that_stops(bench: Bench) -> None:
    bench.go(29)
    bench.offset += 2 * MINUTE
    whole = _calls(bench.offset - 2 * MINUTE) + 250
    for number in range(12):
        assert _driver(bench.offset, 1 + number * whole // 11) in {-9, 0}
        passes.load(bench.paths)
        if bench.state() == "exited":
            break
        # A pass that died after it had decided: the next one waits for it a while.
        bench.offset += 5.0 if bench.entry().doing is None else 2.5 * MINUTE
    for _ in range(3):
        assert _driver(bench.offset) == 0
        bench.offset += 2.5 * MINUTE
    assert bench.state() == "exited"
    told = bench.events()
    kinds = [event["type"] for event in told]
    assert kinds.index("warned") < kinds.index("stopped")
    assert set(bench.told()) == {50, 90}
    assert 1 <= kinds.count("stopped") <= 2
    assert bench.entry().state == "exited" and bench.entry().doing is None
