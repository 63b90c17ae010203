"""Gives GPU devices to containers: reserve, commit, release, and who waits.

Reads the policy, the engine's containers (unfiltered) and NVML, and keeps its memory in
gpu-state.json. Every decision is made and written under the lock of the state folder,
on data that was read under it; each leaves a line in gpu-allocations.log.

Verbs (gpu_verbs.py): status, allocate, reserve, commit, release, explain, queue,
cancel, reconcile. stdout: one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import gpu_report
from _common import Exit, HelperError, Paths, run
from gpu_choice import Choices, Chosen
from gpu_desk import Desk, Work
from gpu_queue import NotYet, TicketGone, Turn, find_turn, order
from gpu_reconcile import World, describe, granted, own_devices, release
from gpu_request import Request, format_request, parse_request
from gpu_rules import Refusal
from gpu_state import Document, Grant, Ticket
from gpu_use import of_user
from policy import User
from process_owner import Owner, owner_of

# A waiter whose turn has come takes its devices at once; one that does not is stopped
# or hangs, and must not keep them from others.
OFFER_SECONDS = 30
_OFFERED = "offered"


@dataclass(frozen=True)
class Started:
    """What a container has that is to be started: None without GPUs.

    `moved` if the devices are not those it was made with: then it must be made anew
    with the grant's, and committed under its new id.
    """

    grant: Grant | None
    moved: bool = False


class Allocator:
    """The allocator of one installation. It holds no lock between calls.

    Everything that it looks at can be given by keywords: see gpu_desk.Desk.
    """

    def __init__(self, paths: Paths, engine_address: str, **given: Any) -> None:
        self.desk = Desk(paths, engine_address, **given)

    def reserve(
        self,
        user: User,
        request: Request,
        container: str,
        owner: Owner | None = None,
        wait_ticket: int | None = None,
    ) -> Grant:
        """Return a grant that is written, for a container that is about to be made.

        It lasts until commit(), release(), or until `owner` (this process by default)
        is gone and no container of the name exists. With `wait_ticket` the place in the
        queue counts, and is given up with the grant.

        Raises Refusal, HelperError(PREREQUISITE) without an engine, HelperError(CONFIG)
        for a policy or state that cannot be used.
        """
        owner = owner or owner_of(os.getpid())
        self.desk.effective(user)  # a broken policy is said before anything is locked
        with self.desk.work() as work:
            world = self.desk.observe(work, devices=request.kind != "none")
            self._clear_name(work, world, container, owner)
            chosen = self._choose(work, world, user, request, container, wait_ticket)
            grant = Grant(
                container=container,
                uid=user.uid,
                user=user.name,
                devices=tuple(granted(device) for device in chosen.devices),
                request=format_request(request),
                state="reserved",
                since=world.now,
                owner=owner,
                ends=chosen.ends,
                note=chosen.note,
            )
            work.document = _served(work.document.with_grant(grant), wait_ticket)
            work.tell("grant", **describe(grant), **(chosen.why or {}))
        return grant

    def commit(
        self, container: str, container_id: str, name: str | None = None
    ) -> Grant | None:
        """Bind a reservation to the container that was made; return the grant.

        `name` is the engine's, where the reservation had another one. Returns None for
        a container without devices. Committing twice is no mistake.

        Raises Refusal if its devices are somebody else's meanwhile (the reservation was
        lost with the state file): then the container must be removed.
        """
        with self.desk.work() as work:
            grant = work.document.grant_of(container)
            if grant is None or grant.container_id not in {"", container_id}:
                return self._find_again(work, container, container_id)
            if grant.container_id == container_id:
                return grant
            if not grant.devices:
                work.document = work.document.without(grant)
                return None
            made = replace(
                grant,
                container=name or grant.container,
                container_id=container_id,
                state="allocated",
                owner=None,
            )
            passed = dict(work.document.passed)
            passed.pop(container_id, None)
            document = work.document.without(grant).with_grant(made)
            work.document = replace(document, passed=passed)
            work.tell("commit", **describe(made))
        return made

    def _find_again(
        self, work: Work, container: str, container_id: str
    ) -> Grant | None:
        world = self.desk.observe(work)
        grant = work.document.grant_of(container_id)
        if grant is not None:
            return grant
        found = [c for c in world.view.containers if c.id == container_id]
        if not found:
            raise HelperError(
                Exit.NOT_FOUND,
                f"the engine has no container '{container_id[:12]}'",
                "run 'gpu-status' to see who has what",
            )
        if not found[0].holds:
            return None
        raise Refusal(
            "grant-lost",
            f"the devices of container '{container}' are somebody else's meanwhile",
            code=Exit.NO_GPU,
            hint="make the container again",
        )

    def release(
        self,
        container: str,
        reason: str,
        *,
        container_id: str = "",
        owner: Owner | None = None,
    ) -> Grant | None:
        """Give a container's devices back; return what it had, None if nothing.

        With `container_id` only what that very container has, with `owner` only what
        that process reserved: another container of the same name may be in the making.
        The devices are free once NVML shows no process on them.
        """
        with self.desk.work() as work:
            grant = work.document.grant_of(container_id or container)
            if grant is None or (container_id and grant.container_id != container_id):
                return None
            if owner is not None and grant.owner != owner:
                return None
            now = self.desk.now()
            work.document, event = release(work.document, grant, reason, now)
            work.events.append(event)
        return grant

    def allocate(
        self,
        user: User,
        request: Request,
        container: str,
        *,
        container_id: str = "",
        owner: Owner | None = None,
    ) -> Grant:
        """Reserve and commit in one, for scripts.

        Without a container's id the grant lasts as long as `owner`.
        """
        grant = self.reserve(user, request, container, owner)
        if container_id:
            return self.commit(container, container_id) or grant
        with self.desk.work() as work:
            made = replace(grant, state="allocated")
            work.document = work.document.with_grant(made)
            work.tell("commit", **describe(made))
        return made

    def reacquire(
        self,
        user: User,
        container: str,
        owner: Owner | None = None,
        wait_ticket: int | None = None,
    ) -> Started:
        """Return the devices for a container that is to be started, by name or id.

        The ones that it was made with, if it still has them or they are free; else
        others that its request allows, reserved under its name.

        Raises Refusal if there are none, HelperError(NOT_FOUND) without the container.
        """
        owner = owner or owner_of(os.getpid())
        with self.desk.work() as work:
            world = self.desk.observe(work)
            found = [c for c in world.view.containers if container in {c.name, c.id}]
            if not found:
                raise HelperError(
                    Exit.NOT_FOUND,
                    f"container '{container}' not found",
                    "run 'container-list' to see your containers",
                )
            it = found[0]
            if not it.managed or not it.holds:
                return Started(None)
            has = work.document.grant_of(it.id)
            choices = self._choices(work, world)
            if has is not None and not choices.unusable(has):
                kept = replace(has, renewed=world.now, owner=owner)
                work.document = work.document.with_grant(kept)
                work.tell("start", **describe(kept))
                return Started(kept)
            if has is not None:
                work.document, event = release(
                    work.document, has, "device-lost", world.now
                )
                work.events.append(event)
            request = parse_request(it.request) if it.request else Request("default")
            old = choices.again(user, it, request)
            if old is not None and not work.document.queue:
                chosen, moved = old, False
            else:
                chosen = self._choose(work, world, user, request, it.name, wait_ticket)
                made_with = own_devices(it, world.inventory)
                moved = {d.uuid for d in chosen.devices} != set(made_with)
            passed = {**work.document.passed}
            if moved:
                passed[it.id] = "moved"
            else:
                passed.pop(it.id, None)
            grant = Grant(
                container=it.name,
                uid=user.uid,
                user=user.name,
                devices=tuple(granted(device) for device in chosen.devices),
                request=it.request,
                ends=chosen.ends,
                note=chosen.note,
                state="reserved" if moved else "held",
                since=world.now,
                container_id="" if moved else it.id,
                owner=owner,
                renewed=None if moved else world.now,
            )
            document = replace(work.document.with_grant(grant), passed=passed)
            work.document = _served(document, wait_ticket)
            work.tell("grant", **describe(grant), **(chosen.why or {}), moved=moved)
        return Started(grant, moved)

    def enqueue(
        self,
        user: User,
        request: Request,
        container: str,
        owner: Owner | None = None,
    ) -> Ticket:
        """Return a new place in the queue; it vanishes with its owner.

        Raises Refusal where waiting is no help: a rule stands against the request.
        """
        owner = owner or owner_of(os.getpid())
        with self.desk.work() as work:
            world = self.desk.observe(work)
            self._clear_name(work, world, container, owner)
            ticket = self._ticket(work, user, request, container, owner)
            outcome = self._choices(work, world).place(ticket, (), frozenset())
            if outcome.reason is not None and outcome.refused:
                raise outcome.reason
            work.document = replace(
                work.document,
                tickets=ticket.number,
                queue=(*work.document.queue, ticket),
            )
            work.tell("enqueue", **about_ticket(ticket))
        return ticket

    def cancel(self, number: int, uid: int | None = None, reason: str = "") -> Ticket:
        """Take a ticket out of the queue and return it; of this user only, if given."""
        with self.desk.work() as work:
            found = [t for t in work.document.queue if t.number == number]
            if not found:
                raise HelperError(
                    Exit.NOT_FOUND,
                    f"nobody waits with number '{number}'",
                    "run 'gpu-queue' to see who waits",
                )
            if uid is not None and found[0].uid != uid:
                raise HelperError(
                    Exit.REFUSED,
                    f"number '{number}' of the queue is not yours",
                    "run 'gpu-queue --mine' to see what you wait for",
                )
            work.document = _served(work.document, number)
            work.tell("leave", **about_ticket(found[0]), reason=reason or "cancelled")
        return found[0]

    def reconcile(self) -> list[tuple[str, dict[str, Any]]]:
        """Put the document in order; return what changed."""
        with self.desk.work() as work:
            self.desk.observe(work)
            return list(work.events)

    def _choices(self, work: Work, world: World) -> Choices:
        return Choices(work.document, world, self.desk)

    def _ticket(
        self,
        work: Work,
        user: User,
        request: Request,
        container: str,
        owner: Owner | None,
    ) -> Ticket:
        """Return a ticket behind all others that wait."""
        return Ticket(
            number=work.document.tickets + 1,
            container=container,
            uid=user.uid,
            user=user.name,
            request=format_request(request),
            priority=self.desk.effective(user).limits.priority,
            since=self.desk.now(),
            owner=owner,
        )

    def _clear_name(
        self, work: Work, world: World, container: str, owner: Owner | None
    ) -> None:
        """Give back what this process reserved for the name; others' stands."""
        old = work.document.grant_of(container)
        if old is None:
            return
        if old.container_id or (old.owner != owner and old.owner is not None):
            what = "has GPUs already" if old.container_id else "is being made"
            raise Refusal(
                "container-exists",
                f"container '{old.container}' {what}",
                hint="choose another name, or run 'gpu-status' to see who has what",
            )
        work.document, event = release(work.document, old, "again", world.now)
        work.events.append(event)

    def _choose(  # noqa: PLR0917 - all that a choice depends on
        self,
        work: Work,
        world: World,
        user: User,
        request: Request,
        container: str,
        wait_ticket: int | None,
    ) -> Chosen:
        """Return the devices for a request whose turn it is.

        A refusal is logged, unless it is one of many of somebody who waits.
        """
        choices = Choices(work.document, world, self.desk)
        queue = work.document.queue
        if wait_ticket is not None:
            mine = _own_ticket(queue, wait_ticket, container)
            return self._by_turn(work, world, choices, mine)
        try:
            chosen = choices.choose(user, request, container)
            if queue and chosen.devices:
                last = self._ticket(work, user, request, container, None)
                return self._by_turn(work, world, choices, last)
        except Refusal as refusal:
            work.tell(
                "refuse",
                container=container,
                uid=user.uid,
                user=user.name,
                request=format_request(request),
                **gpu_report.refusal_json(refusal),
            )
            raise
        return chosen

    def _by_turn(
        self, work: Work, world: World, choices: Choices, mine: Ticket
    ) -> Chosen:
        """Return the devices if nobody in the queue comes first; else raise Refusal."""
        turn = self._turn(work, world, choices, mine)
        work.document = _offer(work, turn, world)
        reason, chosen = turn.outcome.reason, turn.outcome.chosen
        if turn.devices is not None and chosen is not None:
            place = {"ticket": mine.number, "position": turn.position}
            return replace(chosen, why={**(chosen.why or {}), **place})
        if reason is not None and not reason.waits:
            raise reason
        words = gpu_report.turn_words(mine, turn, choices)
        raise NotYet(reason or _kept_for_others(turn), turn, words)

    def _turn(self, work: Work, world: World, choices: Choices, mine: Ticket) -> Turn:
        others = [t for t in work.document.queue if t.number != mine.number]

        def use(uid: int) -> float:
            grants = work.document.grants
            return of_user(uid, work.document.use, grants, world.now)

        return find_turn(mine, order([*others, mine], use), choices.place)


def _own_ticket(queue: Sequence[Ticket], number: int, container: str) -> Ticket:
    for ticket in queue:
        if ticket.number == number and ticket.container == container:
            return ticket
    raise TicketGone(number)


def _kept_for_others(turn: Turn) -> Refusal:
    return Refusal(
        "queue",
        f"what is free is kept for the {len(turn.ahead)} who wait before you",
        code=Exit.NO_GPU,
        rule="priority",
        hint="add '--wait' to wait, or run 'gpu-queue' to see who does",
    )


def _served(document: Document, number: int | None) -> Document:
    """Return the document without a ticket; those behind may look again."""
    if number is None:
        return document
    queue = tuple(t for t in document.queue if t.number != number)
    return replace(document, queue=queue, freed=document.changes + 1)


def _offer(work: Work, turn: Turn, world: World) -> Document:
    """Note who could take devices now; who did not for long loses the place."""
    ready = {ticket.number for ticket in turn.ready}
    ahead = {ticket.number for ticket in turn.ahead}
    latest = world.now - timedelta(seconds=OFFER_SECONDS)
    queue: list[Ticket] = []
    for ticket in work.document.queue:
        offered = ticket.offered
        if ticket.number in ready and offered is not None and offered <= latest:
            work.tell("leave", **about_ticket(ticket), reason="not-taken")
            continue
        if ticket.number in ahead:
            offered = (offered or world.now) if ticket.number in ready else None
        queue.append(
            ticket if offered == ticket.offered else replace(ticket, offered=offered)
        )
    return replace(work.document, queue=tuple(queue))


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


if __name__ == "__main__":
    from gpu_verbs import main

    sys.exit(run(main, "gpu-allocator"))
