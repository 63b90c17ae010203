"""Every client's way to ask for GPUs ends in the same rules, seen from inside."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ds01.core.paths import PROJECT_ROOT
from fake_gpus import Json, a100_40, topology
from gpu_bench import FakeDriver, copy_image

pytestmark = pytest.mark.engine

IMAGE = "ds01/debian:bookworm"
LOOK = "ls /dev/nvidia-sim 2> /dev/null || echo none"
GATEWAY = [sys.executable, "-sE", str(PROJECT_ROOT / "python/docker_gateway.py")]
POLICY = """\
version: 1
default_group: everybody
groups: {everybody: {}}
defaults: {max_gpus: 1, allow_full_gpu: true, network: host}
"""


class Client:
    """Runs clients behind the gateway on an engine with simulated GPUs."""

    def __init__(self, driver: FakeDriver, host: str) -> None:
        self.env = {**driver.env, "DOCKER_HOST": host}

    def run(
        self, *words: str | Path, status: int = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*GATEWAY, "run", "--", *map(str, words)],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done


@pytest.fixture
def gpus(gpu_bench: FakeDriver) -> Json:
    return gpu_bench.write(topology([a100_40(), a100_40()]))


@pytest.fixture
def client(
    ds01_root: Path, gpu_bench: FakeDriver, gpus: Json, docker_host: str
) -> Iterator[Client]:
    """Clients of the bench's engine, under a policy of one GPU for each user."""
    (ds01_root / "etc/ds01/resource-limits.yaml").write_text(POLICY, encoding="utf-8")
    yield Client(gpu_bench, docker_host)
    names = subprocess.run(
        ["docker", "ps", "-aq", "--filter", "name=ds01t-gpu"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if names:
        subprocess.run(["docker", "rm", "-f", *names], capture_output=True, check=False)


def test_the_docker_command(client: Client, gpus: Json) -> None:
    run = ("docker", "run", "--rm", "--network", "none")
    first, second = (gpu["uuid"] for gpu in gpus["gpus"])
    given = client.run(*run, "--gpus", "all", IMAGE, "sh", "-c", LOOK).stdout.split()
    assert len(given) == 1
    assert given[0] in (first, second)
    named = client.run(*run, "--gpus", f"device={second}", IMAGE, "sh", "-c", LOOK)
    assert named.stdout.split() == [second]
    over = client.run(*run, "--gpus", "2", IMAGE, "true", status=125)
    assert "ds01: " in over.stderr
    index = client.run(*run, "--gpus", "device=0", IMAGE, "true", status=125)
    assert "index" in index.stderr
    without = client.run(
        *run, "-e", "NVIDIA_VISIBLE_DEVICES=all", IMAGE, "sh", "-c", LOOK
    )
    assert without.stdout.split() == ["none"]


def test_compose(client: Client, gpus: Json, tmp_path: Path) -> None:
    compose = shutil.which("docker-compose")
    assert compose, "docker-compose is missing: run the tests by tests/run"
    (tmp_path / "docker-compose.yml").write_text(
        f"""\
services:
  train:
    container_name: ds01t-gpu-compose
    image: {IMAGE}
    network_mode: host
    command: sleep 60
    deploy:
      resources:
        reservations:
          devices: [{{driver: nvidia, count: 1, capabilities: [gpu]}}]
""",
        encoding="utf-8",
    )
    words = (compose, "-f", tmp_path / "docker-compose.yml")
    client.run(*words, "up", "-d")
    seen = client.run("docker", "exec", "ds01t-gpu-compose", "ls", "/dev/nvidia-sim")
    assert len(seen.stdout.split()) == 1
    assert seen.stdout.strip() in {gpu["uuid"] for gpu in gpus["gpus"]}
    client.run(*words, "down", "-t", "0")


def test_the_sdk(client: Client, gpus: Json) -> None:
    code = f"""
import docker
from docker.types import DeviceRequest
client = docker.from_env()
gpu = DeviceRequest(count=-1, capabilities=[["gpu"]])
out = client.containers.run("{IMAGE}", ["sh", "-c", "{LOOK}"], remove=True,
    network_mode="none", device_requests=[gpu])
print(out.decode().strip())
two = DeviceRequest(count=2, capabilities=[["gpu"]])
try:
    client.containers.run("{IMAGE}", "true", network_mode="none", device_requests=[two])
except docker.errors.APIError as error:
    print("refused", error.explanation)
"""
    lines = client.run(sys.executable, "-c", code).stdout.splitlines()
    assert lines[0] in {gpu["uuid"] for gpu in gpus["gpus"]}
    assert lines[1].startswith("refused ds01: ")


def test_where_nvidias_runtime_is_the_default(
    client: Client,
    gpu_bench: FakeDriver,
    gpus: Json,
    docker_host: str,
    private_engine: Callable[..., str],
) -> None:
    """An image that asks for all GPUs gets none, or only what was granted."""
    host = private_engine("--gpus", str(gpu_bench.path), "--runtime", "nvidia")
    copy_image(docker_host, host, IMAGE)
    script = (
        "id=$(docker create --network none $1 true) && "
        "docker commit --change 'ENV NVIDIA_VISIBLE_DEVICES=all' $id baked && "
        "docker rm $id"
    )
    subprocess.run(
        ["sh", "-euc", script, "sh", IMAGE],
        env={**gpu_bench.env, "DOCKER_HOST": host},
        capture_output=True,
        check=True,
    )
    there = Client(gpu_bench, host)
    run = ("docker", "run", "--rm", "--network", "none")
    assert there.run(*run, "baked", "sh", "-c", LOOK).stdout.split() == ["none"]
    one = there.run(*run, "--gpus", "1", "baked", "sh", "-c", LOOK).stdout.split()
    assert len(one) == 1
    assert one[0] in {gpu["uuid"] for gpu in gpus["gpus"]}


def test_nothing_is_held_after_a_failed_create(client: Client) -> None:
    words = ("docker", "create", "--network", "none", "--gpus", "1")
    client.run(*words, "ds01t-no-such-image:none", "true", status=1)
    for _ in range(2):
        # The second of two with a quota of one would be refused if one leaked.
        client.run(
            "docker", "run", "--rm", "--network", "none", "--gpus", "1", IMAGE, "true"
        )


@pytest.mark.parametrize("killed", ["client", "command"])
def test_who_is_killed_in_the_queue_leaves_it(
    client: Client, gpu_bench: FakeDriver, ds01_root: Path, killed: str
) -> None:
    gpu_bench.write(topology([a100_40()]))
    (ds01_root / "etc/ds01/resource-limits.yaml").write_text(
        POLICY.replace("max_gpus: 1", "max_gpus: 2"), encoding="utf-8"
    )
    create = ("docker", "create", "--network", "none", "--gpus")
    client.run(*create, "1", "--name", "ds01t-gpu-has", IMAGE, "true")
    log = ds01_root / "var/log/ds01/gpu-allocations.log"

    def types() -> list[str]:
        return [json.loads(line)["type"] for line in log.read_text().splitlines()]

    waiting = " ".join(
        (*create, "'\"options=ds01.wait\",count=1'", "--name", "ds01t-gpu-left", IMAGE)
    )
    after = "kill -9 $!; wait; read _" if killed == "client" else "exit 3"
    with subprocess.Popen(
        [*GATEWAY, "run", "--", "sh", "-c", f"{waiting} & read _; {after}"],
        env=client.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as command:
        assert command.stdin is not None
        until(lambda: "enqueue" in types())
        command.stdin.write("\n")
        command.stdin.flush()
        until(lambda: "leave" in types())
        subprocess.run(
            ["docker", "rm", "-f", "ds01t-gpu-has"], capture_output=True, check=True
        )
        # What is free now goes to who is there.
        client.run(*create, "1", "--name", "ds01t-gpu-next", IMAGE, "true")
        command.stdin.close()
        command.wait(120)
    names = client.run("docker", "ps", "-a", "--format", "{{.Names}}").stdout.split()
    assert "ds01t-gpu-next" in names
    assert "ds01t-gpu-left" not in names


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
