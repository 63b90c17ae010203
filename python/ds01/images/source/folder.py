"""The folder of an image's source: image.yaml, Dockerfile, image.lock, and its files.

It lies in `~/ds01/images/NAME`, or is a project's folder to which a link of that name
leads. Nothing is written there before a build has succeeded, but for the very first:
what somebody typed is not lost with a build that fails.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ds01.core import settings
from ds01.core.errors import Exit, HelperError
from ds01.images.source.spec import load_spec

SPEC, DOCKERFILE, LOCK = "image.yaml", "Dockerfile", "image.lock"


def shelf() -> Path:
    """Return the folder in which all of the caller's images are found by name."""
    return Path.home() / "ds01/images"


def place(name: str, project: str | None) -> Path:
    """Return the folder of a new image's source.

    A bare word is a folder of the workspace. Raises HelperError(USAGE) for a project
    outside of what the caller may write.
    """
    if project is None:
        return shelf() / name
    given = Path(project).expanduser()
    if "/" not in project and project not in {"", ".", ".."} and project[0] != "~":
        workspace = settings.read().workspace_dir or "~/workspace"
        given = Path(workspace).expanduser() / given
    # Not resolved: a link stays the place that the user knows.
    folder = Path(os.path.abspath(given))  # noqa: PTH100
    if folder.exists() and not folder.is_dir():
        raise HelperError(Exit.USAGE, f"'{folder}' is not a folder")
    check_writable(
        folder,
        "choose another folder with '--project', such as a bare word for one in your "
        "workspace",
    )
    return folder


def check_writable(folder: Path, hint: str) -> None:
    """Raise HelperError(USAGE) where the caller cannot write a source: a build later
    would have been for nothing."""
    there = next(it for it in (folder, *folder.parents) if it.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise HelperError(Exit.USAGE, f"you cannot write to '{there}'", hint)


def find(name: str, label: str | None = None) -> Path | None:
    """Return the folder of an existing image's source, or None.

    By its link or folder, else as the image's label has it.
    """
    for folder in (shelf() / name, Path(label) if label else None):
        if folder is not None and (folder / SPEC).is_file():
            return folder.resolve()
    return None


def check_free(folder: Path, name: str) -> None:
    """Raise HelperError where a folder is another image's already."""
    if not (folder / SPEC).exists():
        return
    other = load_spec(folder / SPEC).name
    if other and other != name:
        raise HelperError(
            Exit.REFUSED,
            f"'{folder}' is the source of image '{other}' already",
            f"choose another folder, or run 'image-update {other}'",
        )


def read(folder: Path, file: str) -> str | None:
    """Return the text of a file of the source, or None where there is none."""
    try:
        # As bytes: line ends are the user's too.
        return (folder / file).read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HelperError(
            Exit.CONFIG, f"'{folder / file}' cannot be read: {error}"
        ) from error


def commit(name: str, folder: Path, texts: Mapping[str, str], extras: Path) -> None:
    """Write the files of a source, each as a whole, and what it needs beside them.

    `extras` holds local files that came with the command line. Raises HelperError where
    the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if extras.is_dir():
            for path in sorted(extras.rglob("*")):
                if path.is_file():
                    target = folder / path.relative_to(extras)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _replace(target, path.read_bytes())
        for file, text in texts.items():
            _replace(folder / file, text.encode())
        _link(name, folder)
    except OSError as error:
        raise HelperError(
            Exit.PREREQUISITE,
            f"the image's source in '{folder}' cannot be written: {error.strerror}",
            f"look at it with 'ls -la {folder}', at the space with 'df -h {folder}'",
        ) from error


def _replace(path: Path, data: bytes) -> None:
    with contextlib.suppress(OSError):
        if path.read_bytes() == data:
            return
    # The owner's umask, as for a file that an editor makes.
    mask = os.umask(0)
    os.umask(mask)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~mask
    # An editor's link stays one: its target gets the text.
    path = path.resolve()
    file, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(file, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _link(name: str, folder: Path) -> None:
    link = shelf() / name
    if folder == link or folder.resolve() == link.resolve():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(folder)


def remove(name: str, folder: Path | None) -> list[str]:
    """Remove an image's source: a folder of DS01's, else its files and the link.

    Returns what was removed. Raises HelperError where something cannot be removed.
    """
    try:
        return _remove(name, folder)
    except OSError as error:
        raise HelperError(
            Exit.PREREQUISITE,
            f"'{error.filename}' of image '{name}' cannot be removed: {error.strerror}",
            f"look at it with 'ls -la {folder or shelf()}'",
        ) from error


def _remove(name: str, folder: Path | None) -> list[str]:
    removed: list[str] = []
    link = shelf() / name
    if folder is not None and folder == link.resolve() and not link.is_symlink():
        shutil.rmtree(folder)
        return [str(folder)]
    if folder is not None:
        for file in (SPEC, DOCKERFILE, LOCK):
            with contextlib.suppress(FileNotFoundError):
                (folder / file).unlink()
                removed.append(str(folder / file))
    if link.is_symlink():
        link.unlink()
        removed.append(str(link))
    return removed
