#!/usr/bin/env python3
"""Measure what a lifecycle pass costs.

Usage: tests/bench/bench_lifecycle.py [--containers N] [--rounds N]

Needs root and an engine at DOCKER_HOST with `ds01/debian:bookworm`, and gcc with
libjansson for the simulated driver (8 GPUs of 7 instances). Makes containers named
lbench-* and removes them. Targets: an idle system's pass at most 150 ms, the start of
the process included; a pass over 200 running containers at most 2 s of CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "ds01/debian:bookworm"
POLICY = """\
version: 1
default_group: all
groups: {all: {}}
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


def make(number: int) -> str:
    labels = {"ds01.managed": "1", "ds01.uid": str(number % 50), "ds01.user": "u"}
    flags = [
        word for key, value in labels.items() for word in ("--label", f"{key}={value}")
    ]
    name = f"lbench-{number}"
    run("docker", "run", "-dit", "--network", "none", "--name", name, *flags, IMAGE)
    return name


def passes(rounds: int, environment: dict[str, str]) -> tuple[list[float], list[float]]:
    """Return wall time and CPU time of passes, in milliseconds."""
    walls, cpus = [], []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        run(ROOT / "bin/ds01-lifecycle", "--quiet", **environment)
        walls.append((time.perf_counter() - begun) * 1000)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cpus.append(used * 1000)
    return walls, cpus


def show(what: str, walls: Sequence[float], cpus: Sequence[float]) -> None:
    print(
        f"{what:<36} wall {min(walls):6.0f} ms least, {statistics.median(walls):6.0f} "
        f"median; CPU {min(cpus):6.0f} least, {statistics.median(cpus):6.0f} median"
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--containers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in (
            "etc/ds01/hooks.d",
            "var/lib/ds01/container-metadata",
            "var/log/ds01",
        ):
            (root / name).mkdir(parents=True)
        (root / "etc/ds01/resource-limits.yaml").write_text(POLICY, encoding="utf-8")
        library = run(ROOT / "tests/fake-nvml/build", root / "gpus").strip()
        topology = root / "topology.json"
        seven = "a100-40:" + ",".join(["1g.5gb"] * 7)
        run(ROOT / "tests/python/fake_gpus.py", "--output", topology, *[seven] * 8)
        environment = {
            "DS01_ROOT": str(root),
            "LD_LIBRARY_PATH": library,
            "FAKE_NVML_TOPOLOGY": str(topology),
        }
        for what, hidden in (
            ("idle system", {}),
            ("idle system, no driver", {"LD_LIBRARY_PATH": ""}),
        ):
            passes(2, environment | hidden)
            show(what, *passes(words.rounds, environment | hidden))
        names: list[str] = []
        try:
            with ThreadPoolExecutor(4) as pool:
                names += pool.map(make, range(words.containers))
            walls, cpus = passes(1, environment)
            show(f"first over {words.containers} containers", walls, cpus)
            time.sleep(6)
            show(
                f"over {words.containers} containers",
                *passes(words.rounds, environment),
            )
            memory = json.loads(
                (root / "var/lib/ds01/lifecycle.json").read_text("utf-8")
            )
            assert len(memory["containers"]) == words.containers
        finally:
            found = run("docker", "ps", "-aq", "--filter", "name=^lbench-").split()
            for start in range(0, len(found), 50):
                run("docker", "rm", "-f", *found[start : start + 50])
    return 0


if __name__ == "__main__":
    sys.exit(main())
