"""What the host and its engine can do, as the gateway's policy needs to know it.

Reads the engine's `/info`, the engine's rights in /proc, /dev, and NVML for the number
of GPUs. `from_info` is pure; the others look at the host.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ds01.gateway.types import HostFacts

_PROC = Path("/proc")
_CAP_SYS_RESOURCE = 1 << 24
_LIMIT_LINE = re.compile(r"(Max [a-z ]+?) {2,}(\S+) +(\S+)")
_ULIMIT_NAMES = {
    "Max cpu time": "cpu",
    "Max file size": "fsize",
    "Max data size": "data",
    "Max stack size": "stack",
    "Max core file size": "core",
    "Max resident set": "rss",
    "Max processes": "nproc",
    "Max open files": "nofile",
    "Max locked memory": "memlock",
    "Max file locks": "locks",
    "Max pending signals": "sigpending",
    "Max msgqueue size": "msgqueue",
}
# Devices that policy may let through, if they exist (confine.py).
_DEVICE_NAMES = re.compile(r"snd|dri|infiniband|video\d+|kfd|fuse")


def from_info(
    info: Mapping[str, Any], engine_socket: str, ceilings: Mapping[str, int]
) -> HostFacts:
    """Return the facts in an engine's answer to /info."""
    return HostFacts(
        cpus=int(info.get("NCPU") or 0),
        # Whole mebibytes: limits are shown to people.
        memory=int(info.get("MemTotal") or 0) >> 20 << 20,
        cgroup_driver=str(info.get("CgroupDriver") or "cgroupfs"),
        logging_driver=str(info.get("LoggingDriver") or "json-file"),
        runtimes=frozenset(info.get("Runtimes") or ()),
        default_runtime=str(info.get("DefaultRuntime") or "runc"),
        data_root=str(info.get("DockerRootDir") or "/var/lib/docker"),
        engine_socket=engine_socket,
        ceilings=ceilings,
        devices=find_devices(),
    )


def find_devices(folder: Path = Path("/dev")) -> frozenset[str]:
    """Return the devices and device folders that a container may be given."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names, not paths
    except OSError:
        return frozenset()
    found = {f"{folder}/{name}" for name in names if _DEVICE_NAMES.fullmatch(name)}
    for name in ("snd", "dri", "infiniband"):
        found |= {str(path) for path in (folder / name).glob("**/*")}
    return frozenset(found)


def parse_limits(text: str) -> dict[str, int]:
    """Return the hard limits of /proc/PID/limits by ulimit name, but for unlimited."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        match = _LIMIT_LINE.match(line)
        if match and match[1] in _ULIMIT_NAMES and match[3].isdigit():
            found[_ULIMIT_NAMES[match[1]]] = int(match[3])
    return found


def _may_raise_limits(pid: int) -> bool:
    text = (_PROC / str(pid) / "status").read_text()
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", text, re.MULTILINE)
    return match is None or bool(int(match[1], 16) & _CAP_SYS_RESOURCE)


def _parent(pid: int) -> int:
    # The command's name may hold anything, `)` too: what follows the last one counts.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def engine_processes(engine_socket: str) -> list[int]:
    """Return the processes whose limits hold for new containers.

    That is the engine, known by its socket, and containerd, which starts the
    containers: the engine's child, or a service of its own.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        probe.connect(engine_socket)
        raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    peer = int(struct.unpack("3i", raw)[0])
    named: dict[str, list[int]] = {"dockerd": [], "containerd": []}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if name in named:
                named[name].append(int(entry.name))
    # A socket that systemd made for the engine names systemd.
    engines = [peer] if peer in named["dockerd"] else named["dockerd"] or [peer]
    own = [pid for pid in named["containerd"] if _is_child(pid, engines)]
    services = [pid for pid in named["containerd"] if _is_child(pid, [1])]
    return engines + (own or services)


def _is_child(pid: int, parents: Iterable[int]) -> bool:
    try:
        return _parent(pid) in parents
    except (OSError, ValueError, IndexError):
        return False


def find_ceilings(engine_socket: str) -> dict[str, int]:
    """Return the highest ulimits that the engine can set; empty if it can set any.

    What cannot be found out is taken as possible: the engine then says so itself.
    """
    lowest: dict[str, int] = {}
    try:
        for pid in engine_processes(engine_socket):
            if _may_raise_limits(pid):
                continue
            found = parse_limits((_PROC / str(pid) / "limits").read_text())
            for name, value in found.items():
                lowest[name] = min(value, lowest.get(name, value))
    except (OSError, ValueError):
        return {}
    return lowest


def resolve(paths: Iterable[str]) -> dict[str, str]:
    """Return host paths with their symbolic links resolved."""
    return {path: os.path.realpath(path) for path in paths}
