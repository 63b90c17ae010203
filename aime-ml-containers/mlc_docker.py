"""The only place that runs docker: whole answers, JSON, and the engine's reasons.

Each docker process gets a session of its own, so that Ctrl-C in the terminal reaches
mlc alone and mlc decides what becomes of the child.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from mlc_base import MlcError, shielded

_NOISE = ("DEPRECATED: The legacy builder", "Install the buildx component")
# What docker draws on a terminal.
_ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_BAR = re.compile(rb"\[[=> ]*\] *")
# What a terminal sends for Ctrl-C and Ctrl-\\.
_KEYS = (signal.SIGINT, signal.SIGQUIT)
_PREFIXES = ("docker: ", "ERROR: ", "Error: ", "Error response from daemon: ")


class Done(NamedTuple):
    """How a docker call ended."""

    status: int
    out: str
    err: str

    @classmethod
    def of(cls, child: subprocess.Popen[bytes], out: bytes | None, err: bytes) -> Done:
        """Return how a child ended that said this; whatever it was can be shown."""
        texts = ((said or b"").decode("utf-8", "replace") for said in (out, err))
        return cls(child.returncode, *texts)

    @property
    def reason(self) -> str:
        return engine_reason(self.err or self.out)


def engine_reason(text: str) -> str:
    """Return the last three lines that the engine said, without docker's decoration."""
    kept: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        for prefix in _PREFIXES:
            line = line.removeprefix(prefix)
        if line and not line.startswith((*_NOISE, "See 'docker", "Run 'docker")):
            kept.append(line)
    return "; ".join(kept[-3:]) or "docker gave no reason"


def start(
    words: Sequence[str],
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[str] | None = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start docker with these words; its messages can be read from its stderr."""
    try:
        return subprocess.Popen(
            ["docker", *words],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise MlcError(
            "the program 'docker' is not on the PATH", "install Docker Engine"
        ) from None


def end(child: subprocess.Popen[bytes], patience: float) -> None:
    """Wait up to patience seconds for a child, then ask, then kill.

    To the engine both are the same: the connection ends, and it stops the work.
    """
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None and child.poll() is None:
            child.send_signal(number)
        try:
            child.wait(patience if number is None else 0.5)
        except subprocess.TimeoutExpired:
            continue
        return


@contextlib.contextmanager
def ended(child: subprocess.Popen[bytes], patience: float = 0) -> Iterator[None]:
    """Make sure that a child is over when its block is left by a failure or signal."""
    try:
        yield
    except BaseException:
        end(child, patience)
        # Only now: to a docker that lives, a closed stdin would be a good end.
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        raise


def tells_lines() -> bool:
    """Does somebody read on stderr what docker says in long work, a gauge for one?"""
    return os.environ.get("MLC_PROGRESS") == "lines"


def shows_progress() -> bool:
    """Is there somebody to see how far long work is: a person, or a gauge?"""
    return sys.stderr.isatty() or tells_lines()


def _tell(line: bytes) -> None:
    """Hand on a line of docker's, marked as such; a reader that has gone is no loss."""
    line = _BAR.sub(b"", _ESCAPE.sub(b"", line)).strip()
    if not line:
        return
    with contextlib.suppress(OSError):
        sys.stderr.buffer.write(b"docker: " + line + b"\n")
        sys.stderr.buffer.flush()


def _read(number: int) -> bytes:
    """Return what there is to read, nothing at the end."""
    try:
        return os.read(number, 1 << 16)
    except OSError:  # how a terminal says that its other side has gone
        return b""


def _listen(out: int, err: int) -> tuple[bytes, bytes]:
    """Return all that comes from two descriptors, telling each line at once."""
    said = {out: bytearray(), err: bytearray()}
    begun = {out: b"", err: b""}
    with selectors.DefaultSelector() as selector:
        for number in said:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                piece = _read(key.fd)
                said[key.fd] += piece
                *lines, begun[key.fd] = re.split(
                    rb"[\r\n]+", begun[key.fd] + (piece or b"\n")
                )
                for line in lines:
                    _tell(line)
                if not piece:
                    selector.unregister(key.fd)
    return bytes(said[out]), bytes(said[err])


def run_aloud(words: Sequence[str], stdin: bytes | None = None) -> Done:
    """Run docker to its end, telling each line that it says at once.

    It gets a terminal, for only there it says how many bytes have come.
    """
    ours, its = pty.openpty()
    try:
        try:
            child = start(
                words,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=its,
            )
        finally:
            os.close(its)
        with ended(child):
            assert child.stderr is not None  # noqa: S101
            if child.stdin is not None:
                with contextlib.suppress(BrokenPipeError):  # docker says why
                    child.stdin.write(stdin or b"")
                    child.stdin.close()
            out, err = _listen(ours, child.stderr.fileno())
            child.wait()
    finally:
        os.close(ours)
    child.stderr.close()
    return Done.of(child, out, err)


def run(
    words: Sequence[str],
    *,
    stdin: bytes | None = None,
    show: bool = False,
    patience: float = 0,
) -> Done:
    """Run docker to its end.

    With show its progress goes to the terminal, or to who reads it line by line.
    Patience is how many seconds a signal to mlc leaves the child to end by itself (for
    calls that must not be cut in two).
    """
    if show and tells_lines():
        return run_aloud(words, stdin)
    child = start(
        words,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=sys.stderr if show and sys.stderr.isatty() else subprocess.PIPE,
    )
    with ended(child, patience):
        out, err = child.communicate(stdin)
    return Done.of(child, out, err)


def must(words: Sequence[str], what: str, **options: Any) -> str:
    """Run docker; return its stdout or raise the engine's reason behind `what`."""
    done = run(words, **options)
    if done.status != 0:
        raise MlcError(f"{what}: {done.reason}", _hint(done.reason))
    return done.out


def _hint(reason: str) -> str | None:
    low = reason.lower()
    if "permission denied" in low and "socket" in low:
        return "ask the administrator for access to the Docker engine"
    if "cannot connect" in low or "connection refused" in low:
        return "start the engine, or name it in DOCKER_HOST"
    return None


def attach(words: Sequence[str]) -> int:
    """Run docker on our own terminal and return its status; signals are docker's."""
    with shielded(*_KEYS):
        try:
            child = subprocess.Popen(
                ["docker", *words],
                preexec_fn=_default_signals,  # noqa: PLW1509  no threads here
            )
        except FileNotFoundError:
            raise MlcError("the program 'docker' is not on the PATH") from None
        with ended(child):
            return child.wait()


def _default_signals() -> None:
    for number in _KEYS:
        signal.signal(number, signal.SIG_DFL)


def _no_such(reason: str) -> bool:
    low = reason.lower()
    return "no such" in low or "not found" in low


def inspect(*questions: tuple[str, str]) -> list[dict[str, Any] | None]:
    """Return what the engine knows of each (kind, name), None where it has none.

    Kinds are `container` and `image`. The questions are asked side by side.
    """
    children = [start([kind, "inspect", name]) for kind, name in questions]
    answers: list[dict[str, Any] | None] = []
    with contextlib.ExitStack() as stack:
        for child in children:
            stack.enter_context(ended(child))
        for (kind, name), child in zip(questions, children, strict=True):
            out, err = child.communicate()
            done = Done.of(child, out, err)
            if done.status != 0 and not _no_such(done.reason):
                what = f"cannot look for the {kind} '{name}'"
                raise MlcError(f"{what}: {done.reason}", _hint(done.reason))
            answers.append(None if done.status else json.loads(done.out)[0])
    return answers


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return the objects of docker's one-JSON-object-a-line output."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def socket_path() -> str | None:
    """Return the path of the engine's Unix socket, None for an engine elsewhere."""
    host = os.environ.get("DOCKER_HOST", "")
    if host.startswith("unix://"):
        return host.removeprefix("unix://")
    if host or os.environ.get("DOCKER_CONTEXT"):
        return None
    return "/var/run/docker.sock"
