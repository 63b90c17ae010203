"""Container records as those read them who only show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ds01.core.errors import HelperError
from ds01.core.paths import Paths
from ds01.core.units import read_stamp
from ds01.records import containers, documents


def kept(
    record: Mapping[str, Any] | None, identity: str, most: int | None, now: datetime
) -> tuple[datetime | None, str]:
    """Return until when a container is to be left running, and who asked for it.

    Never for longer than the policy allows from the time of asking.
    """
    asked = (record or {}).get("kept")
    if not isinstance(asked, dict) or asked.get("id") != identity:
        return None, ""
    try:
        until, at = read_stamp(asked["until"]), read_stamp(asked["at"])
    except (KeyError, TypeError, ValueError):
        return None, ""
    if most is not None:
        until = min(until, min(at, now) + timedelta(seconds=most))
    return (until, str(asked.get("by", ""))) if until > now else (None, "")


def read_records(paths: Paths, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the containers' records, without those that there are not, or broken."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        try:
            record = documents.read_document(containers.record_path(paths, name))
        except (HelperError, ValueError, RecursionError):
            continue
        if record is not None:
            found[name] = record
    return found
