"""What rules and placement speak of: who holds what, and how they say no."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from ds01.core.errors import Exit, HelperError


@dataclass(frozen=True)
class GrantedDevice:
    """A device that somebody has; `share` is in GPU-equivalents."""

    uuid: str
    parent: str
    profile: str
    start: int | None
    size: int | None
    share: float
    is_mig: bool


@dataclass(frozen=True)
class Holding:
    """What one container of a user has; each state counts towards the quotas."""

    container: str
    uid: int
    devices: tuple[GrantedDevice, ...]
    state: Literal["reserved", "allocated", "held"]


class Broken(NamedTuple):
    """A rule that a request breaks, with its numbers.

    `have` is what there is already, `asked` what the request adds to it, and `limit`
    what both together must not exceed; for the want of a free device, `have` are free,
    `asked` are needed, and there are `limit` that would do.
    """

    machine: str
    rule: str
    have: float
    asked: float
    limit: float


class Refusal(HelperError):  # noqa: N818 - what it is to the user
    """A request that gets nothing, and why.

    `machine` is a code that does not change, `rule` the key of the policy; where it is
    about numbers, Broken tells both with them. For the want of a free device, `useful`
    are all devices that would do, free or not.
    """

    def __init__(
        self,
        machine: str | Broken,
        message: str,
        *,
        code: Exit = Exit.REFUSED,
        rule: str = "",
        hint: str | None = None,
        useful: Iterable[str] = (),
    ) -> None:
        super().__init__(code, message, hint)
        self.have: float | None = None
        self.asked: float | None = None
        self.limit: float | None = None
        if isinstance(machine, Broken):
            self.machine, self.rule, self.have, self.asked, self.limit = machine
        else:
            self.machine, self.rule = machine, rule
        self.useful = frozenset(useful)

    @property
    def waits(self) -> bool:
        """Can the request be granted later, without the user giving anything up?"""
        return self.code == Exit.NO_GPU or self.machine == "reservation"


@lru_cache(maxsize=256)
def exact(share: float) -> Fraction:
    """Return a share as it is meant: seven times 1/7 are one."""
    return Fraction(share).limit_denominator(5040)


def show(number: Fraction | float) -> str:
    """Return a number of GPU-equivalents for people: `1`, `0.43`."""
    return f"{float(number):.2f}".rstrip("0").rstrip(".")
