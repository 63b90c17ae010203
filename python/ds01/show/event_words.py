"""The types of events and what each says, in a few words for people.

docs/events.md describes the same types with their fields; a test compares both with
what the code emits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ds01.core.table import plain as printable
from ds01.core.text import SEPARATOR, size_text, span
from ds01.core.units import counted, parse_size
from ds01.records.reasons import WHY

Event = Mapping[str, Any]

# What every line has, and what is shown in columns of its own.
COMMON = ("time", "type", "user", "uid", "command", "pid", "container", "name", "by")


def name_of(event: Event) -> str:
    """Return the owner's word for the container that an event is about."""
    container = str(event.get("container") or "")
    return (
        str(event.get("name") or "") or container.rpartition(SEPARATOR)[0] or container
    )


def say(event: Event) -> str:
    """Return what an event says besides its time, type, user and container."""
    words = WORDS.get(str(event.get("type")))
    try:
        text = words(event) if words else others(event)
    except (TypeError, ValueError, KeyError, AttributeError):
        text = others(event)
    # A name in a reason must not rewrite a terminal.
    return printable(text)


def others(event: Event, *left_out: str) -> str:
    """Return all fields that are not common, as they are."""
    return ", ".join(
        f"{key} {plain(value)}"
        for key, value in event.items()
        if key not in COMMON and key not in left_out and value not in (None, "", [], {})
    )


def plain(value: object) -> str:
    """Return a value as people read it."""
    if isinstance(value, list):
        return " ".join(map(plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def kinds(event: Event) -> str:
    """Return the GPUs of an event as kinds: `2 x full`, `none`."""
    if isinstance(event.get("kinds"), str):
        return str(event["kinds"]) or "none"
    found = [str(kind) for kind in event.get("profiles") or () if kind]
    counted = {kind: found.count(kind) for kind in found}
    return (
        ", ".join(
            kind if count == 1 else f"{count} x {kind}"
            for kind, count in counted.items()
        )
        or "none"
    )


def limits(event: Event) -> str:
    """Return CPUs and memory of an event, as far as it tells them."""
    found: Mapping[str, Any] = event.get("limits") or {}
    parts = []
    cpus, memory = found.get("cpus"), found.get("memory")
    if cpus:
        parts.append(counted(plain(cpus), "CPU"))
    if memory:
        # A container's labels have sizes as they are written.
        size = parse_size(memory) if isinstance(memory, str) else memory
        parts.append(f"memory {size_text(size)}")
    return ", ".join(parts)


def image_of(image: object, container: object) -> str:
    """Return an image without the tag of the one that mlc prepared for a container."""
    return str(image or "").removesuffix(f":{container}")


def joined(*parts: str) -> str:
    """Join what is there of some parts."""
    return ", ".join(part for part in parts if part)


_SPANS = {
    "idle_seconds": "idle for {}",
    "limit_seconds": "limit {}",
    "run_seconds": "ran for {}",
    "hold_seconds": "kept for {} after its stop",
    "timeout_seconds": "limit {}",
}


def figures(event: Event) -> str:
    """Return the figures that a rule went by."""
    found: Mapping[str, Any] = event.get("figures") or {}
    parts = []
    for key, value in found.items():
        if value is None or key == "last_active":
            continue  # idle_seconds says the same
        if key in _SPANS:
            parts.append(_SPANS[key].format(span(float(value))))
        elif key == "last_activity":
            parts.append(f"last activity: {plain(value)}")
        elif key.endswith("_percent"):
            parts.append(f"{key.removesuffix('_percent')} {plain(value)}%")
        else:
            parts.append(f"{key.replace('_', ' ')} {clock(plain(value))}")
    return ", ".join(parts)


def rule(event: Event) -> str:
    """Return a rule in words with its key: `idle (idle_timeout)`."""
    key = str(event.get("rule") or "")
    why = WHY.get(key, "")
    return f"{why} ({key})" if why and why != key else key


def clock(value: object) -> str:
    """Return a stamp as it is shown: to the second."""
    text = str(value)
    return text[:19] + "Z" if len(text) > 19 and text.endswith("Z") else text


def _by(event: Event) -> str:
    if event.get("rule"):
        return joined(f"by rule: {rule(event)}", figures(event))
    reason = str(event.get("reason") or "")
    if reason:
        return reason.replace("-", " ")
    return f"by {event['command']}" if event.get("command") else ""


def _created(event: Event) -> str:
    image = image_of(event.get("image"), event.get("container"))
    return joined(
        f"from {image}" if image else "", f"GPUs: {kinds(event)}", limits(event)
    )


def _warned(event: Event) -> str:
    percent = event.get("percent")
    part = f"{percent}% of its time" if percent else ""
    return joined(rule(event), part, f"due {clock(event.get('due'))}", figures(event))


def _grant(event: Event) -> str:
    what = f"{kinds(event)} for the request '{event.get('request')}'"
    waited = f"from the queue, ticket {event['ticket']}" if event.get("ticket") else ""
    quotas = [
        f"{key} before: {number(used)} of {number(most)}"
        for key, (used, most) in (event.get("quotas") or {}).items()
        if key == "max_gpus"
    ]
    return joined(what, waited, *quotas)


def number(value: object) -> str:
    """Return a quota's number: `0.43`, `unlimited`."""
    if value is None:
        return "unlimited"
    return f"{float(str(value)):.2f}".rstrip("0").rstrip(".")


def _release(event: Event) -> str:
    hours = float(event.get("gpu_seconds") or 0) / 3600
    why = str(event.get("reason") or "").replace("-", " ")
    return joined(f"{kinds(event)}: {why}", f"{hours:.2f} GPU-hours")


def _hold(event: Event) -> str:
    until = event.get("until")
    kept = f"until {clock(until)}" if until else "without an end"
    return f"{kinds(event)} kept {kept}"


def _refuse(event: Event) -> str:
    return joined(str(event.get("message") or ""), str(event.get("rule") or ""))


def _devices(event: Event) -> str:
    return plain(event.get("lost") or event.get("devices") or [])


def _asker(event: Event) -> str:
    by = event.get("by")
    return f"by {by}" if by and by != event.get("user") else ""


def _denied(event: Event) -> str:
    return str(event.get("reason") or event.get("code") or "")


def _queue(event: Event) -> str:
    reason = str(event.get("reason") or "").replace("-", " ")
    return joined(f"'{event.get('request')}'", f"ticket {event.get('ticket')}", reason)


def _image(event: Event) -> str:
    image = event.get("image") or event.get("reference") or event.get("name") or ""
    seconds = event.get("seconds")
    took = f"in {span(float(seconds))}" if seconds is not None else ""
    return joined(str(image), took, str(event.get("reason") or ""))


# In the event log.
EVENTS: dict[str, Callable[[Event], str] | None] = {
    "created": _created,
    "started": lambda e: joined(f"GPUs: {kinds(e)}", limits(e)),
    "stopped": _by,
    "removed": _by,
    "exported": lambda e: f"to {e.get('file')}",
    "moved": lambda e: f"to other GPUs: {plain(e.get('gpus') or [])}",
    "denied": _denied,
    "warned": _warned,
    "kept": lambda e: joined(f"until {clock(e.get('until'))}", _asker(e)),
    "keep-ended": _asker,
    "not-stopped": lambda e: joined(rule(e), str(e.get("why") or "")),
    "not-removed": lambda e: joined(rule(e), str(e.get("why") or "")),
    "gpus-returned": lambda e: joined(rule(e), plain(e.get("gpus") or []), figures(e)),
    "removal-announced": lambda e: joined(f"due {clock(e.get('due'))}", rule(e)),
    "archived": lambda e: f"in {e.get('file')}",
    "found-stopped": lambda e: str(e.get("why") or "it ended"),
    "pass-skipped": lambda e: str(e.get("reason")),
    "leftover-removed": lambda e: joined(str(e.get("what")), str(e.get("why") or "")),
    "state-corrupt": lambda e: joined(str(e.get("file")), str(e.get("reason"))),
    "image-built": _image,
    "image-failed": _image,
    "image-deleted": _image,
}

# In the log of GPU allocations.
ALLOCATIONS: dict[str, Callable[[Event], str] | None] = {
    "grant": _grant,
    "commit": kinds,
    "start": kinds,
    "adopt": kinds,
    "hold": _hold,
    "resume": kinds,
    "release": _release,
    "refuse": _refuse,
    "enqueue": _queue,
    "leave": _queue,
    "lost": _devices,
    "found": _devices,
    "dirty": lambda e: joined(
        _devices(e), f"processes {plain(e.get('processes') or [])}"
    ),
    "clean": _devices,
    "conflict": _devices,
    "pass": lambda e: joined(_devices(e), str(e.get("reason") or "")),
    "rebuild": lambda e: str(e.get("reason")),
}

WORDS = {**EVENTS, **ALLOCATIONS}
