"""HTTP/1.1 as a client speaks it to the Docker engine: one connection, kept open.

Not http.client, whose import (email, ssl) takes longer than all that a list command
does. The engine's answers are plain: a length, chunks, or an end with the connection.
"""

from __future__ import annotations

import re
import socket
from typing import IO

_LONGEST_LINE = 65536
_MOST_HEADERS = 200
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])\b")
_NO_BODY = frozenset({204, 304})
_OK_TARGET = re.compile(r"/[!-~]*", re.ASCII)


class ProtocolError(ConnectionError):
    """What came is no whole answer."""


class Answer:
    """An answer whose body is still to be read."""

    def __init__(self, stream: IO[bytes], *, head_only: bool) -> None:
        """Read the head; raises OSError."""
        self._stream = stream
        self.status, headers = self._head()
        while self.status < 200:
            self.status, headers = self._head()
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        length = headers.get(b"content-length", b"")
        # Bytes that are left, of the body or of the chunk; None is until the end.
        self._left: int | None = int(length) if length.isdigit() else None
        self.ends_connection = headers.get(b"connection", b"").lower() == b"close"
        self.is_read = head_only or self.status in _NO_BODY
        if self._chunked:
            self._left = 0
        elif self._left == 0:
            self.is_read = True
        elif self._left is None and not self.is_read:
            self.ends_connection = True

    def _line(self) -> bytes:
        line = self._stream.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ProtocolError("the answer breaks off, or is none of HTTP")
        return line.rstrip(b"\r\n")

    def _head(self) -> tuple[int, dict[bytes, bytes]]:
        found = _STATUS.match(self._line())
        if found is None:
            raise ProtocolError("the answer is none of HTTP")
        headers: dict[bytes, bytes] = {}
        for _ in range(_MOST_HEADERS):
            line = self._line()
            if not line:
                return int(found[1]), headers
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        raise ProtocolError("the answer has too many headers")

    def read(self, most: int = -1) -> bytes:
        """Return what is left of the body, or a piece of it; nothing at its end.

        Raises OSError, also where the answer breaks off.
        """
        pieces = []
        while not self.is_read and most != 0:
            piece = self._piece(most)
            pieces.append(piece)
            if most > 0:
                most -= len(piece)
        return b"".join(pieces)

    def _piece(self, most: int) -> bytes:
        if self._chunked and self._left == 0 and not self._next_chunk():
            return b""
        if self._left is None:
            piece = self._stream.read(most)
            self.is_read = not piece or most < 0
            return piece
        piece = self._stream.read(self._left if most < 0 else min(most, self._left))
        if not piece:
            raise ProtocolError("the answer breaks off")
        self._left -= len(piece)
        if self._left == 0:
            if not self._chunked:
                self.is_read = True
            elif self._line():
                raise ProtocolError("a chunk is longer than it says")
        return piece

    def _next_chunk(self) -> bool:
        size = self._line().partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError as error:
            raise ProtocolError("a chunk has no length") from error
        if self._left > 0:
            return True
        while self._line():
            pass
        self.is_read = True
        return False


class Connection:
    """A connection to a Unix socket, opened when it is needed."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._stream: IO[bytes] | None = None
        self._answer: Answer | None = None

    def request(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> Answer:
        """Send a request; return its answer, to be read before the next request.

        Raises OSError, and ValueError for what is no target.
        """
        if not _OK_TARGET.fullmatch(target):
            raise ValueError(f"'{target}' is no target of a request")
        before = self._answer
        if before is not None and (before.ends_connection or not before.is_read):
            self.close()
        if self._socket is None:
            self._open()
        assert self._socket is not None and self._stream is not None  # noqa: S101
        head = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None or method in {"POST", "PUT"}:
            head.append(f"Content-Length: {len(body or b'')}")
        self._socket.sendall("\r\n".join([*head, "", ""]).encode("ascii"))
        if body:
            self._socket.sendall(body)
        self._answer = Answer(self._stream, head_only=method == "HEAD")
        return self._answer

    def _open(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self._timeout)
        self._socket.connect(self._path)
        self._stream = self._socket.makefile("rb")

    def close(self) -> None:
        """End the connection; the next request opens another."""
        for it in (self._stream, self._socket):
            if it is not None:
                it.close()
        self._socket = self._stream = self._answer = None
