"""Fixtures that all Python tests share: the engine, the file layout, other users.

tests/run provides the environment: DOCKER_HOST (its engine), BENCH_USERS (a JSON file
of the users it made), BENCH_DIR (its folder). Where one is missing, a test that needs
it fails: nothing is skipped. Simulated GPUs are in gpu_bench. By hand: `export
DOCKER_HOST=$(tests/engine/start DIR)` and `tests/engine/users make HOMES > FILE; export
BENCH_USERS=FILE`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# How long an example takes is a matter of what else the machine does.
hypothesis.settings.register_profile("ds01", deadline=None)
hypothesis.settings.load_profile("ds01")

pytest_plugins = ["gpu_bench", "nvml_probe"]

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ENGINE = PROJECT_ROOT / "tests/engine"

# A folder name that unquoted words and byte-wise code fall over.
AWKWARD_NAME = "ds01 würzel"


@dataclass(frozen=True)
class BenchUser:
    """A Unix user of the bench; member tells if it may use the bench's engine."""

    key: str
    name: str
    uid: int
    gid: int
    home: Path
    member: bool

    def run(
        self,
        words: Sequence[str | Path],
        *,
        env: dict[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, with its groups and HOME; return what came."""
        own = {**os.environ, "HOME": str(self.home), **(env or {})}
        own |= {"USER": self.name, "LOGNAME": self.name}
        return subprocess.run(
            ["runuser", "-u", self.name, "--", *map(str, words)],
            env=own,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture
def docker_host() -> str:
    """The address of the engine; the test fails where there is none."""
    address = os.environ.get("DOCKER_HOST", "")
    if not address:
        pytest.fail("DOCKER_HOST is not set: run the tests by tests/run")
    return address


@pytest.fixture
def shared_dir() -> Iterator[Path]:
    """A folder that other users may enter and write, with an awkward name.

    Short, because sockets below it may have names of 107 bytes only.
    """
    base = Path(os.environ.get("BENCH_DIR", "/var/tmp")) / "shared"
    parent = base if base.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="t", dir=parent))
    folder.chmod(0o755)
    inner = folder / AWKWARD_NAME
    inner.mkdir()
    inner.chmod(0o1777)
    yield inner
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ds01_root(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DS01_ROOT with the shipped configuration, exported for helpers and commands."""
    root = shared_dir / "root"
    etc = root / "etc/ds01"
    etc.mkdir(parents=True)
    for file in sorted((PROJECT_ROOT / "config").iterdir()):
        if file.is_file():
            shutil.copyfile(file, etc / file.name)
    (etc / "hooks.d").mkdir()
    for folder in ("var/lib/ds01/container-metadata", "var/log/ds01"):
        (root / folder).mkdir(parents=True)
    for path in [root / "var", *(root / "var").rglob("*")]:
        # As writable as the group of the engine makes them in an installation.
        path.chmod(0o2777)
    monkeypatch.setenv("DS01_ROOT", str(root))
    return root


@pytest.fixture(scope="session")
def users() -> dict[str, BenchUser]:
    """The users of the bench by key: alice, bob, outsider, ldap, digits, long, huge."""
    listing = os.environ.get("BENCH_USERS", "")
    if not listing:
        pytest.fail("BENCH_USERS is not set: run the tests by tests/run")
    named = json.loads(Path(listing).read_text(encoding="utf-8"))
    return {
        key: BenchUser(**{**fields, "home": Path(fields["home"])})
        for key, fields in named.items()
    }


@pytest.fixture
def private_engine() -> Iterator[Callable[..., str]]:
    """A function that starts one more engine, to be broken; all end with the test.

    Takes the options of tests/engine/start as words, such as "--data-size", "600m";
    returns the DOCKER_HOST. Its folder, for tests/engine/stop, is the socket's parent.
    """
    base = Path(os.environ.get("BENCH_DIR", "/var/tmp"))
    folders: list[Path] = []

    def start(*options: str) -> str:
        folder = Path(tempfile.mkdtemp(prefix="engine", dir=base))
        folder.rmdir()
        folders.append(folder)
        done = subprocess.run(
            [ENGINE / "start", *options, folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail(f"engine/start: {done.stderr}")
        return done.stdout.strip()

    yield start
    for folder in folders:
        if folder.exists():
            subprocess.run([ENGINE / "stop", folder], check=True)
