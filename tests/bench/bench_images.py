#!/usr/bin/env python3
"""Measure custom images: rendering a Dockerfile as a process.

Usage: tests/bench/bench_images.py [--rounds N]

Needs no engine. Prints one line per figure: what, the median, the slowest, the target.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "venv/bin/python3"
GOAL = 0.150

# As large as an image of a user gets: all tiers and fields, many packages of their own.
SPEC = """\
version: 1
name: bench
base: {{image: "aimehub/pytorch-2.7.1-cuda12.6.3"}}
tiers: [system, interactive, data-science]
use_cases: [ml, cv, nlp, rl, audio, timeseries, llm]
pip: [{pip}]
apt: [ffmpeg, graphviz, tree]
requirements: [requirements.txt]
"""


def render(spec: Path) -> float:
    """Return how long one rendering takes, from start to end of the process."""
    words = [PYTHON, "-sE", ROOT / "python/render_dockerfile.py", spec]
    words += ["--packages", ROOT / "config/packages.yaml", "--cache", "bench"]
    begun = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode or b"own.txt" not in done.stdout:
        sys.exit(f"rendering failed: {done.stderr.decode()}")
    return seconds


def bench_render(rounds: int) -> None:
    for what, pip, listed in (("3 packages", 3, 0), ("100 packages", 50, 50)):
        with tempfile.TemporaryDirectory(prefix="ds01-bench-") as folder:
            spec = Path(folder, "image.yaml")
            names = ", ".join(f'"package-{n}[x]>=1.{n},<2"' for n in range(pip))
            spec.write_text(SPEC.format(pip=names))
            lines = "".join(f"listed-{n}>=1.{n}\n" for n in range(listed))
            Path(folder, "requirements.txt").write_text(lines)
            render(spec)
            times = [render(spec) for _ in range(rounds)]
        median, worst = statistics.median(times), max(times)
        print(
            f"{'rendering as a process, ' + what:<42} {median * 1000:8.1f} ms  "
            f"{worst * 1000:8.1f} ms  < {GOAL * 1000:.0f} ms  "
            f"{'met' if median < GOAL else 'MISSED'}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args(argv).rounds
    bench_render(rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
