"""image_source: where the source of an image lies."""

from __future__ import annotations

from pathlib import Path

import pytest

import image_source
from _common import Exit, HelperError


def test_a_place_that_cannot_be_written_is_told_before_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert image_source.place("x", str(tmp_path / "a/b")) == tmp_path / "a/b"
    # Root may write everywhere.
    monkeypatch.setattr("os.access", lambda path, _: path != tmp_path)
    with pytest.raises(HelperError, match="you cannot write to") as told:
        image_source.place("x", str(tmp_path / "a/b"))
    assert told.value.code == Exit.USAGE
    (tmp_path / "file").touch()
    with pytest.raises(HelperError, match="is not a folder"):
        image_source.place("x", str(tmp_path / "file"))
