"""gateway_routes: a request line means here what it means to the engine."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.gateway.routes import OddRequestError, Rule, classify, split_target

CREATE_SPELLINGS = [
    "/containers/create",
    "/v1.41/containers/create",
    "/v1.12/containers/create?name=x",
    "/v1.41/containers/create/",
    "/v1.41/containers%2Fcreate",
    "/v1.41/%63ontainers/creat%65",
    "/v1.41%2fcontainers/create",
    "/%76999/containers/create",
    "/v./containers/create",
]


@pytest.mark.parametrize("target", CREATE_SPELLINGS)
def test_every_spelling_of_create_is_judged(target: str) -> None:
    route = classify("POST", target)
    assert route.rule is Rule.CREATE
    assert route.path.endswith("/containers/create")


@pytest.mark.parametrize(
    ("method", "target", "rule"),
    [
        ("GET", "/v1.41/containers/json?all=1", Rule.PASS),
        ("HEAD", "/_ping", Rule.PASS),
        ("GET", "/containers/create", Rule.PASS),
        ("POST", "/v1.41/Containers/create", Rule.PASS),
        ("POST", "/v1.41/v1.41/containers/create", Rule.PASS),
        ("POST", "/v1.41/containers/a._.1/attach?stream=1", Rule.HIJACK),
        ("GET", "/v1.41/containers/a/attach/ws", Rule.HIJACK),
        ("POST", "/v1.41/exec/0123/start", Rule.HIJACK),
        ("POST", "/session", Rule.HIJACK),
        ("POST", "/grpc", Rule.GRPC),
        ("POST", "/v1.41/containers/a%20/update", Rule.PASS),
        ("POST", "/v1.41/containers/a/update", Rule.UPDATE),
        ("POST", "/v1.41/containers/a/rename?name=b", Rule.RENAME),
        ("POST", "/v1.41/containers/a/exec", Rule.EXEC),
        ("POST", "/v1.23/containers/a/start", Rule.START),
        ("POST", "/v1.41/build?t=x", Rule.BUILD),
        ("POST", "/v1.41/build/prune", Rule.PASS),
        ("POST", "/v1.41/volumes/create", Rule.VOLUME),
        ("POST", "/v1.41/images/create?fromImage=x", Rule.PULL),
        ("POST", "/v1.41/services/create", Rule.REFUSE),
        ("POST", "/v1.41/swarm/init", Rule.REFUSE),
        ("POST", "/v1.41/plugins/pull", Rule.REFUSE),
        ("DELETE", "/v1.41/plugins/x", Rule.REFUSE),
        ("GET", "/v1.41/plugins", Rule.PASS),
        ("GET", "/v1.41/images/a%2Fb%3Atag/json", Rule.PASS),
    ],
)
def test_rules(method: str, target: str, rule: Rule) -> None:
    try:
        assert classify(method, target).rule is rule
    except OddRequestError:
        assert "%20" in target


@pytest.mark.parametrize(
    "target",
    [
        "//containers/create",
        "/v1.41//containers/create",
        "/v1.41/x/../containers/create",
        "/v1.41/./containers/create",
        "/v1.41/containers/%2e%2e/containers/create",
        "/v1.41/containers%252Fcreate",
        "/v1.41/containers\\create",
        "/v1.41/containers/create%00",
        "/v1.41/containers/create%0d%0a",
        "/v1.41/containers/create#x",
        "/v1.41/containers/%zz",
        "/v1.41/containers/%ff/json",
        "http://docker/v1.41/containers/create",
        "*",
        "",
    ],
)
def test_odd_targets_are_refused(target: str) -> None:
    with pytest.raises(OddRequestError):
        classify("POST", target)


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "post", "PRI"])
def test_odd_methods_are_refused(method: str) -> None:
    with pytest.raises(OddRequestError):
        classify(method, "/info")


def test_the_path_sent_is_the_path_judged() -> None:
    route = classify("GET", "/v1.41/images/ds01%2Fdebian%3Abookworm/json?size=1")
    assert route.target == "/v1.41/images/ds01/debian:bookworm/json?size=1"


@given(st.text(min_size=0, max_size=30), st.booleans())
def test_what_is_sent_decodes_to_what_was_judged(text: str, fully: bool) -> None:
    target = "/" + quote(text, safe="" if fully else "/")
    try:
        path, _ = split_target(target)
        route = classify("POST", target)
    except OddRequestError:
        return
    assert unquote(route.path) == path
    assert classify("POST", route.path).rule is route.rule
    assert not set(route.path) & set(" \\%?#\r\n\0") - {"%"}
