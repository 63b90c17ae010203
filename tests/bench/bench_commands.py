#!/usr/bin/env python3
"""Measure the commands against plain docker, each as a ratio in one run.

Usage: tests/bench/bench_commands.py [--rounds N] [--against REV]

Needs an engine at DOCKER_HOST with `ds01/debian:bookworm`, and jq. Makes containers
named bench-* of its own and removes them. Prints one line per figure: what, seconds,
the reference, the ratio, and the target. With --against the reference is the same
command at another commit, run in turns with this one.
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


def fill() -> None:
    """Make containers until there are MANY."""
    have = len(run("docker", "ps", "-aq").split())
    for number in range(have, MANY):
        name = f"bench-list-{number}"
        labels = [f"aime.mlc.NAME={name}", "aime.mlc=bench", "aime.mlc.USER=bench"]
        words = [word for label in labels for word in ("--label", label)]
        run(
            *("docker", "create", "--name", f"{name}._.{os.getuid()}", *words),
            *(IMAGE, "true"),
        )


def bench_list(rounds: int) -> None:
    fill()
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


def checkout(revision: str, folder: Path) -> Path:
    """Lay out another commit, with this one's Python packages; return its folder."""
    run("git", "-C", ROOT, "worktree", "add", "--detach", folder, revision)
    (folder / "venv").symlink_to(ROOT / "venv")
    # As install.sh does; here it is done where the programs first run.
    for place in (ROOT, folder):
        programs = (place / "python", place / "aime-ml-containers")
        run(ROOT / "venv/bin/python3", "-m", "compileall", "-q", *programs)
    return folder


def bench_against(rounds: int, old: Path) -> None:
    """Measure each command of this commit against another one's."""
    numbers = iter(range(10**6))

    def create(root: Path) -> Callable[[], object]:
        words = ("Debian", "--quiet")
        return lambda: run(
            root / "bin/container-create", f"bench-{next(numbers)}", *words
        )

    def refused(root: Path) -> Callable[[], object]:
        program = str(root / "bin/container-create")
        words = [program, "bench-no", "Debian", "--gpus=9g.99gb"]
        return lambda: subprocess.run(words, capture_output=True, check=False)

    def listed(root: Path) -> Callable[[], object]:
        return lambda: run(root / "bin/container-list")

    def governed(root: Path) -> Callable[[], object]:
        gateway = (root / "python/docker_gateway.py", "run", "--", "docker", "ps")
        return lambda: run(root / "venv/bin/python3", "-sE", *gateway)

    def compare(
        what: str, body: Callable[[Path], Callable[[], object]], goal: str
    ) -> None:
        ours, theirs = alternate(rounds, body(ROOT), body(old))
        line(what, ours, theirs, goal)

    run(BIN / "container-create", "bench-first", "Debian", "--quiet")
    run(BIN / "container-create", "bench-second", "Debian", "--quiet")
    run(BIN / "container-create", "bench-third", "Debian", "--quiet")
    compare("container-list, 3 containers", listed, "<= 0.7 x")
    compare("second container-create", create, "<= 0.6 x")
    granted, denied = alternate(rounds, create(ROOT), refused(ROOT))
    line("container-create, refused / granted", denied, granted, "< 1 x")
    fill()
    compare(f"container-list, {MANY} containers", listed, "<= 0.7 x")
    compare("docker_gateway.py run -- docker ps", governed, "<= 1 x")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--against", metavar="REV")
    options = parser.parse_args(argv)
    rounds = options.rounds
    folder = tempfile.mkdtemp(prefix="ds01-bench-")
    config = Path(folder, "etc/ds01")
    shutil.copytree(ROOT / "config", config)
    for name in ("var/lib/ds01", "var/log/ds01", "home"):
        Path(folder, name).mkdir(parents=True)
    os.environ |= {"DS01_ROOT": folder, "HOME": f"{folder}/home"}
    old = Path(folder, "old")
    try:
        if options.against:
            bench_against(rounds, checkout(options.against, old))
        else:
            bench_help(rounds)
            bench_create(rounds)
            bench_list(rounds)
    finally:
        if old.exists():
            run("git", "-C", ROOT, "worktree", "remove", "--force", old)
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
