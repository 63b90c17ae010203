"""What containers do, read from kernel files of every layout and from real ones."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ds01.core.processes import Process
from ds01.gpus.devices.types import Device, Inventory
from ds01.lifecycle import activity_reader
from ds01.lifecycle.activity import Known, Sample, counters_of, judge
from ds01.lifecycle.activity_reader import (
    Cgroups,
    Target,
    Watcher,
    gpu_use,
    keep_files,
    read_cgroups,
)
from ds01.policy.sections import Lifecycle

ID = "0123456789abcdef" * 4
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
STAT = "41 (python (a) b) {state} 1 41 41 0 -1 4194304 100 0 0 0 1 1 0 0"
NET = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets
    lo:  999999    1    0    0    0     0          0         0   999999    1
  eth0:    1000    1    0    0    0     0          0         0      234    1
  eth1: 5       1    0    0    0     0          0         0      1    1
"""
LAYOUTS = {
    # mountinfo, /proc/PID/cgroup, the folder of CPU, of block I/O
    "v2, systemd": (
        "30 23 0:26 / {base} rw shared:9 - cgroup2 cgroup2 rw,nsdelegate",
        f"0::/system.slice/docker-{ID}.scope\n",
        f"system.slice/docker-{ID}.scope",
        f"system.slice/docker-{ID}.scope",
    ),
    "v2, cgroupfs, a parent of ours": (
        "30 23 0:26 / {base} rw shared:9 - cgroup2 cgroup2 rw",
        f"0::/ds01/u1000/{ID}\n",
        f"ds01/u1000/{ID}",
        f"ds01/u1000/{ID}",
    ),
    "v1, cgroupfs": (
        "33 31 0:30 / {base}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "38 31 0:35 / {base}/blkio rw - cgroup cgroup rw,blkio",
        f"4:blkio:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n",
        f"cpu,cpuacct/docker/{ID}",
        f"blkio/docker/{ID}",
    ),
    "v1, systemd": (
        "33 31 0:30 / {base}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "38 31 0:35 / {base}/blkio rw - cgroup cgroup rw,blkio",
        f"4:blkio:/system.slice/docker-{ID}.scope\n"
        f"2:cpu,cpuacct:/system.slice/docker-{ID}.scope\n",
        f"cpu,cpuacct/system.slice/docker-{ID}.scope",
        f"blkio/system.slice/docker-{ID}.scope",
    ),
    "hybrid, mounted from below a root": (
        "33 31 0:30 /lxc/box {base}/cpuacct rw - cgroup cgroup rw,cpuacct\n"
        "38 31 0:35 /lxc/box {base}/blkio rw - cgroup cgroup rw,blkio\n"
        "41 31 0:38 / {base}/unified rw - cgroup2 cgroup2 rw",
        f"4:blkio:/lxc/box/docker/{ID}\n2:cpuacct:/lxc/box/docker/{ID}\n"
        f"0::/docker/{ID}\n",
        f"cpuacct/docker/{ID}",
        f"blkio/docker/{ID}",
    ),
}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@pytest.fixture(params=LAYOUTS)
def proc(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A /proc in which process 41 is of a container that used 3 s and 700 bytes."""
    mounts, cgroup, cpu, block = LAYOUTS[request.param]
    base, found = tmp_path / "sys fs", tmp_path / "proc"
    named = str(base).replace(" ", "\\040")
    write(found / "self/mountinfo", mounts.format(base=named) + "\n")
    write(found / "self/cgroup", "0::/user.slice\n")
    write(found / "41/cgroup", cgroup)
    write(found / "41/net/dev", NET)
    write(found / "41/mountinfo", "26 24 0:24 / /dev/pts rw - devpts devpts rw\n")
    write(found / "41/stat", STAT.format(state="S"))
    write(found / "42/stat", STAT.format(state="D"))
    write(found / "41/io", "rchar: 9999\nread_bytes: 300\nwrite_bytes: 20\n")
    write(found / "42/io", "wchar: 9999\nread_bytes: 4\ncancelled_write_bytes: 9\n")
    (found / "41/root").mkdir()
    if "v2" in request.param:
        write(base / cpu / "cpu.stat", "usage_usec 3000000\nuser_usec 5\n")
        write(base / block / "io.stat", "8:0 rbytes=500 wbytes=200 rios=1 wios=1\n")
    else:
        write(base / cpu / "cpuacct.usage", "3000000000\n")
        text = "8:0 Read 500\n8:0 Write 200\n8:0 Sync 700\n8:0 Total 700\nTotal 700\n"
        write(base / block / "blkio.throttle.io_service_bytes", text)
    write(base / cpu / "cgroup.procs", "41\n42\n")
    return found


def test_every_layout_of_cgroups(proc: Path) -> None:
    sample = Watcher(Inventory(), proc).sample(Target(ID, 41, 1000), NOW)
    assert (sample.cpu, sample.block, sample.network) == (3 * 10**9, 700, 1240)
    assert (sample.waits, sample.files) == (1, 324)
    assert sample.inputs == ()


@pytest.mark.parametrize(
    ("before", "after", "because"),
    [
        (1000, 1000 + 60 * 102_400, "disk 102 KB/s"),
        (1000, 1000 + 60 * 102_400 - 1, "known"),
        # A process has ended, and took its share with it.
        (10**9, 1000, "known"),
    ],
)
def test_what_processes_read_counts_where_the_cgroup_does_not(
    before: int, after: int, because: str
) -> None:
    base = Sample(NOW, 0, 0, block=0, files=before)
    then = NOW + timedelta(seconds=60)
    known = Known(NOW, counters_of(base), NOW, "known")
    found = judge(replace(base, at=then, files=after), known, Lifecycle())
    assert found.because == because
    assert (found.last_active == then) is (because != "known")


def test_a_number_that_is_another_process_by_now(proc: Path) -> None:
    sample = Watcher(Inventory(), proc).sample(Target("f" * 64, 41, 1000), NOW)
    assert (sample.cpu, sample.inputs, sample.network) == (None, None, None)


def test_a_paused_container_waits_for_no_disk(proc: Path) -> None:
    target = Target(ID, 41, 1000, is_paused=True)
    assert Watcher(Inventory(), proc).sample(target, NOW).waits == 0


def test_a_container_that_ended(proc: Path) -> None:
    sample = Watcher(Inventory(), proc).sample(Target(ID, 77, 1000), NOW)
    assert sample.cpu is None and sample.inputs is None


def test_the_hosts_network_is_no_signal(proc: Path) -> None:
    target = Target(ID, 41, 1000, shares_network=True)
    sample = Watcher(Inventory(), proc).sample(target, NOW)
    assert sample.shares_network and sample.network is None


def test_no_hierarchy() -> None:
    assert Cgroups({}).folder(f"0::/docker/{ID}\n", "") is None
    assert read_cgroups(Path("/nonexistent")).mounts == {}


def test_a_link_in_the_place_of_the_terminals_leads_nowhere(proc: Path) -> None:
    (proc / "41/root/dev").mkdir()
    (proc / "41/root/dev/pts").symlink_to("/dev/pts")
    sample = Watcher(Inventory(), proc).sample(Target(ID, 41, 1000), NOW)
    assert sample.inputs == ()


OWN = Process(7, "python", 1000, ID, 100, 40)
OTHER = Process(8, "python", 1001, "e" * 64, 100, 30)


def device(**fields: object) -> Device:
    values: dict[str, object] = {"utilisation": 70, "memory_used": 5}
    values.update(fields)
    return Device("GPU-1", "GPU-1", "full", 1 << 34, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "percent", "pids"),
    [
        (device(processes=(OWN,)), 70, (7,)),
        # What others do on it is not the container's work.
        (device(processes=(OWN, OTHER)), 40, (7,)),
        (device(processes=(OTHER,)), 0, ()),
        (device(processes=()), 0, ()),
        # A use that the last second does not show.
        (device(processes=(OWN,), utilisation=0), 40, (7,)),
        # Its part cannot be told: all of it may be.
        (device(processes=(Process(7, "p", 1, ID), OTHER)), 70, (7,)),
        (device(processes=(OWN,), utilisation=None), None, (7,)),
        (device(processes=None), 70, None),
        # It ended while it was looked up: it may have been anybody's.
        (device(processes=(Process(9),)), 70, (9,)),
        (None, None, None),
    ],
)
def test_how_much_of_a_device_is_a_containers(
    found: Device | None, percent: float | None, pids: tuple[int, ...] | None
) -> None:
    use = gpu_use(found, "GPU-1", ID)
    assert (use.percent, use.processes) == (percent, pids)


def test_nvml_that_does_not_answer(proc: Path) -> None:
    target = Target(ID, 41, 1000, gpus=("GPU-1",))
    down = Inventory(error="no")
    assert Watcher(down, proc).sample(target, NOW).gpus is None
    assert Watcher(down, proc).sample(Target(ID, 41, 1), NOW).gpus == ()


def test_keep_files(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = shared_dir / "work"
    workspace.mkdir()
    file = workspace / ".keep-alive"
    file.touch()
    os.utime(file, (1e9, 1e9))
    targets = [
        Target("a", 1, 90017, workspace=str(workspace)),
        Target("b", 1, 0, workspace=str(shared_dir)),
        Target("c", 1, 0),
    ]
    seen = datetime.fromtimestamp(1e9, timezone.utc)
    assert keep_files(targets) == {"a": seen, "b": None}

    # A home on a network, which only its owner may look into: not even root.
    os.chown(workspace, 90017, -1)
    workspace.chmod(0o700)
    look, tries = activity_reader._time_of, []

    def guarded(path: Path) -> datetime | None:
        tries.append(path)
        if len(tries) == 1:
            raise PermissionError
        try:
            os.listdir("/root/.")  # noqa: PTH208 - closed to everybody but root
        except PermissionError:
            return look(path)
        pytest.fail("still with root's rights")

    monkeypatch.setattr(activity_reader, "_time_of", guarded)
    assert keep_files(targets[:1]) == {"a": seen}
    assert file.stat().st_uid == 0  # this thread has its own rights all the while


def test_a_workspace_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_reader, "_KEEP_FILE_SECONDS", 0.2)
    answers = threading.Event()
    monkeypatch.setattr(activity_reader, "_time_of", lambda _: answers.wait(600))
    begun = time.monotonic()
    assert keep_files([Target("a", 1, 0, workspace="/x")]) == {}
    assert time.monotonic() - begun < 300
    answers.set()


@pytest.fixture
def container(docker_host: str) -> Iterator[Target]:
    name = f"ds01t-act-{os.getpid()}"
    words = ["docker", "--host", docker_host]
    flags = ["-dit", "--rm", "--name", name]
    made = subprocess.run(
        [*words, "run", *flags, "ds01/debian:bookworm", "bash"],
        capture_output=True,
        text=True,
        check=True,
    )
    pid = subprocess.run(
        [*words, "inspect", "-f", "{{.State.Pid}}", name],
        capture_output=True,
        text=True,
        check=True,
    )
    yield Target(made.stdout.strip(), int(pid.stdout), 0)
    subprocess.run([*words, "rm", "-f", name], capture_output=True, check=False)


@pytest.mark.engine
def test_a_real_container(container: Target, docker_host: str, tmp_path: Path) -> None:
    watcher = Watcher(Inventory())
    before = watcher.sample(container, NOW)
    assert before.cpu is not None and before.block is not None
    assert before.network is not None and before.inputs is not None
    docker = ["docker", "--host", docker_host, "exec", container.id]
    work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    subprocess.run([*docker, "sh", "-c", work], check=True)
    after = watcher.sample(container, NOW)
    assert after.cpu is not None and after.cpu - before.cpu > 50_000_000

    # Not every kernel counts block I/O by cgroup.
    read = "dd if=/dev/zero of=/f bs=1M count=4 conv=fsync; sleep 600"
    with subprocess.Popen([*docker, "sh", "-c", read], stderr=subprocess.DEVNULL) as on:
        deadline = time.monotonic() + 120
        while watcher.sample(container, NOW).files < after.files + 4_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        on.kill()

    # Somebody opens a terminal, and types in it after a while.
    tmux = ["tmux", "-S", str(tmp_path / "t"), "-f", "/dev/null"]
    attach = ["docker", "--host", docker_host, "exec", "-it", container.id, "bash"]
    subprocess.run([*tmux, "new-session", "-d", "-s", "t", *attach], check=True)
    try:
        deadline = time.monotonic() + 120
        while len(watcher.sample(container, NOW).inputs or ()) == len(before.inputs):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(9)  # the kernel writes such times in steps of eight seconds
        opened = watcher.sample(container, NOW).inputs
        assert opened is not None and len(opened) == len(before.inputs) + 1
        # Output alone is no input.
        subprocess.run([*docker, "sh", "-c", "echo hello > /dev/pts/1"], check=True)
        assert watcher.sample(container, NOW).inputs == opened
        typed = time.time()
        subprocess.run([*tmux, "send-keys", "-t", "t", "ls", "Enter"], check=True)
        deadline = time.monotonic() + 120
        while (inputs := watcher.sample(container, NOW).inputs) == opened:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert inputs is not None
        assert max(inputs).timestamp() > typed - 8.0 > max(opened).timestamp() - 9.0
        assert max(inputs) > max(opened)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
