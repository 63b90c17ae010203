"""The managed part of an image's Dockerfile, its block, and the files they copy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import PROJECT_ROOT
from ds01.images.requirements import options, words
from ds01.images.source.layer_commands import CONTEXT, TARGET, Tools, shown
from ds01.images.source.lock import Lock, LockedBase
from ds01.images.source.names import check_image
from ds01.images.source.packages import parse_apt
from ds01.images.source.types import Layer

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2 import Environment

TEMPLATES = PROJECT_ROOT / "templates"
GUARD = "jupyter_server_config.py"
_USER = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?", re.ASCII
)


def render(
    found: Sequence[Layer],
    lock: Lock | None,
    base_image: str,
    tools: Tools,
) -> str:
    """Return the managed part: the same text for the same input, ever.

    The `added` layer is left out, it belongs to the block of an adopted file. Raises
    HelperError where the builder cannot do what the spec needs.
    """
    base = lock.base if lock else LockedBase(base_image, "-")
    lines = [shown(layer, lock, tools) for layer in found if layer.kind != "added"]
    return (
        templates(TEMPLATES)
        .get_template("Dockerfile.j2")
        .render(
            base_image=check_image(base_image),
            setup_apt=sorted(map(parse_apt, tools.setup_apt)),
            context=CONTEXT,
            target=TARGET,
            certificates=tools.certificates,
            uv_image=_uv(tools, found),
            layers=lines,
            user=_user(base.user),
        )
    )


def render_block(
    found: Sequence[Layer],
    lock: Lock | None,
    dockerfile: str,
    tools: Tools,
) -> str:
    """Return the block for the end of an adopted Dockerfile: the layer `added`.

    Empty where there is none. It ends with the user that the file had set last.
    """
    from ds01.images.source.dockerfile import last_user  # noqa: PLC0415 - seldom

    added = [layer for layer in found if layer.kind == "added"]
    if not added:
        return ""
    uv = _uv(tools, added)
    has_uv = uv is not None and f"COPY --from={uv} " in dockerfile
    base = lock.base.user if lock else "-"
    return (
        templates(TEMPLATES)
        .get_template("block.j2")
        .render(
            context=CONTEXT,
            target=TARGET,
            has_guard=f"COPY {CONTEXT}/{GUARD} " in dockerfile,
            uv_image=None if has_uv else uv,
            layers=[shown(layer, lock, tools) for layer in added],
            user=last_user(dockerfile) or _user(base),
        )
    )


def context_files(found: Iterable[Layer], lock: Lock) -> dict[str, str]:
    """Return what DS01 adds to the build's context: path and text of each file."""
    files = {f"{CONTEXT}/{GUARD}": (TEMPLATES / GUARD).read_text(encoding="utf-8")}
    for layer in found:
        if layer.pip:
            files[f"{CONTEXT}/{layer.name}.txt"] = pins_text(layer, lock)
    return files


def pins_text(layer: Layer, lock: Lock) -> str:
    """Return a layer's requirements file: options, then every pin of the lock."""
    lines = [*options.file_lines(layer.options), *lock.layers.get(layer.name, ())]
    return "".join(f"{line}\n" for line in lines)


def secrets(found: Iterable[Layer]) -> tuple[str, ...]:
    """Return the environment variables that the build needs, sorted."""
    return words.variables(
        line for layer in found for line in (*layer.options, *layer.pip)
    )


def templates(folder: Path) -> Environment:
    """Return the templates of a folder."""
    import jinja2  # noqa: PLC0415 - slow to load

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - a Dockerfile is no HTML
    )


def _uv(tools: Tools, found: Sequence[Layer]) -> str | None:
    """Return the image that uv comes from, or None where it is not needed."""
    if tools.installer != "uv" or not any(layer.pip for layer in found):
        return None
    if tools.uv_image is None:
        raise ValueError("the installer uv needs its image")
    return check_image(tools.uv_image)


def _user(text: str) -> str:
    """Return the base's user as a Dockerfile's word; root where it has none."""
    if text in {"-", ""}:
        return "root"
    if not _USER.fullmatch(text):
        raise HelperError(
            Exit.CONFIG, f"the base image's user '{text}' is not a user's name"
        )
    return text
