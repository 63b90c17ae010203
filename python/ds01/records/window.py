"""The moments and windows of time that people give."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.core import units
from ds01.core.errors import Exit, HelperError


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the moment that `2h` (ago), `7d` or an ISO time in UTC means."""
    try:
        return now - timedelta(seconds=units.parse_duration(text))
    except ValueError:
        pass
    try:
        return units.parse_time(text)
    except ValueError as error:
        hint = "or write how long ago: 2h, or 7d"
        raise HelperError(Exit.USAGE, str(error), hint) from error


def parse_window(
    since: str | None, until: str | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Return beginning and end of what was asked for; raises HelperError(USAGE)."""
    begin = None if since is None else parse_moment(since, now)
    end = None if until is None else parse_moment(until, now)
    if begin is not None and end is not None and begin >= end:
        raise HelperError(
            Exit.USAGE,
            f"'--since {since}' is not before '--until {until}'",
            "give the earlier time to '--since'",
        )
    return begin, end
