"""The catalog `ml_images.repo`: which framework and version is which image.

A line is `Framework, version, [ARCH] or [ARCH;ARCH], image`. `#` begins a comment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mlc_base import MlcError

FILE_NAME = "ml_images.repo"
CPU = "CPU"

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")


class Entry(NamedTuple):
    """One line of the catalog."""

    framework: str
    version: str
    architectures: tuple[str, ...]
    image: str

    def runs_on(self, architecture: str) -> bool:
        """CPU images run everywhere, CUDA ones on every CUDA_*, others as named."""
        return (
            architecture in self.architectures
            or CPU in self.architectures
            or (architecture.startswith("CUDA") and "CUDA" in self.architectures)
        )


def parse(text: str, source: str) -> list[Entry]:
    """Return the entries in the order of the file; a line without form is an error."""
    entries = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        words = [word.strip() for word in line.split(",")]
        form = len(words) == 4 and all(words)
        if not form or not (words[2].startswith("[") and words[2].endswith("]")):
            raise MlcError(
                f"{source}:{number}: not 'Framework, version, [ARCH], image': '{line}'"
            )
        if not _IMAGE.fullmatch(words[3]):
            raise MlcError(f"{source}:{number}: '{words[3]}' is no image name")
        known = tuple(
            name.strip() for name in words[2][1:-1].split(";") if name.strip()
        )
        entries.append(Entry(words[0], words[1], known, words[3]))
    return entries


def load(folder: Path) -> list[Entry]:
    """Read the catalog of a folder."""
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MlcError(f"cannot read the catalog '{path}': {error}") from None
    return parse(text, str(path))


def usable(entries: Iterable[Entry], architecture: str) -> list[Entry]:
    """Return the entries for an architecture; of two with one name the first wins."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.runs_on(architecture):
            seen.setdefault((entry.framework, entry.version), entry)
    return list(seen.values())


def frameworks(entries: Iterable[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.framework for entry in entries))


def versions(entries: Iterable[Entry], framework: str) -> list[str]:
    return [entry.version for entry in entries if entry.framework == framework]


def choose_architecture(asked: str | None) -> str:
    """Return the architecture: as asked, else MLC_ARCH, else the host's own."""
    named = asked or os.environ.get("MLC_ARCH")
    if named:
        return named
    from mlc_host import architecture  # noqa: PLC0415  only where the host must be asked

    return architecture()
