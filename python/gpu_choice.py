"""What a request would get at one moment: rules and placement over the whole picture.

Joins the pure decisions (gpu_rules.py, gpu_placement.py) with document, engine and
inventory. Makes nothing happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import gpu_placement
import gpu_rules
from gpu_request import Request, format_request, parse_request
from gpu_rules import Holding, Refusal

from _common import Exit
from gpu_desk import Desk
from gpu_device_states import device_states
from gpu_engine_view import Container
from gpu_queue import Given, Outcome
from gpu_reconcile import World, granted, own_devices
from gpu_state import Document, Grant, Ticket
from gpu_types import Device
from policy import User


class NoneFree(Refusal):
    """Nothing free of what would do: `useful` are all devices that would."""

    def __init__(self, useful: frozenset[str], message: str) -> None:
        super().__init__(
            "no-free-device",
            message,
            code=Exit.NO_GPU,
            hint="add '--wait' to wait, or run 'gpu-status' to see who has what",
        )
        self.useful = useful


class Choices:
    """The choices that document and world leave."""

    def __init__(self, document: Document, world: World, desk: Desk) -> None:
        self._document = document
        self._world = world
        self._desk = desk
        self.states = device_states(document, world.view, world.inventory)
        self._by_uuid = {state.device.uuid: state for state in self.states}
        self._free = [s.device for s in self.states if s.state == "free"]

    def choose(
        self,
        user: User,
        request: Request,
        container: str,
        given: Sequence[Given] = (),
        barred: frozenset[str] = frozenset(),
    ) -> tuple[tuple[Device, ...], dict[str, Any]]:
        """Return the devices for a request, and the reasons as the log keeps them.

        `given` is what others of the queue are thought to have, `barred` what the
        request must not have. Raises Refusal.
        """
        limits = self._desk.effective(user).limits
        policy = self._desk.policy()
        holdings = [*self._holdings(user.uid), *self._assumed(given, user.uid)]
        candidates = gpu_rules.check(
            request,
            limits,
            holdings,
            self._world.inventory.devices,
            self._count(user.uid, container, given),
            policy.allocation.exclude,
        )
        if request.kind == "none":
            return (), {}
        useful = frozenset(device.uuid for device in candidates)
        free = [d for d in self._free if d.uuid in useful and d.uuid not in barred]
        devices = gpu_placement.choose(
            request,
            free,
            self._world.inventory.devices,
            self._world.inventory.links,
            policy.allocation.strategy,
        )
        if devices is None:
            raise self._none_free(request, useful)
        return devices, {
            "strategy": policy.allocation.strategy,
            "candidates": sorted(useful),
            "free": [device.uuid for device in free],
            "quotas": self.quotas(holdings, user),
        }

    def devices(self, uuids: Sequence[str]) -> tuple[Device, ...]:
        """Return devices by their UUIDs."""
        return tuple(self._by_uuid[uuid].device for uuid in uuids)

    def _holdings(self, uid: int) -> list[Holding]:
        return [
            Holding(grant.container, grant.uid, grant.devices, grant.state)
            for grant in self._document.grants
            if grant.uid == uid and grant.devices
        ]

    def _assumed(self, given: Sequence[Given], uid: int) -> list[Holding]:
        return [
            Holding(
                item.ticket.container,
                uid,
                tuple(granted(self._by_uuid[uuid].device) for uuid in item.devices),
                "reserved",
            )
            for item in given
            if item.ticket.uid == uid
        ]

    def _count(self, uid: int, container: str, given: Sequence[Given]) -> int:
        """Count a user's containers, those in the making too, but not this one."""
        names = {c.name for c in self._world.view.containers if c.uid == uid}
        names |= {g.container for g in self._document.grants if g.uid == uid}
        names |= {g.ticket.container for g in given if g.ticket.uid == uid}
        return len(names - {container})

    def place(
        self, ticket: Ticket, given: Sequence[Given], barred: frozenset[str]
    ) -> Outcome:
        """Return what a ticket would get; see gpu_queue.Place."""
        try:
            request = parse_request(ticket.request)
            user = self._desk.user(ticket.uid)
            devices, why = self.choose(user, request, ticket.container, given, barred)
            return Outcome(tuple(d.uuid for d in devices), why=why)
        except NoneFree as refusal:
            return Outcome(useful=refusal.useful, reason=refusal)
        except Refusal as refusal:
            return Outcome(reason=refusal)

    def again(
        self, user: User, container: Container, request: Request
    ) -> tuple[Device, ...] | None:
        """Return the devices that a container was made with, if they are free for it.

        Raises Refusal where a rule stands against it.
        """
        free = {device.uuid: device for device in self._free}
        uuids = own_devices(container, self._world.inventory)
        if not all(uuid in free for uuid in uuids):
            return None
        _, why = self.choose(user, request, container.name)
        if not set(uuids) <= set(why["candidates"]):
            return None
        return tuple(free[uuid] for uuid in uuids)

    def unusable(self, grant: Grant) -> list[str]:
        """Return those devices of a grant that are gone or sick."""
        bad = {"lost", "sick"}
        return [u for u in grant.uuids if self._by_uuid[u].state in bad]

    def quotas(self, holdings: Sequence[Holding], user: User) -> dict[str, Any]:
        """Return a user's present use against each quota: [used, limit]."""
        limits = self._desk.effective(user).limits
        devices = [device for holding in holdings for device in holding.devices]
        return {
            "max_gpus": [
                round(sum(device.share for device in devices), 6),
                limits.max_gpus,
            ],
            "max_mig_instances": [
                sum(device.is_mig for device in devices),
                limits.max_mig_instances,
            ],
            "max_gpus_per_container": [0, limits.max_gpus_per_container],
            "max_containers_per_user": [
                self._count(user.uid, "", ()),
                limits.max_containers_per_user,
            ],
        }

    def _none_free(self, request: Request, useful: frozenset[str]) -> NoneFree:
        what, needs = format_request(request), self.needs(request, useful)
        return NoneFree(useful, f"no free GPU for '{what}': {needs}")

    def needs(self, request: Request, useful: frozenset[str]) -> str:
        """Say what must come free: `2 of 8 that would do (7 allocated, 1 free)`."""
        count = len(request.uuids) or request.count
        states = Counter(self._by_uuid[u].state for u in useful if u in self._by_uuid)
        if not states:
            return "this server has none that would do"
        parts = ", ".join(f"{number} {name}" for name, number in states.most_common())
        return f"{count} of {len(useful)} that would do ({parts})"
