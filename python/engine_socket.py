"""Where the Docker engine is asked; apart from engine.py, whose import takes longer."""

from __future__ import annotations

import os

DEFAULT_SOCKET = "unix:///var/run/docker.sock"


def engine_address(configured: str | None = None) -> str:
    """Return the engine's address: DOCKER_HOST, else the setting, else the default."""
    return os.environ.get("DOCKER_HOST") or configured or DEFAULT_SOCKET
