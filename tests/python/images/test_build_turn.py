"""build_turn: one image is built, or deleted, by one at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.images.shelf import turn


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with turn.hold("one"), turn.hold("two"):
        with (
            pytest.raises(HelperError, match="is being built already") as told,
            turn.hold("one"),
        ):
            pass
        assert told.value.code == Exit.REFUSED
        assert f"'ps -fp {os.getpid()}'" in str(told.value.hint)
    with turn.hold("one"):
        assert (tmp_path / "ds01/builds/one.lock").exists()
