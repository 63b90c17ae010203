"""gateway_facts: what the host and its engine can do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds01.gateway import facts

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max stack size            8388608              unlimited            bytes     
Max processes             96365                96365                processes 
Max open files            1024                 20000                files     
Max locked memory         8388608              8388608              bytes     
Max realtime timeout      unlimited            unlimited            us        
Max nice priority         0                    0                    
"""  # noqa: W291 - as the kernel writes it


def test_hard_limits_of_a_process() -> None:
    assert facts.parse_limits(LIMITS) == {
        "memlock": 8 << 20,
        "nofile": 20000,
        "nproc": 96365,
    }


def test_an_engine_of_cgroup_v2_and_systemd() -> None:
    info = {
        "NCPU": 128,
        "MemTotal": (1 << 40) + 5,
        "CgroupDriver": "systemd",
        "LoggingDriver": "journald",
        "Runtimes": {"nvidia": {}, "runc": {}},
        "DefaultRuntime": "nvidia",
        "DockerRootDir": "/raid/docker",
    }
    found = facts.from_info(info, "/run/docker.sock", {"memlock": 1})
    assert (found.cpus, found.memory) == (128, 1 << 40)
    assert found.cgroup_driver == "systemd"
    assert found.logging_driver == "journald"
    assert found.runtimes == {"nvidia", "runc"}
    assert found.default_runtime == "nvidia"
    assert found.data_root == "/raid/docker"
    assert found.ceilings == {"memlock": 1}


def test_a_sparse_answer_is_enough() -> None:
    found = facts.from_info({"Runtimes": None}, "/x", {})
    assert (found.cpus, found.memory, found.logging_driver) == (0, 0, "json-file")


def test_devices(tmp_path: Path) -> None:
    for name in ("snd/controlC0", "dri/by-path/x", "video0", "sda", "nvidia0", "kfd"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {path.removeprefix(f"{tmp_path}/") for path in facts.find_devices(tmp_path)}
    assert {"snd", "snd/controlC0", "dri", "dri/by-path/x", "video0", "kfd"} <= found
    assert not {"sda", "nvidia0"} & found
    assert facts.find_devices(tmp_path / "none") == frozenset()


def test_links_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    path = f"{tmp_path}/link/ssh"
    assert facts.resolve([path]) == {path: os.path.realpath("/etc/ssh")}


def test_no_engine_means_no_known_ceiling() -> None:
    assert facts.find_ceilings("/nonexistent") == {}


@pytest.mark.engine
def test_ceilings_of_the_real_engine(docker_host: str) -> None:
    path = docker_host.removeprefix("unix://")
    processes = facts.engine_processes(path)
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in processes}
    assert names == {"dockerd", "containerd"}
    found = facts.find_ceilings(path)
    if facts._may_raise_limits(processes[0]):
        assert found == {}
    else:
        assert found["nproc"] > 0
