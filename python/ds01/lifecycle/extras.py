"""What a lifecycle pass does besides: notes how much of the GPUs was used, clears
left-overs away and writes the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.gpus.allocator.desk import Desk
from ds01.gpus.ledger.document import Document
from ds01.lifecycle.look import Snapshot
from ds01.lifecycle.pass_ import PROGRAM, Report
from ds01.lifecycle.types import ACTIVE, Decision, Subject
from ds01.policy.limits import find_group
from ds01.policy.users import identify_user
from ds01.records.outlooks import outlook
from ds01.records.passes import entry_json
from ds01.usage.days import Sample

if TYPE_CHECKING:
    from ds01.gpus.allocator.report import Status


def samples(
    decisions: Iterable[tuple[Subject, Decision]],
    document: Document,
    now: datetime,
    seconds: float,
) -> Iterator[Sample]:
    """Return a sample for each device of each running container.

    They are of the time since the pass before, `seconds` ago, or since the container's
    start. A device whose utilisation NVML does not know, as a MIG instance's, is a
    sample without one. Idle is what the rules found idle for the whole time.
    """
    before = now - timedelta(seconds=seconds)
    for subject, decision in decisions:
        grant = document.grant_of(subject.id)
        if subject.state not in ACTIVE or grant is None or seconds <= 0:
            continue
        begin = max(before, subject.started or before)
        seen = subject.sample.gpus if subject.sample else None
        percents = {gpu.uuid: gpu.percent for gpu in seen or ()}
        last = decision.entry.last_active
        for device in grant.devices:
            percent = percents.get(device.uuid)
            yield Sample(
                uid=subject.uid,
                user=subject.user,
                begin=begin,
                end=now,
                share=device.share,
                used=None if percent is None else percent / 100,
                idle=None if last is None else last <= begin,
            )


# leftovers.py looks once an hour; it need not be loaded to know that.
_LEFTOVERS = "leftovers.json"


def run_extras(paths: Paths, address: str, found: Report) -> None:
    """Do all; what goes wrong is a warning, and tried again by a later pass."""
    snapshot = found.snapshot
    if snapshot is not None and snapshot.document.grants:
        _note_use(paths, found, snapshot)
    with Engine(address, timeout=60.0) as engine:
        if snapshot is not None and _is_due(paths, found):
            from ds01.lifecycle import leftovers  # noqa: PLC0415 - once an hour

            try:
                leftovers.sweep(paths, engine, snapshot.policy, found.at)
            except HelperError as error:
                say("warning", f"left-overs stay: {error.message}", PROGRAM)
        _metrics(paths, address, engine, found)


def _note_use(paths: Paths, found: Report, snapshot: Snapshot) -> None:
    from ds01.usage import days  # noqa: PLC0415 - only where there are GPUs

    tick = found.memory.last.tick
    try:
        seen = samples(found.decisions, snapshot.document, found.at, tick)
        days.note(paths, seen, found.at)
    except HelperError as error:
        say("warning", f"the use of GPUs is not noted: {error.message}", PROGRAM)


def _is_due(paths: Paths, found: Report) -> bool:
    try:
        age = found.at.timestamp() - (paths.state / _LEFTOVERS).stat().st_mtime
    except OSError:
        return True
    return not 0 <= age < 3000


def _metrics(paths: Paths, address: str, engine: Engine, found: Report) -> None:
    try:
        if settings.metrics_folder(settings.load_settings(paths.settings)) is None:
            return
    except HelperError as error:
        say("warning", f"no metrics: {error.message}", PROGRAM)
        return
    from ds01.usage import metrics  # noqa: PLC0415 - only where they are wanted

    snapshot = found.snapshot
    shown = [
        outlook(name, entry_json(entry), found.at)
        for name, entry in found.memory.containers.items()
    ]
    idle = {
        item.container: item.idle_seconds
        for item in shown
        if item.idle_seconds is not None
    }
    figures = metrics.Pass(
        now=found.at,
        seconds=found.took,
        skipped=found.skipped.message if found.skipped else None,
        status=_status(paths, address, found),
        idle=idle,
    )
    policy = snapshot.policy if snapshot else None
    metrics.write_metrics(
        paths,
        figures,
        lambda uid: find_group(policy, identify_user(uid))[0].name if policy else "",
        engine if snapshot else None,
    )


def _status(paths: Paths, address: str, found: Report) -> Status | None:
    """Return what the pass saw; where engine or driver kept it from seeing anything,
    what did not answer. None where it was something else."""
    from ds01.gpus.allocator.report import status, status_of  # noqa: PLC0415

    if found.snapshot:
        return status_of(found.snapshot.document, found.snapshot.world)
    if found.skipped is None or found.skipped.code is not Exit.PREREQUISITE:
        return None
    return status(Desk(paths, address))
