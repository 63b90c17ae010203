"""Make a container: the prepared image, then `docker create`, or nothing at all."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlc_docker as docker
from mlc_account import build_words, dockerfile, prepared_image
from mlc_base import (
    LABEL_VERSION,
    NO_IMAGE,
    NO_REGISTRY,
    MlcError,
    Person,
    say,
    shielded,
)
from mlc_host import engine_grants_memlock, present
from mlc_names import LABEL, full_name, label_value

# What registries and engines say of an image that is not there; some only that one may
# not have it.
_NO_IMAGE = re.compile(
    r"manifest unknown|not found|does not exist|access denied|no such image", re.I
)
X11 = "/tmp/.X11-unix"  # noqa: S108  the X server's own folder


class Order(NamedTuple):
    """A container as it was asked for, every word checked."""

    name: str
    person: Person
    image: str
    framework: str
    architecture: str
    gpus: str | None
    mounts: tuple[tuple[str, str], ...]  # (folder on the host, folder inside)
    environment: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    former_uid: int | None = None

    @property
    def container(self) -> str:
        return full_name(self.name, self.person.uid)

    @property
    def prepared(self) -> str:
        return prepared_image(self.image, self.container)


class Host(NamedTuple):
    """What this host adds to a container."""

    memlock: bool
    devices: tuple[str, ...]
    x11: bool


def look_at_host(architecture: str) -> Host:
    wanted = ["/dev/snd", "/dev/video0"]
    if architecture.startswith("ROCM"):
        wanted += ["/dev/kfd", "/dev/dri"]
    return Host(engine_grants_memlock(), present(*wanted), bool(present(X11)))


def mount_word(source: str, target: str) -> str:
    """Return a bind for --mount, which is a line of CSV: any path can stand in it."""
    text = io.StringIO()
    fields = ["type=bind", f"source={source}", f"target={target}"]
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def labels(order: Order) -> dict[str, str]:
    """Return the labels of a container."""
    mounts = {target: source for source, target in order.mounts}
    values = {
        LABEL: order.person.name,
        f"{LABEL}.NAME": order.name,
        f"{LABEL}.USER": order.person.name,
        f"{LABEL}.ARCH": order.architecture,
        f"{LABEL}.MLC_VERSION": LABEL_VERSION,
        f"{LABEL}.WORK_MOUNT": mounts.get("/workspace", ""),
        f"{LABEL}.DATA_MOUNT": mounts.get("/data", ""),
        f"{LABEL}.MODELS_MOUNT": mounts.get("/models", ""),
        f"{LABEL}.FRAMEWORK": order.framework,
        f"{LABEL}.GPUS": order.gpus or "none",
    }
    return {key: label_value(value) for key, value in values.items()}


def create_words(order: Order, host: Host, run: str, image_home: bool) -> list[str]:
    """Return the docker words that create a container from its prepared image.

    `run` marks the container as made by this run. image_home tells that the base
    image fixes HOME, which must then be set right.
    """
    person = order.person
    words = ["create", "-it", "--init", "--name", order.container]
    words += ["--user", f"{person.uid}:{person.gid}"]
    words += ["--group-add", "video", "--group-add", "sudo"]
    words += ["--workdir", "/workspace", "--network", "host", "--ipc", "host"]
    if host.memlock:
        words += ["--ulimit", "memlock=-1"]
    words += ["--ulimit", "stack=67108864"]
    # An interactive shell, which the first process is, ends at a hang-up only.
    words += ["--stop-signal", "SIGHUP"]
    mounts = list(order.mounts)
    if host.x11:
        mounts.append((X11, X11))
    for source, target in mounts:
        words += ["--mount", mount_word(source, target)]
    for device in host.devices:
        words += ["--device", device]
    if order.architecture.startswith("ROCM"):
        words += ["--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined"]
        words += ["--shm-size", "8g"]
    elif order.gpus is not None:
        words += ["--gpus", order.gpus]
    for key, value in labels(order).items():
        words += ["--label", f"{key}={value}"]
    words += ["--label", f"{LABEL}.RUN={run}"]
    for pair in order.environment:
        words += ["--env", pair]
    words += ["--env", f"MLC_NAME={order.name}"]
    if image_home:
        words += ["--env", f"HOME={person.home}"]
    command = ["bash", "-c", "bash"]
    if order.entrypoint:
        words += ["--entrypoint", order.entrypoint[0]]
        command = [*order.entrypoint[1:], *command]
    return [*words, order.prepared, *command]


def workspace(path: str | None, person: Person) -> str:
    """Return the workspace folder: as given, which must exist, or ~/workspace."""
    if path is not None:
        return folder(path, "workspace")
    made = Path("~/workspace").expanduser()
    try:
        made.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MlcError(
            f"cannot make the workspace folder '{made}': {error.strerror}",
            "name another with -w",
        ) from None
    return str(made)


def folder(path: str, what: str) -> str:
    """Return the absolute path of a folder that was named and must exist."""
    full = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  keeps links
    if any(ord(char) < 32 for char in str(full)):
        raise MlcError(f"the {what} folder {str(full)!a} has a control character")
    if not full.is_dir():
        raise MlcError(
            f"the {what} folder '{full}' does not exist", f"mkdir -p '{full}'"
        )
    return str(full)


def mounts_of(
    person: Person, work: str | None, data: str | None, models: str | None
) -> tuple[tuple[str, str], ...]:
    """Return the binds of a container: workspace always, data and models if named."""
    found = [(workspace(work, person), "/workspace")]
    if data:
        found.append((folder(data, "data"), "/data"))
    if models:
        found.append((folder(models, "models"), "/models"))
    return tuple(found)


def pull(image: str) -> dict[str, Any]:
    """Fetch an image that is not here; return what the engine knows of it."""
    say("info", f"fetching the image '{image}'")
    done = docker.run(["pull", image], show=True)
    if done.status != 0:
        missing = _NO_IMAGE.search(done.reason) is not None
        raise MlcError(
            f"cannot fetch the image '{image}': {done.reason}",
            status=NO_IMAGE if missing else NO_REGISTRY,
        )
    found = docker.inspect(("image", image))[0]
    if found is None:
        raise MlcError(f"the image '{image}' is not there after it was fetched")
    return found


def prepare(order: Order, base: dict[str, Any]) -> None:
    """Build the prepared image, or find it in the engine's cache."""
    text = dockerfile(
        order.image,
        order.person,
        base_user=(base.get("Config") or {}).get("User") or "",
        former=order.former_uid,
    )
    if docker.shows_progress():
        say("info", f"preparing the image '{order.image}' (slow the first time only)")
    done = docker.run(
        build_words(order.prepared, dict(os.environ)),
        stdin=text.encode("utf-8"),
        show=docker.tells_lines(),
    )
    if done.status != 0:
        # The step's own last words stand in the output, docker's on stderr.
        output = [line for line in done.out.splitlines() if line.strip()][-5:]
        for line in output:
            say("info", line)
        raise MlcError(f"cannot prepare the image '{order.image}': {done.reason}")


def create(order: Order, words: Sequence[str]) -> None:
    """Run docker create; pass its warnings on."""
    done = docker.run(words, patience=10)
    if done.status != 0:
        raise MlcError(f"cannot create the container '{order.name}': {done.reason}")
    for line in done.err.splitlines():
        if line.startswith("WARNING:"):
            say("warning", line.removeprefix("WARNING:").strip())


def undo(order: Order, run: str | None) -> None:
    """Remove what a failed or interrupted run has made, and only that."""
    with shielded():
        if run is not None:
            # An engine may still end a create whose client has gone.
            for pause in (0.0, 0.3, 0.7):
                time.sleep(pause)
                found = docker.run(
                    ["ps", "-aq", "--no-trunc", "--filter", f"label={LABEL}.RUN={run}"]
                )
                made = found.out.split()
                if made:
                    docker.run(["rm", "-f", "-v", *made])
                    break
        docker.run(["rmi", order.prepared])


def make(order: Order, base: dict[str, Any]) -> None:
    """Make the container of an order from its base image.

    A failure or a signal at any point leaves neither container nor image.
    """
    run: str | None = None
    try:
        prepare(order, base)
        host = look_at_host(order.architecture)
        mark = secrets.token_hex(8)
        env: Sequence[str] = (base.get("Config") or {}).get("Env") or ()
        words = create_words(
            order, host, mark, any(pair.startswith("HOME=") for pair in env)
        )
        run = mark
        if docker.tells_lines():
            say("info", f"creating the container '{order.name}'")
        create(order, words)
    except BaseException:
        undo(order, run)
        raise
