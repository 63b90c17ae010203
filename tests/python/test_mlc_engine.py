"""mlc on the real engine: create, use, remove, as several kinds of users."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlc_bench import (
    BASE,
    Mlc,
    User,
    bench,
    docker,
    images_like,
    inside,
    inspect,
    made_from,
    unix_user,
)

pytestmark = pytest.mark.engine

ROOT = User()
LONG = "a.name.of.forty.characters@ad.example.org"[:40]
# name, uid, gid, group (None: a group that host and image have already)
ODD = [
    pytest.param(
        "ann.o'neil@corp.example", 3000000001, 3000000002, "big", id="huge-uid"
    ),
    pytest.param("20231", 20777, 20777, "20231", id="digits"),
    pytest.param(LONG, 20778, 20778, "domain users", id="forty-characters"),
    pytest.param("EXAMPLE\\bob$x", 20779, 100, None, id="backslash-and-used-gid"),
    pytest.param("carol", 1234, 1235, "carol", id="uid-and-gid-in-the-image"),
    pytest.param("sync", 20780, 20780, "video", id="names-of-the-image"),
]


@pytest.fixture
def mlc(docker_host: str, shared_dir: Path) -> Iterator[Mlc]:
    del docker_host
    with bench(shared_dir) as tool:
        yield tool


def derived(mlc: Mlc, word: str, *steps: str) -> str:
    """Build a base image for one test; return its name."""
    image = f"a-test/{mlc.prefix.lower()}:{mlc.prefix}-{word}"
    docker(
        "build",
        "-q",
        "--network",
        "host",
        "-t",
        image,
        "-",
        stdin="\n".join((f"FROM {BASE}", *steps)),
    )
    # Of two entries with one name the first holds.
    (mlc.folder / "ml_images.repo").write_text(f"Debian, {word}, [CPU], {image}\n")
    return image


def test_create_makes_a_container_by_the_contract(mlc: Mlc) -> None:
    full = mlc.create("c")
    found = inspect(full)
    labels = found["Config"]["Labels"]
    work = str(mlc.work).replace(",", "%2C")
    assert labels["aime.mlc"] == "root"
    expected = {
        "NAME": mlc.name("c"),
        "USER": "root",
        "ARCH": "CPU",
        "MLC_VERSION": "4",
        "WORK_MOUNT": work,
        "DATA_MOUNT": "-",
        "MODELS_MOUNT": "-",
        "FRAMEWORK": "Debian-bookworm",
        "GPUS": "none",
    }
    assert {key: labels[f"aime.mlc.{key}"] for key in expected} == expected
    assert not any("," in value or not value for value in labels.values())
    assert found["Config"]["Image"] == f"ds01/debian:{full}"
    assert found["Config"]["Cmd"] == ["bash", "-c", "bash"]
    assert found["Config"]["User"] == "0:0"
    host = found["HostConfig"]
    assert host["Privileged"] is False
    assert (host["NetworkMode"], host["IpcMode"], host["Init"]) == (
        "host",
        "host",
        True,
    )
    assert host["DeviceRequests"] in (None, [])
    assert found["State"]["Status"] == "created"
    mounts = {one["Destination"]: one["Source"] for one in found["Mounts"]}
    assert mounts["/workspace"] == str(mlc.work)
    docker("start", full)
    assert inside(full, ROOT, "pwd; git --version >&2; command -v sudo") == (
        "/workspace\n/usr/bin/sudo"
    )


@pytest.mark.parametrize(("name", "uid", "gid", "group"), ODD)
def test_create_works_for_odd_users(
    mlc: Mlc, name: str, uid: int, gid: int, group: str | None
) -> None:
    derived(
        mlc,
        "taken",
        "RUN useradd -u 1234 -U -m ubuntu && groupmod -g 1235 ubuntu"
        " && echo hello > /home/ubuntu/file",
    )
    with unix_user(name, uid, gid, group) as user:
        full = mlc.create("odd", version="taken", user=user)
        docker("start", full)
        assert inside(full, user, "id -u; id -g; cd; pwd").split() == [
            str(uid),
            str(gid),
            f"/home/{name}",
        ]
        shown = inside(full, user, "id -un")
        assert shown == ("u20780" if name == "sync" else name)
        assert "I have no name" not in inside(full, user, "id -un; id -gn; id -Gn")
        groups = inside(full, user, "id -Gn")
        assert "sudo" in groups
        assert "video" in groups
        assert inside(full, user, "sudo -n id -u") == "0"
        assert inside(full, user, "touch ~/mine && stat -c %u:%g ~/mine ~") == (
            f"{uid}:{gid}\n{uid}:{gid}"
        )
        prompt = inside(full, user, "bash -ic 'echo \"$PS1\"' 2>/dev/null")
        assert prompt == r"[${MLC_NAME}] \u@\h:\w\$"
        assert inside(full, user, "echo $MLC_NAME") == mlc.name("odd")
        # One line for the uid, and account files that their own checker takes.
        assert inside(full, ROOT, f"grep -c ':{uid}:{gid}:' /etc/passwd") == "1"
        assert inside(full, ROOT, "stat -c %a:%G /etc/shadow") == "640:shadow"
        listed = mlc("list", user=user)
        assert mlc.name("odd") in listed.stdout
        assert mlc("remove", mlc.name("odd"), "-s", "-f", user=user).returncode == 0
    assert not images_like(full)


def test_second_container_has_the_same_image(mlc: Mlc) -> None:
    first, second = mlc.create("one"), mlc.create("two")
    assert inspect(first)["Image"] == inspect(second)["Image"]
    assert mlc("remove", mlc.name("one"), "-s").returncode == 0
    assert images_like(second) == [f"ds01/debian:{second}"]
    assert not images_like(first)


def test_create_fixes_a_home_and_user_of_the_image(mlc: Mlc) -> None:
    derived(mlc, "jovyan", "ENV HOME=/home/jovyan", "RUN useradd jovyan", "USER jovyan")
    with unix_user("dora", 20781, 20781, "dora") as user:
        full = mlc.create("home", version="jovyan", user=user)
        docker("start", full)
        assert inside(full, user, "echo $HOME; sudo -n id -u").split() == [
            "/home/dora",
            "0",
        ]


def test_create_refuses_an_existing_name(mlc: Mlc) -> None:
    full = mlc.create("same")
    before = inspect(full)["Id"]
    done = mlc("create", mlc.name("same"), "Debian", "bookworm", "-s")
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert inspect(full)["Id"] == before


def test_create_that_fails_leaves_nothing(mlc: Mlc) -> None:
    image = derived(mlc, "bookworm", "ENV A=1")
    words = ("create", mlc.name("bad"), "Debian", "bookworm", "-s", "-w", str(mlc.work))
    done = mlc(*words, "-g", "driver=none,=")
    assert done.returncode == 1
    assert "mlc create: error: cannot create the container" in done.stderr
    assert made_from(image) == (set(), set())
    assert images_like(mlc.prefix) == [image]


def test_create_shows_why_the_image_cannot_be_prepared(mlc: Mlc) -> None:
    image = derived(
        mlc,
        "no-apt",
        "RUN rm -f /usr/bin/sudo && printf '#!/bin/sh\\n"
        "echo no such mirror >&2; exit 100\\n' > /usr/bin/apt-get",
    )
    done = mlc("create", mlc.name("x"), "Debian", "no-apt", "-s", "-w", str(mlc.work))
    assert done.returncode == 1
    assert "no such mirror" in done.stderr
    assert (
        "returned a non-zero code: 100" in done.stderr
        or "exit code: 100" in done.stderr
    )
    assert made_from(image) == (set(), set())


def test_create_shows_why_a_pull_fails(mlc: Mlc) -> None:
    mlc.catalog("Debian, far, [CPU], 127.0.0.1:1/none:latest")
    done = mlc("create", mlc.name("x"), "Debian", "far", "-s", "-w", str(mlc.work))
    assert done.returncode == 7
    assert "cannot fetch the image '127.0.0.1:1/none:latest'" in done.stderr
    assert "connection refused" in done.stderr


def slow_base(mlc: Mlc) -> str:
    return derived(
        mlc,
        "slow",
        "RUN rm -f /usr/bin/sudo"
        " && printf '#!/bin/sh\\nsleep 300\\n' > /usr/bin/apt-get",
    )


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + 180
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_create_interrupted_leaves_nothing(mlc: Mlc, number: signal.Signals) -> None:
    image = slow_base(mlc)
    child = mlc.start(
        "create", mlc.name("x"), "Debian", "slow", "-s", "-w", str(mlc.work)
    )
    wait_for(lambda: made_from(image)[0])
    child.send_signal(number)
    child.communicate(timeout=180)
    assert child.returncode == 128 + number
    wait_for(lambda: made_from(image) == (set(), set()))


def runs_in(session: int) -> bool:
    words = ["pgrep", "--session", str(session)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_create_killed_at_any_time_can_be_repeated(mlc: Mlc) -> None:
    for pause in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4):
        words = (
            "create",
            mlc.name("k"),
            "Debian",
            "bookworm",
            "-s",
            "-w",
            str(mlc.work),
        )
        child = mlc.start(*words)
        time.sleep(pause)
        child.kill()
        child.communicate()
        # A docker that was under way comes to its end.
        wait_for(lambda: not runs_in(child.pid))  # noqa: B023 - called at once
        again = mlc(*words)
        # Either it was made whole before the kill, or it is made now.
        assert again.returncode == 0 or "exists already" in again.stderr
        docker("start", f"{mlc.name('k')}._.0")
        assert mlc("remove", mlc.name("k"), "-s", "-f").returncode == 0
    assert not images_like(mlc.prefix)


def test_open_runs_a_shell_and_stops_an_idle_container(mlc: Mlc) -> None:
    full = mlc.create("o")
    done = mlc("open", mlc.name("o"), "-s", stdin="echo $HOME; exit 7\n")
    assert (done.returncode, done.stdout) == (7, "/root\n")
    assert inspect(full)["State"]["Running"] is False
    script = "sleep 300 > /dev/null 2>&1 &\n"
    done = mlc("open", mlc.name("o"), "-s", stdin=script)
    assert done.returncode == 0
    assert "something runs in it" in done.stderr
    assert inspect(full)["State"]["Running"] is True
    assert mlc("open", mlc.name("o"), "-s", stdin="pkill sleep\n").returncode == 0
    assert inspect(full)["State"]["Running"] is False


def test_start_stop_and_remove(mlc: Mlc) -> None:
    full = mlc.create("s")
    name = mlc.name("s")
    assert mlc("start", name, "-s").returncode == 0
    assert inspect(full)["State"]["Running"] is True
    done = mlc("start", name, 'echo "two words"; exit 3', "-s")
    assert (done.returncode, done.stdout) == (3, "two words\n")
    assert mlc("start", name, "touch /tmp/done", "-d", "-s").returncode == 0
    wait_for(lambda: inside(full, ROOT, "ls /tmp/done", check=False))
    assert mlc("stats").stdout.splitlines()[-1].startswith(name)
    refused = mlc("remove", name, "-s")
    assert refused.returncode == 1
    assert "is running" in refused.stderr
    assert mlc("stop", name, stdin="n\n").returncode == 1
    assert inspect(full)["State"]["Running"] is True
    assert mlc("stop", name, stdin="y\n").returncode == 0
    assert mlc("stop", name, "-s").returncode == 0
    assert mlc("remove", name, stdin="yes\n").returncode == 0
    assert not docker("ps", "-aq", "--filter", f"name={full}").split()


def test_only_own_containers_are_shown_and_touched(mlc: Mlc) -> None:
    full = mlc.create("mine")
    with unix_user("eve", 20782, 20782, "eve") as eve:
        theirs = mlc.create("theirs", user=eve)
        assert mlc.name("mine") not in mlc("list", user=eve).stdout
        assert mlc.name("mine") in mlc("list", "-au", user=eve).stdout
        for verb in ("stop", "remove", "open", "start", "export"):
            done = mlc(verb, mlc.name("mine"), "-s", user=eve)
            assert done.returncode == 1
            assert "you have no container" in done.stderr
        assert inspect(full)["State"]["Status"] == "created"
        # Root is a user like any other here.
        assert mlc("remove", mlc.name("theirs"), "-s").returncode == 1
        assert mlc("remove", mlc.name("theirs"), "-s", user=eve).returncode == 0
        assert not images_like(theirs)


def test_create_asks_for_what_is_missing(mlc: Mlc) -> None:
    answers = f"no good\n{mlc.name('i')}\n9\n1\nbookworm\ny\n"
    done = mlc("create", "-w", str(mlc.work), stdin=answers)
    assert done.returncode == 0, done.stderr
    assert "   1) Debian" in done.stderr
    assert "'9' is none of the choices" in done.stderr
    assert inspect(f"{mlc.name('i')}._.0")
    declined = mlc("create", mlc.name("n"), "Debian", "bookworm", stdin="\n")
    assert declined.returncode == 1
    assert (mlc.folder / "workspace").is_dir()
    picked = mlc("remove", stdin="1\ny\n")
    assert picked.returncode in {0, 1}


def test_engine_that_is_away_is_reported(mlc: Mlc, tmp_path: Path) -> None:
    away = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    for words in (("list",), ("create", mlc.name("x"), "Debian", "bookworm", "-s")):
        done = mlc(*words, env=away)
        assert done.returncode == 1
        assert "docker daemon" in done.stderr.lower()
        assert "Traceback" not in done.stderr
