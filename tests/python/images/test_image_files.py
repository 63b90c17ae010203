"""source/dockerfile.py: the rendered part, and that everything else is the user's."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ds01.core.errors import Exit, HelperError
from ds01.images.source import dockerfile
from ds01.images.source.dockerfile import State

PART = "FROM a:b\nUSER root\n# x\n"
OTHER = "FROM a:c\n"
FRESH = dockerfile.merge(None, PART)


def test_a_file_from_the_beginning() -> None:
    assert dockerfile.examine(None) is State.FRESH
    assert dockerfile.examine(" \n") is State.FRESH
    assert dockerfile.examine(FRESH) is State.CLEAN
    assert dockerfile.managed_part(FRESH) == PART
    assert FRESH.count(PART) == 1
    first, last = FRESH.splitlines()[0], FRESH.splitlines()[4]
    assert first.startswith("# >>> DS01 renders these lines from image.yaml; write ")
    assert last == "# <<< DS01 renders these lines from image.yaml <<<"
    assert first.endswith(f"; sha256 {dockerfile.checksum(PART)} >>>")


def test_rendered_again() -> None:
    text = f"# syntax=docker/dockerfile:1\n{FRESH}RUN mine\n"
    merged = dockerfile.merge(text, OTHER)
    assert merged == text.replace(PART, OTHER).replace(
        dockerfile.checksum(PART), dockerfile.checksum(OTHER)
    )
    assert dockerfile.examine(merged) is State.CLEAN
    assert dockerfile.merge(merged, PART) == text


@pytest.mark.parametrize(
    "edited",
    [
        FRESH.replace("USER root", "USER x"),
        FRESH.replace("USER root\n", ""),
        FRESH.replace("# x\n", "# x\nRUN mine\n"),
        FRESH.replace("sha256 ", "sha256 0"),
        FRESH.replace(" >>>\n", "\n"),
    ],
)
def test_an_edit_inside_is_noticed(edited: str) -> None:
    assert edited != FRESH
    assert dockerfile.examine(edited) is State.EDITED
    assert dockerfile.merge(edited, PART) == FRESH
    adopted = dockerfile.adopt(edited)
    assert dockerfile.examine(adopted) is State.ADOPTED
    assert ">>>" not in adopted
    body = edited.partition("\n")[2].partition("# <<<")[0]
    assert adopted.startswith(body)


def test_line_ends_of_an_editor_are_no_edit() -> None:
    text = FRESH.replace("\n", "\r\n")
    assert dockerfile.examine(text) is State.CLEAN
    merged = dockerfile.merge(text, OTHER)
    assert merged.endswith(dockerfile.merge(None, OTHER)[-1:])
    assert (
        merged.partition("# <<<")[2].partition("\n")[2]
        == (text.partition("# <<<")[2].partition("\n")[2])
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (FRESH.partition("# <<<")[0], "lines 1"),
        (FRESH + FRESH, r"lines 1, 5, 8, 12"),
        (FRESH[FRESH.index("# <<<") :], "lines 1"),
    ],
)
def test_markers_that_are_not_one_pair_need_a_person(text: str, lines: str) -> None:
    assert dockerfile.examine(text) is State.EDITED
    assert dockerfile.managed_part(text) is None
    with pytest.raises(HelperError, match=lines) as caught:
        dockerfile.merge(text, OTHER)
    assert caught.value.code == Exit.CONFIG
    assert dockerfile.examine(dockerfile.adopt(text)) is State.ADOPTED


def test_an_own_file_is_never_rendered() -> None:
    assert dockerfile.examine("FROM x\n") is State.ADOPTED
    with pytest.raises(HelperError, match="is your own"):
        dockerfile.merge("FROM x\n", PART)


def test_block_at_the_end() -> None:
    own = "FROM x\nRUN y"
    one = dockerfile.add_block(own, "RUN a\n")
    assert one.startswith(f"{own}\n# >>> DS01 added these packages later; ")
    assert one.endswith("RUN a\n# <<< DS01 added these packages later <<<\n")
    assert dockerfile.examine(one) is State.ADOPTED
    two = dockerfile.add_block(f"{one}RUN z\n", "RUN b\n")
    assert "RUN a" not in two
    assert two.endswith("later <<<\nRUN z\n")
    assert dockerfile.add_block(two, "") == f"{own}\nRUN z\n"
    # Edited by hand it is the user's, and stays.
    edited = one.replace("RUN a", "RUN mine")
    three = dockerfile.add_block(edited, "RUN b\n")
    assert three.startswith(f"{own}\nRUN mine\n# >>> ")
    assert three.count(">>> DS01") == 1


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("FROM x\n", None),
        ("FROM x\nUSER a\nuser b:c\nRUN USER d\n", "b:c"),
        ("FROM x\nUSER a\nFROM y\n", None),
        ("FROM x\n" + dockerfile.add_block("USER a\n", "USER root\n"), "a"),
    ],
)
def test_last_user(text: str, user: str | None) -> None:
    assert dockerfile.last_user(text) == user


def test_diff() -> None:
    assert dockerfile.diff("a\nb\n", "a\nc\n", "now", "new") == (
        "--- now\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    )
    assert dockerfile.diff("a\n", "a\n", "now", "new") == ""


# Whatever bytes a file holds come in like this.
TEXTS = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape")),
    st.lists(
        st.sampled_from(["RUN x", "# >>> mine", "\r", "\f", "\u2028", "", "# <<<"])
    )
    .map("\n".join)
    .map(str),
)
BODIES = st.lists(st.sampled_from(["FROM a", "USER b", "# c", ""]), min_size=1).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


def plain(text: str) -> bool:
    return "DS01" not in text


@given(TEXTS, TEXTS, BODIES, BODIES)
def test_everything_outside_the_markers_is_kept_byte_for_byte(
    above: str, below: str, body: str, other: str
) -> None:
    assume(plain(above) and plain(below))
    head = f"{above}\n" if above else ""
    text = head + dockerfile.wrap(body) + below
    assert dockerfile.examine(text) is State.CLEAN
    merged = dockerfile.merge(text, other)
    assert merged == head + dockerfile.wrap(other) + below
    assert dockerfile.examine(merged) is State.CLEAN
    assert dockerfile.managed_part(merged) == other
    assert dockerfile.adopt(text) == head + body + below


@given(TEXTS, BODIES, st.data())
def test_any_edit_inside_is_noticed(below: str, body: str, data: st.DataObject) -> None:
    assume(plain(below))
    text = dockerfile.wrap(body) + below
    start = text.index("\n") + 1
    at = data.draw(st.integers(start, start + len(body) - 1))
    sign = data.draw(st.sampled_from("x #\t"))
    assert dockerfile.examine(text[:at] + sign + text[at:]) is State.EDITED


@given(TEXTS, BODIES, BODIES)
def test_a_block_changes_nothing_before_it(own: str, body: str, other: str) -> None:
    assume(plain(own) and own.strip())
    with_block = dockerfile.add_block(own, body)
    ending = "" if own.endswith("\n") else "\n"
    assert with_block == own + ending + with_block[len(own + ending) :]
    assert dockerfile.add_block(with_block, other) == dockerfile.add_block(own, other)
    assert dockerfile.add_block(with_block, "") == own + ending
