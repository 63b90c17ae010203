#!/usr/bin/env python3
"""Measure custom images: rendering a Dockerfile as a process.

Usage: tests/bench/bench_images.py [--rounds N]

Needs no engine. Prints one line per figure: what, the median on the clock and in CPU
time, that of an empty Python process measured in turns, and the target. On a busy
machine the clock says little, and the CPU time what there is to say.
"""

from __future__ import annotations

import argparse
import resource
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


def timed(*words: str | Path) -> tuple[float, float, bytes]:
    """Return how long a process takes: on the clock, in CPU time; and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run([str(w) for w in words], capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{words} failed: {done.stderr.decode()}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds, cpu, done.stdout


def bench_render(rounds: int) -> None:
    for what, pip, listed in (("3 packages", 3, 0), ("100 packages", 50, 50)):
        with tempfile.TemporaryDirectory(prefix="ds01-bench-") as folder:
            spec = Path(folder, "image.yaml")
            names = ", ".join(f'"package-{n}[x]>=1.{n},<2"' for n in range(pip))
            spec.write_text(SPEC.format(pip=names))
            lines = "".join(f"listed-{n}>=1.{n}\n" for n in range(listed))
            Path(folder, "requirements.txt").write_text(lines)
            words: list[str | Path] = [
                PYTHON,
                "-sE",
                ROOT / "python/render_dockerfile.py",
                spec,
            ]
            words += ["--packages", ROOT / "config/packages.yaml", "--cache", "bench"]
            if b"own.txt" not in timed(*words)[2]:
                sys.exit("rendering printed no Dockerfile")
            pairs = [
                (timed(*words)[:2], timed(PYTHON, "-sE", "-c", "")[:2])
                for _ in range(rounds)
            ]
        clock, cpu, empty = (
            statistics.median(values)
            for values in (
                [ours[0] for ours, _ in pairs],
                [ours[1] for ours, _ in pairs],
                [reference[0] for _, reference in pairs],
            )
        )
        print(
            f"{'rendering as a process, ' + what:<38} {clock * 1000:7.1f} ms"
            f"  CPU {cpu * 1000:6.1f} ms  empty process {empty * 1000:6.1f} ms"
            f"  < {GOAL * 1000:.0f} ms  {'met' if clock < GOAL else 'MISSED'}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args(argv).rounds
    bench_render(rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
