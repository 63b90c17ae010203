"""One exchange of the gateway: heads by h11, bodies and streams as raw bytes.

**One request per connection.** Every request goes to the engine on a connection of its
own, under a head that the gateway has written itself, with `Connection: close`. The
engine therefore answers that one request and reads no other, whatever follows on the
wire: what comes after the head can be spliced without looking at it (bodies of any
size, attach and exec streams, BuildKit's HTTP/2), and nothing that a client hides in
it is ever taken for a second request. The client sees `Connection: close` in the
engine's answer and opens a new connection for its next request, which is judged anew.

**Heads that two parsers might read differently are refused** with 400: both a length
and a transfer coding, two lengths, folded lines, codings other than `chunked`.
`Upgrade` is passed on only where the Docker API switches protocols (routes of
Rule.HIJACK); `HTTP2-Settings` never, since an engine that speaks cleartext HTTP/2
would take further requests inside such a stream.

**Streams** go through one buffer per direction at most: a side that does not read
stops the other from being read. The end of one direction is passed on as such
(half-close), so `docker cp` and an attached stdin end as they do without a gateway.
"""

from __future__ import annotations

import asyncio
import json
import re
import select
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import h11

HEAD_LIMIT = 256 << 10
ANSWER_LIMIT = 16 << 20
LINGER_SECONDS = 2.0
CONNECT_SECONDS = 10.0
_CHUNK = 256 << 10
_READS_AT_ONCE = 4
SEND_BUFFER = 1 << 20

_HEAD_END = re.compile(rb"\n\r?\n")
_FOLDED = re.compile(rb"\n[ \t]")
_LENGTHS = re.compile(rb"\ncontent-length[ \t]*:", re.IGNORECASE)
_CODINGS = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)
# Written anew by the gateway, or of no meaning beyond one connection.
_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te"})
_NEVER = frozenset({b"http2-settings"})

Headers = list[tuple[bytes, bytes]]


class BadRequestError(Exception):
    """A request that is answered by the gateway itself, with status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ClientGoneError(Exception):
    """The client left before it had said what it wants."""


class EngineGoneError(Exception):
    """The engine does not answer, or stopped in the middle of an answer."""


@dataclass(frozen=True)
class Answer:
    """A whole answer of the engine."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> object:
        """Return the decoded body, or None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def reason(self) -> str:
        """The engine's error text."""
        found = self.json()
        if isinstance(found, Mapping) and isinstance(found.get("message"), str):
            return str(found["message"])
        return self.body[:500].decode(errors="replace").strip()


@dataclass
class Request:
    """A request head as read from a client; `rest` is what came behind it."""

    method: str
    target: str
    headers: Headers
    parser: h11.Connection
    rest: bytes = field(default=b"", repr=False)

    def header(self, name: bytes) -> bytes:
        """Return the first value of a header, lower-case name, or nothing."""
        return next((v for k, v in self.headers if k.lower() == name), b"")

    @property
    def is_form(self) -> bool:
        """Would the engine read parameters from the body, too?"""
        kind = self.header(b"content-type").lower()
        return b"form" in kind


def head_bytes(
    method: str, target: str, headers: Iterable[tuple[bytes, bytes]], *, upgrade: bool
) -> bytes:
    """Return a request head for the engine that ends the connection after it."""
    kept = []
    protocol = False
    for name, value in headers:
        lower = name.lower()
        if lower in _HOP or lower in _NEVER:
            continue
        if lower == b"upgrade":
            if not upgrade or protocol:
                continue
            protocol = True
        kept.append((name, value))
    kept.append((b"Connection", b"Upgrade, close" if protocol else b"close"))
    request = h11.Request(method=method, target=target, headers=kept)
    data = h11.Connection(h11.CLIENT).send(request)
    assert data is not None  # noqa: S101 - h11 returns None only for ConnectionClosed
    return data


async def read_request(client: socket.socket) -> Request:
    """Return the next request head from a client.

    Raises ClientGoneError at the end of the stream, BadRequestError for a head that
    cannot be used.
    """
    loop = asyncio.get_running_loop()
    data = b""
    while not (end := _HEAD_END.search(data)):
        if len(data) > HEAD_LIMIT:
            raise BadRequestError(431, "the request head is too large")
        more = await loop.sock_recv(client, 65536)
        if not more:
            raise ClientGoneError
        data += more
    head, rest = data[: end.end()], data[end.end() :]
    if _FOLDED.search(head):
        raise BadRequestError(400, "folded header lines are not accepted")
    lengths, codings = len(_LENGTHS.findall(head)), len(_CODINGS.findall(head))
    if lengths + codings > 1:
        raise BadRequestError(400, "the length of the request is stated more than once")
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
    try:
        parser.receive_data(head)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        raise BadRequestError(400, f"not a proper HTTP request: {error}") from None
    if not isinstance(event, h11.Request):
        raise BadRequestError(400, "not a proper HTTP request")
    if event.http_version != b"1.1":
        raise BadRequestError(505, "HTTP/1.1 is needed")
    return Request(
        event.method.decode("ascii"),
        event.target.decode("ascii"),
        list(event.headers.raw_items()),
        parser,
        rest,
    )


async def read_body(client: socket.socket, request: Request, limit: int) -> bytes:
    """Return the whole body of a request, of a size up to `limit`."""
    loop = asyncio.get_running_loop()
    parser = request.parser
    if parser.they_are_waiting_for_100_continue:
        await loop.sock_sendall(client, b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    try:
        if request.rest:
            parser.receive_data(request.rest)
            request.rest = b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                more = await loop.sock_recv(client, 65536)
                if not more:
                    raise ClientGoneError
                parser.receive_data(more)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > limit:
                    raise BadRequestError(413, "the request body is too large")
            else:
                return bytes(body)
    except h11.RemoteProtocolError as error:
        raise BadRequestError(400, f"not a proper HTTP request: {error}") from None


async def connect(path: str) -> socket.socket:
    """Return a connection to the engine's socket."""
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    deadline = loop.time() + CONNECT_SECONDS
    try:
        while True:
            try:
                sock.connect(path)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            except BlockingIOError:
                # The engine's queue of new connections is full. A Unix socket does
                # not say when it is not, so asyncio's own sock_connect is no help.
                if loop.time() > deadline:
                    raise EngineGoneError("it takes no new connection") from None
                await asyncio.sleep(0.02)
            else:
                return sock
    except OSError as error:
        sock.close()
        raise EngineGoneError(error.strerror or str(error)) from error
    except BaseException:
        sock.close()
        raise


async def ask(
    path: str,
    method: str,
    target: str,
    headers: Iterable[tuple[bytes, bytes]] = ((b"Host", b"docker"),),
    body: bytes = b"",
) -> Answer:
    """Send a request with a known body to the engine and return its whole answer."""
    loop = asyncio.get_running_loop()
    sent = [
        (k, v)
        for k, v in headers
        if k.lower() not in {b"content-length", b"transfer-encoding", b"expect"}
    ]
    if body or method == "POST":
        sent.append((b"Content-Length", str(len(body)).encode()))
    engine = await connect(path)
    try:
        head = head_bytes(method, target, sent, upgrade=False)
        await loop.sock_sendall(engine, head + body)
        answer, _ = await read_answer(engine, method, target, sent)
    except OSError as error:
        raise EngineGoneError(error.strerror or str(error)) from error
    finally:
        engine.close()
    assert answer is not None  # noqa: S101 - no `until` was given
    return answer


async def read_answer(
    engine: socket.socket,
    method: str,
    target: str,
    headers: Headers,
    until: Callable[[int], bool] = lambda status: False,
) -> tuple[Answer | None, bytes]:
    """Read an answer of the engine; return it, and the raw bytes read.

    Where `until` says so of the status, the reading stops at the head: the answer is
    None, and the raw bytes are the beginning of a stream to pass on.
    """
    loop = asyncio.get_running_loop()
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    # h11 must know the request to know how its answer is framed.
    parser.send(h11.Request(method=method, target=target, headers=[*headers]))
    raw = b""
    status, found, body = 0, [], bytearray()
    try:
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                more = await loop.sock_recv(engine, 65536)
                if not status:
                    raw += more
                parser.receive_data(more)
            elif isinstance(event, h11.Response):
                status, found = event.status_code, list(event.headers.raw_items())
                if until(status):
                    return None, raw
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > ANSWER_LIMIT:
                    raise EngineGoneError("its answer is too large")
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, found, bytes(body)), raw
            elif not isinstance(event, h11.InformationalResponse):
                raise EngineGoneError("it ended the connection")
    except h11.RemoteProtocolError as error:
        raise EngineGoneError(f"its answer breaks off: {error}") from error
    except OSError as error:
        raise EngineGoneError(error.strerror or str(error)) from error


async def respond(
    client: socket.socket,
    method: str,
    status: int,
    body: bytes,
    headers: Iterable[tuple[bytes, bytes]] = ((b"Content-Type", b"application/json"),),
) -> None:
    """Answer a client from here, and end the connection."""
    loop = asyncio.get_running_loop()
    sent = [
        (name, value)
        for name, value in headers
        if name.lower()
        not in {b"connection", b"content-length", b"transfer-encoding", b"keep-alive"}
    ]
    length = str(len(body)).encode()
    sent += [(b"Content-Length", length), (b"Connection", b"close")]
    reason = _REASONS.get(status, "Unknown")
    head = f"HTTP/1.1 {status} {reason}\r\n".encode()
    head += b"".join(b"%s: %s\r\n" % pair for pair in sent) + b"\r\n"
    try:
        await loop.sock_sendall(client, head + (b"" if method == "HEAD" else body))
        client.shutdown(socket.SHUT_WR)
    except OSError:
        return
    await drain(client)


_REASONS = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


def error_body(message: str) -> bytes:
    """Return the form in which the engine tells errors, which clients show."""
    return json.dumps({"message": f"ds01: {message}"}).encode() + b"\n"


async def drain(client: socket.socket) -> None:
    """Wait a moment for a client to stop sending.

    A socket that is closed with unread bytes in it tells the other side of an error,
    which some clients report instead of the answer that they were given.
    """
    loop = asyncio.get_running_loop()

    async def read_on() -> None:
        while await loop.sock_recv(client, 65536):
            pass

    try:
        await asyncio.wait_for(read_on(), LINGER_SECONDS)
    except (OSError, asyncio.TimeoutError):
        return


class Gate:
    """Holds a stream from the piece in which one of some byte strings first ends.

    `reached` is set then; the piece, and all after it, go on with `opened`.
    """

    def __init__(self, marks: tuple[bytes, ...]) -> None:
        loop = asyncio.get_running_loop()
        self.reached: asyncio.Future[None] = loop.create_future()
        self.opened: asyncio.Future[None] = loop.create_future()
        self._marks = marks
        self._tail = b""

    def closes_at(self, data: memoryview) -> bool:
        """Is this the piece? Only one ever is."""
        if self.reached.done():
            return False
        seen = self._tail + bytes(data)
        if any(mark in seen for mark in self._marks):
            self.reached.set_result(None)
            return True
        self._tail = seen[-max(map(len, self._marks)) :]
        return False


class Pump:
    """One direction of a stream: reads when the other side can take it, not before."""

    # Shared by all pumps: they run one at a time, and keep only what was not taken.
    _buffer = memoryview(bytearray(_CHUNK))

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        begin: bytes,
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._source, self._sink = source, sink
        self._pending = memoryview(begin)
        self._ended = False
        self.broken = False
        self.done: asyncio.Future[None] = self._loop.create_future()
        if begin:
            self._loop.add_writer(sink, self._write)
        else:
            self._loop.add_reader(source, self._read)

    def _read(self) -> None:
        # A few at once: asking the event loop in between costs as much as reading.
        for _ in range(_READS_AT_ONCE):
            try:
                count = self._source.recv_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                count = 0
            if not count:
                self._loop.remove_reader(self._source)
                self._end()
                return
            if self._gate is not None and self._gate.closes_at(self._buffer[:count]):
                self._pending = memoryview(bytes(self._buffer[:count]))
                self._loop.remove_reader(self._source)
                self._gate.opened.add_done_callback(self._go_on)
                return
            sent = self._send(self._buffer[:count])
            if self.broken:
                return
            if sent < count:
                self._pending = memoryview(bytes(self._buffer[sent:count]))
                self._loop.remove_reader(self._source)
                self._loop.add_writer(self._sink, self._write)
                return

    def _go_on(self, opened: asyncio.Future[None]) -> None:
        if not opened.cancelled() and not self.done.done():
            self._loop.add_writer(self._sink, self._write)

    def _send(self, data: memoryview) -> int:
        try:
            return self._sink.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.broken = True
            self.stop()
            return 0

    def _write(self) -> None:
        sent = self._send(self._pending)
        if self.broken:
            return
        self._pending = self._pending[sent:]
        if not self._pending:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._read)

    def _end(self) -> None:
        try:
            self._sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.broken = True
        self.stop()

    def stop(self) -> None:
        """Take no further part in the event loop."""
        if not self.done.done():
            self._loop.remove_reader(self._source)
            self._loop.remove_writer(self._sink)
            self.done.set_result(None)


def _is_closed(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


async def splice(
    client: socket.socket,
    engine: socket.socket,
    up: Pump,
    begin: bytes = b"",
) -> None:
    """Pass bytes both ways until both directions have ended, or one side is gone.

    `up` is the direction to the engine, already under way; `begin` is what the engine
    has already said.
    """
    down = Pump(engine, client, begin)
    try:
        await down.done
        if down.broken:
            return
        # The engine has said all. It may still listen (a container that closed its
        # output but reads on), unless it closed for good.
        while not up.done.done():
            if up.broken or _is_closed(engine):
                up.stop()
                await drain(client)
                return
            await asyncio.wait({up.done}, timeout=LINGER_SECONDS)
    finally:
        up.stop()
        down.stop()
