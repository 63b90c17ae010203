"""Builds what image_plan laid out: image, lock and source, or nothing of the three.

The image gets its name when it is built and looked into; until then, and where
anything fails or is interrupted, the image of that name and the source stay as they
were. Only the source of the very first build is written in any case, so that nothing
typed is lost. Progress goes to file descriptor 3, if open: `step N/M text`.

stdout: one JSON object. Exit statuses: docs/exit-codes.md.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import image_lock
import image_source as source
import image_workshop
import settings
from _common import Exit, HelperError, print_json, program_name, run, say
from engine import Engine
from event_log import append_event
from image_builder import find_client
from image_finish import ensure_uv, look_into, name_it, sweep, warnings_of
from image_labels import BUILDER, Labels, encode
from image_progress import failure_of, gone_versions, last_lines, step_of
from image_stage import Plan, checksum, context_checksum, read_stage
from image_usage import containers_of
from process_owner import owner_of
from units import utc_stamp

PROGRAM = "image_build"
_PROGRESS = 3
_GRACE_SECONDS = 20
_PR_SET_PDEATHSIG = 1
_MADE_BY = ("image-create", "image-update", "container-save")


@dataclass(frozen=True)
class Built:
    """A built image without a name yet, and what the builder said."""

    id: str
    log: Path
    seconds: float


def state_folder() -> Path:
    """Return the folder of logs and locks, below XDG_STATE_HOME."""
    base = os.environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local/state"
    return root / "ds01"


@contextlib.contextmanager
def alone(plan: Plan) -> Iterator[None]:
    """Hold the lock of an image's builds; raises HelperError(REFUSED) if taken."""
    folder = state_folder() / "builds"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(folder / f"{plan.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip() or "?"
            raise HelperError(
                Exit.REFUSED,
                f"image '{plan.name}' is being built already (process {holder})",
                f"wait for it, or see what it does with 'ps -fp {holder}'",
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(file, 0)
    finally:
        os.close(file)


# The build ----------------------------------------------------------------------------


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
        return folder / f"build-{self.plan.name}-{stamp}-{os.getpid()}.log"

    def labels(self) -> dict[str, str]:
        """Return the labels of the image to be."""
        plan = self.plan
        me = owner_of(os.getpid())
        values = Labels(
            uid=str(os.getuid()),
            user=plan.user,
            name=plan.name,
            base=plan.ground.image,
            base_digest=plan.ground.digest,
            spec=checksum(plan.spec),
            lock=checksum(image_lock.dump_lock(plan.lock)),
            context=context_checksum(self._stage),
            created=utc_stamp(),
            shared="1" if plan.shared else "0",
            architecture=plan.ground.architecture,
            framework=plan.ground.framework,
            source=plan.folder,
            made_by=self._words.made_by,
        )
        by = f"{me.pid}.{me.start}.{me.boot}" if me else "-"
        return {**encode(values), BUILDER: by}

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
        for name in sorted(image_workshop.proxies()):
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
        _check_secrets(plan)
        if plan.pip_layers and plan.tools.installer == "uv":
            ensure_uv(engine, str(plan.tools.uv_image))
        begun = time.monotonic()
        iid, log = self._stage / "iid", self.log_path()
        iid.unlink(missing_ok=True)
        words = self.words(client.path, iid, no_cache=self._words.no_cache)
        env = {**os.environ, **image_workshop.proxies(), **client.environment}
        status = self._follow(words, env, log)
        if status != 0 and self._relax():
            status = self._follow(words, env, log)
        seconds = time.monotonic() - begun
        if status == 0 and iid.exists():
            return Built(iid.read_text(encoding="ascii").strip(), log, seconds)
        raise self._failure(status, log)

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
                    self._tell(line)
                return process.wait()
            except BaseException:
                _end(process)
                raise

    def _tell(self, line: str) -> None:
        step = step_of(line)
        if step is not None:
            text = f"step {step.number}/{step.count} {step.text}\n"
            with contextlib.suppress(OSError):
                os.write(_PROGRESS, text.encode())

    def _failure(self, status: int, log: Path) -> HelperError:
        refused = _refusal()
        if refused is not None:
            return refused
        found = failure_of(self._lines)
        for line in last_lines(self._lines):
            print(f"    {line}", file=sys.stderr)
        named = f" (package '{found.package}')" if found.package else ""
        text = found.reason
        if found.package and found.package in text:
            named = ""
        del status
        return HelperError(
            found.code,
            f"image '{self.plan.name}' was not built: {text}{named}",
            f"all that was said is in '{log}'",
        )


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


def _check_secrets(plan: Plan) -> None:
    for name in plan.secrets:
        if not os.environ.get(name):
            raise HelperError(
                Exit.USAGE,
                f"the packages refer to '${{{name}}}', which is not set",
                f"run 'export {name}=…' first",
            )


def _refusal() -> HelperError | None:
    """Return what the gateway refused or ended, if it did: docker rewords it."""
    path = os.environ.get("DS01_GATEWAY_REPORT")
    if not path:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return HelperError(Exit(told["code"]), str(told["message"]), told.get("hint"))
    return None


def _log_event(event: str, plan: Plan, **fields: Any) -> None:
    with contextlib.suppress(HelperError):
        append_event(event, image=plan.reference, name=plan.name, **fields)


def _write_source(plan: Plan, stage: Path, lock: image_lock.Lock | None) -> None:
    texts = {source.SPEC: plan.spec, source.DOCKERFILE: plan.dockerfile}
    if lock is not None:
        texts[source.LOCK] = image_lock.dump_lock(lock)
    source.commit(plan.name, Path(plan.folder), texts, stage / "extras")


def build(stage: Path, plan: Plan, words: argparse.Namespace) -> dict[str, Any]:
    """Build, look, name, write the source; return what was made."""
    with Engine(settings.engine_address(), timeout=600) as engine:
        sweep(engine)
        image_workshop.sweep(engine)
        job = Build(stage, plan, words)
        built: Built | None = None
        is_named = False
        try:
            built = job.run(engine)
            plan = job.plan
            lock = look_into(engine, plan, built.id)
            name_it(engine, plan, built.id)
            is_named = True
        finally:
            if built is not None and not is_named:
                with contextlib.suppress(HelperError):
                    engine.call("DELETE", f"/images/{built.id}")
        old = image_lock.load_lock(Path(plan.folder) / source.LOCK)
        _write_source(plan, stage, lock)
        found = engine.image(plan.reference) or {}
        used = containers_of(engine, plan.reference, os.getuid(), plan.name)
    told = warnings_of(lock)
    for text in told:
        say("warning", text, PROGRAM)
    size = int(found.get("Size") or 0)
    changes = image_lock.diff(old, lock)
    _log_event(
        "image-built", plan, id=built.id, seconds=round(built.seconds, 1), size=size
    )
    return {
        "reference": plan.reference,
        "id": built.id,
        "size": size,
        "seconds": round(built.seconds, 1),
        "log": str(built.log),
        "folder": plan.folder,
        "lock_changes": [vars(change) for change in changes],
        "outdated": used.outdated,
        "warnings": told,
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog=program_name(PROGRAM), description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--stage", type=Path, required=True)
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--no-build", action="store_true", help="write the source only")
    parser.add_argument("--log", metavar="FILE")
    parser.add_argument("--made-by", choices=_MADE_BY, default="image-create")
    words = parser.parse_args(argv)
    plan = read_stage(words.stage)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    with alone(plan):
        if words.no_build:
            _write_source(plan, words.stage, None)
            value = {"reference": plan.reference, "id": None, "folder": plan.folder}
            print_json({**value, "built": False})
            return Exit.OK
        try:
            print_json(build(words.stage, plan, words))
        except BaseException as error:
            left = isinstance(error, KeyboardInterrupt)
            why = "interrupted" if left else getattr(error, "message", repr(error))
            if plan.is_first:
                with contextlib.suppress(HelperError):
                    _write_source(plan, words.stage, None)
            _log_event("image-failed", plan, reason=why)
            raise
    return Exit.OK


def _leave(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run(main, PROGRAM))
