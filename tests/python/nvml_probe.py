"""Fixtures `probe` and `nvml`: unmodified pynvml on the simulated driver, in a child.

    def test_it(nvml: Probe, fake_driver: FakeDriver) -> None:
        fake_driver.write(topology([a100_40()]))
        assert nvml("nvmlDeviceGetName(gpu(0))") == "NVIDIA A100-SXM4-40GB"
        nvml("one := gpu(0)")      # a name to keep
        assert nvml.error("mig(0, 0)") == "Not Found"

One child answers all questions of a test: gpu(i) and mig(i, j) are handles.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from gpu_bench import FakeDriver

# A process that evaluates one expression after the other; a failure is its name.
PROBE = """
import json, sys
from pynvml import *
import pynvml as n
names = dict(vars(n))
def gpu(i): return nvmlDeviceGetHandleByIndex(i)
def mig(i, j): return nvmlDeviceGetMigDeviceHandleByIndex(gpu(i), j)
def fields(value): return {name: getattr(value, name) for name, _ in value._fields_}
def text(value): return value.decode() if isinstance(value, bytes) else value.value
names.update(gpu=gpu, mig=mig, fields=fields)
for line in sys.stdin:
    try:
        name, _, expression = json.loads(line).rpartition(":=")
        value = eval(expression, names)
        if name:
            names[name.strip()] = value
            value = True
    except NVMLError as error:
        value = {"error": str(error)}
    print(json.dumps(value, default=text), flush=True)
"""


@dataclass(frozen=True)
class Probe:
    """A process with pynvml loaded."""

    child: subprocess.Popen[str]

    def __call__(self, expression: str) -> Any:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps(expression) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def error(self, expression: str) -> str:
        """Return the failure of an expression that must fail."""
        answer = self(expression)
        assert isinstance(answer, dict), answer
        return cast(str, answer["error"])


@pytest.fixture
def probe(fake_driver: FakeDriver) -> Iterator[Probe]:
    """pynvml on the driver, not initialised."""
    with subprocess.Popen(
        [sys.executable, "-c", PROBE],
        env=fake_driver.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        yield Probe(child)


@pytest.fixture
def nvml(probe: Probe) -> Probe:
    """pynvml on the driver, initialised."""
    assert probe("nvmlInit()") is None
    return probe
