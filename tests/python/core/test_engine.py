"""The engine client: addresses, failures, and the real engine's answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ds01.core import engine, settings
from ds01.core.errors import Exit, HelperError


def failure(address: str) -> HelperError:
    with pytest.raises(HelperError) as caught, engine.Engine(address, 1.0) as it:
        it.get("/info")
    return caught.value


def test_address_comes_from_the_environment_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///a")
    configured = settings.Settings(engine_socket="unix:///b")
    assert settings.engine_address(configured) == "unix:///a"
    monkeypatch.delenv("DOCKER_HOST")
    assert settings.engine_address(configured) == "unix:///b"
    assert settings.engine_address(settings.Settings()) == settings.DEFAULT_SOCKET


def test_only_unix_sockets_are_taken() -> None:
    with pytest.raises(HelperError) as caught:
        engine.Engine("tcp://127.0.0.1:2375")
    assert caught.value.code == Exit.CONFIG
    assert "tcp://127.0.0.1:2375" in caught.value.message


def test_no_engine_is_a_missing_prerequisite(tmp_path: Path) -> None:
    error = failure(f"unix://{tmp_path}/none")
    assert error.code == Exit.PREREQUISITE
    assert "no Docker engine answers" in error.message
    assert error.hint


@pytest.fixture
def deaf_socket(tmp_path: Path) -> Iterator[str]:
    """A socket that takes connections and never answers."""
    path = tmp_path / "deaf"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield f"unix://{path}"


def test_an_engine_that_does_not_answer_is_told_apart(deaf_socket: str) -> None:
    assert "does not answer in time" in failure(deaf_socket).message


def test_an_engine_that_goes_away_in_the_middle_is_an_expected_failure(
    tmp_path: Path,
) -> None:
    path = tmp_path / "short"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer_half() -> None:
            link, _ = listener.accept()
            link.recv(4096)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            link.close()

        thread = threading.Thread(target=answer_half)
        thread.start()
        error = failure(f"unix://{path}")
        thread.join()
    assert error.code == Exit.PREREQUISITE


def test_an_engine_that_has_left_our_version_behind_is_asked_in_its_oldest(
    tmp_path: Path,
) -> None:
    import http.server
    import socketserver

    asked: list[str] = []

    class Modern(http.server.BaseHTTPRequestHandler):
        """Engine 29: nothing before 1.44, in the engine's own words."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            old = not self.path.startswith("/v1.44/")
            body = (
                b'{"message":"client version 1.41 is too old. Minimum supported API '
                b'version is 1.44, please upgrade your client to a newer version"}'
                if old
                else b'{"Name":"modern"}'
            )
            self.send_response(400 if old else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

        def address_string(self) -> str:
            return "here"

    path = tmp_path / "modern"
    with socketserver.ThreadingUnixStreamServer(str(path), Modern) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with engine.Engine(f"unix://{path}", 5.0) as it:
            assert it.get("/info") == {"Name": "modern"}
            assert it.get("/info") == {"Name": "modern"}
        with engine.Engine(f"unix://{path}", 5.0) as it:
            assert b"".join(it.stream("/info")) == b'{"Name":"modern"}'
        server.shutdown()
    assert asked == [
        "/v1.41/info",
        "/v1.44/info",
        "/v1.44/info",
        "/v1.41/info",
        "/v1.44/info",
    ]


def test_permission_names_the_group_to_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.touch()
    error = engine.no_engine(f"unix://{path}", PermissionError())
    assert f"'{path.group()}'" in str(error.hint)


def test_reason_reads_json_and_plain_text() -> None:
    assert engine.reason(b'{"message":"no such image"}') == "no such image"
    assert engine.reason(b"plain\n") == "plain"
    assert engine.reason(b"") == "no reason given"


@pytest.mark.engine
def test_the_real_engine_answers(docker_host: str) -> None:
    with engine.Engine(docker_host) as it:
        assert it.get("/info")["OSType"] == "linux"
        assert it.container("ds01-no-such-container") is None
        assert it.image("ds01/debian:bookworm") is not None
        # One connection serves several calls, also after an error.
        status, answer = it.call("POST", "/containers/ds01-none/start")
        assert status == 404
        assert "ds01-none" in engine.reason(answer)
        assert it.containers(["no.such.label"]) == []


def test_not_found_is_no_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(404, b'{"message": "no such place"}'), (200, b"[]")])
    with engine.Engine("unix:///nowhere") as it:
        monkeypatch.setattr(it, "call", lambda *_words, **_more: next(answers))
        with pytest.raises(HelperError) as caught:
            it.listing("/containers/json")
        assert caught.value.code == Exit.BUG
        assert it.containers(["aime.mlc"]) == []


def answer(tmp_path: Path, text: bytes, method: str = "GET") -> bytes:
    """Return the body that a client reads of an answer, sent byte by byte."""
    path = tmp_path / "socket"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            link, _ = listener.accept()
            link.recv(4096)
            for byte in text:
                link.sendall(bytes((byte,)))
            link.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return engine.Engine(f"unix://{path}", 30.0).call(method, "/x")[1]
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\n\r\nall there is", b"all there is"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", b""),
    ],
)
def test_bodies_of_every_form(tmp_path: Path, text: bytes, body: bytes) -> None:
    assert answer(tmp_path, text) == body


def test_what_is_asked_for_its_head_has_no_body(tmp_path: Path) -> None:
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    assert answer(tmp_path, text, "HEAD") == b""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 xyz\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_none(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(HelperError) as caught:
        answer(tmp_path, text)
    assert caught.value.code == Exit.PREREQUISITE


def test_a_target_cannot_hold_a_second_request(tmp_path: Path) -> None:
    with pytest.raises(HelperError):
        engine.Engine(f"unix://{tmp_path}/x").call("GET", "/a HTTP/1.1\r\n\r\nGET /b")
