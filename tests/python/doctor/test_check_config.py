"""check_config.py: verdicts on all configuration files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import BenchUser
from ds01.core.paths import Paths, find_paths
from ds01.doctor import config

HELPER = Path(__file__).resolve().parents[3] / "python/check_config.py"


@pytest.fixture
def paths(ds01_root: Path) -> Paths:
    """The file layout of this test, with the shipped configuration."""
    del ds01_root  # it sets the environment
    return find_paths()


def problems(paths: Paths) -> dict[str, tuple[str, ...]]:
    return {one.path.name: one.problems for one in config.check_all(paths)}


def test_shipped_configuration_is_in_order(paths: Paths) -> None:
    verdicts = config.check_all(paths)
    assert [one.path.name for one in verdicts] == [
        "ds01.yaml",
        "resource-limits.yaml",
        "packages.yaml",
        "site-images.repo",
    ]
    assert all(not one.problems and not one.warnings for one in verdicts)


def test_a_broken_file_does_not_hide_the_others(paths: Paths) -> None:
    for name in ("ds01.yaml", "resource-limits.yaml", "packages.yaml"):
        (paths.etc / name).write_bytes(b"version: 1\n\xff")
    (paths.etc / "site-images.repo").write_text("x\n\ny\n")
    found = problems(paths)
    assert [len(lines) for lines in found.values()] == [1, 1, 1, 2]
    assert found["ds01.yaml"] == (f"{paths.settings}:2: not valid UTF-8",)
    assert found["site-images.repo"][1].startswith(f"{paths.etc}/site-images.repo:3:")


def test_the_catalog_of_the_settings_is_checked(paths: Paths) -> None:
    other = paths.etc / "other images.repo"
    other.write_text("Debian, bookworm, CPU, a:1\n")
    text = paths.settings.read_text()
    paths.settings.write_text(text.replace("site-images.repo", str(other)))
    assert problems(paths)["other images.repo"]
    paths.settings.write_text(text.replace("site-images.repo", "null"))
    assert "site-images.repo" not in problems(paths)


def test_member_of_two_groups_is_warned_of(paths: Paths) -> None:
    paths.policy.write_text(
        "version: 1\ngroups: {a: {members: [x]}, b: {members: [x]}}\n"
    )
    (verdict,) = [one for one in config.check_all(paths) if one.path == paths.policy]
    assert verdict.problems == ()
    assert "'x' is a member of group 'a' above, which wins" in verdict.warnings[0]


@pytest.mark.parametrize("where", ["defaults", "groups.a", "user_overrides.x"])
def test_caps_are_warned_of_wherever_they_stand(paths: Paths, where: str) -> None:
    section, _, name = where.partition(".")
    caps = "{aggregate: {memory: 1t, cpus: null}}"
    body = f"{{{name}: {caps}}}" if name else caps
    paths.policy.write_text(f"version: 1\n{section}: {body}\n")
    (verdict,) = [one for one in config.check_all(paths) if one.path == paths.policy]
    (warning,) = verdict.warnings
    assert warning.startswith(f"{paths.policy}:2: aggregate.memory: has no effect")


def test_a_link_to_nothing_is_a_problem(paths: Paths) -> None:
    catalog = paths.etc / "site-images.repo"
    catalog.unlink()
    assert "site-images.repo" not in problems(paths)
    catalog.symlink_to("nowhere")
    assert "does not exist" in problems(paths)["site-images.repo"][0]


@pytest.mark.engine
def test_files_that_may_not_be_read(paths: Paths, users: dict[str, BenchUser]) -> None:
    paths.etc.chmod(0o700)
    words: list[str | Path] = ["/usr/bin/python3", "-sE", HELPER, "--json"]
    done = users["outsider"].run(words, env={"DS01_ROOT": os.environ["DS01_ROOT"]})
    assert done.returncode == 6, done.stderr
    files = json.loads(done.stdout)["files"]
    assert len(files) == 4
    assert all("permission denied" in one["problems"][0] for one in files)


def test_broken_layout_is_exit_6_without_traceback(paths: Paths) -> None:
    paths.policy.unlink()
    paths.policy.mkdir()
    done = subprocess.run(
        [sys.executable, "-sE", HELPER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 6
    assert "is a directory" in done.stderr
    assert "Traceback" not in done.stderr
