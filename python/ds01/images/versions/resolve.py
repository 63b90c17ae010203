"""Works out the versions of an image's Python packages, before anything is built.

Layer by layer, by uv inside a container of the base: a layer's packages must go with
what the base's frameworks and the layers before it have, which keep their versions.
What the base has already is taken where it fits. Only where that has no solution are
all layers resolved together, still with the base's frameworks as they are.

Raises HelperError: NOT_FOUND for an unknown package, CONFIG for packages that do not go
together (in words: who wants what), PREREQUISITE where an index cannot be reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ds01.images.requirements import options, words
from ds01.images.source.lock import pin_version
from ds01.images.source.types import Layer
from ds01.images.versions import probe, resolve_pip
from ds01.images.versions.explain import Asked, ConflictError, Pins, explain
from ds01.images.versions.workshop import CACHE, FOLDER, Done, Workshop, secrets

_CONTEXT = f"{FOLDER}/context"
_BASE = f"{FOLDER}/base"


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
        self._asked.steps.begin(f"versions of the Python packages of '{layer.name}'")
        earlier = [pin for pins in before.values() for pin in pins]
        done = self._compile([layer], earlier, bounds)
        known = dict(map(pin_version, earlier))
        for name, package in self._asked.found.packages.items():
            known.setdefault(name, package.version)
        return tuple(
            pin
            for pin in pins_of(done.out)
            if (pinned := pin_version(pin))[1] != known.get(pinned[0])
        )

    def _together(self) -> dict[str, Pins]:
        """Return the pins of all layers, resolved in one go and then divided."""
        every = [layer for layer in self._asked.layers if layer.pip]
        self._asked.steps.expect(len(every) + 1)
        self._asked.steps.begin("versions with which all packages go together")
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
        secret = secrets(words.variables((*every_option, *wanted)))
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
        words = resolve_pip.words_for(python, every, names)
        done = resolve_pip.run(self._workshop, words, _CONTEXT)
        if done.status == 0:
            return done
        text = resolve_pip.in_uvs_words(done.out + done.err)
        return Done(done.status, "", text)

    def _prepare(self) -> None:
        """Bring in what the base has, as stand-ins, and the image's local wheels."""
        if self._is_ready:
            return
        self._is_ready = True
        stand_ins = probe.stand_ins(self._asked.found)
        self._workshop.put(stand_ins or {".none": b""}, _BASE)
        local = {
            path: (self._asked.folder / path).read_bytes()
            for layer in self._asked.layers
            for path in layer.files
        }
        if local:
            self._workshop.put(local, _CONTEXT)


def _hidden(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(value, f"${{{name}}}")
    return text


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def pins_of(text: str) -> list[str]:
    """Return the pins in a requirements file as uv writes it."""
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]
