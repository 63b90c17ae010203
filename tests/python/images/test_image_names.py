"""source/names.py: what may be the name of an image, and what it is called in full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core.errors import Exit, HelperError
from ds01.images.source import names


@pytest.mark.parametrize("name", ["a", "cv-lab", "x.y_z", "0", "a1-b2", "a" * 63])
def test_names(name: str) -> None:
    assert names.check_name(name) == name


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("../x", "x"),
        ("a b", "a-b"),
        ("CV", "cv"),
        ("-x", "x"),
        ("x-", "x"),
        (".x", "x"),
        ("a/b", "a-b"),
        ("a:b", "a-b"),
        ("a__b", "a-b"),
        ("", "my-image"),
        ("..", "my-image"),
        ("ü", "my-image"),
        ("a\n", "a"),
        ("$(id)", "id"),
        ("a" * 64, "a" * 63),
    ],
)
def test_what_is_no_name_is_refused_with_the_rule(name: str, near: str) -> None:
    with pytest.raises(HelperError) as caught:
        names.check_name(name)
    assert caught.value.code == Exit.USAGE
    assert caught.value.message == f"'{name}' is not a name for an image"
    assert caught.value.hint == f"{names.NAME_RULE}, such as '{near}'"


@given(st.text(max_size=70))
def test_a_name_never_leaves_its_place(name: str) -> None:
    try:
        names.check_name(name)
    except HelperError as error:
        suggested = str(error.hint).rpartition("'")[0].rpartition("'")[2]
        assert names.check_name(suggested) == suggested
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._")
    assert name[0].isalnum()
    assert ".." not in name


@pytest.mark.parametrize(
    ("user", "part"),
    [
        ("alice", "alice"),
        ("a.b-c_d", "a.b-c_d"),
        ("Alice", "1003"),
        ("alice@example.org", "1003"),
        ("1004", "1003"),
        ("-x", "1003"),
        ("x" * 65, "1003"),
        (None, "1003"),
        ("", "1003"),
    ],
)
def test_owner(user: str | None, part: str) -> None:
    assert names.owner_part(user, 1003) == part
    full = names.reference(user, 1003, "lab")
    assert full == f"ds01/{part}/lab:latest"
    assert names.check_image(full) == full


@given(st.text(max_size=70), st.integers(0, 2**32 - 1))
def test_nobody_can_be_taken_for_another_by_number(user: str, uid: int) -> None:
    part = names.owner_part(user, uid)
    assert part == str(uid) or not part.isdigit()
    assert names.check_image(f"ds01/{part}/x:latest")


@pytest.mark.parametrize(
    "image", ["", "A/b", "a b", "x\ny", "-x", "a:b:c", "a AS b", "$X", "x" * 401]
)
def test_what_is_no_image(image: str) -> None:
    with pytest.raises(HelperError, match="is not an image name"):
        names.check_image(image)
