"""gateway_doors: requests that policy names, with an engine of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_gateway_policy import LIMITS, SomeLimits

from ds01.gateway.build_rules import build_query
from ds01.gateway.doors import Doors
from ds01.gateway.gpus import GpuDesk, Reserved
from ds01.gateway.proxy import Exchange
from ds01.gateway.types import Caller, HostFacts, RefusalError, Site
from ds01.gpus.ledger.device_request import NO_GPUS, Create
from gateway_bench import FakeEngine, dial, proxy, read_all, short_folder

CALLER = Caller(1000, "alice")
HOST = HostFacts(cpus=4, memory=64 << 30)
PULL = "/v1.41/images/create?fromImage=some%2Fimage&tag=1.0"
Answers = Callable[[str, str], tuple[int, Any]]


class Bench:
    """A gateway with its doors before a made-up engine, and what was said."""

    def __init__(self, answers: Answers, gpus: GpuDesk | None = None) -> None:
        self.answers = answers
        self.gpus = gpus
        self.told: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self._path = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[Bench]:
        with short_folder() as folder:
            engine = FakeEngine(str(folder / "e.sock"), self._play)
            doors: list[Doors] = []

            async def judge(exchange: Exchange) -> None:
                if not doors:
                    doors.append(Doors(CALLER, engine.path, self._tell, gpus=self.gpus))
                await doors[0].judge(exchange)

            try:
                with proxy(engine.path, judge) as path:
                    self._path = path
                    self._engine = engine
                    yield self
            finally:
                engine.close()

    def _tell(self, kind: str, text: str) -> None:
        self.told.append((kind, text))

    def _play(self, sock: socket.socket, rest: bytes) -> None:
        head = self._engine.heads[-1].decode()
        method, target, _ = head.split("\r\n")[0].split(" ")
        length = 0
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        while len(rest) < length:
            rest += sock.recv(4096)
        self.asked.append(f"{method} {target}")
        self.bodies.append(rest)
        status, answer = self.answers(method, target)
        body = json.dumps(answer).encode()
        text = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(text.encode() + body)

    def send(self, method: str, target: str) -> tuple[int, str]:
        with contextlib.closing(self.begin(target, method=method)) as sock:
            answer = read_all(sock).decode()
        return int(answer.split(" ")[1]), answer.partition("\r\n\r\n")[2]

    def begin(
        self, target: str, body: bytes = b"", head: str = "", method: str = "POST"
    ) -> socket.socket:
        sock = dial(self._path)
        text = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{head}"
        sock.sendall(f"{text}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return sock

    def post(self, target: str, body: bytes = b"", head: str = "") -> tuple[int, str]:
        with contextlib.closing(self.begin(target, body, head)) as sock:
            answer = read_all(sock).decode()
        return int(answer.split(" ")[1]), answer.partition("\r\n\r\n")[2]


def image(digests: list[str], code: int = 200, **answer: str) -> Answers:
    def answers(method: str, target: str) -> tuple[int, Any]:
        if method == "GET":
            facts = {"RepoDigests": digests, "Os": "linux", "Architecture": "amd64"}
            return 200, facts
        return code, answer

    return answers


def test_an_image_without_a_digest_is_never_pulled() -> None:
    with Bench(image([])).running() as bench:
        status, body = bench.post(PULL)
        assert status == 200
        lines = [json.loads(line) for line in body.splitlines()]
        assert lines[-1] == {"status": "Status: Image is up to date for some/image:1.0"}
        assert bench.asked == ["GET /images/some/image:1.0/json"]


@pytest.mark.parametrize(
    "reason",
    [
        'Get "https://registry-1.docker.io/v2/": dial tcp: lookup x: no such host',
        'Get "https://x/v2/": net/http: request canceled (Client.Timeout exceeded)',
        'Get "https://x/v2/": dial tcp 1.2.3.4:443: connect: connection refused',
    ],
)
def test_a_registry_out_of_reach_is_answered_from_here(reason: str) -> None:
    with Bench(image(["a@sha256:1"], 500, message=reason)).running() as bench:
        status, body = bench.post(PULL)
        assert status == 200
        assert "up to date" in body
        assert "registry not reached" in bench.told[0][1]


def test_an_image_that_only_this_engine_has() -> None:
    reason = "pull access denied for x, repository does not exist or may require …"
    with Bench(image(["a@sha256:1"], 404, message=reason)).running() as bench:
        assert bench.post(PULL)[0] == 200


@pytest.mark.parametrize("reason", ["toomanyrequests: limit", "unauthorized: no"])
def test_other_failures_of_a_pull_are_the_engines(reason: str) -> None:
    with Bench(image(["a@sha256:1"], 500, message=reason)).running() as bench:
        status, body = bench.post(PULL)
        assert (status, json.loads(body)) == (500, {"message": reason})


def test_a_pull_that_works_is_streamed() -> None:
    with Bench(image(["a@sha256:1"], 200, status="Pulling")).running() as bench:
        status, body = bench.post(PULL)
        assert (status, json.loads(body)) == (200, {"status": "Pulling"})
        assert bench.post(PULL + "&platform=linux/arm64")[0] == 200
        assert bench.asked[-1].startswith("POST")


def test_parameters_have_one_reading() -> None:
    with Bench(image([])).running() as bench:
        form = "Content-Type: application/x-www-form-urlencoded\r\n"
        assert bench.post(PULL, b"fromImage=other", form)[0] == 400
        assert bench.post("/images/create?a=1;fromImage=x")[0] == 400
        assert bench.asked == []


def test_without_configuration_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS01_ROOT", str(tmp_path))
    with Bench(image([])).running() as bench:
        status, body = bench.post("/containers/create", b'{"Image": "x"}')
        assert status == 500
        assert "ds01:" in json.loads(body)["message"]
        assert bench.asked == []


def test_a_log_that_cannot_be_written_is_told_once(
    ds01_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*words: object, **fields: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("ds01.records.event_log.append_event", fail)

    def answers(method: str, target: str) -> tuple[int, Any]:
        if "/containers/json" in target:
            return 200, []
        return (200, {"NCPU": 2}) if method == "GET" else (201, {"Id": "abc"})

    with Bench(answers).running() as bench:
        for _ in range(2):
            status, body = bench.post("/containers/create?name=n", b'{"Image": "x"}')
            assert (status, json.loads(body)) == (201, {"Id": "abc"})
        # The engine's facts are asked for once per run.
        assert bench.asked.count("GET /info") == 1
        sent = json.loads(bench.bodies[-1])
        assert sent["HostConfig"]["NanoCpus"] == 2 * 10**9
    text = "the event log cannot be written: read-only"
    assert bench.told.count(("warning", text)) == 1


def test_ambiguous_bodies_are_refused(ds01_root: Path) -> None:
    with Bench(image([])).running() as bench:
        for target in ("/containers/create", "/containers/a/exec", "/volumes/create"):
            status, body = bench.post(target, b'{"Name": "a", "NAME": "b"}')
            assert status == 400, target
            assert "more than once" in body


def test_a_mistake_of_ours_lets_nothing_through(
    ds01_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*words: object, **more: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ds01.gateway.rewrite.rewrite_create", fail)
    with Bench(lambda method, target: (200, {})).running() as bench:
        assert bench.post("/containers/create", b'{"Image": "x"}')[0] == 500
        assert bench.asked == ["GET /info"]


class Queue(GpuDesk):
    """In the place of the queue for GPUs: waits until told, and sees who leaves."""

    def __init__(self) -> None:
        super().__init__(CALLER, "/none", lambda *_: None)
        self.waiting = threading.Event()
        self.left = threading.Event()
        self.free = threading.Event()

    async def reserve(self, create: Create, name: str) -> Reserved:
        self.waiting.set()
        try:
            while not self.free.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return Reserved(name, NO_GPUS)

    async def commit(self, reserved: Reserved, container_id: str, name: str) -> None:
        """Bind nothing."""


def make(method: str, target: str) -> tuple[int, Any]:
    return (200, {"NCPU": 2}) if method == "GET" else (201, {"Id": "abc"})


def test_who_hangs_up_leaves_the_queue_and_gets_nothing(ds01_root: Path) -> None:
    queue = Queue()
    with Bench(make, queue).running() as bench:
        client = bench.begin("/containers/create?name=n", b'{"Image": "x"}')
        assert queue.waiting.wait(120)
        assert not queue.left.is_set()
        client.close()
        assert queue.left.wait(120)
        queue.free.set()
        # The gateway goes on serving; nothing was made.
        assert bench.post("/containers/n/rename?name=m")[0] == 201
        assert not any("create" in line for line in bench.asked)


def test_who_sends_more_or_nothing_more_still_waits(ds01_root: Path) -> None:
    queue = Queue()
    with Bench(make, queue).running() as bench:
        client = bench.begin("/containers/create?name=n", b'{"Image": "x"}')
        client.sendall(b"GET /info HTTP/1.1\r\n")
        client.shutdown(socket.SHUT_WR)
        assert queue.waiting.wait(120)
        assert not queue.left.wait(0.3)
        queue.free.set()
        with contextlib.closing(client):
            assert b"201" in read_all(client).partition(b"\r\n")[0]


def test_no_container_gets_a_name_that_says_anothers(ds01_root: Path) -> None:
    with Bench(make).running() as bench:
        for name in ("job._.1001", "%2Fjob._.1001", "job._.1000-moving"):
            for target in ("create", "abc/rename"):
                status, body = bench.post(
                    f"/v1.41/containers/{target}?name={name}", b'{"Image": "x"}'
                )
                assert status == 403, target
                assert "container name 'job._." in json.loads(body)["message"]
        assert all(line.startswith("GET") for line in bench.asked)
        assert bench.post("/containers/abc/rename?name=job._.1000")[0] == 201
        form = "Content-Type: application/x-www-form-urlencoded\r\n"
        target = "/containers/abc/rename?name=job"
        assert bench.post(target, b"name=job._.1001", form)[0] == 400


# Builds ------------------------------------------------------------------------------


def build(query: dict[str, str], limits: SomeLimits = LIMITS) -> dict[str, str]:
    return build_query(query, CALLER, limits, HOST, Site("ds01"))[0]


def test_classic_builds_get_the_callers_limits() -> None:
    found = build({"t": "x", "memory": "0", "cpushares": "99999"})
    assert found["t"] == "x"
    assert found["memory"] == found["memswap"] == str(32 << 30)
    assert found["cpuquota"] == "400000"
    assert found["cpuperiod"] == "100000"
    assert found["cgroupparent"] == "/ds01/u1000"
    assert "cpushares" not in found
    assert build({"memory": str(1 << 30)})["memory"] == str(1 << 30)


def test_buildkit_takes_the_network_only() -> None:
    found = build({"version": "2", "session": "s", "networkmode": "host"})
    assert found["networkmode"] == "host"
    assert "memory" not in found
    bridge = SomeLimits(network="bridge")
    assert (
        build({"version": "2", "networkmode": "host"}, bridge)["networkmode"] != "host"
    )


def test_builds_have_no_security_options() -> None:
    with pytest.raises(RefusalError):
        build({"securityopt": '["seccomp=unconfined"]'})


def test_an_image_of_others_cannot_be_deleted_by_its_id() -> None:
    tags = {"0a1b": ["ds01/bob/x:latest"], "ds01/alice/y": ["ds01/alice/y:latest"]}

    def answers(method: str, target: str) -> tuple[int, Any]:
        name = target.removeprefix("/images/").removesuffix("/json")
        return (200, {"RepoTags": tags[name]}) if method == "GET" else (200, [])

    with Bench(answers).running() as bench:
        status, answer = bench.send("DELETE", "/images/0a1b")
        assert status == 403
        assert "'ds01/bob/x:latest' is another user's" in answer
        assert "image-list" in answer
        status, _ = bench.send("DELETE", "/images/ds01/alice/y")
        assert status == 200
        wanted = "/v1.41/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D"
        status, answer = bench.send("POST", wanted)
        assert (status, "image-delete" in answer) == (403, True)
    assert "DELETE /images/0a1b" not in bench.asked
    assert bench.asked[-1] == "DELETE /images/ds01/alice/y"
