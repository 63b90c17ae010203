"""Builds what image_plan laid out: image, lock and source, or nothing of the three.

The image gets its name when it is built and looked into; until then, and where
anything fails or is interrupted, the image of that name and the source stay as they
were. Only the source of the very first build is written in any case, so that nothing
typed is lost. Progress goes to file descriptor 3, if open: `step N/M text`.

stdout: one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import image_lock
import image_source as source
import image_workshop
from build_turn import hold
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.parser import Parser
from ds01.core.program import print_json, program_name, run, say
from ds01.records.event_log import append_event
from image_docker import PROGRAM, Build, Built
from image_finish import look_into, name_it, sweep, warnings_of
from image_stage import Plan, read_stage
from image_usage import containers_of

_MADE_BY = ("image-create", "image-update", "container-save")


def _log_event(event: str, plan: Plan, **fields: Any) -> None:
    with contextlib.suppress(HelperError):
        append_event(event, image=plan.reference, name=plan.name, **fields)


def _write_source(plan: Plan, stage: Path, lock: image_lock.Lock | None) -> None:
    texts = {source.SPEC: plan.spec, source.DOCKERFILE: plan.dockerfile}
    if lock is not None:
        texts[source.LOCK] = image_lock.dump_lock(lock)
    source.commit(plan.name, Path(plan.folder), texts, stage / "extras")


@contextlib.contextmanager
def _written(plan: Plan, stage: Path, lock: image_lock.Lock) -> Iterator[None]:
    """Write the source for as long as what is inside succeeds; else it is put back."""
    folder = Path(plan.folder)
    files = (source.SPEC, source.DOCKERFILE, source.LOCK)
    old = {file: source.read(folder, file) for file in files}
    try:
        _write_source(plan, stage, lock)
        yield
    except BaseException:
        texts = {file: text for file, text in old.items() if text is not None}
        with contextlib.suppress(HelperError):
            source.commit(plan.name, folder, texts, stage / "none")
        raise


def build(stage: Path, plan: Plan, words: argparse.Namespace) -> dict[str, Any]:
    """Build, look, name, write the source; return what was made."""
    with Engine(settings.engine_address(), timeout=600) as engine:
        sweep(engine)
        image_workshop.sweep(engine)
        job = Build(stage, plan, words)
        built: Built | None = None
        is_named = False
        try:
            built = job.run(engine)
            plan = job.plan
            lock = look_into(engine, plan, built.id)
            old = image_lock.load_lock(Path(plan.folder) / source.LOCK)
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
    changes = image_lock.diff(old, lock)
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


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog=program_name(PROGRAM), description=__doc__)
    parser.add_argument("--stage", type=Path, required=True)
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--no-build", action="store_true", help="write the source only")
    parser.add_argument("--log", metavar="FILE")
    parser.add_argument("--made-by", choices=_MADE_BY, default="image-create")
    words = parser.parse_args(argv)
    plan = read_stage(words.stage)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    with hold(plan.name):
        if words.no_build:
            _write_source(plan, words.stage, None)
            value = {"reference": plan.reference, "id": None, "folder": plan.folder}
            print_json({**value, "built": False})
            return Exit.OK
        try:
            print_json(build(words.stage, plan, words))
        except BaseException as error:
            left = isinstance(error, KeyboardInterrupt)
            why = "interrupted" if left else getattr(error, "message", repr(error))
            if plan.is_first:
                with contextlib.suppress(HelperError):
                    _write_source(plan, words.stage, None)
            _log_event("image-failed", plan, reason=why)
            raise
    return Exit.OK


def _leave(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
