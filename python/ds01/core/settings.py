"""The installation's settings, ds01.yaml, and what follows from them."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import PROJECT_ROOT, find_paths

OUR_MLC = PROJECT_ROOT / "aime-ml-containers"

KEYS = (
    "version",
    "mlc_home",
    "engine_socket",
    "site_catalog",
    "workspace_dir",
    "data_dir",
    "models_dir",
    "architecture",
    "cgroup_parent",
    "metrics_dir",
)
AUTO = "auto"
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
# Where Debian's prometheus-node-exporter looks for text files.
_NODE_EXPORTER = Path("/var/lib/prometheus/node-exporter")
_CGROUP = re.compile(r"[a-z0-9_]+", re.ASCII)
_ARCHITECTURE = re.compile(r"[A-Z0-9_]+", re.ASCII)


class Settings(NamedTuple):
    """What ds01.yaml says; None where it says null or nothing.

    A relative `site_catalog` lies in the configuration's folder; a `~` in the folders
    is the home of whoever runs the command.
    """

    mlc_home: str | None = None
    engine_socket: str | None = None
    site_catalog: str | None = "site-images.repo"
    workspace_dir: str | None = None
    data_dir: str | None = None
    models_dir: str | None = None
    architecture: str | None = None
    cgroup_parent: str | None = None
    metrics_dir: str | None = AUTO


def _parse(key: str, text: str) -> str:
    """Return a checked value; raises ValueError saying what is expected."""
    if key in {"mlc_home", "workspace_dir", "data_dir", "models_dir"}:
        if not text.startswith(("/", "~/")):
            raise ValueError("must be an absolute path, or one beginning with ~/")
        if "," in text or ":" in text:
            raise ValueError("must not hold ',' or ':'")
    elif key == "metrics_dir":
        if text != AUTO and not text.startswith("/"):
            raise ValueError("must be auto, or an absolute path")
    elif key == "engine_socket":
        if not text.startswith("unix:///"):
            raise ValueError(
                "must be a Unix socket, written unix:///var/run/docker.sock"
            )
    elif key == "cgroup_parent":
        if not _CGROUP.fullmatch(text):
            raise ValueError("must be lower-case letters, digits and _, such as ds01")
    elif key == "architecture" and not _ARCHITECTURE.fullmatch(text):
        raise ValueError("must be an architecture of the catalog, such as CUDA_AMPERE")
    return text


def load_settings(path: Path) -> Settings:
    """Return the settings in a file.

    Raises HelperError(CONFIG), naming file, line and key, for anything that is wrong.
    """
    # Here, because commands that never read the file need not wait for PyYAML.
    from ds01.core.yaml_source import Source, is_empty, is_null  # noqa: PLC0415

    source = Source(path)
    found: dict[str, str | None] = {}
    for key, (_, node) in source.top(KEYS).items():
        if key == "version":
            continue
        if is_null(node) or is_empty(node):
            found[key] = None
        else:
            found[key] = source.scalar(node, key, partial(_parse, key))
    source.finish()
    return Settings(**found)


def read() -> Settings:
    """Return this installation's settings."""
    return load_settings(find_paths().settings)


def engine_address(settings: Settings | None = None) -> str:
    """Return the engine's address: DOCKER_HOST, else the setting, else the default.

    Without settings the file is read, but only where DOCKER_HOST says nothing.
    """
    named = os.environ.get("DOCKER_HOST")
    return named or (settings or read()).engine_socket or DEFAULT_SOCKET


def mlc_home(settings: Settings) -> Path:
    """Return the folder of the mlc in use: DS01_MLC_HOME, the setting, or our own.

    Raises HelperError(USAGE) where DS01_MLC_HOME is not an absolute path.
    """
    chosen = os.environ.get("DS01_MLC_HOME") or settings.mlc_home
    if not chosen:
        return OUR_MLC
    home = Path(chosen).expanduser()
    if not home.is_absolute():
        raise HelperError(
            Exit.USAGE,
            f"DS01_MLC_HOME '{chosen}' is not an absolute path",
            f"run 'export DS01_MLC_HOME={home.absolute()}'",
        )
    return home


def metrics_folder(settings: Settings) -> Path | None:
    """Return the folder for Prometheus' metrics, None for none.

    `auto` is node_exporter's where that is installed; it is never made.
    """
    if settings.metrics_dir == AUTO:
        return _NODE_EXPORTER if _NODE_EXPORTER.is_dir() else None
    return None if settings.metrics_dir is None else Path(settings.metrics_dir)


def site_catalog(settings: Settings) -> Path | None:
    """Return the path of the site's own catalog, or None where the setting is null."""
    if settings.site_catalog is None:
        return None
    return find_paths().etc / Path(settings.site_catalog).expanduser()


def _folder(text: str | None) -> str | None:
    return None if text is None else str(Path(text).expanduser())


def show(settings: Settings | None = None) -> dict[str, object]:
    """Return settings and file layout as the shell needs them; read where not given."""
    settings = settings or read()
    paths = find_paths()
    home = mlc_home(settings)
    catalog = site_catalog(settings)
    return {
        "mlc_home": str(home),
        "mlc_is_ours": home.resolve() == OUR_MLC.resolve(),
        "engine": engine_address(settings),
        "config_dir": str(paths.etc),
        "state_dir": str(paths.state),
        "log_dir": str(paths.log),
        "site_catalog": None if catalog is None else str(catalog),
        "workspace_dir": _folder(settings.workspace_dir),
        "data_dir": _folder(settings.data_dir),
        "models_dir": _folder(settings.models_dir),
        "architecture": settings.architecture,
        "cgroup_parent": settings.cgroup_parent,
        "metrics_dir": settings.metrics_dir,
    }
