"""image_probe, image_workshop: what a base says of itself."""

from __future__ import annotations

import io
import struct
import zipfile

from ds01.images.versions.probe import (
    Found,
    Package,
    from_json,
    parse,
    stand_ins,
    to_json,
)
from ds01.images.versions.workshop import split_stream

END = "--ds01-next--\n"
PYTHON = (
    '{"version": "3.11.2", "interpreter": "/usr/bin/python3", "pip": null, '
    '"external": true, "packages": {"My_Pkg": ["1.0", null, null]}}\n'
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
    assert found.is_external
    assert found.has_apt
    assert from_json(to_json(found)) == found


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
