"""ledger/document_text.py: known lines are read and written as if they were not."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gpu_state import DOCUMENT, GRANT, to_json

from ds01.core.errors import HelperError
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger import document_text
from ds01.gpus.ledger.document import Document
from ds01.records import documents
from gpu_world import make_paths

PARTS, LISTS = (("bare", "containers"),), ("grants", "queue")
PART = '{"bare":"","containers":{}}'
OTHER = replace(GRANT, container="b._.1", container_id="", devices=(), lost=())


def text_of(folder: Path, document: Document) -> str:
    paths = make_paths(folder)
    with documents.state_lock(paths):
        ledger_document.save(paths, document)
    return ledger_document.path_of(paths).read_text(encoding="utf-8")


def slowly(text: str) -> Document:
    """The document as it would be read without lines."""
    raw = json.loads(text)
    if not isinstance(raw, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - as read() has it
    return ledger_document.parse(raw)


def outcome(read: object, text: str) -> object:
    try:
        return read(text)  # type: ignore[operator]
    except (ValueError, TypeError, KeyError, AttributeError):
        return "unusable"
    except HelperError as error:
        return error.message


def test_the_file_is_plain_json_with_a_line_for_each_grant(tmp_path: Path) -> None:
    document = replace(DOCUMENT, grants=(GRANT, OTHER))
    text = text_of(tmp_path, document)
    assert json.loads(text)["grants"][1]["container"] == "b._.1"
    assert sum('"container":' in line for line in text.splitlines()) == 4
    assert text.endswith("]}\n")
    assert slowly(text) == ledger_document.read(text) == document


def test_what_did_not_change_is_the_same_value(tmp_path: Path) -> None:
    text = text_of(tmp_path, replace(DOCUMENT, grants=(GRANT, OTHER)))
    first = ledger_document.read(text)
    again = ledger_document.read(text.replace('"b._.1"', '"c._.1"'))
    assert again.grants[0] is first.grants[0]
    assert again.grants[1] == replace(OTHER, container="c._.1")
    assert again.containers is first.containers
    assert again.use is first.use
    assert again.dirty[0] is first.dirty[0]


def test_a_changed_value_is_written_anew(tmp_path: Path) -> None:
    text = text_of(tmp_path, DOCUMENT)
    found = ledger_document.read(text)
    changed = replace(found, grants=(replace(found.grants[0], note="later"),))
    changed = replace(changed, containers={"a" * 64: ()}, use=None)
    written = text_of(tmp_path, changed)
    assert slowly(written) == changed
    assert '"note":"later"' in written
    assert text_of(tmp_path, found) == text


OLD = """\
{"version":1,"born":"x","changes":0,"freed":0,"tickets":0,"passed":{},
"bare":"a b",
"containers":{"c":["MIG-1"]},
"use":{"1":[12.5,"2026-11-02T08:00:00.000Z"]},
"grants":[
],
"dirty":[
],
"queue":[
]}
"""


def test_the_layout_of_the_first_version_is_read() -> None:
    found = ledger_document.read(OLD)
    assert found == slowly(OLD)
    assert found.containers == {"a": (), "b": (), "c": ("MIG-1",)}


@pytest.mark.parametrize("indent", [None, 1])
def test_any_other_layout_is_read_too(indent: int | None) -> None:
    text = json.dumps(to_json(DOCUMENT), indent=indent)
    assert ledger_document.read(text) == DOCUMENT


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(0, 40), st.text(',\n"[]{}:a1', max_size=6))
def test_damage_is_seen_as_it_would_be_without_lines(
    seed: int, length: int, put: str
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test
    text = _TEXT
    at = rng.randrange(len(text))
    damaged = text[:at] + put + text[at + length :]
    assert outcome(ledger_document.read, damaged) == outcome(slowly, damaged)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("},\n{", "}\n{"),
        lambda text: text.replace("},\n{", "},{"),
        lambda text: text.replace("},\n{", "},\n\n{"),
        lambda text: text.replace("},\n{", "},\n,{"),
        lambda text: text.replace("},\n{", "},\n1,\n{"),
        lambda text: text.replace(']}\n', '],"grants":[]}\n'),
        lambda text: text.replace('{"version":1', '{"grants":[],"version":1'),
        lambda text: text.replace('{"version":1', '{"bare":"x","version":1'),
        lambda text: text + "x",
        lambda text: text + text,
        lambda text: text.replace('"dirty":[\n', '"dirty":[\n1\n'),
        lambda text: text.replace('"dirty":[\n', '"dirty":[\n1'),
        lambda text: text.replace("\n]}\n", "\n1]}\n"),
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_nearly_the_layout(change: object) -> None:
    damaged = change(_TEXT)  # type: ignore[operator]
    assert damaged != _TEXT
    assert outcome(ledger_document.read, damaged) == outcome(slowly, damaged)


def test_join_and_split() -> None:
    for lines in ([], ["{}"], ['{"a":1}', '{"b":[]}', "{}"]):
        text = document_text.join({"v": 1}, [PART], {"grants": lines, "queue": []})
        json.loads(text)
        head, parts, lists = document_text.split(text, PARTS, LISTS)
        assert (head, parts, lists) == ({"v": 1}, [PART], [lines, []])


def _text() -> str:
    lists = {
        "grants": [
            document_text.encode(ledger_document.grant_json(grant))
            for grant in (GRANT, OTHER)
        ],
        "dirty": [],
        "queue": [document_text.encode(ledger_document.ticket_json(DOCUMENT.queue[0]))],
    }
    return document_text.join(
        {"version": 1, "born": "x"},
        [f'{{"bare":"{"e" * 64}","containers":{{}}}}', '{"use":null}'],
        lists,
    )


_TEXT = _text()
