"""Saves a container's file system before it is removed, and checks what was saved.

A container of mlc's becomes a file that `container-import` takes; any other the tar
file that `docker export` makes. The file belongs to the container's owner.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.files import explain, sync_folder
from ds01.core.owner import user_name
from ds01.core.settings import OUR_MLC
from ds01.policy.users import identify_user


def archive(
    engine: Engine, details: Mapping[str, Any], folder: Path, uid: int, now: datetime
) -> Path:
    """Save a container into a new file of the folder; return the file.

    Raises HelperError where it cannot be saved, or what was saved is not whole: then no
    file is left.
    """
    name = str(details["Name"]).removeprefix("/")
    labels = (details.get("Config") or {}).get("Labels") or {}
    # The label is anybody's to write: mlc would export another container by it.
    own = str(labels.get("aime.mlc.NAME", ""))
    is_mlc = bool(own) and name == f"{own}._.{uid}"
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"{name}-{stamp}{'.mlc' if is_mlc else ''}.tar"
    with _part(target, uid) as (part, out):
        if is_mlc:
            _export_mlc(engine, own, uid, out)
            _check_mlc(part)
        else:
            _export(engine, str(details["Id"]), out)
            _check_tar(part)
    return target


@contextlib.contextmanager
def _part(target: Path, uid: int) -> Iterator[tuple[Path, int]]:
    """Yield a file beside the target that takes its place when all went well."""
    part = target.with_name(target.name + ".part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        out = os.open(part, flags, 0o600)
        try:
            yield part, out
            os.fsync(out)
            if os.geteuid() == 0:
                os.fchown(out, uid, -1)
        finally:
            os.close(out)
        part.rename(target)
        # The container goes next: the name must be on the disk too.
        sync_folder(target.parent)
    except OSError as error:
        raise explain(error, "write", part) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _export_mlc(engine: Engine, name: str, uid: int, out: int) -> None:
    """Have mlc export a container, as its owner, who alone may for mlc."""
    user = identify_user(uid)
    words = [sys.executable, "-sE", str(OUR_MLC / "mlc.py"), "export", name, "-", "-s"]
    rights: dict[str, Any] = {}
    if os.geteuid() == 0 and uid != 0:
        socket = Path(engine.address.removeprefix("unix://"))
        group = socket.stat().st_gid
        rights = {"user": uid, "group": group, "extra_groups": [group]}
    env = {**os.environ, "DOCKER_HOST": engine.address, "LOGNAME": user.name}
    env |= {"USER": user.name, "HOME": "/"}
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        env=env,
        check=False,
        **rights,
    )
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
        raise _failed(name, lines[-1])


def _check_mlc(file: Path) -> None:
    """Read an exported container to its end; every checksum in it must be right."""
    from ds01.core.mlc import MlcError, archive_reader  # noqa: PLC0415 - few archive

    try:
        with file.open("rb") as source:
            reader = archive_reader(source)
            reader.metadata()
            size = sum(len(piece) for piece in reader.pieces())
    except (MlcError, OSError) as error:
        raise _failed(file.name, str(error)) from error
    if size == 0:
        raise _failed(file.name, "it is empty")


def _export(engine: Engine, identity: str, out: int) -> None:
    """Write what `docker export` gives of a container."""
    for piece in engine.stream(f"/containers/{identity}/export"):
        view = memoryview(piece)
        while view:
            view = view[os.write(out, view) :]


def _check_tar(file: Path) -> None:
    count = 0
    try:
        with tarfile.open(file, "r|") as found:
            for _ in found:
                count += 1
        ends = file.open("rb")
        with ends:
            ends.seek(-1024, os.SEEK_END)
            is_whole = not any(ends.read(1024))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _failed(file.name, str(error)) from error
    if count == 0 or not is_whole:
        raise _failed(file.name, "the file is not whole")


def _failed(name: str, why: str) -> HelperError:
    return HelperError(
        Exit.BUG,
        f"'{name}' could not be archived: {why}",
        f"the container stays; it is tried again, as '{user_name()}'",
    )
