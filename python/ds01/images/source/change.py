"""Changes of a spec: packages added, removed, moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ds01.core.errors import Exit, HelperError
from ds01.core.yaml_source import did_you_mean
from ds01.images.requirements import files, words
from ds01.images.requirements import options as requirements_options
from ds01.images.source.packages import parse_apt
from ds01.images.source.types import Added, Spec
from ds01.images.source.values import parse_pip


def _merged(old: tuple[str, ...], new: Iterable[str]) -> tuple[str, ...]:
    """Return words with others added; one of the same package is replaced in place."""
    found = {words.key_of(text): text for text in old}
    for text in new:
        found[words.key_of(text)] = text
    return tuple(found.values())


def _checked(parse: Callable[[str], str], texts: Iterable[str]) -> tuple[str, ...]:
    """Return checked words of a command line; raises HelperError(USAGE)."""
    try:
        return tuple(dict.fromkeys(parse(text) for text in texts))
    except ValueError as error:
        raise HelperError(Exit.USAGE, str(error)) from error


def change(
    spec: Spec,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    add_apt: Iterable[str] = (),
    requirements: Iterable[str] = (),
    pip_options: Iterable[str] = (),
    adopted: bool = False,
    **fields: Any,
) -> Spec:
    """Return a spec with packages added and removed.

    Words of the same package are replaced. `remove` takes names of Python or Debian
    packages, or files of packages. With `adopted`, what is added goes to `added`, the
    block at the end of a Dockerfile that is the user's own. `fields` are other fields
    of Spec with their new value. Raises HelperError: USAGE for what is no package,
    NOT_FOUND for what is to be removed and is not there.
    """
    found = replace(spec, **fields)
    for word in remove:
        found = _without(found, word)
    options = _checked(requirements_options.parse_option, pip_options)
    found = replace(found, pip_options=_joined(found.pip_options, options))
    new = Added(
        _checked(parse_pip, add),
        _checked(parse_apt, add_apt),
        _checked(files.check_file, requirements),
    )
    if adopted:
        # What the user's own part has, and is asked for anew, moves to the block.
        keys = {words.key_of(text) for text in new.pip}
        rest = tuple(text for text in found.pip if words.key_of(text) not in keys)
        return replace(found, pip=rest, added=_grown(found.added, new))
    return replace(found, **vars(_grown(found.own, new)))


def render_again(spec: Spec) -> Spec:
    """Return the spec of an adopted Dockerfile for one that is rendered again."""
    return replace(spec, **vars(_grown(spec.own, spec.added)), added=Added())


def _grown(old: Added, new: Added) -> Added:
    apt = {name.partition("=")[0]: name for name in (*old.apt, *new.apt)}
    return Added(
        _merged(old.pip, new.pip),
        tuple(apt.values()),
        _joined(old.requirements, new.requirements),
    )


def _joined(old: tuple[str, ...], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def _without(spec: Spec, word: str) -> Spec:
    """Return the spec without a package or file; raises HelperError(NOT_FOUND)."""
    try:
        key = words.key_of(word)
    except ValueError:
        key = word

    def kept(part: Added) -> Added:
        return Added(
            tuple(text for text in part.pip if words.key_of(text) != key),
            tuple(name for name in part.apt if name.partition("=")[0] != word),
            tuple(name for name in part.requirements if name != word),
        )

    found = replace(spec, **vars(kept(spec.own)), added=kept(spec.added))
    if found == spec:
        every = [
            *map(words.key_of, (*spec.pip, *spec.added.pip)),
            *spec.apt,
            *spec.added.apt,
        ]
        raise HelperError(
            Exit.NOT_FOUND,
            f"'{word}' is not among the packages of image '{spec.name}'"
            f"{did_you_mean(word, every)}",
            "what a tier or a file of packages brings stays as long as that is there",
        )
    return found
