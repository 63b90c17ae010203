"""What lifecycle decisions are made of: facts of one container, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ds01.lifecycle.activity import Sample
from ds01.records.pass_entries import Entry

Found = tuple[str, Mapping[str, Any]]

ACTIVE = frozenset({"running", "paused"})
ENDED = frozenset({"exited", "dead"})
# A container that comes back this soon goes on with the same run.
SAME_RUN_SECONDS = 3600
# An action that was begun and is not seen done is begun again after this.
RETRY_SECONDS = 120


@dataclass(frozen=True)
class Term:
    """A time limit of the owner's in seconds, None for none.

    `lifted_until`: an exemption that ends then; until then the limit does nothing.
    """

    limit: int | None = None
    lifted_until: datetime | None = None


@dataclass(frozen=True)
class Terms:
    """The limits that hold for a container's owner now.

    `created` and `created_gpus` are those of a container that was never started.
    """

    idle: Term = Term()
    runtime: Term = Term()
    removal: Term = Term()
    created: Term = Term()
    created_gpus: Term = Term()


@dataclass(frozen=True)
class Holding:
    """A container's devices: since when, and until when at most, None for ever."""

    gpus: tuple[str, ...]
    since: datetime
    until: datetime | None = None
    ends: datetime | None = None
    renewed: datetime | None = None


@dataclass(frozen=True)
class Subject:
    """What is known of one container of DS01's.

    `started` and `finished` are the engine's, None for never. `is_wanted`: somebody
    waits for its devices. `holds_files`: a container that was never started, but was
    made with a person's files. `kept_until` is what its owner asked for.
    `hold_expired`: its devices went back because their time was over.
    """

    container: str
    id: str
    name: str
    uid: int
    user: str
    state: str
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    sample: Sample | None = None
    terms: Terms | None = None
    holding: Holding | None = None
    is_wanted: bool = False
    holds_files: bool = False
    kept_until: datetime | None = None
    kept_by: str = ""
    out_of_memory: bool = False
    hold_expired: bool = False


@dataclass(frozen=True)
class Moment:
    """When this pass is, and how it stands to the others.

    `tick` are the seconds since the last pass, `rebooted` if the server was started
    anew in between. `unwatched` are the seconds in which no pass ran, though some
    should have: the server may have been off.
    """

    now: datetime
    tick: float = 60.0
    rebooted: bool = False
    unwatched: float = 0.0


@dataclass(frozen=True)
class Notice:
    """Something to tell a container's owner before it happens."""

    rule: str
    percent: int
    due: datetime
    action: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Act:
    """Something to do to a container now."""

    action: str
    rule: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What follows for one container.

    `found` tells of something that happened without the pass: an event's type and what
    it says.
    """

    entry: Entry
    notices: tuple[Notice, ...] = ()
    act: Act | None = None
    found: tuple[tuple[str, Mapping[str, Any]], ...] = ()
