"""get_resource_limits.py as a program: its words, output and exit statuses."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ds01.core.errors import HelperError
from ds01.policy import types as policy_types
from ds01.policy.types import Aggregate, Limits
from ds01.show import limits as show_limits

HELPER = Path(__file__).resolve().parents[3] / "python/get_resource_limits.py"

UNLIMITED = Limits(
    max_gpus=None,
    max_mig_instances=None,
    max_gpus_per_container=None,
    allow_full_gpu=True,
    max_containers_per_user=None,
    priority=0,
    max_cpus=None,
    memory=None,
    memory_swap=None,
    shm_size=None,
    pids_limit=None,
    idle_timeout=None,
    max_runtime=None,
    gpu_hold_after_stop=None,
    container_hold_after_stop=None,
    network="bridge",
    aggregate=Aggregate(None, None, None),
)


def helper(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-sE", HELPER, *words],
        capture_output=True,
        text=True,
        check=False,
    )


def answer(*words: str) -> dict[str, Any]:
    done = helper(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("ds01_root")
def test_json_is_the_default_form() -> None:
    found = answer("root")
    assert found == answer("root", "--json") == answer("0")
    assert found["group"] == "admin"
    assert found["limits"]["memory"] == 32 << 30
    assert found["limits"]["max_gpus"] is None
    assert found["limits"]["aggregate"] == {"cpus": None, "memory": None, "pids": None}
    assert found["text"]["memory"] == "32g"
    assert found["text"]["max_gpus"] == "unlimited"
    assert set(found["text"]) == set(policy_types.LIMIT_KEYS)


@pytest.mark.usefixtures("ds01_root")
def test_user_is_the_caller_by_default() -> None:
    import os

    assert answer()["uid"] == os.getuid()


@pytest.mark.usefixtures("ds01_root")
def test_uid_without_account_gets_the_default_group() -> None:
    found = answer("2999999999")
    assert (found["user"], found["uid"]) == ("2999999999", 2999999999)
    assert (found["group"], found["group_origin"]) == ("student", "default")


def test_origin_names_where_each_value_comes_from(ds01_root: Path) -> None:
    found = answer("root", "--origin")
    rows = {row["key"]: row for row in found["rows"]}
    assert list(rows) == list(policy_types.LIMIT_KEYS)
    assert rows["max_gpus"]["origin"] == "group admin"
    assert rows["memory"]["origin"] == "defaults"
    file = ds01_root / "etc/ds01/resource-limits.yaml"
    path, _, line = rows["memory"]["place"].rpartition(":")
    assert path == str(file)
    assert "memory: 32g" in file.read_text().splitlines()[int(line) - 1]


@pytest.mark.usefixtures("ds01_root")
def test_docker_args_are_one_line_of_flags() -> None:
    done = helper("2999999999", "--docker-args")
    assert done.returncode == 0
    assert shlex.split(done.stdout) == [
        "--cpus=16",
        "--memory=32g",
        "--memory-swap=32g",
        "--shm-size=16g",
        "--pids-limit=4096",
        "--network=host",
    ]


def test_docker_args_of_unlimited() -> None:
    flags = show_limits.docker_args(UNLIMITED)
    assert flags == ["--pids-limit=-1", "--network=bridge"]


def test_unlimited_swap_of_limited_memory() -> None:
    from dataclasses import replace

    limits = replace(UNLIMITED, memory=3 << 29, max_cpus=0.5)
    flags = show_limits.docker_args(limits)
    assert flags[:3] == ["--cpus=0.5", "--memory=1536m", "--memory-swap=-1"]


@pytest.mark.usefixtures("ds01_root")
def test_unknown_user_is_exit_3() -> None:
    done = helper("nobody-of-that-name")
    assert (done.returncode, done.stdout) == (3, "")
    assert "error: user 'nobody-of-that-name' does not exist" in done.stderr


def test_user_of_no_group_is_exit_4(ds01_root: Path) -> None:
    file = ds01_root / "etc/ds01/resource-limits.yaml"
    file.write_text("version: 1\n")
    done = helper("root")
    assert (done.returncode, done.stdout) == (4, "")
    assert "error: user 'root' belongs to no group" in done.stderr
    assert "hint: ask the administrator" in done.stderr


def test_broken_policy_is_exit_6_with_file_and_line(ds01_root: Path) -> None:
    file = ds01_root / "etc/ds01/resource-limits.yaml"
    file.write_text("version: 1\ndefaults:\n  idle_timeout: 48\n")
    done = helper("root")
    assert (done.returncode, done.stdout) == (6, "")
    assert f"error: {file}:3: defaults.idle_timeout: '48' has no unit" in done.stderr
    assert "hint: run 'ds01-config check'" in done.stderr


def test_missing_policy_is_exit_6(ds01_root: Path) -> None:
    (ds01_root / "etc/ds01/resource-limits.yaml").unlink()
    done = helper("root")
    assert (done.returncode, done.stdout) == (6, "")
    assert "does not exist" in done.stderr


def test_two_forms_at_once_are_exit_2() -> None:
    assert helper("root", "--json", "--origin").returncode == 2


class OneContainer:
    """An engine that has one container of root's."""

    def __init__(self, address: str) -> None:
        del address

    def __enter__(self) -> OneContainer:
        return self

    def __exit__(self, *caught: object) -> None:
        pass

    def containers(self, labels: list[str]) -> list[dict[str, Any]]:
        assert labels == ["ds01.uid=0"]
        return [{"Id": "1", "Names": ["/a._.0"], "Labels": {"ds01.uid": "0"}}]


@pytest.mark.usefixtures("ds01_root")
def test_room_counts_all_containers_but_the_one_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ds01.core.engine.Engine", OneContainer)
    user = policy_types.User("root", 0)
    one = dataclasses.replace(UNLIMITED, max_containers_per_user=1)
    with pytest.raises(HelperError, match="you have 1 container, and 1 is allowed"):
        show_limits.check_room(user, one, "b._.0")
    show_limits.check_room(user, one, "a._.0")
    show_limits.check_room(user, UNLIMITED, "")
