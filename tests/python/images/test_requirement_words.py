"""requirements/words.py: requirements are taken as they are, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from ds01.images.requirements import words
from ds01.images.requirements.words import normal_name

SHA = "a" * 64


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("numpy", "index", "numpy"),
        ("  numpy>=1.0 ", "index", "numpy"),
        ("Scikit_Learn[a,b.c] >= 1.2, < 2", "index", "scikit-learn"),
        ("x==1.0.*", "index", "x"),
        ("x===1.0-odd", "index", "x"),
        ("x~=1.0; python_version < '3.12' and os_name == \"posix\"", "index", "x"),
        ("x @ https://e.org/x-1.0.zip", "url", "x"),
        (
            "x[a] @ git+https://e.org/x.git@v1#subdirectory=p ; os_name=='nt'",
            "git",
            "x",
        ),
        ("git+https://github.com/a/b", "git", None),
        ("git+https://github.com/a/b@main#egg=B_c&subdirectory=d", "git", "b-c"),
        ("git+https://${TOKEN}@github.com/a/b", "git", None),
        ("git+https://oauth2:${TOKEN}@gitlab.com/a/b", "git", None),
        ("https://e.org/a_b-1.0-py3-none-any.whl", "url", "a-b"),
        (f"https://e.org/a-1.0.tar.gz#sha256={SHA}", "url", "a"),
    ],
)
def test_words(text: str, kind: str, name: str | None) -> None:
    found = words.parse_word(text)
    assert (found.kind, found.name, found.text) == (kind, name, text.strip())
    assert found.path is None


def test_local_wheels() -> None:
    found = words.parse_word("wheels/My_pkg-1.0+cu12-py3-none-any.whl[x]")
    path = "wheels/My_pkg-1.0+cu12-py3-none-any.whl"
    assert found == words.Word("file", f"./{path}[x]", "my-pkg", path)
    found = words.parse_word("././a-1.0.tar.gz ; os_name == 'posix'")
    assert found.text == "./a-1.0.tar.gz ; os_name == 'posix'"
    assert found.path == "a-1.0.tar.gz"


def test_hashes_stay_on_the_line() -> None:
    found = words.parse_word(f"x==1.0   --hash sha256:{SHA} --hash=sha256:{SHA}")
    assert found.text == f"x==1.0 --hash=sha256:{SHA} --hash=sha256:{SHA}"
    assert found.text.count(" --hash=") == 2
    assert found.name == "x"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "cannot be empty"),
        ("-r x", "is an option"),
        ("--pre", "is an option"),
        ("-e .", "editable package"),
        ("-e git+https://e.org/x", "editable package"),
        ("x\ny", "line break"),
        ("x\r", "control character"),
        ("x\x1b[2J", "control character"),
        ("x\u2028y", "control character"),
        ("pаndas", "letters that no package name"),  # a Cyrillic a
        ("a b", "is not a Python requirement"),
        ("x;y", "is not a Python requirement"),
        ("x=1.0", "write =="),
        ("x[a]=1.0", "write =="),
        ("x>", "is not a Python requirement"),
        ("x$(id)", "must not hold '$'"),
        ("x`id`", "must not hold '`'"),
        ("x\\", "must not hold '\\'"),
        ("x && id", "is not a Python requirement"),
        ("x==1 --config-settings a=b", "options of a single package"),
        ("x==1 --hash=md5:1", "options of a single package"),
        ("x # why", "holds a comment"),
        (".", "is not a file"),
        ("./folder", "is a folder"),
        ("../x-1.0-py3-none-any.whl", "outside of the image's folder"),
        ("/tmp/x-1.0-py3-none-any.whl", "outside of the image's folder"),
        ("~/x.whl", "outside of the image's folder"),
        ("a,b/x.whl", "a path may hold"),
        ("x.whl[a", "is not a Python requirement"),
        ("file:///etc/x.whl", "write a local wheel as"),
        ("x @ file:///etc/x.whl", "write a local wheel as"),
        ("x @ ./x.whl", "behind @ stands a URL"),
        ("git+ssh://git@e.org/x", "has no SSH keys"),
        ("git@github.com:a/b", "has no SSH keys"),
        ("git+git@github.com:a/b", "has no SSH keys"),
        ("hg+https://e.org/x", "is not supported"),
        ("https://e.org/page", "is not an archive"),
        ("https://", "names no host"),
        ("https:///x.whl", "names no host"),
        ("https://e.org:port/x.whl", "is not a URL"),
        ("https://e.org/x.whl;id", "is not an archive"),
        ("https://e.org/$(id).whl", "must not hold '$'"),
        ("https://e.org/'.whl", "is not a URL"),
        ("https://e.org/x.whl ; nonsense", "is not a Python requirement"),
    ],
)
def test_what_is_no_requirement(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        words.parse_word(text)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:S3CRET@e.org/x.whl",
        "https://S3CRET@e.org/x.whl",
        "git+https://S3CRET@github.com/a/b",
        "x @ git+https://me:S3CRET@github.com/a/b",
        "git+https://${USER}:S3CRET@github.com/a/b",
        "https://a@b:S3CRET@e.org/x.whl",
        "https://me:S3CRET@e.org/x.whl --config-settings a",
        "x=1 @ https://me:S3CRET@e.org/x.whl",
    ],
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="://") as caught:
        words.parse_word(text)
    assert "S3CRET" not in str(caught.value)


def test_what_to_do_with_a_password() -> None:
    with pytest.raises(ValueError, match="password or token") as caught:
        words.parse_word("https://me:S3CRET@e.org/x.whl")
    assert "write ${NAME} for it" in str(caught.value)


def test_a_token_behind_the_address_is_refused() -> None:
    with pytest.raises(ValueError, match="password or token"):
        words.parse_word("https://e.org/x.whl?private_token=S3CRET")
    assert words.parse_word("https://e.org/x.whl?token=${TOKEN}").kind == "url"


def test_passwords_are_hidden() -> None:
    hide = words.hide_password
    assert hide("see https://a:b@e.org/x?y") == "see https://***@e.org/x?y"
    assert hide("git+https://${T}@e.org/x") == "git+https://${T}@e.org/x"
    assert hide("https://e.org/@x") == "https://e.org/@x"


def test_variables() -> None:
    lines = ["git+https://a:${B_1}@e.org/x", "--index-url https://${A}@e.org/${B_1}"]
    assert words.variables(lines) == ("A", "B_1")


REQUIREMENT = st.from_regex(
    r"[A-Za-z0-9._-]{1,8}(\[[a-z,]{1,4}\])? ?([<>=!~]{1,2} ?[0-9a-z.*+!]{1,5}){0,2}",
    fullmatch=True,
)


@given(st.one_of(st.text(max_size=40), REQUIREMENT))
@example("pkg>=1.0")
@example("a;os_name=='#'")
def test_a_word_is_one_line_of_a_requirements_file(text: str) -> None:
    try:
        found = words.parse_word(text)
    except ValueError:
        return
    assert found.text.isascii()
    assert found.text.isprintable()
    assert not found.text.startswith("-")
    assert " #" not in found.text
    assert not set(found.text) & set("\\`$")
    # What was read is read the same again, so a file can be written and read for ever.
    assert words.parse_word(found.text) == found


@given(st.one_of(REQUIREMENT, st.from_regex(words._PLAIN, fullmatch=True)))
def test_the_short_way_takes_what_the_full_parser_takes(text: str) -> None:
    if words._PLAIN.fullmatch(text) and not text.endswith(words.ARCHIVES):
        assert normal_name(Requirement(text).name) == words.parse_word(text).name


@given(st.text(max_size=30))
def test_a_path_stays_in_the_folder(text: str) -> None:
    try:
        path = words.check_path(text)
    except ValueError:
        return
    assert not path.startswith(("/", "-", "~"))
    assert ".." not in path.split("/")
    assert not set(path) & set(" \t\n'\"\\$`;&|(){}<>*?[],:")


def test_archive_names() -> None:
    name = words.archive_name
    assert name("x/Foo_Bar-2.0.1-1-cp311-cp311-linux_x86_64.whl") == (
        "foo-bar",
        "2.0.1",
    )
    assert name("https://e.org/foo-bar-1.0rc1.tar.gz?x=y") == ("foo-bar", "1.0rc1")
    assert name("odd.zip") == (None, None)
