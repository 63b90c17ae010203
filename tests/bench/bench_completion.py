#!/usr/bin/env python3
"""Measure how long the shells wait for an answer of the completion.

Usage: tests/bench/bench_completion.py [--rounds N]

Needs an engine at DOCKER_HOST with `ds01/debian:bookworm`. Makes 50 containers named
bench-* of its own and removes them. Prints a line for each word: the median and the
longest time of a whole answer to bash, its start included, and the target.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "ds01/debian:bookworm"
MANY = 50
TARGET = 0.150

LINES = {
    "a command": ["container", ""],
    "an option": ["container-create", "-"],
    "a container": ["container", "run", ""],
    "a container that runs": ["container-stop", ""],
    "a framework or own image": ["container-create", "x", ""],
    "a version": ["container-create", "x", "Pytorch", ""],
    "an image": ["container-create", "x", "--image", ""],
    "a kind of GPU": ["container-create", "x", "--gpus", ""],
    "a user": ["check-limits", ""],
}


def docker(*words: str) -> str:
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"docker {words} failed: {done.stderr}")
    return done.stdout


def make() -> list[str]:
    uid = os.getuid()
    return [
        docker(
            *("create", "--name", f"bench-{number}._.{uid}"),
            *("--label", f"aime.mlc.NAME=bench-{number}"),
            *("--label", "aime.mlc=bench", "--label", f"ds01.uid={uid}"),
            *("--label", "aime.mlc.FRAMEWORK=Debian-bookworm", IMAGE, "true"),
        ).strip()
        for number in range(MANY)
    ]


def answer(words: Sequence[str]) -> tuple[float, int]:
    """Return the seconds of one answer and the number of its lines."""
    python = ROOT / "venv/bin/python3"
    begun = time.perf_counter()
    done = subprocess.run(
        [str(python), "-sE", str(ROOT / "python/complete.py"), "--", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - begun, len(done.stdout.splitlines())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args(argv).rounds
    made = make()
    slow = 0
    try:
        for what, words in LINES.items():
            answers = [answer(words) for _ in range(rounds)]
            times = [seconds for seconds, _ in answers]
            median = statistics.median(times)
            slow += median > TARGET
            print(
                f"{what:<26} {median * 1000:6.1f} ms  longest {max(times) * 1000:6.1f} "
                f"ms  {answers[0][1]:4d} words  target {TARGET * 1000:.0f} ms"
            )
    finally:
        docker("rm", "--force", *made)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
