"""gateway_builds: what a build may ask for, and when one must end."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import time
from pathlib import Path

import pytest

import gateway_builds as gb
from _common import Exit, find_paths
from gateway_bench import FakeEngine, dial, proxy, read_until, short_folder
from gateway_doors import Doors
from gateway_proxy import Exchange
from gateway_types import Caller, HostFacts, RefusalError, Site
from image_bench import wait_for
from policy_server import Images
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
    "Labels": {gb.HELPER: "1.2.3"},
    "HostConfig": {"AutoRemove": True, "Mounts": [{"Type": "volume"}]},
}


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
    assert gb.helper_labels(HELPER, sent) == {"ds01.uid": "1000", gb.HELPER: "1.2.3"}


def test_buildx_waits_for_a_place_when_it_builds(ds01_root: Path) -> None:
    policy = "version: 1\ndefault_group: a\ngroups: {a: {members: []}}\n"
    policy += "images: {max_builds: 1, min_free_disk: null}\n"
    (ds01_root / "etc/ds01/resource-limits.yaml").write_text(policy)
    seen = bytearray()

    def play(sock: socket.socket, rest: bytes) -> None:
        head = engine.heads[-1]
        if b"/info" in head:
            sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"NCPU": 2}')
            return
        sock.sendall(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: h2c\r\n\r\n")
        while more := sock.recv(65536):
            seen.extend(more)
            sock.sendall(b"+")

    told: list[str] = []
    with short_folder() as folder:
        engine = FakeEngine(str(folder / "e.sock"), play)
        doors: list[Doors] = []

        async def judge(exchange: Exchange) -> None:
            if not doors:
                doors.append(
                    Doors(ALICE, engine.path, lambda _, text: told.append(text))
                )
            await doors[0].judge(exchange)

        with proxy(engine.path, judge) as path, contextlib.ExitStack() as held:
            assert gb._try_lock(find_paths().state / "builds/place-0.lock", held)
            head = b"POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            with contextlib.closing(dial(path)) as sock:
                sock.sendall(head + b"Upgrade: h2c\r\n\r\n")
                read_until(sock, b"\r\n\r\n")
                # Calls that build nothing pass.
                sock.sendall(b"ListWorkers")
                read_until(sock, b"+")
                half = len(gb._SOLVE[1]) // 2
                sock.sendall(b"x" + gb._SOLVE[1][:half])
                read_until(sock, b"+")
                sock.sendall(gb._SOLVE[1][half:] + b"after")
                wait_for(lambda: told)
                assert "1 build runs on this server" in told[0]
                time.sleep(0.3)
                assert not seen.endswith(b"after")
                held.close()
                read_until(sock, b"+")
                assert seen.endswith(b"after")
                # Its own place is taken now, until the connection ends.
                other = contextlib.ExitStack()
                place = find_paths().state / "builds/place-0.lock"
                assert not gb._try_lock(place, other)
            wait_for(lambda: gb._try_lock(place, other))
            other.close()
        engine.close()


def test_too_little_space() -> None:
    rules = Images(min_free_disk=10 << 30)
    assert gb.too_little(11 << 30, rules, is_before=True) is None
    assert gb.too_little(None, rules, is_before=True) is None
    assert gb.too_little(0, Images(min_free_disk=None), is_before=True) is None
    failure = gb.too_little(5 << 30, rules, is_before=False)
    assert failure is not None
    assert failure.code == Exit.PREREQUISITE
    assert "5.0 GiB are free" in failure.message
    assert "10g must remain" in failure.message


def test_free_space_is_the_engines() -> None:
    folder = tempfile.gettempdir()
    found = os.statvfs(folder)
    free = gb.free_space(folder, os.getpid())
    assert free is not None
    assert abs(free - found.f_bavail * found.f_frsize) < 1 << 30
    assert gb.free_space(str(Path(folder) / "none"), None) is None
