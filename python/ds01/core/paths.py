"""Where this installation keeps its files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from ds01.core.errors import Exit, HelperError

PROJECT_ROOT = Path(__file__).resolve().parents[3]


class Paths(NamedTuple):
    """Where this installation keeps its files."""

    etc: Path
    state: Path
    log: Path

    @property
    def policy(self) -> Path:
        return self.etc / "resource-limits.yaml"

    @property
    def settings(self) -> Path:
        return self.etc / "ds01.yaml"

    @property
    def hooks(self) -> Path:
        return self.etc / "hooks.d"

    @property
    def metadata(self) -> Path:
        return self.state / "container-metadata"

    @property
    def events(self) -> Path:
        return self.log / "events.jsonl"


def find_paths() -> Paths:
    """Return the file layout.

    DS01_ROOT puts everything below one folder (tests). An installation without root
    leaves `paths.json` beside the program, naming its XDG folders. Otherwise the
    system folders hold.

    Raises HelperError(CONFIG) where paths.json is not as install.sh wrote it.
    """
    root = os.environ.get("DS01_ROOT")
    if root:
        base = Path(root)
        return Paths(base / "etc/ds01", base / "var/lib/ds01", base / "var/log/ds01")
    layout = PROJECT_ROOT / "paths.json"
    if layout.exists():
        try:
            named = json.loads(layout.read_text(encoding="utf-8"))
            return Paths(Path(named["etc"]), Path(named["state"]), Path(named["log"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HelperError(
                Exit.CONFIG,
                f"'{layout}' is not as the installer wrote it: {error}",
                "run install.sh again",
            ) from error
    return Paths(Path("/etc/ds01"), Path("/var/lib/ds01"), Path("/var/log/ds01"))
