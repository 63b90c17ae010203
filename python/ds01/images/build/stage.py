"""The folder between image_plan and image_build: what is to be built, and from what.

`plan.json` is the plan, `context/` what goes to the builder, `extras/` files that came
with the command line and belong into the image's source.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.images.build.builder import find_client
from ds01.images.shelf.base import Ground
from ds01.images.shelf.turn import state_folder
from ds01.images.source import context as source_context
from ds01.images.source import dockerfile as source_dockerfile
from ds01.images.source import lock as source_lock
from ds01.images.source import render
from ds01.images.source.dockerfile import State
from ds01.images.source.layer_commands import CONTEXT, Tools
from ds01.images.source.lock import Lock
from ds01.images.source.types import Layer
from ds01.images.versions.probe import Found
from ds01.images.versions.workshop import CA_VARIABLES, site_certificates, uv_version

UV_REPOSITORY = "ds01/uv"


def find_tools(network: str, found: Found | None) -> Tools:
    """Return the tools of this host for a base; None: as for most bases."""
    builder = find_client().builder
    installer = found.installer if found and found.python != "-" else "uv"
    return Tools(
        builder=builder,
        installer="pip" if installer == "pip" else "uv",
        uv_image=f"{UV_REPOSITORY}:{uv_version()}",
        cache=_cache_name() if builder == "buildkit" else None,
        setup_apt=("python3",) if found and found.was_without else (),
        certificates=CA_VARIABLES if site_certificates() else (),
        network=network,
    )


@dataclass(frozen=True)
class Plan:
    """What image_build needs to know."""

    name: str
    reference: str
    folder: str
    spec: str
    dockerfile: str
    lock: Lock
    shared: bool
    ground: Ground
    tools: Tools
    user: str
    is_first: bool
    secrets: tuple[str, ...] = ()
    pip_layers: tuple[str, ...] = ()
    # Debian packages whose version somebody asked for.
    fixed_apt: tuple[str, ...] = ()

    def without(self, gone: Sequence[tuple[str, str]]) -> Plan:
        """Return the plan that asks for any version of some Debian packages."""
        words = {f"{name}={version}": name for name, version in gone}
        apt = {
            layer: tuple(words.get(name, name) for name in names)
            for layer, names in self.lock.apt_layers.items()
        }
        text = self.dockerfile
        managed = source_dockerfile.managed_part(text)
        body = text if managed is None else managed
        for word, name in words.items():
            body = re.sub(rf"(?<=\s){re.escape(word)}(?=\s)", name, body)
        text = body if managed is None else source_dockerfile.merge(text, body)
        lock = replace(self.lock, apt_layers=apt)
        return replace(self, lock=lock, dockerfile=text)


def _cache_name() -> str:
    """Return the name of the user's own cache in the builder, which nobody can guess.

    Who knows it could put packages there for others.
    """
    path = state_folder() / "build-cache"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    name = f"ds01-{os.getuid()}-{random.token_hex(16)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise HelperError(
            Exit.PREREQUISITE, f"'{path}' cannot be written: {error.strerror}"
        ) from error
    with os.fdopen(file, "w", encoding="ascii") as out:
        out.write(name)
    return name


def rendered(
    layers: Sequence[Layer], lock: Lock, text: str | None, tools: Tools
) -> str:
    """Return the Dockerfile for a plan: the user's part as it is, ours rendered."""
    if source_dockerfile.examine(text) is State.ADOPTED and text is not None:
        bare = source_dockerfile.without_block(text)
        block = render.render_block(layers, lock, bare, tools)
        return source_dockerfile.add_block(text, block)
    managed = render.render(layers, lock, lock.base.image, tools)
    return source_dockerfile.merge(text, managed)


def write_stage(
    stage: Path, plan: Plan, layers: Sequence[Layer], sources: Sequence[Path]
) -> None:
    """Lay out plan and context; `sources` are searched in turn for what is copied."""
    context = stage / "context"
    context.mkdir()
    for name, text in render.context_files(layers, plan.lock).items():
        _write(context / name, text.encode())
    certificates = site_certificates()
    if certificates:
        _write(context / CONTEXT / "ca.crt", certificates.read_bytes())
    _write(context / "Dockerfile", plan.dockerfile.encode())
    names = source_context.sources(plan.dockerfile)
    for folder in sources:
        if folder.is_dir():
            source_context.gather(folder, names, context)
    value = asdict(plan)
    value["lock"] = json.loads(source_lock.dump_lock(plan.lock))
    _write(stage / "plan.json", json.dumps(value).encode())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    # Not the caller's umask: the builder's cache goes by modes, for all users alike.
    path.chmod(0o644)


def checksum(text: str) -> str:
    """Return the checksum of a text that a label holds."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def context_checksum(stage: Path) -> str:
    """Return a checksum of all that goes to the builder: names, modes and contents."""
    total = hashlib.sha256()
    context = stage / "context"
    for path in sorted(context.rglob("*")):
        name = path.relative_to(context).as_posix()
        if path.is_symlink():
            # As it is: what it leads to does not go to the builder.
            total.update(f"{name}\0{path.readlink()}\n".encode())
        elif path.is_file():
            data = _checksum_of(path)
            total.update(f"{name}\0{path.stat().st_mode & 0o777:o}\0{data}\n".encode())
    return total.hexdigest()[:32]


def _checksum_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def read_stage(stage: Path) -> Plan:
    """Return the plan in a stage; raises HelperError(USAGE) where there is none."""
    try:
        value: Mapping[str, Any] = json.loads(
            (stage / "plan.json").read_text(encoding="utf-8")
        )
        return Plan(
            **{
                **value,
                "lock": source_lock.parse_lock(json.dumps(value["lock"])),
                "ground": Ground(**value["ground"]),
                "tools": Tools(**value["tools"]),
                "secrets": tuple(value["secrets"]),
                "pip_layers": tuple(value["pip_layers"]),
                "fixed_apt": tuple(value["fixed_apt"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HelperError(
            Exit.USAGE, f"'{stage}' holds no plan of image_plan: {error}"
        ) from error
