"""Which of Docker's two builders is used, and what it is called with.

BuildKit where the docker client can use it: a client before 23 when it is told so, a
later one with the plugin buildx. Otherwise the classic builder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Literal

from ds01.core.errors import Exit, HelperError


@dataclass(frozen=True)
class Client:
    """The docker client, and the builder that it uses."""

    path: str
    builder: Literal["buildkit", "classic"]

    @property
    def environment(self) -> dict[str, str]:
        """What makes the client use this builder, and ask nothing."""
        return {
            "DOCKER_BUILDKIT": "1" if self.builder == "buildkit" else "0",
            "BUILDKIT_PROGRESS": "plain",
            "DOCKER_SCAN_SUGGEST": "false",
            "DOCKER_CLI_HINTS": "false",
        }


def find_client() -> Client:
    """Return the docker client of this host. DOCKER_BUILDKIT=0 asks for the classic.

    Raises HelperError(PREREQUISITE) where there is none.
    """
    path = shutil.which("docker")
    if path is None:
        raise HelperError(
            Exit.PREREQUISITE,
            "the command 'docker' is not installed",
            "run 'sudo apt-get install docker.io'",
        )
    if os.environ.get("DOCKER_BUILDKIT") == "0":
        return Client(path, "classic")
    found = re.search(r"version (\d+)\.", _said(path, "--version"))
    if found and int(found[1]) < 23:
        return Client(path, "buildkit")
    has_plugin = "buildx" in _said(path, "buildx", "version")
    return Client(path, "buildkit" if has_plugin else "classic")


def _said(*words: str) -> str:
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
