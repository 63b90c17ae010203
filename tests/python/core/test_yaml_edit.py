"""core/yaml_edit.py: what a person wrote stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.core import yaml_edit

OLD = """\
# mine
version: 1

name: x   # the name
base:
  # framework
  framework: Pytorch
  version: '2.7.1'  # pinned
# packages
pip:
  - numpy>=1.2   # because
  # note
  - "pandas"
tiers: [system, interactive]  # two

apt:
shared: false
added:
  pip: [a]
# end
"""


def change(**changed: object) -> str:
    data: dict[str, object] = {
        "version": 1,
        "name": "x",
        "base": {"framework": "Pytorch", "version": "2.7.1"},
        "pip": ["numpy>=1.2", "pandas"],
        "tiers": ["system", "interactive"],
        "added": {"pip": ["a"]},
    }
    data |= changed
    return yaml_edit.edit(OLD, {k: v for k, v in data.items() if v is not None})


def test_nothing_changes_nothing() -> None:
    assert change() == OLD


@pytest.mark.parametrize(
    ("changed", "old", "new"),
    [
        ({"name": "y"}, "name: x   #", "name: y   #"),
        (
            {"base": {"framework": "Pytorch", "version": "2.8.0"}},
            "version: '2.7.1'  # pinned",
            "version: 2.8.0  # pinned",
        ),
        (
            {"base": {"image": "a:b"}},
            "  # framework\n  framework: Pytorch\n  version: '2.7.1'  # pinned\n",
            "  # framework\n  image: a:b\n",
        ),
        ({"tiers": ["system"]}, "[system, interactive]", "[system]"),
        ({"tiers": None}, "tiers: [system, interactive]  # two\n", ""),
        ({"pip": ["numpy>=1.2"]}, '  - "pandas"\n', ""),
        ({"pip": ["pandas"]}, "  - numpy>=1.2   # because\n", ""),
        (
            {"pip": ["numpy>=1.2", "pandas", "git+https://e.org/x#egg=y"]},
            '  - "pandas"\n',
            '  - "pandas"\n  - git+https://e.org/x#egg=y\n',
        ),
        ({"apt": ["git"]}, "apt:\n", "apt: [git]\n"),
        ({"shared": True}, "shared: false", "shared: true"),
        ({"added": None}, "added:\n  pip: [a]\n", ""),
        ({"added": {}}, "added:\n  pip: [a]\n", "added: {}\n"),
        ({"files": {"a b": "/x"}}, "  pip: [a]\n", "  pip: [a]\nfiles:\n  a b: /x\n"),
    ],
)
def test_only_what_changes_changes(
    changed: dict[str, object], old: str, new: str
) -> None:
    assert OLD.count(old) == 1
    assert change(**changed) == OLD.replace(old, new)


def test_files_that_cannot_be_changed_in_place_are_written_anew() -> None:
    data = {"version": 1, "pip": ["x"]}
    for old in ("{version: 1}", "version: 1\npip: &a [y]\napt: *a\n", "a: ["):
        text = yaml_edit.edit(old, data, "# head\n")
        assert text == "# head\nversion: 1\npip: [x]\n"


def test_line_ends_of_other_systems() -> None:
    old = "version: 1\r\npip:\r\n- a\r\n- b\r\n"
    text = yaml_edit.edit(old, {"version": 1, "pip": ["b", "c"]})
    assert text == "version: 1\r\npip:\r\n- b\r\n- c\n"


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
VALUES = st.one_of(
    TEXTS,
    st.booleans(),
    st.lists(TEXTS, max_size=4),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
)
DATA = st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=5)


def said(data: dict[str, object]) -> object:
    return {
        key: {True: "true"}.get(value, value) if isinstance(value, bool) else value
        for key, value in data.items()
        if value not in (False, [], {}, "null", "~", "false")
    }


@given(DATA, DATA, st.booleans())
def test_what_is_written_is_what_was_meant(
    old: dict[str, object], new: dict[str, object], is_commented: bool
) -> None:
    before = yaml_edit.edit(None, old)
    if is_commented:
        before = "".join(f"# c\n{line}\n" for line in before.splitlines())
    after = yaml_edit.edit(before, new)
    found = yaml_edit.values(after)
    assert isinstance(found, dict) or not said(new)
    assert said(found if isinstance(found, dict) else {}) == said(new)
