"""gateway_json: bodies mean here what they mean to the engine's decoder."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.gateway import json_body


def read(text: str) -> tuple[dict[str, json_body.Json], list[str]]:
    return json_body.canonical(json_body.parse(text.encode()), json_body.CREATE)


@pytest.mark.parametrize(
    "key", ["HostConfig", "hostconfig", "HOSTCONFIG", "hoſtConfig", "HoStCoNfIg"]
)
def test_keys_are_found_in_any_case(key: str) -> None:
    found, unknown = read('{"' + key + '": {"privileged": true}}')
    assert found == {"HostConfig": {"Privileged": True}}
    assert unknown == []


def test_letters_that_fold_to_ascii() -> None:
    found, _ = read('{"HostConfig": {"Net\\u212AWorkMode": "x", "U\\u017Ferns": ""}}')
    assert found == {"HostConfig": {}}
    found, _ = read('{"HostConfig": {"Networ\\u212aMode": "host"}}')
    assert found == {"HostConfig": {"NetworkMode": "host"}}


@pytest.mark.parametrize(
    "text",
    [
        '{"Image": "a", "Image": "b"}',
        '{"Image": "a", "image": "b"}',
        '{"HostConfig": {}, "hoſtconfig": {"Privileged": true}}',
        '{"HostConfig": {"Binds": [], "binds": ["/:/x"]}}',
        '{"Labels": {"a": "1", "a": "2"}}',
        '{"HostConfig": {"Mounts": [{"Source": "/a", "SOURCE": "/"}]}}',
        '{"Image": NaN}',
        '{"StopTimeout": 1e3}',
        '{"StopTimeout": 9223372036854775808}',
        '{"HostConfig": {"Privileged": "true"}}',
        '{"HostConfig": {"Privileged": 1}}',
        '{"HostConfig": {"Memory": true}}',
        '{"HostConfig": []}',
        '{"Env": "A=1"}',
        '{"Cmd": [1]}',
        '{"Labels": {"a": 1}}',
        "[]",
        "null",
        "",
        "{}{}",
        '\ufeff{"Image": "a"}',
        "[" * 100_000,
        '{"HostConfig":' * 50_000,
    ],
)
def test_ambiguous_or_broken_bodies_are_refused(text: str) -> None:
    with pytest.raises(json_body.MalformedError):
        read(text)


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(json_body.MalformedError):
        json_body.parse(b'{"Image": "\xff"}')
    with pytest.raises(json_body.MalformedError):
        json_body.parse('{"Image": "a"}'.encode("utf-16"))


def test_map_keys_keep_their_case() -> None:
    found, _ = read('{"Labels": {"a": "1", "A": "2"}}')
    assert found == {"Labels": {"a": "1", "A": "2"}}


def test_unknown_fields_never_pass() -> None:
    # The engine takes fields of HostConfig at the top, where HostConfig is missing.
    found, unknown = read('{"Image": "a", "Privileged": true, "Cpuset": "", "X": null}')
    assert found == {"Image": "a"}
    assert unknown == ["Privileged"]


def test_null_is_not_set() -> None:
    found, _ = read('{"Env": null, "Healthcheck": null, "HostConfig": null}')
    assert found == {}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_values)
def test_parse_never_fails_otherwise(value: object) -> None:
    try:
        found, _ = json_body.canonical(
            json_body.parse(json.dumps(value).encode()), json_body.CREATE
        )
    except json_body.MalformedError:
        return
    assert set(found) <= set(json_body.CREATE.fields)


@given(st.text(max_size=12))
def test_fold_is_idempotent(text: str) -> None:
    assert json_body.fold(json_body.fold(text)) == json_body.fold(text)
