"""A container on a virtual clock: what it does is a series, passes look at it.

`Run` feeds decide() with samples made of a series, pass by pass, and notes what was
told and when it was stopped, as seconds since the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

from ds01.lifecycle.activity import GpuUse, Sample
from ds01.lifecycle.rules import decide
from ds01.lifecycle.types import (
    Act,
    Decision,
    Holding,
    Moment,
    Notice,
    Subject,
    Term,
    Terms,
)
from ds01.policy.sections import Lifecycle
from ds01.records.pass_entries import Entry

EPOCH = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def since(moment: datetime) -> float:
    return (moment - EPOCH).total_seconds()


@dataclass(frozen=True)
class Doing:
    """What a container does for a while: CPU in percent of one, bytes per second."""

    cpu: float = 0.2
    network: float = 0.0
    block: float = 0.0
    gpu: float | None = 0.0
    is_mig: bool = False
    processes: tuple[int, ...] | None = ()
    memory: int = 0
    waits: int = 0
    typed: bool = False


IDLE = Doing()
# What it does from a second on until the next one: (seconds, what).
Series = Callable[[float], Doing]


def steps(*parts: tuple[float, Doing], repeat: bool = True) -> Series:
    """Return a series of parts, each for some seconds, over and over."""
    whole = sum(length for length, _ in parts)

    def series(second: float) -> Doing:
        left = second % whole if repeat else second
        for length, doing in parts:
            if left < length:
                return doing
            left -= length
        return parts[-1][1]

    return series


@dataclass
class Run:
    """A container's life under passes."""

    series: Series
    idle: float | None = 2 * HOUR
    runtime: float | None = None
    policy: Lifecycle = field(default_factory=Lifecycle)
    holding: Holding | None = None
    state: str = "running"
    step: float = 10.0

    def __post_init__(self) -> None:
        self.entry: Entry | None = None
        self.second = 0.0
        self.totals = [0, 0, 0]
        self.typed: datetime | None = None
        self.told: list[tuple[float, Notice]] = []
        self.acts: list[tuple[float, Act]] = []
        self.active_until = 0.0
        self.kept_until: datetime | None = None
        self.lifted_until: datetime | None = None
        self.is_wanted = False
        self.keep_file: datetime | None = None
        self.last_pass = 0.0
        self.started = EPOCH
        self.finished: datetime | None = None
        self.identity = "1" * 64

    @property
    def stopped(self) -> float | None:
        return self.acts[0][0] if self.acts else None

    def subject(self) -> Subject:
        doing = self.series(self.second)
        gpu = GpuUse(
            "GPU-1", doing.gpu, doing.processes, doing.memory, is_mig=doing.is_mig
        )
        sample = Sample(
            at(self.second),
            cpu=int(self.totals[0]),
            network=int(self.totals[1]),
            block=int(self.totals[2]),
            waits=doing.waits,
            inputs=(self.typed,) if self.typed else (),
            gpus=(gpu,),
            keep_file=self.keep_file,
        )
        return Subject(
            container="proj._.1000",
            id=self.identity,
            name="proj",
            uid=1000,
            user="alice",
            state=self.state,
            created=EPOCH,
            started=self.started,
            finished=self.finished,
            sample=sample if self.state in {"running", "paused"} else None,
            terms=Terms(
                idle=Term(_whole(self.idle), self.lifted_until),
                runtime=Term(_whole(self.runtime)),
            ),
            holding=self.holding,
            is_wanted=self.is_wanted,
            kept_until=self.kept_until
            if self.kept_until and self.kept_until > at(self.second)
            else None,
        )

    def live(self, seconds: float) -> None:
        """Let time pass without a pass."""
        end = self.second + seconds
        while self.second < end - 1e-9:
            length = min(self.step, end - self.second)
            doing = self.series(self.second)
            self.totals[0] += round(length * doing.cpu * 1e7)
            self.totals[1] += round(length * doing.network)
            self.totals[2] += round(length * doing.block)
            if doing.typed:
                self.typed = at(self.second)
            self.second += length

    def look(self) -> Decision:
        """Make a pass now."""
        subject = self.subject()
        tick = self.second - self.last_pass or 60.0
        self.last_pass = self.second
        moment = Moment(at(self.second), min(tick, 300.0))
        decision = decide(subject, self.entry, self.policy, moment)
        self.entry = decision.entry
        self.told += [(self.second, notice) for notice in decision.notices]
        if decision.act is not None:
            self.acts.append((self.second, decision.act))
        return decision

    def go(self, seconds: float, tick: float = MINUTE) -> Run:
        """Let time pass, with a pass every tick, until it is stopped."""
        end = self.second + seconds
        if self.entry is None:
            self.look()
        while self.second < end and not self.acts:
            self.live(min(tick, end - self.second))
            self.look()
        return self


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def replay(samples: Sequence[dict[str, Any]]) -> Series:
    """Return a series that does over and over what was recorded of a container."""
    parts: list[tuple[float, Doing]] = []
    for before, after in pairwise(samples):
        length = after["at"] - before["at"]
        rates = {
            key: ((after[key] or 0) - (before[key] or 0)) / length
            for key in ("cpu", "network", "block")
        }
        doing = Doing(
            cpu=rates["cpu"] / 1e7,
            network=rates["network"],
            block=rates["block"],
            waits=after["waits"],
            typed=bool(set(after["typed"]) - set(before["typed"])),
        )
        parts.append((length, doing))
    return steps(*parts)


def percents(run: Run) -> list[int]:
    return [notice.percent for _, notice in run.told]
