"""gateway_build_rules: what a build may ask for."""

from __future__ import annotations

import json

import pytest
from test_gateway_policy import LIMITS

from ds01.core.labels import HELPER as HELPER_LABEL
from ds01.gateway import build_rules
from ds01.gateway.types import Caller, HostFacts, RefusalError, Site

ALICE = Caller(1000, "alice")
ROOT = Caller(0, "root")
HOST = HostFacts(cpus=4, memory=64 << 30)


def code_of(query: dict[str, str], caller: Caller = ALICE) -> str:
    try:
        build_rules.build_query(query, caller, LIMITS, HOST, Site())
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
    assert build_rules.is_preparation(query, ALICE) is is_one


def test_only_what_ends_by_itself_counts_as_a_helper() -> None:
    assert build_rules.is_helper(HELPER)
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
        assert not build_rules.is_helper({**HELPER, **change}), change
    sent = {"Labels": {"ds01.managed": "1", "ds01.uid": "1000"}}
    assert build_rules.helper_labels(HELPER, sent) == {
        "ds01.uid": "1000",
        HELPER_LABEL: "1.2.3",
    }


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("ds01/bob/x", ["ds01/bob/x"]),
        ("docker.io/ds01/alice/y:latest", ["docker.io/ds01/alice/y:latest"]),
        # Its id, or the beginning of it, takes all names away.
        ("sha256:0a1b", ["sha256:0a1b", "ds01/bob/x:latest", "ds01/alice/y:latest"]),
        ("0a1b", ["0a1b", "ds01/bob/x:latest", "ds01/alice/y:latest"]),
        ("x@sha256:00", ["x@sha256:00", "ds01/bob/x:latest", "ds01/alice/y:latest"]),
    ],
)
def test_what_an_image_loses_with_one_name(name: str, lost: list[str]) -> None:
    tags = ["ds01/bob/x:latest", "ds01/alice/y:latest"]
    assert build_rules.lost_names(name, tags) == lost
    # A name that could be an id as well may be taken for one.
    assert build_rules.lost_names("0a1b", [*tags, "0a1b:latest"])[1:3] == tags


@pytest.mark.parametrize(
    ("filters", "may"),
    [
        ("", True),
        ('{"dangling":{"true":true}}', True),
        ('{"dangling":["1"],"until":["1h"]}', True),
        ('{"dangling":{"false":true}}', False),
        ('{"dangling":["0"]}', False),
        ('{"dangling":{"true":true,"false":true}}', False),
        ('{"dangling":{}}', False),
    ],
)
def test_only_nameless_images_are_cleared_away(filters: str, may: bool) -> None:
    build_rules.check_prune(filters, ROOT)
    if may:
        build_rules.check_prune(filters, ALICE)
    else:
        with pytest.raises(RefusalError, match="those of other users too"):
            build_rules.check_prune(filters, ALICE)
