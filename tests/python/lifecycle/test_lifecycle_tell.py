"""Owners are told: on terminals, by mail, and by the site's programs."""

from __future__ import annotations

import json
import os
import struct
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ds01.core.paths import Paths
from ds01.lifecycle import tell as lifecycle_tell
from ds01.lifecycle import terminals
from ds01.lifecycle.tell import Message, mail_text, screen_text, tell, to_terminals
from ds01.lifecycle.types import Subject

# They write to all terminals of who runs them.
pytestmark = pytest.mark.passes


def owned(container: str, identity: str, name: str, uid: int, user: str) -> Subject:
    made = datetime(2026, 11, 24, tzinfo=timezone.utc)
    return Subject(container, identity, name, uid, user, "running", made)


MESSAGE = Message(
    kind="warned",
    about=owned("proj._.1000", "1" * 64, "proj", os.getuid(), "root"),
    text="container 'proj' has been idle for 38h and will be stopped in 9h 36m",
    hint="'container-keep proj' keeps it running for up to 1d",
    facts={"rule": "idle_timeout", "percent": 80},
)


def paths(folder: Path) -> Paths:
    return Paths(folder / "etc", folder / "state", folder / "log")


def hook(folder: Path, name: str, text: str) -> Path:
    file = folder / "etc/hooks.d/lifecycle" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    file.chmod(0o755)
    return file


def test_a_terminal_of_the_owner_shows_it() -> None:
    master, slave = os.openpty()
    try:
        os.set_blocking(master, False)
        assert to_terminals(MESSAGE) >= 1
        shown = os.read(master, 4096).decode()
    finally:
        os.close(master)
        os.close(slave)
    assert MESSAGE.text in shown and MESSAGE.hint in shown
    assert shown.startswith("\r\r\n") or shown.startswith("\r\n")


def test_a_terminal_that_nobody_reads_holds_nobody_up() -> None:
    master, slave = os.openpty()
    try:
        name = os.ttyname(slave)
        terminal = terminals.Terminal(Path(name), {})
        begun = time.monotonic()
        for _ in range(400):
            terminals.write(terminal, "x" * 1000)
        # Not for ever, nor for a while each time.
        assert time.monotonic() - begun < 120
    finally:
        os.close(master)
        os.close(slave)


def test_control_characters_do_not_reach_a_terminal() -> None:
    bad = Message("warned", owned("c", "1", "n", 0, "u"), "a \x1b[2J\x07b\nc", "\x9bd")
    text = screen_text(bad)
    assert "\x1b" not in text and "\x07" not in text and "\x9b" not in text
    assert text.count("\n") == 3


def test_nothing_is_written_to_what_is_no_terminal(tmp_path: Path) -> None:
    file = tmp_path / "3"
    file.touch()
    assert terminals.write(terminals.Terminal(file, {}), "x") == 0
    assert file.read_text() == ""
    link = tmp_path / "4"
    link.symlink_to("/dev/null")
    assert terminals.write(terminals.Terminal(link, {}), "x") == 0


def test_who_divides_a_terminal_and_who_shows_a_container() -> None:
    docker = terminals.Terminal(
        Path("/x"), {"docker": "docker\0exec\0-it\0proj._.0\0bash"}
    )
    assert docker.shows("proj._.0", "1" * 64) and not docker.shows("proj", "1" * 64)
    assert terminals.Terminal(Path("/x"), {"tmux: client": "tmux"}).is_divided
    assert not terminals.Terminal(Path("/x"), {"bash": "bash"}).is_divided


def test_what_is_in_front_in_a_container_is_not_in_front_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dev/pts").mkdir(parents=True)
    (tmp_path / "elsewhere/dev").mkdir(parents=True)
    (tmp_path / "elsewhere/dev/pts").symlink_to(tmp_path / "dev/pts")
    monkeypatch.setattr(terminals, "DEV", tmp_path / "dev")
    roots = {"bash": tmp_path, "tmux": Path("/"), "screen": tmp_path / "elsewhere"}
    for pid, (name, root) in enumerate(roots.items(), 10):
        folder = tmp_path / "proc" / str(pid)
        folder.mkdir(parents=True)
        (folder / "root").symlink_to(root)
        (folder / "stat").write_text(f"{pid} ({name}) S 1 {pid} {pid} 34816 {pid} 0 0")
        (folder / "cmdline").write_text(name)
    found = terminals._in_front({34816}, tmp_path / "proc")
    assert found == {34816: {"bash": "bash"}}


def test_logins_are_read_from_utmp(tmp_path: Path) -> None:
    def entry(kind: int, line: str, user: str) -> bytes:
        packed = struct.pack(
            "hi32s4s32s256s", kind, 1, line.encode(), b"1", user.encode(), b""
        )
        return packed.ljust(384, b"\0")

    file = tmp_path / "utmp"
    file.write_bytes(
        entry(7, "pts/3", "alice")
        + entry(8, "pts/4", "alice")
        + entry(7, "tty1", "bob")
        + entry(7, "../etc/x", "alice")
        + entry(7, "tty2", "alice")
        + b"torn"
    )
    assert terminals.logged_in("alice", file) == ["pts/3", "tty2"]
    assert terminals.logged_in("alice", tmp_path / "none") == []


def test_the_sites_programs_get_it_as_json(tmp_path: Path) -> None:
    hook(tmp_path, "10-first", f'cat > "{tmp_path}/first"')
    hook(tmp_path, "20-second", f'cat > "{tmp_path}/second"')
    off = hook(tmp_path, "30-off", f'touch "{tmp_path}/off"')
    off.chmod(0o644)
    tell(paths(tmp_path), [MESSAGE], mail=False)
    first = json.loads((tmp_path / "first").read_text())
    assert first == json.loads((tmp_path / "second").read_text())
    assert first["type"] == "warned" and first["container"] == "proj._.1000"
    assert first["rule"] == "idle_timeout" and first["text"] == MESSAGE.text
    assert not (tmp_path / "off").exists()


def test_a_program_that_fails_or_hangs_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle_tell, "_PATIENCE_SECONDS", 3.0)
    hook(tmp_path, "10-fails", "exit 3")
    hook(tmp_path, "20-hangs", "exec sleep 600")
    hook(tmp_path, "30-broken", "x").write_text("#!/no/such/shell\n")
    hook(tmp_path, "40-good", f'cat > "{tmp_path}/good"')
    begun = time.monotonic()
    tell(paths(tmp_path), [MESSAGE], mail=False)
    assert time.monotonic() - begun < 300
    said = capfd.readouterr().err
    assert "10-fails' failed with status 3" in said
    assert "20-hangs' took too long" in said
    assert "30-broken' cannot be run" in said
    assert (tmp_path / "good").exists()


def test_a_program_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    hook(tmp_path, "10-deaf", "exit 0")
    hook(tmp_path, "20-count", f'wc -c > "{tmp_path}/count"')
    long = replace(MESSAGE, text="x" * 1_000_000)
    begun = time.monotonic()
    tell(paths(tmp_path), [long], mail=False)
    assert time.monotonic() - begun < 300
    assert int((tmp_path / "count").read_text()) > 1_000_000


def test_a_removal_is_told_at_the_next_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(terminals, "of_user", lambda uid, user: [])
    gone = replace(MESSAGE, kind="removed", text="it is in '/archive/x.tar'")
    tell(paths(tmp_path), [MESSAGE, gone], mail=False)
    left = (tmp_path / f"state/notices/{MESSAGE.about.uid}").read_text()
    assert left.count("\n") == 1 and left.endswith("it is in '/archive/x.tar'\n")


def test_mail_only_if_the_policy_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(
        f'#!/bin/sh\necho "$@" > "{tmp_path}/words"\ncat > "{tmp_path}/mail"\n'
    )
    sendmail.chmod(0o755)
    monkeypatch.setattr(lifecycle_tell, "_SENDMAIL", (str(sendmail),))
    tell(paths(tmp_path), [MESSAGE], mail=False)
    assert not (tmp_path / "mail").exists()
    tell(paths(tmp_path), [MESSAGE], mail=True)
    assert (tmp_path / "words").read_text() == "-i -t\n"
    text = (tmp_path / "mail").read_text()
    assert text.startswith("To: root\nSubject: DS01: container 'proj'")
    assert text == mail_text(MESSAGE).decode()
    odd = Message("warned", owned("c", "1", "n", 1, "a b\nBcc: x"), "text")
    (tmp_path / "mail").unlink()
    tell(paths(tmp_path), [odd], mail=True)
    assert not (tmp_path / "mail").exists()
