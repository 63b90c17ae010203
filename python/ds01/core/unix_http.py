"""HTTP/1.1 over a Unix socket, one request a connection: all that the engine needs.

http.client would do, but it loads the parser of e-mail: 20 of the 60 ms that a list of
containers takes. RFC 9112; what an engine does not send (continuation lines, trailers
that matter, other encodings than chunked) is not read.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import BinaryIO

_PIECE = 1 << 20
_LINE = 1 << 16
# Answers without a body, whatever their head says.
_BODILESS = frozenset({204, 304})


class BadAnswerError(OSError):
    """What answers is no engine, or its answer broke off."""


class Exchange:
    """One request and its answer; use it as a context manager."""

    status: int

    def __init__(  # noqa: PLR0917 - what a request is made of
        self,
        path: str,
        timeout: float,
        method: str,
        target: str,
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> None:
        """Send a request to the socket at `path` and read the head of its answer.

        `timeout` is in seconds, for each wait. Raises OSError where nobody answers,
        ValueError for a target with blanks or control characters.
        """
        if any(char <= " " or char == "\x7f" for char in target):
            raise ValueError(f"not a target: {target!a}")
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if body is not None:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
            self._socket.sendall(head.encode() + b"\r\n" + (body or b""))
            self._answer: BinaryIO = self._socket.makefile("rb")
            self._read_head(method)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._socket.close()

    def _line(self) -> bytes:
        line = self._answer.readline(_LINE)
        if not line.endswith(b"\n"):
            raise BadAnswerError("the answer broke off")
        return line.strip()

    def _read_head(self, method: str) -> None:
        version, _, rest = self._line().partition(b" ")
        number = rest[:3]
        if not version.startswith(b"HTTP/1.") or not number.isdigit():
            raise BadAnswerError("this is not HTTP")
        self.status = int(number)
        self._length: int | None = None
        self._is_chunked = False
        while line := self._line():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length" and value.strip().isdigit():
                self._length = int(value)
            elif name.lower() == b"transfer-encoding":
                self._is_chunked = value.strip().lower() == b"chunked"
        if method == "HEAD" or self.status in _BODILESS:
            self._length, self._is_chunked = 0, False

    def pieces(self) -> Iterator[bytes]:
        """Yield the body piece by piece; raises OSError if it breaks off."""
        if not self._is_chunked:
            yield from self._exactly(self._length)
            return
        while size := int(self._line().partition(b";")[0], 16):
            yield from self._exactly(size)
            self._line()

    def _exactly(self, size: int | None) -> Iterator[bytes]:
        """Yield so many bytes, with None all that there are."""
        while size is None or size > 0:
            piece = self._answer.read(_PIECE if size is None else min(size, _PIECE))
            if not piece:
                if size is None:
                    return
                raise BadAnswerError("the answer broke off")
            yield piece
            if size is not None:
                size -= len(piece)
