"""mlc open, start, stop and remove: what is done with a container that exists."""

from __future__ import annotations

import argparse
import os
import sys

import mlc_ask as ask
import mlc_docker as docker
from mlc_base import MlcError, caller, say, shielded
from mlc_find import Container, own
from mlc_names import check_name, full_name

# The shell that a container is started with is there at once; what begins later than
# this many seconds after the first process was started by somebody.
AT_ONCE = 2


def busy(rows: list[tuple[int, int, int]], first: int) -> bool:
    """Tell whether more runs than a container's own first processes.

    Rows are (pid, parent, age in seconds). The container's own are its first process,
    and from there on each one's eldest child that is as old as it: an init and the
    shell under it. Orphans are the init's children as well, but younger.
    """
    ages = {pid: age for pid, _, age in rows}
    own_chain = set()
    current: int | None = first if first in ages else None
    while current is not None:
        own_chain.add(current)
        children = sorted((-age, pid) for pid, parent, age in rows if parent == current)
        eldest = children[0][1] if children else None
        if eldest is None or ages[current] - ages[eldest] > AT_ONCE:
            break
        current = eldest
    return bool(ages.keys() - own_chain)


def processes(text: str) -> list[tuple[int, int, int]]:
    """Return the rows of `docker top … -eo pid,ppid,etimes`; three numbers each."""
    rows = []
    for line in text.splitlines()[1:]:
        pid, parent, age = line.split()
        rows.append((int(pid), int(parent), int(age)))
    return rows


def stop_unless_busy(container: Container) -> None:
    """Stop a container in which nothing but its first process runs."""
    found = docker.inspect(("container", container.id))[0]
    if found is None or not found["State"]["Running"]:
        return
    done = docker.run(["top", container.id, "-eo", "pid,ppid,etimes"])
    if done.status != 0:
        # Not to know is not to know that it is idle.
        say("warning", f"'{container.name}' goes on running: {done.reason}")
        return
    if busy(processes(done.out), found["State"]["Pid"]):
        say("info", f"'{container.name}' goes on running: something runs in it")
        return
    stop_container(container)


def stop_container(container: Container) -> None:
    docker.must(["stop", container.id], f"cannot stop '{container.name}'", patience=15)


def start_container(container: Container) -> None:
    if container.state == "running":
        return
    if container.state == "paused":
        docker.must(["unpause", container.id], f"cannot resume '{container.name}'")
        return
    docker.must(
        ["start", container.id], f"cannot start '{container.name}'", patience=15
    )


def exec_words(container: Container, *flags: str) -> list[str]:
    """Return the docker words that run something in a container as its user."""
    person = caller()
    words = ["exec", *flags]
    for name in ("DISPLAY", "NCCL_P2P_LEVEL"):
        if os.environ.get(name):
            words += ["--env", name]
    return [*words, "--user", f"{person.uid}:{person.gid}", container.id]


def terminal_flags() -> tuple[str, ...]:
    return ("-it",) if sys.stdin.isatty() and sys.stdout.isatty() else ("-i",)


def open_shell(words: argparse.Namespace) -> int:
    """Run `mlc open`; return the shell's status."""
    container = own(words.name, words.script, "open")
    start_container(container)
    try:
        return docker.attach([*exec_words(container, *terminal_flags()), "bash"])
    finally:
        with shielded():
            stop_unless_busy(container)


def start(words: argparse.Namespace) -> int:
    """Run `mlc start`; with a command, return its status."""
    if words.name is not None and words.command is None:
        # The engine need not be asked first what it says by itself.
        check_name(words.name)
        full = full_name(words.name, caller().uid)
        if docker.run(["start", full], patience=15).status == 0:
            print(f"The container '{words.name}' is running: mlc open {words.name}")
            return 0
    container = own(words.name, words.script, "start")
    start_container(container)
    if words.command is None:
        print(f"The container '{container.name}' is running: mlc open {container.name}")
        return 0
    run = ["bash", "-c", words.command]
    if words.detach:
        docker.must(
            [*exec_words(container, "-d"), *run], f"cannot run in '{container.name}'"
        )
        return 0
    return docker.attach([*exec_words(container, *terminal_flags()), *run])


def _agreed(words: argparse.Namespace, question: str) -> None:
    if not (words.script or words.force or ask.confirm(question)):
        raise MlcError("nothing was changed")


def stop(words: argparse.Namespace) -> int:
    """Run `mlc stop`; a container that is stopped already is no error."""
    container = own(words.name, words.script, "stop")
    if container.state not in {"running", "paused", "restarting"}:
        say("info", f"the container '{container.name}' is not running")
        return 0
    _agreed(words, f"Stop the container '{container.name}'?")
    stop_container(container)
    print(f"The container '{container.name}' is stopped")
    return 0


def remove(words: argparse.Namespace) -> int:
    """Run `mlc remove`: the container, then its prepared image."""
    container = own(words.name, words.script, "remove")
    running = container.state in {"running", "paused", "restarting"}
    if running and not words.force:
        raise MlcError(
            f"the container '{container.name}' is running",
            f"mlc stop {container.name}, or mlc remove -f {container.name}",
        )
    _agreed(
        words,
        f"Remove the container '{container.name}' with all in it? "
        "The mounted folders stay.",
    )
    found = docker.inspect(("container", container.id))[0]
    force = ["-f"] if running else []
    docker.must(
        ["rm", "-v", *force, container.id],
        f"cannot remove '{container.name}'",
        patience=15,
    )
    image = found["Config"]["Image"] if found else ""
    if image.endswith(f":{container.full}"):
        done = docker.run(["rmi", image], patience=15)
        if done.status != 0 and "no such image" not in done.reason.lower():
            say("warning", f"the image '{image}' stays: {done.reason}")
    print(f"The container '{container.name}' is removed")
    return 0
