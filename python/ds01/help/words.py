"""What the words in a command's usage can be: containers, images, frameworks and so on.

Each name that headers use for a word (NAME, FRAMEWORK, REQUEST, …) stands in one table
here. Everything is asked as the other commands ask it, with little time for the engine.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import HelperError
from ds01.core.paths import find_paths

if TYPE_CHECKING:
    from ds01.images.source.packages import Packages

Candidate = tuple[str, str]
Given = Mapping[str, Sequence[str]]

# These the shell completes itself.
FILES = {
    "FILE": ":files",
    "COMMAND": ":files",
    "DIR": ":folders",
    "FOLDER": ":folders",
}
_ENGINE_SECONDS = 0.5
_STATES = {
    "stop": ("running", "paused", "restarting"),
    "start": ("created", "exited", "dead"),
}
# mlc's prepared images, DS01's own, people's (they have shorter names), and none.
_NOT_FOR_PEOPLE = re.compile(r"\._\.|^ds01/[^/]+/|^ds01/uv:|^ds01-|<none>")
# A command of these makes something new: what there is already is no answer.
_MAKERS = ("create", "import", "init")
_FIRST_PERSON_UID = 1000


def _ask(path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    with Engine(settings.engine_address(), _ENGINE_SECONDS) as engine:
        return list(engine.get(path, query) or [])


def containers(command: str, given: Given) -> Iterator[Candidate]:
    """Yield the user's containers; for stop and start those that can be."""
    # Here: of all kinds only this one needs it, and it takes its time to load.
    from ds01.containers.containers import select  # noqa: PLC0415
    from ds01.core.labels import MLC  # noqa: PLC0415

    verb = command.rpartition("-")[2]
    query = {"all": "1", "filters": f'{{"label":["{MLC}"]}}'}
    named = {*given.get("NAME", ()), *given.get("CONTAINER", ())}
    for item in select(_ask("/containers/json", query), os.getuid()):
        if item.name in named or item.state not in _STATES.get(verb, (item.state,)):
            continue
        yield item.name, f"{item.framework}, {item.state}"


def own_images(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the user's images by name, then those that others share as USER/NAME."""
    from ds01.images.shelf.image import read_images, visible  # noqa: PLC0415 - takes its time to load

    with Engine(settings.engine_address(), _ENGINE_SECONDS) as engine:
        found = visible(read_images(engine))
    named = {*given.get("NAME", ()), *given.get("IMAGE", ())}
    for image in found:
        name = image.shown.removesuffix(":latest")
        if name not in named:
            whose = "yours" if image.mine else f"of {image.user}"
            yield name, f"image {whose}, on {image.base}"


def images(command: str, given: Given) -> Iterator[Candidate]:
    """Yield own and shared images, then all others of this server by their tags."""
    yield from own_images(command, given)
    for entry in _ask("/images/json", {}):
        for tag in entry.get("RepoTags") or ():
            if not _NOT_FOR_PEOPLE.search(tag):
                yield tag, "image on this server"


def _catalog(given: Given) -> tuple[list[Any], list[Any]]:
    """Return the catalog's entries: all, and those for this host, newest first."""
    from ds01.images.shelf import catalog  # noqa: PLC0415 - only for frameworks and versions

    settled = settings.read()
    entries = catalog.merged(settled, settings.mlc_home(settled))
    asked = next(iter(given.get("ARCH", ())), None)
    architecture = catalog.chosen_architecture(asked, settled)
    fitting = [entry for entry in entries if entry.runs_on(architecture)]
    return entries, catalog.newest_first(fitting)


def frameworks(command: str, given: Given) -> Iterator[Candidate]:
    """Yield the catalog's frameworks for this host, each with its newest version."""
    newest: dict[str, str] = {}
    for entry in _catalog(given)[1]:
        newest.setdefault(entry.framework, entry.version)
    yield from ((name, f"newest is {version}") for name, version in newest.items())
    if command.startswith("container-"):
        # Without an answer of the engine the catalog's words stand.
        with suppress(HelperError):
            for name, text in own_images(command, given):
                if "/" not in name:
                    yield name, text


def versions(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the versions of the framework that is named, the newest first."""
    named = [name.casefold() for name in given.get("FRAMEWORK", ())]
    for entry in _catalog(given)[1]:
        if not named or entry.framework.casefold() in named:
            yield entry.version, f"{entry.framework}, {entry.image}"


def architectures(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the architectures that the catalog has images for."""
    known = {name for entry in _catalog(given)[0] for name in entry.architectures}
    yield from ((name, "") for name in sorted(known))


def gpu_requests(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the kinds of GPU that this user may ever be given, with their memory."""
    from ds01.gpus.devices.inventory import read_inventory  # noqa: PLC0415
    from ds01.gpus.rules.refusal import Refusal  # noqa: PLC0415
    from ds01.gpus.rules.request import parse_request  # noqa: PLC0415
    from ds01.gpus.rules.rules import check  # noqa: PLC0415
    from ds01.policy.limits import effective_limits, load_policy  # noqa: PLC0415
    from ds01.policy.users import identify_user  # noqa: PLC0415

    policy = load_policy(find_paths().policy)
    user = identify_user(os.getuid())
    limits = effective_limits(policy, user, datetime.now(timezone.utc)).limits
    inventory = read_inventory(links=False)
    memory = {d.profile: d.memory for d in inventory.devices if not d.mig_mode}
    for kind, size in sorted(memory.items(), key=lambda each: (each[1], each[0])):
        try:
            check(
                parse_request(kind),
                limits,
                [],
                inventory,
                exclude=policy.allocation.exclude,
            )
        except Refusal:
            continue
        yield kind, f"{size / 1e9:.1f} GB"
    yield "none", "no GPU"


def users(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the people of this server."""
    for entry in pwd.getpwall():
        is_person = entry.pw_uid == 0 or entry.pw_uid >= _FIRST_PERSON_UID
        if is_person and not entry.pw_shell.endswith(("/nologin", "/false")):
            yield entry.pw_name, entry.pw_gecos.partition(",")[0]


def _packages() -> Packages:
    from ds01.images.source.packages import load_packages  # noqa: PLC0415

    return load_packages(find_paths().etc / "packages.yaml")


def tiers(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the package tiers of this server's images."""
    for each in _packages().tiers:
        if each.name not in given.get("TIER", ()):
            yield each.name, each.title


def use_cases(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the packages by field."""
    for each in _packages().use_cases:
        if each.name not in given.get("TYPE", ()):
            yield each.name, each.title


def event_types(_: str, given: Given) -> Iterator[Candidate]:
    """Yield the types of events."""
    from ds01.show.event_words import WORDS as EVENT_WORDS  # noqa: PLC0415

    yield from ((name, "") for name in sorted(EVENT_WORDS))


def project_types(command: str, given: Given) -> Iterator[Candidate]:
    """Yield what a project can be of."""
    yield "general", "nothing special"
    yield from use_cases(command, given)


Source = Callable[[str, Given], Iterator[Candidate]]

# By the noun of the command where a name means several things.
WORDS: Mapping[str, Source] = {
    "NAME": containers,
    "CONTAINER": containers,
    "image-NAME": own_images,
    "IMAGE": images,
    "FRAMEWORK": frameworks,
    "VERSION": versions,
    "ARCH": architectures,
    "REQUEST": gpu_requests,
    "SPEC": gpu_requests,
    "USER": users,
    "TIER": tiers,
    "image-TYPE": use_cases,
    "project-TYPE": project_types,
    "ds01-TYPE": event_types,
}


def candidates(command: str, names: Sequence[str], given: Given) -> Iterator[Candidate]:
    """Yield what the words that a header calls by these names can be.

    What cannot be known now is left out: the engine is down, or a file is broken.
    """
    noun, _, verb = command.partition("-")
    for name in names:
        if name == "NAME" and verb in _MAKERS:
            continue
        source = WORDS.get(f"{noun}-{name}") or WORDS.get(name)
        if source is None:
            continue
        try:
            yield from source(command, given)
        except HelperError:
            continue
