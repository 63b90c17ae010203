"""image_probe, image_workshop: what a base says of itself."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from ds01.images.versions.probe import Found, Package, parse, probe, stand_ins
from ds01.images.versions.workshop import Done, Workshop, split_stream

END = "--ds01-next--\n"
PYTHON = (
    '{"version": "3.11.2", "interpreter": "/usr/bin/python3", "pip": null, '
    '"packages": {"My_Pkg": ["1.0", null, null]}}\n'
)
TEXT = (
    f'PRETTY_NAME="Debian 12"\nID=debian\n{END}'
    f"bash\t5.2\tii \nold\t1\trc \n{END}/usr/bin/apt-get\n{END}{PYTHON}{END}uv 0.13.9\n"
)


def test_the_answers_are_read() -> None:
    found = parse(TEXT.replace("null, null", "[], []"))
    assert (found.system, found.python, found.installer) == (
        *("Debian 12", "3.11.2", "uv"),
    )
    assert found.apt == {"bash": "5.2"}
    assert found.packages == {"my-pkg": Package("1.0")}
    assert found.has_apt


class Base:
    """A workshop of a base whose Python comes with apt."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def uv(self) -> str:
        return "uv"

    def run(self, words: Sequence[str]) -> Done:
        self.asked.append(words[2])
        has_python = any("apt-get install" in script for script in self.asked)
        text = TEXT if has_python else TEXT.replace(PYTHON, "")
        return Done(0, text.replace("null, null", "[], []"), "")


def test_a_base_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a b"))
    base = Base()
    workshop = cast("Workshop", base)
    bare = probe(workshop, "sha256:12")
    assert (bare.python, bare.has_apt, bare.was_without) == ("-", True, False)
    assert probe(workshop, "sha256:12") == bare
    assert len(base.asked) == 1
    found = probe(workshop, "sha256:12", needs_python=True)
    assert (found.python, found.was_without) == ("3.11.2", True)
    assert probe(workshop, "sha256:12", needs_python=True) == found
    assert len(base.asked) == 3
    kept = tmp_path / "a b/ds01/base-12.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.write_text("{")
    assert probe(workshop, "sha256:12").python == "3.11.2"
    assert len(base.asked) == 4


def test_a_base_without_anything_says_so() -> None:
    found = parse(f"{END}{END}{END}{END}")
    assert (found.python, found.installer, found.has_apt) == ("-", "none", False)
    assert parse("sh: odd").apt == {}


def test_stand_ins_need_only_what_the_base_fulfils() -> None:
    packages = {
        "torch": Package(
            "2.7.1+cu118",
            ("numpy<3", "sympy>=99", "gone>=1", "extra-one; extra == 'x'"),
            ("x",),
        ),
        "numpy": Package("1.26.4"),
        "sympy": Package("1.13"),
        "odd": Package("not a version"),
    }
    wheels = stand_ins(Found(packages=packages))
    names = sorted(name.partition("-")[0] for name in wheels)
    assert names == ["numpy", "sympy", "torch"]
    data = wheels["torch-2.7.1+cu118-py3-none-any.whl"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = archive.read("torch-2.7.1+cu118.dist-info/METADATA").decode()
    assert "Requires-Dist: numpy<3\n" in text
    assert "extra == 'x'" in text
    assert "sympy" not in text
    assert "gone" not in text
    assert stand_ins(Found(packages=packages)) == wheels


def test_the_engines_stream_is_taken_apart() -> None:
    def frame(kind: int, data: bytes) -> bytes:
        return struct.pack(">BxxxI", kind, len(data)) + data

    data = frame(1, b"out") + frame(2, b"err") + frame(1, "ü".encode())
    assert split_stream(data) == ("outü", "err")
    assert split_stream(b"") == ("", "")
