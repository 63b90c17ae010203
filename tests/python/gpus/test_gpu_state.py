"""gpus/ledger/document.py: the document survives whatever can be in its file."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.core.errors import Exit, HelperError
from ds01.core.owner import Owner
from ds01.core.paths import Paths
from ds01.gpus.ledger import document as ledger_document
from ds01.gpus.ledger.document import Dirty, Document, Grant, Ticket, Use
from ds01.gpus.rules.refusal import GrantedDevice
from ds01.records import documents
from gpu_world import START, make_paths

DEVICE = GrantedDevice("MIG-1", "GPU-1", "1g.5gb", 0, 1, 1 / 7, True)
GRANT = Grant(
    container="a._.1",
    uid=1,
    user="Ada.Lovelace@x",
    devices=(DEVICE,),
    request="1g.5gb",
    state="held",
    since=START,
    until=START + timedelta(hours=24),
    container_id="f" * 64,
    owner=Owner(1, 2, "boot"),
    stopped=START,
    renewed=START,
    lost=("MIG-1",),
    ends=START + timedelta(hours=1),
    note="until 9",
    extra={"later": [1]},
)
DOCUMENT = Document(
    born="x",
    changes=7,
    freed=6,
    tickets=3,
    grants=(GRANT,),
    dirty=(Dirty("MIG-2", START, "b", 2, {"processes": [4]}),),
    queue=(
        Ticket(3, "c", 3, "c", "full", 50, START, Owner(5, 6, "boot"), START, {"z": 1}),
    ),
    passed={"e" * 64: "conflict"},
    containers={"f" * 64: ("MIG-1",), "e" * 64: ()},
    use={1: Use(12.5, START)},
    extra={"unknown": {"kept": True}},
)


def to_json(document: Document) -> dict[str, Any]:
    """The document's file as plain values."""
    raw: dict[str, Any] = json.loads(ledger_document.text_of(document))
    return raw


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """An empty layout."""
    return make_paths(tmp_path)


def test_a_document_is_read_as_it_was_written(paths: Paths) -> None:
    with documents.state_lock(paths):
        ledger_document.save(paths, DOCUMENT)
        found, problem = ledger_document.load(paths)
    assert problem is None
    assert found == DOCUMENT
    assert ledger_document.peek(paths) == DOCUMENT


def test_an_empty_document_is_small(paths: Paths) -> None:
    grant = Grant("a", 1, "a", "none", "reserved", START, ())
    assert set(ledger_document.grant_json(grant)) == {
        *("container", "uid", "user", "request", "state", "since", "devices")
    }
    assert ledger_document.load(paths) == (Document(), None)


def test_keys_that_are_not_known_are_kept(paths: Paths) -> None:
    raw = to_json(DOCUMENT)
    raw["grants"][0]["new"] = raw["dirty"][0]["new"] = raw["queue"][0]["new"] = {"a": 1}
    raw["new"] = [1]
    assert to_json(ledger_document.parse(json.loads(json.dumps(raw)))) == raw


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 4096,
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"version":0}',
        b'{"version":true}',
        b'{"version":"1"}',
        b'{"version":1,"grants":{}}',
        b'{"version":1,"grants":[1]}',
        b'{"version":1,"grants":[{}]}',
        b'{"version":1,"passed":[]}',
        b'{"version":1,"changes":"x"}',
        b'{"version":1,"use":{"x":[1,"y"]}}',
        b'{"version":1,"containers":{"a":1}}',
        b"[" * 100_000,
        json.dumps(to_json(DOCUMENT)).encode()[:-40],
        json.dumps(to_json(DOCUMENT))
        .replace("2026-11-02T08:00:00.000Z", "yesterday")
        .encode(),
        json.dumps(
            {
                **to_json(DOCUMENT),
                "grants": [ledger_document.grant_json(GRANT)] * 2,
            }
        ).encode(),
    ],
    ids=range(20),
)
def test_what_cannot_be_used_is_set_aside(paths: Paths, data: bytes) -> None:
    path = ledger_document.path_of(paths)
    path.write_bytes(data)
    assert ledger_document.peek(paths) is None
    with documents.state_lock(paths):
        document, problem = ledger_document.load(paths)
    assert document == Document()
    assert problem
    assert not path.exists()
    (kept,) = paths.state.glob("gpu-state.json.corrupt-*")
    assert kept.read_bytes() == data
    assert '"type":"state-corrupt"' in paths.events.read_text()


def test_a_device_twice_is_no_document() -> None:
    raw = to_json(DOCUMENT)
    raw["grants"].append({**raw["grants"][0], "container": "other"})
    with pytest.raises(ValueError, match="twice"):
        ledger_document.parse(raw)


def test_a_newer_document_is_left_alone(paths: Paths) -> None:
    path = ledger_document.path_of(paths)
    path.write_text('{"version": 2}')
    with documents.state_lock(paths), pytest.raises(HelperError) as caught:
        ledger_document.load(paths)
    assert caught.value.code == Exit.CONFIG
    assert path.exists()


@settings(max_examples=150)
@given(st.integers(), st.integers(0, 60), st.binary(max_size=8))
def test_damage_never_raises_anything_else(seed: int, length: int, put: bytes) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test
    data = json.dumps(to_json(DOCUMENT)).encode()
    at = rng.randrange(len(data))
    damaged = data[:at] + put + data[at + length :]
    try:
        raw: Any = json.loads(damaged.decode("utf-8"))
    except ValueError:
        return
    try:
        ledger_document.parse(raw)
    except (ValueError, TypeError, KeyError, AttributeError, HelperError):
        return


def test_the_file_is_for_the_group_whatever_the_umask(paths: Paths) -> None:
    with documents.state_lock(paths):
        ledger_document.save(paths, DOCUMENT)
    assert ledger_document.path_of(paths).stat().st_mode & 0o777 == 0o660


def test_a_grant_is_found_by_name_and_by_id() -> None:
    assert DOCUMENT.grant_of("a._.1") is GRANT
    assert DOCUMENT.grant_of("f" * 64) is GRANT
    assert DOCUMENT.grant_of("") is None
    assert DOCUMENT.grant_of("b") is None
