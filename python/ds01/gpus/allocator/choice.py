"""What a request would get at one moment: rules and placement over the whole picture.

Joins the pure decisions (rules.py, placement.py and reservations.py of rules/) with
document, engine and inventory. Makes nothing happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from ds01.core.errors import HelperError
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.allocator.queue import Chosen, Given, Outcome
from ds01.gpus.devices.types import Device
from ds01.gpus.ledger.device_states import device_states
from ds01.gpus.ledger.document import Document, Grant, Ticket, granted
from ds01.gpus.ledger.engine_view import Container
from ds01.gpus.ledger.reconcile import World, own_devices
from ds01.gpus.rules import placement, rules
from ds01.gpus.rules.allowed import none_free
from ds01.gpus.rules.refusal import Holding, Refusal
from ds01.gpus.rules.request import Request, parse_request
from ds01.gpus.rules.reservations import (
    NO_RESERVATIONS,
    Holder,
    ReservationView,
    reservation_view,
)
from ds01.policy.types import Effective, User


class Choices:
    """The choices that document and world leave."""

    def __init__(self, document: Document, world: World, desk: Desk) -> None:
        self._document = document
        self._world = world
        self._desk = desk
        self.states = device_states(document, world.view, world.inventory)
        self._by_uuid = {state.device.uuid: state for state in self.states}
        self.free = frozenset(s.device.uuid for s in self.states if s.state == "free")
        self._views: dict[int, ReservationView] = {}

    def choose(
        self,
        user: User,
        request: Request,
        container: str,
        given: Sequence[Given] = (),
        barred: frozenset[str] = frozenset(),
    ) -> Chosen:
        """Return the devices for a request.

        `given` is what others of the queue are thought to have, `barred` what the
        request must not have. Raises Refusal.
        """
        effective = self._desk.effective(user)
        allocation = self._desk.policy().allocation
        holdings = self.holdings(user.uid, container, given)
        free = self.free - barred
        count = self.count(user.uid, container, given)
        allowed = rules.check(
            request,
            effective.limits,
            holdings,
            self._world.inventory,
            containers=count,
            exclude=allocation.exclude,
            free=free,
            reserved=self._reserved(effective),
        )
        quotas = use_of_quotas(effective, holdings, count)
        if not allowed.count:
            return Chosen(note=allowed.note, why={"quotas": quotas})
        devices = placement.choose(
            allowed, free, self._world.inventory, allocation.strategy
        )
        if devices is None:
            raise none_free(request, allowed, free)
        why = {
            "strategy": allocation.strategy,
            "candidates": sorted(allowed.useful),
            "free": sorted(allowed.useful & free),
            "quotas": quotas,
        }
        until, note = allowed.until_of(devices), allowed.note_of(devices)
        return Chosen(devices, allowed.useful, until, note, why)

    @property
    def show_names(self) -> bool:
        """May everybody see who waits?"""
        return self._desk.policy().allocation.show_names

    def holdings(
        self, uid: int, container: str = "", given: Sequence[Given] = ()
    ) -> list[Holding]:
        """Return what a user has and is thought to have, but for one container."""
        found = [
            Holding(grant.container, grant.uid, grant.devices, grant.state)
            for grant in self._document.grants
            if grant.uid == uid and grant.devices and grant.container != container
        ]
        for item in given:
            if item.ticket.uid == uid:
                devices = tuple(granted(d) for d in self.devices(item.devices))
                found.append(Holding(item.ticket.container, uid, devices, "reserved"))
        return found

    def count(self, uid: int, container: str = "", given: Sequence[Given] = ()) -> int:
        """Count a user's containers, those in the making too, but for one."""
        names = {c.name for c in self._world.view.containers if c.uid == uid}
        names |= {g.container for g in self._document.grants if g.uid == uid}
        names |= {g.ticket.container for g in given if g.ticket.uid == uid}
        return len(names - {container})

    def devices(self, uuids: Sequence[str]) -> tuple[Device, ...]:
        """Return devices by their UUIDs."""
        return tuple(self._by_uuid[uuid].device for uuid in uuids)

    def _reserved(self, effective: Effective) -> ReservationView:
        policy, user = self._desk.policy(), effective.user
        if not policy.reservations:
            return NO_RESERVATIONS
        if user.uid not in self._views:
            self._views[user.uid] = reservation_view(
                policy,
                self._world.inventory,
                self._holders(),
                user=user.name,
                group=effective.group,
                max_runtime=effective.limits.max_runtime,
                now=self._world.now,
            )
        return self._views[user.uid]

    def _holders(self) -> dict[str, Holder]:
        """Return who has each device that is not free."""
        found: dict[str, Holder] = {}
        for state in self.states:
            if state.grant is not None:
                found[state.device.uuid] = self._holder(state.grant)
            elif state.state != "free":
                found[state.device.uuid] = Holder("", "")
        return found

    def _holder(self, grant: Grant) -> Holder:
        """Return who has a grant, and when at the latest it comes back."""
        ends = [time for time in (grant.ends, grant.until) if time is not None]
        try:
            effective = self._desk.effective(self._desk.user(grant.uid))
        except HelperError:  # an account that is gone, or that no group takes
            return Holder(grant.user, "", min(ends, default=None))
        runtime = effective.limits.max_runtime
        if runtime is not None:
            ends.append((grant.renewed or grant.since) + timedelta(seconds=runtime))
        return Holder(effective.user.name, effective.group, min(ends, default=None))

    def place(
        self, ticket: Ticket, given: Sequence[Given], barred: frozenset[str]
    ) -> Outcome:
        """Return what a ticket would get; see gpu_queue.Place."""
        try:
            request = parse_request(ticket.request)
            user = self._desk.user(ticket.uid)
            chosen = self.choose(user, request, ticket.container, given, barred)
        except Refusal as refusal:
            return Outcome(useful=refusal.useful, reason=refusal)
        devices = tuple(device.uuid for device in chosen.devices)
        return Outcome(devices, chosen.useful, chosen=chosen)

    def again(
        self, user: User, container: Container, request: Request
    ) -> Chosen | None:
        """Return the devices that a container was made with, if they are free for it.

        Raises Refusal where a rule stands against it.
        """
        uuids = own_devices(container, self._world.inventory)
        if not self.free.issuperset(uuids):
            return None
        others = frozenset(self._by_uuid) - set(uuids)
        try:
            chosen = self.choose(user, request, container.name, barred=others)
        except Refusal as refusal:
            if refusal.waits:
                return None
            raise
        return chosen if {d.uuid for d in chosen.devices} == set(uuids) else None

    def unusable(self, grant: Grant) -> list[str]:
        """Return those devices of a grant that are gone or sick."""
        bad = {"lost", "sick"}
        return [u for u in grant.uuids if self._by_uuid[u].state in bad]

    def needs(self, request: Request, useful: frozenset[str]) -> str:
        """Say what must come free: `2 of 8 that would do (7 allocated, 1 free)`."""
        states = Counter(self._by_uuid[u].state for u in useful if u in self._by_uuid)
        if not states:
            return "this server has none that would do"
        parts = ", ".join(f"{number} {name}" for name, number in states.most_common())
        return f"{request.count} of {len(useful)} that would do ({parts})"


def use_of_quotas(
    effective: Effective, holdings: Sequence[Holding], containers: int
) -> dict[str, list[float | None]]:
    """Return a user's present use of each quota, and the limit."""
    limits = effective.limits
    devices = [device for holding in holdings for device in holding.devices]
    share = round(sum(device.share for device in devices), 6)
    instances = sum(device.is_mig for device in devices)
    return {
        "max_gpus": [share, limits.max_gpus],
        "max_mig_instances": [instances, limits.max_mig_instances],
        "max_containers_per_user": [containers, limits.max_containers_per_user],
    }
