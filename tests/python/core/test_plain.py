"""core/plain.py: dataclasses as plain values and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

import pytest

from ds01.core.plain import plain, read

MOMENT = datetime(2026, 12, 1, 8, 30, tzinfo=timezone.utc)
STAMP = "2026-12-01T08:30:00.000Z"


@dataclass(frozen=True)
class Part:
    kind: Literal["a", "b"]
    at: datetime


@dataclass(frozen=True)
class Whole:
    name: str
    number: int = 0
    part: Part | None = None
    parts: tuple[Part, ...] = ()
    sums: Mapping[str, int] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)


WHOLE = Whole(
    "x", 3, Part("a", MOMENT), (Part("b", MOMENT),), {"cpu": 1}, {"list": [1, None]}
)
RAW = {
    "name": "x",
    "number": 3,
    "part": {"kind": "a", "at": STAMP},
    "parts": [{"kind": "b", "at": STAMP}],
    "sums": {"cpu": 1},
    "rest": {"list": [1, None]},
}


def test_a_dataclass_is_an_object_of_plain_values() -> None:
    assert plain(WHOLE) == RAW
    assert list(plain(WHOLE)) == list(RAW)
    assert plain(None) is None


def test_plain_values_are_read_back() -> None:
    assert read(Whole, RAW) == WHOLE
    assert read(Whole, {**RAW, "part": None}).part is None
    assert read(Whole, {**RAW, "number": "4"}).number == 4
    assert read(Whole, {"name": "y"}, set(RAW)) == Whole("y")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"number": "many"}, ValueError),
        ({"part": {"kind": "c", "at": STAMP}}, ValueError),
        ({"part": {"kind": "a"}}, KeyError),
        ({"part": {"kind": "a", "at": 5}}, TypeError),
        ({"sums": ["cpu"]}, AttributeError),
    ],
)
def test_what_says_no_dataclass_is_an_error(
    change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        read(Whole, RAW | change)


def test_a_field_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        read(Whole, {"name": "x"}, ("part",))
