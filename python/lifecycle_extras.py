"""What a lifecycle pass does besides: clears left-overs away and writes the metrics."""

from __future__ import annotations

from _common import HelperError, Paths, say
from engine import Engine
from lifecycle_memory import outlook
from lifecycle_pass import PROGRAM, Report
from policy import Policy, find_group, identify_user


def run_extras(paths: Paths, address: str, found: Report) -> None:
    """Do both; what goes wrong is a warning, and tried again by a later pass."""
    import leftovers  # noqa: PLC0415 - dry runs and tests of the pass need neither
    import metrics  # noqa: PLC0415

    snapshot = found.snapshot
    with Engine(address, timeout=60.0) as engine:
        if snapshot is not None:
            try:
                leftovers.sweep(paths, engine, snapshot.policy, found.at)
            except HelperError as error:
                say("warning", f"left-overs stay: {error.message}", PROGRAM)
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
            status=snapshot.status if snapshot else None,
            idle=idle,
        )
        policy = snapshot.policy if snapshot else None
        metrics.write_metrics(
            paths,
            figures,
            lambda uid: _group_of(policy, uid),
            engine if snapshot else None,
        )


def _group_of(policy: Policy | None, uid: int) -> str:
    """Return the policy's group of a user, `` where it cannot be said."""
    try:
        return "" if policy is None else find_group(policy, identify_user(uid))[0].name
    except HelperError:
        return ""
