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
from typing import Generic, TypeVar

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, owner_of
from ds01.gpus.allocator.allocator import Allocator, Started
from ds01.gpus.allocator.queue import NotYet, TicketGone
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.document import Grant, Ticket
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
    me = owner or owner_of(os.getpid())

    def enqueue() -> Ticket:
        return allocator.enqueue(user, request, container, me)

    def ask(ticket: int | None) -> Grant:
        return allocator.reserve(user, request, container, me, ticket)

    return _wait(allocator, enqueue, ask, limit, say, stop)


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

    def ask(ticket: int | None) -> Started:
        return allocator.reacquire(container, me, ticket)

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
    waiter = _Waiter(allocator, enqueue, end, say, ask, stop or threading.Event())
    try:
        return waiter.wait()
    except BaseException as error:
        waiter.leave()
        if isinstance(error, KeyboardInterrupt):
            say(LEFT_QUEUE)
        raise


class _Waiter(Generic[Answer]):
    """One who waits: in the queue from the start to the answer."""

    def __init__(  # noqa: PLR0917 - as _wait() has it
        self,
        allocator: Allocator,
        enqueue: Callable[[], Ticket],
        end: float | None,
        say: Callable[[str], None],
        ask: Callable[[int | None], Answer],
        stop: threading.Event,
    ) -> None:
        self._allocator = allocator
        self._paths = allocator.desk.paths
        self._enqueue = enqueue
        self._end = end
        self._say = say
        self._ask = ask
        self._stop = stop
        self._number: int | None = None
        self._told = ""

    def wait(self) -> Answer:
        born = None
        while True:
            if self._stop.is_set():
                raise HelperError(Exit.LEFT, LEFT_QUEUE)
            seen = ledger_document.peek(self._paths)
            # Lost with the state file, the place is taken anew; taken away, it is not.
            if self._number is None or (seen and seen.born != born):
                self._number = self._enqueue().number
                seen = ledger_document.peek(self._paths)
                born = seen.born if seen else None
            try:
                answer = self._ask(self._number)
            except TicketGone:
                now = ledger_document.peek(self._paths)
                if now is None or now.born == born:
                    raise
                continue
            except NotYet as refusal:
                self._tell(refusal)
                self._sleep(seen.freed if seen else -1, refusal.turn.position == 1)
                if self._end is not None and time.monotonic() >= self._end:
                    raise
            else:
                self._number = None
                return answer

    def leave(self) -> None:
        """Leave the queue, without a word about it if that fails: it is found out."""
        if self._number is not None:
            with contextlib.suppress(HelperError):
                self._allocator.cancel(self._number, reason="left")

    def _tell(self, refusal: NotYet) -> None:
        text = refusal.words
        if text != self._told:
            self._say(text)
            self._told = text

    def _sleep(self, freed: int, is_first: bool) -> None:
        """Sleep until something came free, or it is time to look in any case."""
        end = time.monotonic() + (FIRST_SECONDS if is_first else OTHERS_SECONDS)
        if self._end is not None:
            end = min(end, self._end)
        last: object = None
        while time.monotonic() < end and not self._stop.is_set():
            mark = self._mark()
            if mark != last:
                last = mark
                document = ledger_document.peek(self._paths)
                if document is None or document.freed != freed:
                    return
            self._stop.wait(max(0.0, min(LOOK_SECONDS, end - time.monotonic())))

    def _mark(self) -> object:
        try:
            stat = ledger_document.path_of(self._paths).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino
