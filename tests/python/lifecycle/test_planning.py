"""lifecycle/planning.py: what is known before mlc is called, and who is at it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest

from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.owner import owner_of
from ds01.core.paths import find_paths
from ds01.lifecycle import making, planning
from ds01.records import containers

NAME = f"a._.{os.getuid()}"
MADE = {
    "Id": "1" * 64,
    "Config": {"Labels": {"aime.mlc": "alice"}},
    "State": {"StartedAt": "2026-03-01T09:00:00Z"},
}


class OneContainer(Engine):
    """Answers with one container, and counts what it is told to remove."""

    def __init__(self, details: dict[str, Any] | None) -> None:
        super().__init__("unix:///nowhere")
        self.details = details
        self.removed: list[str] = []

    def container(self, name: str) -> dict[str, Any] | None:
        assert name == NAME
        return self.details

    def call(self, method: str, path: str, *_: Any, **__: Any) -> tuple[int, bytes]:
        assert method == "DELETE"
        self.removed.append(path)
        return 204, b""


def words(**given: Any) -> argparse.Namespace:
    names = ["framework", "version", "image", "arch", "otherwise", "file", "gpus"]
    names += ["gpu_mem", "wait", "workspace", "data", "models", "overlay"]
    usual = dict.fromkeys(names)
    owner = owner_of(os.getpid())
    return argparse.Namespace(**{**usual, "name": "a", "owner_pid": owner, **given})


def phase() -> str:
    return str(containers.show(find_paths(), NAME)["phase"])


def begin(engine: Engine) -> None:
    planning._begin(engine, find_paths(), NAME, words(), {"workspace": "/w"})


def test_one_that_came_to_its_end_meanwhile_is_not_cleared_away(
    ds01_root: Path,
) -> None:
    """It was not there when it was looked for, and is now."""
    del ds01_root
    containers.finish(find_paths(), NAME, {})
    engine = OneContainer(MADE)
    with pytest.raises(HelperError) as caught:
        begin(engine)
    assert caught.value.code == Exit.REFUSED
    assert caught.value.message == "you already have a container 'a'"
    assert engine.removed == []
    assert phase() == "ready"


def test_what_a_dead_create_left_is_cleared_away(ds01_root: Path) -> None:
    del ds01_root
    dead = owner_of(os.getpid())
    assert dead is not None
    containers.begin(find_paths(), NAME, dead._replace(start=dead.start + 1), {})
    never = {**MADE, "State": {"StartedAt": "0001-01-01T00:00:00Z"}}
    engine = OneContainer(never)
    begin(engine)
    assert engine.removed == [f"/containers/{'1' * 64}"]
    assert phase() == "creating"
    # One that ran holds a person's work.
    ran = OneContainer(MADE)
    making.clear_remains(ran, NAME)
    assert ran.removed == []


def test_only_a_container_that_mlc_made_to_its_end_is_there(ds01_root: Path) -> None:
    del ds01_root
    paths = find_paths()
    assert not planning._is_made(OneContainer(None), paths, NAME)
    assert planning._is_made(OneContainer(MADE), paths, NAME)
    unlabelled = {**MADE, "Config": {"Labels": None}}
    assert not planning._is_made(OneContainer(unlabelled), paths, NAME)
    begin(OneContainer(None))
    assert not planning._is_made(OneContainer(MADE), paths, NAME)


def test_folders_are_absolute_and_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's").mkdir()
    (tmp_path / "link").symlink_to("it's")
    none = settings.Settings()
    # Only the usual workspace may be missing.
    found = planning._folders(words(data="link", models="~/it's"), none)
    place = str(tmp_path / "it's")
    usual = str(tmp_path / "workspace")
    assert found == {"workspace": usual, "data": place, "models": place}
    given = settings.Settings(data_dir="~/link", workspace_dir="~/w")
    found = planning._folders(words(), given)
    assert found == {"workspace": f"{tmp_path}/w", "data": place, "models": ""}
    with pytest.raises(HelperError) as caught:
        planning._folders(words(workspace="it's/x"), none)
    assert caught.value.code == Exit.NOT_FOUND
    assert caught.value.message == "the workspace folder 'it's/x' does not exist"
    assert caught.value.hint == "run 'mkdir -p 'it'\\''s/x''"
    # Somebody else's home is not one's own.
    with pytest.raises(HelperError, match="'~nobody'"):
        planning._folders(words(models="~nobody"), none)
