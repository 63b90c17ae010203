"""gateway_proxy, gateway_http: streams and heads, against an engine of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ds01.gateway import http as gateway_http
from ds01.gateway.proxy import Exchange
from gateway_bench import FakeEngine, dial, proxy, read_all, read_until, short_folder

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
GET = b"GET /v1.41/info HTTP/1.1\r\nHost: docker\r\n\r\n"
SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
ATTACH = (
    b"POST /v1.41/containers/x/attach?stream=1 HTTP/1.1\r\nHost: docker\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
)

Play = Callable[[socket.socket, bytes], None]


@contextlib.contextmanager
def bench(play: Play) -> Iterator[tuple[FakeEngine, str]]:
    with short_folder() as folder:
        engine = FakeEngine(str(folder / "engine.sock"), play)
        try:
            with proxy(engine.path) as path:
                yield engine, path
        finally:
            engine.close()


def say(text: bytes) -> Play:
    return lambda sock, rest: sock.sendall(text)


def talk(path: str, text: bytes) -> bytes:
    with contextlib.closing(dial(path)) as sock:
        sock.sendall(text)
        return read_all(sock)


def test_every_request_ends_its_connection_to_the_engine() -> None:
    with bench(say(OK + b"hello")) as (engine, path):
        kept = GET.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
        assert talk(path, kept) == OK + b"hello"
        assert b"connection: close" in engine.heads[0].lower()
        assert b"keep-alive" not in engine.heads[0].lower()


def test_a_second_request_on_the_wire_is_not_a_request() -> None:
    create = (
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    )

    def play(sock: socket.socket, rest: bytes) -> None:
        sock.sendall(OK)

    with bench(play) as (engine, path):
        talk(path, GET + create)
        time.sleep(0.1)
        assert len(engine.heads) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\ncontent-length: 3\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Content-Length: +2\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"X: a\r\n b\r\n",
        b"X : a\r\n",
        b"X\r\n",
        b"Host: other\r\n",
        b"X: a\x00b\r\n",
    ],
)
def test_heads_that_could_be_read_in_two_ways_are_refused(head: bytes) -> None:
    with bench(say(OK)) as (engine, path):
        text = (
            b"POST /v1.41/build/prune HTTP/1.1\r\nHost: docker\r\n" + head + b"\r\nab"
        )
        answer = talk(path, text)
        if head == b"Content-Length: 2, 2\r\n" and answer.startswith(OK):
            # One length, stated twice in one line: sent on as one.
            assert engine.heads[0].lower().count(b"content-length: 2") == 1
            return
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501")), answer
        assert engine.heads == []


@pytest.mark.parametrize(
    "text",
    [
        b"GET //info HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://x/info HTTP/1.1\r\nHost: x\r\n\r\n",
        b"TRACE /info HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /info HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_odd_requests_are_answered_not_passed(text: bytes) -> None:
    with bench(say(OK)) as (engine, path):
        answer = talk(path, text)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 505"))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"].startswith(
            "ds01"
        )
        assert engine.heads == []


def test_an_endless_head_is_refused() -> None:
    with bench(say(OK)) as (engine, path), contextlib.closing(dial(path)) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * (1 << 20))
        assert read_all(sock).startswith(b"HTTP/1.1 431")
        assert engine.heads == []


def test_upgrades_pass_only_where_the_api_switches_protocols() -> None:
    head = b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    with bench(say(OK)) as (engine, path):
        for target in (b"/v1.41/info", b"/v1.41/images/json", b"/session"):
            method = b"POST" if target == b"/session" else b"GET"
            text = method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n" + head
            talk(path, text + b"Connection: Upgrade, HTTP2-Settings\r\n\r\n")
        heads = [text.lower() for text in engine.heads]
        assert [b"upgrade: h2c" in text for text in heads] == [False, False, True]
        assert b"connection: upgrade, close" in heads[2]
        assert not any(b"http2-settings" in text for text in heads)


def test_bodies_of_any_size_pass_in_both_directions() -> None:
    size = 64 << 20

    def play(sock: socket.socket, rest: bytes) -> None:
        count = len(rest)
        while count < size:
            count += len(sock.recv(1 << 16))
        sock.sendall(OK)
        block = bytes(1 << 16)
        for _ in range(size // len(block)):
            sock.sendall(block)

    with bench(play) as (_, path), contextlib.closing(dial(path)) as sock:
        head = f"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        sock.sendall(head.encode())
        block = b"x" * (1 << 20)
        for _ in range(size // len(block)):
            sock.sendall(block)
        assert len(read_all(sock)) == len(OK) + size


def test_a_side_that_does_not_read_stops_the_other() -> None:
    sent: list[int] = []

    def play(sock: socket.socket, rest: bytes) -> None:
        sock.sendall(OK)
        sock.settimeout(1)
        block = bytes(1 << 16)
        with contextlib.suppress(TimeoutError):
            while len(sent) < 16384:
                sock.sendall(block)
                sent.append(1)

    with bench(play) as (_, path), contextlib.closing(dial(path)) as sock:
        sock.sendall(GET)
        deadline = time.monotonic() + 15
        last = -1
        while len(sent) != last and time.monotonic() < deadline:
            last = len(sent)
            time.sleep(1.5)
        assert len(sent) * (1 << 16) < 8 << 20


def test_half_close_passes_both_ways() -> None:
    def play(sock: socket.socket, rest: bytes) -> None:
        sock.sendall(SWITCH)
        got = rest + read_all(sock)
        sock.sendall(b"<" + got + b">")

    with bench(play) as (_, path), contextlib.closing(dial(path)) as sock:
        sock.sendall(ATTACH + b"early ")
        read_until(sock, SWITCH)
        sock.sendall(b"late")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"<early late>"


def test_an_engine_that_only_stops_talking_is_still_spoken_to() -> None:
    got = []

    def play(sock: socket.socket, rest: bytes) -> None:
        sock.sendall(SWITCH + b"bye")
        sock.shutdown(socket.SHUT_WR)
        got.append(rest + read_all(sock))

    with bench(play) as (_, path), contextlib.closing(dial(path)) as sock:
        sock.sendall(ATTACH)
        assert read_all(sock).endswith(b"bye")
        sock.sendall(b"still here")
        sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + 90
        while not got and time.monotonic() < deadline:
            time.sleep(0.02)
        assert got == [b"still here"]


def test_a_dead_client_ends_the_engines_stream() -> None:
    ended = threading.Event()

    def play(sock: socket.socket, rest: bytes) -> None:
        try:
            sock.sendall(OK)
            while True:
                sock.sendall(b"tick")
                time.sleep(0.01)
        except OSError:
            ended.set()

    with bench(play) as (_, path):
        sock = dial(path)
        sock.sendall(GET)
        read_until(sock, b"tick")
        sock.close()
        assert ended.wait(90)


def test_an_engine_that_dies_ends_the_clients_stream() -> None:
    with bench(say(OK + b"part")) as (_, path), contextlib.closing(dial(path)) as sock:
        # The client goes on sending, and must not hang for it.
        sock.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nab")
        assert read_all(sock) == OK + b"part"


def test_no_engine_is_said_in_its_own_form() -> None:
    with proxy("/nonexistent/docker.sock") as path:
        answer = talk(path, GET)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"no Docker engine answers" in answer
        head = talk(path, GET.replace(b"GET", b"HEAD"))
        assert head.endswith(b"\r\n\r\n")


def test_two_hundred_at_once() -> None:
    def play(sock: socket.socket, rest: bytes) -> None:
        time.sleep(0.3)
        sock.sendall(OK + b"x" * 10_000)

    with bench(play) as (_, path), ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: talk(path, GET), range(200)))
        assert all(len(answer) == len(OK) + 10_000 for answer in answers)


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 11\r\n\r\nhello world",
        b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
        b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\nhello world",
    ],
)
def test_judged_bodies_are_read_whole(body: bytes) -> None:
    seen = []

    async def judge(exchange: Exchange) -> None:
        seen.append(await exchange.body(100))
        await exchange.answer(await exchange.forward(b"changed"))

    def play(sock: socket.socket, rest: bytes) -> None:
        while len(rest) < len(b"changed"):
            rest += sock.recv(100)
        seen.append(rest)
        text = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock.sendall(text + b"2\r\nok\r\n0\r\n\r\n")

    with short_folder() as folder:
        engine = FakeEngine(str(folder / "e.sock"), play)
        with proxy(engine.path, judge) as path:
            head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nX-Kept: 1\r\n"
            answer = talk(path, head + body)
        engine.close()
    assert seen == [b"hello world", b"changed"]
    assert answer.endswith(b"\r\n\r\nok")
    assert b"HTTP/1.1 201 Created" in answer
    assert answer.lower().count(b"content-length") == 1
    sent = engine.heads[0].lower()
    assert b"x-kept: 1" in sent
    assert b"content-length: 7" in sent
    assert b"chunked" not in sent
    assert b"expect" not in sent


def test_a_judged_body_has_a_limit() -> None:
    async def judge(exchange: Exchange) -> None:
        await exchange.body(100)

    with proxy("/nonexistent", judge) as path:
        text = b"POST /containers/create HTTP/1.1\r\nHost: x\r\n"
        text += b"Content-Length: 999\r\n\r\n"
        assert talk(path, text + b"x" * 999).startswith(b"HTTP/1.1 413")


def test_a_truncated_answer_is_an_error() -> None:
    async def judge(exchange: Exchange) -> None:
        await exchange.answer(await exchange.forward(b"{}"))

    text = b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"
    with short_folder() as folder:
        engine = FakeEngine(str(folder / "e.sock"), say(text))
        with proxy(engine.path, judge) as path:
            head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\n"
            answer = talk(path, head + b"Content-Length: 2\r\n\r\n{}")
        engine.close()
    assert answer.startswith(b"HTTP/1.1 503")


def test_answers_of_the_gateway_name_the_project() -> None:
    assert json.loads(gateway_http.error_body("no")) == {"message": "ds01: no"}
