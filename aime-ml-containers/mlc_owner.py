"""Give the files in a tar stream to another user while they pass by.

An import does this rather than chown in the container, which would copy each file.
"""

from __future__ import annotations

from mlc_base import MlcError

BLOCK = 512
_HEADER_ONLY = b"123456"
_PREFIXES = b"xgLK"  # blocks that belong to the header which follows them
_PREFIX_MOST = 8 << 20

Records = list[tuple[bytes, bytes]]


def read_number(field: bytes | bytearray) -> int:
    """Return a number of a header: octal digits, or base 256 behind a set bit."""
    if field[0] & 0x80:
        return int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    return int(field.strip(b" \0") or b"0", 8)


def write_number(value: int, width: int) -> bytes:
    """Return a number for a header field; base 256 where octal digits do not do."""
    if value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def read_pax(data: bytes) -> Records:
    """Return the (key, value) records of a PAX header."""
    records, at = [], 0
    while at < len(data) and data[at] != 0:
        space = data.index(b" ", at)
        end = at + int(data[at:space])
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or end <= space or data[end - 1 : end] != b"\n":
            raise ValueError("no PAX record")
        records.append((key, value))
        at = end
    return records


def write_pax(records: Records) -> bytes:
    """Return PAX records; the length in front of each counts its own digits."""
    out = []
    for key, value in records:
        rest = len(key) + len(value) + 3
        size = rest + len(str(rest))
        size = rest + len(str(size))
        out.append(b"%d %b=%b\n" % (size, key, value))
    return b"".join(out)


def _check_size(size: int, most: int) -> None:
    if not 0 <= size <= most:
        raise ValueError(f"a size of {size}")


def _with_sum(head: bytearray) -> bytes:
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


class Owner:
    """Changes owner and group of one user's entries in the pieces that are fed in."""

    def __init__(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        self._old, self._new = old, new
        self._buffer = bytearray()
        self._skip = 0  # bytes of a body still to pass as they are
        self._prefix: list[tuple[bytearray, bytes]] = []

    def feed(self, data: bytes | bytearray) -> bytes:
        """Return what can be passed on."""
        self._buffer += data
        out: list[bytes] = []
        at = 0
        view = self._buffer
        while True:
            if self._skip:
                part = bytes(view[at : at + self._skip])
                out.append(part)
                at += len(part)
                self._skip -= len(part)
                if self._skip:
                    break
            used = self._header(view, at, out)
            if used == 0:
                break
            at += used
        del self._buffer[:at]
        return b"".join(out)

    def finish(self) -> bytes:
        """Return what is left at the end of the stream."""
        return bytes(self._buffer)

    def _header(self, view: bytearray, at: int, out: list[bytes]) -> int:
        """Pass one header, with its prefix blocks; return the bytes used, 0 for
        `feed me more`."""
        if len(view) < at + BLOCK:
            return 0
        head = view[at : at + BLOCK]
        if not any(head):
            out.append(bytes(head))
            return BLOCK
        kind = head[156:157]
        try:
            size = read_number(head[124:136])
            if kind in _PREFIXES:
                _check_size(size, _PREFIX_MOST)
                whole = BLOCK + size + -size % BLOCK
                if len(view) < at + whole:
                    return 0
                self._prefix.append((head, bytes(view[at + BLOCK : at + BLOCK + size])))
                return whole
            self._entry(head, size, out)
        except (ValueError, OverflowError) as error:
            raise MlcError(f"the file system in the file is no tar: {error}") from None
        return BLOCK

    def _entry(self, head: bytearray, size: int, out: list[bytes]) -> None:
        pax = next(
            (data for block, data in self._prefix if block[156:157] == b"x"), b""
        )
        records = read_pax(pax)
        values = dict(records)
        size = int(values[b"size"]) if b"size" in values else size
        _check_size(size, 1 << 62)
        uid, gid = read_number(head[108:116]), read_number(head[116:124])
        uid = int(values[b"uid"]) if b"uid" in values else uid
        gid = int(values[b"gid"]) if b"gid" in values else gid
        if uid == self._old[0]:
            records = self._change(head, records, b"uid", 108, self._new[0])
            if gid == self._old[1]:
                records = self._change(head, records, b"gid", 116, self._new[1])
        for block, data in self._prefix:
            body = write_pax(records) if block[156:157] == b"x" else data
            block[124:136] = write_number(len(body), 12)
            out += [_with_sum(block), body, b"\0" * (-len(body) % BLOCK)]
        self._prefix = []
        out.append(_with_sum(head))
        if head[156:157] not in _HEADER_ONLY:
            self._skip = size + -size % BLOCK

    @staticmethod
    def _change(
        head: bytearray, records: Records, key: bytes, at: int, value: int
    ) -> Records:
        """Set one id, in the PAX record if there is one, else in the header."""
        if any(name == key for name, _ in records):
            text = str(value).encode("ascii")
            return [(name, text if name == key else old) for name, old in records]
        # Beyond seven octal digits the base-256 form, which all readers know.
        head[at : at + 8] = write_number(value, 8)
        return records
