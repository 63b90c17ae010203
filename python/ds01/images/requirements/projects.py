"""Reads pyproject.toml and environment.yml for requirement_files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import tomli
from yaml.nodes import MappingNode, Node

from ds01.core.errors import Exit, HelperError
from ds01.core.yaml_source import ConfigError, Source, did_you_mean
from ds01.images.requirements import conda_names, words
from ds01.images.requirements.lines import Found, failure, take_line, text_of


def read_pyproject(
    found: Found, folder: Path, name: str, extras: Iterable[str]
) -> None:
    """Add [project] dependencies, and those of the optional groups that are named."""
    try:
        data = tomli.loads(text_of(folder, name))
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise failure(name, 0, f"not valid TOML: {error}") from error
    found.sources.append(name)
    project = data.get("project")
    if not isinstance(project, dict):
        hint = "run 'poetry export -o requirements.txt' and name that file"
        is_poetry = isinstance(data.get("tool"), dict) and "poetry" in data["tool"]
        what = f"{name}: it has no [project] table"
        raise HelperError(Exit.CONFIG, what, hint if is_poetry else None)
    dynamic = project.get("dynamic", [])
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        raise failure(
            name,
            0,
            "its dependencies are dynamic: made when the project is built; name the "
            "file that they come from",
        )
    groups = project.get("optional-dependencies", {})
    if not isinstance(groups, dict):
        raise failure(name, 0, "project.optional-dependencies: must be a table")
    lists = [("project.dependencies", project.get("dependencies", []))]
    known = {words.normal_name(key): key for key in groups}
    for extra in extras:
        key = known.get(words.normal_name(extra))
        if key is None:
            what = f"it has no group '{extra}'{did_you_mean(extra, known)}"
            raise failure(name, 0, what)
        lists.append((f"project.optional-dependencies.{key}", groups[key]))
    for place, items in lists:
        if not isinstance(items, list) or not all(isinstance(v, str) for v in items):
            raise failure(name, 0, f"{place}: must be a list of texts")
        for text in items:
            try:
                found.words.append(words.parse_word(text))
            except ValueError as error:
                raise failure(name, 0, f"{place}: {error}") from error
    wanted = project.get("requires-python")
    if isinstance(wanted, str):
        found.python.append(wanted)


def read_environment(found: Found, folder: Path, name: str) -> None:
    """Add the pip section, and conda's packages as far as pip or apt has them."""
    text_of(folder, name)
    found.sources.append(name)
    try:
        # Composed, not loaded: 3.10 must not become the number 3.1.
        source = Source(folder / name)
        root = source.root
        top = source.mapping(root, "") if root is not None else {}
        items = (
            source.items(top["dependencies"][1], "") if "dependencies" in top else []
        )
        for item in items:
            if isinstance(item, MappingNode):
                _read_pip_section(found, source, item, folder, name)
            else:
                _read_conda(found, source, item, name)
        source.finish()
    except ConfigError as error:
        text = error.message.replace(str(folder / name), name, 1)
        raise HelperError(Exit.CONFIG, text) from error
    if "dependencies" not in top:
        raise failure(name, 0, "it has no list of dependencies")


def _read_conda(found: Found, source: Source, item: Node, name: str) -> None:
    text = source.text(item, "dependencies")
    if text is None:
        return
    line = item.start_mark.line + 1
    try:
        became = conda_names.translate(text)
        if became.word:
            found.words.append(words.parse_word(became.word))
    except ValueError as error:
        raise failure(name, line, str(error)) from error
    found.apt += became.apt
    if became.note:
        found.notes.append(f"{name}:{line}: {became.note}")


def _read_pip_section(
    found: Found, source: Source, item: Node, folder: Path, name: str
) -> None:
    for key, (_, value) in source.mapping(item, "dependencies", ("pip",)).items():
        for entry in source.items(value, f"dependencies.{key}"):
            text = source.text(entry, f"dependencies.{key}")
            if text is None:
                continue
            try:
                take_line(found, folder, PurePosixPath(name).parent, text)
            except ValueError as error:
                line = entry.start_mark.line + 1
                raise failure(name, line, str(error)) from error
