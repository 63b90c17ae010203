"""gateway_build_rules: what a build may ask for."""

from __future__ import annotations

import json

import pytest

import gateway_build_rules as gb
from gateway_types import Caller, HostFacts, RefusalError, Site
from image_labels import HELPER as HELPER_LABEL
from test_gateway_policy import LIMITS

ALICE = Caller(1000, "alice")
ROOT = Caller(0, "root")
HOST = HostFacts(cpus=4, memory=64 << 30)


def code_of(query: dict[str, str], caller: Caller = ALICE) -> str:
    try:
        gb.build_query(query, caller, LIMITS, HOST, Site())
    except RefusalError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("remote", "code"),
    [
        ("", ""),
        ("client-session", ""),
        ("upload-request", ""),
        ("https://github.com/a/b.git", "context"),
        ("git://x", "context"),
        ("http://x/Dockerfile", "context"),
    ],
)
def test_the_context_is_the_clients_own(remote: str, code: str) -> None:
    assert code_of({"remote": remote, "version": "2"}) == code
    assert code_of({"remote": remote}) == code


@pytest.mark.parametrize(
    ("reference", "is_own"),
    [
        ("ds01/alice/x:latest", True),
        ("ds01/1000/x", True),
        ("ds01/bob/x", False),
        ("docker.io/ds01/bob/x:1", False),
        ("ds01/bob/x:job._.1000", True),
        ("ds01/bob/x:job._.1001", False),
        ("ds01/debian:bookworm", True),
        ("bob/x", True),
    ],
)
def test_names_of_others_are_theirs(reference: str, is_own: bool) -> None:
    assert code_of({"t": reference}) == ("" if is_own else "image-name")
    assert code_of({"t": reference}, ROOT) == ""


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ({"some": "thing"}, ""),
        ({"ds01.image.uid": "1000", "ds01.image.name": "x"}, ""),
        ({"ds01.image.uid": "0"}, "label"),
        ({"DS01.Image.UID": "0"}, "label"),
        ({"ds01.managed": "1"}, "label"),
        ({"ds01.build.by": "1.2.3"}, ""),
    ],
)
def test_labels_of_others_are_theirs(labels: dict[str, str], code: str) -> None:
    assert code_of({"labels": json.dumps(labels)}) == code
    assert code_of({"labels": json.dumps(labels)}, ROOT) == ""


HELPER = {
    "Image": "x",
    "Entrypoint": ["sleep"],
    "Cmd": ["900"],
    "Labels": {HELPER_LABEL: "1.2.3"},
    "HostConfig": {"AutoRemove": True, "Mounts": [{"Type": "volume"}]},
}


@pytest.mark.parametrize(
    ("query", "is_one"),
    [
        ({"t": "ds01/debian:x._.1000"}, True),
        ({"t": "ds01/debian:x._.1001"}, False),
        ({"t": "ds01/alice/x:latest"}, False),
        ({"t": "ds01/debian:x._.1000", "version": "2"}, False),
        ({}, False),
    ],
)
def test_what_mlc_prepares_for_a_container_waits_for_no_image(
    query: dict[str, str], is_one: bool
) -> None:
    assert gb.is_preparation(query, ALICE) is is_one


def test_only_what_ends_by_itself_counts_as_a_helper() -> None:
    assert gb.is_helper(HELPER)
    changes: tuple[dict[str, object], ...] = (
        {"Cmd": ["90000"]},
        {"Entrypoint": ["sh"]},
        {"Labels": {}},
        {"HostConfig": {}},
        {"HostConfig": {"AutoRemove": True, "Binds": ["/a:/a"]}},
        {"HostConfig": {"AutoRemove": True, "DeviceRequests": [{}]}},
        {"HostConfig": {"AutoRemove": True, "Mounts": [{"Type": "bind"}]}},
    )
    for change in changes:
        assert not gb.is_helper({**HELPER, **change}), change
    sent = {"Labels": {"ds01.managed": "1", "ds01.uid": "1000"}}
    assert gb.helper_labels(HELPER, sent) == {"ds01.uid": "1000", HELPER_LABEL: "1.2.3"}
