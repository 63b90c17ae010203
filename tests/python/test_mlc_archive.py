"""mlc's exported file: each byte of it counts; owners change while it streams."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import mlc_archive
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlc_archive import PIECE, RECORD, Reader, Writer, piece_name
from mlc_base import MlcError
from mlc_owner import Owner, read_number, read_pax, write_number, write_pax

PIECES = [b"a" * 700, b"b" * 512, b"c"]


def archive(pieces: list[bytes] | None = None) -> bytes:
    out = io.BytesIO()
    writer = Writer(out)
    writer.metadata({"format": 1, "name": "x"})
    for piece in PIECES if pieces is None else pieces:
        writer.piece(piece)
    writer.end()
    return out.getvalue()


def read(data: bytes) -> list[bytes]:
    reader = Reader(io.BytesIO(data))
    reader.metadata()
    return [bytes(piece) for piece in reader.pieces()]


def test_archive_is_read_back() -> None:
    assert read(archive()) == PIECES
    assert read(archive([])) == []


def test_archive_is_an_ordinary_tar(tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    file.write_bytes(archive())
    assert file.stat().st_size % RECORD == 0
    subprocess.run(["tar", "xf", file], cwd=tmp_path, check=True)
    subprocess.run("sha256sum -c *.sha256", shell=True, cwd=tmp_path, check=True)  # noqa: S602
    joined = b"".join(
        path.read_bytes() for path in sorted(tmp_path.glob("rootfs.tar.?????"))
    )
    assert joined == b"".join(PIECES)
    sums = json.loads((tmp_path / "checksums.json").read_bytes())
    lines = [
        (tmp_path / f"{name}.sha256").read_bytes()
        for name in ("metadata.json", *(piece_name(number) for number in (1, 2, 3)))
    ]
    assert sums["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    assert sums["rootfs_bytes"] == sum(map(len, PIECES))


def test_archive_refuses_each_altered_byte() -> None:
    whole = archive()
    for at in range(0, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 0x10
        with pytest.raises(MlcError):
            read(bytes(data))


def test_archive_refuses_each_truncation() -> None:
    whole = archive()
    for size in [*range(0, len(whole), 256), len(whole) - 1]:
        with pytest.raises(MlcError, match="truncated"):
            read(whole[:size])


def test_archive_refuses_what_follows_pieces_left_out_and_swapped() -> None:
    whole = archive()
    for tail in (b"\0", b"x", b"\0" * RECORD, whole):
        with pytest.raises(MlcError, match="follows"):
            read(whole + tail)
    # Whole members left out: the first piece, the last piece.
    first = whole.index(b"rootfs.tar.00001\0")
    second = whole.index(b"rootfs.tar.00002\0")
    sums = whole.index(b"checksums.json\0")
    third = whole.index(b"rootfs.tar.00003\0")
    for data in (
        whole[:first] + whole[second:],
        whole[:third] + whole[sums:],
        whole[:first] + whole[second:third] + whole[first:second] + whole[third:],
    ):
        with pytest.raises(MlcError):
            read(data)


def test_archive_gives_the_last_piece_only_after_the_end_was_checked() -> None:
    data = bytearray(archive())
    data[data.index(b"rootfs_bytes")] ^= 1
    reader = Reader(io.BytesIO(bytes(data)))
    reader.metadata()
    seen = []
    with pytest.raises(MlcError):
        for piece in reader.pieces():
            seen.append(bytes(piece))
    assert seen == PIECES[:-1]


def test_archive_refuses_other_files_and_formats() -> None:
    for data in (b"", b"x" * 4096, b"\0" * 20480, b"PK\x03\x04" + b"\0" * 1000):
        with pytest.raises(MlcError):
            read(data)
    out = io.BytesIO()
    writer = Writer(out)
    writer.metadata({"format": 2})
    writer.end()
    with pytest.raises(MlcError, match="has format 2; this mlc reads 1"):
        read(out.getvalue())


def test_archive_refuses_huge_members() -> None:
    data = mlc_archive.header("metadata.json", 1 << 32) + b"\0" * 2048
    with pytest.raises(MlcError, match="altered"):
        read(data)
    assert PIECE <= 64 << 20


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._in = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._in.read(min(97, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def test_archive_is_read_from_a_pipe() -> None:
    reader = Reader(Trickle(archive()))  # type: ignore[arg-type]
    reader.metadata()
    assert [bytes(piece) for piece in reader.pieces()] == PIECES


def tree(form: int, *, uid: int, gid: int) -> bytes:
    """A tar with the kinds of entries that a file system has."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:

        def add(
            name: str, kind: bytes, owner: tuple[int, int], data: bytes = b""
        ) -> None:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            info.uid, info.gid = owner
            if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE}:
                info.linkname = "etc/passwd"
            tar.addfile(info, io.BytesIO(data))

        add("etc", tarfile.DIRTYPE, (0, 0))
        add("etc/passwd", tarfile.REGTYPE, (0, 0), b"root:x:0:0" * 100)
        add("home/a", tarfile.DIRTYPE, (uid, gid))
        add("home/a/f", tarfile.REGTYPE, (uid, gid), b"f" * 1025)
        add("home/a/other-group", tarfile.REGTYPE, (uid, 44), b"")
        add("srv/group-only", tarfile.REGTYPE, (0, gid), b"12")
        add("home/a/" + "long/" * 40 + "ü", tarfile.REGTYPE, (uid, gid), b"x")
        add("home/a/link", tarfile.SYMTYPE, (uid, gid))
        add("home/a/hard", tarfile.LNKTYPE, (uid, gid))
    return out.getvalue()


def content(data: bytes) -> list[tuple[str, int, int, bytes, bytes]]:
    found = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            member = tar.extractfile(info) if info.isreg() else None
            body = member.read() if member else b""
            found.append((info.name, info.uid, info.gid, info.type, body))
    return found


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize(
    "old", [(1000, 1000), (3000000001, 3000000002), (1000, 3000000002)]
)
@pytest.mark.parametrize("new", [(1001, 2000), (4294967294, 4294967294), (0, 0)])
@pytest.mark.parametrize("step", [100, 512, 100_000])
def test_owner_changes_the_users_entries_only(
    form: int, old: tuple[int, int], new: tuple[int, int], step: int
) -> None:
    before = tree(form, uid=old[0], gid=old[1])
    owner = Owner(old, new)
    after = b"".join(
        owner.feed(before[at : at + step]) for at in range(0, len(before), step)
    )
    after += owner.finish()
    expected = [
        (
            name,
            new[0] if uid == old[0] else uid,
            new[1] if (uid, gid) == old else gid,
            kind,
            body,
        )
        for name, uid, gid, kind, body in content(before)
    ]
    assert content(after) == expected


def test_owner_without_a_change_passes_each_byte() -> None:
    data = tree(tarfile.PAX_FORMAT, uid=5, gid=6)
    owner = Owner((77, 77), (78, 78))
    # Header sums may be written in another style; the content is the same.
    assert content(owner.feed(data) + owner.finish()) == content(data)


@given(st.binary(max_size=3000))
def test_owner_survives_any_bytes(data: bytes) -> None:
    owner = Owner((1, 1), (2, 2))
    try:
        owner.feed(data)
        owner.finish()
    except MlcError:
        pass


@given(st.integers(0, 2**56 - 1), st.sampled_from([8, 12]))
def test_numbers_of_headers_are_read_back(value: int, width: int) -> None:
    field = write_number(value, width)
    assert len(field) == width
    assert read_number(field) == value


_KEYS = st.binary(min_size=1).filter(lambda key: b"=" not in key)


@given(st.lists(st.tuples(_KEYS, st.binary())))
def test_pax_records_are_read_back(records: list[tuple[bytes, bytes]]) -> None:
    assert read_pax(write_pax(records)) == records
