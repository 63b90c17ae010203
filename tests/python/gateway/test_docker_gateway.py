"""docker_gateway run: COMMAND's status, signals and terminal are as without it."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import docker_gateway
from ds01.core.errors import Exit, HelperError
from ds01.gateway import command
from gateway_bench import GATEWAY, listen, short_folder


@pytest.fixture
def environment(ds01_root: Path) -> Iterator[dict[str, str]]:
    """An environment whose engine is a socket on which nobody answers."""
    with short_folder() as folder:
        listener = listen(str(folder / "engine.sock"))
        env = {**os.environ, "DOCKER_HOST": f"unix://{folder}/engine.sock"}
        env["DS01_ROOT"] = str(ds01_root)
        env["XDG_RUNTIME_DIR"] = str(folder)
        env.pop("COMMAND_NAME", None)
        yield env
        listener.close()


def gateway(
    environment: dict[str, str], *words: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GATEWAY, *words],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def start(environment: dict[str, str], script: str) -> subprocess.Popen[str]:
    """Start a gateway with a Python script as COMMAND, in a group of its own."""
    return subprocess.Popen(
        [*GATEWAY, sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def leftovers(environment: dict[str, str]) -> list[Path]:
    return list(Path(environment["XDG_RUNTIME_DIR"]).glob("ds01-gateway-*"))


@pytest.mark.parametrize("status", [0, 1, 5, 126, 255])
def test_status_is_the_commands(environment: dict[str, str], status: int) -> None:
    done = gateway(environment, "sh", "-c", f"exit {status}")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")
    assert leftovers(environment) == []


def test_streams_and_words_are_the_commands(environment: dict[str, str]) -> None:
    done = gateway(
        environment, "sh", "-c", 'cat; echo "$1" >&2', "-", "a  'b", stdin="in"
    )
    assert (done.stdout, done.stderr) == ("in", "a  'b\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_death_by_a_signal(environment: dict[str, str], number: int) -> None:
    done = gateway(environment, "sh", "-c", f"kill -{int(number)} $$")
    assert done.returncode == 128 + number


def test_what_cannot_be_run(environment: dict[str, str], tmp_path: Path) -> None:
    done = gateway(environment, "no-such-command")
    assert done.returncode == 127
    assert "command 'no-such-command' not found" in done.stderr
    plain = tmp_path / "plain"
    plain.write_text("echo from $0 $1")
    done = gateway(environment, str(plain))
    assert done.returncode == 126
    assert "permission denied" in done.stderr
    plain.chmod(0o755)
    done = gateway(environment, str(plain), "word")
    assert (done.returncode, done.stdout) == (0, f"from {plain} word\n")
    assert gateway(environment, str(tmp_path)).returncode == 126


def test_usage_and_a_missing_engine(environment: dict[str, str]) -> None:
    assert gateway(environment).returncode == Exit.USAGE
    for address in ("tcp://1.2.3.4:2375", "unix:///nonexistent.sock"):
        done = gateway({**environment, "DOCKER_HOST": address}, "true")
        assert done.returncode == Exit.PREREQUISITE
        assert "docker_gateway: error:" in done.stderr


def test_an_engine_that_one_may_not_use(environment: dict[str, str]) -> None:
    if os.getuid() != 0:
        pytest.fail("this test gives up root's rights: run it as root")
    path = Path(environment["DOCKER_HOST"].removeprefix("unix://"))
    path.chmod(0o600)
    path.parent.chmod(0o755)
    script = (
        "import os, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from ds01.core import engine\nfrom ds01.gateway import command\n"
        "from ds01.core.errors import HelperError\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        "try:\n"
        "    command.run_command(['true'], sys.argv[2])\n"
        "except HelperError as error:\n"
        "    print(int(error.code), error.hint)\n"
    )
    folder = str(Path(docker_gateway.__file__).parent)
    words = [sys.executable, "-c", script, folder, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("7 ask the administrator")


def test_engine_path() -> None:
    assert command.engine_path(None, {}) == "/var/run/docker.sock"
    assert command.engine_path("unix:///a", {"DOCKER_HOST": "b"}) == "/a"
    with pytest.raises(HelperError):
        command.engine_path(None, {"DOCKER_HOST": "ssh://host"})


def test_the_command_sees_only_the_gateway(environment: dict[str, str]) -> None:
    other = {"DOCKER_CONTEXT": "x", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/x"}
    done = gateway(
        {**environment, **other}, "sh", "-c", "env; ls -ld ${DOCKER_HOST#*//}"
    )
    assert "DOCKER_HOST=unix://" in done.stdout
    assert environment["DOCKER_HOST"] not in done.stdout
    for name in other:
        assert name + "=" not in done.stdout


def test_the_socket_is_private(environment: dict[str, str]) -> None:
    script = 'd=${DOCKER_HOST#unix://}; stat -c %a "${d%/*}"'
    assert gateway(environment, "sh", "-c", script).stdout == "700\n"


def test_the_command_has_default_signals_and_limits(
    environment: dict[str, str],
) -> None:
    script = "grep -E 'Sig(Ign|Blk)' /proc/self/status; ulimit -Sn"
    alone = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert gateway(environment, "sh", "-c", script).stdout == alone


def test_an_ignored_interrupt_stays_ignored(environment: dict[str, str]) -> None:
    # As nohup, and a shell's background jobs, have it.
    words = " ".join(f"'{word}'" for word in GATEWAY)
    script = f"trap '' INT; {words} sh -c 'kill -INT $$; echo alive'"
    done = subprocess.run(
        ["sh", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "alive\n"


def test_group_and_session_are_the_callers(environment: dict[str, str]) -> None:
    script = "import os; print(os.getpgrp(), os.getsid(0))"
    done = gateway(environment, sys.executable, "-c", script)
    assert done.stdout == f"{os.getpgrp()} {os.getsid(0)}\n"


_SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
_REPORT = (
    "import os, signal, sys, time\n"
    "def got(number, frame):\n"
    # print may be interrupted in the middle of a print, which it does not allow.
    "    os.write(1, f'{signal.Signals(number).name}\\n'.encode())\n"
    "    os._exit(42)\n"
    "for name in ('SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGINT'):\n"
    "    signal.signal(getattr(signal, name), got)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)\n"
)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_signals_to_the_gateway_reach_the_command(
    environment: dict[str, str], name: str
) -> None:
    process = start(environment, _REPORT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (42, f"{name}\n", "")
    assert leftovers(environment) == []


def test_an_interrupt_of_the_group_is_the_commands(environment: dict[str, str]) -> None:
    process = start(environment, _REPORT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (42, "SIGINT\n", "")


def test_killing_the_gateway_ends_the_command(environment: dict[str, str]) -> None:
    process = start(environment, _REPORT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    out, _ = process.communicate(timeout=120)
    assert out == "SIGTERM\n"
    # What it could not remove, the next gateway does.
    assert len(leftovers(environment)) == 1
    gateway(environment, "true")
    assert leftovers(environment) == []


def test_killing_the_command_ends_the_gateway(environment: dict[str, str]) -> None:
    process = start(environment, _SLEEPER)
    assert process.stdout is not None
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    assert process.wait(120) == 128 + signal.SIGKILL
    process.communicate()
    assert leftovers(environment) == []


def test_streams_of_others_end_with_the_command(environment: dict[str, str]) -> None:
    # A child that outlives COMMAND loses its connection, and nothing waits for it.
    script = (
        "import os, socket, sys\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "sock.connect(os.environ['DOCKER_HOST'][7:])\n"
        "sock.sendall(b'GET /events HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        "if os.fork() == 0:\n"
        "    try:\n"
        "        sock.recv(1)\n"
        "    except ConnectionError:\n"
        "        pass\n"
        "    os.write(1, b'ended')\n"
        "    os._exit(0)\n"
    )
    done = gateway(environment, sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (0, "ended")


class Terminal:
    """A terminal with a shell that has job control, as a person sits at it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            env = {**environment, "PS1": "PROMPT ", "TERM": "dumb"}
            words = ["bash", "--norc", "--noprofile", "-i"]
            os.execvpe("bash", words, env)  # noqa: S606
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, text: str, seconds: float = 90) -> str:
        deadline = time.monotonic() + seconds
        while text not in self._seen:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._fd], [], [], max(left, 0))
            assert ready, f"no '{text}' in {self._seen!r}"
            self._seen += os.read(self._fd, 4096).decode(errors="replace")
        before, _, self._seen = self._seen.partition(text)
        return before

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    found = Terminal(environment)
    try:
        found.expect("PROMPT ")
        yield found
    finally:
        found.close()


def _typed(script: str) -> str:
    words = [*GATEWAY, sys.executable, "-c", script]
    return " ".join(f"'{word}'" for word in words)


def test_terminal_interrupt(terminal: Terminal, tmp_path: Path) -> None:
    script = "import time; print(6 * 7, flush=True); time.sleep(600)"
    terminal.type(_typed(script) + "; echo status=$?\r")
    terminal.expect("42\r\n")
    terminal.type("\x03")
    terminal.expect("status=130")


def test_terminal_stop_and_continue(terminal: Terminal) -> None:
    script = "print(6 * 7, flush=True); print(input() * 2, flush=True)"
    terminal.type(_typed(script) + "\r")
    terminal.expect("42\r\n")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect("PROMPT ")
    time.sleep(0.3)
    terminal.type("fg; echo status=$?\r")
    # The shell says what it goes on with; before that, the line would be its own.
    terminal.expect("input() * 2")
    terminal.type("xy\r")
    terminal.expect("xyxy")
    terminal.expect("status=0")


def test_terminal_of_an_interactive_shell(terminal: Terminal) -> None:
    words = " ".join(f"'{word}'" for word in GATEWAY)
    terminal.type(words + " bash --norc --noprofile -i\r")
    terminal.expect("PROMPT ")
    terminal.type("bash -c 'echo $((6 * 7)); exec sleep 30'\r")
    terminal.expect("42\r\n")
    terminal.type("\x03")
    terminal.expect("PROMPT ")
    terminal.type("exit 7\r")
    terminal.expect("PROMPT ")
    terminal.type("echo status=$?\r")
    terminal.expect("status=7")


def test_many_streams_are_not_bounded_by_the_soft_limit() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        command.raise_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_listener_never_waits(environment: dict[str, str]) -> None:
    # Clients may connect before the gateway has loaded: the kernel keeps them.
    script = (
        "import os, socket\n"
        "for _ in range(300):\n"
        "    sock = socket.socket(socket.AF_UNIX)\n"
        "    sock.setblocking(False)\n"
        "    sock.connect(os.environ['DOCKER_HOST'][7:])\n"
    )
    assert gateway(environment, sys.executable, "-c", script).stderr == ""
