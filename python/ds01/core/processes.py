"""Whose a process is: the container that it runs in, its user and its name.

NVML names processes by PIDs of the host. The kernel tells the rest: /proc/PID/cgroup
holds the container's id, whichever cgroup driver the engine uses and wherever it was
told to put its cgroups. Functions on text are pure; `read_process` reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process on a device, as NVML reports it: a PID of the host.

    `container` is the engine's id of the container that it runs in, None outside one;
    `memory` is what it holds on the device, `utilisation` the percent of it that the
    process used lately (None where that was not asked for, or is not told).
    """

    pid: int
    name: str = ""
    uid: int | None = None
    container: str | None = None
    memory: int | None = None
    utilisation: int | None = None


# The cgroupfs driver names a container's cgroup by the id alone, systemd's by a scope.
_ID = re.compile(r"([0-9a-f]{64})|docker-([0-9a-f]{64})\.scope")
# Below one of these everything belongs to another runtime than the engine.
_OTHER_RUNTIME = re.compile(
    r"(libpod|crio|cri-containerd)-.*|kubepods([.-].*)?"
    r"|lxc(\.(payload|monitor).*)?|machine-.*\.scope|systemd-nspawn@.*"
)
_DELETED = " (deleted)"
_NAME = re.compile(r"^Name:\t(.*)$", re.MULTILINE)
_UID = re.compile(r"^Uid:\t(\d+)", re.MULTILINE)

# They draw on every GPU that they find, and no one waits for them to end.
_DISPLAY_SERVERS = frozenset(
    {"Xorg", "X", "Xwayland", "gnome-shell", "kwin_x11", "kwin_wayland", "weston"}
)


def parse_cgroups(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the paths in a /proc/PID/cgroup as their components, best first.

    What the devices controller (v1) sees decides, then the unified hierarchy (v2), then
    any other: in a hybrid layout one of the two may say nothing.
    """
    found: list[tuple[int, tuple[str, ...]]] = []
    for line in text.splitlines():
        # The path may hold colons, controllers do not.
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not (colon and path.startswith("/")):
            continue
        rank = 1 if number == "0" else 0 if "devices" in controllers.split(",") else 2
        parts = path.removesuffix(_DELETED).split("/")
        found.append((rank, tuple(part for part in parts if part)))
    return tuple(parts for _, parts in sorted(found, key=lambda item: item[0]))


def components(text: str) -> frozenset[str]:
    """Return all components of the paths in a /proc/PID/cgroup."""
    return frozenset(part for parts in parse_cgroups(text) for part in parts)


def container_of(text: str, own: Iterable[str] = ()) -> str | None:
    """Return the id of the container that a /proc/PID/cgroup names; None for none.

    `own` are the components of the reader's own cgroups: where DS01 runs in a container
    itself, that is around all the others. Of containers in containers the outermost is
    meant, the one that the engine knows. Other runtimes' containers do not count.
    """
    around = frozenset(own)
    for parts in parse_cgroups(text):
        for part in parts:
            if part in around:
                continue
            if _OTHER_RUNTIME.fullmatch(part):
                break
            match = _ID.fullmatch(part)
            if match:
                return match[1] or match[2]
    return None


def parse_status(text: str) -> tuple[str, int | None]:
    """Return the name and the real UID in a /proc/PID/status."""
    name, uid = _NAME.search(text), _UID.search(text)
    return name[1] if name else "", int(uid[1]) if uid else None


def is_display(process: Process) -> bool:
    """Tell a display server of the host, by its name."""
    return process.container is None and process.name in _DISPLAY_SERVERS


def read_own(proc: Path) -> frozenset[str]:
    """Return the components of this process's own cgroups."""
    return components(read(proc / "self/cgroup"))


def read_process(
    pid: int, proc: Path, own: Iterable[str] = (), memory: int | None = None
) -> Process:
    """Return what the kernel tells of a process.

    One that has ended meanwhile, or that the kernel hides (hidepid), is but its PID.
    """
    folder = proc / str(pid)
    name, uid = parse_status(read(folder / "status"))
    container = container_of(read(folder / "cgroup"), own)
    return Process(pid, name, uid, container, memory)


def read(path: Path) -> str:
    """Return a text file of the kernel's; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
