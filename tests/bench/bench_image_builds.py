#!/usr/bin/env python3
"""Measure builds of custom images: the first, a package more, a second user's.

Usage: DOCKER_HOST=… tests/bench/bench_image_builds.py [--builder classic|buildkit]

Needs an engine of its own with the base image (tests/engine/start, image-base), whose
build cache it clears, and the network. Builds with the tiers and the use case ml of
config/packages.yaml. Prints a line per figure: what, seconds (planned and built), the
part of the first build's time, the goal, and the disk that came on top.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from image_bench import ROOT, Result, Studio

WORDS = ("--framework=Debian", "--type=ml", "--pip=rich")


class Bench:
    """One engine, and what was measured on it."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.first = 0.0

    def disk(self) -> int:
        """Return the bytes that images take in the engine, shared layers once."""
        form = "{{.Type}} {{.Size}}"
        out = self.studio.docker("system", "df", "--format", form)
        text = next(line for line in out.splitlines() if line.startswith("Images"))
        value, unit = text.split()[1][:-2], text.split()[1][-2:]
        return int(float(value) * {"kB": 10**3, "MB": 10**6, "GB": 10**9}[unit])

    def figure(self, what: str, planned: Result, built: Result, goal: float) -> None:
        """Print one figure; raises SystemExit where a step failed."""
        for done in (planned, built):
            if done.status:
                sys.exit(done.err)
        seconds = planned.seconds + built.seconds
        self.first = self.first or seconds
        part = seconds / self.first
        told = (
            f"{what:<28} {seconds:6.1f} s ({planned.seconds:.1f} + {built.seconds:.1f})"
        )
        print(f"{told} {part:5.0%}", f"goal {goal:.0%}" if goal else "", flush=True)

    def run(self) -> None:
        studio = self.studio
        shutil.copyfile(
            ROOT / "config/packages.yaml", studio.root / "etc/ds01/packages.yaml"
        )
        planned = studio.plan("create", "bench", *WORDS)
        self.figure("first build", planned, studio.build("bench"), 0)
        before = studio.layers("ds01/root/bench")
        planned = studio.plan("update", "bench", "--add=tomli")
        self.figure("one package added", planned, studio.build("bench"), 0.25)
        after = studio.layers("ds01/root/bench")
        changed = [it for it in after if it not in before]
        print(f"{'layers built anew':<28} {len(changed)} of {len(after)}")
        size = self.disk()
        # Another home, nothing of the first one's caches, and another own package.
        studio.docker("volume", "rm", "--force", f"ds01-packages-{os.getuid()}")
        studio.home = studio.folder / "second"
        studio.home.mkdir()
        planned = studio.plan("create", "second", *WORDS[:2], "--pip=idna")
        self.figure("second user, same tiers", planned, studio.build("second"), 0.20)
        own = [
            int(line)
            for line in studio.docker(
                *("history", "--human=false", "--format", "{{.Size}}"),
                "ds01/root/second",
            ).split()
        ]
        extra = (self.disk() - size) / 1e6
        print(f"{'disk for the second':<28} {extra:6.1f} MB of {sum(own) / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--builder", choices=("classic", "buildkit"), default="classic")
    words = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ds01-bench-"))
    folder.chmod(0o755)
    studio = Studio(folder, os.environ["DOCKER_HOST"], words.builder)
    try:
        studio.docker("builder", "prune", "--all", "--force")
        studio.docker("image", "prune", "--force")
        Bench(studio).run()
    finally:
        studio.clear()
        studio.docker("image", "prune", "--force", check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
