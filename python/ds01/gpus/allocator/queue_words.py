"""The queue in words, and refusals as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ds01.gpus.allocator.choice import Choices
from ds01.gpus.allocator.queue import Turn, order
from ds01.gpus.ledger.document import Document, Ticket
from ds01.gpus.ledger.reconcile import World
from ds01.gpus.ledger.use import of_user
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import parse_request


def name_of(container: str) -> str:
    """Return the user's own name of a container that the engine calls NAME._.UID."""
    return container.rpartition("._.")[0] or container


def ordered(
    document: Document, world: World, tickets: Iterable[Ticket]
) -> list[Ticket]:
    """Return tickets in the order of the queue."""

    def use(uid: int) -> float:
        return of_user(uid, document.use, document.grants, world.now)

    return order(tickets, use)


def turn_words(ticket: Ticket, turn: Turn, choices: Choices) -> str:
    """Say a place in the queue: who is before it, and what must come free.

    Others are told in kind; by name too where the policy shows names.
    """
    text = f"place {turn.position} in the queue for '{ticket.request}'"
    if turn.ahead:
        others = [_in_words(other, choices.show_names) for other in turn.ahead[:3]]
        text += f", after {', '.join(others)}{', …' if len(turn.ahead) > 3 else ''}"
    needs = choices.needs(parse_request(ticket.request), turn.outcome.useful)
    if turn.devices is not None:
        return text + "; it is your turn"
    if turn.outcome.refused and turn.outcome.reason is not None:
        return f"{text}; refused: {turn.outcome.reason.message}"
    return f"{text}; needed: {needs}"


def _in_words(ticket: Ticket, show_names: bool) -> str:
    text = f"'{ticket.request}' of priority {ticket.priority}"
    if not show_names:
        return text
    return f"{text} ({ticket.user}: '{name_of(ticket.container)}')"


def refusal_json(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as plain values."""
    return {
        "code": refusal.machine,
        "rule": refusal.rule,
        "have": refusal.have,
        "asked": refusal.asked,
        "limit": refusal.limit,
        "message": refusal.message,
        "hint": refusal.hint,
        "exit": int(refusal.code),
    }
