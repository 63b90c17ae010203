"""images/source/packages.py: tiers and use cases, every name checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.yaml_source import ConfigError
from ds01.images.source import packages
from ds01.images.source.packages import Tier

PROJECT_ROOT = Path(__file__).resolve().parents[3]


def test_shipped_tiers() -> None:
    found = packages.load_packages(PROJECT_ROOT / "config/packages.yaml")
    names = [tier.name for tier in found.tiers]
    assert names == ["system", "interactive", "data-science"]
    assert found.tiers[0].apt == ("git", "curl", "wget", "vim", "htop")
    cases = [tier.name for tier in found.use_cases]
    assert cases == ["ml", "cv", "nlp", "rl", "audio", "timeseries", "llm"]
    assert all(tier.title and tier.pip for tier in found.use_cases)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("pandas", "pandas"),
        ("jupyter-lab[a,b.c]", "jupyter-lab[a,b.c]"),
        ("numpy >= 1.2, < 2", "numpy>=1.2,<2"),
        ("x==1.0.*", "x==1.0.*"),
        ("x~=1.0+local", "x~=1.0+local"),
        ("x==1!2.0", "x==1!2.0"),
    ],
)
def test_requirements(text: str, read: str) -> None:
    assert packages.parse_pip(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-r x",
        "--pre",
        "a b",
        "x;y",
        "x$(id)",
        "x>=1\ny",
        "x`id`",
        "x[",
        "a/b",
        "x>",
    ],
)
def test_what_is_no_requirement(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Python package"):
        packages.parse_pip(text)


@given(st.text(max_size=40))
def test_nothing_read_can_leave_its_word_in_a_shell(text: str) -> None:
    for parse in (packages.parse_pip, packages.parse_apt):
        try:
            found = parse(text)
        except ValueError:
            continue
        assert found
        assert not set(found) & set(" \t\n'\"\\$`;&|(){}")
        assert not found.startswith("-")


@pytest.mark.parametrize("text", ["vim", "git=1:2.39.5-0+deb12u2", "g++=4:12~rc1"])
def test_debian_packages(text: str) -> None:
    assert packages.parse_apt(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "Vim", "a", "-y", "vim git", "vim;id", "../x"),
        *("vim=", "vim=~root", "vim=1:~x"),
    ],
)
def test_what_is_no_debian_package(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a Debian package"):
        packages.parse_apt(text)


def test_framework_packages_are_pinned(tmp_path: Path) -> None:
    found = packages.load_packages(PROJECT_ROOT / "config/packages.yaml")
    for name in ("torch", "numpy", "tensorflow", "nvidia-cudnn-cu12", "cupy-cuda12x"):
        assert found.is_pinned(name), name
    for name in ("torchmetrics", "numpydoc", "nvidia", "pandas"):
        assert not found.is_pinned(name), name
    file = tmp_path / "p.yaml"
    file.write_text("version: 1\npinned: [A_b, c*, x y, '*', c*]\n")
    with pytest.raises(ConfigError) as caught:
        packages.load_packages(file)
    assert [line.removeprefix(f"{file}:") for line in caught.value.problems] == [
        "2: pinned: 'x y' is not the name of a Python package, or name*",
        "2: pinned: '*' is not the name of a Python package, or name*",
        "2: pinned: 'c*' is there twice",
    ]
    file.write_text("version: 1\npinned: [A_b, c-*]\n")
    assert packages.load_packages(file).pinned == ("a-b", "c-*")


def test_a_layer_has_one_name(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "version: 1\ntiers: {a: {}, own: {}}\nuse_cases: {a: {}, added: {}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        packages.load_packages(file)
    assert [line.removeprefix(f"{file}:") for line in caught.value.problems] == [
        "2: tiers.own: 'own' means the user's own, choose another name",
        "3: use_cases.a: 'a' is in tiers too, choose another name",
        "3: use_cases.added: 'added' means the user's own, choose another name",
    ]


def test_title_is_the_name_where_none_is_written(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("version: 1\ntiers: {a: {pip: [x]}, b: }\n")
    found = packages.load_packages(file)
    assert found.tiers == (Tier("a", "a", ("x",), ()), Tier("b", "b", (), ()))
    assert found.use_cases == ()


def test_problems_name_line_and_key_path(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "version: 1\n"
        "tiers:\n"
        "  A: {pip: [x, x]}\n"
        "  b: {apt: vim}\n"
        "use_case: {}\n"
        "use_cases:\n"
        "  c: {conda: [x]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        packages.load_packages(file)
    assert [line.removeprefix(f"{file}:") for line in caught.value.problems] == [
        "3: tiers.A: a name is lower case, digits, - and _",
        "3: tiers.A.pip: 'x' is there twice",
        "4: tiers.b.apt: must be a list, written [a, b]",
        "5: use_case: unknown key, did you mean 'use_cases'",
        "7: use_cases.c.conda: unknown key",
    ]
