"""What is archived is the container itself, whatever its labels say."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ds01.core.engine import Engine
from ds01.lifecycle import archive

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("name", "label", "by_mlc"),
    [
        ("train._.1001", "train", True),
        # Labels of a container that was made without mlc are its owner's to choose.
        ("mine", "other", False),
        ("mine._.1001", "other", False),
        ("mine._.1001", "--help", False),
        ("mine._.1001", "", False),
        ("train._.1002", "train", False),
    ],
)
def test_mlc_exports_only_what_is_of_that_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    label: str,
    by_mlc: bool,
) -> None:
    asked: list[str] = []

    def export(_engine: Engine, identity: str, out: int) -> None:
        asked.append(identity)
        os.write(out, b"x")

    def export_mlc(engine: Engine, own: str, _uid: int, out: int) -> None:
        export(engine, own, out)

    monkeypatch.setattr(archive, "_export", export)
    monkeypatch.setattr(archive, "_export_mlc", export_mlc)
    monkeypatch.setattr(archive, "_check_tar", lambda _: None)
    monkeypatch.setattr(archive, "_check_mlc", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    details = {
        "Name": f"/{name}",
        "Id": "1" * 64,
        "Config": {"Labels": {"aime.mlc.NAME": label}},
    }
    engine = Engine("unix:///nowhere")
    file = archive.archive(engine, details, tmp_path, 1001, NOW)
    assert asked == ["train" if by_mlc else "1" * 64]
    suffix = ".mlc.tar" if by_mlc else ".tar"
    assert file == tmp_path / f"{name}-20260301T000000Z{suffix}"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
