#!/usr/bin/env python3
"""Measure what GPUs cost: a create through the gateway, and gpu-status.

Usage: tests/bench/bench_gpus.py [--rounds N]

Needs an engine at DOCKER_HOST with `ds01/debian:bookworm`, and gcc with libjansson for
the simulated driver. Makes containers named gbench-* and removes them. Targets: the
gateway adds at most 60 ms to the engine's own create; gpu-status takes at most 400 ms
with 8 GPUs of 7 instances and 50 containers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "ds01/debian:bookworm"
CONTAINERS = 50
POLICY = """\
version: 1
default_group: everybody
groups: {everybody: {}}
defaults: {max_gpus: null, max_mig_instances: null, max_containers_per_user: null}
"""


def run(*words: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode:
        sys.exit(f"{words} failed: {done.stderr}")
    return done.stdout


def timed_create(name: str, *words: str, host: str) -> float:
    begun = time.perf_counter()
    run("docker", "create", "--name", name, *words, IMAGE, "true", DOCKER_HOST=host)
    return time.perf_counter() - begun


def creates(rounds: int, bare: str) -> None:
    """Run inside the gateway: DOCKER_HOST is its socket, `bare` the engine's."""
    pairs = []
    for number in range(rounds):
        name = f"gbench-{number}"
        mine = timed_create(name, "--gpus", "1", host=os.environ["DOCKER_HOST"])
        pairs.append((mine, timed_create(f"{name}-bare", host=bare)))
        run("docker", "rm", f"{name}-bare", DOCKER_HOST=bare)
    # The first one loads policy and driver.
    json.dump(pairs[1:], sys.stdout)


def waits(topology: Path) -> tuple[float, float]:
    """Return in how many seconds a waiter has its GPU after a release, and in how many
    it is gone after Ctrl-C."""
    run(ROOT / "tests/python/fake_gpus.py", "--output", topology, "a100-40")
    program = [str(ROOT / "venv/bin/python3"), "-sE"]
    program.append(str(ROOT / "python/gpu_allocator.py"))

    def waiter(name: str) -> subprocess.Popen[str]:
        words = [*program, "reserve", name, "--request=full", "--user=root", "--wait"]
        begun = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert begun.stderr is not None
        begun.stderr.readline()  # it has a place in the queue
        return begun

    mine = f"--owner-pid={os.getpid()}"
    run(*program, "reserve", "wbench-1", "--request=full", "--user=root", mine)
    left = waiter("wbench-2")
    begun = time.perf_counter()
    left.send_signal(signal.SIGINT)
    left.wait()
    gone = time.perf_counter() - begun
    served = waiter("wbench-3")
    run(*program, "release", "wbench-1")
    begun = time.perf_counter()
    served.wait()
    return time.perf_counter() - begun, gone


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=CONTAINERS)
    parser.add_argument("--inside", metavar="HOST", help=argparse.SUPPRESS)
    words = parser.parse_args(argv)
    if words.inside:
        creates(words.rounds, words.inside)
        return 0
    bare = os.environ["DOCKER_HOST"]
    folder = Path(tempfile.mkdtemp(prefix="ds01-bench-"))
    shutil.copytree(ROOT / "config", folder / "etc/ds01")
    (folder / "etc/ds01/resource-limits.yaml").write_text(POLICY, encoding="utf-8")
    for name in ("var/lib/ds01", "var/log/ds01"):
        (folder / name).mkdir(parents=True)
    (folder / "lib").mkdir()
    run(ROOT / "tests/fake-nvml/build", folder / "lib")
    gpus = [f"a100-40:{','.join(['1g.5gb'] * 7)}"] * 8
    topology = folder / "topology.json"
    run(ROOT / "tests/python/fake_gpus.py", "--output", topology, *gpus)
    os.environ |= {
        "DS01_ROOT": str(folder),
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "FAKE_NVML_TOPOLOGY": str(topology),
    }
    python = ROOT / "venv/bin/python3"
    gateway: list[str | Path] = [
        python,
        "-sE",
        ROOT / "python/docker_gateway.py",
        "run",
        "--",
    ]
    inner: list[str | Path] = [
        python,
        __file__,
        "--inside",
        bare,
        "--rounds",
        str(words.rounds),
    ]
    try:
        pairs = json.loads(run(*gateway, *inner))
        mine = statistics.median(pair[0] for pair in pairs)
        engine = statistics.median(pair[1] for pair in pairs)
        print(
            f"create with a GPU {mine * 1000:.1f} ms, the engine's own "
            f"{engine * 1000:.1f} ms, added {(mine - engine) * 1000:.1f} ms (<= 60)"
        )
        times = []
        for _ in range(9):
            begun = time.perf_counter()
            lines = run(ROOT / "bin/gpu-status").splitlines()
            times.append(time.perf_counter() - begun)
        print(
            f"gpu-status {statistics.median(times) * 1000:.0f} ms for "
            f"{len(lines) - 1} devices and {words.rounds} containers (<= 400)"
        )
        woke, gone = waits(topology)
        print(f"a waiter has its GPU {woke:.2f} s after the release (<= 2)")
        print(f"and has left the queue {gone:.2f} s after Ctrl-C (<= 2)")
    finally:
        ids = run("docker", "ps", "-aq", "--filter", "name=^gbench-").split()
        if ids:
            run("docker", "rm", "-f", *ids)
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
