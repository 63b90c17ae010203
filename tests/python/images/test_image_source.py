"""image_source: where the source of an image lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.images.source import folder


def test_a_place_that_cannot_be_written_is_told_before_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.place("x", str(tmp_path / "a/b")) == tmp_path / "a/b"
    # Root may write everywhere.
    monkeypatch.setattr("os.access", lambda path, _: path != tmp_path)
    with pytest.raises(HelperError, match="you cannot write to") as told:
        folder.place("x", str(tmp_path / "a/b"))
    assert told.value.code == Exit.USAGE
    (tmp_path / "file").touch()
    with pytest.raises(HelperError, match="is not a folder"):
        folder.place("x", str(tmp_path / "file"))


def test_a_bare_word_is_a_folder_of_the_workspace_and_no_path_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ds01_root: Path
) -> None:
    assert ds01_root.is_dir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    workspace = tmp_path / "workspace"
    assert folder.place("x", "thesis") == workspace / "thesis"
    assert folder.place("x", "./thesis") == tmp_path / "thesis"
    assert folder.place("x", "~/thesis") == tmp_path / "thesis"
    assert folder.place("x", ".") == tmp_path
    assert folder.place("x", "~") == tmp_path


def test_what_cannot_be_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    project = tmp_path / "project"
    (project / "image.yaml").mkdir(parents=True)
    with pytest.raises(HelperError, match="cannot be removed") as told:
        folder.remove("x", project)
    assert told.value.code == Exit.PREREQUISITE
    assert str(project) in str(told.value.hint)
    (project / "image.yaml").rmdir()
    (project / "image.yaml").touch()
    assert folder.remove("x", project) == [str(project / "image.yaml")]
    assert project.is_dir()
