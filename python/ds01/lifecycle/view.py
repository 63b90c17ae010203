"""Reads the facts that lifecycle decisions are made on: the engine's containers, their
records, their owners' limits. Only containers that DS01 made are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache, partial
from typing import Any

from ds01.containers.containers import from_summary
from ds01.core.engine import Engine
from ds01.core.errors import HelperError
from ds01.core.labels import ASIDE, MANAGED, MOVED_FROM
from ds01.core.units import read_stamp
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.ledger.document import HOLD_EXPIRED, Document, Grant
from ds01.lifecycle.activity_reader import Target
from ds01.lifecycle.clock import whole
from ds01.lifecycle.types import Holding, Subject, Term, Terms
from ds01.policy.types import Policy, User

_FRACTION = re.compile(r"(\.\d{6})\d+")
# Made from a file that somebody brought: what is in it is in no image that stays.
_IMPORTED = "mlc-import:"
_WORKSPACE = "/workspace"
# The gateway writes it into each container just before it is made.
_STAMP = "ds01.created"
_STAMP_SECONDS = 2.0


@dataclass(frozen=True)
class Seen:
    """A container of the engine: what its summary and its details say."""

    subject: Subject
    target: Target


def read(engine: Engine, summaries: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """Return those of all containers that are DS01's.

    Raises HelperError where the engine does not answer, at any of the questions.
    """
    found = []

    @cache
    def labels_of(image: str) -> Mapping[str, str] | None:
        known = engine.image(image)
        return (
            None if known is None else (known.get("Config") or {}).get("Labels") or {}
        )

    for summary in summaries:
        if MANAGED not in (summary.get("Labels") or {}):
            continue
        details = engine.container(str(summary["Id"]))
        if details is not None:  # removed since it was listed
            seen = seen_of(summary, details)
            if seen is not None and not is_foreign(details, labels_of):
                found.append(seen)
    return found


def is_foreign(
    details: Mapping[str, Any], labels_of: Callable[[str], Mapping[str, str] | None]
) -> bool:
    """Has a container DS01's labels only because its image has them?

    Who commits a container gets an image with its labels, and `docker run` past the
    gateway takes them over. `labels_of` an image is asked only where the time that the
    gateway wrote is not the time at which the container was made.
    """
    labels = (details.get("Config") or {}).get("Labels") or {}
    stamped, made = moment(labels.get(_STAMP)), moment(details.get("Created"))
    if stamped and made and abs((made - stamped).total_seconds()) <= _STAMP_SECONDS:
        return False
    known = labels_of(str(details.get("Image", "")))
    if known is None:
        return True
    return MANAGED in known and all(
        labels.get(key) == known.get(key) for key in (_STAMP, MOVED_FROM)
    )


def seen_of(summary: Mapping[str, Any], details: Mapping[str, Any]) -> Seen | None:
    """Return a container; None for one whose owner is not known, or that is just being
    moved to other devices."""
    item = from_summary(summary)
    if item.uid is None or not item.managed or item.container.endswith(ASIDE):
        return None
    config = details.get("Config") or {}
    labels = config.get("Labels") or {}
    now = details.get("State") or {}
    subject = Subject(
        container=item.container,
        id=item.id,
        name=item.name or item.container,
        uid=item.uid,
        user=item.user,
        state=str(now.get("Status") or item.state),
        created=moment(details.get("Created"))
        or datetime.fromtimestamp(item.created, timezone.utc),
        started=moment(now.get("StartedAt")),
        finished=moment(now.get("FinishedAt")),
        holds_files=MOVED_FROM in labels
        or str(config.get("Image", "")).startswith(_IMPORTED),
        out_of_memory=bool(now.get("OOMKilled")),
    )
    mode = str((details.get("HostConfig") or {}).get("NetworkMode", ""))
    workspace = next(
        (
            str(mount.get("Source", ""))
            for mount in details.get("Mounts") or []
            if mount.get("Destination") == _WORKSPACE and mount.get("Type") == "bind"
        ),
        "",
    )
    target = Target(
        item.id,
        int(now.get("Pid") or 0),
        item.uid,
        shares_network=mode == "host",
        workspace=workspace,
        is_paused=subject.state == "paused",
    )
    return Seen(subject, target)


def moment(text: object) -> datetime | None:
    """Return a time of the engine's; None for its zero."""
    try:
        # Nine decimals are more than Python reads, and three are what we write.
        found = read_stamp(_FRACTION.sub(r"\1", str(text)))
    except ValueError:
        return None
    return whole(found) if found.year > 1 else None


def terms_of(desk: Desk, uid: int) -> Terms | None:
    """Return the limits of a container's owner; None where they cannot be said.

    Raises HelperError(CONFIG) for a broken policy.
    """
    policy = desk.policy()
    try:
        user = desk.user(uid)
        limits = desk.effective(user).limits
    except HelperError:  # an account that no group takes
        return None
    term = partial(_term, policy, user, desk.now())
    hold, wait = "container_hold_after_stop", policy.lifecycle.created_timeout
    return Terms(
        term("idle_timeout", limits.idle_timeout),
        term("max_runtime", limits.max_runtime),
        term(hold, limits.container_hold_after_stop),
        term(hold, wait),
        term("gpu_hold_after_stop", wait),
    )


def _term(
    policy: Policy, user: User, now: datetime, key: str, limit: int | None
) -> Term:
    """Return a limit with what the policy exempts its user from."""
    lifted: datetime | None = None
    for item in policy.exemptions:
        if item.user != user.name or key not in item.limits:
            continue
        if item.until is None:
            return Term(None)
        if item.until > now:
            lifted = max(lifted or item.until, item.until)
    return Term(limit, lifted)


def holding_of(document: Document, identity: str) -> Holding | None:
    """Return what a container has by the allocator's memory."""
    grant: Grant | None = document.grant_of(identity)
    if grant is None or not grant.devices:
        return None
    return Holding(
        gpus=grant.uuids,
        since=grant.since,
        until=grant.until,
        ends=grant.ends,
        renewed=grant.renewed,
    )


def is_expired(document: Document, identity: str) -> bool:
    """Did a container lose its devices because it was stopped for too long?"""
    return document.passed.get(identity) == HOLD_EXPIRED
