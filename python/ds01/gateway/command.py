"""A gateway of its own for one command: the private socket, the command, its signals.

COMMAND keeps terminal, process group and signals as if it ran alone. What the door says
of it stands in docker_gateway.py.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ds01.core.errors import Exit, HelperError
from ds01.core.program import say

if TYPE_CHECKING:
    from types import FrameType

    from ds01.gateway.types import Caller

PROGRAM = "docker_gateway"
DEFAULT_ENGINE = "unix:///var/run/docker.sock"
_BACKLOG = 4096
_FOLDER = "ds01-gateway-"
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_PR_SET_PDEATHSIG = 1
# Passed on to COMMAND; those of the keyboard reach it without help.
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
# With these nobody wants to wait for GPUs any longer.
_ENDING = (signal.SIGTERM, signal.SIGHUP)
# Other ways to name an engine, which would lead a client around the gateway.
_CLIENT_SETTINGS = (
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
)


def engine_path(option: str | None, environment: Mapping[str, str]) -> str:
    """Return the path of the engine's socket.

    Raises HelperError(PREREQUISITE) for an engine that is not on a Unix socket.
    """
    address = option or environment.get("DOCKER_HOST") or DEFAULT_ENGINE
    path = address.removeprefix("unix://")
    if path == address or not path.startswith("/"):
        raise HelperError(
            Exit.PREREQUISITE,
            f"engine address '{address}' is not a Unix socket",
            f"set DOCKER_HOST={DEFAULT_ENGINE}",
        )
    return path


def make_listener() -> tuple[Path, socket.socket]:
    """Return a folder that only this user can enter, and a listening socket in it."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if not (base.startswith("/") and len(base) < 60 and os.access(base, os.W_OK)):
        base = "/tmp"  # noqa: S108 - mkdtemp makes a folder of mode 0700 in it
    _sweep(Path(base))
    # A Unix socket's path must be short: TMPDIR may be too long.
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=base))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(folder / "docker.sock"))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, listener


def _sweep(base: Path) -> None:
    """Remove folders of gateways that were killed."""
    with contextlib.suppress(OSError):
        for folder in base.glob(f"{_FOLDER}*-*"):
            pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
            is_mine = folder.lstat().st_uid == os.getuid()
            if pid.isdigit() and is_mine and not Path("/proc", pid).exists():
                shutil.rmtree(folder, ignore_errors=True)


def start_command(command: Sequence[str], address: str, report: Path | None) -> int:
    """Start COMMAND in this process group; return its pid.

    Where refusals are reported, COMMAND finds the file by DS01_GATEWAY_REPORT.
    It inherits what signals were ignored and blocked before, and gets SIGTERM when
    this process dies.
    """
    environment = {
        key: value for key, value in os.environ.items() if key not in _CLIENT_SETTINGS
    }
    environment["DOCKER_HOST"] = address
    environment.pop("DS01_GATEWAY_REPORT", None)
    if report is not None:
        environment["DS01_GATEWAY_REPORT"] = str(report.absolute())
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _become(command, environment, parent)
    finally:
        os._exit(Exit.BUG)


def _become(
    command: Sequence[str], environment: Mapping[str, str], parent: int
) -> NoReturn:
    import ctypes  # noqa: PLC0415 - in the child, off the way to the first request

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGTERM)
    # Python ignores these two; programs expect them to end them.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _inherited_interrupt())
    signal.pthread_sigmask(signal.SIG_SETMASK, _inherited_mask)
    try:
        os.execvpe(command[0], list(command), dict(environment))  # noqa: S606
    except OSError as error:
        status = _explain(command[0], error)
        if error.errno == errno.ENOEXEC:
            # A script without a first line: the shell's business, as everywhere.
            found = shutil.which(command[0]) or command[0]
            with contextlib.suppress(OSError):
                words = ["sh", found, *command[1:]]
                os.execve("/bin/sh", words, dict(environment))  # noqa: S606
        os._exit(status)


_inherited_mask: set[int] = set()


def _inherited_interrupt() -> signal.Handlers:
    # Python leaves SIGINT alone where it was started with it ignored.
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return signal.SIG_IGN if is_ignored else signal.SIG_DFL


def _explain(name: str, error: OSError) -> int:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        say("error", f"command '{name}' not found", PROGRAM)
        return _NOT_FOUND
    if error.errno != errno.ENOEXEC:
        reason = os.strerror(error.errno or 0).lower()
        say("error", f"command '{name}' cannot be run: {reason}", PROGRAM)
    return _NOT_EXECUTABLE


def raise_descriptors() -> None:
    """Allow this process as many open streams as it may have."""
    import resource  # noqa: PLC0415

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def caller_of_this_process() -> Caller:
    """Return who runs this process: in private mode, the caller."""
    import pwd  # noqa: PLC0415

    from ds01.gateway.types import Caller  # noqa: PLC0415

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Caller(uid, name, private=True)


def write_report(path: Path | None, code: Exit, message: str, hint: str | None) -> None:
    """Write down why a request was refused, for whoever started the gateway."""
    if path is not None:
        import json  # noqa: PLC0415 - on the way of a refusal only

        told = {"code": int(code), "message": message, "hint": hint}
        with contextlib.suppress(OSError):
            path.write_text(json.dumps(told), encoding="utf-8")


def serve_command(
    listener: socket.socket,
    engine: str,
    pid: int,
    report: Path | None,
    heard: Sequence[signal.Signals],
) -> int:
    """Serve the private socket until COMMAND has ended; return its status.

    With a signal of the keyboard that is `heard`, who waits for GPUs leaves the queue.
    """
    import asyncio  # noqa: PLC0415 - COMMAND starts while this loads

    from ds01.gateway.doors import Doors  # noqa: PLC0415
    from ds01.gateway.proxy import Proxy  # noqa: PLC0415

    async def serve() -> int:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()

        def reap() -> None:
            if ended.done():
                return
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                ended.set_result(code if code >= 0 else 128 - code)

        def forward(number: int) -> None:
            if not ended.done():
                os.kill(pid, number)
            if number in _ENDING:
                doors.leave_queue()

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(doors.leave_queue)

        doors = Doors(
            caller_of_this_process(),
            engine,
            lambda kind, text: say(kind, text, PROGRAM),
            partial(write_report, report),
        )
        proxy = Proxy(listener, engine, doors.judge)
        proxy.start()
        loop.add_signal_handler(signal.SIGCHLD, reap)
        for number in _FORWARDED:
            loop.add_signal_handler(number, forward, number)
        # Not the loop's: a handler of its own would be gone with it.
        for number in heard:
            signal.signal(number, interrupt)
        signal.pthread_sigmask(signal.SIG_SETMASK, _inherited_mask)
        reap()
        try:
            return await ended
        finally:
            await proxy.close()
            await doors.close()

    return asyncio.run(serve())


def run_command(command: Sequence[str], engine: str, report: Path | None = None) -> int:
    """Run COMMAND behind a gateway of its own; return its status.

    Raises ModuleNotFoundError before COMMAND starts where a package is missing.
    """
    for package in ("h11", "yaml"):
        if PathFinder.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    if not os.access(engine, os.R_OK | os.W_OK):
        from ds01.core.engine import no_engine  # noqa: PLC0415 - for its words only

        is_there = Path(engine).exists()
        reason = PermissionError() if is_there else FileNotFoundError()
        raise no_engine(f"unix://{engine}", reason)
    folder, listener = make_listener()
    try:
        # No signal may find the gateway between COMMAND's start and its own handlers.
        blocked = {*_FORWARDED, *_KEYBOARD, signal.SIGCHLD}
        _inherited_mask.update(signal.pthread_sigmask(signal.SIG_BLOCK, blocked))
        pid = start_command(command, f"unix://{folder}/docker.sock", report)
        # Ctrl-C is for COMMAND. Messages go out even where it has the terminal.
        heard = [it for it in _KEYBOARD if signal.getsignal(it) is not signal.SIG_IGN]
        for number in (*_KEYBOARD, signal.SIGTTOU):
            signal.signal(number, signal.SIG_IGN)
        raise_descriptors()
        return serve_command(listener, engine, pid, report, heard)
    finally:
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
