"""Reads what a running container does, from the kernel and the NVML inventory.

Everything comes from /proc and the cgroups, whichever version and driver the engine
uses, so that looking at hundreds of containers is cheap and asks nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ds01.core import processes
from ds01.gpus.devices import dcgm
from ds01.gpus.devices.types import Device, Inventory
from ds01.lifecycle import terminals
from ds01.lifecycle.activity import GpuUse, Sample

PROC = Path("/proc")
KEEP_FILE = ".keep-alive"
# A folder on a network that hangs must not hold up everybody else.
_KEEP_FILE_SECONDS = 2.0
# More processes than this need not be looked at one by one.
_MOST_PROCESSES = 256
_OCTAL = re.compile(r"\\([0-7]{3})")
# Bytes that a cgroup moved, v1 and v2; that a process moved, network file systems too.
_THROTTLED = re.compile(r"^\S+ (?:Read|Write) (\d+)$", re.MULTILINE)
_IO_STAT = re.compile(r"\b[rw]bytes=(\d+)")
_IO = re.compile(r"^(?:read|write)_bytes: (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A running container to look at: `pid` is its first process.

    `workspace` is the folder on the host that is /workspace inside, `gpus` its devices.
    `is_paused`: frozen processes look as if they waited for a disk.
    """

    id: str
    pid: int
    uid: int
    shares_network: bool = False
    workspace: str = ""
    gpus: tuple[str, ...] = ()
    is_paused: bool = False


@dataclass(frozen=True)
class Cgroups:
    """Where the cgroup hierarchies are mounted: controller -> folder and its root.

    The unified one (v2) has the name ``.
    """

    mounts: Mapping[str, tuple[str, str]]

    def folder(self, text: str, controller: str) -> Path | None:
        """Return a process's folder for a v1 controller, or of v2, by its cgroup file;
        None where there is no such hierarchy."""
        for line in text.splitlines():
            number, _, rest = line.partition(":")
            names, colon, path = rest.partition(":")
            if not colon:
                continue
            is_it = number == "0" if not controller else controller in names.split(",")
            if is_it and controller in self.mounts:
                mount, root = self.mounts[controller]
                if root != "/":
                    path = path.removeprefix(root)
                return Path(mount + path)
        return None


def read_cgroups(proc: Path = PROC) -> Cgroups:
    """Return where the hierarchies are mounted for this process."""
    mounts: dict[str, tuple[str, str]] = {}
    for line in processes.read(proc / "self/mountinfo").splitlines():
        own, _, filesystem = line.partition(" - ")
        words, kind = own.split(), filesystem.split()
        if len(words) < 5 or len(kind) < 3:
            continue
        place = (_OCTAL.sub(lambda m: chr(int(m[1], 8)), words[4]), words[3])
        if kind[0] == "cgroup2":
            mounts.setdefault("", place)
        elif kind[0] == "cgroup":
            for name in kind[2].split(","):
                mounts.setdefault(name, place)
    return Cgroups(mounts)


class Watcher:
    """Takes samples of containers in one pass."""

    def __init__(self, inventory: Inventory, proc: Path = PROC) -> None:
        self._proc = proc
        self._cgroups = read_cgroups(proc)
        self._own = processes.read_own(proc)
        self._devices = {device.uuid: device for device in inventory.devices}
        self._nvml_answers = inventory.error is None

    def sample(self, target: Target, at: datetime) -> Sample:
        """Return what a container did so far, without its keep-alive file."""
        gpus = self._gpus(target)
        text = processes.read(self._proc / str(target.pid) / "cgroup")
        if processes.container_of(text, self._own) != target.id:
            # It ended meanwhile, and the number may be another process's.
            return Sample(at, inputs=None, gpus=gpus)
        waits, files = self._processes(text)
        return Sample(
            at,
            cpu=self._cpu(text),
            network=None if target.shares_network else self._network(target.pid),
            shares_network=target.shares_network,
            block=self._block(text),
            files=files,
            waits=0 if target.is_paused else waits,
            inputs=self._inputs(target.pid),
            gpus=gpus,
        )

    def _cpu(self, text: str) -> int | None:
        folder = self._cgroups.folder(text, "cpuacct")
        if folder is not None:
            usage = processes.read(folder / "cpuacct.usage").strip()
            return int(usage) if usage.isdigit() else None
        folder = self._cgroups.folder(text, "")
        for line in processes.read(folder / "cpu.stat").splitlines() if folder else ():
            name, _, value = line.partition(" ")
            if name == "usage_usec" and value.isdigit():
                return int(value) * 1000
        return None

    def _block(self, text: str) -> int | None:
        """Return the bytes of block I/O; 0 where the kernel does not count them."""
        folder = self._cgroups.folder(text, "blkio")
        if folder is not None:
            text = processes.read(folder / "blkio.throttle.io_service_bytes")
            return _sum(_THROTTLED, text)
        folder = self._cgroups.folder(text, "")
        return _sum(_IO_STAT, processes.read(folder / "io.stat")) if folder else None

    def _network(self, pid: int) -> int | None:
        text = processes.read(self._proc / str(pid) / "net/dev")
        return _net_dev(text) if text else None

    def _processes(self, text: str) -> tuple[int, int]:
        """Return how many processes wait for a disk or for a file on the network, and
        the bytes that those there are, and what they waited for, read and wrote."""
        folder = self._cgroups.folder(text, "cpuacct") or self._cgroups.folder(text, "")
        waiting = moved = 0
        listed = processes.read(folder / "cgroup.procs").split() if folder else []
        for pid in listed[:_MOST_PROCESSES]:
            stat = processes.read(self._proc / pid / "stat")
            waiting += stat.rpartition(")")[2][1:2] == "D"
            moved += _sum(_IO, processes.read(self._proc / pid / "io"))
        return waiting, moved

    def _inputs(self, pid: int) -> tuple[datetime, ...] | None:
        """Return when something was last typed into each of a container's terminals,
        None where they cannot be looked at."""
        try:
            times = terminals.inputs_inside(pid, self._proc)
        except OSError:
            return None
        return tuple(datetime.fromtimestamp(time, timezone.utc) for time in times)

    def _gpus(self, target: Target) -> tuple[GpuUse, ...] | None:
        if not target.gpus:
            return ()
        if not self._nvml_answers:
            return None
        return tuple(
            gpu_use(self._devices.get(uuid), uuid, target.id, self._figures)
            for uuid in target.gpus
        )

    @functools.cached_property
    def _figures(self) -> Mapping[str, float]:
        """DCGM's figures for MIG devices, asked for once and where needed only."""
        return dcgm.read_use(self._devices.values())


def gpu_use(
    device: Device | None,
    uuid: str,
    container: str,
    figures: Mapping[str, float] | None = None,
) -> GpuUse:
    """Return how a container uses a device; other processes on it are not its own.

    `figures` are DCGM's for MIG devices: they count where they show work. None or 0
    says nothing, since DCGM may just have begun to look.

    One that is gone, or does not tell, is not known.
    """
    if device is None:
        return GpuUse(uuid, processes=None)
    if device.processes is None:
        return GpuUse(
            uuid,
            None if device.is_mig else device.utilisation,
            None,
            device.memory_used,
            device.is_mig,
        )
    # What ended while it was looked up may have been anybody's.
    own = [
        process
        for process in device.processes
        if process.container == container or not (process.container or process.name)
    ]
    pids = tuple(process.pid for process in own)
    percent: float | None = device.utilisation
    loads = [process.utilisation for process in own]
    if not own:
        percent = 0.0
    elif len(own) < len(device.processes) and None not in loads:
        percent = float(sum(load for load in loads if load is not None))
    elif percent is not None:
        percent = max([percent, *(load for load in loads if load is not None)])
    if device.is_mig and own:
        percent = (figures or {}).get(uuid) or None
    return GpuUse(uuid, percent, pids, device.memory_used, device.is_mig)


def keep_files(targets: Iterable[Target]) -> dict[str, datetime | None]:
    """Return the times of the containers' /workspace/.keep-alive, by id, None for none.

    A container is missing where its workspace does not answer in time. Where root may
    not look, as into homes on a network, the owner's rights are taken.
    """
    found: dict[str, datetime | None] = {}
    looked = [target for target in targets if target.workspace]

    def look() -> None:
        for target in looked:
            path = Path(target.workspace) / KEEP_FILE
            try:
                found[target.id] = _time_of(path)
            except PermissionError:
                with _rights_of(target.uid), contextlib.suppress(PermissionError):
                    found[target.id] = _time_of(path)
                found.setdefault(target.id, None)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_KEEP_FILE_SECONDS)
    return dict(found)


@contextlib.contextmanager
def _rights_of(uid: int) -> Iterator[None]:
    """Have this thread, and no other, open files with a user's rights."""
    if os.geteuid() != 0 or uid <= 0:
        yield
        return
    libc = ctypes.CDLL(None)
    libc.setfsuid(ctypes.c_uint(uid))
    try:
        yield
    finally:
        libc.setfsuid(ctypes.c_uint(0))


def _time_of(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, timezone.utc)
    except PermissionError:
        raise
    except (OSError, ValueError, OverflowError):
        return None


def _sum(pattern: re.Pattern[str], text: str) -> int:
    return sum(map(int, pattern.findall(text)))


def _net_dev(text: str) -> int:
    """Return received and sent bytes of all interfaces but the loopback."""
    total = 0
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        figures = rest.split()
        if name.strip() != "lo" and len(figures) >= 9:
            total += int(figures[0]) + int(figures[8])
    return total
