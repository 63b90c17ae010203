"""One image as the engine's labels tell it, and which one a word means."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import user_name
from ds01.core.text import nearest
from ds01.images.shelf.labels import Labels, decode
from ds01.images.shelf.usage import custom_containers, usage_of
from ds01.images.source.names import PREFIX, owner_part


@dataclass(frozen=True)
class Image:
    """One custom image, as the engine and its labels have it."""

    name: str
    reference: str
    id: str
    user: str
    uid: int
    mine: bool
    shared: bool
    size: int
    base: str
    base_digest: str
    created: str
    architecture: str
    framework: str
    source: str
    made_by: str
    containers: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The word by which the caller names it."""
        if self.mine:
            return self.name
        return self.reference.removeprefix(f"{PREFIX}/").removesuffix(":latest")


def read_images(engine: Engine) -> list[Image]:
    """Return all custom images, the caller's first, each by name."""
    used = custom_containers(engine)
    found: list[Image] = []
    query = {"filters": '{"label":["ds01.image.name"]}'}
    for summary in engine.listing("/images/json", query):
        labels = decode(summary.get("Labels"))
        if labels is None or not labels.uid.isdigit():
            continue
        for reference in summary.get("RepoTags") or []:
            image = _image(reference, summary, labels, used)
            if image is not None:
                found.append(image)
    return sorted(found, key=lambda it: (not it.mine, it.user, it.name, it.reference))


def _image(
    reference: str,
    summary: Mapping[str, Any],
    labels: Labels,
    used: list[Mapping[str, Any]],
) -> Image | None:
    parts = reference.rpartition(":")[0].split("/")
    # What mlc prepared for a container has the same labels, and another name.
    if len(parts) != 3 or parts[0] != PREFIX or parts[2] != labels.name:
        return None
    if "._." in reference:
        return None
    me, uid = os.getuid(), int(labels.uid)
    own_parts = {owner_part(user_name(), me), str(me)}
    # Of whom the labels speak is whose image it is only where the name agrees.
    is_true = parts[1] in {owner_part(labels.user, uid), labels.uid}
    usage = usage_of(used, labels.uid, labels.name, labels.created)
    return Image(
        name=labels.name,
        reference=reference,
        id=str(summary["Id"]),
        user=labels.user,
        uid=uid,
        mine=uid == me and parts[1] in own_parts,
        shared=labels.shared == "1" and is_true,
        size=int(summary.get("Size") or 0),
        base=labels.base,
        base_digest=labels.base_digest,
        created=labels.created,
        architecture=labels.architecture,
        framework=labels.framework,
        source=labels.source,
        made_by=labels.made_by,
        containers=usage.containers,
        outdated=usage.outdated,
    )


def visible(images: Sequence[Image], *, every: bool = False) -> list[Image]:
    """Return the caller's own images and the shared ones, or everybody's."""
    return [it for it in images if it.mine or it.shared or every]


def resolve(images: Sequence[Image], word: str) -> Image | None:
    """Return the image that a word means: the caller's, or USER/NAME that is shared."""
    bare = word.removeprefix(f"{PREFIX}/").removesuffix(":latest")
    for image in images:
        if image.mine and bare in {image.name, *_names(image)}:
            return image
    for image in images:
        if image.shared and bare in _names(image):
            return image
    return None


def _names(image: Image) -> set[str]:
    owner = image.reference.split("/")[1]
    return {f"{owner}/{image.name}", f"{image.user}/{image.name}"}


def nearest_shown(images: Sequence[Image], word: str) -> str | None:
    """Return what a word that is no image most likely meant, as lists show it."""
    return nearest(word, [image.shown for image in visible(images)])


def require(images: Sequence[Image], word: str) -> Image:
    """Return the image that a word means; raises HelperError(NOT_FOUND)."""
    found = resolve(images, word)
    if found is not None:
        return found
    close = nearest_shown(images, word)
    raise HelperError(
        Exit.NOT_FOUND,
        f"image '{word}' not found",
        f"did you mean '{close}'?" if close else "run 'image-list' to see the images",
    )
