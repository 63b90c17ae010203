"""Dataclasses as the plain values that JSON has, and back, by their fields' types."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass
from datetime import datetime
from functools import cache, partial
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ds01.core.units import read_stamp, utc_stamp

T = TypeVar("T")

_ATOMS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """Return plain values: of a dataclass an object, of a moment its stamp."""
    if isinstance(value, datetime):
        return utc_stamp(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {k: v if type(v) in _ATOMS else plain(v) for k, v in value.items()}
    return value


def read(
    kind: Callable[..., T], raw: Mapping[str, Any], optional: Collection[str] = ()
) -> T:
    """Return the dataclass that plain values say; `optional` fields may be missing.

    Raises ValueError, KeyError, TypeError or AttributeError where they say none.
    """
    return kind(
        **{
            name: take(raw[name])
            for name, take in _takers(kind).items()
            if name in raw or name not in optional
        }
    )


Taker = Callable[[Any], Any]


@cache
def _takers(kind: Any) -> dict[str, Taker]:
    """Return what reads each field; types are looked at once, not for each value."""
    return {name: _taker(name, hint) for name, hint in get_type_hints(kind).items()}


def _taker(name: str, hint: Any) -> Taker:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return partial(_one_of, name, inner)
    if isinstance(hint, type) and is_dataclass(hint):
        return partial(read, hint)
    if origin is None:
        known: dict[Any, Taker] = {datetime: read_stamp, Any: lambda value: value}
        take: Taker = known.get(hint, hint)
        return take
    each = _taker(name, inner[1] if origin is Mapping else inner[0])
    if origin is UnionType:
        return lambda value: None if value is None else each(value)
    if origin is Mapping:
        return lambda value: {str(k): each(item) for k, item in value.items()}
    return lambda value: tuple(map(each, value))


def _one_of(name: str, known: tuple[str, ...], value: Any) -> Any:
    if value not in known:
        raise ValueError(f"{name} {value!r}")
    return value
