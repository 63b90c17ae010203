"""show_config.py: rows of limits and settings with their origins."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

import show_config
from ds01.core.paths import find_paths
from ds01.policy import limits, sections
from ds01.policy import types as policy_types
from ds01.policy.types import User
from ds01.show import config

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


def test_every_limit_is_a_row_with_its_line(ds01_root: Path) -> None:
    loaded = limits.load_policy(ds01_root / "etc/ds01/resource-limits.yaml")
    effective = limits.effective_limits(loaded, User("x", 1), NOW)
    rows = config.limit_rows(effective, {})
    assert [row[0] for row in rows] == list(policy_types.LIMIT_KEYS)
    lines = loaded.path.read_text().splitlines()
    for key, _value, origin in rows:
        number = int(origin.removeprefix("defaults (line ").removesuffix(")"))
        assert lines[number - 1].strip().startswith(key.rpartition(".")[2] + ":")


def test_exemptions_end(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "version: 1\nexemptions:\n"
        "  - {user: x, from: [idle_timeout, max_runtime], until: 2026-11-24T00:01Z}\n"
        "  - {user: x, from: [gpu_hold_after_stop], until: 2026-11-24}\n"
        "  - {user: y, from: [gpu_hold_after_stop]}\n"
    )
    loaded = limits.load_policy(file)
    found = config.exemptions_of(loaded, User("x", 1), NOW)
    assert list(found) == ["idle_timeout", "max_runtime"]
    assert list(config.exemptions_of(loaded, User("y", 1), NOW)) == [
        "gpu_hold_after_stop"
    ]


@pytest.mark.usefixtures("ds01_root")
def test_settings_name_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    monkeypatch.delenv("DS01_MLC_HOME", raising=False)
    rows = {row["key"]: row for row in config.settings_rows(find_paths())}
    assert rows["engine_socket"]["value"] == "unix:///x"
    assert rows["engine_socket"]["origin"] == "environment DOCKER_HOST"
    assert rows["mlc_home"]["origin"] == "built-in"
    assert str(rows["site_catalog"]["origin"]).endswith("/ds01.yaml")
    assert str(rows["state_dir"]["value"]).endswith("/var/lib/ds01")


def test_every_key_of_the_server_is_a_row(ds01_root: Path) -> None:
    file = ds01_root / "etc/ds01/resource-limits.yaml"
    file.write_text(
        "version: 1\nimages: {max_builds: 4}\n"
        "lifecycle: {warn_at: [50], archive: /srv/old, record_keep: null}\n"
    )
    rows = config.server_rows(limits.load_policy(file))
    known = [
        f"{section}.{key.name}"
        for section, keys in sections.SECTIONS.items()
        for key in keys
    ]
    assert [row["key"] for row in rows] == known
    found = {row["key"]: (row["value"], row["origin"]) for row in rows}
    assert found["images.max_builds"] == ("4", "images (line 2)")
    assert found["lifecycle.warn_at"] == ("[50]", "lifecycle (line 3)")
    assert found["lifecycle.archive"] == ("/srv/old", "lifecycle (line 3)")
    assert found["lifecycle.record_keep"] == ("for ever", "lifecycle (line 3)")
    assert found["images.min_free_disk"] == ("20g", "built-in")
    assert found["gpu_allocation.exclude"] == ("[]", "built-in")
    assert found["gpu_allocation.show_names"] == ("false", "built-in")


def test_json_has_the_exemptions(
    ds01_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    file = ds01_root / "etc/ds01/resource-limits.yaml"
    file.write_text(
        "version: 1\ndefault_group: g\ngroups: {g: }\n"
        "exemptions: [{user: root, from: [idle_timeout]}]\n"
    )
    assert show_config.main(["root", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["exemptions"] == [{"limit": "idle_timeout", "until": None}]
    assert found["group"] == "g"
