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
