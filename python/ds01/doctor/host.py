"""Finds out what ds01-doctor looks at of engine, driver and toolkit."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from ds01.core.engine import Engine
from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.doctor import facts
from ds01.doctor.facts import Answer, Unknown

HOOK = "nvidia-container-runtime-hook"
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOOLKIT_CONFIG = Path("/etc/nvidia-container-runtime/config.toml")
_MODULE = re.compile(r"Kernel Module\D*?(\d+\.\d+(?:\.\d+)?)")
_LIBRARY = re.compile(r"libnvidia-ml\.so\.(\d+\.\d+(?:\.\d+)?)")
_LIMITS = {
    "MemoryLimit": "memory",
    "SwapLimit": "swap",
    "CpuCfsQuota": "CPUs",
    "PidsLimit": "processes",
}


def typed(hint: str | None) -> str:
    """Return the command of a hint such as `run 'docker info', or ask …`."""
    match = re.match(r"run '([^']+)'", hint or "")
    return match[1] if match else ""


def read_engine(address: str) -> Answer[facts.EngineFacts]:
    """Ask the engine about itself."""
    try:
        with Engine(address, timeout=10) as engine:
            version, info = engine.get("/version") or {}, engine.get("/info") or {}
    except HelperError as error:
        return Unknown(error.message, typed(error.hint))
    security = " ".join(info.get("SecurityOptions") or [])
    return facts.EngineFacts(
        version=str(version.get("Version", "")),
        api=str(version.get("ApiVersion", "0.0")),
        cgroup_driver=str(info.get("CgroupDriver", "")),
        cgroup_version=str(info.get("CgroupVersion", "")),
        default_runtime=str(info.get("DefaultRuntime", "")),
        runtimes=tuple(info.get("Runtimes") or ()),
        root=Path(str(info.get("DockerRootDir") or "/var/lib/docker")),
        lacks=tuple(name for key, name in _LIMITS.items() if info.get(key) is False),
        rootless="rootless" in security,
    )


def group_of(address: str) -> str:
    """Return the group whose members may use the engine."""
    path = Path(address.removeprefix("unix://"))
    with contextlib.suppress(OSError, KeyError):
        name = path.group()
        if path.is_socket() and name != "root":
            return name
    return "docker"


def read_driver(paths: Paths, address: str) -> facts.DriverFacts:
    """Ask NVML, the kernel and the linker about the driver, the allocator about the
    devices."""
    from ds01.gpus.allocator.desk import Desk  # noqa: PLC0415
    from ds01.gpus.allocator.report import status  # noqa: PLC0415

    found = status(Desk(paths, address))
    module = None
    with contextlib.suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        match = _MODULE.search(text)
        module = match[1] if match else None
    return facts.DriverFacts(
        module=module,
        library=_library_version(),
        error=found.nvml,
        devices=found.devices,
        char_links=tuple(missing_links(Path("/dev"))),
    )


def _library_version() -> str | None:
    """Return the version in the file name that the linker's link leads to."""
    for folder in (
        Path("/usr/lib/x86_64-linux-gnu"),
        Path("/usr/lib/aarch64-linux-gnu"),
        Path("/usr/lib64"),
        Path("/usr/lib"),
    ):
        with contextlib.suppress(OSError):
            match = _LIBRARY.search((folder / "libnvidia-ml.so.1").resolve().name)
            if match:
                return match[1]
    return None


def missing_links(dev: Path) -> Iterator[str]:
    """Yield the NVIDIA devices for which systemd would find no link in /dev/char."""
    with contextlib.suppress(OSError):
        for node in sorted(dev.glob("nvidia*")):
            found = node.stat()
            if stat.S_ISCHR(found.st_mode):
                number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
                if not (dev / "char" / number).exists():
                    yield str(node)


def read_toolkit(address: str) -> facts.ToolkitFacts:
    """Look for NVIDIA's hook where the engine looks, and read its configuration."""
    config: Answer[str | None]
    try:
        config = _TOOLKIT_CONFIG.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        config = None
    except OSError as error:
        config = Unknown(f"'{_TOOLKIT_CONFIG}' cannot be read: {error.strerror}")
    where = _engine_path(address)
    hook = shutil.which(HOOK, path=where if isinstance(where, str) else _USUAL_PATH)
    if hook is None and isinstance(where, Unknown):
        return facts.ToolkitFacts(where, config)
    return facts.ToolkitFacts(hook, config)


def _engine_path(address: str) -> Answer[str]:
    """Return the PATH of the engine's process, known by its socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(address.removeprefix("unix://"))
            data = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid = struct.unpack("3i", data)[0]
        # Where systemd made the socket, it is the peer.
        if pid == 1:
            pid = int(Path("/run/docker.pid").read_text(encoding="ascii"))
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return Unknown(f"only root sees where the engine looks for {HOOK}")
    except (OSError, ValueError):
        return _USUAL_PATH
    for entry in environment.split(b"\0"):
        if entry.startswith(b"PATH="):
            return os.fsdecode(entry[5:])
    return _USUAL_PATH
