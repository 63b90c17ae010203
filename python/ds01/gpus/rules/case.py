"""A request before the rules: what it meets, and how it is refused or allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ds01.core.errors import Exit
from ds01.core.units import format_time
from ds01.gpus.devices.kinds import Host
from ds01.gpus.devices.types import FULL, Device
from ds01.gpus.rules import hints
from ds01.gpus.rules.allowed import Allowed
from ds01.gpus.rules.quota import Used, broken_rule
from ds01.gpus.rules.refusal import Broken, Refusal
from ds01.gpus.rules.request import Request
from ds01.gpus.rules.reservations import ReservationView
from ds01.policy.types import Limits

# The rules that are not keys of the policy: what the server has, and how MIG is used.
HAS = "devices-of-the-server"
ONE_KIND = "one-kind-per-container"


@dataclass(frozen=True)
class Case:
    """A request before its judges."""

    request: Request
    limits: Limits
    used: Used
    host: Host
    reserved: ReservationView
    free: Collection[str] | None

    def broken(self, kind: str, count: int) -> Broken | None:
        device = self.host.kinds[kind][0]
        return broken_rule([device] * count, self.limits, self.used, self.host.has_mig)

    def may_ever_have(self, kind: str) -> bool:
        device = self.host.kinds[kind][0]
        return broken_rule([device], self.limits, Used(), self.host.has_mig) is None

    def alternatives(self, count: int = 1) -> list[str]:
        """Return the kinds that would be allowed, of those with some free if any."""
        kinds = [k for k in self.host.kinds if self.broken(k, count) is None]
        kinds = [k for k in kinds if len(self.available(k)) >= count]
        return [kind for kind in kinds if self.free_of(kind) >= count] or kinds

    def most_of(self, kind: str) -> int:
        """Return how many of a kind would be allowed, of fewer than are asked for."""
        if kind not in self.host.kinds:
            return 0
        counts = range(min(self.request.count, 64) - 1, 0, -1)
        return next((n for n in counts if self.broken(kind, n) is None), 0)

    def available(self, kind: str) -> list[Device]:
        blocked = self.reserved.blocked
        return [d for d in self.host.kinds[kind] if d.uuid not in blocked]

    def free_of(self, kind: str) -> int:
        return sum(d.uuid in (self.free or ()) for d in self.available(kind))


def within_reservations(case: Case, devices: Sequence[Device], count: int) -> Allowed:
    """Return the devices that reservations leave, in the order of trying them."""
    view = case.reserved
    left = [d for d in devices if d.uuid not in view.blocked]
    if len(left) < count:
        blocked = [d.uuid for d in devices if d.uuid in view.blocked]
        end = sorted(view.blocked[uuid] for uuid in blocked)[count - len(left) - 1]
        name = view.names.get(blocked[0], "")
        others = case.alternatives()[::-1]
        raise Refusal(
            Broken("reservation", "reservations", len(left), count, len(devices)),
            f"what would do is reserved until {format_time(end)} "
            f"(reservation '{name}')",
            hint=hints.another(others, f"ask again at {format_time(end)}"),
        )
    mine = [d for d in left if d.uuid in view.mine]
    lasting = [d for d in left if d.uuid not in view.until]
    groups = dict.fromkeys(
        tuple(group) for group in (mine, lasting, left) if len(group) >= count
    )
    until = {d.uuid: view.until[d.uuid] for d in left if d.uuid in view.until}
    notes = {
        uuid: f"reserved from {format_time(time)} (reservation "
        f"'{view.names.get(uuid, '')}'): the GPU must be given back by then"
        for uuid, time in view.until.items()
    }
    return Allowed(count, tuple(groups), until, notes=notes)


def refuse(case: Case, quota: Broken, kind: str = FULL) -> Refusal:
    message = hints.for_quota(quota, kind)
    most = case.most_of(kind)
    if case.request.kind == "count" and kind != FULL:
        most = min(most, 1)
    smaller = [other for other in case.alternatives() if other != kind]
    if quota.machine == "quota-per-container" and not quota.limit:
        hint = hints.use("none")
    elif most and case.request.kind != "device":
        hint = hints.fewer(case.request, kind, most)
    elif smaller and (
        quota.machine != "quota-mig-instances" or quota.asked > quota.limit
    ):
        hint = hints.use(smaller[-1])
    elif quota.asked > quota.limit:
        hint = hints.use("none")
    else:
        hint = hints.make_room(case.used)
    return Refusal(quota, message, hint=hint)


def none_usable(case: Case, devices: Sequence[Device], what: str) -> Refusal:
    """Return the refusal where all devices of a kind are out of order."""
    reasons = dict.fromkeys(_reasons(case.host, devices))
    return Refusal(
        Broken("no-free-device", HAS, 0, case.request.count, 0),
        f"no {what} of this server can be given: {'; '.join(reasons)}",
        code=Exit.NO_GPU,
        hint=hints.another(case.alternatives(), "run 'gpu-status' to see the GPUs"),
    )


def _reasons(host: Host, devices: Iterable[Device]) -> Iterator[str]:
    for device in devices:
        why = host.withheld.get(device.uuid, "")
        if why == "sick":
            yield device.sick or why
        elif why == "exclude":
            yield "kept out by the administrator"
        elif why == "mig-empty":
            yield "in MIG mode without instances"
