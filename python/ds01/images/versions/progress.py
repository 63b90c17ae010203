"""How far the work on an image is: as a build says it, and as people are told it.

Both of Docker's builders are read, and the installers that run in them: what they say
tells in the end why a build failed, too.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ds01.core.errors import Exit

_CLASSIC = re.compile(r"Step (\d+)/(\d+) : (.*)")
_BUILDKIT = re.compile(r"#\d+ \[(?:[^\]]*? )?(\d+)/(\d+)\] (.*)")
_NOISE = re.compile(r"#\d+ (?:\d+\.\d+ )?")
_LAYER = re.compile(r"-r ([a-z0-9_-]+)\.txt")
_APT = re.compile(r"apt-get install -y --no-install-recommends\s+(.*?)\s*&&")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PACKAGE = (
    re.compile(r"Unable to locate package (?P<name>\S+)"),
    re.compile(r"Version '[^']*' for '(?P<name>[^']+)' was not found"),
    re.compile(
        r"Failed to (?:build|download|fetch|unzip|install)[^`]*`(?P<name>[^`]+)`"
    ),
    re.compile(r"Failed building wheel for (?P<name>\S+)"),
    re.compile(r"No matching distribution found for (?P<name>\S+)"),
    re.compile(r"Because (?P<name>[\w.-]+) was not found in the package registry"),
    re.compile(r"Because there is no version of (?P<name>\S+)"),
    re.compile(r"The following packages have unmet dependencies:\s+(?P<name>\S+)"),
    re.compile(r"dpkg: error processing package (?P<name>\S+)"),
)
_GONE = re.compile(r"E: Version '([^']+)' for '([^']+)' was not found")
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NETWORK = re.compile(
    r"Failed to fetch|error sending request|Temporary failure (?:in name )?resolving|"
    r"Could not (?:resolve|connect)|Connection (?:refused|reset|timed out)|dns error|"
    r"NewConnectionError|Network is unreachable",
    re.IGNORECASE,
)
_MISSING_FILE = re.compile(
    r"(?:COPY|ADD) failed: (.*)|failed to compute cache key: (.*)|"
    r"failed to calculate checksum of ref \S+: (.*)"
)


@dataclass(frozen=True)
class Step:
    """One step of a build, as people are told."""

    number: int
    count: int
    text: str

    def tell(self, descriptor: int) -> None:
        """Say it on a file descriptor, if somebody is there to read it."""
        with contextlib.suppress(OSError):
            line = f"step {self.number}/{self.count} {self.text}\n"
            os.write(descriptor, line.encode())


class Steps:
    """Says on a file descriptor, if any, what is being done: `step N/M text`."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor
        self._number = 0
        self._count = 1

    def expect(self, count: int) -> None:
        """So many more steps will begin, as far as is known."""
        self._count = self._number + count

    def begin(self, text: str) -> None:
        """Say that the next step begins."""
        self._number += 1
        self._count = max(self._count, self._number)
        if self._descriptor is not None:
            Step(self._number, self._count, text).tell(self._descriptor)


@dataclass(frozen=True)
class Failure:
    """Why a build failed: the status, the reason, and the package if it is one."""

    code: Exit
    reason: str
    package: str | None = None


def step_of(line: str) -> Step | None:
    """Return the step that begins with a line, or None."""
    match = _CLASSIC.match(line) or _BUILDKIT.match(line)
    if not match or match[3].startswith("LABEL ds01."):
        return None
    return Step(int(match[1]), int(match[2]), _text(match[3]))


def _text(instruction: str) -> str:
    layer = _LAYER.search(instruction)
    if layer and instruction.startswith("RUN"):
        return f"Python packages of '{layer[1]}'"
    debian = _APT.search(instruction)
    if debian:
        names = re.findall(r"([a-z0-9][a-z0-9+.-]*)(?:=\S+)?", debian[1])
        return f"Debian packages {' '.join(dict.fromkeys(names))}"[:70]
    return " ".join(instruction.split())[:70]


def gone_versions(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and version of Debian packages that are not there any more."""
    found = [(m[2], m[1]) for line in lines if (m := _GONE.search(plain(line)))]
    return list(dict.fromkeys(found))


def plain(line: str) -> str:
    """Return a line of a build without colours and BuildKit's numbers."""
    return _NOISE.sub("", _COLOUR.sub("", line), count=1).rstrip()


def last_lines(lines: Sequence[str], count: int = 12) -> list[str]:
    """Return the last lines that say something."""
    told = [plain(line) for line in lines]
    told = [line for line in told if line.strip(" -") and not line.startswith("[")]
    return told[-count:]


def failure_of(lines: Sequence[str]) -> Failure:
    """Return why a build failed, by the last of what it said."""
    end = [plain(line) for line in lines[-200:]]
    text = "\n".join(end)
    lines_back = ((line, pattern) for line in reversed(end) for pattern in _PACKAGE)
    named = (match for line, pattern in lines_back if (match := pattern.search(line)))
    last = next(named, None)
    package = last["name"].rstrip(".,:;") if last else None
    if _FULL.search(text):
        return Failure(Exit.PREREQUISITE, "the disk of the engine is full")
    if _NETWORK.search(text):
        reason = "the network could not be reached during the build"
        return Failure(Exit.PREREQUISITE, reason, package)
    missing = _MISSING_FILE.search(text)
    if missing:
        what = next(part for part in missing.groups() if part)
        return Failure(Exit.NOT_FOUND, f"a file to copy is missing: {what}")
    if package:
        return Failure(
            Exit.CONFIG, f"package '{package}' could not be installed", package
        )
    said = last_lines(lines, 1)
    return Failure(Exit.CONFIG, said[0] if said else "docker said nothing")
