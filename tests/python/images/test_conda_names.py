"""images/requirements/conda_names.py: what becomes of conda's packages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.images.requirements import conda_names
from ds01.images.requirements.conda_names import Translated
from ds01.images.requirements.words import normal_name, parse_word
from ds01.images.source.packages import parse_apt


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("pandas", "pandas"),
        ("conda-forge::Scikit_Learn", "scikit-learn"),
        ("numpy=1.24", "numpy==1.24.*"),
        ("numpy = 1.24", "numpy==1.24.*"),
        ("numpy==1.24.3", "numpy==1.24.3"),
        ("numpy 1.24.3", "numpy==1.24.3"),
        ("numpy=1.24.*", "numpy==1.24.*"),
        ("numpy>=1.20,<2", "numpy>=1.20,<2"),
        ("numpy >=1.20", "numpy>=1.20"),
        ("numpy[version='>=1.20']", "numpy>=1.20"),
        ("numpy *", "numpy"),
    ],
)
def test_most_are_called_the_same(spec: str, word: str) -> None:
    assert conda_names.translate(spec) == Translated(word)
    assert parse_word(word)


def test_what_is_lost_is_said() -> None:
    assert conda_names.translate("pytorch=2.1=py3.10_cuda") == Translated(
        "torch==2.1",
        note="'pytorch=2.1=py3.10_cuda' is called torch on PyPI; "
        "the build 'py3.10_cuda' is conda's own, and left out",
    )
    assert conda_names.translate("x[build=cuda*]").note == (
        "'x[build=cuda*]': [build=cuda*] is conda's own, and left out"
    )
    assert conda_names.translate("ffmpeg>=6") == Translated(
        apt=("ffmpeg",), note="'ffmpeg>=6' becomes the Debian package ffmpeg"
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("python=3.10", "the base image's Python is used"),
        ("pip", "comes with the base image"),
        ("cudatoolkit=11.8", "comes with the base image"),
        ("cuda-nvcc", "comes with the base image"),
        ("libcublas-dev", "comes with the base image"),
        ("nvidia::cuda", "comes with the base image"),
        ("mkl-service", "is brought by the Python packages that need it"),
        ("r-ggplot2", "R's packages are not installed with pip"),
        ("mamba", "there is no conda in the image"),
    ],
)
def test_what_cannot_come_along_is_explained(spec: str, why: str) -> None:
    assert conda_names.translate(spec) == Translated(
        note=f"'{spec}' is left out: {why}"
    )


@pytest.mark.parametrize("spec", ["a|b", "x=1|2", "", "x y z", "--pre", "x>=1;id"])
def test_what_is_no_package(spec: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        conda_names.translate(spec)


def test_tables_hold_names() -> None:
    for name, other in conda_names.PIP.items():
        assert normal_name(name) == name
        assert parse_word(other).name == other
        assert other != name
    for names in conda_names.APT.values():
        assert all(parse_apt(name) == name for name in names)


@given(st.text(max_size=30))
def test_a_translation_is_never_more_than_a_requirement(spec: str) -> None:
    try:
        found = conda_names.translate(spec)
    except ValueError:
        return
    assert found.word or found.apt or found.note
    if found.word:
        try:
            parse_word(found.word)
        except ValueError:
            return
        assert "@" not in found.word
