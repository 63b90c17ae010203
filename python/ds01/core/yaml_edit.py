"""Changes values in a YAML file of simple values, and leaves the rest as it is.

Comments, blank lines, order and quotes of what does not change stay byte for byte. A
value is a text, true or false, a list of texts, or a mapping of such; a key that says
nothing (false, an empty list) may be there or not. Where a file is
written in a way that cannot be changed in place (anchors, one flow mapping), it is
written anew.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

import yaml
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

# Start and end in the text, and what goes there.
Edit = tuple[int, int, str]
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_WIDEST = 88


def edit(old: str | None, data: Mapping[str, object], header: str = "") -> str:
    """Return the text of a file with these values, from its text before.

    The keys of the old text keep their order; new ones follow at the end.
    """
    if old is not None and old.strip():
        text = _in_place(old, data)
        if text is not None:
            return text
    return header + "".join(_entry(key, value, 0) for key, value in data.items())


def values(text: str) -> object:
    """Return what a text holds, scalars as they are written."""
    return _plain(yaml.compose(text, Loader=yaml.SafeLoader))


def _in_place(old: str, data: Mapping[str, object]) -> str | None:
    try:
        events = list(yaml.parse(old, Loader=yaml.SafeLoader))
        root = yaml.compose(old, Loader=yaml.SafeLoader)
        if not isinstance(root, MappingNode) or root.flow_style:
            return None
        if any(isinstance(event, AliasEvent) for event in events):
            return None
        text = old if old.endswith("\n") else old + "\n"
        for start, end, new in sorted(_mapping(text, root, data), reverse=True):
            text = text[:start] + new + text[end:]
        written = values(text)
    except yaml.YAMLError:
        return None
    # A place that was misjudged must not become a wrong value.
    return text if _said(written) == _said(_normal(dict(data))) else None


def _says_nothing(value: object) -> bool:
    """Is this a key that could as well be missing?"""
    return value in ("", "null", "~", "false", [], {})


def _said(value: object) -> object:
    if not isinstance(value, dict):
        return value
    parts = {key: _said(each) for key, each in value.items()}
    return {key: each for key, each in parts.items() if not _says_nothing(each)}


def _mapping(text: str, node: MappingNode, data: Mapping[str, object]) -> list[Edit]:
    """Return the edits that give a mapping in block style its new values."""
    edits: list[Edit] = []
    pairs = [(key, value) for key, value in node.value if isinstance(key, ScalarNode)]
    indent = pairs[0][0].start_mark.column if pairs else 0
    for key, value in pairs:
        if key.value not in data and not _says_nothing(_plain(value)):
            edits.append((_line_start(text, key), _end(text, value), ""))
        elif key.value in data and _plain(value) != _normal(data[key.value]):
            edits += _value(text, key, value, data[key.value])
    known = {key.value for key, _ in pairs}
    more = "".join(
        _entry(name, value, indent) for name, value in data.items() if name not in known
    )
    if more:
        last = _end(text, pairs[-1][1]) if pairs else len(text)
        edits.append((last, last, more))
    return edits


def _value(text: str, key: Node, old: Node, new: object) -> list[Edit]:
    indent = key.start_mark.column
    if (
        isinstance(new, Mapping)
        and new
        and isinstance(old, MappingNode)
        and not old.flow_style
    ):
        return _mapping(text, old, new)
    if (
        isinstance(new, list)
        and new
        and isinstance(old, SequenceNode)
        and not old.flow_style
    ):
        return _items(text, old, new)
    start, end = old.start_mark.index, old.end_mark.index
    is_block = isinstance(old, (SequenceNode, MappingNode)) and not old.flow_style
    if is_block or (isinstance(old, ScalarNode) and old.style in {"|", ">"}):
        return [
            (_line_start(text, key), _end(text, old), _entry(_raw(key), new, indent))
        ]
    shown = _flow(new)
    return [(start, end, shown if text[start - 1 : start].isspace() else f" {shown}")]


def _items(text: str, node: SequenceNode, new: list[object]) -> list[Edit]:
    """Return the edits that change a list of one item a line."""
    old = [str(_plain(item)) for item in node.value]
    first = node.value[0]
    line = text[_line_start(text, first) :]
    indent = " " * (len(line) - len(line.lstrip(" ")))
    edits: list[Edit] = []
    matcher = difflib.SequenceMatcher(
        None, old, [str(_normal(item)) for item in new], autojunk=False
    )
    for kind, begin, end, new_begin, new_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        lines = "".join(f"{indent}- {_flow(item)}\n" for item in new[new_begin:new_end])
        if begin < len(node.value) and kind != "insert":
            start = _line_start(text, node.value[begin])
            finish = _end(text, node.value[end - 1])
        else:
            start = finish = (
                _end(text, node.value[begin - 1])
                if begin
                else _line_start(text, node.value[0])
            )
        edits.append((start, finish, lines))
    return edits


def _line_start(text: str, node: Node) -> int:
    return text.rfind("\n", 0, node.start_mark.index) + 1


def _end(text: str, node: Node) -> int:
    """Return where the last line of a value ends, without comments that follow it."""
    if isinstance(node, (SequenceNode, MappingNode)) and not node.flow_style:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end = int(node.end_mark.index)
    if isinstance(node, ScalarNode) and node.style in {"|", ">"}:
        return end
    found = text.find("\n", end)
    return len(text) if found < 0 else found + 1


def _entry(key: str, value: object, indent: int) -> str:
    """Return a key and its value as lines."""
    blank = " " * indent
    line = f"{blank}{key}: {_flow(value)}\n"
    if (
        isinstance(value, Mapping)
        and value
        and not _is_short(line, list(value.values()))
    ):
        parts = "".join(_entry(_flow(k), v, indent + 2) for k, v in value.items())
        return f"{blank}{key}:\n{parts}"
    if isinstance(value, list) and value and not _is_short(line, value):
        return f"{blank}{key}:\n" + "".join(f"{blank}  - {_flow(v)}\n" for v in value)
    return line


def _is_short(line: str, parts: list[object]) -> bool:
    return len(line) <= _WIDEST and all(
        isinstance(part, str) and _PLAIN.fullmatch(part) for part in parts
    )


def _flow(value: object) -> str:
    """Return a value in one line."""
    text: str = yaml.safe_dump(
        value,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=1 << 30,
    )
    return text.removesuffix("\n").removesuffix("\n...").rstrip("\n")


def _raw(key: Node) -> str:
    return str(key.value)


def _plain(node: Node | None) -> object:
    if isinstance(node, MappingNode):
        return {str(_plain(key)): _plain(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value if isinstance(node, ScalarNode) else ""


def _normal(value: object) -> object:
    """Return a value as `_plain` would read it."""
    if isinstance(value, Mapping):
        return {str(key): _normal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_normal(each) for each in value]
    return (
        {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    )
