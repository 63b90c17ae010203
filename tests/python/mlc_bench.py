"""What the engine tests of mlc share: a catalog of their own, real Unix users."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[2] / "aime-ml-containers"
BASE = "ds01/debian:bookworm"


@dataclass(frozen=True)
class User:
    """A Unix account; the default is who runs the tests."""

    name: str = "root"
    uid: int = 0
    gid: int = 0


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines(keepends=True)


@contextlib.contextmanager
def _account_files() -> Iterator[None]:
    with Path("/etc/.pwd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: str, lines: Sequence[str]) -> None:
    part = Path(f"{path}.mlc-test")
    part.write_text("".join(lines), encoding="utf-8")
    shutil.copystat(path, part)
    part.replace(path)


@contextlib.contextmanager
def unix_user(name: str, uid: int, gid: int, group: str | None) -> Iterator[User]:
    """Add an account, by its lines as a directory service would serve them; take it
    away again. Without a group name the gid must be known already."""
    mark = f"mlc-test-{secrets.token_hex(4)}"
    line = f"{name}:x:{uid}:{gid}:{mark}:/nonexistent:/bin/sh\n"
    group_line = f"{group}:x:{gid}:\n"
    with _account_files():
        _write("/etc/passwd", [*_lines("/etc/passwd"), line])
        if group:
            _write("/etc/group", [*_lines("/etc/group"), group_line])
    try:
        yield User(name, uid, gid)
    finally:
        with _account_files():
            _write("/etc/passwd", [one for one in _lines("/etc/passwd") if one != line])
            if group:
                kept = [one for one in _lines("/etc/group") if one != group_line]
                _write("/etc/group", kept)


def docker(*words: str, check: bool = True, stdin: str = "") -> str:
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, input=stdin, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"docker {words}: {done.stderr}")
    return done.stdout


def made_from(image: str) -> tuple[set[str], set[str]]:
    """Return the containers and the images that stand on an image, tagged or not."""
    containers = docker(
        "ps", "-aq", "--no-trunc", "--filter", f"ancestor={image}"
    ).split()
    parent = docker("image", "inspect", "--format", "{{.Id}}", image).strip()
    every = docker("images", "-aq", "--no-trunc").split()
    lines = docker(
        "image", "inspect", "--format", "{{.Id}} {{.Parent}}", *every, check=False
    )
    pairs = [line.split() for line in lines.splitlines()]
    return set(containers), {pair[0] for pair in pairs if pair[1:] == [parent]}


def images_like(word: str) -> list[str]:
    lines = docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    return [line for line in lines if word in line]


@dataclass
class Mlc:
    """Runs mlc as a user, through a link in a folder with a catalog of its own."""

    folder: Path
    prefix: str = field(default_factory=lambda: f"A{secrets.token_hex(3)}")

    def __post_init__(self) -> None:
        self.work = self.folder / "wörk, space"
        self.work.mkdir(parents=True)
        self.work.chmod(0o777)
        (self.folder / "mlc.py").symlink_to(HOME / "mlc.py")
        self.catalog()

    def catalog(self, *lines: str) -> None:
        text = "\n".join((f"Debian, bookworm, [CPU], {BASE}", *lines)) + "\n"
        (self.folder / "ml_images.repo").write_text(text, encoding="utf-8")

    def name(self, word: str) -> str:
        return f"{self.prefix}-{word}"

    def options(self, user: User, env: dict[str, str] | None) -> dict[str, Any]:
        environment = {
            "PATH": os.environ["PATH"],
            "DOCKER_HOST": os.environ["DOCKER_HOST"],
            "HOME": str(self.folder),
            **(env or {}),
        }
        options: dict[str, Any] = {"env": environment, "cwd": self.work}
        if user.uid != 0:
            path = os.environ["DOCKER_HOST"].removeprefix("unix://")
            engine_group = os.stat(path, follow_symlinks=True)[stat.ST_GID]  # noqa: PTH116
            options |= {
                "user": user.uid,
                "group": user.gid,
                "extra_groups": [engine_group],
            }
        return options

    def words(self, *words: str) -> list[str]:
        return ["python3", "-sES", str(self.folder / "mlc.py"), *words]

    def start(
        self, *words: str, user: User | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # no terminal, as under cron
            **self.options(user or User(), env),
        )

    def __call__(
        self,
        *words: str,
        user: User | None = None,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*words),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            **self.options(user or User(), env),
        )

    def create(
        self,
        word: str,
        *flags: str,
        user: User | None = None,
        version: str = "bookworm",
    ) -> str:
        """Create a container; return its full name."""
        user = user or User()
        words = (self.name(word), "Debian", version, "-s", "-w", str(self.work))
        done = self("create", *words, *flags, user=user)
        assert done.returncode == 0, done.stderr
        return f"{self.name(word)}._.{user.uid}"

    def clean(self) -> None:
        found = docker("ps", "-aq", "--filter", f"name={self.prefix}", check=False)
        if found.split():
            docker("rm", "-f", "-v", *found.split(), check=False)
        for image in images_like(self.prefix):
            docker("rmi", "-f", image, check=False)


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Mlc]:
    """Give an mlc of its own to a test; take away what it made."""
    tool = Mlc(folder / "mlc")
    tool.folder.chmod(0o777)  # home of all test users
    try:
        yield tool
    finally:
        tool.clean()


def inspect(name: str, kind: str = "container") -> dict[str, Any]:
    answer: list[dict[str, Any]] = json.loads(docker(kind, "inspect", name))
    return answer[0]


def inside(container: str, user: User, script: str, *, check: bool = True) -> str:
    words = (
        "exec",
        "--user",
        f"{user.uid}:{user.gid}",
        container,
        "bash",
        "-c",
        script,
    )
    return docker(*words, check=check).strip()
