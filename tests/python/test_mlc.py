"""mlc without an engine: catalog, names, docker's words, what a file may say."""

from __future__ import annotations

import csv
import ctypes
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlc
import mlc_account
import mlc_catalog as catalog
import mlc_host
import mlc_names
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlc_base import MlcError, Person, check_account_word, home_of
from mlc_create import gpus_for, pick
from mlc_docker import engine_reason
from mlc_import import read_metadata, settle
from mlc_make import Host, Order, create_words, mount_word
from mlc_use import busy, processes

HOME = Path(__file__).resolve().parents[2] / "aime-ml-containers"
LAUNCHERS = sorted(path.name for path in HOME.glob("mlc-*"))
ANN = Person("ann@corp", 3000000001, 100, "users", "/home/ann@corp")
BARE = Host(memlock=False, devices=(), x11=False)


def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )


def order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "name": "my-project",
        "person": ANN,
        "image": "ds01/debian:bookworm",
        "framework": "Debian-bookworm",
        "architecture": "CPU",
        "gpus": None,
        "mounts": (("/home/ann/a,b:c d", "/workspace"),),
    }
    return Order(**{**fields, **changes})


def values(words: list[str], flag: str) -> list[str]:
    return [words[i + 1] for i, word in enumerate(words[:-1]) if word == flag]


# The command line


def test_mlc_bare_points_to_help_and_help_lists_all_commands() -> None:
    bare = run(HOME / "mlc")
    assert (bare.returncode, "mlc -h" in bare.stdout) == (0, True)
    text = run(HOME / "mlc", "-h").stdout
    assert len(LAUNCHERS) == 10
    for launcher in LAUNCHERS:
        assert launcher.removeprefix("mlc-") in text
    assert run(HOME / "mlc", "-v").stdout == "mlc 2.1.2-ds01.1\n"


def test_mlc_unknown_command_lists_the_valid_ones() -> None:
    done = run(HOME / "mlc", "creat")
    assert done.returncode == 1
    assert "mlc: error: no command 'creat'" in done.stderr
    assert "update-sys" in done.stderr


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers_pass_words_on_unbroken(launcher: str, tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    link = folder / launcher
    link.symlink_to(HOME / launcher)
    second = tmp_path / "link"
    second.symlink_to(link)
    done = run(second, "1", "2", "3", "two  words", "*")
    assert done.returncode == 2
    verb = launcher.removeprefix("mlc-")
    assert f"mlc {verb}: error: unrecognized arguments:" in done.stderr
    assert done.stderr.endswith("two  words *\n")
    assert run(second, "-h").returncode == 0


def test_script_mode_asks_nothing() -> None:
    for words in (
        ("create", "-s"),
        ("create", "x", "-s"),
        ("create", "x", "Pytorch", "-s"),
        ("create", "x", "Pytorch", "0.0", "-s"),
        ("create", "x", "Pytroch", "2.8.0", "-s"),
        ("create", "a b", "Pytorch", "2.8.0", "-s"),
        ("open", "-s"),
        ("stop", "-s"),
        ("remove", "-s"),
        ("start", "-s"),
        ("export", "-s"),
        ("import", "-s"),
    ):
        done = run(
            HOME / "mlc", *words, env={"PATH": "/usr/bin:/bin", "MLC_ARCH": "CUDA_ADA"}
        )
        assert done.returncode == 1, words
        assert ": error: " in done.stderr
        assert "Traceback" not in done.stderr


def test_every_command_has_a_function_and_a_launcher() -> None:
    assert sorted(f"mlc-{verb}" for verb in mlc._COMMANDS) == LAUNCHERS
    assert all(callable(mlc.find(verb)) for verb in mlc._COMMANDS)


def test_create_info_lists_frameworks_and_versions() -> None:
    done = run(HOME / "mlc-create", "--info", "-arch", "CUDA_ADA")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[1].startswith("  Pytorch: 2.8.0-aime, 2.8.0, 2.7.1-aime, ")
    assert lines[2] == "  Tensorflow: 2.16.1, 2.15.0, 2.14.0, 2.13.1-aime"


def test_catalog_is_read_beside_the_link(tmp_path: Path) -> None:
    (tmp_path / "mlc.py").symlink_to(HOME / "mlc.py")
    (tmp_path / "ml_images.repo").write_text("Mine, 1, [CPU], a/b:c\n")
    done = run("python3", tmp_path / "mlc.py", "create", "-i", "-arch", "CPU")
    assert done.stdout.splitlines()[1:] == ["  Mine: 1"]
    (tmp_path / "ml_images.repo").unlink()
    done = run("python3", "mlc.py", "create", "-i", cwd=tmp_path)
    assert done.returncode == 1
    assert f"cannot read the catalog '{tmp_path}/ml_images.repo'" in done.stderr


def test_without_docker_the_reason_is_given() -> None:
    done = run("/usr/bin/python3", HOME / "mlc.py", "list", env={"PATH": "/nowhere"})
    assert done.returncode == 1
    assert "the program 'docker' is not on the PATH" in done.stderr


def test_update_sys_says_when_there_is_no_checkout(tmp_path: Path) -> None:
    bare = tmp_path / "aime"
    bare.mkdir()
    for file in HOME.glob("mlc*.py"):
        (bare / file.name).write_bytes(file.read_bytes())
    done = run("python3", bare / "mlc.py", "update-sys")
    assert done.returncode == 1
    assert "is no git checkout" in done.stderr


def test_update_sys_pulls_and_gives_up_local_changes_when_told(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "a clone"
    origin.mkdir()
    for file in HOME.glob("mlc*.py"):
        (origin / file.name).write_bytes(file.read_bytes())

    def git(where: Path, *words: str | Path) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        done = run("git", *who, "-C", where, *words)
        assert done.returncode == 0, done.stderr

    def change(text: str) -> None:
        (origin / "news").write_text(text)
        git(origin, "add", ".")
        git(origin, "commit", "-qm", text)

    git(origin, "init", "-q")
    change("one")
    git(tmp_path, "clone", "-q", origin, clone)
    update = ("python3", clone / "mlc.py", "update-sys")
    assert run(*update).stdout == "mlc is up to date\n"
    change("two")
    assert "mlc is updated" in run(*update).stdout
    assert (clone / "news").read_text() == "two"
    (clone / "news").write_text("local")
    change("three")
    done = run(*update)
    assert (done.returncode, "local changes: news" in done.stderr) == (1, True)
    declined = subprocess.run([*update, "-f"], input="n\n", text=True, check=False)
    assert declined.returncode == 1
    assert (clone / "news").read_text() == "local"
    agreed = subprocess.run([*update, "-f"], input="y\n", text=True, check=False)
    assert agreed.returncode == 0
    assert (clone / "news").read_text() == "three"


# The catalog and the architecture


def test_embedded_catalog_is_well_formed() -> None:
    entries = catalog.load(HOME)
    assert len(entries) == 25
    known = {"CUDA_BLACKWELL", "CUDA_ADA", "CUDA_AMPERE", "ROCM6", "ROCM5"}
    assert {arch for entry in entries for arch in entry.architectures} == known
    assert all(entry.image.startswith("aimehub/") for entry in entries)
    ampere = catalog.usable(entries, "CUDA_AMPERE")
    assert catalog.versions(ampere, "Tensorflow") == ["2.14.0", "2.13.1-aime"]
    assert catalog.usable(entries, "CPU") == []


@pytest.mark.parametrize(
    "line",
    [
        "Pytorch, 1, CUDA, image",
        "Pytorch, 1, [CUDA]",
        "Pytorch, 1, [CUDA], a b",
        "Pytorch, 1, [CUDA], $(x)",
        "Pytorch, 1, [CUDA], --privileged",
        ", 1, [CUDA], image",
        "Pytorch, 1, [CUDA], image, more",
    ],
)
def test_catalog_names_the_line_without_form(line: str) -> None:
    with pytest.raises(MlcError, match="repo:2: "):
        catalog.parse(f"# comment\n{line}\n", "repo")


def test_entries_for_cpu_run_everywhere_and_for_cuda_on_all_cuda() -> None:
    entries = catalog.parse("A,1,[CPU],i\nB,1,[CUDA],i\nC,1,[ROCM6; ROCM5],i\n", "r")
    names = {
        arch: catalog.frameworks(catalog.usable(entries, arch))
        for arch in ("CPU", "CUDA_ADA", "CUDA", "ROCM5")
    }
    assert names == {
        "CPU": ["A"],
        "CUDA_ADA": ["A", "B"],
        "CUDA": ["A", "B"],
        "ROCM5": ["A", "C"],
    }


def test_architecture_is_asked_then_environment_then_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mlc_host, "architecture", lambda: "HOST")
    monkeypatch.delenv("MLC_ARCH", raising=False)
    assert catalog.choose_architecture(None) == "HOST"
    monkeypatch.setenv("MLC_ARCH", "ENV")
    assert catalog.choose_architecture(None) == "ENV"
    assert catalog.choose_architecture("ROCM6") == "ROCM6"


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ("470.256.02", "CUDA_AMPERE"),
        ("525.60.13", "CUDA_ADA"),
        ("565.57.01", "CUDA_ADA"),
        ("570.86.15", "CUDA_BLACKWELL"),
        ("590.1", "CUDA_BLACKWELL"),
    ],
)
def test_architecture_of_a_driver(branch: str, expected: str) -> None:
    text = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {branch}  Sat Jan  1\n"
    found = mlc_host.cuda_of_driver(text)
    assert found is not None
    assert mlc_host.architecture_of_cuda(found) == expected


def test_architecture_of_the_drivers_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(version: Any) -> int:
        version._obj.value = 11080
        return 0

    library = SimpleNamespace(
        nvmlInit_v2=lambda: 0,
        nvmlShutdown=lambda: 0,
        nvmlSystemGetCudaDriverVersion=tell,
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert mlc_host.cuda_of_library() == (11, 8)
    library.nvmlInit_v2 = lambda: 9
    assert mlc_host.cuda_of_library() is None
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert mlc_host.cuda_of_library() is None


def test_architecture_of_packages() -> None:
    text = "cuda-toolkit-11-8\ncuda-toolkit-12-6-config-common\ncuda-docs\n"
    assert mlc_host.cuda_of_packages(text) == (12, 6)
    assert mlc_host.cuda_of_packages("bash\n") is None


def test_memlock_is_asked_for_only_where_it_can_be_had() -> None:
    full, cut, none = "000001ffffffffff", "000001fffeffffff", "0000000000000000"
    first = "         0          0 4294967295"

    def may(own: str, most: str, uid_map: str = first) -> bool:
        return mlc_host.may_raise_limits(f"CapEff:\t{own}\nCapBnd:\t{most}\n", uid_map)

    assert may(full, full)
    assert not may(cut, cut)
    assert may(none, full)
    assert not may(none, cut)
    assert not may(full, full, "         0       1000          1")
    assert mlc_host.may_raise_limits("", "")


# Names


@pytest.mark.parametrize("name", ["a", "my-project_2", "A" * 100, "0"])
def test_names_that_do(name: str) -> None:
    mlc_names.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "a b", "a.b", "ä", "_a", "-a", "a#b", "a" * 101, "a\n"]
)
def test_names_that_do_not(name: str) -> None:
    with pytest.raises(MlcError):
        mlc_names.check_name(name)


@given(st.text())
def test_label_values_hold_no_comma_are_not_empty_and_are_read_back(text: str) -> None:
    value = mlc_names.label_value(text)
    assert "," not in value
    assert value
    assert mlc_names.read_label(value) == (text or "-")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("aimehub/pytorch-2.8.0", "aimehub/pytorch-2.8.0:n._.7"),
        ("ds01/debian:bookworm", "ds01/debian:n._.7"),
        ("host:5000/a/b", "host:5000/a/b:n._.7"),
        ("host:5000/a/b:tag", "host:5000/a/b:n._.7"),
        ("a@sha256:0123", "a:n._.7"),
        ("host:5000/a:t@sha256:0123", "host:5000/a:n._.7"),
    ],
)
def test_prepared_image_has_one_tag(image: str, expected: str) -> None:
    assert mlc_account.prepared_image(image, "n._.7") == expected


@pytest.mark.parametrize("word", ["", "a:b", "a\nb", "a\x00", "\udcff", "a\x1b[2J"])
def test_account_words_that_break_a_file_are_refused(word: str) -> None:
    with pytest.raises(MlcError):
        check_account_word(word, "user")


@given(st.text(), st.integers(1, 2**32 - 2))
def test_homes_are_one_folder_below_home(name: str, uid: int) -> None:
    parts = home_of(name, uid).split("/")
    assert parts[:2] == ["", "home"]
    assert len(parts) == 3
    assert parts[2] not in {"", ".", ".."}


# The prepared image


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_dockerfile_has_one_line_a_step_whatever_the_name(name: str) -> None:
    person = Person(name, 5, 6, name, home_of(name, 5))
    lines = mlc_account.dockerfile("a/b", person).splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == ["FROM", "RUN", "RUN"]
    words = json.loads(lines[2].split(" ", 1)[1])
    assert words[4:] == [name, "5", "6", name, home_of(name, 5), "-"]


def test_dockerfile_becomes_root_only_where_it_must() -> None:
    steps = mlc_account.dockerfile(
        "a/b", ANN, base_user="1000:100", former=7
    ).splitlines()
    assert steps[1] == "USER 0:0"
    assert json.loads(steps[-1].removeprefix("RUN "))[-1] == "7"
    for user in ("", "0", "root", "0:0", "root:root"):
        assert "USER" not in mlc_account.dockerfile("a", ANN, base_user=user)


def test_build_passes_proxies_by_name_only() -> None:
    words = mlc_account.build_words("t", {"https_proxy": "http://u:p@host", "X": "1"})
    assert words[-3:] == ["--build-arg", "https_proxy", "-"]


# docker create


def test_create_words_by_the_contract() -> None:
    words = create_words(order(), BARE, "r", image_home=False)
    assert words[-4:] == ["ds01/debian:my-project._.3000000001", "bash", "-c", "bash"]
    assert words[:5] == ["create", "-it", "--init", "--name", "my-project._.3000000001"]
    assert values(words, "--user") == ["3000000001:100"]
    assert values(words, "--group-add") == ["video", "sudo"]
    assert values(words, "--network") + values(words, "--ipc") == ["host", "host"]
    assert values(words, "--ulimit") == ["stack=67108864"]
    assert values(words, "--env") == ["MLC_NAME=my-project"]
    for flag in ("--privileged", "--device", "--gpus", "--cap-add", "--security-opt"):
        assert flag not in words
    labels = dict(pair.split("=", 1) for pair in values(words, "--label"))
    assert labels["aime.mlc.WORK_MOUNT"] == "/home/ann/a%2Cb:c d"
    assert labels["aime.mlc.GPUS"] == "none"


def test_create_words_on_a_host_with_everything() -> None:
    host = Host(memlock=True, devices=("/dev/snd", "/dev/kfd"), x11=True)
    gpus = '"device=0,1"'
    words = create_words(
        order(gpus=gpus, architecture="CUDA_ADA"), host, "r", image_home=True
    )
    assert values(words, "--gpus") == [gpus]
    assert values(words, "--ulimit") == ["memlock=-1", "stack=67108864"]
    assert values(words, "--device") == ["/dev/snd", "/dev/kfd"]
    assert values(words, "--env")[-1] == "HOME=/home/ann@corp"
    assert 'aime.mlc.GPUS="device=0%2C1"' in values(words, "--label")
    assert len(values(words, "--mount")) == 2
    rocm = create_words(
        order(gpus="all", architecture="ROCM6"), host, "r", image_home=True
    )
    assert "--gpus" not in rocm
    assert values(rocm, "--shm-size") == ["8g"]
    assert values(rocm, "--security-opt") == ["seccomp=unconfined"]


def test_create_words_keep_an_entrypoint() -> None:
    changed = order(entrypoint=("/entry.sh", "-x"), environment=("A=b c", "D=e\nf"))
    words = create_words(changed, BARE, "r", image_home=False)
    assert values(words, "--entrypoint") == ["/entry.sh"]
    assert words[-5:] == [changed.prepared, "-x", "bash", "-c", "bash"]
    assert values(words, "--env")[:2] == ["A=b c", "D=e\nf"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_path_can_be_mounted(path: str) -> None:
    fields = next(csv.reader([mount_word("/" + path, "/workspace")]))
    assert fields == ["type=bind", f"source=/{path}", "target=/workspace"]


def test_gpus_are_asked_for_where_there_are_any() -> None:
    assert gpus_for(None, "CPU") is None
    assert gpus_for(None, "CUDA_ADA") == "all"
    assert gpus_for("2", "CPU") == "2"


def test_pick_names_what_there_is() -> None:
    entries = catalog.parse("A,1,[CPU],i\nA,2,[CPU],j\n", "r")
    assert pick(entries, "CPU", "A", "2", silent=True).image == "j"
    with pytest.raises(MlcError) as caught:
        pick(entries, "CPU", "A", "3", silent=True)
    assert caught.value.hint == "versions: 1, 2"


# What runs in a container


def test_busy_knows_a_containers_own_processes() -> None:
    with_init = [(10, 1, 50), (11, 10, 50)]
    assert not busy(with_init, 10)
    assert not busy([(10, 1, 50)], 10)
    assert busy([*with_init, (30, 1, 4)], 10)  # another shell
    assert busy([*with_init, (30, 10, 4)], 10)  # an orphan, now the init's child
    assert busy([*with_init, (30, 11, 4)], 10)  # begun in the first shell
    assert not busy([(10, 1, 50), (11, 10, 50), (12, 11, 49)], 10)  # an entrypoint
    assert busy([(9, 1, 50)], 10)


def test_processes_reads_numbers() -> None:
    assert processes("PID PPID ELAPSED\n 12  1  300\n 15 12 0\n") == [
        (12, 1, 300),
        (15, 12, 0),
    ]


# Messages of the engine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Error response from daemon: No such image: x\n", "No such image: x"),
        (
            "docker: Error response from daemon: bad.\nSee 'docker run --help'.\n",
            "bad.",
        ),
        ("", "docker gave no reason"),
        ("DEPRECATED: The legacy builder is deprecated\n\nno space\n", "no space"),
    ],
)
def test_engine_reason(text: str, expected: str) -> None:
    assert engine_reason(text) == expected


# What an exported file may say


def metadata(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "format": 1,
        "name": "x",
        "framework": "Pytorch-2.7.1",
        "architecture": "CUDA_ADA",
        "user": {"name": "bob", "uid": 1000, "gid": 1000, "home": "/home/bob"},
        "config": {"Env": ["PATH=/bin"], "Entrypoint": []},
    }
    for key, change in changes.items():
        value[key] = {**value[key], **change} if isinstance(change, dict) else change
    return value


def test_metadata_is_taken_as_data() -> None:
    env = [
        "PATH=/bin",
        "NVIDIA_VISIBLE_DEVICES=all",
        "HOME=/x",
        "MLC_NAME=y",
        "A=--gpus all",
    ]
    found = read_metadata(metadata(config={"Env": env}))
    assert found.environment == ("PATH=/bin", "A=--gpus all")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "--privileged"},
        {"name": "a/../b"},
        {"name": 5},
        {"framework": "a,b"},
        {"framework": ""},
        {"architecture": None},
        {"user": {"name": "a:0:0"}},
        {"user": {"name": "a\nroot::0:0::/:/bin/sh"}},
        {"user": {"uid": -1}},
        {"user": {"uid": True}},
        {"user": {"uid": 2**40}},
        {"user": {"gid": "0"}},
        {"user": {"home": "/etc"}},
        {"user": {"home": "/home/.."}},
        {"user": {"home": "/home/a/../../etc"}},
        {"config": {"Env": "PATH"}},
        {"config": {"Env": ["=x"]}},
        {"config": {"Env": ["A"]}},
        {"config": {"Env": ["A=\0"]}},
        {"config": {"Entrypoint": [1]}},
        {"user": 7},
    ],
)
def test_metadata_that_is_odd_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MlcError):
        read_metadata(metadata(**changes))


def test_settle_takes_the_old_account_over() -> None:
    found = read_metadata(metadata())
    person, former = settle(ANN, found)
    assert (person.home, former) == ("/home/bob", 1000)
    root = Person("root", 0, 0, "root", "/root")
    assert settle(root, found) == (root, None)
