"""Reads a YAML configuration file as nodes that still know their lines.

The nodes are checked against tables by the caller (policy/limits.py, settings.py,
images/source/packages.py). Every problem is collected as `FILE:LINE: KEY.PATH: what is
wrong`, so that one run of `ds01-config check` shows them all.

Scalars are taken as they are written: YAML's own idea of `012`, `12:30`, `no` or
`2026-12-01` never gets in the way. `null` is null only where it is written out: a
section with nothing but comments is an empty section, a key without a value an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import yaml
from yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ds01.core.errors import Exit, HelperError
from ds01.core.text import nearest

T = TypeVar("T")

# More merges (`<<: *name`) than any honest file has; stops a file that loops.
_MOST_MERGES = 200
_LARGEST_FILE = 4 << 20
# The C parser builds nodes by recursion without a limit, and would crash.
_DEEPEST = 50

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ConfigError(HelperError):
    """A configuration file that cannot be used: the first problem, and all of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - 1
        message = self.problems[0] + (f" (and {more} more)" if more else "")
        super().__init__(Exit.CONFIG, message, "run 'ds01-config check' to see all")


class Source:
    """One YAML file: its text as nodes, and the problems found so far."""

    def __init__(self, path: Path, version: int = 1) -> None:
        self.path = path
        self._problems: list[tuple[int, str]] = []
        self.warnings: list[str] = []
        self._merges = 0
        self._top = self._compose()
        self._version = version

    def _compose(self) -> Node | None:
        text = read_text(self.path)
        try:
            if _depth(text) > _DEEPEST:
                raise ConfigError([f"{self.path}:1: nested too deeply"])
            node = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            what = " ".join((error.problem or str(error)).split())
            raise ConfigError(
                [f"{self.path}:{line}: not valid YAML: {what}"]
            ) from error
        except yaml.YAMLError as error:
            what = " ".join(str(error).split())
            raise ConfigError([f"{self.path}:1: not valid YAML: {what}"]) from error
        return node if isinstance(node, Node) else None

    @property
    def root(self) -> Node | None:
        """The whole file, for formats that are not DS01's own."""
        return self._top

    def place(self, node: Node) -> str:
        """Return `FILE:LINE` of a node."""
        return f"{self.path}:{node.start_mark.line + 1}"

    def problem(self, node: Node, path: str, what: str) -> None:
        """Note one problem and go on."""
        text = f"{self.place(node)}: {path + ': ' if path else ''}{what}"
        self._problems.append((node.start_mark.line, text))

    def warning(self, node: Node, path: str, what: str) -> None:
        """Note something that works but is probably not meant."""
        self.warnings.append(f"{self.place(node)}: {path}: {what}")

    def finish(self) -> None:
        """Raise ConfigError if anything was wrong."""
        if self._problems:
            # Anchors used twice would tell the same problem twice.
            ordered = sorted(dict.fromkeys(self._problems), key=lambda found: found[0])
            raise ConfigError(text for _, text in ordered)

    def top(self, known: Iterable[str]) -> dict[str, tuple[ScalarNode, Node]]:
        """Return the top level's keys; checks `version`, which must be there."""
        if self._top is None:
            text = f"{self.path}:1: version: missing, the file is empty"
            self._problems.append((0, text))
            return {}
        keys = self.mapping(self._top, "", known)
        if "version" in keys:
            node = keys["version"][1]
            if not isinstance(node, ScalarNode) or node.value != str(self._version):
                self.problem(node, "version", f"must be {self._version}")
        elif isinstance(self._top, MappingNode):
            self.problem(
                self._top, "version", f"missing, write version: {self._version}"
            )
        return keys

    def mapping(
        self, node: Node, path: str, known: Iterable[str] | None = None
    ) -> dict[str, tuple[ScalarNode, Node]]:
        """Return a section as {key: (key node, value node)}, in the file's order.

        Merge keys are resolved: what is written beside them wins. Twice the same key
        and keys outside `known` (None: any name) are problems.
        """
        if is_empty(node):
            return {}
        if not isinstance(node, MappingNode):
            what = (
                "must be a section of keys, {} if empty"
                if is_null(node)
                else ("must be a section of keys (key: value)")
            )
            self.problem(node, path, what)
            return {}
        found: dict[str, tuple[ScalarNode, Node]] = {}
        merged: dict[str, tuple[ScalarNode, Node]] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.problem(key, path, "a key must be a plain word")
            elif key.tag == "tag:yaml.org,2002:merge":
                for name, pair in self._merge(value, path).items():
                    merged.setdefault(name, pair)
            elif key.value in found:
                first = found[key.value][0].start_mark.line + 1
                self.problem(key, join(path, key.value), f"is already in line {first}")
            else:
                found[key.value] = (key, value)
        result = {**merged, **found}
        if known is not None:
            names = list(known)
            for name in [name for name in result if name not in names]:
                key = result.pop(name)[0]
                self.problem(
                    key, join(path, name), f"unknown key{did_you_mean(name, names)}"
                )
        return result

    def _merge(self, node: Node, path: str) -> dict[str, tuple[ScalarNode, Node]]:
        self._merges += 1
        if self._merges > _MOST_MERGES:
            self.problem(node, path, "too many merges (<<)")
            return {}
        if isinstance(node, SequenceNode):
            merged: dict[str, tuple[ScalarNode, Node]] = {}
            for part in node.value:
                for name, pair in self._merge(part, path).items():
                    merged.setdefault(name, pair)
            return merged
        return self.mapping(node, path)

    def items(self, node: Node, path: str) -> list[Node]:
        """Return a list's items; an empty section is an empty list."""
        if is_empty(node):
            return []
        if not isinstance(node, SequenceNode):
            self.problem(node, path, "must be a list, written [a, b]")
            return []
        return list(node.value)

    def names(self, node: Node, path: str) -> tuple[str, ...]:
        """Return a list of names, taken as they are written."""
        found: list[str] = []
        for item in self.items(node, path):
            name = self.text(item, path)
            if name is not None:
                found.append(name)
        return tuple(found)

    def text(self, node: Node, path: str) -> str | None:
        """Return a text of one line that is not empty."""
        if not isinstance(node, ScalarNode) or is_null(node) or not node.value.strip():
            self.problem(node, path, "must be a text")
            return None
        if not str(node.value).isprintable():
            self.problem(node, path, "must be one line without control characters")
            return None
        return str(node.value)

    def scalar(
        self, node: Node, path: str, parse: Callable[[str], T], quoted: bool = True
    ) -> T | None:
        """Return what `parse` makes of a value; its ValueError becomes a problem."""
        if not isinstance(node, ScalarNode):
            self.problem(node, path, "must be one value, not a list or a section")
            return None
        if node.value == "":
            self.problem(node, path, "has no value")
            return None
        if is_null(node):
            self.problem(node, path, "cannot be null")
            return None
        if node.style in {"'", '"'} and not quoted:
            self.problem(node, path, "must be written without quotes")
            return None
        try:
            return parse(node.value)
        except ValueError as error:
            self.problem(node, path, str(error))
            return None


def _depth(text: str) -> int:
    """Return how deeply lists and sections are nested; no further than _DEEPEST + 1."""
    depth = deepest = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            depth += 1
            deepest = max(deepest, depth)
            if depth > _DEEPEST:
                break
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            depth -= 1
    return deepest


def read_text(path: Path) -> str:
    """Return a configuration file's text; raises HelperError(CONFIG) if unreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise HelperError(
            Exit.CONFIG,
            f"configuration file '{path}' does not exist",
            "run install.sh to put the default in its place",
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise HelperError(
            Exit.CONFIG,
            f"cannot read configuration file '{path}': {reason}",
            f"run 'ls -l {path}' to see who may read it",
        ) from error
    if len(data) > _LARGEST_FILE:
        raise ConfigError([f"{path}:1: larger than 4 MiB"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: not valid UTF-8"]) from error


def is_empty(node: Node) -> bool:
    """Is this a key with nothing behind it, or only comments?"""
    return isinstance(node, ScalarNode) and node.value == "" and not node.style


def is_null(node: Node) -> bool:
    """Is this `null` (or `~`), written out and without quotes?"""
    return (
        isinstance(node, ScalarNode)
        and not node.style
        and node.value in {"null", "Null", "NULL", "~"}
    )


def join(path: str, name: str) -> str:
    """Return a key path with one more key."""
    return f"{path}.{name}" if path else name


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return `, did you mean 'x'` for the known name most like a wrong one."""
    close = nearest(name, names)
    return f", did you mean '{close}'" if close else ""
