"""A user's images, listed and found by name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone

from ds01.core.engine import Engine
from ds01.core.errors import Exit
from ds01.core.program import print_json, say
from ds01.core.table import render
from ds01.core.text import age
from ds01.core.units import read_stamp
from ds01.images.shelf.image import (
    Image,
    nearest_shown,
    read_images,
    resolve,
    visible,
)

PROGRAM = "images"


def size_text(size: int) -> str:
    """Return a size as `docker images` writes it."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}GB"


def age_text(created: str, now: datetime) -> str:
    """Return how long ago that was, in the largest unit."""
    try:
        return age((now - read_stamp(created)).total_seconds())
    except ValueError:
        return "-"


def table(images: Sequence[Image], now: datetime) -> str:
    """Return the table of image-list; `*` marks containers of an older build."""
    rows = []
    for image in images:
        used = [n + ("*" if n in image.outdated else "") for n in image.containers]
        rows.append(
            [
                image.shown,
                size_text(image.size),
                image.base,
                age_text(image.created, now),
                "yes" if image.shared else "no",
                " ".join(used),
            ]
        )
    return render(["NAME", "SIZE", "BASE", "AGE", "SHARED", "CONTAINERS"], rows)


def do_list(words: argparse.Namespace, engine: Engine) -> int:
    """Print the images that the caller may use."""
    found = visible(read_images(engine), every=words.all)
    if words.json:
        print_json({"images": [asdict(image) for image in found]})
    elif found:
        sys.stdout.write(table(found, datetime.now(timezone.utc)))
    else:
        say("info", "no images yet; 'image-create' makes one", PROGRAM)
    return Exit.OK


def do_resolve(words: argparse.Namespace, engine: Engine) -> int:
    """Print which image a word means, if any."""
    every = read_images(engine)
    found = resolve(every, words.word)
    close = None if found else nearest_shown(every, words.word)
    print_json(
        {
            "close": close,
            "found": found is not None,
            "reference": found.reference if found else None,
            "mine": bool(found and found.mine),
            "name": found.name if found else None,
            "architecture": found.architecture if found else None,
        }
    )
    return Exit.OK
