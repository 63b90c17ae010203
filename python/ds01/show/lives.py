"""Divides the events of a container's name into lives: from its making to its removal.

A name can be used again. Pure functions over lines of both logs, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ds01.show.event_words import say

Event = dict[str, Any]

# What the allocator finds after a removal is still about the life that ended.
_AFTERWARDS = frozenset({"release", "clean", "dirty", "leave", "archived", "denied"})


@dataclass
class Life:
    """The events of one container; `ids` are the engine's names of it."""

    events: list[Event] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def first(self, kind: str) -> Event | None:
        """Return the first event of a type."""
        return next((event for event in self.events if event["type"] == kind), None)

    @property
    def made(self) -> str | None:
        """When it was made; None where the logs do not reach back so far."""
        found = self.first("created")
        return str(found["time"]) if found else None

    @property
    def removed(self) -> str | None:
        found = self.first("removed")
        return str(found["time"]) if found else None

    @property
    def framework(self) -> str:
        found = [e.get("framework") for e in self.events if e.get("framework")]
        return str(found[-1]) if found else ""


def lives(events: Iterable[Event], container: str) -> list[Life]:
    """Return the lives of a container's name, the oldest first.

    An event that names the engine's id belongs to that container, however late it is.
    """
    found: list[Life] = []
    by_id: dict[str, Life] = {}
    for event in events:
        if event.get("container") != container:
            continue
        identity = str(event.get("container_id") or event.get("id") or "")
        life = by_id.get(identity) or by_id.get(str(event.get("was") or ""))
        if life is None:
            if not found or _begins(event, found[-1]):
                found.append(Life())
            life = found[-1]
        life.events.append(event)
        if identity:
            life.ids.add(identity)
            by_id[identity] = life
    return found


def _begins(event: Event, last: Life) -> bool:
    """Does an event, of no container known by id, begin another life?"""
    if event["type"] in _AFTERWARDS and last.removed:
        return False
    if last.removed:
        return True
    # Removed by others than DS01's commands: nobody told.
    return event["type"] == "created" and last.first("created") is not None


def current(found: Sequence[Life]) -> Life:
    """Return the last life; one without events where nothing is told."""
    return found[-1] if found else Life()


class Teller:
    """Tells events one after the other, leaving out what says nothing new."""

    def __init__(self) -> None:
        self._last: Mapping[str, Any] = {}

    def tell(self, event: Event) -> str | None:
        """Return an event's words; None for what the line before has told already."""
        last, self._last = self._last, event
        kind = event["type"]
        if kind in {"grant", "start", "commit"} and not event.get("devices"):
            return None  # no GPU was asked for
        if kind == "commit" and last.get("type") == "grant":
            return None
        return say(event)
