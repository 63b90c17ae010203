"""images/source/lock.py: the versions of an image, written, read and compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.images.source import lock as source_lock
from ds01.images.source.lock import Change, Lock, LockedBase

BASE = LockedBase(
    "a/b:1", "sha256:1", "a/b@sha256:2", "3.11.2", "/usr/bin/python3", "-"
)
LOCK = Lock(
    BASE,
    {
        "own": ("x==1.0", "y @ git+https://e.org/y@abc", "./w/z-2.0-py3-none-any.whl"),
        "ml": ("B_c[d]==2 ; os_name=='posix'", f"e==1 --hash=sha256:{'a' * 64}"),
    },
    {"ml": ("git=1:2.39", "jq")},
    {"x": "1.0"},
    {"jq": "1.6"},
)


def test_written_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "image.lock"
    assert source_lock.load_lock(file) is None
    text = source_lock.dump_lock(LOCK)
    file.write_text(text)
    assert source_lock.load_lock(file) == LOCK
    assert source_lock.dump_lock(LOCK) == text
    assert set(json.loads(text)) == {k.partition(".")[0] for k in source_lock.KEYS}
    base = {k.partition(".")[2] for k in source_lock.KEYS if k.startswith("base.")}
    assert set(json.loads(text)["base"]) == base


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "its version is not 1"),
        ('{"version": 2}', "its version is not 1"),
        ('{"version": 1}', "'base'"),
        ('{"version": 1, "base": {}}', "missing"),
        ('{"version": 1, "base": {"image": "a"}, "x": 1}', "unknown key 'x'"),
        ("[" * 100000, "recursion"),
    ],
)
def test_what_is_no_lock(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "image.lock"
    file.write_text(text)
    with pytest.raises(HelperError) as caught:
        source_lock.load_lock(file)
    assert caught.value.code == Exit.CONFIG
    assert why in caught.value.message
    assert f"rm {file}" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("layers", "apt_layers"),
    [
        ({"own": ("x\nRUN id",)}, {}),
        ({"own": ("-r /etc/passwd",)}, {}),
        ({"own": ("x @ https://me:S3CRET@e.org/x.whl",)}, {}),
        ({"own": ("x @ file:///etc/x.whl",)}, {}),
        ({}, {"own": ("git; id",)}),
        ({}, {"own": ("git\n",)}),
    ],
)
def test_a_pin_is_one_requirement_without_a_password(
    layers: dict[str, tuple[str, ...]], apt_layers: dict[str, tuple[str, ...]]
) -> None:
    lock = replace(LOCK, layers=layers, apt_layers=apt_layers)
    with pytest.raises(ValueError, match=r".") as caught:
        source_lock.dump_lock(lock)
    assert "S3CRET" not in str(caught.value)
    value = {
        "version": 1,
        "base": vars(BASE),
        "layers": {k: list(v) for k, v in layers.items()},
        "apt_layers": {k: list(v) for k, v in apt_layers.items()},
    }
    with pytest.raises(ValueError, match=r"."):
        source_lock.parse_lock(json.dumps(value))


def test_pins() -> None:
    assert source_lock.pinned_pip(LOCK) == {
        "x": "1.0",
        "y": "git+https://e.org/y@abc",
        "z": "2.0",
        "b-c": "2",
        "e": "1",
    }
    assert source_lock.pinned_apt(LOCK) == {"git": "1:2.39", "jq": "any"}


def test_differences() -> None:
    first = source_lock.diff(
        None, replace(LOCK, layers={"own": ("x==1",)}, apt_layers={})
    )
    assert first == (
        Change("base", "a/b:1", None, "a/b:1 a/b@sha256:2"),
        Change("pip", "x", None, "1"),
    )
    assert source_lock.diff(LOCK, LOCK) == ()
    planned = replace(
        LOCK,
        base=replace(BASE, id="sha256:9", digest="-"),
        layers={"own": ("x==2.0",), "ml": LOCK.layers["ml"]},
        apt_layers={"ml": ("git=1:2.40", "jq")},
        pip={},
        apt={},
    )
    assert source_lock.diff(LOCK, planned) == (
        Change("base", "a/b:1", "a/b:1 a/b@sha256:2", "a/b:1 sha256:9"),
        Change("pip", "x", "1.0", "2.0"),
        Change("pip", "y", "git+https://e.org/y@abc", None),
        Change("pip", "z", "2.0", None),
        Change("apt", "git", "1:2.39", "1:2.40"),
    )
    # Where both were built, what is really installed counts.
    built = replace(LOCK, layers={}, pip={"x": "1.1"}, apt={"jq": "1.6", "sox": "14"})
    assert source_lock.diff(LOCK, built) == (
        Change("pip", "x", "1.0", "1.1"),
        Change("apt", "sox", None, "14"),
    )
