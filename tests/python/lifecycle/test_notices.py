"""What is left for a user's next login: lines in a file, read by lib/login-notice."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ds01.core.paths import PROJECT_ROOT, Paths
from ds01.lifecycle import notices, tell
from ds01.lifecycle.types import Subject
from gpu_world import make_paths

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=timezone.utc)
AT = int(NOW.timestamp())


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return make_paths(tmp_path / "a root")


def test_lines_are_added_cleaned_and_readable_by_all(paths: Paths) -> None:
    before = os.umask(0o077)
    try:
        path = notices.leave(paths, 1001, "container 'ä'\n\x1b[2J was stopped", NOW)
    finally:
        os.umask(before)
    notices.leave(paths, 1001, "another", NOW + timedelta(seconds=1))
    assert path == paths.state / "notices/1001"
    assert path.read_text(encoding="utf-8").splitlines() == [
        f"{AT} container 'ä'?[2J was stopped",
        f"{AT + 1} another",
    ]
    assert path.stat().st_mode & 0o777 == 0o664


def test_old_and_many_lines_go(paths: Paths) -> None:
    path = notices.leave(paths, 1001, "old", NOW - timedelta(days=31))
    path.write_text(path.read_text() + "no line of ours\n")
    for number in range(30):
        notices.leave(paths, 1001, f"line {number}", NOW)
    lines = path.read_text().splitlines()
    assert lines == [f"{AT} line {number}" for number in range(10, 30)]


def message(kind: str, uid: int = 4242424) -> tell.Message:
    text = f"container 'a' was {kind}"
    whose = Subject("a._.1", "id", "a", uid, "nobody-here", "running", NOW)
    return tell.Message(kind, whose, text)


def test_what_happened_is_left_for_who_is_not_there(paths: Paths) -> None:
    kinds = ("warned", "stopped", "found-stopped")
    tell.tell(paths, [message(kind) for kind in kinds], mail=False)
    lines = (paths.state / "notices/4242424").read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "container 'a' was stopped",
        "container 'a' was found-stopped",
    ]


def test_who_is_told_on_a_terminal_is_not_told_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tell, "to_terminals", lambda _: 1)
    tell.tell(paths, [message("stopped")], mail=False)
    assert not (paths.state / "notices").exists()


def test_a_state_folder_that_cannot_be_written_is_a_warning(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    (paths.state / "notices").write_text("in the way")
    tell.tell(paths, [message("stopped")], mail=False)
    assert "not left for nobody-here" in capsys.readouterr().err


def test_shell_and_python_agree_on_the_place() -> None:
    for name in ("lib/login-notice", "lib/notices.bash"):
        text = (PROJECT_ROOT / name).read_text(encoding="utf-8")
        assert f"/{notices.FOLDER}" in text
        assert "ds01/notices-seen" in text
