"""templates/jupyter_server_config.py: the real Jupyter never listens unguarded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ds01.core.paths import PROJECT_ROOT

GUARD = PROJECT_ROOT / "templates/jupyter_server_config.py"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\S*?(?:\?token=(\w+))?\s")


@contextmanager
def jupyter(folder: Path, *words: str, system: str = "") -> Iterator[tuple[str, str]]:
    """Run Jupyter with what the system's configuration says; give port and token."""
    config = folder / "etc"
    config.mkdir()
    if system:
        (config / GUARD.name).write_text(system)
    own = {name: value for name, value in os.environ.items() if "JUPYTER" not in name}
    own |= {"HOME": str(folder), "JUPYTER_CONFIG_PATH": str(config)}
    own |= {"JUPYTER_CONFIG_DIR": str(folder / "own"), "JUPYTER_NO_CONFIG": ""}
    log = folder / "log"
    command = [sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--ip=0.0.0.0", "--port=0", *words],
            env=own,
            cwd=folder,
            stdout=out,
            stderr=out,
        )
    try:
        found = None
        until = time.monotonic() + 120
        while found is None and time.monotonic() < until and process.poll() is None:
            time.sleep(0.1)
            found = ADDRESS.search(log.read_text())
        assert found, log.read_text()
        yield found[1], found[2] or ""
    finally:
        process.terminate()
        process.wait(120)


def status(port: str, token: str = "") -> int:
    url = f"http://127.0.0.1:{port}/api/contents?token={token}"
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:
            # It tells the address a moment before it listens.
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_without_the_guard_it_can_be_open_to_everybody(tmp_path: Path) -> None:
    with jupyter(tmp_path, "--IdentityProvider.token=") as (port, token):
        assert (token, status(port)) == ("", 200)


def test_a_token_that_is_switched_off_is_made(tmp_path: Path) -> None:
    guard = GUARD.read_text()
    words = ("--IdentityProvider.token=", "--ServerApp.password=")
    with jupyter(tmp_path, *words, system=guard) as (port, token):
        assert len(token) == 48
        assert (status(port), status(port, token)) == (403, 200)
    assert "no password and no token" in (tmp_path / "log").read_text()


def test_a_base_that_switches_it_off_is_overruled(tmp_path: Path) -> None:
    open_base = "c.IdentityProvider.token = ''\nc.ServerApp.token = ''\n"
    system = open_base + GUARD.read_text()
    with jupyter(tmp_path, system=system) as (port, token):
        assert (status(port), status(port, token)) == (403, 200)


def test_what_the_user_chose_stays(tmp_path: Path) -> None:
    guard = GUARD.read_text()
    words = ("--IdentityProvider.token=mine",)
    with jupyter(tmp_path, *words, system=guard) as (port, _):
        assert (status(port), status(port, "mine")) == (403, 200)


def test_an_older_jupyter_is_not_broken(tmp_path: Path) -> None:
    """Without jupyter_server 2 the file does nothing, and does not fail."""
    shutil.copy(GUARD, tmp_path)
    script = f"exec(open('{GUARD.name}').read())"
    words = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
