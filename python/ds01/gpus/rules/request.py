"""What GPUs somebody asks for: words of a command, or Docker's device requests.

Both end in the same Request; `format_request` and `to_docker` write it back so that it
is read as the same one. Pure functions.

GPU memory counts as NVIDIA names it: `10g` is 10 * 10^9 bytes, which a 1g.10gb has
(its 9728 MiB are less than 10 GiB); `10gib` is binary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from ds01.core import units
from ds01.core.errors import Exit, HelperError
from ds01.core.text import nearest

Kind = Literal["none", "default", "count", "full", "profile", "memory", "device"]

_DECIMAL = {"t": 10**12, "g": 10**9, "m": 10**6, "k": 10**3, "b": 1}
_BINARY = {"tib": 1 << 40, "gib": 1 << 30, "mib": 1 << 20, "kib": 1 << 10}
_MOST_MEMORY = 1 << 60
_MOST = 9999

_COUNT = re.compile(r"[1-9]\d{0,3}", re.ASCII)
_PROFILE = re.compile(
    r"(?:\d{1,2}c\.)?\d{1,2}g\.\d{1,4}gb(?:[+-][a-z]+(?:\.[a-z]+)*)*", re.ASCII
)
_MEMORY = re.compile(r"(\d{1,19})(?:\.(\d{1,3}))?(b|([kmgt])(?:i?b|i)?)", re.ASCII)
_UUID = re.compile(r"(?i:GPU|MIG)-[0-9A-Za-z][0-9A-Za-z_./-]{0,127}", re.ASCII)
_SPELLED_OUT = {"all": "default", "no": "none", "0": "none", "void": "none"}

# What NVIDIA's runtime may be asked for beside the device itself.
_CAPABILITIES = frozenset(
    {"gpu", "nvidia", "compute", "utility", "graphics", "video", "display"}
    | {"ngx", "compat32"}
)
_CDI = "nvidia.com/gpu="
_HINT = "use '--gpus 1', '--gpus full', '--gpus 1g.10gb' or '--gpus none'"
# How long to wait for it: no part of what is asked for.
WAIT_OPTION = "ds01.wait"
_KNOWN_OPTIONS = ("ds01.profile", "ds01.mem", "ds01.request")


@dataclass(frozen=True)
class Request:
    """What is asked for.

    `default` is what the user has without saying anything, `count` are so many of the
    smallest kind, `memory` the smallest that have so many bytes, `device` the very
    devices named by `uuids`. `count` is 0 for `none`, and the number of `uuids`.
    """

    kind: Kind
    count: int = 1
    profile: str = ""
    memory: int = 0
    uuids: tuple[str, ...] = ()


NONE = Request("none", 0)
DEFAULT = Request("default")


def parse_request(text: str) -> Request:
    """Return the request that a person writes.

    `none`, `default` (or `all`), `2`, `full`, `full:2`, `1g.10gb`, `1g.10gb:2`,
    `mem=10g`, `device=UUID;UUID` (or with commas).

    Raises HelperError(USAGE).
    """
    word = text.strip().strip("\"'")
    lower = word.lower()
    lower = _SPELLED_OUT.get(lower, lower)
    if lower == "none":
        return NONE
    if lower == "default":
        return DEFAULT
    if _COUNT.fullmatch(lower):
        return Request("count", int(lower))
    if lower.startswith("device=") or _UUID.fullmatch(word):
        return _devices(re.split("[,;]", word.partition("=")[2] or word), text)
    head, colon, tail = lower.partition(":")
    if colon and not _COUNT.fullmatch(tail):
        what = f"'{tail}' in GPU request '{text}' is not a number from 1 to {_MOST}"
        raise _usage(what, _hint_of(head))
    count = int(tail) if colon else 1
    if head == "full":
        return Request("full", count)
    if _PROFILE.fullmatch(head):
        return Request("profile", count, profile=head)
    if head.startswith("mem="):
        return Request("memory", count, memory=parse_memory(head[4:]))
    raise _usage(f"'{text}' is not a GPU request", _hint_of(lower))


def format_request(request: Request) -> str:
    """Return the words that parse_request reads as this request; never with a comma."""
    if request.kind in {"none", "default"}:
        return request.kind
    if request.kind == "count":
        return str(request.count)
    if request.kind == "device":
        return f"device={';'.join(request.uuids)}"
    word = {
        "full": "full",
        "profile": request.profile,
        "memory": f"mem={format_memory(request.memory)}",
    }[request.kind]
    return word if request.count == 1 else f"{word}:{request.count}"


def parse_memory(text: str) -> int:
    """Return the bytes of `10g` or `10gb` (decimal), or `10gib` (binary).

    Raises HelperError(USAGE).
    """
    lower = text.strip().lower()
    match = _MEMORY.fullmatch(lower)
    if not match:
        if re.fullmatch(r"\d{1,6}", lower, re.ASCII):
            raise _usage(
                f"GPU memory '{text}' has no unit", f"use '--gpu-mem {lower}g'"
            )
        raise _usage(f"'{text}' is not a size of GPU memory", "use '--gpu-mem 10g'")
    whole, part, unit, letter = match.groups()
    factor = _BINARY[f"{letter}ib"] if "i" in unit else _DECIMAL[letter or "b"]
    digits = part or ""
    size: int = int(whole) * factor + int(digits or 0) * factor // int(
        "1" + "0" * len(digits)
    )
    if not 0 < size <= _MOST_MEMORY:
        raise _usage(f"no GPU has '{text}' of memory", "use '--gpu-mem 10g'")
    return size


def parse_wait(text: str) -> float | None:
    """Return a time to wait in seconds, None for ever (nothing is written).

    Raises HelperError(USAGE).
    """
    if not text:
        return None
    try:
        return float(units.parse_duration(text))
    except ValueError as error:
        what = f"'{text}' is not a time to wait: {error}"
        raise _usage(what, "write '--wait' alone, or '--wait=2h'") from error


def format_memory(size: int) -> str:
    """Return the shortest text that parse_memory reads back as exactly `size` bytes."""
    for unit, factor in {**_DECIMAL, **_BINARY}.items():
        if unit != "b" and size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}b"


def to_docker(request: Request) -> str:
    """Return the words for `docker --gpus` (mlc's -g) that ask for the same."""
    if request.kind == "none":
        return "0"
    if request.kind == "default":
        return "all"
    if request.kind == "count":
        return str(request.count)
    if request.kind == "device":
        words = f"device={','.join(request.uuids)}"
        return words if len(request.uuids) == 1 else f'"{words}"'
    if request.kind == "memory":
        option = f"ds01.mem={format_memory(request.memory)}"
    else:
        option = f"ds01.profile={request.profile or 'full'}"
    return f"count={request.count},options={option}"


def from_device_request(requests: Sequence[Mapping[str, object]] | None) -> Request:
    """Return what the DeviceRequests of a create request ask for.

    A count below zero is all, which is the user's default. The options `ds01.profile`
    (a profile or `full`), `ds01.mem` and `ds01.request` (words of parse_request) say
    more; with them a count that is all or left out means 1, since compose writes all
    where nothing was said. Several requests add up if they are of one kind.

    Raises HelperError(USAGE) for what cannot be understood, HelperError(REFUSED) for
    other drivers than NVIDIA's and for devices that are no GPUs.
    """
    if not _is_list(requests or []):
        raise _usage("the device requests are not a list", _HINT)
    found = [_one(request) for request in requests or []]
    wanted = [request for request in found if request.kind != "none"]
    if not wanted:
        return NONE
    first = wanted[0]
    if len(wanted) == 1 or all(request == DEFAULT for request in wanted):
        return first
    if first.kind == "device" and all(r.kind == "device" for r in wanted):
        return _devices([uuid for r in wanted for uuid in r.uuids], "")
    kinds = {(r.kind, r.profile, r.memory) for r in wanted}
    if len(kinds) > 1 or first.kind == "default":
        words = "' and '".join(dict.fromkeys(format_request(r) for r in wanted))
        raise _usage(f"GPUs are asked for in several ways: '{words}'", _HINT)
    total = sum(request.count for request in wanted)
    return Request(first.kind, total, first.profile, first.memory)


def _one(request: object) -> Request:
    if not isinstance(request, Mapping):
        raise _usage("a device request is not an object", _HINT)
    driver, count = request.get("Driver") or "", request.get("Count") or 0
    names, options = request.get("DeviceIDs") or [], request.get("Options") or {}
    if (
        not isinstance(driver, str)
        or type(count) is not int
        or not _is_words(names)
        or not isinstance(options, Mapping)
        or not _is_words([*options.keys(), *options.values()])
    ):
        raise _usage("the device request is not as Docker writes it", _HINT)
    _check_driver(driver, request.get("Capabilities"), names)
    if count > _MOST:
        raise _usage(f"{count} GPUs are more than any server has", _HINT)
    ours = {
        key.lower(): value
        for key, value in options.items()
        if key.lower().startswith("ds01.") and key.lower() != WAIT_OPTION
    }
    if names:
        return _named(names, count, ours)
    if not ours:
        if count < 0:
            return DEFAULT
        return Request("count", count) if count else NONE
    return _from_options(ours, count)


def _check_driver(driver: str, capabilities: object, names: Sequence[str]) -> None:
    if driver.lower() not in {"", "nvidia", "cdi"}:
        raise HelperError(
            Exit.REFUSED,
            f"device driver '{driver}' is not allowed on this server",
            "use '--gpus' without a driver",
        )
    if driver.lower() == "cdi" and not all(name.startswith(_CDI) for name in names):
        raise HelperError(
            Exit.REFUSED, "only GPUs can be asked for by CDI name here", _HINT
        )
    alternatives = capabilities or []
    if not _is_list(alternatives):
        raise _usage("the device request is not as Docker writes it", _HINT)
    if not alternatives and driver:
        return
    for words in alternatives:
        if _is_words(words) and "gpu" in words and _CAPABILITIES.issuperset(words):
            return
    raise HelperError(
        Exit.REFUSED,
        "only GPUs can be asked for by capability here",
        "write the capability 'gpu'",
    )


def _named(names: Sequence[str], count: int, options: Mapping[str, object]) -> Request:
    if count or options:
        extra = next(iter(options), "a count")
        raise _usage(
            f"GPUs are asked for by name and by {extra}",
            f"use '--gpus device={names[0]}'",
        )
    return _devices(names, "")


def _from_options(options: Mapping[str, str], count: int) -> Request:
    for key in options:
        if key not in _KNOWN_OPTIONS:
            near = nearest(key, _KNOWN_OPTIONS) or "ds01.request"
            raise _usage(f"GPU option '{key}' is not known", f"use '{near}'")
    if len(options) > 1:
        keys = "' and '".join(options)
        raise _usage(
            f"GPU options '{keys}' exclude each other", f"use '{next(iter(options))}'"
        )
    key, value = next(iter(options.items()))
    number = max(count, 1)
    if key == "ds01.mem":
        return Request("memory", number, memory=parse_memory(value))
    asked = parse_request(value)
    if key == "ds01.profile" and (
        asked.kind not in {"full", "profile"} or ":" in value
    ):
        raise _usage(
            f"'{value}' is not a GPU profile",
            "use 'ds01.profile=1g.10gb' or 'ds01.profile=full'",
        )
    if key == "ds01.request":
        if number not in {1, asked.count}:
            raise _usage(
                f"GPU request '{value}' has another count than {number}",
                f"leave out 'count={number}'",
            )
        return asked
    return Request(asked.kind, number, asked.profile)


def _devices(names: Sequence[str], text: str) -> Request:
    """Return a request for devices by name; twice named is once asked for."""
    uuids: list[str] = []
    for given in names:
        name = given.strip().removeprefix(_CDI)
        if len(names) == 1 and name.lower() == "all":
            return DEFAULT
        if len(names) == 1 and name.lower() in {"none", "void"}:
            return NONE
        if re.fullmatch(r"\d{1,3}(?::\d{1,3})?", name, re.ASCII):
            raise _usage(
                f"GPU '{name}' is an index, which may be another GPU after a restart",
                "use '--gpus 1', or run 'gpu-status' to see the UUID that "
                "'--gpus device=' takes",
            )
        if not _UUID.fullmatch(name):
            what = f"'{name}' in '{text}'" if text and name else f"'{name or text}'"
            raise _usage(f"{what} is not the UUID of a GPU", "run 'gpu-status'")
        if name not in uuids:
            uuids.append(name)
    if len(uuids) > _MOST:
        raise _usage(f"{len(uuids)} GPUs are more than any server has", _HINT)
    return Request("device", len(uuids), uuids=tuple(uuids))


def _hint_of(word: str) -> str:
    """Return what may have been meant."""
    if _PROFILE.fullmatch(word):
        return f"use '--gpus {word}'"
    if re.fullmatch(r"\d{1,2}g\.?\d{1,4}g?b?", word, re.ASCII):
        slices, _, size = word.partition("g")
        return f"use '--gpus {slices}g.{size.strip('.gb')}gb'"
    if _MEMORY.fullmatch(word):
        return f"use '--gpu-mem {word}'"
    if re.fullmatch(r"\d+", word, re.ASCII):
        return "use '--gpus 1'"
    near = nearest(word, ("full", "none", "default", "all"))
    return f"use '--gpus {near}'" if near else _HINT


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, (list, tuple))


def _is_words(value: object) -> TypeGuard[Sequence[str]]:
    return _is_list(value) and all(isinstance(word, str) for word in value)


def _usage(message: str, hint: str) -> HelperError:
    return HelperError(Exit.USAGE, message, hint)
