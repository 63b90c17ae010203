"""Images on the real engine: the main paths, and each way in which a build can fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import BenchUser
from ds01.images.shelf.turn import hold
from ds01.images.versions.workshop import uv_version
from image_bench import BASE, OLD_CLIENT, ROOT, Studio, studio_on, wait_for

pytestmark = pytest.mark.engine

BUILDERS = ("classic", "buildkit")


@pytest.fixture(scope="module")
def shared_studio() -> Iterator[Studio]:
    """A studio with the image `one`, which all tests of this module use."""
    address = os.environ.get("DOCKER_HOST", "")
    if not address:
        pytest.fail("DOCKER_HOST is not set: run the tests by tests/run")
    for studio in studio_on(address):
        studio.make("one", "--framework=Debian", "--no-tiers", "--pip=six", "--pip=pip")
        yield studio


@pytest.fixture
def studio(shared_studio: Studio) -> Iterator[Studio]:
    yield shared_studio
    shared_studio.builder = "classic"
    shared_studio.images_policy("max_builds: 4, min_free_disk: null")


def test_an_image_is_built_named_and_its_source_written(studio: Studio) -> None:
    found = studio.inspect("ds01/root/one:latest")
    labels = found["Config"]["Labels"]
    assert labels["ds01.image.name"] == "one"
    assert labels["ds01.image.uid"] == "0"
    assert labels["ds01.image.base"] == BASE
    assert labels["ds01.image.made-by"] == "image-create"
    assert all(value and "," not in value for value in labels.values())
    assert studio.inside("ds01/root/one", "import six; print('ok')") == "ok"
    lock = studio.lock("one")
    assert dict(pin.split("==") for pin in lock["layers"]["own"]) == lock["pip"]
    assert lock["apt"]["bash"]
    assert (studio.source("one") / "Dockerfile").read_text().startswith("# >>> DS01")
    assert "six" in (studio.source("one") / "image.yaml").read_text()
    assert "image-built" in {event["type"] for event in studio.events()}
    assert not [line for line in studio.containers() if "sleep" in line]
    listed = studio.images("list", "--json").json["images"]
    own = {it["name"]: it for it in listed if it["mine"]}
    assert own["one"]["containers"] == []
    assert own["one"]["base"] == BASE


def test_a_package_added_rebuilds_its_own_layer_only(studio: Studio) -> None:
    before = studio.layers("ds01/root/one")
    planned = studio.plan("update", "one", "--add=toml")
    assert [it["name"] for it in planned.json["lock_changes"]] == ["toml"]
    assert "+#   six, pip, toml" in planned.json["dockerfile_diff"]
    built = studio.build("one", "--made-by", "image-update")
    assert built.status == 0, built.err
    after = studio.layers("ds01/root/one")
    # The copied pins and what was installed from them.
    assert len(after) == len(before)
    assert after[:-2] == before[:-2]
    assert studio.inside("ds01/root/one", "import six, toml; print('ok')") == "ok"
    assert [it["name"] for it in built.json["lock_changes"]] == ["toml"]
    # The older image has gone with its name.
    listed = studio.docker("images", "--quiet", "--filter", "dangling=true")
    assert listed.split() == [] or "ds01" not in listed


def test_both_builders_install_the_same(studio: Studio) -> None:
    studio.builder = "buildkit"
    studio.make("kit", "--framework=Debian", "--no-tiers", "--pip=six", "--pip=pip")
    assert "--mount=type=cache" in (studio.source("kit") / "Dockerfile").read_text()
    assert studio.inside("ds01/root/kit", "import six; print('ok')") == "ok"
    pins = set(studio.lock("kit")["layers"]["own"])
    assert {pin.partition("==")[0] for pin in pins} == {"pip", "six"}
    assert pins <= set(studio.lock("one")["layers"]["own"])


def test_the_lock_gives_the_same_versions_again(studio: Studio) -> None:
    file = studio.source("one") / "image.lock"
    old = file.read_text()
    six = studio.lock("one")["pip"]["six"]
    # As if it had been built when this was the newest.
    file.write_text(old.replace(f"six=={six}", "six==1.15.0"))
    shutil.rmtree(studio.home / ".cache", ignore_errors=True)
    studio.docker("volume", "rm", "--force", f"ds01-packages-{os.getuid()}")
    studio.change("one", build=["--no-cache"])
    assert studio.lock("one")["pip"]["six"] == "1.15.0"
    planned = studio.plan("update", "one", "--upgrade")
    changes = {it["name"]: it["new"] for it in planned.json["lock_changes"]}
    assert changes == {"six": six}


def test_a_framework_of_the_base_keeps_its_version(studio: Studio) -> None:
    six = studio.lock("one")["pip"]["six"]
    words = ["--from=ds01/root/one:latest", "--no-tiers"]
    conflict = studio.plan("create", "high", *words, f"--pip=six!={six}")
    assert conflict.status == 6
    assert f"the base has six {six}, which stays" in conflict.err
    assert f"you asked for six!={six}" in conflict.err
    assert not studio.source("high").exists()
    # What needs it takes it as it is.
    planned = studio.plan("create", "onit", *words, "--pip=python-dateutil==2.8.2")
    assert planned.status == 0, planned.err
    assert planned.json["layers"][0]["pip"] == ["python-dateutil==2.8.2"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--pip=packagin"], 3, "no Python package 'packagin', did you mean 'packagi"),
        (["--pip=six==99"], 3, "package 'six' has no version '99'"),
        (
            ["--system=tere"],
            3,
            "no Debian package 'tere' for the base, did you mean 't",
        ),
        (["--pip=yarl==1.9.4", "--pip=idna<2"], 6, "you asked for yarl==1.9.4, idna<2"),
        (
            ["--pip=six", "--pip-option=--index-url http://127.0.0.1:9/simple"],
            7,
            "the index of Python packages at '127.0.0.1:9' cannot be reached",
        ),
    ],
)
def test_what_cannot_be_is_told_before_a_build(
    studio: Studio, words: list[str], status: int, told: str
) -> None:
    done = studio.plan("create", "bad", "--framework=Debian", "--no-tiers", *words)
    assert done.status == status, done.err
    assert told in done.err
    assert not studio.source("bad").exists()


def test_tiers_are_built_once_for_all_users(
    studio: Studio, users: dict[str, BenchUser]
) -> None:
    words = ["--framework=Debian", "--tier=small", "--type=more"]
    studio.make("mine", *words, "--pip=idna")
    alice = users["alice"]
    # As in an installation: the folders belong to the engine's group.
    for path in [studio.root / "var", *(studio.root / "var").rglob("*")]:
        shutil.chown(path, group="ds01t-docker")
    other = Studio(
        studio.folder, studio.address, user=["runuser", "-u", alice.name, "--"]
    )
    other.home = Path(alice.home)
    (other.home / "report").touch()
    shutil.chown(other.home / "report", alice.uid, alice.gid)
    first = studio.layers("ds01/root/mine")
    built = other.make("theirs", *words, "--pip=six")
    reference = built.json["reference"]
    own = set(other.layers(reference)) - set(first)
    # Only the pins of the own layer, and what was installed from them.
    assert len(own) == 2
    assert studio.images("resolve", reference).json["found"] is False
    shared = other.change("theirs", "--shared")
    assert shared.json["reference"] == reference
    seen = studio.images("resolve", reference).json
    assert seen["found"] and not seen["mine"]
    refused = other.images("delete", "root/mine")
    assert refused.status == 3
    taken = other.governed(OLD_CLIENT, "tag", reference, "ds01/root/mine:latest")
    assert "is another user's" in taken.err
    gone = other.images("delete", "--with-source", "theirs")
    assert gone.status == 0, gone.err
    assert not other.source("theirs").exists()


def test_where_uv_does_not_run_pip_does(studio: Studio) -> None:
    """The image `one` has pip; uv is put out of order in the caller's volume."""
    volume = f"ds01-packages-{os.getuid()}"
    path = f"/c/bin-{uv_version()}"
    script = f"mkdir -p {path}; echo 'exit 127' > {path}/uv; chmod 755 {path}/uv"
    studio.docker("run", "--rm", "--volume", f"{volume}:/c", BASE, "sh", "-c", script)
    shutil.rmtree(studio.home / ".cache", ignore_errors=True)
    words = ["--from=ds01/root/one:latest", "--no-tiers"]
    try:
        planned = studio.plan("create", "bypip", *words, "--pip=yarl==1.9.4")
        assert planned.status == 0, planned.err
        pins = planned.json["layers"][0]["pip"]
        assert "yarl==1.9.4" in pins
        assert any(pin.startswith("idna==") for pin in pins)
        assert "/usr/bin/python3 -m pip install" in planned.json["dockerfile"]
        clash = ["--pip=yarl==1.9.4", "--pip=multidict<2"]
        conflict = studio.plan("create", "bypip", *words, *clash)
        assert conflict.status == 6
        assert "yarl 1.9.4 depends on multidict>=4.0" in conflict.err
    finally:
        studio.docker("volume", "rm", "--force", volume)
        shutil.rmtree(studio.home / ".cache", ignore_errors=True)


def test_another_mlc_makes_a_container_of_it(studio: Studio) -> None:
    """A catalog entry is all that an mlc needs which only takes its own images."""
    overlay = studio.home / "overlay"
    studio.env["DS01_MLC_HOME"] = str(ROOT / "tests/fixtures/other-mlc")
    try:
        name = f"i{os.getpid()}"
        words = [*studio.helper("container_create"), "plan", name, "--image", "one"]
        words += ["--overlay", str(overlay), "--owner-pid", str(os.getpid())]
        chosen = studio.governed(*words).json
        assert chosen["framework"] == "Custom"
        version = chosen["version"]
        words = ["python3", str(overlay / "mlc.py"), "create", name, "Custom", version]
        words += ["-s", "-arch", chosen["arch"], "-w", str(studio.home)]
        made = studio.governed(*words)
        found = json.loads(studio.docker("inspect", f"{name}._.{os.getuid()}"))[0]
        assert found["Config"]["Labels"]["ds01.image.name"] == "one", made.err
        assert found["Config"]["Labels"]["ds01.managed"] == "1"
        used = studio.images("list", "--json").json["images"]
        assert next(it for it in used if it["name"] == "one")["containers"] == [name]
    finally:
        studio.env.clear()
        engine_name = f"{name}._.{os.getuid()}"
        studio.docker("rm", "--force", engine_name, check=False)
        studio.docker("rmi", f"ds01/root/one:{engine_name}", check=False)


# Failures in the build --------------------------------------------------------------


def dockerfile(studio: Studio, name: str, *lines: str) -> str:
    """Write a Dockerfile of the user's own; return the option that names it."""
    path = studio.home / f"Dockerfile.{name}"
    path.write_text("\n".join([f"FROM {BASE}", *lines]) + "\n")
    return f"--dockerfile={path}"


def build_is_over(studio: Studio, mark: str) -> bool:
    """Does nothing of a build run any more, in the engine or on the host?"""
    seen = subprocess.run(["pgrep", "-f", mark], stdout=subprocess.PIPE, check=False)
    return not seen.stdout.strip() and not any(mark in it for it in studio.containers())


@pytest.mark.parametrize("builder", BUILDERS)
def test_ctrl_c_ends_the_build_in_the_engine_too(studio: Studio, builder: str) -> None:
    studio.builder = builder
    mark = f"sleep 30{BUILDERS.index(builder)}.5"
    option = dockerfile(studio, "slow", f"RUN {mark}")
    assert studio.plan("create", "slow", option).status == 0
    process = studio.start(*studio.build_words("slow"))
    wait_for(
        lambda: subprocess.run(["pgrep", "-fx", mark], check=False).returncode == 0
    )
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=180)
    assert process.returncode == 130
    wait_for(lambda: build_is_over(studio, mark))
    assert studio.docker("images", "--quiet", "ds01/root/slow") == ""
    # What was typed is not lost with the first build.
    assert mark in (studio.source("slow") / "Dockerfile").read_text()
    assert not (studio.source("slow") / "image.lock").exists()
    assert studio.images("delete", "--with-source", "slow").status == 0
    assert studio.events()[-1]["type"] == "image-failed"
    assert studio.events()[-1]["reason"] == "interrupted"


@pytest.mark.parametrize("victim", ["image_build.py", "docker_gateway.py"])
def test_kill_leaves_nothing_that_has_a_name(studio: Studio, victim: str) -> None:
    mark = f"sleep 40{len(victim)}.5"
    name = f"killed-{len(victim)}"
    option = dockerfile(studio, name, f"RUN {mark}")
    assert studio.plan("create", name, option).status == 0
    process = studio.start(*studio.build_words(name))
    wait_for(
        lambda: subprocess.run(["pgrep", "-fx", mark], check=False).returncode == 0
    )
    listing = subprocess.run(
        ["pgrep", "-s", str(process.pid), "-f", victim],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    # The gateway's words hold the helper's, too.
    ids = sorted(map(int, listing.stdout.split()))
    os.kill(ids[0] if victim.startswith("docker") else ids[-1], signal.SIGKILL)
    process.communicate(timeout=180)
    wait_for(lambda: build_is_over(studio, mark))
    assert studio.docker("images", "--quiet", f"ds01/root/{name}") == ""
    # No lock is in the way of the next one.
    option = dockerfile(studio, name, "RUN true")
    again = studio.plan("create", name, option)
    assert again.status == 0, again.err
    assert studio.build(name).status == 0


def test_the_next_build_removes_what_a_killed_one_left(studio: Studio) -> None:
    left = studio.home / "left"
    left.mkdir()
    (left / "Dockerfile").write_text(f"FROM {BASE}\nRUN touch /left\n")
    words = ["--label", "ds01.image.uid=0", "--label", "ds01.image.name=left"]
    words += ["--label", "ds01.build.by=99999999.1.gone"]
    studio.docker("build", "--quiet", *words, str(left))
    dangling = ["images", "--quiet", "--filter", "dangling=true"]
    dangling += ["--filter", "label=ds01.image.name=left"]
    assert studio.docker(*dangling)
    option = dockerfile(studio, "next", "RUN true")
    assert studio.plan("create", "next", option).status == 0
    assert studio.build("next").status == 0
    assert studio.docker(*dangling) == ""


def test_the_network_gone_in_the_middle(studio: Studio, tmp_path: Path) -> None:
    index = tmp_path / "index"
    (index / "ds01-tiny").mkdir(parents=True)
    wheel = "ds01_tiny-1.0-py3-none-any.whl"
    write_wheel(index / "ds01-tiny" / wheel, "ds01-tiny", "1.0")
    (index / "ds01-tiny/index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    handler = partial(SimpleHTTPRequestHandler, directory=str(index))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    before = studio.inspect("ds01/root/one")["Id"]
    text = (studio.source("one") / "image.yaml").read_text()
    spec = studio.source("one") / "image.yaml"
    spec.write_text(text + f"pip_options: [--extra-index-url {url}]\n")
    try:
        planned = studio.plan("update", "one", "--add=ds01-tiny")
        assert planned.status == 0, planned.err
        server.shutdown()
        server.server_close()
        built = studio.build("one")
        assert built.status == 7, built.err
        assert "the network could not be reached during the build" in built.err
        log = built.err.split("all that was said is in '")[1].split("'")[0]
        assert "ds01" in Path(log).read_text()
        # The image and its source are as they were.
        assert studio.inspect("ds01/root/one")["Id"] == before
        assert "tiny" not in spec.read_text()
        assert not [line for line in studio.containers() if "uv pip" in line]
    finally:
        spec.write_text(text)


def write_wheel(path: Path, name: str, version: str) -> None:
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", text)
        wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{name.replace('-', '_')}.py", f"VERSION = '{version}'\n")
        archive.writestr(f"{info}/RECORD", "")


def test_a_local_wheel_goes_into_the_image(studio: Studio, tmp_path: Path) -> None:
    write_wheel(tmp_path / "own_thing-2.0-py3-none-any.whl", "own-thing", "2.0")
    for builder in BUILDERS:
        studio.builder = builder
        words = ["--framework=Debian", "--no-tiers"]
        words += ["--pip=./own_thing-2.0-py3-none-any.whl"]
        name = f"wheel-{builder}"
        planned = studio.plan("create", name, *words, cwd=tmp_path)
        assert planned.status == 0, planned.err
        built = studio.build(name)
        assert built.status == 0, built.err
        code = "import own_thing; print(own_thing.VERSION)"
        assert studio.inside(f"ds01/root/{name}", code) == "2.0"
        assert (studio.source(name) / "own_thing-2.0-py3-none-any.whl").exists()


def test_versions_of_debian_that_are_gone(studio: Studio) -> None:
    planned = studio.plan("create", "deb", "--framework=Debian", "--tier=shell")
    assert planned.status == 0, planned.err
    pin = planned.json["layers"][0]["apt"][0]
    assert pin.startswith("tree=")
    # As if it had been planned long ago.
    for file in ("plan.json", "context/Dockerfile"):
        path = studio.stage("deb") / file
        path.write_text(path.read_text().replace(pin, "tree=0.1-1"))
    done = studio.build("deb")
    assert done.status == 0, done.err
    assert "'tree' 0.1-1 is gone, a newer one is taken" in done.err
    assert studio.lock("deb")["apt"]["tree"] == pin.partition("=")[2]
    assert "tree=0.1-1" not in (studio.source("deb") / "Dockerfile").read_text()
    assert studio.plan("update", "deb").json["source_state"] == "clean"


def test_so_many_builds_at_once_as_the_policy_says(studio: Studio) -> None:
    studio.images_policy("max_builds: 1, min_free_disk: null")
    slow = studio.home / "plain"
    slow.mkdir()
    mark = "sleep 303.25"
    (slow / "Dockerfile").write_text(f"FROM {BASE}\nRUN {mark} || true\n")
    words = [OLD_CLIENT, "build", "--no-cache", "--quiet", str(slow)]
    first = studio.start(*words)
    wait_for(
        lambda: subprocess.run(["pgrep", "-fx", mark], check=False).returncode == 0
    )
    second = studio.start(*words)
    third = studio.start(*words)
    assert second.stderr is not None
    assert third.stderr is not None
    for each in (second, third):
        assert each.stderr is not None
        assert "1 build runs on this server" in each.stderr.readline()
    # Who leaves waits no more, and is in nobody's way.
    os.killpg(third.pid, signal.SIGINT)
    third.communicate(timeout=180)
    assert third.returncode != 0
    assert first.poll() is None
    end = ["pkill", "-fx", mark]
    subprocess.run(end, check=True)
    assert first.wait(180) == 0
    wait_for(lambda: subprocess.run(end, check=False).returncode == 0)
    _, err = second.communicate(timeout=180)
    assert second.returncode == 0, err
    first.communicate()


def test_a_build_that_takes_too_long_is_ended(studio: Studio) -> None:
    studio.images_policy("build_timeout: 1s, min_free_disk: null")
    option = dockerfile(studio, "long", "RUN sleep 77.5")
    for builder in BUILDERS:
        studio.builder = builder
        assert studio.plan("create", "long", option).status == 0
        done = studio.build("long")
        assert done.status == 4, done.err
        assert "took longer than 1s" in done.err
        wait_for(lambda: build_is_over(studio, "sleep 77.5"))


def test_no_build_begins_where_the_disk_is_too_full(studio: Studio) -> None:
    studio.images_policy("min_free_disk: 900t")
    option = dockerfile(studio, "full", "RUN true")
    assert studio.plan("create", "full", option).status == 0
    done = studio.build("full")
    assert done.status == 7, done.err
    assert "900t must remain" in done.err
    assert studio.docker("images", "--quiet", "ds01/root/full") == ""


def test_the_disk_fills_up(studio: Studio, private_engine: Callable[..., str]) -> None:
    address = private_engine("--data-size", "700m")
    other = Studio(studio.folder, address)
    save = subprocess.Popen(
        [OLD_CLIENT, "-H", studio.address, "save", BASE], stdout=subprocess.PIPE
    )
    load = [OLD_CLIENT, "-H", address, "load", "--quiet"]
    subprocess.run(load, stdin=save.stdout, check=True, stdout=subprocess.PIPE)
    save.communicate()
    fill = "for i in $(seq 40); do head -c 20m /dev/zero; sleep 0.1; done > /big"
    option = dockerfile(studio, "fill", f"RUN {fill}")
    for words, told in (
        ("min_free_disk: null", "disk of the engine is full"),
        ("min_free_disk: 250m", "250m must remain"),
    ):
        other.images_policy(words)
        assert other.plan("create", "fill", option).status == 0
        done = other.build("fill")
        assert done.status == 7, done.err
        assert told in done.err
        wait_for(lambda: not other.containers())
        assert other.docker("images", "--quiet", "ds01/root/fill") == ""


def test_files_of_the_source_and_an_edit_by_hand(studio: Studio) -> None:
    words = ["--framework=Debian", "--no-tiers", "--pip=six"]
    assert studio.plan("create", "hand", *words).status == 0
    assert studio.build("hand", "--no-build").status == 0
    file = studio.source("hand") / "Dockerfile"
    (studio.source("hand") / "mine").mkdir()
    (studio.source("hand") / "mine/data").write_text("42")
    (studio.source("hand") / "big").write_bytes(b"x" * 1000)
    file.write_text(file.read_text() + "COPY mine /opt/mine\n")
    planned = studio.plan("update", "hand", "--add=toml")
    assert planned.json["source_state"] == "clean"
    assert not (studio.stage("hand") / "context/big").exists()
    assert planned.json["dockerfile"].endswith("COPY mine /opt/mine\n")
    file.write_text(file.read_text().replace("USER root\n", "USER root\nRUN true\n", 1))
    edited = studio.plan("update", "hand")
    assert edited.status == 6
    assert edited.json["source_state"] == "edited"
    assert "+RUN true" in edited.json["dockerfile_diff"]
    adopted = studio.change("hand", "--adopt", "--add=idna")
    text = file.read_text()
    assert text.count("DS01 renders") == 0
    assert "RUN true" in text
    assert "added" in text
    assert "COPY mine /opt/mine\n# >>> DS01 added" in text
    code = "import six, idna; print(open('/opt/mine/data').read())"
    assert studio.inside("ds01/root/hand", code) == "42"
    assert "idna" in [it["name"] for it in adopted.json["lock_changes"]]
    # A tier that has gone from packages.yaml is in no option: the file is named.
    spec = studio.source("hand") / "image.yaml"
    kept = spec.read_text()
    spec.write_text(kept + "tiers: [gone]\n")
    refused = studio.plan("update", "hand", "--add=toml")
    assert (refused.status, f"stands in '{spec}'" in refused.err) == (3, True)
    spec.write_text(kept)
    # Its base is what it says, and nothing else.
    assert studio.plan("update", "hand", "--base=bookworm").status == 6
    studio.docker("tag", BASE, "ds01/debian:other")
    file.write_text(text.replace(f"FROM {BASE}", "FROM ds01/debian:other"))
    other = studio.plan("update", "hand").json
    assert other["base"]["image"] == "ds01/debian:other"
    assert "image: 'ds01/debian:other'" in other["spec"]
    studio.docker("rmi", "ds01/debian:other")
    # Moved away, one is rendered: what was added later is in it.
    file.rename(file.with_name("Dockerfile.mine"))
    other = studio.plan("update", "hand").json
    assert "#   six, idna\n" in other["dockerfile"]
    assert "added" not in other["spec"]


def test_images_are_deleted_with_care(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = dockerfile(studio, "gone", "RUN true")
    assert studio.plan("create", "gone", option).status == 0
    assert studio.build("gone").status == 0
    name = f"i{os.getpid()}"
    studio.docker("create", "--name", name, "ds01/root/gone", "true")
    try:
        refused = studio.images("delete", "gone")
        assert refused.status == 4
        assert f"is used by {name}" in refused.err
        # Not while it is built, which would bring it back.
        monkeypatch.setenv("HOME", str(studio.home))
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        with hold("gone"):
            refused = studio.images("delete", "--force", "gone")
        assert (refused.status, "being built" in refused.err) == (4, True)
        dry = studio.images("delete", "--dry-run", "--force", "gone").json
        assert dry["containers"] == [name]
        assert studio.docker("images", "--quiet", "ds01/root/gone")
        assert studio.images("delete", "--force", "gone").status == 0
    finally:
        studio.docker("rm", name)
    assert studio.docker("images", "--quiet", "ds01/root/gone") == ""
    assert (studio.source("gone") / "image.yaml").exists()
    assert studio.images("delete", "gone").status == 3
    shown = studio.images("show", "--json", "gone").json
    assert shown["reference"] is None
    assert json.dumps(shown["spec"])
