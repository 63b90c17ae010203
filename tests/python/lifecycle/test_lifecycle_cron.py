"""The whole way with the real cron, engine and terminals, and the simulated driver.

A person has a container open in tmux and does nothing: warnings appear, container-keep
works, it is stopped, its GPU returns, it is archived and removed. Cron starts the
passes; it reads a crontab of its own in a mount namespace of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fake_gpus import a100_40, topology
from gpu_bench import FakeDriver

pytestmark = [pytest.mark.engine, pytest.mark.passes]

ROOT = Path(__file__).resolve().parents[3]
POLICY = """\
version: 1
default_group: all
defaults:
  {{idle_timeout: 40s, gpu_hold_after_stop: 4s, container_hold_after_stop: 8s,
   max_gpus: 1, allow_full_gpu: true, memory: 512m, memory_swap: 512m, shm_size: 64m}}
groups: {{all: {{}}}}
lifecycle:
  {{warn_at: [50, 75], stop_grace: 1s, keep_alive_max: 1h, removal_notice: 4s,
   archive: "{archive}"}}
"""
# What cron sees of the system: nothing but this crontab, and a /run of its own.
NAMESPACE = """\
mount -t tmpfs tmpfs /etc/cron.d
mount -t tmpfs tmpfs /var/spool/cron
mkdir /var/spool/cron/crontabs
mount -t tmpfs tmpfs /run
install -m 644 "$1" /etc/cron.d/ds01
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
exec cron -f
"""
NAME = f"cron{os.getpid()}"


class Tmux:
    """A terminal of 100 by 40 on a server of its own."""

    def __init__(self, folder: Path) -> None:
        self._words = ["tmux", "-S", str(folder / "t"), "-f", "/dev/null"]

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._words, *words], capture_output=True, text=True, check=False
        )
        return done.stdout

    def screen(self) -> str:
        return self.run("capture-pane", "-p", "-J", "-t", "t")


@pytest.fixture
def crontab(ds01_root: Path, gpu_bench: FakeDriver, tmp_path: Path) -> Iterator[Path]:
    """Start cron with a pass every three seconds; yield the file that passes write."""
    output = tmp_path / "passes"
    output.touch()
    names = ("DOCKER_HOST", "PATH", "HOME", "BENCH_DIR")
    values = {name: os.environ[name] for name in names if name in os.environ}
    values |= {"DS01_ROOT": str(ds01_root), **gpu_bench.variables}
    lines = [f"{name}={value}" for name, value in values.items()]
    # Called as the shipped crontab calls it, but for the path.
    shipped = (ROOT / "config/cron.d/ds01").read_text("utf-8").splitlines()[-1]
    command = shipped.split(None, 6)[6].replace("/opt/ds01", str(ROOT))
    lines += [
        f'* * * * * root sleep {second}; {{ {command}; }} >> "{output}" 2>&1'
        for second in range(0, 60, 3)
    ]
    # Cron begins with a minute: until then it makes passes because it was started.
    until = f"for n in $(seq 20); do {{ {command}; }}; sleep 3; done"
    lines.append(f'@reboot root {{ {until}; }} >> "{output}" 2>&1')
    file = tmp_path / "crontab"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    cron = subprocess.Popen(
        ["unshare", "--mount", "sh", "-ec", NAMESPACE, "sh", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(0.5)
    assert cron.poll() is None, cron.stderr and cron.stderr.read()
    yield output
    cron.terminate()
    cron.wait(10)
    _end_passes(str(output))


def _end_passes(output: str) -> None:
    """End the jobs that cron has started and that still sleep."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if output in words and int(folder.name) != os.getpid():
            for child in [folder.name, *_children(folder.name)]:
                subprocess.run(["kill", child], capture_output=True, check=False)


def _children(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    found = Tmux(tmp_path)
    yield found
    found.run("kill-server")


def command(
    name: str, *words: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "bin" / name, *words],
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


def until(seconds: float, what: str, holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it.

    Fails with `what` long after the seconds, which are what it takes when nothing else
    runs.
    """
    end = time.monotonic() + 120 + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.3)
    pytest.fail(f"not within {seconds:g} s: {what}")


def moment(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def test_from_a_warning_to_the_removal(  # noqa: PLR0917 - fixtures
    docker_host: str,
    ds01_root: Path,
    gpu_bench: FakeDriver,
    crontab: Path,
    terminal: Tmux,
    tmp_path: Path,
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    policy = ds01_root / "etc/ds01/resource-limits.yaml"
    policy.write_text(POLICY.format(archive=archive), "utf-8")
    told = ds01_root / "etc/ds01/hooks.d/lifecycle"
    told.mkdir()
    hook = told / "10-note"
    hook.write_text(f'#!/bin/sh\ncat >> "{tmp_path}/hook"\n', "utf-8")
    hook.chmod(0o755)
    gpus = gpu_bench.write(topology([a100_40()]))
    env = {**gpu_bench.env, "HOME": str(tmp_path)}

    def all_events(*kinds: str) -> list[dict[str, Any]]:
        try:
            lines = (ds01_root / "var/log/ds01/events.jsonl").read_text("utf-8")
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines.splitlines()]
        return [one for one in found if one["type"] in kinds]

    def events(*kinds: str) -> list[dict[str, Any]]:
        return [one for one in all_events(*kinds) if one.get("by") == "lifecycle"]

    def show() -> dict[str, Any]:
        listed = json.loads(command("container-list", "--json", env=env).stdout)
        return dict(next(iter(listed["containers"]), {}))

    done = command("container-create", NAME, "Debian", "--gpus", "full", env=env)
    assert done.returncode == 0, done.stderr
    try:
        # A person opens it, and leaves it.
        words = ["env", *(f"{k}={v}" for k, v in gpu_bench.variables.items())]
        words += [f"DS01_ROOT={ds01_root}", f"DOCKER_HOST={docker_host}"]
        words += [
            f"HOME={tmp_path}",
            "TERM=xterm-256color",
            f"PATH={os.environ['PATH']}",
        ]
        words += [str(ROOT / "bin/container-open"), NAME]
        terminal.run("new-session", "-d", "-x", "100", "-y", "40", "-s", "t", *words)
        until(30, "the container's prompt", lambda: f"[{NAME}]" in terminal.screen())
        until(75, "cron's first pass", lambda: show().get("idle_seconds") is not None)

        first = until(30, "the first warning", lambda: events("warned"))[0]
        assert first["rule"] == "idle_timeout"
        # Of two warnings that are due, where a pass came late, the last is enough.
        assert first["percent"] in {50, 75}
        text = f"container '{NAME}' has been idle for"
        until(5, "the warning on the terminal", lambda: text in terminal.screen())
        assert f"'container-keep {NAME}' keeps it" in terminal.screen()
        # Once: the terminal that shows the container's own is not written to as well.
        assert terminal.screen().count(text) == 1
        assert show()["next"].startswith("stops in ")

        if first["percent"] == 50:
            second = until(30, "the second", lambda: events("warned")[1:])[0]
            assert second["percent"] == 75
        done = command("container-keep", NAME, "20s", env=env)
        assert done.returncode == 0, done.stderr
        kept = time.time()
        stopped = until(40, "the stop", lambda: events("stopped"))[0]
        assert (
            datetime.fromisoformat(stopped["time"].replace("Z", "+00:00")).timestamp()
            >= kept + 19
        )
        assert stopped["rule"] == "idle_timeout"
        assert stopped["figures"]["idle_seconds"] >= 40
        # Warned again, before the end of what was asked for.
        assert [one["percent"] for one in events("warned")][-1] == 75
        assert len(events("warned")) > (2 if first["percent"] == 50 else 1)

        returned = until(20, "its GPU's return", lambda: events("gpus-returned"))[0]
        assert returned["gpus"] == [gpus["gpus"][0]["uuid"]]
        state = json.loads((ds01_root / "var/lib/ds01/gpu-state.json").read_text())
        assert state["grants"] == []

        removed = until(40, "its removal", lambda: events("removed"))[0]
        assert events("removal-announced")
        assert show() == {}
        file = Path(removed["file"])
        assert not [e for e in all_events("stopped") if e.get("by") != "lifecycle"]
        assert file.parent == archive and file.stat().st_size > 1 << 20
        record = ds01_root / f"var/lib/ds01/container-metadata/{NAME}._.0.json"
        assert json.loads(record.read_text())["phase"] == "removed"
        hooked = (tmp_path / "hook").read_text("utf-8").splitlines()
        types = [json.loads(line)["type"] for line in hooked]
        assert {"warned", "stopped", "removal-announced", "removed"} <= set(types)
        assert crontab.read_text("utf-8") == ""  # cron would mail it

        # What was archived can be brought back.
        done = command(
            "container-import", str(file), f"{NAME}b", "--gpus", "none", env=env
        )
        assert done.returncode == 0, done.stderr
    finally:
        for name in (NAME, f"{NAME}b"):
            command("container-remove", name, "--force", "--yes", env=env)
