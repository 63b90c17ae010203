"""mlc export: a container's file system and what it was, in one checked file."""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import mlc_ask as ask
import mlc_docker as docker
from mlc_archive import FORMAT, PIECE, Writer, read_most
from mlc_base import FAILED, NO_SPACE, VERSION, MlcError, Person, caller, home_of, say
from mlc_find import Container, own
from mlc_progress import Progress

# Made by mlc for one container, or naming devices: not a thing to carry elsewhere.
LEFT_OUT = ("HOME=", "MLC_NAME=", "NVIDIA_VISIBLE_DEVICES=")


def describe(
    container: Container, found: dict[str, Any], person: Person
) -> dict[str, Any]:
    """Return the metadata of a container."""
    config = found["Config"]
    labels = container.labels
    own_user = str(config.get("User") or "").split(":")
    uid = int(own_user[0]) if own_user[0].isdigit() else person.uid
    gid = (
        int(own_user[1]) if len(own_user) > 1 and own_user[1].isdigit() else person.gid
    )
    name = labels["USER"]
    return {
        "format": FORMAT,
        "mlc": VERSION,
        "exported": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "created": found.get("Created", ""),
        "name": container.name,
        "framework": labels["FRAMEWORK"],
        "architecture": labels["ARCH"],
        "gpus": labels["GPUS"],
        "mounts": {
            "/workspace": labels["WORK_MOUNT"],
            "/data": labels["DATA_MOUNT"],
            "/models": labels["MODELS_MOUNT"],
        },
        "labels": dict(sorted((config.get("Labels") or {}).items())),
        "user": {"name": name, "uid": uid, "gid": gid, "home": home_of(name, uid)},
        "config": {
            "Image": config.get("Image") or "",
            "Env": [
                pair
                for pair in config.get("Env") or []
                if not pair.startswith(LEFT_OUT)
            ],
            "Cmd": config.get("Cmd") or [],
            "Entrypoint": config.get("Entrypoint") or [],
            "WorkingDir": config.get("WorkingDir") or "",
        },
    }


def size_of(container: Container) -> int:
    """Return about how many bytes a container holds; 0 where no gauge asks for it."""
    if not docker.tells_lines():
        return 0
    words = ["container", "inspect", "--size", "--format", "{{.SizeRootFs}}"]
    said = docker.run([*words, container.id]).out.strip()
    return int(said) if said.isdigit() else 0


def write_archive(
    container: Container, metadata: dict[str, Any], out: IO[bytes]
) -> None:
    """Stream a container into `out`."""
    writer = Writer(out)
    writer.metadata(metadata)
    progress = Progress(f"exporting {container.name}", size_of(container))
    child = docker.start(["export", container.id])
    with docker.ended(child):
        assert child.stdout is not None and child.stderr is not None  # noqa: S101
        while piece := read_most(child.stdout, PIECE, progress.add):
            writer.piece(piece)
        reason = child.stderr.read().decode("utf-8", "replace")
        if child.wait() != 0:
            raise MlcError(
                f"cannot export '{container.name}': {docker.engine_reason(reason)}"
            )
    progress.end()
    writer.end()


def _refuse_existing(path: Path, replace: bool) -> None:
    if path.exists() and not replace:
        raise MlcError(f"'{path}' exists already", "name another file, or use -f")


@contextlib.contextmanager
def target(path: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """Yield a file beside `path` that takes its place when all went well.

    A part left by a run that was killed is written over; one that is being written is
    not touched.
    """
    _refuse_existing(path, replace)
    if path.is_dir():
        raise MlcError(f"'{path}' is a folder")
    part = path.with_name(path.name + ".part")
    try:
        # The file holds whatever the container held: for its owner only.
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise MlcError(f"cannot write '{part}': {error.strerror}") from None
    with os.fdopen(number, "wb") as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MlcError(f"another export is writing '{part}'") from None
        try:
            out.truncate(0)
            yield out
            out.flush()
            os.fsync(out.fileno())
            _refuse_existing(path, replace)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def export(words: argparse.Namespace) -> int:
    """Run `mlc export`."""
    container = own(words.name, words.script, "export")
    file = words.file
    if file is None:
        file = f"{container.name}.mlc.tar"
        if not words.script and not ask.confirm(f"Export to '{file}'?"):
            raise MlcError("nothing was exported", f"mlc export {container.name} FILE")
    found = docker.inspect(("container", container.id))[0]
    if found is None:
        raise MlcError(f"the container '{container.name}' has gone")
    if container.state == "running":
        say("warning", f"'{container.name}' is running: files may change meanwhile")
    metadata = describe(container, found, caller())
    try:
        if file == "-":
            if sys.stdout.isatty():
                raise MlcError("an export is not for a terminal", "name a file")
            write_archive(container, metadata, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return 0
        path = Path(file)
        with target(path, replace=words.force) as out:
            write_archive(container, metadata, out)
    except BrokenPipeError:
        raise MlcError("the reader of the export has gone away") from None
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise MlcError(
            f"cannot write '{file}': {error.strerror}",
            status=NO_SPACE if is_full else FAILED,
        ) from None
    print(f"The container '{container.name}' is exported to '{path}'")
    print("What lies in the mounted folders is not in the file", file=sys.stderr)
    return 0
