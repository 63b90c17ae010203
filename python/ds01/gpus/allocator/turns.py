"""The queue as the allocator keeps it: tickets, turns, and who lost the place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner
from ds01.gpus.allocator import queue_words
from ds01.gpus.allocator.choice import Choices
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.allocator.queue import Chosen, NotYet, TicketGone, Turn, find_turn
from ds01.gpus.ledger.document import Document, Ticket
from ds01.gpus.ledger.reconcile import Work, World
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import Request, format_request
from ds01.policy.types import User

# A waiter whose turn has come takes its devices at once; one that does not is stopped
# or hangs, and must not keep them from others.
OFFER_SECONDS = 30


def make_ticket(  # noqa: PLR0917 - what a ticket is made of
    desk: Desk,
    document: Document,
    user: User,
    request: Request,
    container: str,
    owner: Owner | None = None,
) -> Ticket:
    """Return a ticket behind all others that wait; it is not in the queue yet."""
    return Ticket(
        number=document.tickets + 1,
        container=container,
        uid=user.uid,
        user=user.name,
        request=format_request(request),
        priority=desk.effective(user).limits.priority,
        since=desk.now(),
        owner=owner,
    )


def choose(  # noqa: PLR0917 - all that a choice depends on
    desk: Desk,
    work: Work,
    world: World,
    user: User,
    request: Request,
    container: str,
    number: int | None,
    old: Chosen | None = None,
) -> Chosen:
    """Return the devices for a request, if it is its turn; `number` is its ticket's.

    `old` is what it would rather have, if nobody else comes first for that.

    A refusal is logged, unless it is one of many of somebody who waits.

    Raises Refusal; for a ticket NotYet or TicketGone where it has to go on waiting.
    """
    choices = Choices(work.document, world, desk)
    queue = work.document.queue
    if number is not None:
        for ticket in queue:
            if ticket.number == number and ticket.container == container:
                return _by_turn(work, world, choices, ticket, old)
        raise TicketGone(number)
    try:
        chosen = old or choices.choose(user, request, container)
        if queue and chosen.devices:
            last = make_ticket(desk, work.document, user, request, container)
            return _by_turn(work, world, choices, last, old)
    except Refusal as refusal:
        work.tell(
            "refuse",
            container=container,
            uid=user.uid,
            user=user.name,
            request=format_request(request),
            **queue_words.refusal_json(refusal),
        )
        raise
    return chosen


def _by_turn(
    work: Work, world: World, choices: Choices, mine: Ticket, old: Chosen | None
) -> Chosen:
    """Return the devices if nobody in the queue comes first; else raise Refusal."""
    others = [t for t in work.document.queue if t.number != mine.number]
    ordered = queue_words.ordered(work.document, world, [*others, mine])
    turn = find_turn(mine, ordered, choices.place)
    work.document = _offer(work, turn, world, mine)
    reason, chosen = turn.outcome.reason, turn.outcome.chosen
    if turn.devices is not None and chosen is not None:
        if old is not None and turn.kept.isdisjoint(d.uuid for d in old.devices):
            chosen = old
        place = {"ticket": mine.number, "position": turn.position}
        return replace(chosen, why={**(chosen.why or {}), **place})
    if reason is not None and not reason.waits:
        raise reason
    if reason is None or all(t.number != mine.number for t in work.document.queue):
        # It could have devices if nobody waited.
        reason = _kept_for_others(turn)
    raise NotYet(reason, turn, queue_words.turn_words(mine, turn, choices))


def _kept_for_others(turn: Turn) -> Refusal:
    return Refusal(
        "queue",
        f"what is free is kept for the {len(turn.ahead)} who wait before you",
        code=Exit.NO_GPU,
        rule="priority",
        hint="add '--wait' to wait, or run 'gpu-queue' to see who does",
    )


def _offer(work: Work, turn: Turn, world: World, mine: Ticket) -> Document:
    """Note who could take devices now; who did not for long loses the place.

    Whoever asks is there, and has not missed anything.
    """
    ready = {ticket.number for ticket in turn.ready}
    ahead = {ticket.number for ticket in turn.ahead}
    latest = world.now - timedelta(seconds=OFFER_SECONDS)
    queue: list[Ticket] = []
    for ticket in work.document.queue:
        offered = ticket.offered
        if ticket.number in ready and offered is not None and offered <= latest:
            work.tell("leave", **about_ticket(ticket), reason="not-taken")
            continue
        if ticket.number == mine.number:
            offered = None
        elif ticket.number in ahead:
            offered = (offered or world.now) if ticket.number in ready else None
        queue.append(
            ticket if offered == ticket.offered else replace(ticket, offered=offered)
        )
    document = work.document
    if tuple(queue) == document.queue:
        return document
    freed = document.freed
    if len(queue) < len(document.queue):
        freed = document.changes + 1
    return replace(document, queue=tuple(queue), freed=freed)


def find_ticket(document: Document, number: int) -> Ticket:
    """Return a ticket by its number; raises HelperError(NOT_FOUND)."""
    for ticket in document.queue:
        if ticket.number == number:
            return ticket
    raise HelperError(
        Exit.NOT_FOUND,
        f"number '{number}' is not in the queue",
        "run 'gpu-queue' to see who waits",
    )


def served(document: Document, number: int | None) -> Document:
    """Return the document without a ticket; those behind may look again."""
    if number is None:
        return document
    queue = tuple(t for t in document.queue if t.number != number)
    return replace(document, queue=queue, freed=document.changes + 1)


def about_ticket(ticket: Ticket) -> dict[str, Any]:
    """Return what a line of the log says of a ticket."""
    return {
        "container": ticket.container,
        "uid": ticket.uid,
        "user": ticket.user,
        "request": ticket.request,
        "priority": ticket.priority,
        "ticket": ticket.number,
    }
