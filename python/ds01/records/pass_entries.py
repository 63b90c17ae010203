"""What the lifecycle remembers of containers and passes, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Action = Literal["stop", "return-gpus", "remove"]


@dataclass(frozen=True)
class Warned:
    """A warning that was told: at `at`, that the rule's time is `due`.

    `percent` is the policy's of warn_at; 0 is the announcement of a removal.
    """

    rule: str
    percent: int
    at: datetime
    due: datetime


@dataclass(frozen=True)
class Next:
    """What will be done to a container, if nothing changes, and why in words."""

    action: Action
    rule: str
    at: datetime
    why: str


@dataclass(frozen=True)
class Doing:
    """What a pass has begun to do and has not seen done yet.

    `patience` is for how many seconds it may take, `figures` what it was decided on.
    """

    action: Action
    rule: str
    at: datetime
    patience: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What is remembered of one container.

    `counters` are totals that grow, at `sampled`: CPU nanoseconds, bytes on the
    network, bytes of block I/O; and the GPU memory held then. `run_began` is what
    max_runtime counts from. `note` says what happened to it last without its owner,
    until it is started again. `gpus` are the devices that it has.
    """

    id: str
    uid: int
    user: str
    name: str
    state: str
    sampled: datetime | None = None
    last_active: datetime | None = None
    active_because: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)
    started: datetime | None = None
    run_began: datetime | None = None
    stopped: datetime | None = None
    kept_until: datetime | None = None
    kept_by: str = ""
    warned: tuple[Warned, ...] = ()
    next: Next | None = None
    note: str = ""
    gpus: tuple[str, ...] = ()
    doing: Doing | None = None


@dataclass(frozen=True)
class PassInfo:
    """The last pass: when it began, how many seconds it took, why nothing was done.

    `boot` and `uptime` (seconds since boot) tell a clock that jumped. `tick` are the
    seconds since the pass before. `looked` and `looked_boot` are of the last pass that
    looked at anything, None and `` where that is this one.
    """

    at: datetime | None = None
    took: float = 0.0
    skipped: str | None = None
    boot: str = ""
    uptime: float = 0.0
    tick: float = 0.0
    looked: datetime | None = None
    looked_boot: str = ""


@dataclass(frozen=True)
class Memory:
    """lifecycle.json."""

    last: PassInfo = PassInfo()
    containers: Mapping[str, Entry] = field(default_factory=dict)
