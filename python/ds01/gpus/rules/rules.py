"""Which devices a request may be given, or which rule refuses it. Pure functions.

`check` knows nothing of what is free: it says what a request may have at all.
gpu_placement.choose takes of that what is free, and `none_free` says that nothing is.

The smallest kind that a user may have is the one with the least compute share, then the
least memory, among those that the limits do not rule out for good: whole GPUs need
allow_full_gpu where MIG instances exist, MIG instances max_mig_instances, and no kind
may be larger than max_gpus. What is used up does not change the kind: who has no 1g
left does not get a 2g unasked. Only a request by memory looks at the next larger kind,
since it names a need and not a kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ds01.core.errors import Exit
from ds01.core.units import counted
from ds01.gpus.devices.kinds import memory_of, name_of, survey
from ds01.gpus.devices.types import FULL, Device, Inventory
from ds01.gpus.rules import hints
from ds01.gpus.rules.allowed import Allowed
from ds01.gpus.rules.case import (
    HAS,
    ONE_KIND,
    Case,
    none_usable,
    refuse,
    within_reservations,
)
from ds01.gpus.rules.quota import Used, broken_rule
from ds01.gpus.rules.refusal import Broken, Holding, Refusal
from ds01.gpus.rules.request import Request, format_memory
from ds01.gpus.rules.reservations import NO_RESERVATIONS, ReservationView
from ds01.policy.types import Limits


def check(
    request: Request,
    limits: Limits,
    holdings: Iterable[Holding],
    inventory: Inventory,
    *,
    containers: int | None = None,
    exclude: Collection[str] = (),
    free: Collection[str] | None = None,
    reserved: ReservationView = NO_RESERVATIONS,
) -> Allowed:
    """Return what a user's request may be given; raises Refusal.

    `holdings` are all of the user's, without the container that asks. `containers` is
    how many other containers the user has (None: not looked at). `free` are UUIDs, for
    the hints only. `reserved` is what the policy's reservations leave to the user.

    On a host without any GPU every request is a container without, and so is the
    default request of a user whose limits allow no GPU.
    """
    if containers is not None:
        check_room(limits, containers)
    if request.kind == "none":
        return Allowed(0)
    if request.kind == "default" and 0 in (
        limits.max_gpus,
        limits.max_gpus_per_container,
    ):
        return Allowed(0, note=_NOT_YOURS)
    if inventory.error is not None:
        raise Refusal(
            "nvml-down",
            "the NVIDIA driver does not answer, so nobody knows which GPUs are free: "
            f"{inventory.error}",
            code=Exit.PREREQUISITE,
            rule=HAS,
            hint="run 'nvidia-smi' to see what is wrong, or use '--gpus none'",
        )
    if not inventory.devices:
        return Allowed(0, note="this server has no GPU: the container runs without")
    case = Case(
        request,
        limits,
        Used.of(holdings),
        survey(inventory, exclude),
        reserved,
        free,
    )
    return _JUDGES[request.kind](case)


def check_room(limits: Limits, containers: int) -> None:
    """Raise Refusal where so many containers leave no room for one more."""
    most = limits.max_containers_per_user
    if most is not None and containers >= most:
        raise Refusal(
            Broken("quota-containers", "max_containers_per_user", containers, 1, most),
            f"you have {counted(containers, 'container')}, "
            f"and {most} {'is' if most == 1 else 'are'} allowed",
            hint="run 'container-list', and remove one that you do not need any more",
        )


_NOT_YOURS = "your limits allow no GPU: the container runs without"


def _judge_default(case: Case) -> Allowed:
    """Judge `default` and `count`: so many devices of the smallest kind."""
    if not case.host.kinds:
        raise none_usable(case, list(case.host.by_uuid.values()), "GPU")
    mine = [kind for kind in case.host.kinds if case.may_ever_have(kind)]
    if not mine and case.request.kind == "default":
        return Allowed(0, note=_NOT_YOURS)
    kind = mine[0] if mine else next(iter(case.host.kinds))
    return _allow(case, kind, case.request.count, is_named=False)


def _judge_full(case: Case) -> Allowed:
    if case.host.has_mig and not case.limits.allow_full_gpu:
        raise refuse(case, Broken("full-gpu-not-allowed", "allow_full_gpu", 0, 1, 0))
    return _judge_kind(case, FULL)


def _judge_profile(case: Case) -> Allowed:
    return _judge_kind(case, case.request.profile)


def _judge_kind(case: Case, kind: str) -> Allowed:
    if kind in case.host.kinds:
        return _allow(case, kind, case.request.count, is_named=True)
    withheld = [
        device
        for device in case.host.by_uuid.values()
        if device.profile == kind
        and case.host.withheld[device.uuid] in {"sick", "exclude"}
    ]
    if withheld:
        raise none_usable(case, withheld, name_of(kind))
    raise Refusal(
        Broken("unknown-profile", HAS, 0, case.request.count, 0),
        f"this server has no {'undivided GPU' if kind == FULL else f'GPU {kind!r}'}",
        hint=hints.nearest(kind, case.alternatives(), case.host.kinds, case.free),
    )


def _judge_memory(case: Case) -> Allowed:
    need, count = case.request.memory, case.request.count
    if not case.host.kinds:
        raise none_usable(case, list(case.host.by_uuid.values()), "GPU")
    enough = {
        kind: sorted({d.memory for d in devices if memory_of(d) >= need})
        for kind, devices in case.host.kinds.items()
    }
    fitting = [kind for kind, sizes in enough.items() if sizes]
    if not fitting:
        largest = max(map(memory_of, case.host.by_uuid.values()))
        raise Refusal(
            Broken("too-much-memory", HAS, 0, need, largest),
            f"no GPU of this server has {format_memory(need)} of memory",
            hint=f"use '--gpu-mem {largest // 10**9}g' or less",
        )
    kinds = [kind for kind in fitting if case.may_ever_have(kind)] or fitting[:1]
    groups: list[tuple[Device, ...]] = []
    found: Allowed | None = None
    for kind in kinds:
        refusal: Refusal | None = None
        # GPUs of one kind may differ in memory: those with less come first.
        for most in enough[kind]:
            fit = [d for d in case.host.kinds[kind] if need <= memory_of(d)]
            fit = [d for d in fit if d.memory <= most]
            try:
                allowed = _allow(case, kind, count, is_named=False, among=fit)
            except Refusal as caught:
                refusal = caught
                continue
            groups += allowed.groups
            until = {**(found.until if found else {}), **allowed.until}
            found = replace(allowed, until=until)
        if found is None and refusal is not None:
            raise refusal
    assert found is not None  # noqa: S101 - the first kind is allowed or refused
    return replace(found, groups=tuple(dict.fromkeys(groups)))


def _judge_devices(case: Case) -> Allowed:
    devices = [_find(case, uuid) for uuid in case.request.uuids]
    kinds = list(dict.fromkeys(device.profile for device in devices))
    if len(kinds) > 1:
        single = [
            f"device={device.uuid}"
            for device in devices
            if broken_rule([device], case.limits, case.used, case.host.has_mig) is None
        ]
        raise Refusal(
            Broken("mig-mixed", ONE_KIND, len(kinds), len(devices), 1),
            f"one container gets devices of one kind, not {' and '.join(kinds)}",
            hint=hints.another(single or case.alternatives(), hints.use("none")),
        )
    quota = broken_rule(devices, case.limits, case.used, case.host.has_mig)
    if quota is not None:
        raise refuse(case, quota, kinds[0])
    return within_reservations(case, devices, len(devices))


def _find(case: Case, uuid: str) -> Device:
    """Return the device that a UUID names; the case of its letters does not matter."""
    device = case.host.by_uuid.get(uuid.lower())
    others = case.alternatives()
    if device is None:
        raise Refusal(
            Broken("device-not-found", HAS, 0, 1, 0),
            f"this server has no GPU '{uuid}'",
            hint="run 'gpu-status' to see the GPUs and their UUIDs",
        )
    why = case.host.withheld.get(device.uuid)
    if why == "sick":
        raise Refusal(
            Broken("device-sick", HAS, 0, 1, 1),
            f"GPU '{device.uuid}' is sick: {device.sick}",
            code=Exit.NO_GPU,
            hint=hints.another(others),
        )
    if why is not None:
        words = {
            "exclude": "is kept out by the administrator (gpu_allocation.exclude)",
            "mig-parent": "is divided into MIG instances and never given whole",
            "mig-empty": "is in MIG mode and has no instances",
        }
        raise Refusal(
            Broken(why, "gpu_allocation.exclude" if why == "exclude" else HAS, 0, 1, 0),
            f"GPU '{device.uuid}' {words[why]}",
            hint=hints.another(others),
        )
    return device


_JUDGES = {
    "default": _judge_default,
    "count": _judge_default,
    "full": _judge_full,
    "profile": _judge_profile,
    "memory": _judge_memory,
    "device": _judge_devices,
}


def _allow(
    case: Case,
    kind: str,
    count: int,
    *,
    is_named: bool,
    among: Sequence[Device] | None = None,
) -> Allowed:
    """Return what may be given of one kind; raises Refusal."""
    devices = case.host.kinds[kind] if among is None else among
    quota = case.broken(kind, count)
    # So many are too many, but one would do: then it is the name that is missing.
    is_number = (
        quota is not None
        and quota.rule == "max_mig_instances"
        and case.broken(kind, 1) is None
    )
    if quota is not None and (is_named or not is_number):
        raise refuse(case, quota, kind)
    if kind != FULL and count > 1 and not is_named:
        others = case.alternatives(count)
        raise Refusal(
            Broken("mig-unnamed", ONE_KIND, 0, count, 1),
            f"{count} MIG instances in one container are given only by their profile, "
            "since a process uses one of them",
            hint=hints.several(kind, count, others),
        )
    if quota is not None:
        raise refuse(case, quota, kind)
    if len(devices) < count:
        raise Refusal(
            Broken("too-few-devices", HAS, 0, count, len(devices)),
            f"{count} × {name_of(kind)} asked for, and this server has {len(devices)}",
            hint=hints.fewer(case.request, kind, len(devices)),
        )
    return within_reservations(case, devices, count)
