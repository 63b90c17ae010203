"""Does what a lifecycle pass decided: stops containers, gives GPUs back, removes.

The pass has written down what it is about to do, and has let go of its lock: a stop may
take minutes. Whatever this process does not come to, the next pass begins again.
Nothing is ever killed by its number; the engine alone ends containers.
"""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.files import locked
from ds01.core.paths import Paths
from ds01.core.program import say
from ds01.gpus.ledger.document import CREATED_TIMEOUT, RESERVATION
from ds01.lifecycle import terminals, view
from ds01.lifecycle.types import Act, Subject
from ds01.policy.sections import Lifecycle
from ds01.records import containers, kept
from ds01.records.pass_entries import Entry

if TYPE_CHECKING:
    from ds01.gpus.allocator.allocator import Allocator

PROGRAM = "lifecycle"
_AT_ONCE = 16
_REASONS = {"created_timeout": CREATED_TIMEOUT, "reservation": RESERVATION}


@dataclass(frozen=True)
class Task:
    """An act on a container, with what it was decided on."""

    subject: Subject
    entry: Entry
    act: Act


@dataclass(frozen=True)
class Done:
    """How a task ended: `changed` is why it was not done after all, None if it was.

    `facts` are for the event.
    """

    task: Task
    changed: str | None = None
    facts: dict[str, Any] | None = None


def return_gpus(allocator: Allocator, task: Task) -> Done:
    """Give the devices of a container that does not run back to the pool."""
    subject, act = task.subject, task.act
    grant = allocator.release(
        subject.container, _REASONS[act.rule], container_id=subject.id
    )
    gpus = list(grant.uuids) if grant else []
    return Done(task, None if gpus else "it has none", {"gpus": gpus})


def stop_all(
    paths: Paths, address: str, tasks: Sequence[Task], policy: Lifecycle
) -> list[Done]:
    """Stop containers, all at once; return how each went."""
    if not tasks:
        return []

    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - rarely needed

    def stop_one(task: Task) -> Done:
        try:
            return _stop(paths, address, task, policy)
        except HelperError as error:
            return Done(task, error.message)

    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(tasks))) as pool:
        return list(pool.map(stop_one, tasks))


def _stop(paths: Paths, address: str, task: Task, policy: Lifecycle) -> Done:
    """Stop one container, unless something happened to it since it was looked at."""
    subject, grace = task.subject, policy.stop_grace
    with Engine(address, timeout=grace + 60.0) as engine:
        details = engine.container(subject.id)
        changed = _changed(paths, details, task, policy)
        if changed is not None:
            return Done(task, changed)
        status, answer = engine.call(
            "POST", f"/containers/{subject.id}/stop", {"t": str(grace)}
        )
    if status >= http.client.BAD_REQUEST:
        raise HelperError(Exit.BUG, f"the engine says: {reason(answer)}")
    return Done(task)


def _changed(
    paths: Paths, details: dict[str, Any] | None, task: Task, policy: Lifecycle
) -> str | None:
    """Return what happened to a container since the decision, None for nothing."""
    if details is None:
        return "it is gone"
    now = details.get("State") or {}
    if not now.get("Running"):
        return "it has ended by itself"
    started = view.moment(now.get("StartedAt"))
    if started != task.subject.started:
        return "it was started again"
    since = task.entry.last_active
    if task.act.rule in {"idle_timeout", "demand"} and since is not None:
        try:
            typed = terminals.inputs_inside(int(now.get("Pid") or 0))
        except OSError:
            return "its terminals cannot be looked at"
        if any(time > since.timestamp() + 1 for time in typed):
            return "somebody types in it"
    doing = task.entry.doing
    if task.act.rule != "reservation" and doing is not None:
        records = kept.read_records(paths, [task.subject.container])
        until, _ = kept.kept(
            records.get(task.subject.container),
            task.subject.id,
            policy.keep_alive_max,
            doing.at,
        )
        if until is not None and until != task.subject.kept_until:
            return "its owner asked to keep it"
    return None


def remove_all(
    paths: Paths,
    address: str,
    tasks: Sequence[Task],
    policy: Lifecycle,
    now: datetime,
) -> list[Done]:
    """Archive and remove containers, one after the other; return how each went."""
    if not tasks:
        return []
    done: list[Done] = []
    # One process at a time: an archive may take longer than until the next pass.
    with locked(paths.state / "lifecycle-removals.lock", 0.0, "removing containers"):
        for task in tasks:
            try:
                done.append(_remove(paths, address, task, policy, now))
            except HelperError as error:
                done.append(Done(task, error.message))
    return done


def _remove(
    paths: Paths, address: str, task: Task, policy: Lifecycle, now: datetime
) -> Done:
    from ds01.lifecycle import archive  # noqa: PLC0415 - rarely needed

    subject, facts = task.subject, dict[str, Any]()
    with Engine(address, timeout=600.0) as engine:
        details = engine.get(f"/containers/{quote(subject.id, '')}/json", {"size": "1"})
        changed = _not_removable(details, subject)
        if changed is not None or details is None:
            return Done(task, changed or "it is gone")
        if policy.archive is not None and subject.state != "created":
            file = archive.archive(engine, details, policy.archive, subject.uid, now)
            facts["file"] = str(file)
            # It may have been started while its files were read.
            again = engine.get(f"/containers/{quote(subject.id, '')}/json")
            changed = _not_removable(again, subject)
            if changed is not None:
                _drop(file)
                return Done(task, changed)
        status, answer = engine.call("DELETE", f"/containers/{subject.id}")
        if status >= http.client.BAD_REQUEST:
            raise HelperError(Exit.BUG, f"the engine says: {reason(answer)}")
        _remove_image(
            engine, str((details.get("Config") or {}).get("Image", "")), subject
        )
    return Done(task, facts=facts)


def _not_removable(details: dict[str, Any] | None, subject: Subject) -> str | None:
    """Return why a container must not be removed now, None if it may."""
    if details is None:
        return "it is gone"
    now = details.get("State") or {}
    if now.get("Status") not in {subject.state, "exited", "dead"}:
        return "it was started again"
    finished = view.moment(now.get("FinishedAt"))
    if finished != subject.finished:
        return "it ran meanwhile"
    if subject.state == "created" and (details.get("SizeRw") or 0) > 0:
        return "it holds files, though it was never started"
    return None


def _remove_image(engine: Engine, image: str, subject: Subject) -> None:
    """Remove the image that was prepared for this container alone."""
    if image.rpartition(":")[2] != subject.container:
        return
    status, answer = engine.call("DELETE", f"/images/{quote(image, ':/')}")
    if status >= http.client.BAD_REQUEST and status != http.client.NOT_FOUND:
        say("warning", f"the image '{image}' stays: {reason(answer)}", PROGRAM)


def _drop(file: Path) -> None:
    try:
        file.unlink()
    except OSError as error:
        say("warning", f"'{file}' stays: {error.strerror}", PROGRAM)


def close_record(paths: Paths, done: Done) -> None:
    """Mark a removed container's record; it is kept as history."""
    subject = done.task.subject
    fields = {"user": subject.user, "uid": subject.uid}
    containers.removed(paths, subject.container, {**fields, "removed_by": PROGRAM})
