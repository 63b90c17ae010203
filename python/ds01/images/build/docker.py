"""Runs docker's build for a plan, and tells how far it is and why it failed.

A signal ends the build in the engine before this ends; if this is killed, docker gets
SIGTERM, which ends it too.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.program import say
from ds01.core.units import utc_stamp
from ds01.images.build.builder import find_client
from ds01.images.build.finish import ensure_uv
from ds01.images.build.stage import Plan, checksum, context_checksum
from ds01.images.shelf.labels import BUILDER, Labels, encode, own_mark
from ds01.images.shelf.turn import state_folder
from ds01.images.source import lock
from ds01.images.versions import workshop
from ds01.images.versions.progress import failure_of, gone_versions, last_lines, step_of

PROGRAM = "image_build"
_PROGRESS = 3
_GRACE_SECONDS = 20
_LOGS_KEPT = 20
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Built:
    """A built image without a name yet, and what the builder said."""

    id: str
    log: Path
    seconds: float


class Build:
    """One build of one plan."""

    def __init__(self, stage: Path, plan: Plan, words: argparse.Namespace) -> None:
        self._stage = stage
        # Changes where Debian has not the locked versions any more.
        self.plan = plan
        self._words = words
        self._lines: list[str] = []

    def log_path(self) -> Path:
        """Return the file that the builder's words go to."""
        if self._words.log:
            return Path(self._words.log)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        folder = state_folder() / "logs"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in sorted(folder.glob("build-*.log"), key=_age)[_LOGS_KEPT:]:
            old.unlink(missing_ok=True)
        return folder / f"build-{self.plan.name}-{stamp}-{os.getpid()}.log"

    def labels(self) -> dict[str, str]:
        """Return the labels of the image to be."""
        plan = self.plan
        values = Labels(
            uid=str(os.getuid()),
            user=plan.user,
            name=plan.name,
            base=plan.ground.image,
            base_digest=plan.ground.digest,
            spec=checksum(plan.spec),
            lock=checksum(lock.dump_lock(plan.lock)),
            context=context_checksum(self._stage),
            created=utc_stamp(),
            shared="1" if plan.shared else "0",
            architecture=plan.ground.architecture,
            framework=plan.ground.framework,
            source=plan.folder,
            made_by=self._words.made_by,
        )
        return {**encode(values), BUILDER: own_mark()}

    def words(self, docker: str, iid: Path, *, no_cache: bool) -> list[str]:
        """Return the words of docker's build."""
        plan = self.plan
        context = self._stage / "context"
        words = [docker, "build", "--file", str(context / "Dockerfile")]
        words += ["--network", "default" if plan.tools.network == "bridge" else "host"]
        words += ["--iidfile", str(iid)]
        if plan.tools.builder == "classic":
            words += ["--rm", "--force-rm"]
        if no_cache:
            words.append("--no-cache")
        for name in sorted(workshop.proxies()):
            words += ["--build-arg", name]
        for name in plan.secrets:
            words += ["--secret", f"id={name},env={name}"]
        for name, value in sorted(self.labels().items()):
            words += ["--label", f"{name}={value}"]
        return [*words, str(context)]

    def run(self, engine: Engine) -> Built:
        """Have the image built; raises HelperError with the reason of a failure."""
        plan = self.plan
        client = find_client()
        if client.builder != plan.tools.builder:
            raise HelperError(
                Exit.USAGE,
                f"the Dockerfile is for the builder '{plan.tools.builder}', and docker "
                f"here uses '{client.builder}'",
                "plan it anew",
            )
        workshop.secrets(plan.secrets)
        if plan.pip_layers and plan.tools.installer == "uv":
            ensure_uv(engine, str(plan.tools.uv_image))
        begun = time.monotonic()
        iid, log = self._stage / "iid", self.log_path()
        iid.unlink(missing_ok=True)
        words = self.words(client.path, iid, no_cache=self._words.no_cache)
        env = {**os.environ, **workshop.proxies(), **client.environment}
        status = self._follow(words, env, log)
        if status != 0 and self._relax():
            status = self._follow(words, env, log)
        seconds = time.monotonic() - begun
        if status == 0 and iid.exists():
            return Built(iid.read_text(encoding="ascii").strip(), log, seconds)
        raise self._failure(log)

    def _relax(self) -> bool:
        """Take any version of Debian packages whose version is gone; is there any?

        Not of those whose version the user asked for.
        """
        gone = [
            (name, version)
            for name, version in gone_versions(self._lines)
            if f"{name}={version}" not in self.plan.fixed_apt
        ]
        if not gone or _refusal():
            return False
        for name, version in gone:
            say("info", f"'{name}' {version} is gone, a newer one is taken", PROGRAM)
        self.plan = self.plan.without(gone)
        file = self._stage / "context/Dockerfile"
        file.write_text(self.plan.dockerfile, encoding="utf-8")
        self._lines.clear()
        return True

    def _follow(self, words: Sequence[str], env: dict[str, str], log: Path) -> int:
        """Run docker, and tell its steps; a signal ends it before this ends."""
        parent = os.getpid()

        def tie() -> None:
            # Where this is killed, the build must not go on by itself.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        with log.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(
                words,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                preexec_fn=tie,  # noqa: PLW1509 - there are no threads
            )
            try:
                for line in process.stdout or ():
                    out.write(line)
                    out.flush()
                    self._lines.append(line.rstrip("\n"))
                    step = step_of(line)
                    if step is not None:
                        step.tell(_PROGRESS)
                return process.wait()
            except BaseException:
                _end(process)
                raise

    def _failure(self, log: Path) -> HelperError:
        refused = _refusal()
        if refused is not None:
            return refused
        found = failure_of(self._lines)
        for line in last_lines(self._lines):
            print(f"    {line}", file=sys.stderr)
        package = found.package or ""
        named = f" (package '{package}')" if package not in found.reason else ""
        return HelperError(
            found.code,
            f"image '{self.plan.name}' was not built: {found.reason}{named}",
            f"all that was said is in '{log}'",
        )


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _end(process: subprocess.Popen[str]) -> None:
    """End docker, which ends the build in the engine; wait for it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(_GRACE_SECONDS / 2)
    if process.stdout:
        process.stdout.close()


def _refusal() -> HelperError | None:
    """Return what the gateway refused or ended, if it did: docker rewords it."""
    path = os.environ.get("DS01_GATEWAY_REPORT")
    if not path:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return HelperError(Exit(told["code"]), str(told["message"]), told.get("hint"))
    return None
