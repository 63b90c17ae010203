"""Users' recent use of GPUs: GPU-equivalent seconds that fade with a half-life.

The allocator's document keeps one number for each user; if it is lost, it is made
again from the releases in gpu-allocations.log.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ds01.core.errors import HelperError
from ds01.gpus.ledger.document import Grant, Use, parse_time
from ds01.records.log_reader import read_lines

HALF_LIFE = 7 * 86400.0
# After this many half-lives a use is worth a thousandth.
_FORGET = 10


def faded(use: Use | None, now: datetime) -> float:
    """Return what a use is worth now; a clock that was set back does not raise it."""
    if use is None:
        return 0.0
    age = max(0.0, (now - use.at).total_seconds())
    return use.seconds * math.pow(0.5, age / HALF_LIFE)


def worth(
    share: float,
    begin: datetime,
    end: datetime,
    now: datetime,
) -> float:
    """Return what a use of `share` GPUs from begin to end is worth now."""
    length = max(0.0, (end - begin).total_seconds())
    whole = share * HALF_LIFE / math.log(2) * (1 - math.pow(0.5, length / HALF_LIFE))
    return faded(Use(whole, end), now)


def add(
    use: Mapping[int, Use] | None, grant: Grant, now: datetime
) -> dict[int, Use] | None:
    """Return the use with a grant that ends now."""
    if use is None:
        return None
    kept = dict(use)
    if grant.share:
        old = faded(kept.get(grant.uid), now)
        kept[grant.uid] = Use(old + worth(grant.share, grant.since, now, now), now)
    return kept


def of_user(
    uid: int,
    use: Mapping[int, Use] | None,
    grants: Iterable[Grant],
    now: datetime,
) -> float:
    """Return a user's use, with what is in use now."""
    total = faded((use or {}).get(uid), now)
    for grant in grants:
        if grant.uid == uid and grant.devices:
            total += worth(grant.share, grant.since, now, now)
    return total


def from_log(path: Path, now: datetime) -> dict[int, Use]:
    """Return all users' use as the log's releases tell it; lines that do not are left.

    Reads files that were rotated away too, as far back as use is not forgotten.
    """
    totals: dict[int, float] = {}
    oldest = now - timedelta(seconds=_FORGET * HALF_LIFE)
    try:
        for entry in read_lines(path, oldest, wanted=(b'"release"',)):
            _add_release(totals, entry, now, oldest)
    except HelperError:
        return {}  # no log, no use
    return {uid: Use(seconds, now) for uid, seconds in totals.items()}


def _add_release(
    totals: dict[int, float], entry: Mapping[str, Any], now: datetime, oldest: datetime
) -> None:
    if entry["type"] != "release":
        return
    try:
        uid, share = entry["uid"], float(entry["share"])
        begin, end = parse_time(entry["begin"]), parse_time(entry["end"])
    except (ValueError, KeyError, TypeError):
        return
    if type(uid) is int and 0 <= share < 1e6 and end > oldest:
        totals[uid] = totals.get(uid, 0.0) + worth(share, begin, end, now)
