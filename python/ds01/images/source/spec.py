"""image.yaml: what a user wants in an image, read, changed and written back.

`load_spec` checks every word, and tells problems with file, line and key path.
`dump_spec` keeps what people wrote: comments, order, blank lines (see yaml_edit).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from yaml.nodes import Node

from ds01.core.errors import Exit, HelperError
from ds01.core.yaml_source import ConfigError, Source, is_empty, is_null, join
from ds01.images.requirements import files, options
from ds01.images.source import values
from ds01.images.source.packages import parse_apt, read_list
from ds01.images.source.types import Added, Base, Spec

KEYS: dict[str, str] = {
    "version": "Format of this file: 1",
    "name": "The image's name",
    "base": "What it is built on; see below",
    "architecture": "Architecture in the catalog, where not the host's",
    "tiers": "Tiers of packages.yaml, each a layer",
    "use_cases": "Use cases of packages.yaml, each a layer",
    "pip": "Your Python packages, one requirement each",
    "pip_options": "Where your packages come from, such as --extra-index-url URL",
    "apt": "Your Debian packages",
    "requirements": "Files of packages in this folder: requirements.txt, "
    "pyproject.toml, environment.yml",
    "files": "Files of this folder to copy, written PATH: /PATH/IN/IMAGE",
    "shared": "May everybody on this server use the image",
    "added": "Packages added after the Dockerfile was adopted: its last block",
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
        architecture=_optional(source, top, "architecture", values.parse_architecture),
        tiers=_list(source, top, "tiers", values.parse_tier),
        use_cases=_list(source, top, "use_cases", values.parse_tier),
        pip=_list(source, top, "pip", values.parse_pip),
        pip_options=_list(source, top, "pip_options", options.parse_option),
        apt=_list(source, top, "apt", parse_apt),
        requirements=_list(source, top, "requirements", files.check_file),
        files=_files(source, top["files"]) if "files" in top else (),
        shared=_flag(source, top, "shared"),
        added=_added(source, top["added"]) if "added" in top else Added(),
    )
    source.finish()
    return spec


def _image_name(source: Source, top: dict[str, Node]) -> str:
    found = _optional(source, top, "name", values.parse_name)
    if found is None and "name" not in top:
        node = next(iter(top.values()), None)
        if node is not None:
            source.problem(node, "name", "missing, write the image's name")
    return found or ""


def _base(source: Source, node: Node) -> Base:
    keys = {n: v for n, (_, v) in source.mapping(node, "base", BASE_KEYS).items()}
    base = Base(
        _optional(source, keys, "framework", values.parse_framework, "base."),
        _optional(source, keys, "version", values.parse_version, "base."),
        _optional(source, keys, "image", values.parse_image, "base."),
    )
    if base.image and (base.framework or base.version):
        source.problem(node, "base", "image goes without framework and version")
    if base.version and not base.framework:
        source.problem(node, "base", "version goes with framework")
    return base


def _added(source: Source, node: Node) -> Added:
    keys = {n: v for n, (_, v) in source.mapping(node, "added", ADDED_KEYS).items()}
    return Added(
        _list(source, keys, "pip", values.parse_pip, "added."),
        _list(source, keys, "apt", parse_apt, "added."),
        _list(source, keys, "requirements", files.check_file, "added."),
    )


def _files(source: Source, node: Node) -> tuple[tuple[str, str], ...]:
    found = []
    for name, (key, value) in source.mapping(node, "files").items():
        try:
            place = values.parse_local(name)
        except ValueError as error:
            source.problem(key, join("files", name), str(error))
            continue
        target = source.scalar(value, join("files", name), values.parse_target)
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
    return read_list(source, keys[name], prefix + name, parse)


def _flag(source: Source, keys: dict[str, Node], name: str) -> bool:
    if name not in keys or is_empty(keys[name]):
        return False
    return source.scalar(keys[name], name, values.parse_flag, False) == "true"


def dump_spec(spec: Spec, old_text: str | None = None) -> str:
    """Return the text of image.yaml; what `old_text` has beside the values stays."""
    from ds01.core.yaml_edit import edit  # noqa: PLC0415 - only where a file is written

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
