"""The quotas of a user, in numbers. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ds01.gpus.devices.types import Device
from ds01.gpus.rules.refusal import Broken, Holding, exact
from ds01.policy.types import Limits


@dataclass(frozen=True)
class Used:
    """What a user has in all containers: running, stopped and in the making."""

    gpus: Fraction = Fraction(0)
    mig_instances: int = 0
    holdings: tuple[Holding, ...] = ()

    @classmethod
    def of(cls, holdings: Iterable[Holding]) -> Used:
        kept = tuple(holding for holding in holdings if holding.devices)
        devices = [device for holding in kept for device in holding.devices]
        return cls(
            sum((exact(device.share) for device in devices), Fraction(0)),
            sum(device.is_mig for device in devices),
            kept,
        )


def broken_rule(
    devices: Sequence[Device], limits: Limits, used: Used, has_mig: bool
) -> Broken | None:
    """Return the first rule that these devices in one more container would break."""
    count = len(devices)
    most = limits.max_gpus_per_container
    if most is not None and count > most:
        return Broken("quota-per-container", "max_gpus_per_container", 0, count, most)
    instances = sum(device.is_mig for device in devices)
    if has_mig and not limits.allow_full_gpu and instances < count:
        return Broken("full-gpu-not-allowed", "allow_full_gpu", 0, count, 0)
    most = limits.max_mig_instances
    if most is not None and instances and used.mig_instances + instances > most:
        return Broken(
            "quota-mig-instances",
            "max_mig_instances",
            used.mig_instances,
            instances,
            most,
        )
    asked = sum((exact(device.share) for device in devices), Fraction(0))
    if limits.max_gpus is not None and used.gpus + asked > exact(limits.max_gpus):
        return Broken(
            "quota-gpus", "max_gpus", float(used.gpus), float(asked), limits.max_gpus
        )
    return None
