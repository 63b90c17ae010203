"""image.yaml: what a user wants in an image, read, changed and written back.

`load_spec` checks every word, and tells problems with file, line and key path.
`dump_spec` keeps what people wrote: comments, order, blank lines (see yaml_edit).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from yaml.nodes import Node

import image_names
import requirement_files
import requirement_options
import requirement_words as words
from _common import Exit, HelperError
from image_layers import layers
from image_types import Added, Base, Layer, Spec
from packages import parse_apt
from yaml_source import ConfigError, Source, did_you_mean, is_empty, is_null, join

__all__ = [
    "Added",
    "Base",
    "Layer",
    "Spec",
    "change",
    "dump_spec",
    "layers",
    "load_spec",
]

KEYS: dict[str, str] = {
    "version": "Format of this file: 1",
    "name": "The image's name",
    "base": "What it is built on; see below",
    "architecture": "Architecture of the catalog's image, where the host's is not wanted",
    "tiers": "Tiers of packages.yaml, each a layer",
    "use_cases": "Use cases of packages.yaml, each a layer",
    "pip": "Your Python packages, one requirement each",
    "pip_options": "Where your packages come from, such as --extra-index-url URL",
    "apt": "Your Debian packages",
    "requirements": "Files of packages in this folder: requirements.txt, "
    "pyproject.toml, environment.yml",
    "files": "Files of this folder to copy into the image, written PATH: /PATH/IN/IMAGE",
    "shared": "May everybody on this server use the image",
    "added": "Packages added after you adopted the Dockerfile; they stand in its last block",
}
BASE_KEYS: dict[str, str] = {
    "framework": "Framework of the catalog, such as Pytorch",
    "version": "Its version; the newest where none is written",
    "image": "Instead of both: any image by name",
}
ADDED_KEYS: dict[str, str] = {
    "pip": "Python packages",
    "apt": "Debian packages",
    "requirements": "Files of packages",
}
_FRAMEWORK = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+-]*[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*", re.ASCII)
_ARCHITECTURE = re.compile(r"[A-Z0-9_]+", re.ASCII)
_TIER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
# Folders that are mounts in every container, the system's own, or ours.
_NO_TARGETS = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/workspace",
    "/data",
    "/models",
    "/opt/ds01",
)
_UNFIT = re.compile(r"[$*?\[\]\\\"'`]")


def load_spec(path: Path) -> Spec:
    """Return the checked spec of a file.

    Raises HelperError: NOT_FOUND where there is none, CONFIG with every problem.
    """
    if not path.exists():
        raise HelperError(Exit.NOT_FOUND, f"the image's spec '{path}' does not exist")
    try:
        return _read(Source(path))
    except ConfigError as error:
        error.hint = f"mend '{path}'"
        raise


def _read(source: Source) -> Spec:
    top = {name: node for name, (_, node) in source.top(KEYS).items()}
    name = _image_name(source, top)
    base = _base(source, top["base"]) if "base" in top else Base()
    spec = Spec(
        name=name,
        base=base,
        architecture=_optional(source, top, "architecture", parse_architecture),
        tiers=_list(source, top, "tiers", parse_tier),
        use_cases=_list(source, top, "use_cases", parse_tier),
        pip=_list(source, top, "pip", parse_pip),
        pip_options=_list(source, top, "pip_options", requirement_options.parse_option),
        apt=_list(source, top, "apt", parse_apt),
        requirements=_list(source, top, "requirements", requirement_files.check_file),
        files=_files(source, top["files"]) if "files" in top else (),
        shared=_flag(source, top, "shared"),
        added=_added(source, top["added"]) if "added" in top else Added(),
    )
    source.finish()
    return spec


def _image_name(source: Source, top: dict[str, Node]) -> str:
    found = _optional(source, top, "name", parse_name)
    if found is None and "name" not in top:
        node = next(iter(top.values()), None)
        if node is not None:
            source.problem(node, "name", "missing, write the image's name")
    return found or ""


def _base(source: Source, node: Node) -> Base:
    keys = {n: v for n, (_, v) in source.mapping(node, "base", BASE_KEYS).items()}
    base = Base(
        _optional(source, keys, "framework", parse_framework, "base."),
        _optional(source, keys, "version", parse_version, "base."),
        _optional(source, keys, "image", parse_image, "base."),
    )
    if base.image and (base.framework or base.version):
        source.problem(node, "base", "image goes without framework and version")
    if base.version and not base.framework:
        source.problem(node, "base", "version goes with framework")
    return base


def _added(source: Source, node: Node) -> Added:
    keys = {n: v for n, (_, v) in source.mapping(node, "added", ADDED_KEYS).items()}
    return Added(
        _list(source, keys, "pip", parse_pip, "added."),
        _list(source, keys, "apt", parse_apt, "added."),
        _list(source, keys, "requirements", requirement_files.check_file, "added."),
    )


def _files(source: Source, node: Node) -> tuple[tuple[str, str], ...]:
    found = []
    for name, (key, value) in source.mapping(node, "files").items():
        try:
            place = parse_local(name)
        except ValueError as error:
            source.problem(key, join("files", name), str(error))
            continue
        target = source.scalar(value, join("files", name), parse_target)
        if target is not None:
            found.append((place, target))
    return tuple(found)


def _optional(
    source: Source,
    keys: dict[str, Node],
    name: str,
    parse: Callable[[str], str],
    prefix: str = "",
) -> str | None:
    node = keys.get(name)
    if node is None or is_null(node) or is_empty(node):
        return None
    return source.scalar(node, prefix + name, parse)


def _list(
    source: Source,
    keys: dict[str, Node],
    name: str,
    parse: Callable[[str], str],
    prefix: str = "",
) -> tuple[str, ...]:
    if name not in keys:
        return ()
    found: list[str] = []
    for item in source.items(keys[name], prefix + name):
        value = source.scalar(item, prefix + name, parse)
        if value is not None and value in found:
            source.problem(item, prefix + name, f"'{value}' is there twice")
        if value is not None:
            found.append(value)
    return tuple(found)


def _flag(source: Source, keys: dict[str, Node], name: str) -> bool:
    if name not in keys or is_empty(keys[name]):
        return False
    return source.scalar(keys[name], name, parse_flag, False) == "true"


def parse_name(text: str) -> str:
    """Return an image's name; raises ValueError with the rule."""
    try:
        return image_names.check_name(text)
    except HelperError as error:
        raise ValueError(f"{error.message}: {image_names.NAME_RULE}") from error


def parse_image(text: str) -> str:
    """Return an image as engines name it; raises ValueError."""
    try:
        return image_names.check_image(text)
    except HelperError as error:
        raise ValueError(error.message) from error


def parse_pip(text: str) -> str:
    """Return one requirement as it goes into a requirements file; raises ValueError."""
    return words.parse_word(text).text


def parse_framework(text: str) -> str:
    """Return a framework's name; raises ValueError."""
    return _matched(_FRAMEWORK, text, "a framework of the catalog")


def parse_version(text: str) -> str:
    """Return a framework's version; raises ValueError."""
    return _matched(_VERSION, text, "a version of the catalog")


def parse_architecture(text: str) -> str:
    """Return an architecture's name; raises ValueError."""
    return _matched(_ARCHITECTURE, text, "an architecture, such as CUDA_AMPERE")


def parse_tier(text: str) -> str:
    """Return the name of a tier or use case; raises ValueError."""
    return _matched(_TIER, text, "a name: lower case, digits, - and _")


def parse_flag(text: str) -> str:
    """Return true or false; raises ValueError."""
    return _matched(re.compile("true|false"), text, "true or false")


def _matched(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"'{text}' is not {what}")
    return text


def parse_local(text: str) -> str:
    """Return the path of a file to copy, from the image's folder; raises ValueError."""
    path = PurePosixPath(text)
    if not text.isprintable() or _UNFIT.search(text):
        raise ValueError(f"'{text}': a path must not hold $ * ? [ ] \\ or quotes")
    if path.is_absolute() or ".." in path.parts or path == PurePosixPath():
        raise ValueError(f"'{text}' lies outside of the image's folder")
    if path.parts[0].startswith((".ds01", "-", "~")):
        raise ValueError(f"'{text}' begins with '{path.parts[0]}', rename it")
    return str(path)


def parse_target(text: str) -> str:
    """Return a path inside the image; raises ValueError."""
    path = PurePosixPath(text)
    if not text.isprintable() or _UNFIT.search(text):
        raise ValueError(f"'{text}': a path must not hold $ * ? [ ] \\ or quotes")
    if not path.is_absolute() or ".." in path.parts or str(path) in {"/", "//"}:
        raise ValueError(f"'{text}' is not a path inside the image, such as /opt/name")
    for folder in _NO_TARGETS:
        if path.is_relative_to(folder):
            raise ValueError(
                f"'{text}': what lies in {folder} is not seen in a container"
            )
    return str(path)


def _key_of(text: str) -> str:
    return words.parse_word(text).key


def _merged(old: tuple[str, ...], new: Iterable[str]) -> tuple[str, ...]:
    """Return words with others added; one of the same package is replaced in place."""
    found = {_key_of(text): text for text in old}
    for text in new:
        found[_key_of(text)] = text
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
    options = _checked(requirement_options.parse_option, pip_options)
    found = replace(found, pip_options=_joined(found.pip_options, options))
    new = Added(
        _checked(parse_pip, add),
        _checked(parse_apt, add_apt),
        _checked(requirement_files.check_file, requirements),
    )
    if adopted:
        # What the user's own part has, and is asked for anew, moves to the block.
        keys = {_key_of(text) for text in new.pip}
        rest = tuple(text for text in found.pip if _key_of(text) not in keys)
        return replace(found, pip=rest, added=_grown(found.added, new))
    own = _grown(Added(found.pip, found.apt, found.requirements), new)
    return replace(found, pip=own.pip, apt=own.apt, requirements=own.requirements)


def render_again(spec: Spec) -> Spec:
    """Return the spec of an adopted Dockerfile for one that is rendered again."""
    own = _grown(Added(spec.pip, spec.apt, spec.requirements), spec.added)
    return replace(
        spec, pip=own.pip, apt=own.apt, requirements=own.requirements, added=Added()
    )


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
        key = _key_of(word)
    except ValueError:
        key = word

    def kept(part: Added) -> Added:
        return Added(
            tuple(text for text in part.pip if _key_of(text) != key),
            tuple(name for name in part.apt if name.partition("=")[0] != word),
            tuple(name for name in part.requirements if name != word),
        )

    own = kept(Added(spec.pip, spec.apt, spec.requirements))
    found = replace(
        spec,
        pip=own.pip,
        apt=own.apt,
        requirements=own.requirements,
        added=kept(spec.added),
    )
    if found == spec:
        every = [
            *map(_key_of, (*spec.pip, *spec.added.pip)),
            *spec.apt,
            *spec.added.apt,
        ]
        raise HelperError(
            Exit.NOT_FOUND,
            f"'{word}' is not among the packages of image '{spec.name}'"
            f"{did_you_mean(word, every)}",
            "what a tier or a file of packages brings stays while that is in image.yaml",
        )
    return found


def dump_spec(spec: Spec, old_text: str | None = None) -> str:
    """Return the text of image.yaml; what `old_text` has beside the values stays."""
    from yaml_edit import edit  # noqa: PLC0415 - only where a file is written

    return edit(old_text, _as_data(spec), HEADER)


HEADER = """\
# An image of DS01: what is in it. After a change, 'image-update' builds it anew.
# docs/images.md has every key.
"""


def _as_data(spec: Spec) -> dict[str, object]:
    """Return the keys of image.yaml in their order, without those that say nothing."""
    data: dict[str, object] = {
        "version": 1,
        "name": spec.name,
        "base": {k: v for k, v in vars(spec.base).items() if v is not None},
        "architecture": spec.architecture,
        "tiers": list(spec.tiers),
        "use_cases": list(spec.use_cases),
        "pip": list(spec.pip),
        "pip_options": list(spec.pip_options),
        "apt": list(spec.apt),
        "requirements": list(spec.requirements),
        "files": dict(spec.files),
        "shared": spec.shared,
        "added": {k: list(v) for k, v in vars(spec.added).items() if v},
    }
    return {k: v for k, v in data.items() if v not in (None, [], {}, False)}
