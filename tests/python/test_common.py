"""_common.py: the nearest known word."""

from __future__ import annotations

import pytest

from _common import nearest


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("memroy", ["memory", "network"], "memory"),
        ("pytorhc", ["TensorFlow", "PyTorch"], "PyTorch"),
        ("PYTORCH", ["Pytorch"], "Pytorch"),
        ("straße", ["STRASSE"], "STRASSE"),
        ("zzz", ["memory", "network"], None),
        ("", ["memory"], None),
        ("memory", [], None),
    ],
)
def test_nearest_known_word(word: str, known: list[str], meant: str | None) -> None:
    assert nearest(word, known) == meant


def test_any_iterable_is_known() -> None:
    assert nearest("stop", iter(("start", "Stopp"))) == "Stopp"
    assert nearest("stopp", {"start": 1, "stop": 2}) == "stop"
