"""What comes after mlc made a container, or failed to."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from typing import Any

from ds01.containers.containers import describe, is_removable, named, summary_lines
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner
from ds01.core.paths import find_paths
from ds01.core.program import report
from ds01.records import containers

# Statuses from here on say which signal ended a program.
FIRST_OF_SIGNALS = 128
# What of a container its record keeps.
_RECORDED = ("id", "name", "image", "framework", "gpus", "workspace")


def clear_remains(engine: Engine, container: str) -> None:
    """Remove what an interrupted create left under this name: a container that never
    ran, or mlc's temporary one."""
    details = engine.container(container)
    if details is not None and is_removable(details):
        engine.call("DELETE", f"/containers/{details['Id']}", {"force": "1"})


def abandon(container: str, owner: Owner) -> dict[str, Any]:
    """Clear up after a create that did not come to its end; forget that it began."""
    # Without an engine the next create of the name clears up.
    with (
        contextlib.suppress(HelperError),
        Engine(settings.engine_address()) as engine,
    ):
        clear_remains(engine, container)
    return containers.forget(find_paths(), container, owner)


def make(words: argparse.Namespace) -> int:
    """Have mlc make a container behind a gateway; return mlc's status.

    What the engine made is written to the file `made` as JSON, and noted in the record;
    where that fails, the status of the failure, as `failed`. Where nothing was made the
    file is not there.
    """
    from ds01.gateway.command import engine_path, run_command  # noqa: PLC0415 - only to make one

    status = run_command(words.command, engine_path(None, os.environ), words.report)
    if status >= FIRST_OF_SIGNALS:
        return status
    try:
        told = finish(words.name, image=words.image, summary=words.summary)
    except HelperError as error:
        if error.code is Exit.NOT_FOUND:
            return status
        report(error, "container_create")
        told = {"failed": int(error.code)}
    words.made.write_text(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
    return status


def finish(name: str, *, image: str | None, summary: bool) -> dict[str, Any]:
    """Note in the record that a container was made; return what the engine made.

    With `summary` also as text for people, `image` being what was asked for.
    Raises HelperError(NOT_FOUND) where nothing was made.
    """
    container = f"{name}._.{os.getuid()}"
    with Engine(settings.engine_address()) as engine:
        shown = describe(engine, named(engine, container))
    fields = {key: shown[key] for key in _RECORDED} | {"limits": shown["applied"]}
    containers.finish(find_paths(), container, fields)
    if summary:
        return {**shown, "summary": "\n".join(summary_lines(shown, image))}
    return shown
