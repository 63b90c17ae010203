"""Tells a container's story: as lines for people, and as JSON. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ds01.core.plain import plain
from ds01.core.text import SEPARATOR, span
from ds01.core.units import utc_stamp
from ds01.gpus.ledger import document
from ds01.gpus.ledger.document import Grant
from ds01.records.outlooks import Outlook
from ds01.show.event_words import clock, image_of, joined, kinds, limits
from ds01.show.event_words import say as say_event
from ds01.show.lives import Life, Teller


@dataclass(frozen=True)
class Known:
    """A container that something is known of."""

    container: str
    uid: int | None
    user: str

    @property
    def name(self) -> str:
        return self.container.rpartition(SEPARATOR)[0] or self.container


@dataclass(frozen=True)
class Story:
    """All that is known of a container; `engine` says why the engine did not tell."""

    known: Known
    state: str
    record: Mapping[str, Any]
    shown: Mapping[str, Any]
    grant: Grant | None
    outlook: Outlook | None
    life: Life
    earlier: Sequence[Life] = ()
    engine: str | None = None
    notes: tuple[str, ...] = field(default=())


def heading(story: Story, now: datetime) -> list[str]:
    """Return what is so now: state, making, GPUs, use, what comes next."""
    record, shown, life = story.record, story.shown, story.life
    framework = shown.get("framework") or record.get("framework") or life.framework
    what = joined(str(framework or ""), story.state)
    lines = [("container", f"{story.known.name} ({what}) of {story.known.user}")]
    made = life.made or record.get("created") or shown.get("created")
    created = life.first("created") or {}
    image = created.get("image") or record.get("image") or shown.get("image")
    image = image_of(image, story.known.container)
    if made:
        lines.append(("made", f"{clock(made)} from {image}" if image else clock(made)))
    bound = limits({"limits": record.get("limits")}) or limits(created)
    if bound:
        lines.append(("limits", bound))
    if story.state == "removed":
        lines.append(("removed", clock(record.get("removed") or life.removed)))
    lines.append(("gpus", _gpus(story)))
    lines += _activity(story, now)
    return [f"{key:<10} {text}" for key, text in lines]


def _gpus(story: Story) -> str:
    grant = story.grant
    if grant is None or not grant.devices:
        return "none"
    shown = kinds({"profiles": [device.profile for device in grant.devices]})
    if story.state == "removed":
        return f"{shown}, about to go back"
    text = f"{shown}, {grant.state}"
    text += f" since {clock(utc_stamp(grant.stopped or grant.since))}"
    if grant.until:
        text += f", until {clock(utc_stamp(grant.until))}"
    if grant.ends:
        text += f", reserved for others from {clock(utc_stamp(grant.ends))}"
    return text


def _activity(story: Story, now: datetime) -> Iterable[tuple[str, str]]:
    outlook = story.outlook
    if outlook is None:
        return
    if outlook.idle_seconds is not None:
        last = outlook.last_active
        seen = f"last active {clock(utc_stamp(last))}" if last else ""
        because = outlook.active_because
        yield (
            "idle",
            joined(
                span(outlook.idle_seconds), f"{seen} ({because})" if because else seen
            ),
        )
    if outlook.kept_until is not None and outlook.kept_until > now:
        by = f" by {outlook.kept_by}" if outlook.kept_by else ""
        yield "kept", f"until {clock(utc_stamp(outlook.kept_until))}{by}"
    words = outlook.words(now)
    when = f" ({clock(utc_stamp(outlook.at))}, {outlook.rule})" if outlook.at else ""
    if words:
        yield "next", f"{words}{when}"
    elif story.state in {"running", "paused", "exited", "created"}:
        yield "next", "nothing is to come"


def lines_of(story: Story, now: datetime) -> list[str]:
    """Return the whole story for people."""
    lines = heading(story, now)
    for life in story.earlier:
        end = (
            f"removed {clock(life.removed)}" if life.removed else "its end is not known"
        )
        made = clock(life.made) if life.made else "long ago"
        lines.append(f"{'before':<10} made {made}, {end}")
    if story.life.events:
        lines.append("")
    teller = Teller()
    for event in story.life.events:
        text = teller.tell(event)
        if text is not None:
            lines.append(f"{clock(event['time'])}  {event['type']:<13} {text}".rstrip())
    return lines


def as_object(story: Story, now: datetime) -> dict[str, Any]:
    """Return the whole story for programs."""
    known, outlook = story.known, story.outlook
    return {
        "container": known.container,
        "name": known.name,
        "user": known.user,
        "uid": known.uid,
        "state": story.state,
        "record": dict(story.record),
        "engine": dict(story.shown) or None,
        "grant": document.grant_json(story.grant) if story.grant else None,
        "outlook": outlook and _outlook_json(outlook, now),
        "events": [{**e, "words": say_event(e)} for e in story.life.events],
        "earlier": [
            {"made": life.made, "removed": life.removed, "events": life.events}
            for life in story.earlier
        ],
        "problem": story.engine,
        "notes": list(story.notes),
    }


_OUTLOOK = (
    *("last_active", "idle_seconds", "active_because", "action", "rule", "at", "why"),
    *("words", "kept_until", "kept_by", "warned"),
)


def _outlook_json(outlook: Outlook, now: datetime) -> dict[str, Any]:
    shown = plain(outlook._asdict()) | {"words": outlook.words(now)}
    return {key: shown[key] for key in _OUTLOOK}
