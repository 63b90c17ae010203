"""The lock of an image before its build: which versions each layer installs.

Taken, in this order: from the image's own lock while the layer asks for the same; for
shared layers from what the server remembers; else worked out in the base. A workshop is
opened only for what is left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.core.program import program_name
from ds01.core.text import nearest
from ds01.images.requirements.words import normal_name
from ds01.images.shelf.base import Ground
from ds01.images.source import lock as source_lock
from ds01.images.source.lock import Lock, LockedBase
from ds01.images.source.packages import Packages
from ds01.images.source.types import Layer
from ds01.images.versions import pins as versions_pins
from ds01.images.versions import probe
from ds01.images.versions.explain import Asked, not_known, unreachable
from ds01.images.versions.pins import Versions
from ds01.images.versions.probe import Found
from ds01.images.versions.progress import Steps
from ds01.images.versions.resolve import Resolver
from ds01.images.versions.workshop import Workshop

_MISSING = re.compile(
    r"Failed to fetch|Temporary failure|Could not (?:resolve|connect)|^Err:",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Asking:
    """What versions are wanted for."""

    ground: Ground
    layers: Sequence[Layer]
    packages: Packages
    old: Lock | None
    folder: Path
    paths: Paths
    max_age: int
    upgrade: bool = False
    steps: Steps = field(default_factory=Steps)


@dataclass(frozen=True)
class Outcome:
    """The lock to build from, what the base brings, and what should be told."""

    lock: Lock
    found: Found
    warnings: tuple[str, ...] = ()


def work_out(asking: Asking, workshop: Workshop) -> Outcome:
    """Return the lock to build from.

    Raises HelperError: NOT_FOUND for an unknown package, CONFIG for a conflict,
    PREREQUISITE where the network is gone.
    """
    has_pip = any(layer.pip for layer in asking.layers)
    found = probe.probe(workshop, asking.ground.id, needs_python=has_pip)
    if has_pip:
        _check_python(found, asking.layers)
    pinned = {
        name: package.version
        for name, package in found.packages.items()
        if asking.packages.is_pinned(name)
    }
    context = [found.installer, *(f"{n}=={v}" for n, v in sorted(pinned.items()))]
    keys = versions_pins.keys(asking.ground.id, context, asking.layers)
    known, fresh = _known(asking, keys)
    warnings: list[str] = []
    missing = [each for each in asking.layers if each.name not in known]
    if missing:
        wants_apt = any(layer.apt for layer in missing)
        asking.steps.expect(sum(bool(each.pip) for each in missing) + wants_apt)
        pip, warnings, is_joint = _pip(asking, workshop, found, pinned, known)
        if wants_apt:
            asking.steps.begin("versions of the Debian packages")
        apt = _apt(workshop, found, missing)
        for layer in asking.layers:
            if layer.name in known and not is_joint:
                continue
            there = known.get(layer.name)
            versions = Versions(
                pip[layer.name], apt.get(layer.name) or (there.apt if there else ())
            )
            if layer.is_shared and not is_joint:
                age = 0 if asking.upgrade else asking.max_age
                versions = versions_pins.remember(
                    asking.paths, keys[layer.name], layer, versions, age
                )
            known[layer.name] = versions
        if is_joint and fresh:
            moved = ", ".join(f"'{name}'" for name in fresh)
            warnings.append(
                f"with your packages, {moved} cannot have the versions that others "
                "have: these layers are built for this image alone"
            )
    base = LockedBase(
        image=asking.ground.image,
        id=asking.ground.id,
        digest=asking.ground.digest,
        python=found.python,
        interpreter=found.interpreter,
        user=asking.ground.user,
    )
    # What is installed is known after the build only.
    lock = Lock(
        base,
        {each.name: known[each.name].pip for each in asking.layers if each.pip},
        {each.name: known[each.name].apt for each in asking.layers if each.apt},
        asked=keys,
    )
    return Outcome(lock, found, tuple(warnings))


def _known(
    asking: Asking, keys: Mapping[str, str]
) -> tuple[dict[str, Versions], list[str]]:
    """Return the versions of the first layers that need not be worked out.

    And the names of shared layers among them, whose versions others have too.
    """
    known: dict[str, Versions] = {}
    fresh: list[str] = []
    if asking.upgrade:
        return known, fresh
    old = asking.old
    for layer in asking.layers:
        key = keys[layer.name]
        if old is not None and old.asked.get(layer.name) == key:
            known[layer.name] = Versions(
                old.layers.get(layer.name, ()), old.apt_layers.get(layer.name, ())
            )
        elif layer.is_shared and (
            there := versions_pins.recall(asking.paths, key, asking.max_age)
        ):
            known[layer.name] = there
        elif not layer.pip and not layer.apt:
            known[layer.name] = Versions()
        else:
            break
        if layer.is_shared and layer.pip:
            fresh.append(layer.name)
    return known, fresh


def _pip(
    asking: Asking,
    workshop: Workshop,
    found: Found,
    pinned: Mapping[str, str],
    known: Mapping[str, Versions],
) -> tuple[Mapping[str, tuple[str, ...]], list[str], bool]:
    if not any(layer.pip for layer in asking.layers if layer.name not in known):
        pins = {name: each.pip for name, each in known.items()}
        return {**{each.name: () for each in asking.layers}, **pins}, [], False
    preferred = source_lock.pinned_pip(asking.old) if asking.old else {}
    shared = (*asking.packages.tiers, *asking.packages.use_cases)
    words = [*(w for tier in shared for w in tier.pip), *found.packages, *preferred]
    asked = Asked(
        found=found,
        layers=asking.layers,
        pinned=pinned,
        kept={name: each.pip for name, each in known.items()},
        preferred={n: v for n, v in preferred.items() if "/" not in v and ":" not in v},
        folder=asking.folder,
        known=tuple(normal_name(re.split(r"[\[<>=!~;@ ]", w)[0]) for w in words),
        upgrade=asking.upgrade,
        steps=asking.steps,
    )
    done = Resolver(workshop, asked).resolve()
    return done.pins, list(done.warnings), done.is_joint


def _check_python(found: Found, layers: Sequence[Layer]) -> None:
    """Raise HelperError where the base cannot take Python packages as asked for."""
    if found.python == "-":
        raise HelperError(
            Exit.CONFIG,
            "the base has no Python to install packages for",
            "choose another base, or give '--system python3' and no Python packages",
        )
    if found.installer == "none":
        raise HelperError(
            Exit.CONFIG,
            f"neither uv nor pip works with the Python {found.python} of the base",
            "choose another base",
        )
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - slow to load

    for layer in layers:
        for want in layer.python:
            if not SpecifierSet(want).contains(found.python, prereleases=True):
                raise HelperError(
                    Exit.CONFIG,
                    f"your files want Python {want}, and the base has {found.python}",
                    "choose another base, or change the file",
                )


# Debian packages ----------------------------------------------------------------------


def _apt(
    workshop: Workshop, found: Found, layers: Sequence[Layer]
) -> dict[str, tuple[str, ...]]:
    """Return the Debian packages of layers with the versions that there are now."""
    names = sorted({n.partition("=")[0] for layer in layers for n in layer.apt})
    if not names:
        return {}
    if not found.has_apt:
        raise HelperError(
            Exit.CONFIG,
            f"the base ({found.system}) has no apt for '{names[0]}'",
            "leave the Debian packages out, or choose another base",
        )
    script = 'apt-get update -q 2>&1; echo --; apt-cache policy -q -- "$@"'
    done = workshop.run(["sh", "-c", script, "sh", *names])
    update, _, policy = done.out.partition("\n--\n")
    known = policies(policy)
    result: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        chosen = []
        for word in layer.apt:
            name, _, version = word.partition("=")
            if name not in known:
                if _MISSING.search(update):
                    raise unreachable("Debian packages", _first_failure(update))
                raise _no_package(name, layer, _names(workshop))
            check_version(name, version, known[name])
            # Virtual packages have none.
            newest = re.search(r"^  Candidate: ([^\s(]+)", known[name], re.MULTILINE)
            add = f"={newest[1]}" if newest and not version else ""
            chosen.append(word + add)
        result[layer.name] = tuple(chosen)
    return result


def policies(text: str) -> dict[str, str]:
    """Return what `apt-cache policy` tells of each package that it knows."""
    parts = re.split(r"^(\S+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def check_version(name: str, version: str, told: str) -> None:
    """Raise HelperError for a version that `apt-cache policy` does not tell of."""
    there = re.findall(r"^ (?:\*\*\*|   ) (\S+) -?\d+$", told, re.MULTILINE)
    if version and there and version not in there:
        raise HelperError(
            Exit.NOT_FOUND,
            f"Debian package '{name}' has no version '{version}' for the base",
            f"there is {', '.join(dict.fromkeys(there))}",
        )


def _first_failure(text: str) -> str:
    lines = [line for line in text.splitlines() if _MISSING.search(line)]
    return " ".join(lines[0].split()) if lines else "no reason given"


def _names(workshop: Workshop) -> list[str]:
    return workshop.run(["apt-cache", "pkgnames"]).out.split()


def _no_package(name: str, layer: Layer, every: Sequence[str]) -> HelperError:
    if layer.is_shared:
        return not_known("Debian package", name, layer)
    letters = sorted(name)
    # Letters in another order are the commonest slip, and difflib's last choice.
    mixed = [each for each in every if sorted(each) == letters]
    close = mixed[0] if mixed else nearest(name, (e for e in every if e[0] == name[0]))
    meant = f", did you mean '{close}'?" if close else ""
    option = "--add" if program_name("") == "image-update" else "--packages"
    return HelperError(
        Exit.NOT_FOUND,
        f"there is no Debian package '{name}' for the base{meant}",
        f"use '{option}' if it is a Python package",
    )
