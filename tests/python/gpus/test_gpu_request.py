"""Requests for GPUs: words, Docker's device requests, and the way between them.

The round trip goes through the real docker client, which a small server listens to.
"""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.errors import Exit, HelperError
from ds01.gpus.rules.request import (
    DEFAULT,
    NONE,
    Request,
    format_memory,
    format_request,
    from_device_request,
    parse_memory,
    parse_request,
    to_docker,
)

WORDS = {
    "none": NONE,
    "NONE": NONE,
    "0": NONE,
    "all": DEFAULT,
    "default": DEFAULT,
    "1": Request("count", 1),
    "8": Request("count", 8),
    "full": Request("full"),
    "full:2": Request("full", 2),
    "1g.10gb": Request("profile", profile="1g.10gb"),
    "1G.10GB:2": Request("profile", 2, profile="1g.10gb"),
    "1g.10gb+me": Request("profile", profile="1g.10gb+me"),
    "1c.3g.20gb": Request("profile", profile="1c.3g.20gb"),
    "mem=10g": Request("memory", memory=10 * 10**9),
    "mem=10gib:2": Request("memory", 2, memory=10 << 30),
    "device=GPU-1": Request("device", 1, uuids=("GPU-1",)),
    '"device=GPU-1,MIG-2"': Request("device", 2, uuids=("GPU-1", "MIG-2")),
    "device=GPU-1;MIG-2;GPU-1": Request("device", 2, uuids=("GPU-1", "MIG-2")),
    "GPU-1": Request("device", 1, uuids=("GPU-1",)),
}


@pytest.mark.parametrize("text", WORDS)
def test_words(text: str) -> None:
    assert parse_request(text) == WORDS[text]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "--gpus 1"),
        ("ful", "--gpus full"),
        ("nonne", "--gpus none"),
        ("-1", "--gpus"),
        ("10000", "--gpus 1"),
        ("1g10gb", "--gpus 1g.10gb"),
        ("1g.10g", "--gpus 1g.10gb"),
        ("3g.20", "--gpus 3g.20gb"),
        ("10g", "--gpu-mem 10g"),
        ("mem=10", "--gpu-mem 10g"),
        ("mem=", "--gpu-mem 10g"),
        ("mem=0g", "--gpu-mem 10g"),
        ("mem=99999999t", "--gpu-mem 10g"),
        ("full:0", "--gpus"),
        ("1g.10gb:x", "--gpus 1g.10gb"),
        ("1g.10gb:", "--gpus 1g.10gb"),
        ("device=", "gpu-status"),
        ("device=0", "'--gpus device='"),
        ("device=0:1", "'--gpus device='"),
        ("device=GPU-1,", "gpu-status"),
        ("rtx3090", "--gpus full"),
        ("٣", "--gpus"),
    ],
)
def test_bad_words(text: str, hint: str) -> None:
    with pytest.raises(HelperError) as caught:
        parse_request(text)
    assert caught.value.code == Exit.USAGE
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert text.partition("=")[2].strip(",") in caught.value.message


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10g", 10**10),
        ("10GB", 10**10),
        ("10gib", 10 << 30),
        ("10Gi", 10 << 30),
        ("1.5g", 1_500_000_000),
        ("512m", 512 * 10**6),
        ("7b", 7),
    ],
)
def test_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size


REQUESTS = st.one_of(
    st.just(NONE),
    st.just(DEFAULT),
    st.builds(Request, st.sampled_from(["count", "full"]), st.integers(1, 9999)),
    st.builds(
        Request,
        st.just("profile"),
        st.integers(1, 9999),
        st.sampled_from(["1g.10gb", "3g.20gb", "1c.2g.10gb", "1g.5gb+me", "7g.80gb"]),
    ),
    st.builds(
        Request,
        st.just("memory"),
        st.integers(1, 9999),
        memory=st.integers(1, 10**14) | st.integers(1, 200).map(lambda n: n << 30),
    ),
    st.lists(
        st.from_regex(r"(GPU|MIG)-[0-9a-f]{4}(-[0-9a-f]{4}){2}", fullmatch=True),
        min_size=1,
        max_size=4,
        unique=True,
    ).map(lambda u: Request("device", len(u), uuids=tuple(u))),
)


@given(REQUESTS)
def test_words_come_back(request_: Request) -> None:
    text = format_request(request_)
    assert "," not in text
    assert parse_request(text) == request_


@given(st.integers(1, 1 << 60))
def test_memory_comes_back(size: int) -> None:
    assert parse_memory(format_memory(size)) == size


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        request = parse_request(text)
    except HelperError as error:
        assert error.code == Exit.USAGE
        assert error.hint
    else:
        assert parse_request(format_request(request)) == request


class _Listener(BaseHTTPRequestHandler):
    """An engine that takes note of create requests and answers nothing of use."""

    protocol_version = "HTTP/1.1"
    seen: list[Any]

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if "/containers/create" in self.path:
            self.seen.append(json.loads(body)["HostConfig"]["DeviceRequests"])
        out = b'{"Id":"1","Warnings":[]}'
        self.send_response(201 if self.command == "POST" else 200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(out)

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def address_string(self) -> str:
        return "client"

    def log_message(self, *words: object) -> None:
        pass


class Docker:
    """The docker client, in front of a server that listens."""

    def __init__(self, socket: Path, seen: list[Any]) -> None:
        self._socket = socket
        self._seen = seen
        program = shutil.which("docker")
        assert program, "these tests need the docker client"
        self._program = program

    def create(self, *words: str) -> list[dict[str, Any]]:
        """Return the device requests that `docker create WORDS` makes."""
        self._seen.clear()
        env = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        subprocess.run(
            [self._program, "create", *words, "image"],
            env={**env, "DOCKER_HOST": f"unix://{self._socket}"},
            check=True,
            capture_output=True,
        )
        found: list[dict[str, Any]] = self._seen[0] or []
        return found


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    socket = tmp_path_factory.mktemp("gpu") / "s"
    seen: list[Any] = []
    handler = type("Handler", (_Listener,), {"seen": seen})
    with socketserver.ThreadingUnixStreamServer(str(socket), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Docker(socket, seen)
        server.shutdown()


@pytest.mark.parametrize("text", WORDS)
def test_docker_brings_a_request_back(docker: Docker, text: str) -> None:
    request = parse_request(text)
    assert from_device_request(docker.create("--gpus", to_docker(request))) == request


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ("all", DEFAULT),
        ("2", Request("count", 2)),
        ("device=GPU-1", WORDS["GPU-1"]),
        ('"device=GPU-1,MIG-2"', Request("device", 2, uuids=("GPU-1", "MIG-2"))),
        (
            'count=2,"options=ds01.profile=1g.10gb"',
            Request("profile", 2, profile="1g.10gb"),
        ),
        ("options=ds01.profile=full", Request("full")),
        ('all,"options=ds01.mem=10g,ds01.wait="', WORDS["mem=10g"]),
        ("options=ds01.request=1g.10gb:2", Request("profile", 2, profile="1g.10gb")),
        ('all,"options=ds01.wait=2h"', DEFAULT),
        ('2,"options=DS01.Wait=2h"', Request("count", 2)),
        ('2,"capabilities=compute,utility"', Request("count", 2)),
        ("driver=nvidia,count=2", Request("count", 2)),
    ],
)
def test_docker_words(docker: Docker, words: str, request_: Request) -> None:
    assert from_device_request(docker.create("--gpus", words)) == request_


def test_without_the_option_no_gpu_is_asked_for(docker: Docker) -> None:
    assert from_device_request(docker.create()) == NONE
    assert from_device_request(None) == NONE


GPU = {"Capabilities": [["gpu"]]}
COMPOSE = {"Driver": "nvidia", "Count": 0, "Options": None, **GPU}


@pytest.mark.parametrize(
    ("requests", "request_"),
    [
        # compose: deploy.resources.reservations.devices
        ([{**COMPOSE, "Count": -1}], DEFAULT),
        ([{**COMPOSE, "Count": 2}], Request("count", 2)),
        ([{**COMPOSE, "DeviceIDs": ["GPU-1"]}], WORDS["GPU-1"]),
        (
            [{**COMPOSE, "Count": -1, "Options": {"ds01.profile": "1g.10gb"}}],
            WORDS["1g.10gb"],
        ),
        # the Python SDK: DeviceRequest(count=…, device_ids=…, capabilities=[['gpu']])
        (
            [{"Driver": "", "Count": 1, "DeviceIDs": [], "Options": {}, **GPU}],
            WORDS["1"],
        ),
        ([{**GPU, "Options": {"ds01.mem": "10g"}}], WORDS["mem=10g"]),
        ([{"Driver": "nvidia", "Count": 1}], WORDS["1"]),
        ([{"Count": 1, "Capabilities": [["tpu"], ["gpu", "compute"]]}], WORDS["1"]),
        # CDI
        ([{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}], DEFAULT),
        ([{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-1"]}], WORDS["GPU-1"]),
        ([{**GPU, "DeviceIDs": ["all"]}], DEFAULT),
        ([{**GPU, "DeviceIDs": ["void"]}], NONE),
        # several
        ([{**GPU, "Count": 1}, {**GPU, "Count": 2}], Request("count", 3)),
        ([{**GPU, "Count": -1}, {**GPU, "Count": -1}], DEFAULT),
        ([{**GPU, "Count": 0}, {**GPU, "Count": 2}], Request("count", 2)),
        (
            [{**GPU, "DeviceIDs": ["GPU-1"]}, {**GPU, "DeviceIDs": ["MIG-2"]}],
            Request("device", 2, uuids=("GPU-1", "MIG-2")),
        ),
    ],
)
def test_device_requests(requests: list[dict[str, Any]], request_: Request) -> None:
    assert from_device_request(requests) == request_


@pytest.mark.parametrize(
    ("requests", "code", "word"),
    [
        ([{**GPU, "Driver": "amd", "Count": 1}], Exit.REFUSED, "'amd'"),
        ([{"Driver": "cdi", "DeviceIDs": ["x.org/y=1"]}], Exit.REFUSED, "CDI"),
        ([{"Count": 1, "Capabilities": [["tpu"]]}], Exit.REFUSED, "only GPUs"),
        ([{"Count": 1, "Capabilities": [["gpu", "x"]]}], Exit.REFUSED, "only GPUs"),
        ([{"Count": 1}], Exit.REFUSED, "only GPUs"),
        ([{**GPU, "DeviceIDs": ["0"]}], Exit.USAGE, "'0' is an index"),
        ([{**GPU, "DeviceIDs": ["GPU-1", "all"]}], Exit.USAGE, "'all'"),
        ([{**GPU, "DeviceIDs": [""]}], Exit.USAGE, "''"),
        ([{**GPU, "Count": 1, "DeviceIDs": ["GPU-1"]}], Exit.USAGE, "a count"),
        (
            [{**GPU, "DeviceIDs": ["GPU-1"], "Options": {"ds01.mem": "1g"}}],
            Exit.USAGE,
            "ds01.mem",
        ),
        ([{**GPU, "Options": {"ds01.profil": "x"}}], Exit.USAGE, "'ds01.profil'"),
        ([{**GPU, "Options": {"ds01.profile": "3"}}], Exit.USAGE, "'3'"),
        ([{**GPU, "Options": {"ds01.profile": "full:2"}}], Exit.USAGE, "'full:2'"),
        (
            [{**GPU, "Options": {"ds01.profile": "full", "ds01.mem": "1g"}}],
            Exit.USAGE,
            "exclude each other",
        ),
        (
            [{**GPU, "Count": 3, "Options": {"ds01.request": "full:2"}}],
            Exit.USAGE,
            "another count than 3",
        ),
        ([{**GPU, "Count": 1}, {**GPU, "Count": -1}], Exit.USAGE, "several ways"),
        ([{**GPU, "Count": 10**9}], Exit.USAGE, "more than"),
        ([{**GPU, "Count": "1"}], Exit.USAGE, "not as Docker"),
        ([{**GPU, "Count": True}], Exit.USAGE, "not as Docker"),
        ([{**GPU, "DeviceIDs": "GPU-1"}], Exit.USAGE, "not as Docker"),
        ([{**GPU, "Options": {"ds01.mem": 1}}], Exit.USAGE, "not as Docker"),
        (["gpu"], Exit.USAGE, "not an object"),
        ({"Count": 1}, Exit.USAGE, "not a list"),
    ],
)
def test_device_requests_that_are_refused(requests: Any, code: Exit, word: str) -> None:
    with pytest.raises(HelperError) as caught:
        from_device_request(requests)
    assert caught.value.code == code
    assert word in caught.value.message
    assert caught.value.hint
