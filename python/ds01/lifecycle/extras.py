"""What a lifecycle pass does besides: notes how much of the GPUs was used, clears
left-overs away and writes the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.gpus.allocator.desk import Desk
from ds01.policy.limits import find_group
from ds01.policy.types import Policy
from ds01.policy.users import identify_user
from ds01.records.passes import outlook
from lifecycle_look import Snapshot
from lifecycle_pass import PROGRAM, Report

if TYPE_CHECKING:
    from ds01.gpus.allocator.report import Status

# leftovers.py looks once an hour; it need not be loaded to know that.
_LEFTOVERS = "leftovers.json"


def run_extras(paths: Paths, address: str, found: Report) -> None:
    """Do all; what goes wrong is a warning, and tried again by a later pass."""
    snapshot = found.snapshot
    if snapshot is not None and snapshot.document.grants:
        _note_use(paths, found, snapshot)
    with Engine(address, timeout=60.0) as engine:
        if snapshot is not None and _is_due(paths, found):
            import leftovers  # noqa: PLC0415 - once an hour

            try:
                leftovers.sweep(paths, engine, snapshot.policy, found.at)
            except HelperError as error:
                say("warning", f"left-overs stay: {error.message}", PROGRAM)
        _metrics(paths, address, engine, found)


def _note_use(paths: Paths, found: Report, snapshot: Snapshot) -> None:
    from ds01.usage import days  # noqa: PLC0415 - only where there are GPUs
    from usage_samples import samples  # noqa: PLC0415

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
        outlook(name, entry, found.at)
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
        lambda uid: _group_of(policy, uid),
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


def _group_of(policy: Policy | None, uid: int) -> str:
    """Return the policy's group of a user, `` where it cannot be said."""
    try:
        return "" if policy is None else find_group(policy, identify_user(uid))[0].name
    except HelperError:
        return ""
