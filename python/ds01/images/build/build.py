"""A build up to the image's name: image, lock and source, or nothing of the three."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import HelperError
from ds01.core.program import say
from ds01.images.build.docker import PROGRAM, Build, Built
from ds01.images.build.finish import look_into, name_it, sweep, warnings_of
from ds01.images.build.stage import Plan
from ds01.images.shelf.usage import containers_of
from ds01.images.source import folder as source_folder
from ds01.images.source import lock as source_lock
from ds01.images.versions import workshop
from ds01.records.event_log import append_event

_MADE_BY = ("image-create", "image-update", "container-save")


def _log_event(event: str, plan: Plan, **fields: Any) -> None:
    with contextlib.suppress(HelperError):
        append_event(event, image=plan.reference, name=plan.name, **fields)


def _write_source(plan: Plan, stage: Path, lock: source_lock.Lock | None) -> None:
    texts = {source_folder.SPEC: plan.spec, source_folder.DOCKERFILE: plan.dockerfile}
    if lock is not None:
        texts[source_folder.LOCK] = source_lock.dump_lock(lock)
    source_folder.commit(plan.name, Path(plan.folder), texts, stage / "extras")


@contextlib.contextmanager
def _written(plan: Plan, stage: Path, lock: source_lock.Lock) -> Iterator[None]:
    """Write the source for as long as what is inside succeeds; else it is put back."""
    folder = Path(plan.folder)
    files = (source_folder.SPEC, source_folder.DOCKERFILE, source_folder.LOCK)
    old = {file: source_folder.read(folder, file) for file in files}
    try:
        _write_source(plan, stage, lock)
        yield
    except BaseException:
        texts = {file: text for file, text in old.items() if text is not None}
        with contextlib.suppress(HelperError):
            source_folder.commit(plan.name, folder, texts, stage / "none")
        raise


def build(stage: Path, plan: Plan, words: argparse.Namespace) -> dict[str, Any]:
    """Build, look, name, write the source; return what was made."""
    with Engine(settings.engine_address(), timeout=600) as engine:
        sweep(engine)
        workshop.sweep(engine)
        job = Build(stage, plan, words)
        built: Built | None = None
        is_named = False
        try:
            built = job.run(engine)
            plan = job.plan
            lock = look_into(engine, plan, built.id)
            old = source_lock.load_lock(Path(plan.folder) / source_folder.LOCK)
            with _written(plan, stage, lock):
                name_it(engine, plan, built.id)
            is_named = True
        finally:
            if built is not None and not is_named:
                with contextlib.suppress(HelperError):
                    engine.call("DELETE", f"/images/{built.id}")
        found = engine.image(plan.reference) or {}
        used = containers_of(engine, plan.reference, os.getuid(), plan.name)
    told = warnings_of(lock)
    for text in told:
        say("warning", text, PROGRAM)
    size = int(found.get("Size") or 0)
    changes = source_lock.diff(old, lock)
    _log_event(
        "image-built", plan, id=built.id, seconds=round(built.seconds, 1), size=size
    )
    return {
        "reference": plan.reference,
        "id": built.id,
        "size": size,
        "seconds": round(built.seconds, 1),
        "log": str(built.log),
        "folder": plan.folder,
        "lock_changes": [vars(change) for change in changes],
        "outdated": used.outdated,
        "warnings": told,
    }


def _leave(*_: object) -> None:
    raise KeyboardInterrupt
