"""The layers of an image: tiers, use cases, then the user's own, in this order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ds01.core.errors import Exit, HelperError
from ds01.core.text import nearest
from ds01.images.requirements import files as requirements_files
from ds01.images.requirements import words
from ds01.images.source.packages import Packages, Tier
from ds01.images.source.types import ADDED, OWN, Added, Layer, LayerKind, Spec


def layers(
    spec: Spec, packages: Packages, folder: Path | None = None
) -> tuple[Layer, ...]:
    """Return what is installed one after the other; empty layers are left out.

    Tiers and use cases come in the order of packages.yaml, whatever the order in the
    spec, so that all users have the same layers. The spec's files of packages are read
    in `folder`. Raises HelperError: NOT_FOUND for a tier, use case or file that is not
    there, CONFIG for a file that cannot be used.
    """
    found = [
        *_tier_layers(spec.tiers, packages.tiers, "tier"),
        *_tier_layers(spec.use_cases, packages.use_cases, "use-case"),
    ]
    has_git = any("git" in each.apt for each in found)
    naming: tuple[str, str, LayerKind] = (OWN, "Your own packages", "own")
    own = _user_layer(naming, spec.own, spec.pip_options, folder, has_git)
    own = replace(own, copies=spec.files)
    has_git = has_git or "git" in own.apt
    naming = (ADDED, "Packages added later", "added")
    added = _user_layer(naming, spec.added, spec.pip_options, folder, has_git)
    return tuple(
        each for each in (*found, own, added) if each.apt or each.pip or each.copies
    )


def _tier_layers(
    names: Iterable[str], known: tuple[Tier, ...], kind: LayerKind
) -> list[Layer]:
    wanted = set(names)
    missing = sorted(wanted - {tier.name for tier in known})
    if missing:
        every = [tier.name for tier in known]
        close = nearest(missing[0], every)
        known_text = (
            f"known are {', '.join(every)}" if every else "packages.yaml has none"
        )
        raise HelperError(
            Exit.NOT_FOUND,
            f"{kind.replace('-', ' ')} '{missing[0]}' not found",
            f"did you mean '{close}'?" if close else known_text,
        )
    return [
        Layer(tier.name, tier.title, kind, tuple(sorted(tier.apt)), tier.pip)
        for tier in known
        if tier.name in wanted
    ]


def _user_layer(
    naming: tuple[str, str, LayerKind],
    asked: Added,
    options: tuple[str, ...],
    folder: Path | None,
    has_git: bool,
) -> Layer:
    """Return a layer of the user's words and of the files that the spec names."""
    if asked.requirements and folder is None:
        raise ValueError("the spec names files, and no folder was given")
    read = [
        requirements_files.read(folder, name) for name in asked.requirements if folder
    ]
    every = [
        *map(words.parse_word, asked.pip),
        *(word for each in read for word in each.words),
    ]
    debian = {*asked.apt, *(name for each in read for name in each.apt)}
    if any(word.kind == "git" for word in every) and not has_git:
        # The installer runs it.
        debian.add("git")
    texts = tuple(dict.fromkeys(word.text for word in every))
    return Layer(
        *naming,
        apt=tuple(sorted(debian)),
        pip=texts,
        options=_unique([*options, *(o for each in read for o in each.options)]),
        files=_unique(sorted(word.path for word in every if word.path)),
        constraints=_unique(word.text for each in read for word in each.constraints),
        notes=_unique(note for each in read for note in each.notes),
        python=_unique(want for each in read for want in each.python),
    )


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
