"""mlc create: choose framework and version, then make the container."""

from __future__ import annotations

import argparse

import mlc_ask as ask
import mlc_catalog as catalog
import mlc_docker as docker
from mlc_base import MlcError, caller, say
from mlc_catalog import CPU, Entry
from mlc_make import Order, make, mounts_of, pull
from mlc_names import check_name


def show_catalog(entries: list[Entry], architecture: str) -> int:
    """Print frameworks and versions for an architecture."""
    print(f"Frameworks and versions for {architecture}:")
    for name in catalog.frameworks(entries):
        print(f"  {name}: {', '.join(catalog.versions(entries, name))}")
    return 0


def pick(
    entries: list[Entry],
    architecture: str,
    framework: str | None,
    version: str | None,
    silent: bool,
) -> Entry:
    """Return the catalog's entry for the words, asking for those that are missing.

    With silent, a missing word is an error.
    """
    names = catalog.frameworks(entries)
    if not names:
        raise MlcError(
            f"the catalog has no image for '{architecture}'",
            "name another architecture with -arch, or in MLC_ARCH",
        )

    def word(given: str | None, what: str, whose: str, known: list[str]) -> str:
        hint = f"{what}s: {', '.join(known)}"
        if given is None and silent:
            raise MlcError(f"no {what}{whose} given", hint)
        if given is None:
            given = known[ask.choose(f"{what.capitalize()}{whose}", known)]
        if given not in known:
            raise MlcError(f"no {what} '{given}'{whose} for {architecture}", hint)
        return given

    framework = word(framework, "framework", "", names)
    known = catalog.versions(entries, framework)
    version = word(version, "version", f" of {framework}", known)
    return next(e for e in entries if (e.framework, e.version) == (framework, version))


def gpus_for(asked: str | None, architecture: str) -> str | None:
    """Return what --gpus gets: as asked, all where the host has any, else nothing."""
    if asked is not None:
        return asked
    return None if architecture == CPU else "all"


def create(words: argparse.Namespace) -> int:
    """Run `mlc create`; words.home is the folder of the catalog."""
    architecture = catalog.choose_architecture(words.architecture)
    entries = catalog.usable(catalog.load(words.home), architecture)
    if words.info:
        return show_catalog(entries, architecture)

    person = caller()
    name = words.name
    if name is None:
        if words.script:
            raise MlcError(
                "no container name given", "mlc create NAME FRAMEWORK VERSION -s"
            )
        name = ask.word("Name of the container", check_name)
    check_name(name)
    entry = pick(entries, architecture, words.framework, words.version, words.script)

    mounts = mounts_of(person, words.workspace_dir, words.data_dir, words.models_dir)
    order = Order(
        name=name,
        person=person,
        image=entry.image,
        framework=f"{entry.framework}-{entry.version}",
        architecture=architecture,
        gpus=gpus_for(words.num_gpus, architecture),
        mounts=mounts,
    )
    existing, base = docker.inspect(
        ("container", order.container), ("image", order.image)
    )
    if existing is not None:
        raise MlcError(f"the container '{name}' exists already", f"mlc open {name}")
    if not words.script:
        lines = [f"{inside} is {source}" for source, inside in mounts]
        say(
            "info",
            f"'{name}' from {order.framework} ({order.image}); " + ", ".join(lines),
        )
        if not ask.confirm(f"Create the container '{name}'?"):
            raise MlcError("nothing was created")

    make(order, base if base is not None else pull(order.image))
    print(f"The container '{name}' is ready: mlc open {name}")
    return 0
