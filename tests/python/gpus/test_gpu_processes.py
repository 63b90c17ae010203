"""Which container a process runs in, by what /proc tells in every layout of cgroups."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ds01.core.processes import (
    Process,
    components,
    container_of,
    is_display,
    parse_cgroups,
    parse_status,
    read_own,
    read_process,
)

ID = "4b3f136f7c626f8fb13e8fd1c16771d759258b0eb361fd0a57251fdc1932cbbe"
OTHER = "238b0279c57830820fc9c4a3b9cf330c16812b00e0c7b48c362a1bea4a1b7c0d"


def v1(path: str, unified: str = "/") -> str:
    """Make the lines of a v1 host; the unified hierarchy comes last there."""
    names = ["name=systemd", "pids", "blkio", "devices", "memory", "cpu,cpuacct"]
    lines = [f"{9 - i}:{name}:{path}" for i, name in enumerate(names)]
    return "\n".join([*lines, f"0::{unified}", ""])


IN_A_CONTAINER = {
    "v1 cgroupfs": v1(f"/docker/{ID}", f"/docker/{ID}"),
    "v1 cgroupfs, own parent": v1(f"/ds01/u1001/{ID}"),
    "v1 systemd": v1(f"/system.slice/docker-{ID}.scope"),
    "v1 systemd, own slice": v1(f"/ds01.slice/ds01-u1001.slice/docker-{ID}.scope"),
    "v2 cgroupfs": f"0::/docker/{ID}\n",
    "v2 cgroupfs, own parent": f"0::/ds01/u1001/{ID}\n",
    "v2 systemd": f"0::/system.slice/docker-{ID}.scope\n",
    "v2 systemd, own slice": f"0::/ds01.slice/ds01-u1001.slice/docker-{ID}.scope\n",
    "v2 rootless": "0::/user.slice/user-1000.slice/user@1000.service/user.slice/"
    f"docker-{ID}.scope\n",
    "hybrid: v1 tells": v1(f"/docker/{ID}", "/system.slice/containerd.service"),
    "hybrid: only the unified tells": v1("/", f"/docker/{ID}"),
    "another namespace's view": f"0::/../../docker/{ID}\n",
    "sub-cgroup in the container": f"0::/docker/{ID}/init.scope\n",
    "systemd in the container": f"0::/system.slice/docker-{ID}.scope/system.slice/"
    "ssh.service\n",
    "container in the container": f"0::/docker/{ID}/docker/{OTHER}\n",
    "podman in the container": f"0::/docker/{ID}/libpod_parent/libpod-{OTHER}\n",
    "a cgroup that is gone": f"0::/docker/{ID} (deleted)\n",
    "the machines' slice": f"0::/machine.slice/docker-{ID}.scope\n",
    "a parent like another runtime": f"0::/lxc-lab/libpods/{ID}\n",
    "a parent with a colon": f"0::/a:b/{ID}\n",
    "no newline": f"0::/docker/{ID}",
}

OUTSIDE = {
    "nothing": "",
    "the root": "0::/\n",
    "a session": v1("/user.slice/user-1000.slice/session-3.scope"),
    "a service": "0::/system.slice/slurmd.service\n",
    "podman, systemd": f"0::/machine.slice/libpod-{ID}.scope/container\n",
    "podman, rootless": "0::/user.slice/user-1000.slice/user@1000.service/user.slice/"
    f"libpod-{ID}.scope/container\n",
    "podman, cgroupfs": v1(f"/libpod_parent/libpod-{ID}"),
    "docker in podman": f"0::/machine.slice/libpod-{OTHER}.scope/docker/{ID}\n",
    "cri-o": f"0::/kubepods.slice/kubepods-besteffort.slice/crio-{ID}.scope\n",
    "kubernetes, cgroupfs": f"0::/kubepods/burstable/pod1c3b/{ID}\n",
    "kubernetes, containerd": f"0::/kubepods.slice/cri-containerd-{ID}.scope\n",
    "lxc": f"0::/lxc.payload.box/docker/{ID}\n",
    "old lxc": v1(f"/lxc/box/docker/{ID}"),
    "nspawn": f"0::/machine.slice/machine-box.scope/payload/docker/{ID}\n",
    "a name that is too short": f"0::/docker/{ID[:12]}\n",
    "a name that is too long": f"0::/docker/{ID}0\n",
    "buildkit's": f"0::/docker/buildkit/{ID[:25]}\n",
    "upper case": f"0::/docker/{ID.upper()}\n",
    "not a path": f"0::docker/{ID}\n",
    "garbage": "\x00\n:::\n12\n",
}


@pytest.mark.parametrize("text", IN_A_CONTAINER.values(), ids=IN_A_CONTAINER)
def test_the_container_is_found_in_every_layout(text: str) -> None:
    assert container_of(text) == ID


@pytest.mark.parametrize("text", OUTSIDE.values(), ids=OUTSIDE)
def test_what_is_not_the_engines_is_in_no_container(text: str) -> None:
    assert container_of(text) is None


def test_what_is_around_the_reader_is_not_the_processes_container() -> None:
    outer = f"0::/docker/{OTHER}\n"
    inner = f"0::/docker/{OTHER}/docker/{ID}\n"
    assert container_of(inner) == OTHER
    assert container_of(inner, components(outer)) == ID
    assert container_of(outer, components(outer)) is None
    below_podman = f"0::/machine.slice/libpod-{OTHER}.scope/docker/{ID}\n"
    around = components(f"0::/machine.slice/libpod-{OTHER}.scope/session.scope\n")
    assert container_of(below_podman, around) == ID


def test_the_devices_controller_decides() -> None:
    text = f"3:cpu:/docker/{OTHER}\n2:devices:/docker/{ID}\n0::/docker/{OTHER}\n"
    assert container_of(text) == ID
    assert parse_cgroups(text)[0] == ("docker", ID)


def test_status_gives_the_name_and_the_real_user() -> None:
    text = "Name:\tpython -m (a) b\nUmask:\t0022\nUid:\t1001\t0\t0\t0\n"
    assert parse_status(text) == ("python -m (a) b", 1001)
    assert parse_status("Name:\t\nUid:\t0\t0\t0\t0\n") == ("", 0)
    assert parse_status("") == ("", None)


def test_a_display_server_of_the_host_is_told_by_its_name() -> None:
    assert is_display(Process(1, "Xorg", 0))
    assert not is_display(Process(1, "python", 0))
    assert not is_display(Process(1, "Xorg", 0, container=ID))


def make_proc(folder: Path, pid: int, cgroup: str, name: str, uid: int) -> None:
    (folder / str(pid)).mkdir(parents=True)
    (folder / f"{pid}/cgroup").write_text(cgroup)
    (folder / f"{pid}/status").write_text(f"Name:\t{name}\nUid:\t{uid}\t0\t0\t0\n")


def test_a_process_is_read(tmp_path: Path) -> None:
    make_proc(tmp_path, 77, f"0::/ds01/u1001/{ID}\n", "train", 1001)
    assert read_process(77, tmp_path, memory=5) == Process(77, "train", 1001, ID, 5)


def test_a_name_may_be_any_bytes(tmp_path: Path) -> None:
    make_proc(tmp_path, 77, "0::/\n", "x", 1001)
    (tmp_path / "77/status").write_bytes(b"Name:\t\xff\xfe\nUid:\t7\t7\t7\t7\n")
    assert read_process(77, tmp_path).uid == 7


def test_a_process_that_is_gone_keeps_its_pid(tmp_path: Path) -> None:
    assert read_process(77, tmp_path) == Process(77)
    (tmp_path / "77").mkdir()
    assert read_process(77, tmp_path, memory=3) == Process(77, memory=3)


def test_a_process_that_ended_but_was_not_waited_for_is_read() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = read_process(child.pid, Path("/proc"), read_own(Path("/proc")))
    child.wait()
    assert (found.pid, found.uid, found.container) == (child.pid, os.getuid(), None)


def test_this_process_is_read() -> None:
    proc = Path("/proc")
    found = read_process(os.getpid(), proc, read_own(proc))
    assert found.uid == os.getuid()
    assert found.name
    assert found.container is None


@pytest.mark.engine
@pytest.mark.parametrize("parent", [None, "/ds01/u1001"])
def test_a_process_of_the_engine_is_found(docker_host: str, parent: str | None) -> None:
    words = ["docker", "run", "--detach", "--rm", "--network", "none"]
    if parent and "systemd" not in cgroup_driver():
        words += ["--cgroup-parent", parent]
    name = run([*words, "ds01/debian:bookworm", "sleep", "60"])
    try:
        pid = int(run(["docker", "inspect", "--format", "{{.State.Pid}}", name]))
        found = read_process(pid, Path("/proc"), read_own(Path("/proc")))
        assert (found.container, found.name, found.uid) == (name, "sleep", 0)
    finally:
        run(["docker", "rm", "--force", name])


def cgroup_driver() -> str:
    return run(["docker", "info", "--format", "{{.CgroupDriver}}"])


def run(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.strip()
