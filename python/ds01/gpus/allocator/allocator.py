"""The deeds of the allocator: reserve, commit, release, take again, queue.

Every decision is made and written under the lock of the state folder, on data that was
read under it; each leaves a line in gpu-allocations.log.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner, owner_of
from ds01.core.paths import Paths
from ds01.gpus.allocator.choice import Choices
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.allocator.queue import Chosen
from ds01.gpus.allocator.turns import (
    about_ticket,
    choose,
    find_ticket,
    make_ticket,
    served,
)
from ds01.gpus.ledger.document import Grant, Ticket, granted
from ds01.gpus.ledger.engine_view import Container
from ds01.gpus.ledger.reconcile import Work, World, clean, describe, own_devices
from ds01.gpus.rules.refusal import Refusal
from ds01.gpus.rules.request import Request, format_request, parse_request
from ds01.policy.types import User


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
            # Without NVML nothing comes free: what an earlier container of the name had
            # would be in the way of one without GPU.
            had = work.document.grant_of(container) is not None
            world = self.desk.observe(work, devices=request.kind != "none" or had)
            self._clear_name(work, world, container, owner)
            chosen = choose(
                self.desk, work, world, user, request, container, wait_ticket
            )
            grant = _grant(chosen, user, request, container, world, owner)
            work.document = served(work.document.with_grant(grant), wait_ticket)
            work.tell("grant", **describe(grant), **(chosen.why or {}))
        return grant

    def check(
        self, user: User, request: Request, container: str, *, waits: bool
    ) -> None:
        """Raise what reserve() would raise now, before anything is made; take nothing.

        Who `waits` is only refused what no waiting would bring.
        """
        with self.desk.work() as work:
            world = self.desk.observe(work, devices=request.kind != "none")
            try:
                Choices(work.document, world, self.desk).choose(
                    user, request, container
                )
            except Refusal as refusal:
                if waits and refusal.waits:
                    return
            else:
                if waits:
                    return
            # Asked once more with the queue before it; a refusal is logged.
            choose(self.desk, work, world, user, request, container, None)

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
            work.document = work.document.without(grant).with_grant(made)
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
            work.release(grant, reason, self.desk.now())
        return grant

    def reacquire(
        self,
        container: str,
        owner: Owner | None = None,
        wait_ticket: int | None = None,
    ) -> Started:
        """Return the devices for a container that is to be started, by name or id.

        The ones that it was made with, if it still has them or they are free; else
        others that its request allows, reserved under its name. They count for the
        container's user, whoever starts it.

        Raises Refusal if there are none, HelperError(NOT_FOUND) without the container.
        """
        owner = owner or owner_of(os.getpid())
        with self.desk.work() as work:
            world = self.desk.observe(work)
            it = _find_container(world, container)
            if not it.managed or not it.holds:
                return Started(None)
            has = work.document.grant_of(it.id)
            choices = Choices(work.document, world, self.desk)
            if has is not None and not choices.unusable(has):
                kept = replace(
                    has,
                    state="allocated",
                    until=None,
                    stopped=None,
                    renewed=world.now,
                    owner=owner,
                )
                work.document = work.document.with_grant(kept)
                work.tell("start", **describe(kept))
                return Started(kept)
            return self._take_again(work, world, it, has, owner, wait_ticket)

    def _take_again(  # noqa: PLR0917 - all that it depends on
        self,
        work: Work,
        world: World,
        it: Container,
        has: Grant | None,
        owner: Owner | None,
        wait_ticket: int | None,
    ) -> Started:
        """Grant a container devices anew; what it has of them that works stays its own
        if there are none."""
        before = work.document
        if has is not None:
            event = work.release(has, "device-lost", world.now)
            work.document, _ = clean(work.document, world.inventory)
        user, request = self.desk.user(it.uid), asked_for(it)
        try:
            self._clear_name(work, world, it.name, owner)
            choices = Choices(work.document, world, self.desk)
            old = choices.again(user, it, request)
            chosen = choose(
                self.desk, work, world, user, request, it.name, wait_ticket, old
            )
        except Refusal:
            if has is not None:
                work.document = before
                work.events.remove(event)
            raise
        uuids = {device.uuid for device in chosen.devices}
        moved = uuids != set(own_devices(it, world.inventory))
        grant = _grant(chosen, user, request, it.name, world, owner)
        if moved:
            passed = {**work.document.passed, it.id: "moved"}
            work.document = replace(work.document, passed=passed)
        else:
            grant = replace(
                grant, state="allocated", container_id=it.id, renewed=world.now
            )
        work.document = served(work.document.with_grant(grant), wait_ticket)
        work.tell("grant", **describe(grant), **(chosen.why or {}), moved=moved)
        return Started(grant, moved)

    def wish_of(self, container: str) -> tuple[User, Request]:
        """Return whose a container is, and the GPUs that it was made with a wish for.

        Raises HelperError(NOT_FOUND).
        """
        with self.desk.work() as work:
            it = _find_container(self.desk.observe(work, devices=False), container)
        return self.desk.user(it.uid), asked_for(it)

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
            ticket = make_ticket(
                self.desk, work.document, user, request, container, owner
            )
            choices = Choices(work.document, world, self.desk)
            outcome = choices.place(ticket, (), frozenset())
            if outcome.reason is not None and outcome.refused:
                raise outcome.reason
            work.document = replace(
                work.document,
                tickets=ticket.number,
                queue=(*work.document.queue, ticket),
            )
            work.tell("enqueue", **about_ticket(ticket))
        return ticket

    def cancel(
        self,
        number: int,
        uid: int | None = None,
        reason: str = "cancelled",
    ) -> Ticket:
        """Take a ticket out of the queue; return it. With `uid` only that user's."""
        with self.desk.work() as work:
            ticket = find_ticket(work.document, number)
            if uid is not None and ticket.uid != uid:
                raise HelperError(
                    Exit.REFUSED,
                    f"place {ticket.number} of the queue is not yours",
                    "run 'gpu-queue --mine' to see what you wait for",
                )
            work.document = served(work.document, ticket.number)
            work.tell("leave", **about_ticket(ticket), reason=reason)
        return ticket

    def reconcile(self) -> list[tuple[str, dict[str, Any]]]:
        """Put the document in order; return what changed."""
        with self.desk.work() as work:
            self.desk.observe(work)
            return list(work.events)

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
        work.release(old, "again", world.now)


def _grant(  # noqa: PLR0917 - what a grant is made of
    chosen: Chosen,
    user: User,
    request: Request,
    container: str,
    world: World,
    owner: Owner | None,
) -> Grant:
    """Return the reservation of what was chosen."""
    return Grant(
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


def _find_container(world: World, container: str) -> Container:
    for it in world.view.containers:
        if container in {it.name, it.id}:
            return it
    raise HelperError(
        Exit.NOT_FOUND,
        f"container '{container}' not found",
        "run 'container-list' to see your containers",
    )


def asked_for(container: Container) -> Request:
    """Return the request that a container was made with, as its label tells it."""
    try:
        return parse_request(container.request or "default")
    except HelperError:
        return parse_request("default")
