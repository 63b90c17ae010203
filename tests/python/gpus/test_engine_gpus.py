"""The bench's hook and runtime: what devices a container has, seen from inside."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_gpus import Json, a100_40, a100_80, topology
from gpu_bench import FakeDriver, copy_image

pytestmark = pytest.mark.engine

IMAGE = "ds01/debian:bookworm"
BAKED = f"ds01t-gpus-{os.getpid()}"
LOOK = 'ls /dev/nvidia-sim 2> /dev/null; echo "env ${NVIDIA_VISIBLE_DEVICES-unset}"'


def docker(host: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "--host", host, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def inside(
    host: str, *words: str, image: str = IMAGE, name: str = ""
) -> tuple[list[str], str]:
    """Return the device nodes of a container, and its NVIDIA_VISIBLE_DEVICES."""
    run = ["run", "--network", "none", *(["--name", name] if name else ["--rm"])]
    done = docker(host, *run, *words, image, "sh", "-c", LOOK)
    assert done.returncode == 0, done.stderr
    *nodes, last = done.stdout.splitlines()
    return nodes, last.removeprefix("env ")


@pytest.fixture
def gpus(gpu_bench: FakeDriver) -> Json:
    """Two whole GPUs around one with three MIG devices."""
    mig = ["3g.20gb", "", "2g.10gb", "1g.5gb"]
    return gpu_bench.write(topology([a100_40(), a100_40(mig=mig), a100_80()]))


def uuids(gpus: Json) -> tuple[str, list[str], str]:
    first, second, third = gpus["gpus"]
    instances = [one["uuid"] for one in second["mig"]["instances"]]
    return first["uuid"], instances, third["uuid"]


def bake(host: str, *changes: str) -> None:
    """Make an image whose environment asks for GPUs."""
    made = docker(host, "create", "--network", "none", IMAGE, "true")
    assert made.returncode == 0, made.stderr
    options = [word for change in changes for word in ("--change", f"ENV {change}")]
    done = docker(host, "commit", *options, made.stdout.strip(), BAKED)
    docker(host, "rm", "--force", made.stdout.strip())
    assert done.returncode == 0, done.stderr


@pytest.fixture
def baked(docker_host: str) -> Iterator[str]:
    """An image with NVIDIA_VISIBLE_DEVICES=all, as many on Docker Hub."""
    bake(docker_host, "NVIDIA_VISIBLE_DEVICES=all")
    yield BAKED
    docker(docker_host, "rmi", "--force", BAKED)


def test_uuids_give_these_devices(docker_host: str, gpus: Json) -> None:
    first, instances, _ = uuids(gpus)
    assert inside(docker_host, "--gpus", f"device={first}") == ([first], first)
    both = f"{first},{instances[1]}"
    found, variable = inside(docker_host, "--gpus", f'"device={both}"')
    assert sorted(found) == sorted([first, instances[1]])
    assert variable == both


def test_words_that_docker_translates(docker_host: str, gpus: Json) -> None:
    first, instances, third = uuids(gpus)
    found, _ = inside(docker_host, "--gpus", "all")
    assert sorted(found) == sorted([first, *instances, third])
    # The trap: a number is always the first ones.
    assert inside(docker_host, "--gpus", "1") == ([first], "0")
    assert inside(docker_host, "--gpus", "device=2") == ([third], "2")
    assert inside(docker_host, "--gpus", "device=1:2") == ([instances[1]], "1:2")


def test_nothing_asked_gives_nothing(docker_host: str, gpus: Json, baked: str) -> None:
    assert inside(docker_host) == ([], "unset")
    # With runc as the runtime, the environment alone does nothing.
    assert inside(docker_host, image=baked) == ([], "all")


def test_a_request_counts_before_the_image(
    docker_host: str, gpus: Json, baked: str
) -> None:
    _, instances, _ = uuids(gpus)
    words = ("--gpus", f"device={instances[0]}")
    assert inside(docker_host, *words, image=baked) == ([instances[0]], instances[0])


def test_the_runtime_gives_what_the_environment_says(
    docker_host: str, gpus: Json, baked: str
) -> None:
    first, instances, third = uuids(gpus)
    nvidia = ("--runtime", "nvidia")
    # The trap: nobody asked, and it has every GPU.
    found, _ = inside(docker_host, *nvidia, image=baked)
    assert sorted(found) == sorted([first, *instances, third])
    for value in ("void", "none", ""):
        words = (*nvidia, "--env", f"NVIDIA_VISIBLE_DEVICES={value}")
        assert inside(docker_host, *words, image=baked) == ([], value)
    assert inside(docker_host, *nvidia) == ([], "unset")
    words = (*nvidia, "--env", f"NVIDIA_VISIBLE_DEVICES={third}")
    assert inside(docker_host, *words) == ([third], third)
    # The hook runs once where the engine has put it there as well.
    words = (*nvidia, "--gpus", f"device={first}")
    assert inside(docker_host, *words, image=baked) == ([first], first)


def test_an_image_of_the_first_cuda_generation_has_all(
    docker_host: str, gpus: Json
) -> None:
    try:
        bake(docker_host, "CUDA_VERSION=9.0")
        words = ["--runtime", "nvidia"]
        found, variable = inside(docker_host, *words, image=BAKED)
        assert (len(found), variable) == (5, "unset")
        words += ["--env", "NVIDIA_VISIBLE_DEVICES=void"]
        assert inside(docker_host, *words, image=BAKED)[0] == []
    finally:
        docker(docker_host, "rmi", "--force", BAKED)


def test_a_restart_gives_the_same_devices(docker_host: str, gpus: Json) -> None:
    first, _, _ = uuids(gpus)
    name = f"{BAKED}-restart"
    try:
        inside(docker_host, "--gpus", f"device={first}", name=name)
        again = docker(docker_host, "start", "--attach", name)
        assert again.stdout.split() == [first, "env", first]
        asked = docker(docker_host, "inspect", name)
        (request,) = json.loads(asked.stdout)[0]["HostConfig"]["DeviceRequests"]
        assert request["DeviceIDs"] == [first]
    finally:
        docker(docker_host, "rm", "--force", name)


def test_a_user_opens_the_nodes_in_a_read_only_container(
    docker_host: str, gpus: Json
) -> None:
    first, _, _ = uuids(gpus)
    words = ["run", "--rm", "--network", "none", "--read-only", "--user", "1234"]
    words += ["--cap-drop", "ALL", "--gpus", f"device={first}", IMAGE]
    done = docker(docker_host, *words, "sh", "-c", "cat /dev/nvidia-sim/* | wc -c")
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


@pytest.mark.parametrize("gone", ["unknown", "lost", "remade", "driver"])
def test_a_device_that_is_gone_stops_the_start(
    docker_host: str, gpu_bench: FakeDriver, gpus: Json, gone: str
) -> None:
    wanted = gpus["gpus"][1]["mig"]["instances"][0]["uuid"]
    expected = f"device error: {wanted}: unknown device"
    if gone == "lost":
        gpus["gpus"][1]["lost"] = True
    elif gone == "remade":
        gpus["gpus"][1]["mig"]["instances"] = []
    elif gone == "driver":
        gpus["faults"] = {"nvmlInit": "lib_rm_version_mismatch"}
        expected = "initialization error: nvml error: lib rm version mismatch"
    else:
        wanted = "GPU-11111111-2222-3333-4444-555555555555"
        expected = f"device error: {wanted}: unknown device"
    gpu_bench.write(gpus)
    words = ("run", "--rm", "--network", "none", "--gpus", f"device={wanted}")
    done = docker(docker_host, *words, IMAGE, "true")
    assert done.returncode == 125
    assert f"nvidia-container-cli: {expected}" in done.stderr
    # Who asks for no GPU is not touched.
    assert inside(docker_host) == ([], "unset")


def test_nvidia_as_the_default_runtime(
    docker_host: str,
    private_engine: Callable[..., str],
    fake_driver: FakeDriver,
    tmp_path: Path,
) -> None:
    """Every image decides for itself, whatever the command line says."""
    made = fake_driver.write(topology([a100_40(), a100_40(mig=["1g.5gb"] * 2)]))
    everything = sorted(
        [made["gpus"][0]["uuid"]]
        + [one["uuid"] for one in made["gpus"][1]["mig"]["instances"]]
    )
    host = private_engine("--gpus", str(fake_driver.path), "--runtime", "nvidia")
    copy_image(docker_host, host, IMAGE)
    info = json.loads(docker(host, "info", "--format", "{{json .}}").stdout)
    assert info["DefaultRuntime"] == "nvidia"
    assert inside(host) == ([], "unset")
    found, _ = inside(host, "--env", "NVIDIA_VISIBLE_DEVICES=all")
    assert sorted(found) == everything
    bake(host, "NVIDIA_VISIBLE_DEVICES=all")
    found, variable = inside(host, image=BAKED)
    assert (sorted(found), variable) == (everything, "all")
    words = ("--env", "NVIDIA_VISIBLE_DEVICES=void")
    assert inside(host, *words, image=BAKED) == ([], "void")
    one = made["gpus"][0]["uuid"]
    assert inside(host, "--gpus", f"device={one}", image=BAKED) == ([one], one)


def test_an_engine_without_the_hook_knows_no_gpus(
    private_engine: Callable[..., str],
) -> None:
    host = private_engine()
    made = subprocess.run(
        ["docker", "--host", host, "import", "-", "empty"],
        input=bytes(10240),
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    words = ("run", "--rm", "--network", "none", "--gpus", "all", "empty", "true")
    done = docker(host, *words)
    assert done.returncode == 125
    assert "could not select device driver" in done.stderr
