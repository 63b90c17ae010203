"""Deleting images: what is in use stays."""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.core.program import print_json
from ds01.images.shelf.image import Image, read_images, require, resolve
from ds01.images.shelf.turn import hold
from ds01.images.source.names import is_name
from ds01.records.event_log import append_event


def do_delete(words: argparse.Namespace, engine: Engine) -> int:
    """Delete images of the caller's: all that are named, or none."""
    # Here, because what is asked most often needs no image.yaml and its YAML.
    from ds01.images.source import folder as source_folder  # noqa: PLC0415

    every = read_images(engine)
    chosen: dict[str, Image] = {}
    sources: dict[str, Path | None] = {}
    for word in words.names:
        found = resolve(every, word)
        source = None
        if found is None and words.with_source and is_name(word):
            source = source_folder.find(word)
        if source is not None:
            # Its build has never succeeded: only the source is there.
            sources[word] = source
            continue
        image = require(every, word)
        _check_deletable(image, force=words.force)
        chosen[image.reference] = image
        if words.with_source:
            sources[image.name] = source_folder.find(image.name, image.source)
    told = [{"name": it.name, "reference": it.reference} for it in chosen.values()]
    named = {it.name for it in chosen.values()}
    told += [{"name": name, "reference": ""} for name in sources if name not in named]
    removed: list[str] = []
    if not words.dry_run:
        with contextlib.ExitStack() as turns:
            for name in sorted(named | set(sources)):
                turns.enter_context(hold(name))
            for image in chosen.values():
                _delete(engine, image)
            for name, folder in sources.items():
                removed += source_folder.remove(name, folder)
    outcome = {
        "deleted": told,
        "containers": sorted({c for it in chosen.values() for c in it.containers}),
        "sources": [str(it) for it in sources.values() if it],
        "removed": removed,
    }
    print_json(outcome)
    return Exit.OK


def _check_deletable(image: Image, *, force: bool) -> None:
    if not image.mine and os.getuid():
        raise HelperError(
            Exit.REFUSED,
            f"image '{image.shown}' is {image.user}'s, who alone can delete it",
            "run 'image-list' to see which are yours",
        )
    if image.containers and not force:
        own = [name for name in image.containers if "/" not in name]
        first = f"run 'container-remove {own[0]}' first, or " if own else ""
        raise HelperError(
            Exit.REFUSED,
            f"image '{image.shown}' is used by {', '.join(image.containers)}",
            f"{first}add '--force': the containers stay and work on",
        )


def _delete(engine: Engine, image: Image) -> None:
    status, answer = engine.call("DELETE", f"/images/{image.reference}", {"force": "1"})
    if status not in {200, 404}:
        raise HelperError(
            Exit.BUG, f"image '{image.shown}' cannot be deleted: {reason(answer)}"
        )
    with contextlib.suppress(HelperError):
        append_event("image-deleted", image=image.reference, name=image.name)
