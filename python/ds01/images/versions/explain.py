"""Says in people's words why versions cannot be worked out, and who wants what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.program import program_name
from ds01.core.text import nearest
from ds01.images.requirements import words
from ds01.images.source.types import Layer
from ds01.images.versions import probe
from ds01.images.versions.progress import Steps

Pins = tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What is to be resolved.

    `pinned` are the base's packages that keep their versions. `kept` are pins that hold
    as they are, of the first layers only; `preferred` versions that are taken where
    they fit.
    """

    found: probe.Found
    layers: Sequence[Layer]
    pinned: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Pins] = field(default_factory=dict)
    preferred: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    known: Iterable[str] = ()
    upgrade: bool = False
    steps: Steps = field(default_factory=Steps)


_UNKNOWN = re.compile(
    r"([A-Za-z0-9][\w.-]*) was not found in the p(?:ackage registry|rov)"
)
_NO_VERSION = re.compile(
    r"Because there (?:is|are) no versions? of (\S+?)([=<>!~]\S*) and you require"
)
_NETWORK = re.compile(
    r"Failed to fetch|error sending request|Could not connect|dns error|"
    r"Request failed after|operation timed out|Connection (?:refused|reset)|"
    r"Failed to (?:download|resolve host)|HTTP status (?:server )?error|"
    r"failed to lookup address|Temporary failure in name resolution|NewConnectionError",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"https?://([^/\s)`'\"]+)")
_NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")


class ConflictError(HelperError):
    """Packages that do not go together."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(Exit.CONFIG, message, hint)


def explain(text: str, asked: Asked, layers: Sequence[Layer]) -> HelperError:
    """Return the failure that a message of the resolver means."""
    plain = " ".join(text.split())
    unknown = _UNKNOWN.search(plain)
    if unknown:
        return _unknown(unknown[1], asked, layers)
    if "No solution found" not in plain and _NETWORK.search(plain):
        place = _ADDRESS.search(plain)
        where = f" at '{place[1]}'" if place else ""
        return unreachable(f"Python packages{where}", _last(text))
    cause = plain.partition("cause: ")[2] or plain.removeprefix("error: ")
    cause = cause.partition(" hint: ")[0]
    missing = _NO_VERSION.match(cause)
    if missing and cause.count("Because") == 1:
        return HelperError(
            Exit.NOT_FOUND,
            f"package '{missing[1]}' has no version '{missing[2].lstrip('=')}'"
            f"{_wanted_by(missing[1], asked)}",
            f"leave the version out, or look at https://pypi.org/project/{missing[1]}",
        )
    if "No solution found" in plain:
        return _conflict(cause, asked)
    return HelperError(
        Exit.CONFIG,
        f"the packages' versions cannot be worked out: {cause}",
        "look at the words above; 'image-create --help' shows how packages are written",
    )


def unreachable(what: str, why: str) -> HelperError:
    """Return that an index of packages does not answer."""
    return HelperError(
        Exit.PREREQUISITE,
        f"the index of {what} cannot be reached: {why}",
        "look at the network, then try again: nothing was changed",
    )


def not_known(kind: str, name: str, layer: Layer) -> HelperError:
    """Return that a package of a layer for everybody does not exist."""
    return HelperError(
        Exit.NOT_FOUND,
        f"{kind} '{name}' of '{layer.name}' in packages.yaml is not known",
        "tell the administrator, who can mend packages.yaml",
    )


def _unknown(name: str, asked: Asked, layers: Sequence[Layer]) -> HelperError:
    name = words.normal_name(name)
    tier = _shared_with(name, layers)
    if tier:
        return not_known("package", name, tier)
    close = nearest(name, sorted(set(asked.known) - {name}))
    meant = f", did you mean '{close}'?" if close else ""
    option = "--add-system" if program_name("") == "image-update" else "--system"
    return HelperError(
        Exit.NOT_FOUND,
        f"there is no Python package '{name}'{meant}",
        f"look for it with 'https://pypi.org/search/?q={name}', or use "
        f"'{option}' if it is a Debian package",
    )


def _shared_with(name: str, layers: Iterable[Layer]) -> Layer | None:
    """Return the first layer for everybody that asks for a package."""
    shared = (layer for layer in layers if layer.is_shared)
    asking = (each for each in shared if name in map(words.key_of, each.pip))
    return next(asking, None)


def _wanted_by(name: str, asked: Asked) -> str:
    tier = _shared_with(words.normal_name(name), asked.layers)
    return f", which '{tier.name}' in packages.yaml asks for" if tier else ""


def _conflict(cause: str, asked: Asked) -> ConflictError:
    """Return the conflict in words: the resolver's chain, then who asks for what."""
    chain = re.sub(
        r",? ?(?:and )?we can conclude that your requirements are unsatisfiable\.?$",
        ", there is no solution",
        cause,
    )
    chain = re.sub(r"\byou require\b", "the image needs", chain).rstrip(" .,")
    named = {words.normal_name(word) for word in _NAMES.findall(cause)}
    wants: list[str] = []
    from_base = sorted(name for name in asked.pinned if name in named)
    if from_base:
        has = ", ".join(f"{name} {asked.pinned[name]}" for name in from_base)
        wants.append(f"the base has {has}, which stays")
    for layer in asked.layers:
        texts = [text for text in layer.pip if words.key_of(text) in named]
        if texts:
            who = f"'{layer.name}'" if layer.is_shared else "you"
            wants.append(f"{who} asked for {', '.join(texts)}")
    told = f" ({'; '.join(wants)})" if wants else ""
    hint = "choose other versions, or leave one of them out"
    if from_base:
        hint = f"ask for a version that goes with {from_base[0]} "
        hint += f"{asked.pinned[from_base[0]]}, or choose another base with '--version'"
    return ConflictError(f"the packages do not go together{told}: {chain}", hint)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line.partition("cause: ")[2] for line in lines if "cause: " in line]
    return (causes or lines or ["no reason given"])[-1]
