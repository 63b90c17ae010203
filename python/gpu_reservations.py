"""What the policy's reservations leave to a user. Pure functions.

A reservation names no devices but keeps a number of GPUs. Which ones is decided anew
each time, alike for everybody: see `reservation_view`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gpu_types import Device
from policy import Policy


@dataclass(frozen=True)
class ReservationView:
    """What reservations mean for one user now.

    `blocked` devices are kept for others, now; `until` devices may be given until a
    reservation opens. `mine` are those kept for the user, now. `names` tells the
    reservation of each device.
    """

    blocked: frozenset[str] = frozenset()
    until: Mapping[str, datetime] = field(default_factory=dict)
    mine: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    opens: Mapping[str, tuple[datetime, datetime]] = field(default_factory=dict)


NO_RESERVATIONS = ReservationView()


def reservation_view(
    policy: Policy,
    user: str,
    group: str,
    max_runtime: int | None,
    now: datetime,
    devices: Iterable[Device],
    holders: Mapping[str, tuple[str, str]],
) -> ReservationView:
    """Return what the reservations leave to a user.

    `holders` tells for each device that is not free the name and group of who has it.
    """
    raise NotImplementedError
