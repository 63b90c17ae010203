"""The file of an exported container: an ordinary tar, each byte of it checked.

    metadata.json           what the container was
    metadata.json.sha256    as sha256sum writes it
    rootfs.tar.00001        the file system as `docker export` gives it, cut into
    rootfs.tar.00001.sha256 pieces of PIECE bytes
    …
    checksums.json          format, number of pieces, bytes, SHA-256 over all .sha256

Headers hold nothing but name and size, so a reader knows each byte of them; pieces are
checked before they are used, and nothing may follow the end. Both sides hold one piece
in memory and never seek.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from mlc_base import MlcError

FORMAT = 1
PIECE = 32 << 20
BLOCK = 512
RECORD = 20 * BLOCK
METADATA = "metadata.json"
METADATA_MOST = 1 << 20
CHECKSUMS = "checksums.json"


def piece_name(number: int) -> str:
    return f"rootfs.tar.{number:05}"


def header(name: str, size: int) -> bytes:
    """Return the one form that a member's header has in this format."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.USTAR_FORMAT)


def padding(size: int, unit: int = BLOCK) -> bytes:
    return b"\0" * (-size % unit)


def to_json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode("ascii") + b"\n"


def digest_line(name: str, data: bytes | bytearray | memoryview) -> bytes:
    """Return the line that `sha256sum -c` reads."""
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode("ascii")


def read_most(
    source: IO[bytes], size: int, tell: Callable[[int], None] = lambda _: None
) -> bytearray:
    """Return so many bytes of a stream, telling of each part; fewer only at its end."""
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        # readinto of a raw or buffered stream, both of which may give less.
        got = source.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            break
        filled += got
        tell(got)
    view.release()
    del data[filled:]
    return data


class Writer:
    """Writes an exported container to a stream."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._total = hashlib.sha256()
        self._written = 0
        self._pieces = 0
        self._bytes = 0

    def _member(self, name: str, data: bytes | bytearray) -> None:
        for part in (header(name, len(data)), data, padding(len(data))):
            self._out.write(part)
            self._written += len(part)

    def _checked(self, name: str, data: bytes | bytearray) -> None:
        line = digest_line(name, data)
        self._member(name, data)
        self._member(f"{name}.sha256", line)
        self._total.update(line)

    def metadata(self, value: dict[str, Any]) -> None:
        self._checked(METADATA, to_json(value))

    def piece(self, data: bytes | bytearray) -> None:
        self._pieces += 1
        self._bytes += len(data)
        self._checked(piece_name(self._pieces), data)

    def end(self) -> None:
        sums = summary(self._pieces, self._bytes, self._total.hexdigest())
        self._member(CHECKSUMS, sums)
        tail = b"\0" * (2 * BLOCK)
        self._out.write(tail + padding(self._written + len(tail), RECORD))


def summary(pieces: int, size: int, total: str) -> bytes:
    return to_json(
        {"format": FORMAT, "pieces": pieces, "rootfs_bytes": size, "sha256": total}
    )


class Reader:
    """Reads an exported container from a stream; whatever is not as Writer writes it
    is an MlcError."""

    def __init__(self, source: IO[bytes]) -> None:
        self._in = source
        self._total = hashlib.sha256()
        self._read = 0
        self._pieces = 0
        self._bytes = 0

    def _exactly(self, size: int) -> bytearray:
        data = read_most(self._in, size)
        if len(data) < size:
            raise MlcError("the file is truncated", "export the container again")
        self._read += size
        return data

    def _size(self, head: bytearray, name: str, most: int) -> int:
        """Return the size in a header, which must be the header of `name`."""
        try:
            size = tarfile.TarInfo.frombuf(head, "ascii", "strict").size
        except (tarfile.TarError, ValueError):
            size = -1
        if size < 0 or size > most or head != header(name, size):
            raise MlcError(
                f"the file is altered, or no exported container: no '{name}' where it "
                "must be"
            )
        return size

    def _body(self, size: int, name: str) -> bytearray:
        data = self._exactly(size)
        if any(self._exactly(len(padding(size)))):
            raise MlcError(f"the file is altered behind '{name}'")
        return data

    def _checked(self, head: bytearray, name: str, most: int) -> bytearray:
        data = self._body(self._size(head, name, most), name)
        line = digest_line(name, data)
        sums = f"{name}.sha256"
        size = self._size(self._exactly(BLOCK), sums, len(line))
        if self._body(size, sums) != line:
            raise MlcError(f"the file is altered: '{name}' has another checksum")
        self._total.update(line)
        return data

    def metadata(self) -> dict[str, Any]:
        data = self._checked(self._exactly(BLOCK), METADATA, METADATA_MOST)
        try:
            value = json.loads(data)
        except ValueError as error:
            raise MlcError(f"'{METADATA}' of the file is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise MlcError(f"'{METADATA}' of the file is no JSON object")
        if value.get("format") != FORMAT:
            raise MlcError(
                f"the file has format {value.get('format')!r}; this mlc reads {FORMAT}"
            )
        return value

    def pieces(self) -> Iterator[bytearray]:
        """Yield each piece once it is checked; end only at the right end of the file.

        The last piece is yielded after the end was checked: who has it has all.
        """
        held: bytearray | None = None
        while True:
            head = self._exactly(BLOCK)
            if head.startswith(CHECKSUMS.encode("ascii")):
                self._end(head)
                if held is not None:
                    yield held
                return
            name = piece_name(self._pieces + 1)
            data = self._checked(head, name, PIECE)
            self._pieces += 1
            self._bytes += len(data)
            if held is not None:
                yield held
            held = data

    def _end(self, head: bytearray) -> None:
        expected = summary(self._pieces, self._bytes, self._total.hexdigest())
        size = self._size(head, CHECKSUMS, len(expected))
        if self._body(size, CHECKSUMS) != expected:
            raise MlcError(
                "the file is altered: its pieces are not those it was made of"
            )
        rest = 2 * BLOCK + len(padding(self._read + 2 * BLOCK, RECORD))
        if any(self._exactly(rest)) or self._in.read(1):
            raise MlcError("something follows the end of the file")
