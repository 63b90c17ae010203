#!/usr/bin/env python3
"""Measure the commands against plain docker, each as a ratio in one run.

Usage: tests/bench/bench_commands.py [--rounds N]

Needs an engine at DOCKER_HOST with `ds01/debian:bookworm`, and jq. Makes containers
named bench-* of its own and removes them. Prints one line per figure: what, seconds,
the reference, the ratio, and the target.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "bin"
IMAGE = "ds01/debian:bookworm"
MANY = 50


def run(*words: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{words} failed: {done.stderr}")
    return done.stdout


def timed(body: Callable[[], object]) -> float:
    begun = time.perf_counter()
    body()
    return time.perf_counter() - begun


def alternate(
    rounds: int, one: Callable[[], object], other: Callable[[], object]
) -> tuple[float, float]:
    """Return the medians of two things measured in turns, so that noise hits both."""
    pairs = [(timed(one), timed(other)) for _ in range(rounds)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
    )


def line(what: str, seconds: float, reference: float, goal: str) -> None:
    ratio = seconds / reference
    print(
        f"{what:<42} {seconds * 1000:8.1f} ms  {reference * 1000:8.1f} ms  "
        f"{ratio:6.2f} x   {goal}"
    )


def disk() -> int:
    """Return the bytes in the engine's images and containers."""
    text = run("docker", "system", "df", "--format", "{{.Type}} {{.Size}}")
    units = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
    total = 0.0
    for row in text.splitlines():
        kind, _, size = row.rpartition(" ")
        if kind in ("Images", "Containers"):
            unit = size.lstrip("0123456789.")
            total += float(size.removesuffix(unit)) * units[unit]
    return int(total)


def bench_create(rounds: int) -> None:
    run(BIN / "container-create", "bench-first", "Debian", "--quiet")
    before = disk()
    numbers = iter(range(10**6))

    def governed() -> None:
        name = f"bench-{next(numbers)}"
        run(BIN / "container-create", name, "Debian", "--quiet")

    def bare() -> None:
        run("docker", "create", "--name", f"bench-bare-{next(numbers)}", IMAGE, "true")

    ours, theirs = alternate(rounds, governed, bare)
    goal = 3 * theirs + 1
    line("second container-create / docker create", ours, theirs, f"<= {goal:.2f} s")
    print(f"{'disk of the further containers':<42} {(disk() - before) / 1e6:8.1f} MB")
    print(f"{'  target met':<42} {ours <= goal}")


def bench_list(rounds: int) -> None:
    have = len(run("docker", "ps", "-aq").split())
    for number in range(have, MANY):
        name = f"bench-list-{number}"
        labels = [f"aime.mlc.NAME={name}", "aime.mlc=bench", "aime.mlc.USER=bench"]
        words = [word for label in labels for word in ("--label", label)]
        run(
            *("docker", "create", "--name", f"{name}._.{os.getuid()}", *words),
            *(IMAGE, "true"),
        )
    ours, theirs = alternate(
        rounds, lambda: run(BIN / "container-list"), lambda: run("docker", "ps", "-a")
    )
    line(f"container-list, {MANY} containers / docker ps -a", ours, theirs, "<= 6 x")


def bench_help(rounds: int) -> None:
    ours, theirs = alternate(
        rounds,
        lambda: run(BIN / "container-create", "--help"),
        lambda: run("bash", "-c", "true"),
    )
    line("container-create --help / bash -c true", ours, theirs, "<= 60 ms")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args(argv).rounds
    folder = tempfile.mkdtemp(prefix="ds01-bench-")
    config = Path(folder, "etc/ds01")
    shutil.copytree(ROOT / "config", config)
    for name in ("var/lib/ds01", "var/log/ds01", "home"):
        Path(folder, name).mkdir(parents=True)
    os.environ |= {"DS01_ROOT": folder, "HOME": f"{folder}/home"}
    try:
        bench_help(rounds)
        bench_create(rounds)
        bench_list(rounds)
    finally:
        ids = run("docker", "ps", "-aq", "--filter", "name=^bench-").split()
        if ids:
            run("docker", "rm", "-f", *ids)
        tags = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}").split()
        for tag in tags:
            if "bench-" in tag:
                run("docker", "rmi", tag)
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
