"""Fixtures with simulated GPUs: `fake_driver` for this process and its children alone,
`gpu_bench` for the engine of the bench too.

    def test_it(fake_driver: FakeDriver) -> None:
        fake_driver.write(topology([a100_40()]))
        done = subprocess.run([...], env=fake_driver.env)

    @pytest.mark.engine
    def test_containers(gpu_bench: FakeDriver) -> None:
        gpus = gpu_bench.write(topology([a100_40()]))
        ...                        # `docker run --gpus device=UUID` makes
                                   # /dev/nvidia-sim/UUID in the container

The library must be on LD_LIBRARY_PATH when a process starts, so pynvml in the test's
own process does not see it: look through a child. BENCH_GPUS is the folder with library
and topology.json that tests/run makes; its engine reads that topology. By hand:

    export BENCH_GPUS=$(tests/fake-nvml/build FOLDER)
    tests/python/fake_gpus.py --output "$BENCH_GPUS/topology.json"
    export DOCKER_HOST=$(tests/engine/start --gpus "$BENCH_GPUS/topology.json" DIR)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fake_gpus

BUILD = Path(__file__).resolve().parents[1] / "fake-nvml/build"


@dataclass(frozen=True)
class FakeDriver:
    """The simulated driver: its library's folder, and the topology that it answers."""

    library: Path
    path: Path

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to see the GPUs."""
        before = os.environ.get("LD_LIBRARY_PATH", "")
        search = f"{self.library}:{before}" if before else str(self.library)
        return {"LD_LIBRARY_PATH": search, "FAKE_NVML_TOPOLOGY": str(self.path)}

    @property
    def env(self) -> dict[str, str]:
        """This process's environment with them, for subprocess.run."""
        return {**os.environ, **self.variables}

    def write(self, topology: fake_gpus.Json) -> fake_gpus.Json:
        """Make this the topology, for all processes from their next call on."""
        fake_gpus.write(self.path, topology)
        return topology

    def python(self, code: str, *words: str) -> str:
        """Run Python code that sees the GPUs; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def fake_nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built library."""
    if folder := os.environ.get("BENCH_GPUS"):
        return Path(folder)
    target = tmp_path_factory.mktemp("fake-nvml")
    done = subprocess.run([BUILD, target], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(done.stderr)
    return target


@pytest.fixture
def fake_driver(fake_nvml_library: Path, tmp_path: Path) -> FakeDriver:
    """A driver of this test's own, without GPUs so far; the engine does not know it."""
    driver = FakeDriver(fake_nvml_library, tmp_path / "topology.json")
    driver.write(fake_gpus.topology())
    return driver


@pytest.fixture
def gpu_bench(docker_host: str) -> Iterator[FakeDriver]:
    """The driver of the bench's engine, without GPUs before and after the test."""
    folder = os.environ.get("BENCH_GPUS", "")
    if not folder:
        pytest.fail("BENCH_GPUS is not set: run the tests by tests/run")
    driver = FakeDriver(Path(folder), Path(folder) / "topology.json")
    driver.write(fake_gpus.topology())
    yield driver
    driver.write(fake_gpus.topology())


def copy_image(source: str, target: str, image: str) -> None:
    """Load an image of one engine into another, by their DOCKER_HOSTs."""
    docker = shutil.which("docker") or "docker"
    saved: Any
    with subprocess.Popen(
        [docker, "--host", source, "save", image], stdout=subprocess.PIPE
    ) as saved:
        subprocess.run(
            [docker, "--host", target, "load", "--quiet"],
            stdin=saved.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
