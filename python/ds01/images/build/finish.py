"""What surrounds the build of an image: the installer before it, the name after it.

`ensure_uv` brings the installer into the engine, `look_into` reads what was installed,
`name_it` gives the image its name, and `sweep` removes what killed builds left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import replace
from urllib.parse import quote

from ds01.core.engine import Engine, reason
from ds01.core.errors import Exit, HelperError
from ds01.images.build.stage import UV_REPOSITORY, Plan
from ds01.images.shelf.labels import BUILDER, decode, is_left
from ds01.images.source import lock as source_lock
from ds01.images.source.lock import Lock
from ds01.images.versions import probe
from ds01.images.versions import workshop as versions_workshop


def ensure_uv(engine: Engine, reference: str) -> None:
    """Make the image that holds uv, if it is not here or is not what it should be.

    It is the same for all users, and what is in it runs in their builds: one that
    somebody else named so is replaced.
    """
    found = engine.image(reference)
    binary = versions_workshop.uv_binary()
    if binary is None and found is not None:
        return
    if binary is None:
        raise HelperError(
            Exit.PREREQUISITE,
            "the installer 'uv' is missing from DS01's own Python",
            "run install.sh again",
        )
    data = versions_workshop.tar_of({"uv": binary.read_bytes()}, 0o755)
    layers = [f"sha256:{hashlib.sha256(data).hexdigest()}"]
    if found is not None and (found.get("RootFS") or {}).get("Layers") == layers:
        return
    tag = reference.rpartition(":")[2]
    path = f"/images/create?fromSrc=-&repo={quote(UV_REPOSITORY, safe='')}&tag={tag}"
    status, answer = engine.send("POST", path, data, "application/x-tar")
    if status != 200 or b'"error"' in answer:
        raise HelperError(
            Exit.BUG,
            f"cannot make image '{reference}': {answer.decode()[-300:].strip()}",
        )


def look_into(engine: Engine, plan: Plan, identity: str) -> Lock:
    """Return the lock with what is really installed in the image."""
    with versions_workshop.opened(engine, identity, plan.tools.network) as workshop:
        found = probe.look(workshop)
    pip = {name: package.version for name, package in found.packages.items()}
    return replace(plan.lock, pip=pip, apt=dict(found.apt))


def warnings_of(lock: Lock) -> list[str]:
    """Return what is not installed as the lock asked for it."""
    told = []
    for name, version in source_lock.pinned_pip(lock).items():
        there = lock.pip.get(name)
        if there != version and re.fullmatch(r"[0-9][\w.!+]*", version):
            told.append(f"'{name}' is {there or 'missing'} in the image, not {version}")
    for name, version in source_lock.pinned_apt(lock).items():
        there = lock.apt.get(name)
        if version != "any" and there and there != version:
            told.append(
                f"Debian's '{name}' is {there} in the image: {version} is not there "
                "any more"
            )
    return told


def name_it(engine: Engine, plan: Plan, identity: str) -> None:
    """Give the image its name; the older one goes if nothing uses it."""
    old = engine.image(plan.reference)
    repository, _, tag = plan.reference.rpartition(":")
    query = {"repo": repository, "tag": tag}
    status, answer = engine.call("POST", f"/images/{identity}/tag", query)
    if status != 201:
        raise HelperError(
            Exit.BUG, f"image '{plan.name}' cannot be named: {reason(answer)}"
        )
    if old and old["Id"] != identity:
        # Refused while a container or another image needs it: then it stays.
        engine.call("DELETE", f"/images/{old['Id']}")


def sweep(engine: Engine) -> None:
    """Remove what builds of the caller left that were killed: images without a name."""
    filters = {"dangling": ["true"], "label": [f"ds01.image.uid={os.getuid()}"]}
    with contextlib.suppress(HelperError):
        query = {"filters": json.dumps(filters)}
        for found in engine.listing("/images/json", query):
            labels = found.get("Labels") or {}
            if decode(labels) is not None and is_left(labels.get(BUILDER, "")):
                engine.call("DELETE", f"/images/{found['Id']}")
