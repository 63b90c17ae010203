"""project_files.py: what a project's folder gets, and what is never touched."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

import project_files as pf
from ds01.core.errors import Exit, HelperError
from ds01.images.source import project

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages as they are shipped."""
    etc = tmp_path / "root/etc/ds01"
    etc.mkdir(parents=True)
    text = (ROOT / "config/packages.yaml").read_text(encoding="utf-8")
    (etc / "packages.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DS01_ROOT", str(tmp_path / "root"))
    return etc


def make(folder: Path, *words: str) -> None:
    argv = [
        "make",
        "thesis",
        "--folder",
        str(folder),
        "--workspace",
        str(folder.parent),
    ]
    pf.main([*argv, *words])


def test_a_folder_gets_everything_and_a_second_call_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "work space/thesis"
    make(folder, "--type", "cv")
    first = json.loads(capsys.readouterr().out)
    assert first["kept"] == []
    assert first["inside"] == "/workspace/thesis"
    for path in ("data", "models", "notebooks", "src", "outputs"):
        assert (folder / path).is_dir()
    for path in ("README.md", "requirements.txt", ".gitignore", "src/main.py"):
        assert path in first["written"]
        assert (folder / path).read_text(encoding="utf-8").strip()
    (folder / "README.md").write_text("mine", encoding="utf-8")
    (folder / "src/main.py").unlink()
    make(folder, "--type", "cv")
    second = json.loads(capsys.readouterr().out)
    assert second["written"] == ["src/main.py"]
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"


def test_dry_run_names_the_files_and_writes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "ws/thesis", "--dry-run")
    assert "README.md" in json.loads(capsys.readouterr().out)["written"]
    assert not (tmp_path / "ws").exists()


def test_the_type_decides_what_is_said_of_packages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "ws/a", "--type", "nlp")
    make(tmp_path / "ws/b")
    capsys.readouterr()
    nlp = (tmp_path / "ws/a/requirements.txt").read_text(encoding="utf-8")
    assert "transformers" in nlp
    assert "transformers" not in (tmp_path / "ws/b/requirements.txt").read_text(
        encoding="utf-8"
    )
    assert "--type nlp" in (tmp_path / "ws/a/README.md").read_text(encoding="utf-8")
    assert "--type" not in (tmp_path / "ws/b/README.md").read_text(encoding="utf-8")


def test_the_program_that_is_laid_out_runs(tmp_path: Path) -> None:
    import subprocess
    import sys

    make(tmp_path / "ws/thesis")
    program = tmp_path / "ws/thesis/src/main.py"
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True
    )
    assert str(tmp_path / "ws/thesis/outputs") in done.stdout
    assert (tmp_path / "ws/thesis/outputs").is_dir()


def test_a_title_of_the_administrator_cannot_end_the_docstring(
    tmp_path: Path, configuration: Path
) -> None:
    file = configuration / "packages.yaml"
    text = file.read_text(encoding="utf-8")
    title = """title: 'a """ + '"""' + """ \\ b'"""
    file.write_text(text.replace("title: Computer vision", title), encoding="utf-8")
    make(tmp_path / "ws/thesis", "--type", "cv")
    source = (tmp_path / "ws/thesis/src/main.py").read_text(encoding="utf-8")
    compile(source, "main.py", "exec")


@pytest.mark.parametrize("name", ["Big", "a b", "../x", "-a", "", "a__b", "a" * 41])
def test_names_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HelperError, match="not a name for a project") as caught:
        project.check_name(name)
    assert caught.value.code is Exit.USAGE


def test_an_unknown_type_is_answered_with_the_nearest() -> None:
    with pytest.raises(HelperError) as caught:
        project.find_type("genral", project.load_types())
    assert caught.value.hint == "did you mean 'general'?"
    with pytest.raises(HelperError, match="not a type") as caught:
        project.find_type("zzz", project.load_types())
    assert "known are general, ml" in str(caught.value.hint)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(HelperError, match="is not a folder"):
        make(tmp_path / "file")
    with pytest.raises(HelperError, match="cannot write") as caught:
        make(tmp_path / "file/thesis")
    assert caught.value.code is Exit.REFUSED


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        import errno
        import os

        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(HelperError, match="no space left") as caught:
        project.write_missing(tmp_path, {PurePosixPath("a"): "text"})
    assert caught.value.code is Exit.PREREQUISITE


def test_a_folder_outside_the_workspace_is_the_workspace_itself_inside() -> None:
    assert project.inside_path(Path("/w/a/b"), Path("/w")) == "/workspace/a/b"
    assert project.inside_path(Path("/else/a"), Path("/w")) == "/workspace"
