"""How one layer of an image is installed: the words of its lines in the Dockerfile."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ds01.core.errors import Exit, HelperError
from ds01.images.requirements import options, words
from ds01.images.source.lock import Lock, LockedBase
from ds01.images.source.packages import parse_apt
from ds01.images.source.types import Layer

Builder = Literal["buildkit", "classic"]
Installer = Literal["uv", "pip"]

CONTEXT = ".ds01"
# Where the pins lie in the image: they tell what DS01 installed.
TARGET = "/opt/ds01"
CACHE = "/var/cache/ds01"
_CACHE = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_INTERPRETER = re.compile(r"/[A-Za-z0-9._+/-]+", re.ASCII)


@dataclass(frozen=True)
class Tools:
    """How an image is built: the builder, the installer, and what they need.

    `cache` names BuildKit's cache of the user's own downloads: nobody else should be
    able to guess it. `setup_apt` are Debian packages to put in before everything.
    `certificates` are the variables that tell programs where the site's own are, which
    the context then holds as ca.crt; empty where the site has none. `network` is the
    build's, the one field that does not show in the Dockerfile.
    """

    builder: Builder = "classic"
    installer: Installer = "uv"
    uv_image: str | None = None
    cache: str | None = None
    setup_apt: Sequence[str] = ()
    certificates: Sequence[str] = ()
    network: str = "host"


def shown(layer: Layer, lock: Lock | None, tools: Tools) -> Mapping[str, object]:
    """Return a layer as the templates need it."""
    names = lock.apt_layers.get(layer.name, layer.apt) if lock else layer.apt
    copied: list[str] = []
    mounts: list[str] = []
    commands: list[str] = []
    # Nothing to install where the base has it all.
    if layer.pip and (lock is None or lock.layers.get(layer.name, (" ",))):
        copied = [f"{CONTEXT}/{layer.name}.txt {TARGET}/{layer.name}.txt"]
        if tools.builder == "classic":
            copied += [f"{path} {TARGET}/{path}" for path in layer.files]
        mounts = _mounts(layer, tools)
        commands = _commands(layer, lock.base if lock else None, tools)
    return {
        "name": layer.name,
        "title": layer.title,
        "asked": textwrap.wrap(
            ", ".join(layer.pip), 84, break_long_words=False, break_on_hyphens=False
        ),
        "apt": [parse_apt(name) for name in names],
        "copied": copied,
        "run": [*mounts, " \\\n    && ".join(commands)] if commands else [],
        "targets": [shlex.quote(target) for _, target in layer.copies],
        "files": [json.dumps(pair, ensure_ascii=False) for pair in layer.copies],
    }


def _mounts(layer: Layer, tools: Tools) -> list[str]:
    """Return the options of RUN: the user's cache, local wheels, secrets."""
    names = words.variables((*layer.options, *layer.pip))
    if tools.builder != "buildkit":
        if names:
            raise HelperError(
                Exit.PREREQUISITE,
                f"'${{{names[0]}}}' in '{layer.name}' is a secret, which only BuildKit "
                "keeps out of the image",
                "ask the administrator to install Docker's buildx",
            )
        return []
    mounts = [f"--mount=type=secret,id={name},required=true" for name in names]
    mounts += [
        f"--mount=type=bind,source={path},target={TARGET}/{path}"
        for path in layer.files
    ]
    if tools.cache and not layer.is_shared:
        if not _CACHE.fullmatch(tools.cache):
            raise ValueError(f"'{tools.cache}' is not the name of a cache")
        mounts.append(f"--mount=type=cache,id={tools.cache},target={CACHE}")
    return mounts


def _commands(layer: Layer, base: LockedBase | None, tools: Tools) -> list[str]:
    """Return the commands that install a layer's pins."""
    names = words.variables((*layer.options, *layer.pip))
    commands = [f'export {name}="$(cat /run/secrets/{name})"' for name in names]
    # Paths in a file of requirements count from where the installer runs.
    commands.append(f"cd {TARGET}")
    python = base.interpreter if base else "-"
    if python != "-" and not _INTERPRETER.fullmatch(python):
        raise HelperError(Exit.CONFIG, f"the base's Python '{python}' is no path")
    own_cache = (
        bool(tools.cache) and tools.builder == "buildkit" and not layer.is_shared
    )
    if tools.installer == "uv":
        install = ["uv", "pip", "install", "--no-config"]
        install += ["--system"] if python == "-" else ["--python", python]
        install += ["--break-system-packages", "--no-deps"]
        install += (
            ["--cache-dir", CACHE, "--link-mode", "copy"]
            if own_cache
            else ["--no-cache"]
        )
        install += options.uv_flags(layer.options)
    else:
        program = "python3" if python == "-" else python
        # As variables: pip of old bases does not know all of them as options.
        install = ["PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_ROOT_USER_ACTION=ignore"]
        install += [program, "-m", "pip", "install", "--no-input", "--no-deps"]
        install += ["--disable-pip-version-check"]
        install += ["--cache-dir", CACHE] if own_cache else ["--no-cache-dir"]
        install += options.pip_flags(layer.options)
    install += ["-r", f"{layer.name}.txt"]
    commands.append(" ".join(shlex.quote(word) for word in install))
    return commands
