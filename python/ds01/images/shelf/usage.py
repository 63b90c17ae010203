"""Which containers use a custom image, and which of them an older build of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ds01.core.engine import Engine
from ds01.core.labels import HELPER, HELPER_SECONDS
from ds01.images.shelf.labels import PREFIX, decode


@dataclass(frozen=True)
class Usage:
    """Names of containers, as their users know them."""

    containers: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)


def name_of(summary: Mapping[str, Any]) -> str:
    """Return a container's name as the caller knows it; USER/NAME of other users."""
    labels = summary.get("Labels") or {}
    names = summary.get("Names") or [str(summary.get("Id", ""))[:12]]
    name = str(labels.get("aime.mlc.NAME") or names[0].lstrip("/"))
    owner = labels.get("ds01.uid") or str(os.getuid())
    if owner == str(os.getuid()):
        return name
    return f"{labels.get('ds01.user') or owner}/{name}"


def usage_of(
    containers: list[Mapping[str, Any]], uid: str, name: str, created: str
) -> Usage:
    """Return who uses an image, by the labels that containers have from it."""
    found = Usage()
    for each in containers:
        labels = decode(each.get("Labels"))
        if labels is None or (labels.uid, labels.name) != (uid, name):
            continue
        found.containers.append(name_of(each))
        if labels.created != created:
            found.outdated.append(name_of(each))
    return Usage(sorted(found.containers), sorted(found.outdated))


def custom_containers(engine: Engine) -> list[Mapping[str, Any]]:
    """Return the containers that are made of custom images, without helpers."""
    found = engine.containers([f"{PREFIX}name"])
    return [each for each in found if not is_helper(each)]


def is_helper(summary: Mapping[str, Any]) -> bool:
    """Is a container the one in which DS01 looks into an image for a build?

    The label alone does not tell: whatever an image's Dockerfile writes there comes to
    all its containers. Those that the gateway made for somebody are managed.
    """
    labels = summary.get("Labels") or {}
    return (
        HELPER in labels
        and labels.get("ds01.managed") != "1"
        and summary.get("Command") == f"sleep {HELPER_SECONDS}"
    )


def containers_of(engine: Engine, reference: str, uid: int, name: str) -> Usage:
    """Return who uses an image of that name."""
    image = engine.image(reference)
    labels = decode(((image or {}).get("Config") or {}).get("Labels"))
    created = labels.created if labels else "-"
    return usage_of(custom_containers(engine), str(uid), name, created)
