"""Bytes and rate on a terminal, lines for who shows a gauge, nothing elsewhere."""

from __future__ import annotations

import sys
import time

from mlc_docker import tells_lines


class Progress:
    """Shows how far a stream is, at most five times a second.

    A line for a gauge is `step BYTES/TOTAL WHAT`, if the total is known.
    """

    def __init__(self, what: str, total: int = 0) -> None:
        self._what = what
        self._total = total if tells_lines() else 0
        self._begin = time.monotonic()
        self._shown = 0.0
        self._bytes = 0
        self._visible = sys.stderr.isatty()

    def add(self, size: int) -> None:
        self._bytes += size
        now = time.monotonic()
        if now - self._shown < 0.2:
            return
        self._shown = now
        if self._total:
            done = min(self._bytes, self._total)
            line = f"step {done}/{self._total} {self._what}"
            print(line, file=sys.stderr, flush=True)
        elif self._visible:
            self._print(now)

    def end(self) -> None:
        if self._visible and self._bytes:
            self._print(time.monotonic())
            print(file=sys.stderr)

    def _print(self, now: float) -> None:
        mib = self._bytes / (1 << 20)
        rate = mib / max(now - self._begin, 0.001)
        line = f"\r{self._what}: {mib:,.1f} MiB, {rate:,.1f} MiB/s \x1b[K"
        print(line, end="", file=sys.stderr, flush=True)
