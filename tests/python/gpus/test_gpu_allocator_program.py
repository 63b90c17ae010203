"""gpu_allocator.py as a program: real engine, simulated driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ds01.core.errors import Exit
from fake_gpus import a100_40, topology
from gpu_bench import FakeDriver

HELPER = Path(__file__).resolve().parents[3] / "python/gpu_allocator.py"
IMAGE = "ds01/debian:bookworm"
pytestmark = pytest.mark.engine

Ask = Callable[..., Any]


@pytest.fixture
def gpus(fake_driver: FakeDriver, docker_host: str, ds01_root: Path) -> FakeDriver:
    """One whole GPU and one of two instances, seen by this test alone."""
    assert docker_host
    assert ds01_root
    fake_driver.write(topology([a100_40(), a100_40(mig=["3g.20gb", "3g.20gb"])]))
    return fake_driver


@pytest.fixture
def ask(gpus: FakeDriver) -> Ask:
    """A function that runs a verb; returns its answer, after checking its status."""

    def run(*words: str, status: Exit = Exit.OK) -> Any:
        done = subprocess.run(
            [sys.executable, "-sE", HELPER, *words],
            env=gpus.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    return run


@pytest.fixture
def make() -> Iterator[Callable[[str, str], str]]:
    """A function that makes a container with the label of these devices."""
    made: list[str] = []

    def run(name: str, uuids: str) -> str:
        labels = [f"--label={key}={value}" for key, value in labels_of(uuids).items()]
        done = subprocess.run(
            ["docker", "create", f"--name={name}", *labels, IMAGE, "true"],
            check=True,
            capture_output=True,
            text=True,
        )
        made.append(done.stdout.strip())
        return made[-1]

    yield run
    if made:
        subprocess.run(["docker", "rm", "-f", *made], check=False, capture_output=True)


def labels_of(uuids: str) -> dict[str, str]:
    return {
        "ds01.managed": "1",
        "ds01.uid": "0",
        "ds01.user": "root",
        "ds01.gpus": uuids,
    }


def name() -> str:
    return f"g2-{uuid.uuid4().hex[:8]}"


def test_from_reserve_to_release(ask: Ask, make: Callable[[str, str], str]) -> None:
    container, me = name(), str(os.getpid())
    words = ("--request", "3g.20gb", "--user", "root")
    grant = ask("reserve", container, *words, "--owner-pid", me)["grant"]
    (device,) = grant["devices"]
    assert device["profile"] == "3g.20gb"
    made = make(container, device["uuid"])
    assert ask("commit", container, made)["grant"]["state"] == "allocated"
    states = {d["uuid"]: d["state"] for d in ask("status")["devices"]}
    assert states[device["uuid"]] == "allocated"
    assert sorted(states.values()) == ["allocated", "free", "free"]
    subprocess.run(["docker", "rm", made], check=True, capture_output=True)
    assert ask("release", container, "--container-id", made)["grant"]
    assert {d["state"] for d in ask("status")["devices"]} == {"free"}


def test_refusals_are_data_too(ask: Ask) -> None:
    words = ("--request", "1g.99gb", "--user", "root")
    answer = ask("reserve", name(), *words, status=Exit.REFUSED)
    assert answer["refused"]["code"] == "unknown-profile"
    assert answer["refused"]["hint"]
    ask("reserve", name(), "--request", "what", status=Exit.USAGE)


def test_a_script_has_what_it_reserves_while_it_runs(ask: Ask) -> None:
    with subprocess.Popen(["sleep", "600"]) as script:
        words = ("--request", "full", "--user", "root")
        ask("reserve", "job", *words, "--owner-pid", str(script.pid))
        states = [d["state"] for d in ask("status")["devices"]]
        assert states.count("reserved") == 1
        script.kill()
    assert {d["state"] for d in ask("status")["devices"]} == {"free"}


def test_a_waiter_that_is_interrupted_leaves_the_queue(
    ask: Ask, gpus: FakeDriver
) -> None:
    with subprocess.Popen(["sleep", "600"]) as script:
        words = ("--request", "full", "--user", "root")
        ask("reserve", "job", *words, "--owner-pid", str(script.pid))
        waiter = subprocess.Popen(
            [sys.executable, "-sE", HELPER, "reserve", "next", *words, "--wait"],
            env=gpus.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiter.stderr is not None
        assert "place 1 in the queue" in waiter.stderr.readline()
        (place,) = ask("queue")["queue"]
        assert place["container"] == "next"
        waiter.send_signal(signal.SIGINT)
        waiter.communicate(timeout=120)
        assert waiter.returncode == Exit.LEFT
        assert ask("queue") == {"queue": []}
        script.kill()


def test_a_waiter_wakes_when_something_comes_free(ask: Ask, gpus: FakeDriver) -> None:
    with subprocess.Popen(["sleep", "600"]) as script:
        words = ("--request", "full", "--user", "root")
        ask("reserve", "job", *words, "--owner-pid", str(script.pid))
        waiter = subprocess.Popen(
            [sys.executable, "-sE", HELPER, "reserve", "next", *words, "--wait=600s"],
            env=gpus.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiter.stderr is not None
        waiter.stderr.readline()
        # Nobody tells that the script is gone: the first in the queue finds out.
        script.kill()
        script.wait()
        out, _ = waiter.communicate(timeout=300)
        assert waiter.returncode == 0
        assert json.loads(out)["grant"]["container"] == "next"


def test_engine_down(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, gpus: FakeDriver
) -> None:
    del gpus
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    ask("reserve", "x", "--user", "root", status=Exit.PREREQUISITE)
    assert "nowhere" in ask("status")["engine"]
