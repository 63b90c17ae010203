"""mlc export and import on the real engine, between users and through pipes."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import stat
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlc_archive import Writer

from mlc_bench import Mlc, User, bench, docker, images_like, inside, inspect, unix_user

pytestmark = pytest.mark.engine

ROOT = User()


@pytest.fixture
def mlc(docker_host: str, shared_dir: Path) -> Iterator[Mlc]:
    del docker_host
    with bench(shared_dir) as tool:
        yield tool


def filled(mlc: Mlc, word: str, user: User) -> str:
    """Create a container with something of its user's and of root's in it."""
    full = mlc.create(word, user=user)
    docker("start", full)
    inside(full, user, "echo mine > ~/file && ln ~/file ~/hard && ln -s file ~/soft")
    inside(full, user, "head -c 3000000 /dev/urandom > ~/data; sha256sum ~/data")
    inside(full, user, "sudo sh -c 'echo site > /srv/site; chmod 4755 /srv/site'")
    inside(full, user, "mkdir -p ~/$(printf %0200d 7)/é && sudo touch ~/of-root")
    return full


def test_export_and_import_for_another_user(mlc: Mlc) -> None:
    with (
        unix_user("ann@corp", 3000000001, 3000000001, "ann") as ann,
        unix_user("bob", 20790, 20791, "bob") as bob,
    ):
        full = filled(mlc, "from", ann)
        docker("stop", full)
        done = mlc("export", mlc.name("from"), "out put.tar", "-s", user=ann)
        assert done.returncode == 0, done.stderr
        file = mlc.work / "out put.tar"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not list(mlc.work.glob("*.part"))
        file.chmod(0o644)
        again = mlc("export", mlc.name("from"), "out put.tar", "-s", user=ann)
        assert (again.returncode, "exists already" in again.stderr) == (1, True)

        words = ("import", "out put.tar", mlc.name("to"), "-s", "-w", str(mlc.work))
        done = mlc(*words, user=bob)
        assert done.returncode == 0, done.stderr
        theirs = f"{mlc.name('to')}._.{bob.uid}"
        labels = inspect(theirs)["Config"]["Labels"]
        assert labels["aime.mlc.USER"] == "bob"
        assert labels["aime.mlc.NAME"] == mlc.name("to")
        assert labels["aime.mlc.FRAMEWORK"] == "Debian-bookworm"
        assert images_like(mlc.name("to")) == [f"mlc-import:{theirs}"]
        docker("start", theirs)
        # The home keeps its path: environments inside it are bound to that.
        assert inside(theirs, bob, "echo ~; id -un; id -u; sudo -n id -u").split() == [
            "/home/ann@corp",
            "bob",
            "20790",
            "0",
        ]
        listing = "cd ~ && stat -c '%n %u %g %h' file hard soft data of-root"
        assert inside(theirs, bob, listing).splitlines() == [
            "file 20790 20791 2",
            "hard 20790 20791 2",
            "soft 20790 20791 1",
            "data 20790 20791 1",
            "of-root 0 0 1",
        ]
        script = "grep -c ^ann@corp: /etc/passwd; ls /etc/sudoers.d | grep mlc"
        assert inside(theirs, ROOT, script).split() == ["0", "mlc-20790"]
        assert (
            inside(theirs, ROOT, "stat -c %a /srv/site; cat /srv/site") == "4755\nsite"
        )
        assert inside(theirs, ROOT, "find / -xdev -uid 3000000001 | head -3") == ""
        assert mlc("remove", mlc.name("to"), "-s", "-f", user=bob).returncode == 0
        assert not images_like(mlc.name("to"))
        assert mlc("remove", mlc.name("from"), "-s", user=ann).returncode == 0


def test_export_and_import_through_a_pipe_under_the_same_name(mlc: Mlc) -> None:
    full = filled(mlc, "pipe", ROOT)
    before = inside(full, ROOT, "sha256sum /root/data")
    export = mlc.start("export", mlc.name("pipe"), "-", "-s")
    assert export.stdout is not None
    data = export.stdout.buffer.read()  # type: ignore[attr-defined]
    assert export.wait() == 0
    assert mlc("remove", mlc.name("pipe"), "-s", "-f").returncode == 0
    done = subprocess.run(
        mlc.words("import", "-", "-s", "-w", str(mlc.work)),
        input=data,
        capture_output=True,
        check=False,
        **mlc.options(ROOT, None),
    )
    assert done.returncode == 0, done.stderr
    docker("start", full)
    assert inside(full, ROOT, "sha256sum /root/data") == before
    assert done.stderr == b""  # progress is for a terminal


def test_import_of_a_damaged_file_leaves_nothing(mlc: Mlc) -> None:
    mlc.create("whole")
    assert mlc("export", mlc.name("whole"), "x.tar", "-s").returncode == 0
    whole = mlc.work / "x.tar"
    size = whole.stat().st_size
    damaged = mlc.work / "damaged.tar"

    def cut(file: Path) -> None:
        os.truncate(file, size - 30_000)

    def cut_at_a_member(file: Path) -> None:
        with tarfile.open(file) as tar:
            offset = tar.getmember("rootfs.tar.00003").offset
        os.truncate(file, offset)

    def alter(at: int) -> Callable[[Path], None]:
        def change(file: Path) -> None:
            with file.open("r+b") as out:
                out.seek(at)
                byte = out.read(1)
                out.seek(at)
                out.write(bytes([byte[0] ^ 1]))

        return change

    def lengthen(file: Path) -> None:
        with file.open("ab") as out:
            out.write(b"more")

    cases = (cut, cut_at_a_member, alter(600), alter(size // 3), lengthen)
    for damage in cases:
        damaged.write_bytes(whole.read_bytes())
        damage(damaged)
        done = mlc("import", "damaged.tar", mlc.name("bad"), "-s", "-w", str(mlc.work))
        assert done.returncode == 1, damage
        assert "mlc import: error: " in done.stderr
        assert not images_like(mlc.name("bad"))
        assert not docker("ps", "-aq", "--filter", f"name={mlc.name('bad')}").split()
    lines = docker("images", "-q", "--filter", "dangling=true").split()
    for image in lines:
        assert inspect(image, "image")["Comment"] != "Imported from -"


def hostile(file: Path, name: str, **changes: object) -> None:
    """Write a well-formed file with a tiny file system and metadata of one's own."""
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        for member in ("/etc/../../../tmp/mlc-escaped", "ok"):
            tar.addfile(tarfile.TarInfo(member))
    metadata = {
        "format": 1,
        "name": name,
        "framework": "F-1",
        "architecture": "CPU",
        "mounts": {"/workspace": "/etc", "/data": "/", "/models": "/var/run"},
        "labels": {"evil": "a,b", "ds01.user": "root"},
        "gpus": "all",
        "user": {"name": "x", "uid": 1, "gid": 1, "home": "/home/x"},
        "config": {"Env": ["A=1"], "Entrypoint": [], "Cmd": ["--privileged"]},
        **changes,
    }
    with file.open("wb") as out:
        writer = Writer(out)
        writer.metadata(metadata)
        writer.piece(tree.getvalue())
        writer.end()


def test_import_takes_nothing_but_data_from_a_file(mlc: Mlc) -> None:
    file = mlc.work / "evil.tar"
    hostile(file, mlc.name("evil"))
    done = mlc("import", str(file), "-s", "-w", str(mlc.work))
    # No shell in it: it cannot be prepared, and nothing stays.
    assert done.returncode == 1
    assert "cannot prepare the image" in done.stderr
    assert not images_like(mlc.prefix)
    assert not Path("/tmp/mlc-escaped").exists()
    hostile(file, "--privileged")
    assert mlc("import", str(file), "-s").returncode == 1

    # With a real file system: mounts, labels and GPUs are the importer's.
    full = mlc.create("real")
    assert mlc("export", mlc.name("real"), "real.tar", "-s").returncode == 0
    with tarfile.open(mlc.work / "real.tar") as tar, file.open("wb") as out:
        member = tar.extractfile("metadata.json")
        assert member is not None
        metadata = json.load(member)
        metadata |= {"mounts": {"/workspace": "/etc"}, "labels": {"evil": "a,b"}}
        metadata["name"] = mlc.name("forged")
        metadata["config"] |= {
            "Env": ["PATH=/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES=all", "X=$(id) 'q'"],
            "Cmd": ["rm", "-rf", "/"],
        }
        writer = Writer(out)
        writer.metadata(metadata)
        for name in tar.getnames():
            if name.startswith("rootfs.tar.") and not name.endswith("sha256"):
                piece = tar.extractfile(name)
                assert piece is not None
                writer.piece(piece.read())
        writer.end()
    done = mlc("import", str(file), "-s", "-w", str(mlc.work))
    assert done.returncode == 0, done.stderr
    forged = inspect(f"{mlc.name('forged')}._.0")
    sources = {one["Source"] for one in forged["Mounts"]}
    assert sources - {"/tmp/.X11-unix"} == {str(mlc.work)}
    assert "evil" not in forged["Config"]["Labels"]
    assert forged["Config"]["Cmd"] == ["bash", "-c", "bash"]
    env = forged["Config"]["Env"]
    assert "X=$(id) 'q'" in env
    assert not [pair for pair in env if pair.startswith("NVIDIA")]
    assert inspect(full)["Config"]["Labels"]["aime.mlc.NAME"] == mlc.name("real")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_export_and_import_leave_nothing(
    mlc: Mlc, number: signal.Signals
) -> None:
    mlc.create("whole")
    child = mlc.start("export", mlc.name("whole"), "x.tar", "-s")
    part = mlc.work / "x.tar.part"
    while not (part.exists() and part.stat().st_size > 0):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(number)
    child.communicate(timeout=180)
    assert child.returncode == 128 + number
    assert not list(mlc.work.glob("x.tar*"))

    assert mlc("export", mlc.name("whole"), "x.tar", "-s").returncode == 0
    reader, writer = os.pipe()
    with (mlc.work / "x.tar").open("rb") as file, os.fdopen(writer, "wb") as pipe:
        importing = subprocess.Popen(
            mlc.words("import", "-", mlc.name("cut"), "-s", "-w", str(mlc.work)),
            stdin=reader,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **mlc.options(ROOT, None),
        )
        os.close(reader)
        pipe.write(file.read(150 << 20))
        pipe.flush()
        importing.send_signal(number)
        importing.communicate(timeout=180)
    assert importing.returncode == 128 + number
    assert not images_like(mlc.name("cut"))


def test_export_that_was_killed_is_written_over(mlc: Mlc) -> None:
    mlc.create("k")
    (mlc.work / "k.tar.part").write_bytes(b"rest of a killed run" * 1000)
    assert mlc("export", mlc.name("k"), "k.tar", "-s").returncode == 0
    assert not (mlc.work / "k.tar.part").exists()
    with tarfile.open(mlc.work / "k.tar") as tar:
        assert tar.getnames()[-1] == "checksums.json"
    # -f replaces; a folder is no file; an unknown folder is the reason.
    assert mlc("export", mlc.name("k"), "k.tar", "-s", "-f").returncode == 0
    assert mlc("export", mlc.name("k"), ".", "-s", "-f").returncode == 1
    done = mlc("export", mlc.name("k"), "no/where.tar", "-s")
    assert "No such file or directory" in done.stderr


def test_open_has_a_terminal_with_the_prompt(mlc: Mlc) -> None:
    full = mlc.create("tty")
    controller, terminal = pty.openpty()
    options = mlc.options(ROOT, {"TERM": "dumb", "DISPLAY": ":7"})
    child = subprocess.Popen(
        mlc.words("open", mlc.name("tty"), "-s"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        **options,
    )
    os.close(terminal)

    def expect(text: bytes) -> None:
        """Read up to a text; what came before is passed over."""
        seen, end = b"", time.monotonic() + 180
        while text not in seen:
            ready = select.select([controller], [], [], max(0, end - time.monotonic()))
            assert ready[0], seen
            seen += os.read(controller, 1)

    prompt = f"[{mlc.name('tty')}] root@".encode()
    expect(prompt)
    os.write(controller, b"bash -c 'echo see-$DISPLAY; exec sleep 1000'\n")
    expect(b"see-:7")
    os.write(controller, b"\x03")  # reaches the program in the container
    expect(prompt)
    os.write(controller, b"exit 9\n")
    expect(b"exit")
    assert child.wait(timeout=180) == 9
    os.close(controller)
    assert inspect(full)["State"]["Running"] is False


def test_full_disk_leaves_nothing(
    docker_host: str,
    private_engine: Callable[..., str],
    shared_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An import that does not fit gives the engine's reason and its room back."""
    del docker_host
    with bench(shared_dir) as mlc:
        mlc.create("big")
        assert mlc("export", mlc.name("big"), "big.tar", "-s").returncode == 0
    small = private_engine("--data-size", "200m")
    monkeypatch.setenv("DOCKER_HOST", small)
    with bench(shared_dir / "small") as mlc:
        file = str(shared_dir / "mlc" / "wörk, space" / "big.tar")
        done = mlc("import", file, mlc.name("big"), "-s", "-w", str(mlc.work))
        assert done.returncode == 1
        assert "no space left on device" in done.stderr
        assert docker("images", "-aq").split() == []
        assert docker("ps", "-aq").split() == []
