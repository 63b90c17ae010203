"""requirements/files.py and projects.py: files as other tools write them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.errors import Exit, HelperError
from ds01.images.requirements import files, lines

SHA = "b" * 64


def texts(folder: Path, name: str) -> list[str]:
    return [word.text for word in files.read(folder, name).words]


def problem(folder: Path, name: str) -> HelperError:
    with pytest.raises(HelperError) as caught:
        files.read(folder, name)
    return caught.value


def test_a_requirements_file_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "\ufeff# a comment \\\n"
        "--index-url https://a:${TOKEN}@e.org/simple  # ours\n"
        "--extra-index-url=https://download.pytorch.org/whl/cu121\r\n"
        "\n"
        "numpy>=1.20, \\\n"
        "    <2   # both\n"
        "-r sub/more.txt\n"
        "-csub/limits.txt\n"
        f"x==1.0 \\\n    --hash=sha256:{SHA} \\\n    --hash=sha256:{SHA}\n"
        "git+https://github.com/a/b#egg=c\n"
        "\ty ; os_name == 'posix'\n"
        "--no-binary y"
    )
    (tmp_path / "sub/more.txt").write_text(
        "./wheels/a-1.0-py3-none-any.whl\n-r ../requirements.txt\n-r again.txt\n"
    )
    (tmp_path / "sub/again.txt").write_text("-r ./more.txt\nz\n")
    (tmp_path / "sub/limits.txt").write_text("numpy<1.25\n-r deep.txt\n")
    (tmp_path / "sub/deep.txt").write_text("scipy<2\n")
    found = files.read(tmp_path, "requirements.txt")
    assert [word.text for word in found.words] == [
        "numpy>=1.20,     <2",
        "./sub/wheels/a-1.0-py3-none-any.whl",
        "z",
        f"x==1.0 --hash=sha256:{SHA} --hash=sha256:{SHA}",
        "git+https://github.com/a/b#egg=c",
        "y ; os_name == 'posix'",
    ]
    assert found.options == [
        "--index-url https://a:${TOKEN}@e.org/simple",
        "--extra-index-url https://download.pytorch.org/whl/cu121",
        "--no-binary y",
    ]
    assert [word.text for word in found.constraints] == ["numpy<1.25", "scipy<2"]
    assert found.sources == [
        *("requirements.txt", "sub/more.txt", "sub/again.txt"),
        *("sub/limits.txt", "sub/deep.txt"),
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("numpy\n\nx=1\n", "r.txt:3: 'x=1' is not a Python requirement, write =="),
        ("a\\\n\\\nb c\n", "r.txt:1: 'ab c' is not a Python requirement"),
        ("-e .\n", "r.txt:1: '-e .': the folder of an editable package"),
        ("--pyre\n", "r.txt:1: option '--pyre' is not supported, did you mean '--pre'"),
        ("-r ../x.txt\n", "r.txt:1: '../x.txt' lies outside of the image's folder"),
        ("-r /etc/passwd\n", "r.txt:1: '/etc/passwd' lies outside"),
        (
            "-r https://me:S3CRET@e.org/r.txt\n",
            "r.txt:1: 'https://***@e.org/r.txt' is not",
        ),
        ("x $(id)\n", "r.txt:1: 'x $(id)' must not hold '$'"),
        ("-r link.txt\n", "link.txt: it leads out of"),
        ("x\n" * 5001, "r.txt:5001: more than 5000 lines"),
    ],
)
def test_problems_name_file_and_line(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "r.txt").write_text(text)
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    found = problem(tmp_path, "r.txt")
    assert found.code == Exit.CONFIG
    assert what in found.message
    assert "S3CRET" not in found.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    found = problem(tmp_path, "r.txt")
    assert found.code == Exit.NOT_FOUND
    assert found.message == f"the file of packages '{tmp_path}/r.txt' does not exist"
    (tmp_path / "r.txt").write_bytes(b"a\n\xff\n")
    assert problem(tmp_path, "r.txt").message == "r.txt:2: not UTF-8"
    (tmp_path / "r.txt").write_bytes(b"#" * (1 << 20) + b"#")
    assert problem(tmp_path, "r.txt").message == "r.txt: it is larger than 1 MiB"
    (tmp_path / "dir.txt").mkdir()
    assert problem(tmp_path, "dir.txt").code == Exit.CONFIG


PYPROJECT = """\
[project]
name = "x"
requires-python = ">=3.10"
dependencies = ["numpy>=1.20", "b @ git+https://e.org/b"]
[project.optional-dependencies]
dev = ["pytest"]
Plot_It = ["matplotlib"]
"""


def test_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    found = files.read(tmp_path, "pyproject.toml")
    assert [w.text for w in found.words] == ["numpy>=1.20", "b @ git+https://e.org/b"]
    assert found.python == [">=3.10"]
    name = files.check_file("./pyproject.toml[dev, plot-it]")
    assert name == "pyproject.toml[dev,plot-it]"
    assert texts(tmp_path, name)[2:] == ["pytest", "matplotlib"]
    assert problem(tmp_path, "pyproject.toml[de]").message == (
        "pyproject.toml: it has no group 'de', did you mean 'dev'"
    )


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("a = ", "not valid TOML", None),
        ("a = 1", "it has no [project] table", None),
        ("[tool.poetry.dependencies]\nx = '1'", "no [project] table", "poetry export"),
        ("[project]\ndynamic = ['dependencies']", "are dynamic", None),
        ("[project]\ndependencies = [1]", "must be a list of texts", None),
        ("[project]\ndependencies = ['x=1']", "project.dependencies: 'x=1' is", None),
    ],
)
def test_pyproject_problems(
    tmp_path: Path, text: str, what: str, hint: str | None
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    found = problem(tmp_path, "pyproject.toml")
    assert found.message.startswith("pyproject.toml: ")
    assert what in found.message
    assert (hint or "") in (found.hint or "")


ENVIRONMENT = """\
name: x
channels: [conda-forge]
dependencies:
  - python=3.10
  - numpy=1.20
  - pytorch
  - ffmpeg
  - pip
  - pip:
      - -r more.txt
      - --extra-index-url https://e.org/simple
      - timm>=1.0
"""


def test_environment(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env/environment.yml").write_text(ENVIRONMENT)
    (tmp_path / "env/more.txt").write_text("./a-1.0-py3-none-any.whl\n")
    found = files.read(tmp_path, "env/environment.yml")
    assert [word.text for word in found.words] == [
        "numpy==1.20.*",
        "torch",
        "./env/a-1.0-py3-none-any.whl",
        "timm>=1.0",
    ]
    assert found.apt == ["ffmpeg"]
    assert found.options == ["--extra-index-url https://e.org/simple"]
    place = "env/environment.yml"
    assert found.notes == [
        f"{place}:4: 'python=3.10' is left out: the base image's Python is used",
        f"{place}:6: 'pytorch' is called torch on PyPI",
        f"{place}:7: 'ffmpeg' becomes the Debian package ffmpeg",
        f"{place}:8: 'pip' is left out: comes with the base image",
    ]
    assert found.sources == [place, "env/more.txt"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", "not valid YAML"),
        ("", "environment.yml: it has no list of dependencies"),
        ("name: x", "environment.yml: it has no list of dependencies"),
        ("dependencies: x", "environment.yml:1: must be a list"),
        ("dependencies:\n- a|b", "environment.yml:2: 'a|b'"),
        ("dependencies:\n- pip:\n  - x=1", "environment.yml:3: 'x=1' is not a Python"),
        ("dependencies:\n- npm: [x]", "environment.yml:2: dependencies.npm: unknown"),
        ("dependencies:\n- [x]", "environment.yml:2: dependencies: must be a text"),
    ],
)
def test_environment_problems(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "environment.yml").write_text(text)
    found = problem(tmp_path, "environment.yml")
    assert found.code == Exit.CONFIG
    assert what in found.message
    assert str(tmp_path) not in found.message


@given(st.text(max_size=60))
def test_whatever_a_file_holds_words_are_lines(text: str) -> None:
    found = lines.Found()
    for _, line in lines.logical_lines(text, "r.txt"):
        assert "\n" not in line
        try:
            lines.take_line(found, Path("/nonexistent"), PurePosixPath(), line)
        except (ValueError, HelperError):
            continue
    assert all(word.text.isprintable() for word in found.words)
