#!/usr/bin/env python3
"""Measure reading of the logs: the report, the recent events, one container's story.

Usage: tests/bench/bench_logs.py [--lines N]

Needs no engine. Writes logs of a busy server to a temporary folder, in the file as it
is written and packed away. Prints one line per figure: what, seconds, the target.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests/python")]

from log_world import busy  # noqa: E402 - found by the path above


def measure(what: str, target: float, job: str, *words: str) -> bool:
    """Run a helper and print its time; return whether it is within the target."""
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-sE", ROOT / f"python/{job}.py", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    # On a busy machine the time on the clock says little.
    took = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
    print(f"{what:<30} {took:6.2f} s of CPU  (target {target:g} s)")
    return took <= target


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    words = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("etc/ds01", "var/lib/ds01/container-metadata", "var/log/ds01"):
            (root / name).mkdir(parents=True)
        os.environ |= {"DS01_ROOT": folder, "DOCKER_HOST": f"unix://{folder}/none"}
        now = datetime.now(timezone.utc)
        log = root / "var/log/ds01"
        containers = words.lines * 9 // 79
        begin, end = now - timedelta(days=29), now - timedelta(hours=6)
        truth = busy(log, begin, end, containers)
        print(f"{truth.lines} lines")
        fine = [
            measure("ds01-report --month", 5, "report_show", "--month"),
            measure(
                "ds01-report --month --html",
                6,
                "report_show",
                *("--month", "--html", str(root / "page.html")),
            ),
            measure("ds01-events --since 1h", 0.25, "events_show", "--since", "1h"),
            measure("container-why", 2, "container_story", f"job7._.{_owner(log)}"),
        ]
        for path in (log / "events.jsonl", log / "gpu-allocations.log"):
            Path(f"{path}.1.gz").write_bytes(gzip.compress(path.read_bytes(), 6))
            path.unlink()
        fine.append(measure("ds01-report --month, packed", 6, "report_show", "--month"))
    return 0 if all(fine) else 1


def _owner(log: Path) -> str:
    """Return the number of the user whose container job7 is."""
    text = (log / "events.jsonl").read_text(encoding="utf-8")
    return text.partition('"job7._.')[2].partition('"')[0]


if __name__ == "__main__":
    sys.exit(main())
