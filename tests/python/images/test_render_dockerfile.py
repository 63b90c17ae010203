"""source/render.py, layers.py, layer_commands.py: from spec to Dockerfile.

The golden files are in tests/fixtures/dockerfiles: NAME/image.yaml and image.lock in,
NAME/Dockerfile out. After a wanted change, WRITE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import PROJECT_ROOT
from ds01.images.requirements import lines as requirements_lines
from ds01.images.source import layers as source_layers
from ds01.images.source import render, values
from ds01.images.source import spec as source_spec
from ds01.images.source.change import change
from ds01.images.source.layer_commands import Tools
from ds01.images.source.lock import Lock, LockedBase, load_lock
from ds01.images.source.packages import load_packages, parse_apt
from ds01.images.source.types import Added, Base, Layer, Spec

GOLDEN = PROJECT_ROOT / "tests/fixtures/dockerfiles"
PROGRAM = PROJECT_ROOT / "python/render_dockerfile.py"
PACKAGES = load_packages(GOLDEN / "packages.yaml")
UV = "ds01/uv:0.9.0"
HOW: dict[str, dict[str, Any]] = {
    "plain": {"builder": "buildkit"},
    "tiers": {"builder": "buildkit", "uv_image": UV, "cache": "secret-1"},
    "own": {"builder": "buildkit", "uv_image": UV, "cache": "secret-1"},
    "classic": {
        "builder": "classic",
        "installer": "pip",
        "setup_apt": ["python3-pip"],
        "certificates": ["SSL_CERT_FILE", "PIP_CERT"],
    },
    "added": {"builder": "classic", "uv_image": UV},
}
LOCK = Lock(LockedBase("a:b", "sha256:1"))


def load(name: str) -> tuple[Spec, tuple[Layer, ...], Lock | None]:
    folder = GOLDEN / name
    spec = source_spec.load_spec(folder / "image.yaml")
    found = source_layers.layers(spec, PACKAGES, folder)
    return spec, found, load_lock(folder / "image.lock")


def compare(file: Path, text: str) -> None:
    if os.environ.get("WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(HOW))
def test_golden(name: str) -> None:
    spec, found, lock = load(name)
    base = spec.base.image or "aimehub/pytorch-2.7.1-cuda12.6.3"
    text = render.render(found, lock, base, Tools(**HOW[name]))
    compare(GOLDEN / name / "Dockerfile", text)
    assert text == render.render(found, lock, base, Tools(**HOW[name]))


def test_golden_block_of_an_adopted_file() -> None:
    _, found, lock = load("added")
    adopted = (GOLDEN / "added/adopted").read_text()
    how: dict[str, Any] = {"builder": "buildkit", "uv_image": UV, "cache": "secret-1"}
    block = render.render_block(found, lock, adopted, Tools(**how))
    compare(GOLDEN / "added/block", block)
    assert block.endswith("USER 1000:1000\n")
    # What the file has from when it was rendered is not done twice.
    before = f"{adopted}COPY --from={UV} /uv /usr/local/bin/uv\n"
    before += "COPY .ds01/jupyter_server_config.py /opt/ds01/jupyter_server_config.py\n"
    short = render.render_block(found, lock, before, Tools(**how))
    assert "--from" not in short
    assert "jupyter" not in short
    rest = [layer for layer in found if layer.kind != "added"]
    assert render.render_block(rest, lock, adopted, Tools(**how)) == ""


def test_layers_come_in_the_order_of_the_administrator() -> None:
    _, found, _ = load("tiers")
    assert [(layer.name, layer.kind) for layer in found] == [
        ("system", "tier"),
        ("interactive", "tier"),
        ("cv", "use-case"),
        ("llm", "use-case"),
    ]
    assert all(layer.is_shared for layer in found)
    assert found[0].apt == ("curl", "git", "wget")


def test_the_own_layer_has_what_the_files_ask_for() -> None:
    _, found, _ = load("own")
    own = found[-1]
    assert own.name == own.kind == "own"
    assert not own.is_shared
    assert own.pip[-2:] == ("einops", "rich")
    assert own.options[-1] == "--trusted-host e.org"
    assert own.constraints == ("numpy<2",)
    assert own.files == ("wheels/mine-1.0-py3-none-any.whl",)
    # git, because the installer runs it for one of the words.
    assert own.apt == ("ffmpeg", "git", "libgl1=1.6.0-1~deb12u1", "sox")
    assert [note.partition("'")[0] for note in own.notes] == [
        "environment.yml:2: ",
        "environment.yml:3: ",
    ]
    assert render.secrets(found) == ("INDEX_KEY", "TOKEN")


def test_what_does_not_exist_is_refused() -> None:
    for spec, what, hint in (
        (Spec("x", tiers=("sytem",)), "tier 'sytem' not found", "mean 'system'?"),
        (Spec("x", use_cases=("cvv",)), "use case 'cvv' not found", "mean 'cv'?"),
        (Spec("x", requirements=("no.txt",)), "no.txt' does not exist", ""),
    ):
        with pytest.raises(HelperError, match=re.escape(what)) as caught:
            source_layers.layers(spec, PACKAGES, GOLDEN)
        assert caught.value.code == Exit.NOT_FOUND
        assert hint in str(caught.value.hint)


def test_context_files_hold_the_pins() -> None:
    _, found, _ = load("own")
    lock = replace(LOCK, layers={"own": ("x==1", "y==2"), "interactive": ()})
    files = render.context_files(found, lock)
    assert list(files) == [
        *(".ds01/jupyter_server_config.py", ".ds01/interactive.txt", ".ds01/own.txt"),
    ]
    assert files[".ds01/own.txt"] == (
        "--extra-index-url https://me:${INDEX_KEY}@e.org/simple\nx==1\ny==2\n"
    )
    assert files[".ds01/interactive.txt"] == ""


def test_a_layer_that_the_base_has_already_installs_nothing() -> None:
    _, found, _ = load("tiers")
    lock = replace(LOCK, layers={"interactive": (), "cv": ("pillow==1",), "llm": ()})
    text = render.render(found, lock, "a:b", Tools(**HOW["tiers"]))
    assert re.findall(r"-r (\S+)", text) == ["cv.txt"]


def test_a_new_pin_changes_no_other_layer() -> None:
    """The text is the same whatever the versions: only a COPY's file changes."""
    spec, found, _ = load("own")
    one = replace(LOCK, layers={"interactive": ("a==1",), "own": ("x==1",)})
    other = replace(one, layers={"interactive": ("a==1",), "own": ("x==2", "y==1")})
    texts = [
        render.render(found, lock, "a:b", Tools(**HOW["own"])) for lock in (one, other)
    ]
    assert texts[0] == texts[1]
    more = change(spec, add=["rich>1"])
    layers = source_layers.layers(more, PACKAGES, GOLDEN / "own")
    text = render.render(layers, one, "a:b", Tools(**HOW["own"]))
    assert text.partition("# own:")[0] == texts[0].partition("# own:")[0]


def test_shared_layers_are_the_same_for_two_users() -> None:
    parts = []
    for pip, cache in ((("rich",), "alice-1"), (("flask",), "bob-2")):
        spec = Spec("x", Base(image="a:b"), tiers=("system", "interactive"), pip=pip)
        found = source_layers.layers(spec, PACKAGES)
        how: dict[str, Any] = {"builder": "buildkit", "uv_image": UV, "cache": cache}
        text = render.render(found, LOCK, "a:b", Tools(**how))
        head, _, own = text.partition("# own:")
        assert cache in own
        parts.append(head)
    assert parts[0] == parts[1]
    assert "cache,id" not in parts[0]


def test_secrets_need_buildkit() -> None:
    _, found, _ = load("own")
    with pytest.raises(HelperError, match=r"'\${INDEX_KEY}' in 'own' is a secret") as e:
        render.render(found, None, "a:b", Tools(uv_image=UV))
    assert e.value.code == Exit.PREREQUISITE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user", "x; id"),
        ("user", "x\nRUN id"),
        ("user", "$X"),
        ("interpreter", "python3"),
        ("interpreter", "/x y"),
        ("interpreter", "/$(id)"),
    ],
)
def test_what_a_foreign_base_says_of_itself_is_checked(field: str, value: str) -> None:
    spec = Spec("x", Base(image="a:b"), pip=("rich",))
    found = source_layers.layers(spec, PACKAGES)
    base = replace(LOCK.base, **{field: value})
    with pytest.raises(HelperError):
        render.render(found, Lock(base), "a:b", Tools(uv_image=UV))


@pytest.mark.parametrize("image", ["a b", "a\nRUN id", "$X", "-x", "a AS b"])
def test_a_base_is_the_name_of_an_image(image: str) -> None:
    with pytest.raises(HelperError, match="is not an image name"):
        render.render((), None, image, Tools())


# The properties. A Dockerfile's instructions are what matters: what the builder would
# do with a text, and what a shell with the words behind RUN.

_CONTINUED = re.compile(r"\\\n(?:[ \t]*#[^\n]*\n)*")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions as a builder reads them."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", "", "\n".join(lines))
    found = []
    for line in joined.split("\n"):
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            found.append((name, rest.strip()))
    return found


def operators(command: str) -> set[str]:
    """Return what a shell takes for its own syntax in a command."""
    reader = shlex.shlex(command, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    return {word for word in reader if set(word) <= set("();<>|&")}


REQUIREMENTS = st.one_of(
    st.text(max_size=25),
    st.from_regex(
        r"[A-Za-z0-9._-]{1,8}(\[[a-z,]{1,4}\])? ?[<>=!~]{1,2} ?[0-9a-z.*+!]{1,5}",
        fullmatch=True,
    ),
    st.from_regex(r"(git\+)?https://[!-~]{1,20}(\.whl)?", fullmatch=True),
    st.from_regex(r"\./[!-~]{1,12}\.whl", fullmatch=True),
)
DEBIAN = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[a-z0-9+.-]{2,8}(=[!-~]{1,8})?", fullmatch=True),
)
PATHS = st.text(min_size=1, max_size=15)


def accepted(parse: Any, texts: list[str]) -> tuple[str, ...]:
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ValueError:
            continue
    return tuple(dict.fromkeys(found))


@given(
    pip=st.lists(REQUIREMENTS, max_size=6),
    apt=st.lists(DEBIAN, max_size=4),
    files=st.lists(st.tuples(PATHS, PATHS), max_size=3),
    how=st.sampled_from([("buildkit", "uv"), ("buildkit", "pip"), ("classic", "uv")]),
)
@example(pip=["00"], apt=["00"], files=[], how=("buildkit", "uv"))
def test_no_word_becomes_syntax(
    pip: list[str],
    apt: list[str],
    files: list[tuple[str, str]],
    how: tuple[str, str],
) -> None:
    sources = accepted(values.parse_local, [source for source, _ in files])
    targets = accepted(values.parse_target, [f"/{target}" for _, target in files])
    pairs = tuple(zip(sources, targets, strict=False))
    words = accepted(values.parse_pip, ["x>=1.0", *pip])
    spec = Spec("x", pip=words, apt=accepted(parse_apt, apt), files=pairs)
    found = source_layers.layers(spec, PACKAGES)
    secrets = render.secrets(found)
    options: dict[str, Any] = {"builder": how[0], "installer": how[1]}
    options |= {"uv_image": UV, "cache": "c"}
    if secrets and how[0] == "classic":
        return
    text = render.render(found, LOCK, "a:b", Tools(**options))

    own = found[0]
    expected = ["FROM", "USER", "ARG", "COPY", "RUN"]
    expected += ["COPY"] * (how[1] == "uv")
    expected += ["RUN"] * bool(own.apt) + ["COPY"]
    expected += ["COPY"] * (len(own.files) if how[0] == "classic" else 0)
    expected += ["RUN"] + ["COPY"] * len(pairs) + ["RUN"] * bool(pairs) + ["USER"]
    read = instructions(text)
    assert [name for name, _ in read] == expected
    runs = [rest for name, rest in read if name == "RUN"]
    for run in runs[1:]:
        command = re.sub(r"--mount=\S+\s+", "", run)
        assert operators(command) <= {"&&"}
        assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0
    # No requirement is in any command at all: they are in a file.
    # Only a Debian package may be called like one.
    debian = runs[1] if own.apt else None
    for word in words:
        for run in runs[1:]:
            is_debian = run is debian and word in own.apt
            assert is_debian or word not in shlex.split(run)
    if own.apt:
        listed = runs[1].partition("--no-install-recommends ")[2].partition(" &&")[0]
        script = f"printf '%s\\n' {listed}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
        assert done.stdout.decode().split("\n")[:-1] == list(own.apt)
    if pairs:
        listed = runs[-1].removeprefix("find ").rpartition(" ! -perm")[0]
        script = f"printf '%s\\n' {listed}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
        assert done.stdout.decode().split("\n")[:-1] == [target for _, target in pairs]
    copied = [rest for name, rest in read if name == "COPY" and rest.startswith("[")]
    assert [tuple(json.loads(rest)) for rest in copied] == list(pairs)


def test_a_pin_is_never_a_redirection() -> None:
    spec = Spec("x", pip=("pkg>=1.0", "other<2"))
    found = source_layers.layers(spec, PACKAGES)
    text = render.render(found, None, "a:b", Tools(uv_image=UV))
    assert [line for line in text.splitlines() if "pkg>=1.0" in line] == [
        "#   pkg>=1.0, other<2"
    ]
    for name, rest in instructions(text):
        if name == "RUN" and "jupyter" not in rest:
            assert not {"<", ">"} & set(rest)


def cli(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-sE", str(PROGRAM), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_as_a_program(tmp_path: Path) -> None:
    folder = tmp_path / "my images"
    shutil.copytree(GOLDEN / "classic", folder)
    packages = ("--packages", GOLDEN / "packages.yaml")
    how = ("--builder", "classic", "--installer", "pip")
    done = cli(folder / "image.yaml", *packages, *how)
    assert (done.returncode, done.stderr) == (0, "")
    _, found, lock = load("classic")
    assert done.stdout == render.render(
        found, lock, "jupyter/base-notebook:latest", Tools(installer="pip")
    )
    done = cli(folder / "image.yaml", *packages, *how, "--json")
    found = json.loads(done.stdout)
    assert found["dockerfile"].startswith("FROM jupyter/base-notebook:latest\n")
    assert found["context"][".ds01/own.txt"] == (
        "rich==14.0.0\n./wheels/mine-1.0-py3-none-any.whl\n"
    )


def test_as_a_program_without_an_image(tmp_path: Path) -> None:
    del tmp_path
    done = cli(GOLDEN / "tiers/image.yaml", "--packages", GOLDEN / "packages.yaml")
    assert done.returncode == Exit.USAGE
    assert "hint: name the image with '--base-image'" in done.stderr
    done = cli(GOLDEN / "none.yaml", "--packages", GOLDEN / "packages.yaml")
    assert done.returncode == Exit.NOT_FOUND


def test_added_layer_is_not_in_the_managed_part() -> None:
    spec = Spec("x", added=Added(pip=("rich",)))
    found = source_layers.layers(spec, PACKAGES)
    assert [layer.kind for layer in found] == ["added"]
    text = render.render(found, None, "a:b", Tools(uv_image=UV))
    assert "added" not in text


@given(st.lists(REQUIREMENTS, max_size=5))
def test_a_file_of_pins_is_read_as_it_was_meant(texts: list[str]) -> None:
    pins = accepted(values.parse_pip, texts)
    layer = Layer("own", "Own", "own", pip=("x",), options=("--pre", "--no-index"))
    text = render.pins_text(layer, replace(LOCK, layers={"own": pins}))
    found = requirements_lines.Found()
    for _, line in requirements_lines.logical_lines(text, "own.txt"):
        requirements_lines.take_line(found, Path("/nonexistent"), PurePosixPath(), line)
    assert tuple(word.text for word in found.words) == pins
    assert found.options == ["--no-index"]
