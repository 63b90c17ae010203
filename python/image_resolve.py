"""Works out the versions of an image's Python packages, before anything is built.

Layer by layer, by uv inside a container of the base: a layer's packages must go with
what the base's frameworks and the layers before it have, which keep their versions.
What the base has already is taken where it fits. Only where that has no solution are
all layers resolved together, still with the base's frameworks as they are.

Raises HelperError: NOT_FOUND for an unknown package, CONFIG for packages that do not go
together (in words: who wants what), PREREQUISITE where an index cannot be reached.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import image_lock
import image_probe
import image_resolve_pip
import requirement_options as options
import requirement_words as words
from _common import Exit, HelperError, nearest
from image_types import Layer
from image_workshop import CACHE, FOLDER, Done, Workshop

Pins = tuple[str, ...]

_CONTEXT = f"{FOLDER}/context"
_BASE = f"{FOLDER}/base"
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


@dataclass(frozen=True)
class Asked:
    """What is to be resolved.

    `pinned` are the base's packages that keep their versions. `kept` are pins that hold
    as they are, of the first layers only; `preferred` versions that are taken where
    they fit.
    """

    found: image_probe.Found
    layers: Sequence[Layer]
    pinned: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Pins] = field(default_factory=dict)
    preferred: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    known: Iterable[str] = ()
    upgrade: bool = False


@dataclass(frozen=True)
class Resolved:
    """The pins of each layer, what should be told, and whether layers moved others."""

    pins: Mapping[str, Pins]
    warnings: tuple[str, ...] = ()
    is_joint: bool = False


class Resolver:
    """Resolves the layers of one image in a workshop of its base."""

    def __init__(self, workshop: Workshop, asked: Asked) -> None:
        self._workshop = workshop
        self._asked = asked
        self._is_ready = False
        self._warnings: list[str] = []

    def resolve(self) -> Resolved:
        """Return the pins of all layers."""
        pins: dict[str, Pins] = dict(self._asked.kept)
        try:
            for layer in self._asked.layers:
                if layer.name not in pins:
                    pins[layer.name] = self._layer(layer, pins)
        except ConflictError:
            if not pins:
                raise
            pins = self._together()
            return Resolved(pins, tuple(self._warnings), is_joint=True)
        return Resolved(pins, tuple(self._warnings))

    def _layer(
        self, layer: Layer, before: Mapping[str, Pins], bounds: Iterable[str] = ()
    ) -> Pins:
        """Return the pins that a layer adds to those before it."""
        if not layer.pip:
            return ()
        earlier = [pin for pins in before.values() for pin in pins]
        done = self._compile([layer], earlier, bounds)
        known = dict(map(_named, earlier))
        for name, package in self._asked.found.packages.items():
            known.setdefault(name, package.version)
        return tuple(
            pin
            for pin in pins_of(done.out)
            if known.get(_named(pin)[0]) != _named(pin)[1]
        )

    def _together(self) -> dict[str, Pins]:
        """Return the pins of all layers, resolved in one go and then divided."""
        every = [layer for layer in self._asked.layers if layer.pip]
        done = self._compile(every, [], [])
        bounds = [pin for pin in pins_of(done.out) if "==" in pin and "@" not in pin]
        pins: dict[str, Pins] = {}
        for layer in self._asked.layers:
            pins[layer.name] = self._layer(layer, pins, bounds)
        return pins

    def _compile(
        self,
        layers: Sequence[Layer],
        earlier: Sequence[str],
        bounds: Iterable[str],
    ) -> Done:
        self._prepare()
        asked = self._asked
        every_option = tuple(dict.fromkeys(o for each in layers for o in each.options))
        pinned = [f"{name}=={version}" for name, version in asked.pinned.items()]
        wanted = [text for each in layers for text in each.pip]
        earlier = [pin.partition(" --hash=")[0] for pin in earlier]
        limits = [text for each in layers for text in each.constraints]
        preferred = {n: p.version for n, p in asked.found.packages.items()}
        preferred |= asked.preferred
        files = {
            "in.txt": [*options.file_lines(every_option), *wanted],
            "prior.txt": [*pinned, *earlier],
            "limits.txt": [*limits, *bounds],
            "out.txt": [f"{n}=={v}" for n, v in sorted(preferred.items())],
        }
        self._workshop.put({n: _text(lines) for n, lines in files.items()}, _CONTEXT)
        secret = secrets((*every_option, *wanted))
        if asked.found.has_uv:
            done = self._uv(every_option, wanted, files, secret)
        else:
            done = self._pip(every_option, files)
        done = Done(done.status, _hidden(done.out, secret), _hidden(done.err, secret))
        if done.status != 0:
            raise explain(done.err or done.out, asked, layers)
        self._warnings += re.findall(r"^warning: (.*)$", done.err, re.MULTILINE)
        return done

    def _uv(
        self,
        every: Sequence[str],
        wanted: Sequence[str],
        files: Mapping[str, Sequence[str]],
        secret: Mapping[str, str],
    ) -> Done:
        line = [self._workshop.uv(), "pip", "compile", "--no-config", "--no-header"]
        line += ["--no-annotate", "--no-progress", "--color", "never"]
        line += ["--python", self._asked.found.interpreter]
        line += ["--cache-dir", f"{CACHE}/uv", "--find-links", _BASE]
        line += ["--constraints", "limits.txt"] if files["limits.txt"] else []
        line += [f for f in options.uv_flags(every) if f != "--require-hashes"]
        if "--require-hashes" in every or any("--hash=" in w for w in wanted):
            line.append("--generate-hashes")
        is_new = self._asked.upgrade
        line += ["--upgrade"] if is_new else ["--output-file", "out.txt"]
        line += [name for name in ("in.txt", "prior.txt") if files[name]]
        env = {"UV_HTTP_RETRIES": "2", "UV_HTTP_TIMEOUT": "30", **secret}
        return self._workshop.run(line, folder=_CONTEXT, env=env)

    def _pip(self, every: Sequence[str], files: Mapping[str, Sequence[str]]) -> Done:
        python = self._asked.found.interpreter
        names = [name for name in ("in.txt", "prior.txt", "limits.txt") if files[name]]
        words = image_resolve_pip.words_for(python, every, names)
        done = image_resolve_pip.run(self._workshop, words, _CONTEXT)
        if done.status == 0:
            return done
        text = image_resolve_pip.in_uvs_words(done.out + done.err)
        return Done(done.status, "", text)

    def _prepare(self) -> None:
        """Bring in what the base has, as stand-ins, and the image's local wheels."""
        if self._is_ready:
            return
        self._is_ready = True
        stand_ins = image_probe.stand_ins(self._asked.found)
        self._workshop.put(stand_ins or {".none": b""}, _BASE)
        local = {
            path: (self._asked.folder / path).read_bytes()
            for layer in self._asked.layers
            for path in layer.files
        }
        if local:
            self._workshop.put(local, _CONTEXT)


def secrets(lines: Iterable[str]) -> dict[str, str]:
    """Return the caller's values of the variables that lines refer to.

    Raises HelperError(USAGE) for one that is not set.
    """
    found: dict[str, str] = {}
    for name in words.variables(lines):
        value = os.environ.get(name)
        if not value:
            raise HelperError(
                Exit.USAGE,
                f"the packages refer to '${{{name}}}', which is not set",
                f"run 'export {name}=…' first",
            )
        found[name] = value
    return found


def _hidden(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(value, f"${{{name}}}")
    return text


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _named(pin: str) -> tuple[str, str]:
    return image_lock.pin_version(pin)


def pins_of(text: str) -> list[str]:
    """Return the pins in a requirements file as uv writes it."""
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


# Why it does not work -----------------------------------------------------------------


def explain(text: str, asked: Asked, layers: Sequence[Layer]) -> HelperError:
    """Return the failure that a message of the resolver means."""
    plain = " ".join(text.split())
    unknown = _UNKNOWN.search(plain)
    if unknown:
        return _unknown(unknown[1], asked, layers)
    if "No solution found" not in plain and _NETWORK.search(plain):
        place = _ADDRESS.search(plain)
        where = f" at '{place[1]}'" if place else ""
        return HelperError(
            Exit.PREREQUISITE,
            f"the index of Python packages{where} cannot be reached: {_last(text)}",
            "look at the network, then try again: nothing was changed",
        )
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


def _unknown(name: str, asked: Asked, layers: Sequence[Layer]) -> HelperError:
    name = words.normal_name(name)
    tier = next(
        (e for e in layers if e.is_shared and name in map(_key, e.pip)),
        None,
    )
    if tier:
        return HelperError(
            Exit.NOT_FOUND,
            f"package '{name}' of '{tier.name}' in packages.yaml is not known",
            "tell the administrator, who can mend packages.yaml",
        )
    close = nearest(name, sorted(set(asked.known) - {name}))
    meant = f", did you mean '{close}'?" if close else ""
    return HelperError(
        Exit.NOT_FOUND,
        f"there is no Python package '{name}'{meant}",
        f"look for it with 'https://pypi.org/search/?q={name}', or use "
        "'--system' if it is a Debian package",
    )


def _key(text: str) -> str:
    return words.parse_word(text).key


def _wanted_by(name: str, asked: Asked) -> str:
    name = words.normal_name(name)
    for layer in asked.layers:
        if layer.is_shared and name in map(_key, layer.pip):
            return f", which '{layer.name}' in packages.yaml asks for"
    return ""


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
        texts = [text for text in layer.pip if _key(text) in named]
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
