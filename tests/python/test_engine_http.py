"""The engine's HTTP client: every way in which an answer may end, or break off."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine_http import Connection

Serve = Callable[[Sequence[Sequence[bytes]]], "Server"]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """A Unix socket that answers with bytes; one list for each connection."""

    def __init__(self, path: Path, scripts: Sequence[Sequence[bytes]]) -> None:
        self.path = str(path)
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self._scripts = scripts
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for answers in self._scripts:
            link, _ = self._listener.accept()
            with link, link.makefile("rb") as stream:
                for answer in answers:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += stream.readline()
                    self.heads.append(head)
                    length = head.lower().partition(b"content-length: ")[2]
                    self.bodies.append(stream.read(int(length.split(b"\r")[0] or b"0")))
                    # In pieces, as a network may bring it; too much is not read.
                    with contextlib.suppress(ConnectionError):
                        for start in range(0, len(answer), 7):
                            link.sendall(answer[start : start + 7])

    def end(self) -> None:
        self._thread.join(10)
        self._listener.close()
        assert not self._thread.is_alive()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(scripts: Sequence[Sequence[bytes]]) -> Server:
        servers.append(Server(tmp_path / "s", scripts))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


def test_one_connection_serves_requests_that_end_by_length_or_chunks(
    serve: Serve,
) -> None:
    server = serve(
        [
            [
                b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:5\r\n\r\nhello",
                CHUNKED + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
                b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
            ]
        ]
    )
    link = Connection(server.path, 10)
    assert link.request("GET", "/a", None, {}).read() == b"hello"
    assert link.request("GET", "/b?c=%20", None, {}).read() == b"abc0123456789"
    third = link.request("POST", "/c", b"body", {"Content-Type": "text/x"})
    assert (third.status, third.read()) == (204, b"")
    fourth = link.request("POST", "/d", None, {})
    assert (fourth.status, fourth.read()) == (404, b"")
    assert link.request("HEAD", "/e", None, {}).read() == b""
    link.close()
    server.end()
    assert [head.split(b"\r\n")[0] for head in server.heads] == [
        b"GET /a HTTP/1.1",
        b"GET /b?c=%20 HTTP/1.1",
        b"POST /c HTTP/1.1",
        b"POST /d HTTP/1.1",
        b"HEAD /e HTTP/1.1",
    ]
    assert server.heads[0] == b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert b"\r\nContent-Type: text/x\r\nContent-Length: 4\r\n" in server.heads[2]
    assert b"\r\nContent-Length: 0\r\n" in server.heads[3]
    assert server.bodies[2] == b"body"


def test_a_large_body_comes_in_pieces(serve: Serve) -> None:
    chunks = b"".join(b"64\r\n" + b"x" * 100 + b"\r\n" for _ in range(5))
    server = serve([[CHUNKED + chunks + b"0\r\n\r\n"]])
    link = Connection(server.path, 10)
    answer = link.request("GET", "/", None, {})
    pieces = []
    while piece := answer.read(150):
        pieces.append(len(piece))
    assert pieces == [150, 150, 150, 50]
    assert answer.read() == b""
    link.close()


def test_after_an_end_of_the_connection_or_half_an_answer_another_is_opened(
    serve: Serve,
) -> None:
    server = serve(
        [
            [b"HTTP/1.0 200 OK\r\n\r\nall until the end"],
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1"],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n4"],
        ]
    )
    link = Connection(server.path, 10)
    assert link.request("GET", "/", None, {}).read() == b"all until the end"
    assert link.request("GET", "/", None, {}).read() == b"1"
    assert link.request("GET", "/", None, {}).read(3) == b"123"
    assert link.request("GET", "/", None, {}).read() == b"4"
    link.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        CHUNKED + b"5\r\nhell",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"4\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"five\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(
    serve: Serve, answer: bytes
) -> None:
    link = Connection(serve([[answer]]).path, 10)
    with pytest.raises(OSError, match=r"answer|chunk|Connection reset|Broken pipe"):
        link.request("GET", "/", None, {}).read()
    link.close()


def test_what_would_be_another_request_is_no_target(tmp_path: Path) -> None:
    link = Connection(str(tmp_path / "none"), 1)
    for target in ("/a b", "/a\r\nX: y", "/ü", "a", ""):
        with pytest.raises(ValueError, match="is no target"):
            link.request("GET", target, None, {})
