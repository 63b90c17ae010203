"""The plan of a new container: all that can be known before mlc is called.

Which image, which GPUs and folders, whether the limits have room: what would be refused
in the middle is refused here, before anything is made. With the plan the container's
record says who is at it, so that the remains of a create that died can be proven to be
that.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.containers.containers import describe, named
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.labels import MLC
from ds01.core.mlc import CPU
from ds01.core.paths import Paths, find_paths
from ds01.gpus.allocator.allocator import Allocator
from ds01.gpus.rules.request import (
    DEFAULT,
    NONE,
    Request,
    format_request,
    parse_wait,
)
from ds01.gpus.rules.request_words import docker_words, requested
from ds01.images.shelf import catalog
from ds01.images.shelf.image import Image, nearest_shown, read_images, resolve
from ds01.lifecycle.making import clear_remains
from ds01.policy.users import identify_user
from ds01.records import containers

# The folders of a container by their settings' names.
_FOLDERS = ("workspace", "data", "models")


def plan(words: argparse.Namespace) -> dict[str, Any]:
    """Return what mlc is to be called with, and the settings; the record says who by.

    With `or_existing` a container that is there is returned instead, as `container`.
    Where nothing says what a new one is made of, only `lacks_image` is returned.

    Raises HelperError for whatever stands against it: nothing is left then.
    """
    paths, settled = find_paths(), settings.read()
    told: dict[str, Any] = settings.show(settled)
    address = settings.engine_address(settled)
    container = f"{words.name}._.{os.getuid()}"
    with Engine(address) as engine:
        if words.or_existing and _is_made(engine, paths, container):
            shown = describe(engine, named(engine, container))
            return {**told, "exists": True, "container": shown}
        chosen: dict[str, Any] = {}
        every = [] if words.file else read_images(engine)
        if not words.file:
            close, own = _find_own(words, every)
            if not words.image and not words.framework:
                return {**told, "lacks_image": True}
            chosen = {"close": close, "takes_own": own}
        allocator, user = Allocator(paths, address), identify_user(os.getuid())
        # A broken policy is told before anything is looked for.
        allocator.desk.effective(user)
        request = requested(words.gpus, words.gpu_mem)
        if request is None and words.wait is not None:
            request = DEFAULT
        if words.wait is not None:
            parse_wait(words.wait)
        folders = _folders(words, settled)
        if not words.file:
            chosen |= catalog.lay_out(engine, words, settled, every)
            is_for_cpu = chosen.pop("is_for_cpu")
            # Left to mlc, a host with GPUs would give it one.
            if request is None and is_for_cpu and chosen["arch"] != CPU:
                request = NONE
        answer = {
            **told,
            **chosen,
            **folders,
            "gpus": "" if request is None else docker_words(request, words.wait),
            "gpu_request": "" if request is None else format_request(request),
        }
        if words.dry_run:
            return answer
        if _is_made(engine, paths, container):
            raise _second(words.name)
        asked = request or _left_to_mlc(chosen)
        # First, because what a dead create of the name has left may hold the devices.
        _begin(engine, paths, container, words, answer)
        try:
            allocator.check(user, asked, container, waits=words.wait is not None)
        except BaseException:
            containers.forget(paths, container, words.owner_pid)
            raise
    return answer


def _is_made(engine: Engine, paths: Paths, container: str) -> bool:
    """Is there a container, and no create of it at work or dead on the way?"""
    if not _is_mlcs(engine.container(container)):
        return False
    try:
        return containers.show(paths, container).get("phase") != "creating"
    except HelperError:
        return True


def _is_mlcs(details: Mapping[str, Any] | None) -> bool:
    """Is this a container, and one that mlc has made to its end?"""
    return MLC in (((details or {}).get("Config") or {}).get("Labels") or {})


def _second(name: str) -> HelperError:
    return HelperError(
        Exit.REFUSED,
        f"you already have a container '{name}'",
        f"run 'container-open {name}', or choose another name",
    )


def _find_own(
    words: argparse.Namespace, every: list[Image]
) -> tuple[str | None, str | None]:
    """Put the full name of a custom image in the place of its short one in `words`.

    Without a word about it, the image that is called like the container is meant.
    Returns what a word that is none most likely meant, and the name of an image that
    is taken unasked.
    """
    word = words.image or words.name
    # A name with a tag, or with more than an owner, is the engine's.
    if words.framework or ":" in word or word.count("/") > 1:
        return None, None
    found = resolve(every, word)
    if found is None:
        # It may be an image of a registry; where it is none, this one was meant.
        return (nearest_shown(every, word) if words.image else None), None
    if not words.image and not found.mine:
        return None, None
    is_unasked = not words.image
    words.image = found.reference
    return None, word if is_unasked else None


def _folders(words: argparse.Namespace, settled: settings.Settings) -> dict[str, str]:
    """Return the folders as absolute paths, empty for none; mlc wants them to exist.

    The settings give those that are not named. Only the usual workspace may be
    missing: it is made once there is nothing left to ask.
    """
    usual = str(Path(settled.workspace_dir or "~/workspace").expanduser())
    found: dict[str, str] = {}
    for key in _FOLDERS:
        given = getattr(words, key) or getattr(settled, f"{key}_dir")
        if not given and key != "workspace":
            found[key] = ""
            continue
        path = _at_home(given) if given else usual
        if not Path(path).is_dir():
            if key != "workspace" or path != usual:
                raise HelperError(
                    Exit.NOT_FOUND,
                    f"the {key} folder '{path}' does not exist",
                    f"run 'mkdir -p {_quoted(path)}'",
                )
        elif not os.access(path, os.X_OK):
            raise HelperError(
                Exit.REFUSED,
                f"you may not enter the {key} folder '{path}'",
                f"run 'ls -ld {shlex.quote(path)}' to see whose it is",
            )
        found[key] = os.path.realpath(path)
    return found


def _at_home(path: str) -> str:
    """Return a path with the person's own home in the place of a `~`, as a shell does
    where no option is before it; nobody else's home."""
    if path == "~" or path.startswith("~/"):
        return str(Path(path).expanduser())
    return path


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"


def _left_to_mlc(chosen: Mapping[str, Any]) -> Request:
    """Return the request of a create that says nothing of GPUs."""
    return NONE if chosen.get("arch", CPU) == CPU else DEFAULT


def _begin(
    engine: Engine,
    paths: Paths,
    container: str,
    words: argparse.Namespace,
    answer: Mapping[str, Any],
) -> None:
    """Note who makes the container, and clear what a dead create of it has left."""
    fields = {
        "image": answer.get("image", ""),
        "framework": answer.get("framework", ""),
        "framework_version": answer.get("version", ""),
        "workspace": answer["workspace"],
        "name": words.name,
    }
    previous = containers.begin(paths, container, words.owner_pid, fields)["previous"]
    if previous == "ready" and _is_mlcs(engine.container(container)):
        # Another create has come to its end since it was looked for; what it made is
        # not ours to clear away.
        containers.forget(paths, container, words.owner_pid)
        raise _second(words.name)
    if previous == "abandoned":
        clear_remains(engine, container)
