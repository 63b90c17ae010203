"""lifecycle/extras.py: what the metrics say of a pass that came to see nothing."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import Paths
from ds01.gpus.allocator import desk
from ds01.gpus.devices.types import Inventory
from ds01.lifecycle.extras import run_extras
from ds01.lifecycle.pass_ import Report
from gpu_world import make_paths

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """An installation whose metrics go into a folder beside it."""
    found = make_paths(tmp_path)
    (tmp_path / "metrics").mkdir()
    text = f"version: 1\nmetrics_dir: {tmp_path}/metrics\n"
    found.settings.write_text(text, encoding="utf-8")
    return found


def written(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: Exit
) -> str:
    """The metrics after a pass that was kept from its work; no engine is there."""
    down = Inventory(error="the driver's library is of another version")
    monkeypatch.setattr(desk, "_read_inventory", lambda: down)
    report = Report(NOW, skipped=HelperError(code, "it does not answer"))
    run_extras(paths, f"unix://{tmp_path}/none.sock", report)
    return (tmp_path / "metrics/ds01.prom").read_text(encoding="utf-8")


def test_what_did_not_answer_is_down(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = written(paths, tmp_path, monkeypatch, Exit.PREREQUISITE).splitlines()
    assert "ds01_nvml_up 0" in lines
    assert "ds01_engine_up 0" in lines
    assert "ds01_lifecycle_pass_skipped 1" in lines
    assert not [line for line in lines if line.startswith("ds01_gpu_devices{")]


def test_a_broken_policy_says_nothing_of_engine_and_driver(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written(paths, tmp_path, monkeypatch, Exit.CONFIG)
    assert "ds01_lifecycle_pass_skipped 1" in text.splitlines()
    assert "_up " not in text
