"""The clock of lifecycle passes: how often they come, and whether it was set since."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ds01.core.errors import Exit, HelperError
from ds01.lifecycle.activity import MOST_SECONDS
from ds01.lifecycle.types import Moment
from ds01.records.pass_entries import Memory, PassInfo

# A clock that differs by more from the time since boot was set.
_JUMP_SECONDS = 30.0
# What is not known yet must not make warnings early.
_SHORTEST_TICK = 1.0
_LONGEST_TICK = 300.0


def whole(moment: datetime) -> datetime:
    """Return a moment in whole milliseconds, as it is written and read again."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def look_of(last: PassInfo) -> tuple[datetime | None, str]:
    """Return when and in which boot a pass looked at anything the last time.

    After a boot the first passes may do nothing: engine or driver are not there yet.
    """
    return last.looked or last.at, last.looked_boot or last.boot


def moment_of(last: PassInfo, now: PassInfo) -> Moment:
    """Return this pass's moment; without passes for long nobody watched."""
    assert now.at is not None  # noqa: S101 - a pass knows its time
    looked, boot = look_of(last)
    away = (now.at - looked).total_seconds() if looked else 0.0
    return Moment(
        now.at,
        tick_of(last, now.tick),
        rebooted=looked is not None and boot != now.boot,
        unwatched=away if away > MOST_SECONDS else 0.0,
    )


class ClockError(HelperError):
    """The clock was set since the last pass, by `drift`."""

    def __init__(self, drift: timedelta) -> None:
        super().__init__(
            Exit.PREREQUISITE,
            f"the clock jumped by {drift.total_seconds():.0f} s",
            "the next pass goes on; 'timedatectl' shows what sets the clock",
        )
        self.drift = drift


def tick_of(last: PassInfo, gap: float) -> float:
    """Return the usual seconds between passes; one that was late does not count."""
    known = [value for value in (last.tick, gap) if value > 0]
    tick = min(known, default=_SHORTEST_TICK)
    return min(max(tick, _SHORTEST_TICK), _LONGEST_TICK)


def drift_of(last: PassInfo, now: PassInfo) -> timedelta | None:
    """Return by how much the clock was set since the last pass, None if it was not."""
    assert now.at is not None  # noqa: S101 - a pass knows its time
    if last.at is None:
        return None
    passed = (now.at - last.at).total_seconds()
    if last.boot == now.boot:
        drift = passed - (now.uptime - last.uptime)
        return timedelta(seconds=drift) if abs(drift) > _JUMP_SECONDS else None
    # Another boot: only a clock that stands before the last pass is certainly wrong.
    return timedelta(seconds=passed) if passed < -_JUMP_SECONDS else None


def check(last: PassInfo, now: PassInfo) -> None:
    """Raise ClockError where the clock was set since the last pass."""
    drift = drift_of(last, now)
    if drift is not None:
        raise ClockError(drift)


def shifted(memory: Memory, drift: timedelta) -> Memory:
    """Return the memory with its times as the clock would have shown them then."""

    def moved(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + drift

    entries = {
        name: replace(
            entry,
            sampled=moved(entry.sampled),
            last_active=moved(entry.last_active),
            run_began=moved(entry.run_began),
            warned=tuple(
                replace(item, at=item.at + drift, due=item.due + drift)
                for item in entry.warned
            ),
            next=None,
        )
        for name, entry in memory.containers.items()
    }
    last = replace(memory.last, looked=moved(memory.last.looked))
    return replace(memory, last=last, containers=entries)
