"""The gateway with the real clients on a real engine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway_bench import GATEWAY, IMAGE, PREFIX, dial, read_all, read_until

pytestmark = pytest.mark.engine

# Debian's client still has both builders in it.
CLIENT = "/usr/bin/docker"


class Behind:
    """Runs clients behind a gateway, and past it to look at what came of it."""

    def __init__(self, address: str, folder: Path) -> None:
        self.env = {**os.environ, "DOCKER_HOST": address}
        self.env["DOCKER_CONFIG"] = str(folder)
        self.env.pop("COMMAND_NAME", None)

    def run(
        self, *words: str, stdin: str | bytes = b"", status: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*GATEWAY, *words],
            env={**self.env, **env},
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        if status is not None:
            assert done.returncode == status, f"{words}: {done.returncode} {out} {err}"
        return subprocess.CompletedProcess(words, done.returncode, out, err)

    def shell(self, script: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return self.run("bash", "-euo", "pipefail", "-c", script, **more)

    def past(self, *words: str) -> str:
        return subprocess.run(
            [CLIENT, *words],
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        ).stdout

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.past("inspect", name))[0]
        return found


@pytest.fixture
def behind(docker_host: str, ds01_root: Path, tmp_path: Path) -> Iterator[Behind]:
    found = Behind(docker_host, tmp_path)
    yield found
    found.env["DOCKER_HOST"] = docker_host
    for words in (["container", "-a"], ["volume"], ["network"]):
        kind, *more = words
        listing = [kind, "ls", "--filter", f"name={PREFIX}", "-q", *more]
        if names := found.past(*listing).split():
            found.past(kind, "rm", *(["-f"] if kind != "network" else []), *names)
    form = "{{.Repository}}:{{.Tag}}"
    images = found.past("image", "ls", "--format", form, f"{PREFIX}*").split()
    if images:
        found.past("image", "rm", "-f", *images)


@pytest.fixture
def name() -> str:
    return f"{PREFIX}-{time.monotonic_ns() % 10**9}"


@contextlib.contextmanager
def served(behind: Behind) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A gateway whose COMMAND only waits; it, and the path of its socket."""
    words = [*GATEWAY, "sh", "-c", "echo ${DOCKER_HOST#unix://}; cat >/dev/null"]
    process = subprocess.Popen(
        words, env=behind.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().decode().strip()
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait(120)
        process.stdout.close()


class Screen:
    """A command in a terminal of its own."""

    def __init__(self, words: list[str], env: dict[str, str]) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, env)  # noqa: S606
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, text: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = max(deadline - time.monotonic(), 0)
            ready, _, _ = select.select([self._fd], [], [], left)
            assert ready, f"no '{text}' in {self.seen!r}"
            self.seen += os.read(self._fd, 4096).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def status(self) -> int:
        # The terminal must be read to its end, or its writer waits for ever.
        with contextlib.suppress(OSError):
            while os.read(self._fd, 4096):
                pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def clients() -> list[str]:
    """Return the docker clients of this host: another may stand before Debian's."""
    return list(dict.fromkeys([CLIENT, shutil.which("docker") or CLIENT]))


def raw(path: str, text: bytes) -> bytes:
    with contextlib.closing(dial(path)) as sock:
        sock.sendall(text)
        return read_all(sock)


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


# The docker client -------------------------------------------------------------------


@pytest.mark.parametrize("client", clients())
def test_run(behind: Behind, name: str, client: str) -> None:
    script = "cat; echo err >&2; exit 7"
    done = behind.run(
        *(client, "run", "--rm", "-i", "--name", name, IMAGE, "sh", "-c", script),
        stdin="some input",
        status=7,
    )
    assert done.stdout == "some input"
    assert "err\n" in done.stderr


def test_container_has_its_limits(behind: Behind, name: str) -> None:
    script = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
        " || cat /sys/fs/cgroup/memory.max; df -B1 --output=size /dev/shm | tail -1;"
        " cat /proc/1/comm; printenv NVIDIA_VISIBLE_DEVICES"
    )
    out = behind.run(
        *(CLIENT, "run", "--name", name, "-m", "200m", "--shm-size", "32m"),
        *(IMAGE, "sh", "-c", script),
    ).stdout.split()
    assert out == [str(200 << 20), str(32 << 20), "docker-init", "void"]
    found = behind.inspect(name)
    labels = found["Config"]["Labels"]
    assert labels["ds01.uid"] == str(os.getuid())
    assert labels["ds01.limit.memory"] == "200m"
    assert found["HostConfig"]["PidsLimit"] > 0
    assert found["HostConfig"]["NanoCpus"] <= (os.cpu_count() or 1) * 10**9


def test_what_aimes_mlc_asks_for_starts(behind: Behind, name: str) -> None:
    words = ["create", "-it", "--label", "aime.mlc=me", "--privileged"]
    words += ["--network", "host", "--ipc", "host", "--gpus", "all"]
    words += ["--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
    words += ["--device", "/dev/snd", "--device", "/dev/video0"]
    words += ["-v", "/tmp/.X11-unix:/tmp/.X11-unix"]
    words += ["--group-add", "video", "--group-add", "sudo"]
    done = behind.run(CLIENT, *words, "--name", name, IMAGE, "bash", "-c", "bash")
    assert "privileged" not in done.stderr
    assert "no GPU" in done.stderr
    behind.run(CLIENT, "start", name)
    found = behind.inspect(name)
    assert found["State"]["Running"]
    assert found["HostConfig"]["Privileged"] is False
    assert found["HostConfig"]["NetworkMode"] == "host"
    assert found["HostConfig"]["IpcMode"] == "private"


@pytest.mark.parametrize("client", clients())
def test_terminals(behind: Behind, name: str, client: str) -> None:
    words = [*GATEWAY, client, "run", "-it", "--name", name, IMAGE, "bash", "--norc"]
    screen = Screen(words, behind.env)
    # The client sets the terminal's size a moment after the start.
    screen.type("tty; echo $((6 * 7))\r")
    screen.expect("/dev/pts/0")
    screen.expect("42")
    other = Screen(
        [*GATEWAY, client, "exec", "-it", name, "bash", "--norc"], behind.env
    )
    other.type("echo $((7 * 7)); sleep 600\r")
    other.expect("49")
    time.sleep(0.5)
    other.type("\x03")
    other.type("exit 3\r")
    assert other.status() == 3
    screen.type("exit 5\r")
    assert screen.status() == 5


def test_attach_passes_the_end_of_input(behind: Behind, name: str) -> None:
    behind.run(CLIENT, "create", "-i", "--name", name, IMAGE, "wc", "-c")
    done = behind.run(CLIENT, "start", "-ai", name, stdin=b"x" * 300_000)
    assert done.stdout == "300000\n"


def test_attach_to_a_running_container(behind: Behind, name: str) -> None:
    behind.run(CLIENT, "create", "-i", "--name", name, IMAGE, "cat")
    behind.run(CLIENT, "start", name)
    done = behind.run(CLIENT, "attach", name, stdin="to and fro")
    assert done.stdout == "to and fro"


def test_logs_follow(behind: Behind, name: str) -> None:
    script = "for i in 1 2 3; do echo line $i; sleep 0.2; done"
    behind.run(CLIENT, "run", "-d", "--name", name, IMAGE, "sh", "-c", script)
    done = behind.run(CLIENT, "logs", "-f", name)
    assert done.stdout == "line 1\nline 2\nline 3\n"


def test_copies_both_ways(behind: Behind, name: str, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 20
    (tmp_path / "in put").write_bytes(data)
    behind.run(CLIENT, "create", "--name", name, IMAGE, "true")
    behind.run(CLIENT, "cp", str(tmp_path / "in put"), f"{name}:/file")
    behind.run(CLIENT, "cp", f"{name}:/file", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == data
    missing = behind.run(CLIENT, "cp", f"{name}:/none", str(tmp_path), status=1)
    assert "no such" in missing.stderr.lower() or "not find" in missing.stderr.lower()


@pytest.mark.parametrize("buildkit", ["0", "1"])
def test_builders(behind: Behind, name: str, tmp_path: Path, buildkit: str) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "big").write_bytes(os.urandom(5 << 20))
    digest = hashlib.sha256((context / "big").read_bytes()).hexdigest()
    (context / "Dockerfile").write_text(
        f"FROM {IMAGE}\nARG WORD\nCOPY big /big\n"
        'RUN echo "$WORD" > /word && sha256sum /big | cut -c1-64 >> /word\n'
    )
    words = [
        "build",
        "--force-rm",
        "-t",
        name,
        "--build-arg",
        "WORD=hello",
        str(context),
    ]
    behind.run(CLIENT, *words, DOCKER_BUILDKIT=buildkit)
    out = behind.past("run", "--rm", name, "cat", "/word")
    assert out.split() == ["hello", digest]
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo oh; exit 9\n")
    done = behind.run(CLIENT, *words, DOCKER_BUILDKIT=buildkit, status=None)
    assert done.returncode != 0
    assert "oh" in done.stdout + done.stderr


def test_buildkit_secrets_come_by_the_session(
    behind: Behind, name: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("sesame")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {IMAGE}\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s > /count\n"
    )
    behind.run(
        *(CLIENT, "build", "-t", name, "--secret"),
        *(f"id=s,src={tmp_path / 'secret'}", str(tmp_path)),
        DOCKER_BUILDKIT="1",
    )
    assert behind.past("run", "--rm", name, "cat", "/count") == "6\n"


def test_classic_builds_have_limits(behind: Behind, name: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {IMAGE}\n"
        "RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes > /limit 2>/dev/null"
        " || cat /sys/fs/cgroup/memory.max > /limit\n"
    )
    behind.run(CLIENT, "build", "-t", name, str(tmp_path), DOCKER_BUILDKIT="0")
    assert int(behind.past("run", "--rm", name, "cat", "/limit")) <= 32 << 30


def test_events_and_stats(behind: Behind, name: str) -> None:
    script = (
        f"timeout 3 {CLIENT} events --filter container={name}"
        " --format '{{.Action}}' > {out} & sleep 0.5;"
        f" {CLIENT} run -d --name {name} {IMAGE} sleep 60;"
        f" {CLIENT} stats --no-stream --format '{{{{.PIDs}}}}' {name}; wait || true"
    )
    out = Path(behind.env["DOCKER_CONFIG"]) / "events"
    done = behind.shell(script.replace("{out}", f"'{out}'"))
    assert int(done.stdout.split()[-1]) >= 1
    assert {"create", "start"} <= set(out.read_text().split())


def test_save_and_load(behind: Behind, name: str, tmp_path: Path) -> None:
    behind.past("tag", IMAGE, name)
    archive = tmp_path / "image.tar"
    behind.run(CLIENT, "save", "-o", str(archive), name)
    behind.past("rmi", name)
    behind.run(CLIENT, "load", "-i", str(archive))
    assert behind.past("image", "ls", "-q", name)


def test_the_rest_of_a_containers_life(behind: Behind, name: str) -> None:
    behind.shell(
        f"""
        d={CLIENT}; n={name}
        $d volume create $n; $d network create $n
        $d run -d --name $n --network $n -v $n:/data -p 127.0.0.1::80 {IMAGE} sleep 60
        $d exec $n touch /data/file /new
        $d top $n; $d diff $n; $d port $n
        $d pause $n; $d unpause $n
        $d export $n | tar -t | grep -c new
        $d commit $n $n:committed
        $d rename $n $n-2; $d restart -t 0 $n-2; $d kill $n-2; $d wait $n-2
        $d rm $n-2; $d network rm $n; $d volume rm $n
        $d system df; $d info; $d version; $d images
        """
    )


def test_pull_of_a_local_image(behind: Behind) -> None:
    for client in clients():
        done = behind.run(client, "pull", IMAGE)
        assert "up to date" in done.stdout
    done = behind.run(CLIENT, "pull", f"{PREFIX}-none:x", status=1)
    assert "ds01" not in done.stderr


# Other clients -----------------------------------------------------------------------


def test_compose(behind: Behind, name: str, tmp_path: Path) -> None:
    compose = shutil.which("docker-compose")
    assert compose, "docker-compose is missing: run the tests by tests/run"
    (tmp_path / "compose.yml").write_text(
        f"""
version: "2.4"
services:
  web:
    image: {IMAGE}
    container_name: {name}-web
    command: sh -c "echo up; sleep 60"
    restart: always
    privileged: true
    volumes: ["data:/data"]
    mem_limit: 100m
  other:
    build: {{context: .}}
    image: {name}
    container_name: {name}-other
    depends_on: [web]
    command: cat /built
volumes:
  data:
    name: {name}
networks:
  default:
    name: {name}
"""
    )
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo yes > /built\n")
    file = ["-p", name, "-f", str(tmp_path / "compose.yml")]
    done = behind.run(compose, *file, "up", "-d", "--no-color")
    assert "privileged mode is left out" in done.stderr
    assert "up" in behind.run(compose, *file, "logs", "--no-color", "web").stdout
    assert behind.run(compose, *file, "exec", "-T", "web", "id").stdout
    found = behind.inspect(f"{name}-web")
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert found["HostConfig"]["Privileged"] is False
    assert found["Config"]["Labels"]["ds01.limit.memory"] == "100m"
    assert found["Config"]["Labels"]["com.docker.compose.project"] == name
    behind.run(compose, *file, "down", "-v", "-t", "0")


_SDK = """
import sys, docker, io, tarfile
image, name = sys.argv[1:]
client = docker.from_env(version="auto")
client.ping()
out = client.containers.run(image, ["sh", "-c", "echo one; echo two >&2"], stderr=True,
    remove=True)
assert b"one" in out and b"two" in out, out
box = client.containers.run(image, "cat", name=name, detach=True, stdin_open=True,
    privileged=True, mem_limit="90m", network_mode="host", runtime="runc",
    device_requests=[docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])])
assert box.labels["ds01.limit.memory"] == "90m", box.labels
assert not box.attrs["HostConfig"]["Privileged"]
status, out = box.exec_run(["sh", "-c", "echo in; exit 3"])
assert (status, out) == (3, b"in\\n"), (status, out)
run = client.api.exec_create(box.id, ["cat"], stdin=True)
sock = client.api.exec_start(run["Id"], socket=True)._sock
sock.sendall(b"through")
sock.shutdown(1)
data = b""
while more := sock.recv(4096):
    data += more
assert data.endswith(b"through"), data
tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w") as archive:
    entry = tarfile.TarInfo("put")
    entry.size = 3
    archive.addfile(entry, io.BytesIO(b"abc"))
box.put_archive("/", tar.getvalue())
chunks, stat = box.get_archive("/put")
assert b"abc" in b"".join(chunks) and stat["size"] == 3
attached = client.api.attach_socket(box.id, {"stdin": 1, "stdout": 1, "stream": 1})
attached._sock.sendall(b"hello\\n")
for line in box.logs(stream=True, follow=True):
    assert b"hello" in line
    break
next(box.stats(stream=True, decode=True))
client.images.pull(image)
assert client.containers.list(filters={"label": "ds01.managed"})
try:
    client.containers.run(image, "true", cap_add=["SYS_ADMIN"])
except docker.errors.APIError as error:
    assert "ds01: capability" in str(error), error
else:
    raise SystemExit("SYS_ADMIN was given")
box.remove(force=True)
print("done")
"""


def test_python_sdk(behind: Behind, name: str) -> None:
    done = behind.run(sys.executable, "-c", _SDK, IMAGE, name)
    assert done.stdout == "done\n"


# Ways around -------------------------------------------------------------------------


def test_refusals_read_well(behind: Behind, name: str) -> None:
    words = (CLIENT, "run", "--name", name, "--cap-add", "SYS_ADMIN", IMAGE, "true")
    done = behind.run(*words, status=125)
    assert "Error response from daemon: ds01: capability" in done.stderr
    assert "(hint: leave out --cap-add" in done.stderr
    log = Path(os.environ["DS01_ROOT"]) / "var/log/ds01/events.jsonl"
    event = json.loads(log.read_text().splitlines()[-1])
    assert event["type"] == "denied"
    assert event["container"] == name
    assert event["code"] == "capability"


def test_a_broken_policy_refuses_creates_only(behind: Behind, name: str) -> None:
    file = Path(os.environ["DS01_ROOT"]) / "etc/ds01/resource-limits.yaml"
    file.write_text("version: 1\ndefaults: {memory: 32}\n")
    done = behind.run(CLIENT, "run", "--name", name, IMAGE, "true", status=125)
    assert "resource-limits.yaml" in done.stderr
    assert "memory" in done.stderr
    behind.run(CLIENT, "ps")


def test_limits_stay_as_they_were_made(behind: Behind, name: str) -> None:
    behind.run(CLIENT, "run", "-d", "--name", name, IMAGE, "sleep", "60")
    done = behind.run(CLIENT, "update", "--pids-limit", "-1", name, status=1)
    assert "ds01: limits are set when a container is made" in done.stderr
    done = behind.run(CLIENT, "exec", "--privileged", name, "true", status=None)
    assert "ds01: privileged processes" in done.stderr
    assert done.returncode != 0
    none = behind.run(CLIENT, "update", "--pids-limit", "-1", f"{name}-x", status=1)
    assert "No such container" in none.stderr


def test_doors_beside_create(behind: Behind, name: str) -> None:
    for words in (
        ("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/", name),
        ("swarm", "init"),
        ("service", "create", IMAGE),
        ("plugin", "install", "--grant-all-permissions", "x/y"),
    ):
        done = behind.run(CLIENT, *words, status=None)
        assert done.returncode != 0
        assert "ds01:" in done.stderr, done.stderr


def _create_text(target: str, name: str, body: str) -> bytes:
    head = f"POST {target}?name={name} HTTP/1.1\r\nHost: docker\r\n"
    head += (
        f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n"
    )
    return (head + "\r\n" + body).encode()


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (
            "/containers/create",
            '{"image": "%s", "Cmd": "true", "HOSTCONFIG": {"privileged": true}}',
        ),
        (
            "/v1.41/containers%%2Fcreate",
            '{"Image": "%s", "Cmd": "true", "hoſtconfig": {"PidMode": ""}}',
        ),
        (
            "/v1.24/%%63ontainers/create",
            '{"Image": "%s", "Cmd": "true", "Privileged": true}',
        ),
        (
            "/v1.41/containers/create/",
            '{"Image": "%s", "Cmd": "true", "Memory": 99999999999999}',
        ),
        (
            "/v1.30/containers/create",
            '{"Image": "%s", "Cmd": "true", "HostConfig": null}',
        ),
    ],
)
def test_spellings_on_the_real_engine(
    behind: Behind, name: str, target: str, body: str
) -> None:
    with served(behind) as (_, path):
        text = _create_text(target.replace("%%", "%"), name, body % IMAGE)
        answer = raw(path, text)
    assert answer.startswith(b"HTTP/1.1 201"), answer
    found = behind.inspect(name)
    assert found["HostConfig"]["Privileged"] is False
    assert 0 < found["HostConfig"]["Memory"] <= 32 << 30
    assert found["HostConfig"]["IpcMode"] == "private"
    assert found["Config"]["Labels"]["ds01.managed"] == "1"


def test_nothing_is_smuggled_to_the_real_engine(behind: Behind, name: str) -> None:
    body = json.dumps({"Image": IMAGE, "HostConfig": {"Privileged": True}})
    hidden = _create_text("/v1.41/containers/create", name, body)
    firsts = (
        b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        b"POST /containers/none/attach?stream=1 HTTP/1.1\r\nHost: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        b"POST /exec/none/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b'Upgrade: tcp\r\nContent-Length: 16\r\n\r\n{"Detach":false}',
        b"POST /session HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /grpc HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /build/prune HTTP/1.1\r\nHost: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HEAD /containers/none/archive HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    with served(behind) as (_, path):
        for first in firsts:
            answer = raw(path, first + hidden)
            assert answer.count(b"HTTP/1.1 ") == 1, answer
            with contextlib.closing(dial(path)) as sock:
                # Not in one piece: after the first answer has begun.
                sock.sendall(first)
                read_until(sock, b"\r\n\r\n")
                with contextlib.suppress(OSError):
                    sock.sendall(hidden)
                    read_all(sock)
    assert name not in behind.past("ps", "-a")


def test_start_takes_no_configuration(behind: Behind, name: str) -> None:
    behind.run(CLIENT, "create", "--name", name, IMAGE, "sleep", "60")
    head = f"POST /v1.23/containers/{name}/start HTTP/1.1\r\nHost: x\r\n"
    with served(behind) as (_, path):
        body = b'{"Privileged": true, "Memory": 0}'
        length = f"Content-Length: {len(body)}\r\n\r\n".encode()
        answer = raw(path, head.encode() + length + body)
        assert answer.startswith(b"HTTP/1.1 403")
        chunked = b"Transfer-Encoding: chunked\r\n\r\n21\r\n" + body + b"\r\n0\r\n\r\n"
        assert raw(path, head.encode() + chunked).startswith(b"HTTP/1.1 403")
        answer = raw(path, head.encode() + b"Content-Length: 2\r\n\r\n{}")
        assert answer.startswith(b"HTTP/1.1 204")
    assert behind.inspect(name)["HostConfig"]["Memory"] > 0


# When something dies -----------------------------------------------------------------


def test_an_engine_that_goes_away(
    behind: Behind, private_engine: Callable[..., str], name: str
) -> None:
    address = private_engine()
    folder = Path(address.removeprefix("unix://")).parent
    behind.env["DOCKER_HOST"] = address
    process = subprocess.Popen(
        [*GATEWAY, CLIENT, "events"],
        env=behind.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1)
    stop = Path(__file__).resolve().parents[2] / "engine/stop"
    subprocess.run([stop, folder], check=True, timeout=180)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "EOF" in err or "error" in err.lower()


def test_a_killed_client_ends_its_stream(behind: Behind, name: str) -> None:
    behind.run(CLIENT, "run", "-di", "--name", name, IMAGE, "cat")
    with served(behind) as (_, path):
        env = {**behind.env, "DOCKER_HOST": f"unix://{path}"}
        process = subprocess.Popen(
            [CLIENT, "exec", "-i", name, "wc"], env=env, stdin=subprocess.PIPE
        )
        wait_for(lambda: behind.past("top", name).count("wc") == 1)
        process.kill()
        process.communicate()
        # The end of its input reaches the process inside.
        wait_for(lambda: behind.past("top", name).count("wc") == 0)


def test_killing_the_gateway_ends_the_client(behind: Behind, name: str) -> None:
    words = [*GATEWAY, CLIENT, "run", "--name", name, IMAGE, "sleep", "600"]
    process = subprocess.Popen(
        words, env=behind.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_for(lambda: name in behind.past("ps"))
    process.send_signal(signal.SIGKILL)
    # Its output ends when the client, too, is gone.
    process.communicate(timeout=120)


def test_two_hundred_connections_at_once(behind: Behind) -> None:
    text = b"GET /v1.41/containers/json?all=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    with served(behind) as (_, path), ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: raw(path, text), range(200)))
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
