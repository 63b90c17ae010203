"""ds01.yaml: what it may say, and how errors are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import settings
from ds01.core import settings as core_settings
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import PROJECT_ROOT


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ds01.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problem(tmp_path: Path, text: str) -> HelperError:
    with pytest.raises(HelperError) as caught:
        core_settings.load_settings(write(tmp_path, text))
    assert caught.value.code == Exit.CONFIG
    return caught.value


def test_the_shipped_file_loads_and_means_the_defaults() -> None:
    shipped = PROJECT_ROOT / "config/ds01.yaml"
    assert core_settings.load_settings(shipped) == core_settings.Settings()


def test_the_shipped_file_comments_every_key() -> None:
    text = (PROJECT_ROOT / "config/ds01.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    for key in core_settings.KEYS:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key}:"))
        assert lines[at - 1].startswith("#"), key


def test_values_are_taken(tmp_path: Path) -> None:
    text = (
        "version: 1\nmlc_home: /opt/aime\nengine_socket: unix:///run/x.sock\n"
        "site_catalog: null\nworkspace_dir: ~/work\ndata_dir: /srv/data\n"
        "architecture: CUDA_AMPERE\ncgroup_parent: ds01\n"
    )
    found = core_settings.load_settings(write(tmp_path, text))
    assert found.mlc_home == "/opt/aime"
    assert found.site_catalog is None
    assert found.workspace_dir == "~/work"
    assert found.models_dir is None
    assert found.cgroup_parent == "ds01"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mlc_hom: /x", ["ds01.yaml:2: mlc_hom: unknown key", "'mlc_home'"]),
        ("mlc_home: relative", ["ds01.yaml:2: mlc_home", "absolute"]),
        ("data_dir: /a,b", ["data_dir", "','"]),
        ("engine_socket: tcp://x", ["engine_socket", "unix://"]),
        ("cgroup_parent: a-b", ["cgroup_parent"]),
        ("architecture: ampere", ["architecture", "CUDA_AMPERE"]),
        ("data_dir: [a]", ["data_dir", "one value"]),
        ("data_dir: {", ["not valid YAML"]),
    ],
)
def test_errors_name_file_line_and_key(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    error = problem(tmp_path, f"version: 1\n{text}\n")
    for word in words:
        assert word in error.message


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HelperError) as caught:
        core_settings.load_settings(tmp_path / "none.yaml")
    assert caught.value.code == Exit.CONFIG
    assert "install.sh" in str(caught.value.hint)


def test_the_environment_chooses_another_mlc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DS01_MLC_HOME", raising=False)
    assert core_settings.mlc_home(core_settings.Settings()) == core_settings.OUR_MLC
    assert core_settings.mlc_home(core_settings.Settings(mlc_home="/a")) == Path("/a")
    monkeypatch.setenv("DS01_MLC_HOME", str(tmp_path))
    assert core_settings.mlc_home(core_settings.Settings(mlc_home="/a")) == tmp_path
    monkeypatch.setenv("DS01_MLC_HOME", "relative")
    with pytest.raises(HelperError) as caught:
        core_settings.mlc_home(core_settings.Settings())
    assert caught.value.code == Exit.USAGE


def test_show_prints_settings_and_layout(
    ds01_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere")
    monkeypatch.delenv("DS01_MLC_HOME", raising=False)
    assert settings.main(["show"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["mlc_is_ours"] is True
    assert shown["engine"] == "unix:///somewhere"
    assert shown["state_dir"] == f"{ds01_root}/var/lib/ds01"
    assert shown["site_catalog"] == f"{ds01_root}/etc/ds01/site-images.repo"


def test_the_address_needs_no_file_where_docker_host_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DS01_ROOT", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    assert core_settings.engine_address() == "unix:///x"
    monkeypatch.delenv("DOCKER_HOST")
    with pytest.raises(HelperError):
        core_settings.engine_address()
