"""Waits for GPUs without a daemon: all who wait look at the allocator's document.

A look costs one stat four times a second. Only when something came free does a waiter
ask again, under the lock; the first in the queue asks now and then besides, for what
comes free without DS01's doing (a hold's end, a process that ends, a container removed
by others).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, owner_of
from ds01.gpus.allocator.allocator import Allocator, Started
from ds01.gpus.allocator.queue import NotYet, TicketGone
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.document import Document, Grant, Ticket
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import Request
from ds01.policy.types import User

LOOK_SECONDS = 0.25
FIRST_SECONDS = 1.0
OTHERS_SECONDS = 20.0
LEFT_QUEUE = "left the queue"

Answer = TypeVar("Answer")


def wait_for(  # noqa: PLR0917 - as its callers have it
    allocator: Allocator,
    user: User,
    request: Request,
    container: str,
    limit: float | None,
    say: Callable[[str], None],
    owner: Owner | None = None,
    stop: threading.Event | None = None,
) -> Grant:
    """Return a grant as reserve() does, waiting in the queue for it if need be.

    `limit` is in seconds, None waits for ever. `say` is told the place in the queue
    whenever it changes. Whoever is interrupted leaves the queue and is told so; who
    finds `stop` set by another thread leaves it too.

    Raises Refusal as reserve() does where waiting is no help, and past the limit;
    HelperError(LEFT) when stopped.
    """
    about = (user, request, container, owner or owner_of(os.getpid()))
    enqueue = partial(allocator.enqueue, *about)
    return _wait(
        allocator, enqueue, partial(allocator.reserve, *about), limit, say, stop
    )


def wait_to_start(
    allocator: Allocator,
    container: str,
    limit: float | None,
    say: Callable[[str], None],
    owner: Owner | None = None,
) -> Started:
    """Return what reacquire() does, waiting as wait_for() does."""
    me = owner or owner_of(os.getpid())

    def enqueue() -> Ticket:
        user, request = allocator.wish_of(container)
        return allocator.enqueue(user, request, container, me)

    ask = partial(allocator.reacquire, container, me)
    return _wait(allocator, enqueue, ask, limit, say)


def _wait(  # noqa: PLR0917 - as its callers have it
    allocator: Allocator,
    enqueue: Callable[[], Ticket],
    ask: Callable[[int | None], Answer],
    limit: float | None,
    say: Callable[[str], None],
    stop: threading.Event | None = None,
) -> Answer:
    """Return the first answer of `ask` that is no refusal for want of a free device.

    `ask` takes the number in the queue (None: not in it).
    """
    try:
        return ask(None)
    except Refusal as refusal:
        if not refusal.waits:
            raise
    end = None if limit is None else time.monotonic() + limit
    waiter = _Waiter(allocator, enqueue, ask, end, say, stop or threading.Event())
    try:
        return waiter.wait()
    except BaseException as error:
        waiter.leave()
        if isinstance(error, KeyboardInterrupt):
            say(LEFT_QUEUE)
        raise


@dataclass
class _Waiter(Generic[Answer]):
    """One who waits: in the queue from the start to the answer."""

    allocator: Allocator
    enqueue: Callable[[], Ticket]
    ask: Callable[[int | None], Answer]
    end: float | None
    say: Callable[[str], None]
    stop: threading.Event
    number: int | None = None
    told: str = ""

    def _peek(self) -> Document | None:
        return ledger_document.peek(self.allocator.desk.paths)

    def wait(self) -> Answer:
        born = None
        while True:
            if self.stop.is_set():
                raise HelperError(Exit.LEFT, LEFT_QUEUE)
            seen = self._peek()
            # Lost with the state file, the place is taken anew; taken away, it is not.
            if self.number is None or (seen and seen.born != born):
                self.number = self.enqueue().number
                seen = self._peek()
                born = seen.born if seen else None
            try:
                answer = self.ask(self.number)
            except TicketGone:
                now = self._peek()
                if now is None or now.born == born:
                    raise
                continue
            except NotYet as refusal:
                if refusal.words != self.told:
                    self.say(refusal.words)
                    self.told = refusal.words
                self._sleep(seen.freed if seen else -1, refusal.turn.position == 1)
                if self.end is not None and time.monotonic() >= self.end:
                    raise
            else:
                self.number = None
                return answer

    def leave(self) -> None:
        """Leave the queue, without a word about it if that fails: it is found out."""
        if self.number is not None:
            with contextlib.suppress(HelperError):
                self.allocator.cancel(self.number, reason="left")

    def _sleep(self, freed: int, is_first: bool) -> None:
        """Sleep until something came free, or it is time to look in any case."""
        end = time.monotonic() + (FIRST_SECONDS if is_first else OTHERS_SECONDS)
        if self.end is not None:
            end = min(end, self.end)
        last: object = None
        while time.monotonic() < end and not self.stop.is_set():
            mark = self._mark()
            if mark != last:
                last = mark
                document = self._peek()
                if document is None or document.freed != freed:
                    return
            self.stop.wait(max(0.0, min(LOOK_SECONDS, end - time.monotonic())))

    def _mark(self) -> object:
        try:
            stat = ledger_document.path_of(self.allocator.desk.paths).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino
