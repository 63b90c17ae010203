"""Gathers everything that a lifecycle pass decides on, in one snapshot."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import is_alive
from ds01.core.paths import Paths
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.devices.types import Inventory
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.document import Document
from ds01.gpus.ledger.engine_view import read_view
from ds01.gpus.ledger.reconcile import World, reconcile
from ds01.lifecycle import view
from ds01.lifecycle.activity_reader import Target, Watcher, keep_files
from ds01.lifecycle.types import ACTIVE, Subject, Terms
from ds01.policy.types import Policy
from ds01.records import kept as records_kept


@dataclass(frozen=True)
class Snapshot:
    """What was seen: the containers with all that concerns them, and the devices."""

    policy: Policy
    subjects: tuple[Subject, ...]
    pids: Mapping[str, int]
    document: Document
    world: World


def look(
    paths: Paths,
    desk: Desk,
    address: str,
    inventory: Inventory,
    *,
    write: bool,
) -> Snapshot:
    """Return everything; with `write` the allocator's memory is put in order.

    Raises HelperError where engine, NVML, policy or state cannot be used.
    """
    policy = desk.policy()
    if inventory.error is not None:
        raise HelperError(
            Exit.PREREQUISITE,
            f"NVML does not answer: {inventory.error}",
            "run 'nvidia-smi' to see what is wrong with the driver",
        )
    document, world = _allocated(paths, desk, address, write=write)
    with Engine(address, timeout=30.0) as engine:
        seen = view.read(engine, world.view.summaries)
    if os.geteuid() != 0:
        # Others' processes and terminals cannot be looked at.
        seen = [item for item in seen if item.subject.uid == os.geteuid()]
    now = desk.now()
    wanted = _wanted(desk, document, world)
    records = records_kept.read_records(
        paths, [item.subject.container for item in seen]
    )
    terms = _all_terms(desk, seen)
    subjects = [
        _with_facts(item.subject, document, wanted, records, policy, now, terms)
        for item in seen
    ]
    targets = {
        subject.id: replace(item.target, gpus=_gpus(subject))
        for item, subject in zip(seen, subjects, strict=True)
        if subject.state in ACTIVE
    }
    sampled = _sampled(subjects, targets, inventory, now)
    pids = {key: target.pid for key, target in targets.items()}
    return Snapshot(policy, sampled, pids, document, world)


def _allocated(
    paths: Paths, desk: Desk, address: str, *, write: bool
) -> tuple[Document, World]:
    """Return the allocator's memory in order with the engine, and what it saw."""
    if write:
        with desk.work() as work:
            world = desk.observe(work)
        return work.document, world
    document = ledger_document.peek(paths) or Document()
    with Engine(address, timeout=30.0) as engine:
        found, _ = read_view(engine, document.containers)
        world = World(found, desk.read_inventory(), desk.now(), is_alive, desk.hold_of)
        return reconcile(document, world)[0], world


def _wanted(desk: Desk, document: Document, world: World) -> frozenset[str]:
    """Return the devices that somebody waits for, and could have if they were free."""
    wanted: set[str] = set()
    if not document.queue:
        return frozenset()
    from ds01.gpus.allocator.choice import Choices  # noqa: PLC0415 - only where somebody waits
    from ds01.gpus.allocator.queue import Given  # noqa: PLC0415
    from ds01.gpus.allocator.queue_words import ordered  # noqa: PLC0415

    choices = Choices(document, world, desk)
    given: list[Given] = []
    kept: set[str] = set()
    for ticket in ordered(document, world, document.queue):
        outcome = choices.place(ticket, given, frozenset(kept))
        if outcome.refused:
            continue
        if outcome.devices is not None:
            given.append(Given(ticket, outcome.devices))
            kept.update(outcome.devices)
        else:
            wanted |= outcome.useful
    return frozenset(wanted)


def _all_terms(desk: Desk, seen: Iterable[view.Seen]) -> dict[int, Terms | None]:
    uids = {item.subject.uid for item in seen}
    return {uid: view.terms_of(desk, uid) for uid in uids}


def _with_facts(  # noqa: PLR0917 - all that concerns a container
    subject: Subject,
    document: Document,
    wanted: frozenset[str],
    records: Mapping[str, Mapping[str, Any]],
    policy: Policy,
    now: datetime,
    terms: Mapping[int, Terms | None],
) -> Subject:
    holding = view.holding_of(document, subject.id)
    most = policy.lifecycle.keep_alive_max
    until, by = records_kept.kept(records.get(subject.container), subject.id, most, now)
    return replace(
        subject,
        terms=terms[subject.uid],
        holding=holding,
        hold_expired=view.is_expired(document, subject.id),
        is_wanted=holding is not None and not wanted.isdisjoint(holding.gpus),
        kept_until=until,
        kept_by=by,
    )


def _gpus(subject: Subject) -> tuple[str, ...]:
    return subject.holding.gpus if subject.holding else ()


def _sampled(
    subjects: list[Subject],
    targets: Mapping[str, Target],
    inventory: Inventory,
    now: datetime,
) -> tuple[Subject, ...]:
    """Return the subjects, those that run with what they did."""
    if not targets:
        return tuple(subjects)
    watcher = Watcher(inventory)
    times = keep_files(targets.values())
    found = []
    for subject in subjects:
        target = targets.get(subject.id)
        if target is None:
            found.append(subject)
            continue
        sample = replace(
            watcher.sample(target, now),
            keep_file=times.get(subject.id),
            keep_file_known=not target.workspace or subject.id in times,
        )
        found.append(replace(subject, sample=sample))
    return tuple(found)
