#!/usr/bin/env python3
"""Measure what a login waits for the notice of DS01, among two hundred containers.

Usage: tests/bench/bench_login_notice.py [--rounds N]

Needs no engine; jq and dash. Prints a line with own containers and one without: the
shortest and the median time in the processors, that of a start of jq measured in turns,
and the target.
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
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OTHERS = 200
TARGET = 0.050


def entry(uid: int, name: str) -> dict[str, object]:
    return {
        "uid": uid, "user": "u", "name": name, "state": "running",
        "kept_until": None, "warned": [], "next": None, "note": "", "gpus": [],
    }  # fmt: skip


def remember(state: Path, own: int) -> None:
    """Write what a lifecycle pass remembers: own containers, and those of others."""
    found = [entry(70000 + n, f"job{n}") for n in range(OTHERS)]
    found += [entry(os.getuid(), f"own{n}") for n in range(own)]
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.500Z")
    containers = {f"{one['name']}._.{one['uid']}": one for one in found}
    text = json.dumps(
        {"version": 1, "pass": {"at": at}, "containers": containers},
        separators=(",", ":"),
    )
    (state / "lifecycle.json").write_text(text, "utf-8")


def cpu_of(*words: str) -> tuple[float, bytes]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return used, done.stdout


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the login notice.")
    parser.add_argument("--rounds", type=int, default=30, help="default: 30")
    rounds = parser.parse_args(argv).rounds
    fine = True
    with tempfile.TemporaryDirectory(prefix="ds01-bench-") as folder:
        program, state = Path(folder, "ds01"), Path(folder, "state")
        (program / "lib").mkdir(parents=True)
        state.mkdir()
        for name in ("login-notice", "login-notice.jq"):
            text = (ROOT / "lib" / name).read_text("utf-8")
            text = text.replace("/opt/ds01", str(program))
            text = text.replace("/var/lib/ds01", str(state))
            (program / "lib" / name).write_text(text, "utf-8")
        words = ("dash", "-c", '. "$1"', "x", str(program / "lib/login-notice"))
        for what, own in (("three own containers", 3), ("no own container", 0)):
            remember(state, own)
            if len(cpu_of(*words)[1].splitlines()) != own:
                sys.exit(f"{what}: the notice does not say so")
            times, known = [], []
            for _ in range(rounds):
                times.append(cpu_of(*words)[0])
                known.append(cpu_of("jq", "-n", "1")[0])
            fine &= min(times) < TARGET
            print(
                f"{what:<22} {min(times) * 1000:5.1f} ms, "
                f"median {statistics.median(times) * 1000:.1f} ms, "
                f"jq alone {min(known) * 1000:.1f} ms, target {TARGET * 1000:.0f} ms"
            )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
