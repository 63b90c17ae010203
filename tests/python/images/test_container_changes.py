"""container_changes: from the engine's list of changed files to words for a spec."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.containers.containers import Container, from_summary
from ds01.images.shelf import changes
from ds01.images.shelf.changes import Dist, Found

SITE = "/usr/local/lib/python3.11/dist-packages"
ADDED, CHANGED, DELETED = 1, 0, 2


def installed(name: str, version: str, *, asked: bool = False) -> list[changes.Change]:
    folder = f"{SITE}/{name}-{version}.dist-info"
    files = [folder, f"{folder}/METADATA", f"{folder}/RECORD"]
    if asked:
        files.append(f"{folder}/REQUESTED")
    return [(path, ADDED) for path in files]


def test_new_packages_are_known_by_their_records() -> None:
    found = changes.read_changes(
        [
            (SITE, CHANGED),
            *installed("rich", "13.9.4", asked=True),
            *installed("markdown_it_py", "4.0.0"),
        ]
    )
    assert set(found.added) == {"rich", "markdown-it-py"}
    assert found.added["rich"].requested
    assert not found.added["markdown-it-py"].requested
    assert found.added["rich"].folder == f"{SITE}/rich-13.9.4.dist-info"
    assert found.removed == {}


def test_another_version_is_added_and_the_old_one_removed() -> None:
    gone = (f"{SITE}/six-1.16.0.dist-info", DELETED)
    found = changes.read_changes([gone, *installed("six", "1.17.0", asked=True)])
    assert found.removed == {"six": "1.16.0"}
    assert found.added["six"].version == "1.17.0"


def test_packages_of_a_users_home_count_and_those_of_an_environment_do_not() -> None:
    home = "/home/alice/.local/lib/python3.11/site-packages/einops-0.8.2.dist-info"
    inside = "/home/alice/my env/lib/python3.11/site-packages/tomli-2.0.dist-info"
    found = changes.read_changes(
        [
            (home, ADDED),
            (f"{home}/REQUESTED", ADDED),
            ("/home/alice/my env/pyvenv.cfg", ADDED),
            (inside, ADDED),
            (f"{inside}/REQUESTED", ADDED),
        ]
    )
    assert set(found.added) == {"einops"}
    assert found.environments == {"/home/alice/my env"}


def test_packages_that_apt_brought_are_apts_matter() -> None:
    found = changes.read_changes(
        [
            ("/usr/lib/python3/dist-packages/pip-23.0.1.dist-info", ADDED),
            ("/var/lib/dpkg/info/python3-pip.list", ADDED),
            ("/var/lib/dpkg/info/libc6:amd64.list", CHANGED),
            ("/var/lib/dpkg/info/libx11-6:amd64.list", ADDED),
            ("/var/lib/dpkg/info/vim.list", DELETED),
            ("/var/lib/dpkg/info/python3-pip.md5sums", ADDED),
        ]
    )
    assert not found.added
    assert found.apt_added == {"python3-pip", "libx11-6"}
    assert found.apt_removed == {"vim"}


def test_what_leaves_no_record_is_noted() -> None:
    found = changes.read_changes(
        [
            (f"{SITE}/old_thing-1.0-py3.11.egg-info", ADDED),
            (f"{SITE}/linked.egg-link", ADDED),
        ]
    )
    assert found.old_style == {"old_thing", "linked"}


def test_other_files_tell_nothing() -> None:
    cache = "/root/.cache/uv/archive-v0/x/rich-13.9.4.dist-info"
    found = changes.read_changes([(cache, ADDED), ("/workspace/a.py", ADDED)])
    assert found == Found()


def dists(**asked: bool) -> dict[str, Dist]:
    return {name: Dist(name, "1", f"/{name}", asked[name]) for name in asked}


def test_what_was_asked_for_stands_for_what_it_needs() -> None:
    needs = {"rich": {"pygments"}, "pygments": set[str](), "six": set[str]()}
    added = dists(rich=True, pygments=False, six=True)
    assert changes.roots(added, needs) == ["rich", "six"]


def test_packages_of_an_extra_stand_for_themselves() -> None:
    # rich[jupyter] was asked for: nothing tells that ipywidgets belongs to it.
    needs = {"rich": set[str](), "ipywidgets": {"comm"}, "comm": set[str]()}
    added = dists(rich=True, ipywidgets=False, comm=False)
    assert changes.roots(added, needs) == ["ipywidgets", "rich"]


def test_a_circle_is_not_lost() -> None:
    assert changes.roots(dists(a=False, b=False), {"a": {"b"}, "b": {"a"}}) == ["a"]


@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefgh")), max_size=8
    ),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_roots_reach_everything_that_was_added(
    needs: dict[str, set[str]], asked: set[str]
) -> None:
    added = {name: Dist(name, "1", "/", name in asked) for name in needs}
    found = changes.roots(added, needs)
    reached, todo = set[str](), list(found)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(needs.get(name, ()))
    assert set(added) <= reached
    assert {name for name in asked if name in added} <= set(found)


def test_needs_are_those_without_an_extra() -> None:
    metadata = (
        "Metadata-Version: 2.1\nName: rich\nRequires-Dist: pygments (>=2.13,<3)\n"
        "Requires-Dist: ipywidgets>=7 ; extra == 'jupyter'\n"
        "Requires-Dist: typing_extensions; python_version < '3.11'\n\n"
        "Requires-Dist: no\n"
    )
    assert changes.needs_of(metadata) == {"pygments", "typing-extensions"}


@pytest.mark.parametrize(
    ("direct", "word"),
    [
        (None, "x==1"),
        ("rubbish", "x==1"),
        ({"url": "https://a/x-1.whl", "archive_info": {}}, "x @ https://a/x-1.whl"),
        (
            {"url": "https://a/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "x @ git+https://a/x@abc",
        ),
        (
            {
                "url": "https://a/x",
                "subdirectory": "py",
                "vcs_info": {"vcs": "git", "commit_id": "abc"},
            },
            "x @ git+https://a/x@abc#subdirectory=py",
        ),
    ],
)
def test_the_word_asks_for_what_is_installed(direct: object, word: str) -> None:
    text = direct if direct is None or isinstance(direct, str) else json.dumps(direct)
    assert changes.word_of(Dist("x", "1", "/"), text) == (word, None)


def test_a_local_file_has_no_word_but_a_note() -> None:
    direct = json.dumps({"url": "file:///workspace/x-1.whl", "archive_info": {}})
    word, why = changes.word_of(Dist("x", "1", "/"), direct)
    assert word is None
    assert why is not None
    assert "/workspace/x-1.whl" in why


STATUS = """Package: tree
Status: install ok installed
Version: 2.1.0-1
Description: shows trees
 with: a second line

Package: libz
Status: install ok installed
Version: 1

Package: gone
Status: deinstall ok config-files
Version: 3
"""
AUTOMATIC = "Package: libz\nArchitecture: amd64\nAuto-Installed: 1\n"


def test_debian_packages_are_those_that_somebody_asked_for() -> None:
    names = ["tree", "libz", "gone", "unknown"]
    assert changes.manual(names, STATUS, AUTOMATIC) == {"tree": "2.1.0-1"}
    assert changes.manual(["libz"], STATUS, "") == {"libz": "1"}


def item(framework: str) -> Container:
    return from_summary(
        {"Names": ["/c._.1000"], "Labels": {"aime.mlc.FRAMEWORK": framework}}
    )


def test_a_new_image_is_built_on_what_the_container_was_made_of() -> None:
    assert changes.base_words(item("Pytorch-2.8.0-aime"), {}, None) == [
        "--framework=Pytorch",
        "--version=2.8.0-aime",
        "--no-tiers",
    ]
    record = {"image": "some/image:1"}
    assert changes.base_words(item("Custom-some"), record, None) == [
        "--from=some/image:1",
        "--no-tiers",
    ]
    own = "ds01/alice/x:latest"
    assert changes.base_words(item("Custom-x"), record, own) == [
        f"--from={own}",
        "--no-tiers",
    ]


def test_an_imported_container_has_no_base() -> None:
    record = {"image": "mlc-import:c._.1000"}
    assert changes.base_words(item("Debian-bookworm"), record, None) is None
    assert changes.base_words(item("Custom-x"), {}, None) is None


def test_what_uv_brought_along_does_not_stand_for_itself() -> None:
    files = {
        f"{SITE}/polars-1.0.dist-info/METADATA": "Requires-Dist: runtime==1.0\n\n",
        f"{SITE}/polars-1.0.dist-info/INSTALLER": "uv",
        f"{SITE}/runtime-1.0.dist-info/METADATA": "Name: runtime\n\n",
        f"{SITE}/runtime-1.0.dist-info/INSTALLER": "uv\n",
    }
    found = changes.read_changes(
        [
            *installed("polars", "1.0", asked=True),
            *installed("runtime", "1.0", asked=True),
        ]
    )
    told = changes.describe(found, files.get)
    assert [item["word"] for item in told["pip"]] == ["polars==1.0"]
    # pip marks only what was asked for, and then it counts.
    files[f"{SITE}/runtime-1.0.dist-info/INSTALLER"] = "pip\n"
    found.added["runtime"].requested = True
    told = changes.describe(found, files.get)
    assert [item["word"] for item in told["pip"]] == ["polars==1.0", "runtime==1.0"]


def test_what_is_described_is_new_or_gone_or_said() -> None:
    found = changes.read_changes(
        [
            (f"{SITE}/six-1.16.0.dist-info", DELETED),
            (f"{SITE}/toolz-1.0.dist-info", DELETED),
            *installed("six", "1.17.0", asked=True),
            *installed("local", "1", asked=True),
            (f"{SITE}/local-1.dist-info/direct_url.json", ADDED),
            ("/home/a/env/pyvenv.cfg", ADDED),
            ("/var/lib/dpkg/info/tree.list", ADDED),
        ]
    )
    files = {
        f"{SITE}/local-1.dist-info/direct_url.json": '{"url": "file:///x/local-1.whl"}',
        "/var/lib/dpkg/status": STATUS,
    }
    assert changes.describe(found, files.get) == {
        "pip": [
            {"name": "six", "version": "1.17.0", "old": "1.16.0", "word": "six==1.17.0"}
        ],
        "apt": [{"name": "tree", "version": "2.1.0-1", "word": "tree"}],
        "removed": {"pip": ["toolz"], "apt": []},
        "notes": [
            "'local' came from '/x/local-1.whl': put it beside image.yaml",
            "the environment in '/home/a/env' stays in the container",
        ],
    }
