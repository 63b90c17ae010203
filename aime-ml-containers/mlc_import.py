"""mlc import: a container of the importing user from an exported file.

The file may come from anybody. What it says is data: mounts, GPUs, user and rights
come from the importer; of the file's own words only those that act inside the new
container are used (environment, entrypoint), and each is checked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import mlc_ask as ask
import mlc_docker as docker
from mlc_archive import Reader
from mlc_base import MlcError, Person, caller, check_account_word, shielded
from mlc_catalog import choose_architecture
from mlc_create import gpus_for
from mlc_export import LEFT_OUT
from mlc_make import Order, make, mounts_of
from mlc_names import check_name
from mlc_owner import Owner
from mlc_progress import Progress

REPOSITORY = "mlc-import"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[^\x00]*", re.S)
_HOME = re.compile(r"/root|/home/[^/:\x00-\x1f\x7f]+")
_ID_MOST = (1 << 32) - 2


class Exported(NamedTuple):
    """What is used of a file's metadata, checked."""

    name: str
    framework: str
    architecture: str
    user: str
    uid: int
    gid: int
    home: str
    environment: tuple[str, ...]
    entrypoint: tuple[str, ...]


def _text(value: Any, what: str, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise MlcError(f"the file's {what} is not one: {value!a}"[:300])
    return value


def _number(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MlcError(f"the file's {what} is no number: {value!a}"[:300])
    if not 0 <= value <= _ID_MOST:
        raise MlcError(f"the file's {what} is out of range: {value}"[:300])
    return value


def _texts(value: Any, what: str, form: re.Pattern[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 1000:
        raise MlcError(f"the file's {what} is no list")
    return tuple(_text(one, what, form) for one in value)


def read_metadata(value: dict[str, Any]) -> Exported:
    """Return the metadata that is used; anything odd in it is an error."""
    user, config = value.get("user"), value.get("config")
    if not isinstance(user, dict) or not isinstance(config, dict):
        raise MlcError("the file's metadata has no user or no config")
    name = value.get("name")
    if not isinstance(name, str):
        raise MlcError("the file's name is not one")
    check_name(name)
    account = _text(user.get("name"), "user name", re.compile(r".{1,256}"))
    check_account_word(account, "user")
    anything = re.compile(r"[^\x00]{1,100000}", re.S)
    environment = _texts(config.get("Env"), "environment", _VARIABLE)
    home = _text(user.get("home"), "home folder", _HOME)
    if home.endswith(("/.", "/..")):
        raise MlcError(f"the file's home folder is not one: '{home}'")
    return Exported(
        name=name,
        framework=_text(value.get("framework"), "framework", _PLAIN),
        architecture=_text(value.get("architecture"), "architecture", _PLAIN),
        user=account,
        uid=_number(user.get("uid"), "UID"),
        gid=_number(user.get("gid"), "GID"),
        home=home,
        environment=tuple(e for e in environment if not e.startswith(LEFT_OUT)),
        entrypoint=_texts(config.get("Entrypoint"), "entrypoint", anything),
    )


def settle(person: Person, exported: Exported) -> tuple[Person, int | None]:
    """Return the account in the new container, and the UID whose entry it replaces.

    A home folder keeps its path, which environments inside it are bound to; root's
    files stay root's.
    """
    if exported.uid == 0 or person.uid == 0:
        return person, None
    former = None if exported.uid == person.uid else exported.uid
    return person._replace(home=exported.home), former


def feed(
    source: Iterator[bytearray],
    owner: Owner | None,
    tag: str,
    name: str,
    size: int = 0,
) -> None:
    """Stream a file system, of a file of that size, into an image; nothing is there
    unless all was right."""
    child = docker.start(["import", "-", tag], stdin=-1)
    progress = Progress(f"importing {name}", size)
    with docker.ended(child):
        assert child.stdin is not None and child.stderr is not None  # noqa: S101
        assert child.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # docker says why on its stderr
            for piece in source:
                child.stdin.write(owner.feed(piece) if owner else piece)
                progress.add(len(piece))
            if owner:
                child.stdin.write(owner.finish())
            child.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        child.stdout.read()
        reason = child.stderr.read().decode("utf-8", "replace")
        if child.wait() != 0:
            raise MlcError(f"cannot import '{name}': {docker.engine_reason(reason)}")
    progress.end()


@contextlib.contextmanager
def opened(file: str) -> Iterator[IO[bytes]]:
    """Open a file, - for stdin."""
    if file == "-":
        if sys.stdin.isatty():
            raise MlcError("an import does not come from a terminal", "name a file")
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise MlcError(f"cannot read '{file}': {error.strerror}") from None
    with source:
        yield source


def import_container(words: argparse.Namespace) -> int:
    """Run `mlc import`."""
    file = words.file
    if file is None:
        if words.script:
            raise MlcError("no file given", "mlc import FILE -s")
        file = ask.word("File to import", _must_exist)
    with opened(file) as source:
        try:
            return _import(words, source)
        except OSError as error:
            raise MlcError(f"cannot read '{file}': {error.strerror}") from None


def _must_exist(path: str) -> None:
    if not Path(path).is_file():
        raise MlcError(f"no file '{path}'")


def _import(words: argparse.Namespace, source: IO[bytes]) -> int:
    reader = Reader(source)
    exported = read_metadata(reader.metadata())
    name = words.name or exported.name
    check_name(name)
    person, former = settle(caller(), exported)
    order = Order(
        name=name,
        person=person,
        image="",
        framework=exported.framework,
        architecture=exported.architecture,
        gpus=gpus_for(words.num_gpus, choose_architecture(None)),
        mounts=mounts_of(person, words.workspace_dir, words.data_dir, words.models_dir),
        environment=exported.environment,
        entrypoint=exported.entrypoint or None,
        former_uid=former,
    )
    # The file system as it came; gone as soon as the account stands on top of it.
    tag = f"{REPOSITORY}:{order.container}.base"
    order = order._replace(image=tag)
    existing, left = docker.inspect(("container", order.container), ("image", tag))
    if existing is not None:
        raise MlcError(
            f"the container '{name}' exists already", "give another name after the file"
        )
    if left is not None:  # by a run that was killed
        docker.must(["rmi", tag], f"cannot remove the image '{tag}'")

    old, new = (exported.uid, exported.gid), (person.uid, person.gid)
    owner = Owner(old, new) if exported.uid != 0 and old != new else None
    try:
        feed(reader.pieces(), owner, tag, name, os.fstat(source.fileno()).st_size)
        base = docker.inspect(("image", tag))[0]
        if base is None:
            raise MlcError(f"the image '{tag}' is not there after its import")
        make(order, base)
    finally:
        with shielded():
            docker.run(["rmi", tag])
    print(f"The container '{name}' is ready: mlc open {name}")
    return 0
