"""images/requirements/options.py: options of requirements files, for uv and for pip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.images.requirements import options

URL = "https://e.org/simple"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (f"--extra-index-url={URL}", f"--extra-index-url {URL}"),
        (f"--extra-index-url  {URL}", f"--extra-index-url {URL}"),
        (f"-i {URL}", f"--index-url {URL}"),
        (f"--pypi-url '{URL}'", f"--index-url {URL}"),
        (f"-f {URL}/x=y", f"--find-links {URL}/x=y"),
        (
            "--index-url https://a:${TOKEN}@e.org/s",
            "--index-url https://a:${TOKEN}@e.org/s",
        ),
        ("--no-index", "--no-index"),
        ("--pre", "--pre"),
        ("--no-binary=:all:", "--no-binary :all:"),
        ("--only-binary a,b-c", "--only-binary a,b-c"),
        ("--trusted-host e.org:8080", "--trusted-host e.org:8080"),
    ],
)
def test_options(text: str, read: str) -> None:
    assert options.parse_option(text) == read
    assert options.parse_option(read) == read


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "cannot be empty"),
        ("--pre\nx", "line break"),
        ("--extra-index", "did you mean '--extra-index-url'"),
        ("--extra-index-url", "needs a value"),
        ("--pre yes", "takes no value"),
        ("--index-url /srv/wheels", "is not a URL"),
        ("--find-links ./wheels", "name the wheels themselves"),
        (f"--index-url {URL} --pre", "is not a URL"),
        ("--index-url https://a:S3CRET@e.org/simple", "password or token"),
        ("--no-binary a;b", "is not a list of packages"),
        ("--trusted-host -x", "is not a host"),
        ("--trusted-host a b", "is not a host"),
        ("--config-settings x", "is not supported"),
        ("--target /", "is not supported"),
    ],
)
def test_what_is_no_option(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        options.parse_option(text)
    assert what in str(caught.value)
    assert "S3CRET" not in str(caught.value)


def test_what_each_installer_is_told() -> None:
    given_options = [
        f"--index-url {URL}",
        f"--extra-index-url {URL}/a",
        f"--extra-index-url {URL}/b",
        "--pre",
        "--no-binary a,b",
        "--trusted-host e.org",
        "--prefer-binary",
        "--require-hashes",
    ]
    assert options.file_lines(given_options) == (
        f"--index-url {URL}",
        f"--extra-index-url {URL}/a",
        f"--extra-index-url {URL}/b",
        "--no-binary a",
        "--no-binary b",
    )
    # pip takes the best version of all indexes, uv stops at the first that has one.
    assert options.uv_flags(given_options) == (
        *("--index-strategy", "unsafe-best-match", "--prerelease", "allow"),
        *("--allow-insecure-host", "e.org", "--require-hashes"),
    )
    assert options.pip_flags(given_options) == (
        *("--pre", "--trusted-host", "e.org", "--require-hashes"),
    )


@given(st.sampled_from(sorted(options.OPTIONS)), st.text(max_size=30))
def test_an_option_is_one_line_and_one_option(name: str, value: str) -> None:
    try:
        read = options.parse_option(f"{name} {value}")
    except ValueError:
        return
    assert read.isprintable()
    assert read.isascii()
    assert read.count(" ") <= 1
    assert read.split(" ")[0] == name
    for word in (*options.uv_flags([read]), *options.pip_flags([read])):
        assert not set(word) & set(" \t\n'\"\\$`;&|(){}<>")
