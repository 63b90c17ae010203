"""What the gateway's tests share: a gateway in a thread, and raw HTTP to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from ds01.gateway.proxy import Exchange, Proxy

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = [sys.executable, "-sE", str(ROOT / "python/docker_gateway.py"), "run", "--"]
IMAGE = "ds01/debian:bookworm"
PREFIX = f"b{os.getpid()}"


def listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(512)
    return listener


def dial(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(20)
    sock.connect(path)
    return sock


def read_all(sock: socket.socket) -> bytes:
    """Return everything until the other side ends."""
    data = bytearray()
    while more := sock.recv(1 << 16):
        data += more
    return bytes(data)


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = sock.recv(1 << 16)
        if not more:
            raise AssertionError(f"the stream ended after {data!r}")
        data += more
    return data


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for sockets, whose paths must be short."""
    folder = Path(tempfile.mkdtemp(prefix="gw", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def stream_all(exchange: Exchange) -> None:
    """Judge nothing."""
    await exchange.stream()


@contextlib.contextmanager
def proxy(
    engine: str, judge: Callable[[Exchange], Awaitable[None]] = stream_all
) -> Iterator[str]:
    """A gateway in a thread, in front of an engine's socket; its own socket's path."""
    with short_folder() as folder:
        path = str(folder / "gw.sock")
        listener = listen(path)
        loop = asyncio.new_event_loop()
        server = Proxy(listener, engine, judge)

        def serve() -> None:
            asyncio.set_event_loop(loop)
            loop.call_soon(server.start)
            loop.run_forever()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield path
        finally:
            asyncio.run_coroutine_threadsafe(server.close(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(120)
            loop.close()


class FakeEngine:
    """An engine that plays one part per connection, and keeps what it was sent."""

    def __init__(self, path: str, play: Callable[[socket.socket, bytes], None]) -> None:
        self.path = path
        self.heads: list[bytes] = []
        self._play = play
        self._listener = listen(path)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        sock.settimeout(20)
        with contextlib.closing(sock), contextlib.suppress(OSError, AssertionError):
            head, _, rest = read_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")
            self.heads.append(head)
            self._play(sock, rest)

    def close(self) -> None:
        self._listener.close()
