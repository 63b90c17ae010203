"""docs/events.md names every event that the code emits, with its fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ds01.show import event_words

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / "python"
DOCS = (ROOT / "docs/events.md").read_text(encoding="utf-8")

# Functions that take an event's type first.
EMITTERS = {"append_event", "tell", "_log", "_log_event", "_note", "log"}
# Modules in which a pair of a type and a mapping is a line of a log.
PAIRS = {
    "ds01/gpus/ledger/reconcile",
    "ds01/lifecycle/leftovers",
    "ds01/lifecycle/pass_",
    "ds01/lifecycle/rests",
    "ds01/lifecycle/rules",
}
COMMON = {"time", "type", "user", "uid", "command", "pid", "container", "name", "by"}
GRANT = {"container_id", "request", "devices", "profiles", "parents", "share"}
# Words of the emitters, not of the event.
WORDS = {"log", "paths", "timeout"}
_TYPE = re.compile(r"[a-z]+(-[a-z]+)*")


def documented() -> dict[str, set[str]]:
    """Return types and fields of the page's tables."""
    found: dict[str, set[str]] = {}
    for name, fields in re.findall(r"^\| ([a-z-]+) \| ([a-z_, ]*) ?\| ", DOCS, re.M):
        if name != "type":
            found[name] = set(fields.replace(",", " ").split())
    return found


def text_of(node: ast.AST) -> str:
    """Return a string constant that could be a type, else nothing."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value if _TYPE.fullmatch(node.value) else ""
    return ""


def keys_of(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.Dict):
        return set()
    return {text for key in node.keys if key and (text := _key(key))}


def _key(node: ast.AST) -> str:
    ok = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if ok else ""  # type: ignore[attr-defined]


def emitted_by_python() -> Iterator[tuple[str, set[str], str]]:
    """Return type, fields that are written out, and module of each emission."""
    for path in sorted(PYTHON.rglob("*.py")):
        if path.stem == "metric_counters":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                function = node.func
                name = getattr(function, "attr", getattr(function, "id", ""))
                kind = text_of(node.args[0])
                # `tell("info", …)` of the gateway speaks to people.
                is_talk = kind in {"info", "warning", "error"} or (
                    name == "tell" and "gpus" not in path.parts
                )
                if name in EMITTERS and kind and not is_talk:
                    fields = {k.arg for k in node.keywords if k.arg}
                    for extra in node.args[1:]:
                        fields |= keys_of(extra)
                    yield kind, fields - WORDS, path.stem
            elif (
                str(path.relative_to(PYTHON).with_suffix("")) in PAIRS
                and isinstance(node, ast.Tuple)
                and len(node.elts) == 2
                and text_of(node.elts[0])
                and isinstance(node.elts[1], ast.Dict | ast.Call | ast.Name)
            ):
                yield text_of(node.elts[0]), keys_of(node.elts[1]), path.stem


def emitted_by_shell() -> Iterator[tuple[str, set[str], str]]:
    for path in sorted((ROOT / "lib").rglob("*.bash")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for kind, rest in re.findall(
            r"(?:state event|session::_note) ([a-z]+(?:-[a-z]+)*) (.*?\n.*?)\n", text
        ):
            fields = set(re.findall(r"--arg(?:json)? ([a-z_]+)", rest))
            for body in re.findall(r"'\{([^{}$]*)\}", rest):
                fields |= {part.split(":")[0].strip() for part in body.split(",")}
            yield kind, {f for f in fields if re.fullmatch("[a-z_]+", f)}, path.name


EMITTED = [*emitted_by_python(), *emitted_by_shell()]


def test_the_page_and_the_words_have_the_same_types() -> None:
    assert set(documented()) == set(event_words.WORDS)


@pytest.mark.parametrize(
    "kind", ["created", "started", "stopped", "grant", "release", "warned", "kept"]
)
def test_the_search_finds_what_is_emitted(kind: str) -> None:
    found = {name for name, _, _ in EMITTED}
    # A conditional type is no argument of its own.
    assert kind in found or kind in {"warned"}


@pytest.mark.parametrize(("kind", "fields", "place"), EMITTED)
def test_what_is_emitted_is_documented(kind: str, fields: set[str], place: str) -> None:
    page = documented()
    assert kind in page, f"{place} emits '{kind}': describe it in docs/events.md"
    known = page[kind] | COMMON
    if kind in event_words.ALLOCATIONS:
        known |= GRANT
    assert fields <= known, f"{place} emits '{kind}' with {fields - known}"


def test_what_is_documented_is_emitted() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*PYTHON.rglob("*.py"), *(ROOT / "lib").rglob("*.bash")]
        if path.stem not in {"event_words", "events_show", "usage_report"}
    )
    for kind in documented():
        assert re.search(rf'"{kind}"|(event|_note) {kind}\b', code), kind
