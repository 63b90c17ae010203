"""What the tests of custom images share: a studio that plans and builds, and looks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BASE = "ds01/debian:bookworm"
# Debian's client has both builders in it; a newer one before it may have one only.
OLD_CLIENT = "/usr/bin/docker"
PYTHON = [sys.executable, "-sE"]

PACKAGES = """\
version: 1
tiers:
  small: {title: A small tier, pip: [packaging]}
  shell: {title: A Debian package, apt: [tree]}
use_cases:
  more: {title: More, pip: [toml]}
pinned: [six]
"""
POLICY = """\
version: 1
default_group: student
groups: {student: {members: []}}
images: {max_builds: 4, min_free_disk: null}
"""


@dataclass
class Result:
    """How a helper ended, and what it said."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Studio:
    """A home and an installation of a test's own, on an engine."""

    folder: Path
    address: str
    builder: str = "classic"
    user: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root, self.home = self.folder / "root", self.folder / "höme"
        etc = self.root / "etc/ds01"
        if not etc.exists():
            etc.mkdir(parents=True)
            for file in sorted((ROOT / "config").iterdir()):
                if file.is_file():
                    shutil.copyfile(file, etc / file.name)
            (etc / "packages.yaml").write_text(PACKAGES)
            self.policy(POLICY)
            for place in ("var/lib/ds01/container-metadata", "var/log/ds01"):
                (self.root / place).mkdir(parents=True)
            for path in [self.root / "var", *(self.root / "var").rglob("*")]:
                path.chmod(0o2777)
        self.home.mkdir(exist_ok=True)

    def policy(self, text: str) -> None:
        (self.root / "etc/ds01/resource-limits.yaml").write_text(text)

    def images_policy(self, words: str) -> None:
        """Write a policy whose section images is this."""
        self.policy(POLICY.replace("max_builds: 4, min_free_disk: null", words))

    def environment(self) -> dict[str, str]:
        env = {
            **os.environ,
            "DOCKER_HOST": self.address,
            "DS01_ROOT": str(self.root),
            "HOME": str(self.home),
            **self.env,
        }
        for name in ("COMMAND_NAME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            env.pop(name, None)
        env["DOCKER_BUILDKIT"] = "0"
        if self.builder == "buildkit":
            env["DOCKER_BUILDKIT"] = "1"
            env["PATH"] = f"{Path(OLD_CLIENT).parent}:{env['PATH']}"
        return env

    def words(self, *words: str | Path) -> list[str]:
        """Return the words that run something behind the gateway."""
        gateway = [*PYTHON, str(ROOT / "python/docker_gateway.py"), "run", "--report"]
        report = str(self.home / "report")
        return [*self.user, *gateway, report, "--", *map(str, words)]

    def governed(self, *words: str | Path, cwd: Path | None = None) -> Result:
        begun = time.monotonic()
        (self.home / "report").unlink(missing_ok=True)
        done = subprocess.run(
            self.words(*words),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            cwd=cwd or self.home,
        )
        return Result(
            done.returncode, done.stdout, done.stderr, time.monotonic() - begun
        )

    def helper(self, name: str) -> list[str]:
        return [*PYTHON, str(ROOT / f"python/{name}.py")]

    def plan(
        self, verb: str, name: str, *words: str, cwd: Path | None = None
    ) -> Result:
        shutil.rmtree(self.stage(name), ignore_errors=True)
        stage = ["--stage", str(self.stage(name))]
        helper = self.helper("image_plan")
        return self.governed(*helper, verb, *stage, name, *words, cwd=cwd)

    def stage(self, name: str) -> Path:
        return self.home / "stage" / name

    def build_words(self, name: str, *words: str) -> list[str]:
        stage = ["--stage", str(self.stage(name))]
        return [*self.helper("image_build"), *stage, *words]

    def build(self, name: str, *words: str) -> Result:
        return self.governed(*self.build_words(name, *words))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start something behind the gateway in a process group of its own."""
        return subprocess.Popen(
            self.words(*words),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=self.home,
        )

    def make(self, name: str, *words: str) -> Result:
        """Plan and build a new image; both must succeed."""
        planned = self.plan("create", name, *words)
        assert planned.status == 0, planned.err
        built = self.build(name)
        assert built.status == 0, built.err
        return built

    def change(self, name: str, *words: str, build: Sequence[str] = ()) -> Result:
        planned = self.plan("update", name, *words)
        assert planned.status == 0, planned.err
        built = self.build(name, *build)
        assert built.status == 0, built.err
        return built

    def images(self, *words: str) -> Result:
        done = subprocess.run(
            [*self.user, *self.helper("images"), *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            cwd=self.home,
        )
        return Result(done.returncode, done.stdout, done.stderr, 0)

    def source(self, name: str) -> Path:
        return self.home / "ds01/images" / name

    def lock(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.source(name) / "image.lock").read_text()
        )
        return found

    def events(self) -> list[dict[str, Any]]:
        path = self.root / "var/log/ds01/events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def docker(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [OLD_CLIENT, *words],
            env={**os.environ, "DOCKER_HOST": self.address},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("image", "inspect", image))[0]
        return found

    def layers(self, image: str) -> list[str]:
        found: list[str] = self.inspect(image)["RootFS"]["Layers"]
        return found

    def inside(self, image: str, code: str) -> str:
        """Return what Python says in a container of an image."""
        words = ["run", "--rm", "--network", "none", image, "python3", "-c", code]
        return self.docker(*words).strip()

    def containers(self) -> list[str]:
        """Return the containers that builds and helpers leave while they run."""
        form = "{{.ID}} {{.Command}} {{.Image}}"
        return self.docker("ps", "--all", "--no-trunc", "--format", form).splitlines()

    def clear(self) -> None:
        """Remove all custom images of the engine."""
        form = "{{.Repository}}:{{.Tag}}"
        words = ["images", "--format", form, "--filter", "label=ds01.image.name"]
        names = [it for it in self.docker(*words).split() if "<none>" not in it]
        if names:
            self.docker("rmi", "--force", *names, check=False)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def studio_on(address: str) -> Iterator[Studio]:
    """Yield a studio in a folder that other users may enter."""
    base = Path(os.environ.get("BENCH_DIR", "/var/tmp")) / "shared"
    folder = Path(tempfile.mkdtemp(prefix="i", dir=base if base.is_dir() else None))
    folder.chmod(0o755)
    studio = Studio(folder, address)
    try:
        yield studio
    finally:
        studio.clear()
        shutil.rmtree(folder, ignore_errors=True)
