"""Shows one custom image: its spec, Dockerfile, lock, and the history of its layers.

The files are the source's where the caller may read it; of somebody else's shared image
only what the engine knows is shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.program import print_json
from ds01.core.table import render
from ds01.images.shelf.image import Image, require, resolve
from ds01.images.shelf.images import size_text
from ds01.images.source import folder as source_folder
from ds01.images.source import lock as source_lock

_FILES = {
    "spec": source_folder.SPEC,
    "dockerfile": source_folder.DOCKERFILE,
    "lock": source_folder.LOCK,
}


def show(words: argparse.Namespace, engine: Engine, images: Sequence[Image]) -> int:
    """Print what is asked for; of an image never built only its source is there."""
    image = resolve(images, words.word)
    if image is None:
        folder = None if "/" in words.word else source_folder.find(words.word)
        if folder is None:
            image = require(images, words.word)
    else:
        folder = _folder(image)
    for part, file in _FILES.items():
        if getattr(words, part):
            return _print_file(words.word, folder, file)
    history = _history(engine, image)
    if words.history:
        sys.stdout.write(_history_table(history))
    elif words.json:
        texts = {part: _text(folder, file) for part, file in _FILES.items()}
        facts = asdict(image) if image else {"name": words.word, "reference": None}
        facts["source"] = str(folder) if folder else facts.get("source", "-")
        print_json({**facts, **texts, "history": history})
    else:
        sys.stdout.write(_page(words.word, image, folder, history))
    return Exit.OK


def _folder(image: Image) -> Path | None:
    if image.mine:
        return source_folder.find(image.name, image.source)
    folder = Path(image.source)
    try:
        return folder if (folder / source_folder.SPEC).is_file() else None
    except OSError:
        return None


def _text(folder: Path | None, file: str) -> str | None:
    if folder is None:
        return None
    try:
        return source_folder.read(folder, file)
    except HelperError:
        return None


def _print_file(word: str, folder: Path | None, file: str) -> int:
    text = _text(folder, file)
    if text is None:
        raise HelperError(
            Exit.NOT_FOUND,
            f"image '{word}' has no '{file}' that you can read",
            f"run 'image-show {word} --history' to see its layers",
        )
    sys.stdout.write(text)
    return Exit.OK


def _history(engine: Engine, image: Image | None) -> list[dict[str, Any]]:
    if image is None:
        return []
    found = engine.get(f"/images/{image.reference}/history") or []
    return [
        {
            "id": each.get("Id"),
            "created": each.get("Created"),
            "by": " ".join(str(each.get("CreatedBy") or "").split()),
            "size": int(each.get("Size") or 0),
        }
        for each in found
    ]


def _history_table(history: Sequence[dict[str, Any]], margin: int = 0) -> str:
    rows = [
        [size_text(each["size"]), each["by"][:100]]
        for each in history
        if each["size"] or not each["by"].startswith("/bin/sh -c #(nop) LABEL")
    ]
    return render(["SIZE", "MADE BY"], rows, margin)


def _page(
    word: str,
    image: Image | None,
    folder: Path | None,
    history: Sequence[dict[str, Any]],
) -> str:
    lines: list[tuple[str, str]] = []
    if image is None:
        lines.append(("image", f"{word} (not built yet)"))
    else:
        used = ", ".join(image.containers) or "none"
        lines += [
            ("image", f"{image.shown} ({image.reference}, {size_text(image.size)})"),
            ("owner", image.user),
            ("base", image.base),
            ("built", f"{image.created} by {image.made_by}"),
            ("shared", "yes" if image.shared else "no"),
            ("containers", used),
        ]
        if image.outdated:
            lines.append(("older build", ", ".join(image.outdated)))
    is_copy = image is not None and image.source == "-"
    none = "none: it is a copy of a container" if is_copy else "none that you can read"
    lines.append(("source", str(folder) if folder else none))
    page = "".join(f"{key:<12} {value}\n" for key, value in lines)
    spec = _text(folder, source_folder.SPEC)
    if spec:
        page += f"\n{source_folder.SPEC}:\n" + _indented(spec)
    lock = source_lock.load_lock(folder / source_folder.LOCK) if folder else None
    if lock is not None:
        page += "\npackages by layer:\n"
        for name in dict.fromkeys([*lock.apt_layers, *lock.layers]):
            pins = [*lock.apt_layers.get(name, ()), *lock.layers.get(name, ())]
            page += f"  {name}: {' '.join(pins) or 'none'}\n"
    if history:
        page += "\nhistory:\n" + _indented(_history_table(history, 2))
    return page


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
