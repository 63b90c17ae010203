#!/usr/bin/env python3
"""Measure how long a bare command takes to its first screen, with 50 containers.

Usage: tests/bench/bench_menus.py [--rounds N]

Needs an engine at DOCKER_HOST with `ds01/debian:bookworm`, a configuration (installed,
or at DS01_ROOT), and whiptail. Makes containers named bench-* of its own
(bench_completion.py has them) and removes them. Prints a line for each command: the
median and the longest time from its start until its first dialogue is drawn on a
terminal of 80 by 24, and the target.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import termios
import time
from pathlib import Path

from bench_completion import docker, make

BIN = Path(__file__).resolve().parents[2] / "bin"
TARGET = 0.300
# The bare command, and a word of its first screen.
SCREENS = {
    "container": b"What do you want to do?",
    "container-run": b"Which container?",
    "container-open": b"Which container?",
    "container-create": b"A name for the container",
    "container-remove": b"Which containers?",
    "container-start": b"Which containers?",
    "container-stop": b"there is no running container",
    "container-export": b"Which container?",
    "container-import": b"File to import",
    "container-keep": b"Which container?",
    "container-save": b"Which container?",
    "container-why": b"Which container?",
    "gpu-explain": b"no container of yours has a GPU",
    "image-create": b"name",
    "image-update": b"you have no images",
    "project-init": b"A name for the project",
    "user-setup": b"First steps",
}


def first_screen(command: str, word: bytes) -> float:
    """Return the seconds from the start to a screen with the word.

    Raises SystemExit if none came within ten seconds, or before the command's end.
    """
    begun = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(BIN / command, [command])  # noqa: S606 - in the child of the fork
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        seen = b""
        while word not in seen:
            ready, _, _ = select.select([terminal], [], [], 10)
            if not ready:
                sys.exit(f"{command}: no screen; instead {seen[-300:]!r}")
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the command has ended
                sys.exit(f"{command}: no screen; instead {seen[-300:]!r}")
        return time.perf_counter() - begun
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(child, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    words = parser.parse_args()
    made = make()
    try:
        for command, word in SCREENS.items():
            first_screen(command, word)
            times = [first_screen(command, word) for _ in range(words.rounds)]
            middle, worst = statistics.median(times), max(times)
            verdict = "ok" if middle <= TARGET else "MISSED"
            print(
                f"{command:<20} {middle * 1000:7.1f} ms, worst {worst * 1000:7.1f} ms "
                f"(<= {TARGET * 1000:.0f} ms)  {verdict}"
            )
    finally:
        docker("rm", "--force", *made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
