"""Topologies for the simulated driver: placement, UUIDs, the program, the build."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import fake_gpus
from fake_gpus import A100_40, a100_40, a100_80, topology
from gpu_bench import BUILD


def test_places_as_low_as_all_fit() -> None:
    def starts(*names: str) -> list[int]:
        return [start for _, start in fake_gpus.place(A100_40, names)]

    assert starts("3g.20gb", "2g.10gb", "1g.5gb") == [0, 4, 6]
    # A 1g first would stand in the way of both.
    assert starts("1g.5gb", "4g.20gb", "2g.10gb") == [6, 0, 4]
    assert starts(*["1g.5gb"] * 7) == list(range(7))
    assert starts("1g.5gb@6", "3g.20gb") == [6, 0]


@pytest.mark.parametrize(
    "names",
    [
        ["3g.20gb"] * 2 + ["1g.5gb"],
        ["7g.40gb", "1g.5gb"],
        ["1g.5gb+me"] * 2,
        ["1g.10gb"] * 5,
        ["3g.20gb@1"],
        ["3g.40gb"],
    ],
)
def test_refuses_what_the_card_cannot(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"fit|too many|start|no profile"):
        fake_gpus.place(A100_40, names)


def test_devices_are_what_a_container_can_have() -> None:
    made = topology([a100_40(), a100_40(mig=["1g.5gb"] * 2), a100_80(mig=[])])
    kinds = [one["uuid"][:4] for one in fake_gpus.devices(made)]
    assert kinds == ["GPU-", "MIG-", "MIG-"]


def test_as_a_program(tmp_path: Path) -> None:
    program = Path(fake_gpus.__file__)
    target = tmp_path / "topology.json"
    words: list[str | Path]
    words = [program, "--output", target, "a100-40", "a100-40:3g.20gb,1g.5gb"]
    before = os.umask(0o077)
    subprocess.run(words, check=True)
    os.umask(before)
    expected = topology([a100_40(), a100_40(mig=["3g.20gb", "1g.5gb"])])
    assert json.loads(target.read_text()) == json.loads(json.dumps(expected))
    assert target.stat().st_mode & 0o777 == 0o644
    done = subprocess.run(
        [program, "a100-41"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "a100-80" in done.stderr


def test_build_says_what_is_missing(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "readlink", "env"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        [BUILD, tmp_path / "out"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert "apt-get install gcc" in done.stderr
    assert not (tmp_path / "out").exists()
