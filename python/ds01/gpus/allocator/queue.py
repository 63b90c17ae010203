"""The queue for GPUs: its order, and whose turn it is. Pure functions.

Order: priority (higher first), recent use (less first), arrival. Everybody in the queue
decides for themselves, under the lock, by walking down the same queue:

- who could have devices now keeps them, even before coming to take them;
- who cannot have what they wait for keeps every free device that they could use, since
  any of them may be what they will be given once another one comes free. Those behind
  may pass with other devices only: so passing never delays anybody;
- who is refused by a rule (their own quota) keeps nothing: waiting is no help to them.

A user's own later request passes an earlier one only if the quota has room for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ds01.core.errors import Exit
from ds01.gpus.devices.types import Device
from ds01.gpus.ledger.document import Ticket
from ds01.gpus.rules.refusal import Refusal


@dataclass(frozen=True)
class Chosen:
    """Devices for a request; `why` is what the log keeps.

    `useful` are all that would do. The chosen ones must be given back at `ends` (None:
    at no time); the user is told `note`.
    """

    devices: tuple[Device, ...] = ()
    useful: frozenset[str] = frozenset()
    ends: datetime | None = None
    note: str = ""
    why: dict[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a request would get: `devices`, or nothing yet.

    `useful` are all devices that it could ever be given, free or not. `reason` is what
    is said if there is nothing; `refused` if that is a rule, whatever comes free.
    """

    devices: tuple[str, ...] | None = None
    useful: frozenset[str] = frozenset()
    reason: Refusal | None = None
    chosen: Chosen | None = None

    @property
    def refused(self) -> bool:
        return self.reason is not None and not self.reason.waits


@dataclass(frozen=True)
class Given:
    """Devices that somebody in the queue is thought to have."""

    ticket: Ticket
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Turn:
    """How a request stands: `position` counts from 1.

    `devices` if it may have them now. `ahead` are those before it, `ready` the ones of
    them that could have theirs, `kept` the devices that are kept for them.
    """

    position: int
    devices: tuple[str, ...] | None = None
    ahead: tuple[Ticket, ...] = ()
    ready: tuple[Ticket, ...] = ()
    kept: frozenset[str] = frozenset()
    outcome: Outcome = field(default_factory=Outcome)


class NotYet(Refusal):
    """Nothing yet for one who waits; `words` say the place and what must come free."""

    def __init__(self, reason: Refusal, turn: Turn, words: str) -> None:
        super().__init__(reason.machine, reason.message)
        vars(self).update(vars(reason))
        self.turn = turn
        self.words = words


class TicketGone(Refusal):
    """The place in the queue is not there any more."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "ticket-gone",
            f"the place in the queue (number {number}) was cancelled or not taken",
            code=Exit.NO_GPU,
            hint="ask again with '--wait' to queue anew",
        )


# (ticket, what others are thought to have, devices that it must not have) -> outcome
Place = Callable[[Ticket, Sequence[Given], frozenset[str]], Outcome]


def order(tickets: Iterable[Ticket], use_of: Callable[[int], float]) -> list[Ticket]:
    """Return tickets in the order of the queue; `use_of` tells a user's recent use."""
    waiting = list(tickets)
    uses = {uid: use_of(uid) for uid in {ticket.uid for ticket in waiting}}
    return sorted(waiting, key=lambda t: (-t.priority, uses[t.uid], t.number))


def find_turn(mine: Ticket, ordered: Sequence[Ticket], place: Place) -> Turn:
    """Return how `mine` stands in an ordered queue that holds it."""
    given: list[Given] = []
    blocked: list[Ticket] = []
    ahead: list[Ticket] = []
    kept: set[str] = set()
    for ticket in ordered:
        outcome = place(ticket, given, frozenset(kept))
        devices = outcome.devices
        if devices is not None and _is_in_own_way(
            ticket, devices, blocked, given, place
        ):
            devices = None
        if ticket.number == mine.number:
            return Turn(
                len(ahead) + 1,
                devices,
                tuple(ahead),
                tuple(item.ticket for item in given),
                frozenset(kept),
                outcome,
            )
        if outcome.refused:
            continue
        ahead.append(ticket)
        if devices is not None:
            given.append(Given(ticket, devices))
            kept.update(devices)
        else:
            blocked.append(ticket)
            kept.update(outcome.useful)
    raise ValueError("the queue does not hold the ticket")


def _is_in_own_way(
    mine: Ticket,
    devices: tuple[str, ...],
    blocked: Iterable[Ticket],
    given: Sequence[Given],
    place: Place,
) -> bool:
    """Would these devices use up the quota for an earlier request of the same user?"""
    with_mine = [*given, Given(mine, devices)]
    return any(
        place(ticket, with_mine, frozenset()).refused
        for ticket in blocked
        if ticket.uid == mine.uid
    )
