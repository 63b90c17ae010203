"""What ds01-doctor knows, plain values gathered by probe.py, and what checks find.

A value that could not be found out is an Unknown that says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar, Union

from ds01.doctor.config import Verdict
from ds01.gpus.ledger.device_states import DeviceState
from ds01.records.pass_entries import PassInfo

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """Why something is not known, and what to do about it."""

    why: str
    hint: str = ""


Answer = Union[T, Unknown]  # noqa: UP007 - an alias with a type variable


@dataclass(frozen=True)
class EngineFacts:
    """What the engine says of itself; `lacks` are limits that its kernel cannot set."""

    version: str
    api: str
    cgroup_driver: str
    cgroup_version: str
    default_runtime: str
    runtimes: tuple[str, ...]
    root: Path
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DriverFacts:
    """The NVIDIA driver: the loaded module's version, the library's, NVML's error.

    `devices` are the states of all devices. `char_links` are device nodes for which
    /dev/char has no link.
    """

    module: str | None = None
    library: str | None = None
    error: str | None = None
    devices: tuple[DeviceState, ...] = ()
    char_links: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Does this host have, or is it to have, NVIDIA GPUs?"""
        return bool(self.module or self.error or self.devices)


@dataclass(frozen=True)
class ToolkitFacts:
    """NVIDIA's container toolkit: the hook that the engine finds, and its setting."""

    hook: Answer[str | None] = None
    config: Answer[str | None] = None


@dataclass(frozen=True)
class CronFacts:
    """`file` is the crontab of DS01, `runs` if a cron daemon does."""

    file: Path
    is_there: bool
    runs: Answer[bool]
    has_systemd: bool = True


@dataclass(frozen=True)
class FolderFacts:
    """A folder of records or logs; `problem` is a file in it that cannot be written."""

    path: Path
    is_there: bool
    mode: int = 0
    group: str = ""
    writable: bool = False
    problem: Path | None = None


@dataclass(frozen=True)
class DiskFacts:
    """A file system in use; sizes in bytes, `inodes` are free ones (None: no such)."""

    place: str
    path: Path
    size: int
    free: int
    inodes: int | None = None


@dataclass(frozen=True)
class MlcFacts:
    """The mlc in use, and what it says is its version."""

    home: Path
    is_ours: bool
    version: Answer[str]


@dataclass(frozen=True)
class HookFacts:
    """A site's hook."""

    path: Path
    command_exists: bool
    executable: bool
    writable_by_others: bool


@dataclass(frozen=True)
class PartFacts:
    """A file of DS01 in the system's folders; `state` says how it is."""

    path: Path
    state: str  # ok, missing, differs


@dataclass(frozen=True)
class MetricsFacts:
    """Where metrics go (None: nowhere), and when they were written."""

    folder: Path | None
    written: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """All that the checks look at, at one moment.

    `engine_group` is the group whose members may use the engine. `is_system` tells an
    installation for all users from one for a single user.
    """

    now: datetime
    uid: int
    user: str
    is_system: bool
    address: str
    engine: Answer[EngineFacts]
    driver: Answer[DriverFacts]
    toolkit: ToolkitFacts
    cron: CronFacts
    last_pass: PassInfo
    folders: tuple[FolderFacts, ...]
    documents: tuple[tuple[Path, str], ...]
    disks: tuple[DiskFacts, ...]
    verdicts: tuple[Verdict, ...]
    catalog: Answer[tuple[str, int]]
    mlc: MlcFacts
    hooks: Answer[tuple[HookFacts, ...]]
    uv: Answer[tuple[str | None, bool]]
    missing: tuple[str, ...]
    parts: tuple[PartFacts, ...]
    metrics: Answer[MetricsFacts]
    engine_group: str = "docker"
    min_free: int | None = None
    installer: Path = field(default=Path("install.sh"))


Level = Literal["ok", "warning", "error", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What a check found, and the command that mends it.

    `is_config` for an error in a file of DS01's, not in something that it needs.
    """

    level: Level
    text: str
    fix: str = ""
    is_config: bool = False


def ok(text: str) -> Finding:
    return Finding("ok", text)


def not_known(answer: Unknown) -> Finding:
    return Finding("unknown", answer.why, answer.hint)
