"""Which events of the logs somebody sees, as lines, and as they come."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.core.table import plain as printable
from ds01.core.text import SEPARATOR, nearest
from ds01.policy.users import identify_user
from ds01.records.log_follow import Follower
from ds01.records.log_reader import log_path, select
from ds01.show.event_words import WORDS, clock, name_of, say

PROGRAM = "events_show"
# How often a followed log is looked at.
LOOK_SECONDS = 0.25
# What has no room in a line goes on below the type, which stands behind the time.
_INDENT = " " * 22

Event = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which events are shown; None is all."""

    uid: int | None = None
    container: str | None = None
    types: frozenset[str] = frozenset()

    def takes(self, event: Event) -> bool:
        """Is this event wanted?"""
        if self.uid is not None and event.get("uid") != self.uid:
            return False
        if self.types and event["type"] not in self.types:
            return False
        if self.container is None:
            return True
        names = {event.get("container"), event.get("name"), name_of(event)}
        return self.container in names


def parse_types(words: Sequence[str]) -> frozenset[str]:
    """Return the types that were asked for; raises HelperError(USAGE) for others."""
    types = [name for word in words for name in word.split(",") if name]
    for name in types:
        if name not in WORDS:
            close = nearest(name, WORDS)
            raise HelperError(
                Exit.USAGE,
                f"there are no events of type '{name}'",
                f"did you mean '{close}'?"
                if close
                else f"use one of: {', '.join(sorted(WORDS))}",
            )
    return frozenset(types)


def whose(user: str | None, caller: int) -> int | None:
    """Return whose events are shown: the caller's, to root everybody's.

    Raises HelperError(REFUSED) for another user's.
    """
    if user is None:
        return None if caller == 0 else caller
    uid = identify_user(user).uid
    if caller not in {0, uid}:
        raise HelperError(
            Exit.REFUSED,
            f"the events of '{user}' are not yours",
            "leave out '--user' to see your own, or ask the administrator",
        )
    return uid


def hide_others(event: Event, uid: int, show_names: Callable[[], bool]) -> Event:
    """Return an event as its owner may see it: other people only in number."""
    holders = event.get("holders")
    if not isinstance(holders, list):
        return event
    foreign = [h for h in holders if not str(h).endswith(f"{SEPARATOR}{uid}")]
    if not foreign or show_names():
        return event
    return {**event, "holders": len(holders)}


def may_show_names(paths: Paths) -> bool:
    """Does the policy let everybody see others' names? A broken one does not."""
    from ds01.policy.limits import load_policy  # noqa: PLC0415 - rarely asked for

    try:
        return load_policy(paths.policy).allocation.show_names
    except HelperError:
        return False


def hints(wanted: Wanted) -> tuple[bytes, ...]:
    """Return texts of which a wanted line holds one, to leave out others unparsed."""
    if wanted.container is not None:
        text = json.dumps(wanted.container, ensure_ascii=False)[1:-1]
        return (text.encode("utf-8", "backslashreplace"),)
    return tuple(f'"{name}"'.encode() for name in sorted(wanted.types))


def merged(streams: Iterable[Iterator[Event]]) -> Iterator[Event]:
    """Return the events of several logs in the order of their times."""
    return heapq.merge(*streams, key=lambda event: str(event["time"]))


def row(event: Event) -> str:
    """Return one event as a line for people."""
    head = (
        f"{clock(event['time'])}  {event['type']:<13} {event.get('user') or '-'!s:<10}"
    )
    return printable(f"{head} {name_of(event) or '-':<16} {say(event)}".rstrip())


def follow(
    paths: Paths,
    logs: Sequence[str],
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Event]:
    """Return what is in the logs from `since`, then what comes, up to `until`."""
    followers = [Follower(log_path(paths, log), since) for log in logs]
    begin = since
    while True:
        found = [list(select(follower.poll(), begin, until)) for follower in followers]
        yield from merged(map(iter, found))
        if until is not None and datetime.now(timezone.utc) >= until:
            return
        # What comes later counts whatever its time: the clock may be set back.
        begin = None
        time.sleep(LOOK_SECONDS)
