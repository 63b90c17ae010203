"""Which image another one is built on, and what the engine knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.program import say
from ds01.images.shelf import catalog
from ds01.images.shelf.image import read_images
from ds01.images.shelf.labels import decode
from ds01.images.source.names import PREFIX, check_image
from ds01.images.source.types import Base

# A base may be 20 GB.
PULL_SECONDS = 4 * 3600.0


@dataclass(frozen=True)
class Ground:
    """The base as the catalog and the engine have it; `-` where there is nothing."""

    image: str
    id: str
    digest: str = "-"
    user: str = "-"
    framework: str = "-"
    version: str = "-"
    architecture: str = "-"


def settle(
    base: Base, architecture: str | None, *, current: str | None = None
) -> tuple[Base, str, str]:
    """Return a base with its version, its image, and its architecture.

    `current` is the image that is locked: a framework without a version keeps it.
    Raises HelperError where the catalog has no such entry.
    """
    settled = settings.read()
    chosen = catalog.chosen_architecture(architecture, settled)
    if base.image:
        return base, check_image(base.image), chosen
    entries = catalog.merged(settled, settings.mlc_home(settled))
    if not base.framework:
        raise HelperError(
            Exit.USAGE,
            "nothing says what the image is built on",
            "give '--framework' or '--from'",
        )
    if current and not base.version:
        kept = [e for e in entries if e.image == current]
        if kept:
            return Base(kept[0].framework, kept[0].version), current, chosen
    entry = catalog.choose(entries, base.framework, base.version, chosen)
    return Base(entry.framework, entry.version), entry.image, chosen


def look_up(engine: Engine, base: Base, image: str, architecture: str) -> Ground:
    """Return what the engine knows of a base, which is pulled if it is not here.

    Raises HelperError(NOT_FOUND) where there is no such image.
    """
    found = engine.image(image)
    if found is None:
        found = _pulled(engine, image)
    elif image.removeprefix("docker.io/").startswith(f"{PREFIX}/"):
        catalog.check_shared(image, read_images(engine))
    config: Mapping[str, Any] = found.get("Config") or {}
    digests = found.get("RepoDigests") or []
    digest = str(digests[0]).partition("@")[2] if digests else "-"
    own = decode(config.get("Labels"))
    return Ground(
        image=image,
        id=str(found["Id"]),
        digest=digest or "-",
        user=str(config.get("User") or "-"),
        framework=base.framework or (own.framework if own else "-"),
        version=base.version or "-",
        architecture=own.architecture if own and base.image else architecture,
    )


def _pulled(engine: Engine, image: str) -> dict[str, Any]:
    if image == catalog.BASE_IMAGE:
        raise HelperError(
            Exit.NOT_FOUND,
            f"image '{image}' is not on this server",
            "run 'sudo image-base' to build it",
        )
    say("info", f"'{image}' is pulled, which may take minutes", "image_plan")
    query = {"fromImage": image}
    if ":" not in image.rpartition("/")[2] and "@" not in image:
        query["tag"] = "latest"
    with Engine(engine.address, PULL_SECONDS) as patient:
        return catalog.pull(patient, image, query)
