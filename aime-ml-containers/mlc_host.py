"""Facts of this host: which GPU architecture, which devices, what the engine may do."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import struct
from pathlib import Path

from mlc_docker import socket_path

CAP_SYS_RESOURCE = 24
_WHOLE_RANGE = 4294967295

# From which driver branch on a driver runs which CUDA release.
_DRIVER_CUDA = (
    (580, (13, 0)),
    (575, (12, 9)),
    (570, (12, 8)),
    (565, (12, 7)),
    (560, (12, 6)),
    (555, (12, 5)),
    (550, (12, 4)),
    (545, (12, 3)),
    (535, (12, 2)),
    (530, (12, 1)),
    (525, (12, 0)),
    (520, (11, 8)),
    (0, (11, 0)),
)


def architecture_of_cuda(version: tuple[int, int]) -> str:
    """Return the catalog's architecture for a CUDA release."""
    if version >= (12, 8):
        return "CUDA_BLACKWELL"
    return "CUDA_ADA" if version >= (12, 0) else "CUDA_AMPERE"


def cuda_of_driver(text: str) -> tuple[int, int] | None:
    """Return the newest CUDA release for a driver, from /proc/driver/nvidia/version."""
    found = re.search(r"\b(\d{3})\.\d+(?:\.\d+)?\b", text)
    if not found:
        return None
    branch = int(found.group(1))
    return next(cuda for least, cuda in _DRIVER_CUDA if branch >= least)


def cuda_of_packages(text: str) -> tuple[int, int] | None:
    """Return the newest CUDA release in a list of installed Debian packages."""
    found = re.findall(r"^cuda-(?:toolkit|runtime|cudart)-(\d+)-(\d+)\b", text, re.M)
    return max(((int(a), int(b)) for a, b in found), default=None)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def cuda_of_library() -> tuple[int, int] | None:
    """Return the newest CUDA release for a driver, as its own library tells it."""
    version = ctypes.c_int()
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if nvml.nvmlInit_v2() != 0:
            return None
        status = nvml.nvmlSystemGetCudaDriverVersion(ctypes.byref(version))
        nvml.nvmlShutdown()
    except (OSError, AttributeError):
        return None
    # 12040 is 12.4.
    major, rest = divmod(version.value, 1000)
    return (major, rest // 10) if status == 0 and major else None


def architecture() -> str:
    """Return this host's architecture: the driver's word first, then the installed
    CUDA packages, then ROCm, else CPU."""
    driver = _read("/proc/driver/nvidia/version")
    cuda = cuda_of_driver(driver) if driver else None
    if cuda is None:
        cuda = cuda_of_library()
    if cuda is None and Path("/var/lib/dpkg/info").is_dir():
        # Looking for the file lists is many times faster than asking dpkg-query.
        names = "\n".join(
            name.removesuffix(".list").split(":")[0]
            for name in os.listdir("/var/lib/dpkg/info")  # noqa: PTH208  fast
            if name.startswith("cuda-") and name.endswith(".list")
        )
        cuda = cuda_of_packages(names)
    if cuda is not None:
        return architecture_of_cuda(cuda)
    rocm = re.match(r"\s*(\d+)\.", _read("/opt/rocm/.info/version"))
    return f"ROCM{rocm.group(1)}" if rocm else "CPU"


def may_raise_limits(status: str, uid_map: str) -> bool:
    """Tell whether the process of this /proc/PID/status can go beyond a hard limit.

    That takes CAP_SYS_RESOURCE in the first user namespace. A process without any
    capability that is asked in the engine's place (a user's own proxy before it) is
    judged by what the machine leaves its programs at all: the bounding set.
    """
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    try:
        own, most = (int(fields[key].strip(), 16) for key in ("CapEff", "CapBnd"))
    except (KeyError, ValueError):
        return True
    words = uid_map.split()
    if words and words != ["0", "0", str(_WHOLE_RANGE)]:
        return False
    return bool((own or most) >> CAP_SYS_RESOURCE & 1)


def engine_grants_memlock() -> bool:
    """Tell whether the engine can start a container with memlock unlimited.

    Costs one connection: the kernel names the process behind the socket, and /proc
    tells its rights. An engine that cannot be looked at is taken at its best.
    """
    path = socket_path()
    if path is None:
        return True
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(path)
            raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return True
    pid = struct.unpack("3i", raw)[0]
    limits = _read(f"/proc/{pid}/limits")
    if re.search(r"^Max locked memory\s+\S+\s+unlimited", limits, re.M):
        return True
    return may_raise_limits(_read(f"/proc/{pid}/status"), _read(f"/proc/{pid}/uid_map"))


def present(*paths: str) -> tuple[str, ...]:
    """Return those of the paths that exist on this host."""
    return tuple(path for path in paths if Path(path).exists())
