"""source/spec.py, values.py, change.py: image.yaml read, changed, written."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.errors import Exit, HelperError
from ds01.core.paths import PROJECT_ROOT
from ds01.core.yaml_source import ConfigError
from ds01.images.source import lock
from ds01.images.source import spec as source_spec
from ds01.images.source.change import change, render_again
from ds01.images.source.types import Added, Base, Spec

FULL = """\
version: 1
name: cv-lab
base: {framework: Pytorch, version: 2.7.1}
architecture: CUDA_ADA
tiers: [system]
use_cases: [cv]
pip:
  - "timm>=1.0"
  - ./wheels/a-1.0-py3-none-any.whl
pip_options: ["--extra-index-url=https://e.org/simple", --pre]
apt: [ffmpeg, "git=1:2.39.5-0+deb12u2"]
requirements: [./requirements.txt, "pyproject.toml[dev]"]
files: {conf/a b.toml: /opt/conf/a.toml}
shared: true
added: {pip: [rich], apt: [jq], requirements: [more.txt]}
"""
SPEC = Spec(
    name="cv-lab",
    base=Base("Pytorch", "2.7.1"),
    architecture="CUDA_ADA",
    tiers=("system",),
    use_cases=("cv",),
    pip=("timm>=1.0", "./wheels/a-1.0-py3-none-any.whl"),
    pip_options=("--extra-index-url https://e.org/simple", "--pre"),
    apt=("ffmpeg", "git=1:2.39.5-0+deb12u2"),
    requirements=("requirements.txt", "pyproject.toml[dev]"),
    files=(("conf/a b.toml", "/opt/conf/a.toml"),),
    shared=True,
    added=Added(("rich",), ("jq",), ("more.txt",)),
)


def load(tmp_path: Path, text: str) -> Spec:
    file = tmp_path / "image.yaml"
    file.write_text(text, encoding="utf-8")
    return source_spec.load_spec(file)


def test_every_key_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, FULL) == SPEC
    assert load(tmp_path, "version: 1\nname: x\n") == Spec("x")
    assert load(tmp_path, "version: 1\nname: x\nbase: {image: a/b:c}\napt:\n") == Spec(
        "x", Base(image="a/b:c")
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "1: version: missing, the file is empty"),
        ("version: 1", "1: name: missing, write the image's name"),
        ("nam: x", "2: nam: unknown key, did you mean 'name'"),
        (
            "name: A b",
            "2: name: 'A b' is not a name for an image: a name is lower-case",
        ),
        ("name: [x]", "2: name: must be one value"),
        ("base: {image: a, framework: b}", "2: base: image goes without framework"),
        ("base: {version: '1'}", "2: base: version goes with framework"),
        ("base: {image: 'a AS b'}", "2: base.image: 'a AS b' is not an image name"),
        ('base: {image: "a\\nRUN id"}', "2: base.image: 'a?RUN id' is not an image"),
        ("base: {framework: '$(id)'}", "2: base.framework: '$(id)' is not a framework"),
        ("tiers: system", "2: tiers: must be a list"),
        ("tiers: [../x]", "2: tiers: '../x' is not a name"),
        ("pip: [x, x]", "2: pip: 'x' is there twice"),
        ("pip: [x=1]", "2: pip: 'x=1' is not a Python requirement, write =="),
        ('pip: ["x\\ny"]', "2: pip: 'x\\ny' holds a line break"),
        ("pip_options: [--pyre]", "2: pip_options: option '--pyre' is not supported"),
        ("apt: [Git]", "2: apt: 'Git' is not the name of a Debian package"),
        ("apt: ['git; id']", "2: apt: 'git; id' is not the name of a Debian package"),
        ("requirements: [../r.txt]", "2: requirements: '../r.txt' lies outside"),
        ("files: {../a: /b}", "2: files.../a: '../a' lies outside"),
        (
            "files: {.ds01/own.txt: /b}",
            "2: files..ds01/own.txt: '.ds01/own.txt' begins",
        ),
        ("files: {a: b}", "2: files.a: 'b' is not a path inside the image"),
        ("files: {a: /workspace/b}", "2: files.a: '/workspace/b': what lies in /work"),
        ("files: {a: /opt/../etc}", "2: files.a: '/opt/../etc' is not a path"),
        ("files: {'a*': /b}", "2: files.a*: 'a*': a path must not hold"),
        ("files: {a: '/b$x'}", "2: files.a: '/b$x': a path must not hold"),
        ("shared: yes", "2: shared: 'yes' is not true or false"),
        ("added: {tiers: [x]}", "2: added.tiers: unknown key"),
    ],
)
def test_problems_name_line_and_key(tmp_path: Path, text: str, what: str) -> None:
    head = "" if not text or text.startswith("version") else "version: 1\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, head + text + "\n")
    told = [p.removeprefix(f"{tmp_path}/image.yaml:") for p in caught.value.problems]
    assert any(each.replace("\n", "?").startswith(what) for each in told), told
    assert caught.value.code == Exit.CONFIG
    assert caught.value.hint == f"mend '{tmp_path}/image.yaml'"


def test_no_spec(tmp_path: Path) -> None:
    with pytest.raises(HelperError) as caught:
        source_spec.load_spec(tmp_path / "image.yaml")
    assert caught.value.code == Exit.NOT_FOUND


def test_docs_have_every_key_of_the_files() -> None:
    text = (PROJECT_ROOT / "docs/images.md").read_text(encoding="utf-8")
    tables = (
        ("", source_spec.KEYS),
        ("base.", source_spec.BASE_KEYS),
        ("added.", source_spec.ADDED_KEYS),
        ("", lock.KEYS),
    )
    for prefix, table in tables:
        for key, meaning in table.items():
            assert f"| `{prefix}{key}` | {meaning} |" in text, prefix + key
    known = {field.name for field in fields(Spec)} | {"version"}
    assert known == set(source_spec.KEYS)


def test_adding_and_removing() -> None:
    spec = change(
        SPEC,
        add=["Timm==1.0.9", "einops"],
        add_apt=["git", "sox"],
        requirements=["./requirements.txt", "b.txt"],
        pip_options=["--pre", "--extra-index-url https://e.org/b"],
        remove=["a"],
        shared=False,
    )
    assert spec == replace(
        SPEC,
        pip=("Timm==1.0.9", "einops"),
        apt=("ffmpeg", "git", "sox"),
        requirements=("requirements.txt", "pyproject.toml[dev]", "b.txt"),
        pip_options=(*SPEC.pip_options, "--extra-index-url https://e.org/b"),
        shared=False,
    )
    assert change(SPEC, remove=["TIMM"]).pip == SPEC.pip[1:]
    assert change(SPEC, remove=["git"]).apt == ("ffmpeg",)
    assert change(SPEC, remove=["rich", "jq", "more.txt"]).added == Added()
    assert (
        change(SPEC, remove=["requirements.txt"]).requirements == SPEC.requirements[1:]
    )


def test_what_is_removed_must_be_there() -> None:
    with pytest.raises(HelperError) as caught:
        change(SPEC, remove=["tim"])
    assert caught.value.code == Exit.NOT_FOUND
    assert caught.value.message == (
        "'tim' is not among the packages of image 'cv-lab', did you mean 'timm'"
    )


def test_wrong_words_are_usage_errors() -> None:
    wrong: list[dict[str, Any]] = [
        {"add": ["x=1"]},
        {"add_apt": ["X"]},
        {"pip_options": ["--x"]},
    ]
    for words in wrong:
        with pytest.raises(HelperError) as caught:
            change(SPEC, **words)
        assert caught.value.code == Exit.USAGE


def test_what_comes_after_adoption_stands_apart() -> None:
    spec = change(
        replace(SPEC, added=Added()),
        add=["rich", "timm>2"],
        add_apt=["jq"],
        adopted=True,
    )
    assert spec.added == Added(("rich", "timm>2"), ("jq",))
    assert spec.pip == SPEC.pip[1:]
    again = render_again(spec)
    assert again.pip == (*SPEC.pip[1:], "rich", "timm>2")
    assert again.apt == (*SPEC.apt, "jq")
    assert not again.added


def test_written_and_read_again(tmp_path: Path) -> None:
    text = source_spec.dump_spec(SPEC)
    assert text.startswith("# ")
    assert load(tmp_path, text) == SPEC
    old = FULL.replace("pip:\n", "# why\npip:\n").replace("tiers: [", "tiers:   [")
    kept = source_spec.dump_spec(change(SPEC, add=["rich>1"]), old)
    assert kept.splitlines()[5:10] == [
        "use_cases: [cv]",
        "# why",
        "pip:",
        '  - "timm>=1.0"',
        "  - ./wheels/a-1.0-py3-none-any.whl",
    ]
    assert "tiers:   [system]\n" in kept
    assert load(tmp_path, kept) == change(SPEC, add=["rich>1"])


WORDS = st.from_regex(
    r"[a-z]{1,6}(\[[a-z]{1,3}\])?(>=[0-9]\.[0-9]{1,2})?", fullmatch=True
)


@given(st.lists(WORDS, max_size=5), st.lists(WORDS, max_size=3), st.booleans())
def test_any_change_is_written_as_it_was_meant(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[str],
    second: list[str],
    adopted: bool,
) -> None:
    folder = tmp_path_factory.mktemp("spec")
    old = change(Spec("x", Base(image="a")), add=first)
    text = source_spec.dump_spec(old).replace("\n", "  # c\n")
    new = change(old, add=second, adopted=adopted)
    assert load(folder, source_spec.dump_spec(new, text)) == new
