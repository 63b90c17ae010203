"""The data of custom images: what the user wants (Spec), and the layers it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# Names of layers that are the user's own.
OWN = "own"
ADDED = "added"
RESERVED = (OWN, ADDED)


@dataclass(frozen=True)
class Base:
    """What an image is built on: an entry of the catalog, or any image."""

    framework: str | None = None
    version: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class Added:
    """Packages that came after the Dockerfile had been adopted by the user."""

    pip: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pip or self.apt or self.requirements)


@dataclass(frozen=True)
class Spec:
    """One image.yaml. `files` are (path in the image's folder, path in the image)."""

    name: str
    base: Base = field(default_factory=Base)
    architecture: str | None = None
    tiers: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    pip_options: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    shared: bool = False
    added: Added = field(default_factory=Added)

    @property
    def own(self) -> Added:
        """The user's packages that are not in `added`, under the same names."""
        return Added(self.pip, self.apt, self.requirements)


LayerKind = Literal["tier", "use-case", "own", "added"]


@dataclass(frozen=True)
class Layer:
    """What is installed together, as asked for; the versions are in the lock.

    `pip` are requirement words, `options` and `constraints` lines for the resolver,
    `files` local archives that the words need, `copies` the spec's files.
    """

    name: str
    title: str
    kind: LayerKind
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    python: tuple[str, ...] = ()

    @property
    def is_shared(self) -> bool:
        """Is this layer the same for every user of this server?"""
        return self.kind in {"tier", "use-case"}
