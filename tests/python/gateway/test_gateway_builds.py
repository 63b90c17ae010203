"""gateway_builds: when a build may begin, and when it must end."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from pathlib import Path

from ds01.core.errors import Exit
from ds01.core.paths import find_paths
from ds01.gateway import builds
from ds01.gateway.doors import Doors
from ds01.gateway.proxy import Exchange
from ds01.gateway.types import Caller
from ds01.policy.sections import Images
from gateway_bench import FakeEngine, dial, proxy, read_until, short_folder
from image_bench import wait_for

ALICE = Caller(1000, "alice")


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
            assert builds._try_lock(find_paths().state / "builds/place-0.lock", held)
            head = b"POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            with contextlib.closing(dial(path)) as sock:
                sock.sendall(head + b"Upgrade: h2c\r\n\r\n")
                read_until(sock, b"\r\n\r\n")
                # Calls that build nothing pass.
                sock.sendall(b"ListWorkers")
                read_until(sock, b"+")
                half = len(builds._SOLVE[1]) // 2
                sock.sendall(b"x" + builds._SOLVE[1][:half])
                read_until(sock, b"+")
                sock.sendall(builds._SOLVE[1][half:] + b"after")
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
                assert not builds._try_lock(place, other)
            wait_for(lambda: builds._try_lock(place, other))
            other.close()
        engine.close()


def test_too_little_space() -> None:
    rules = Images(min_free_disk=10 << 30)
    assert builds.too_little(11 << 30, rules, is_before=True) is None
    assert builds.too_little(None, rules, is_before=True) is None
    assert builds.too_little(0, Images(min_free_disk=None), is_before=True) is None
    failure = builds.too_little(5 << 30, rules, is_before=False)
    assert failure is not None
    assert failure.code == Exit.PREREQUISITE
    assert "5.0 GiB are free" in failure.message
    assert "10g must remain" in failure.message


def test_free_space_is_the_engines() -> None:
    folder = tempfile.gettempdir()
    found = os.statvfs(folder)
    free = builds.free_space(folder, os.getpid())
    assert free is not None
    assert abs(free - found.f_bavail * found.f_frsize) < 1 << 30
    assert builds.free_space(str(Path(folder) / "none"), None) is None
