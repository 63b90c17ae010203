"""Which image is chosen, and the folder from which mlc is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlc_catalog import Entry, parse

import catalog
from ds01.core import settings
from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.images.shelf import catalog as shelf_catalog
from ds01.images.shelf.catalog import (
    age_key,
    check_shared,
    choose,
    custom_entry,
    line,
    newest_first,
)
from ds01.images.shelf.image import Image

TEXT = """\
# comment
Pytorch, 2.8.0-aime, [CUDA_ADA], aimehub/pytorch-2.8.0-aime-cuda12.6.3
Pytorch, 2.8.0, [CUDA_BLACKWELL], aimehub/pytorch-2.8.0-cuda12.8.1
Pytorch, 2.8.0, [CUDA_ADA], aimehub/pytorch-2.8.0-cuda12.6.3
Pytorch, 2.10.0, [CUDA_ADA;CUDA_AMPERE], aimehub/pytorch-2.10.0
Tensorflow, 2.16.1, [CUDA_ADA], aimehub/tensorflow-2.16.1-cuda12.3
Debian, bookworm, [CPU], ds01/debian:bookworm
"""
ENTRIES = parse(TEXT, "test")


def refused(*words: str | None) -> HelperError:
    with pytest.raises(HelperError) as caught:
        choose(ENTRIES, str(words[0]), words[1], str(words[2]))
    assert caught.value.code == Exit.NOT_FOUND
    return caught.value


def test_another_hint_where_no_framework_is_near() -> None:
    with pytest.raises(HelperError) as caught:
        choose(ENTRIES, "python3", "a.py", "CPU", "run 'x -- python3 a.py'")
    assert caught.value.message.startswith("framework 'python3' not found; known are ")
    assert caught.value.hint == "run 'x -- python3 a.py'"
    with pytest.raises(HelperError) as caught:
        choose(ENTRIES, "Pytorhc", None, "CPU", "run 'x -- Pytorhc'")
    assert caught.value.hint == "did you mean 'Pytorch'?"


def test_the_newest_version_is_taken_numbers_as_numbers() -> None:
    assert choose(ENTRIES, "pytorch", None, "CUDA_ADA").version == "2.10.0"
    without = [e for e in ENTRIES if e.version != "2.10.0"]
    assert choose(without, "PyTorch", None, "CUDA_ADA").version == "2.8.0"
    assert age_key(ENTRIES[0]) < age_key(ENTRIES[1])


def test_a_version_and_the_architecture_choose_the_image() -> None:
    assert choose(ENTRIES, "Pytorch", "2.8.0", "CUDA_ADA").image.endswith("12.6.3")
    assert choose(ENTRIES, "Pytorch", "2.8.0", "CUDA_BLACKWELL").image.endswith("8.1")
    assert choose(ENTRIES, "pytorch", "2.8.0-AIME", "CUDA_ADA").image.endswith("12.6.3")


def test_cpu_images_run_anywhere() -> None:
    for architecture in ("CPU", "CUDA_ADA", "ROCM6"):
        assert choose(ENTRIES, "debian", None, architecture).version == "bookworm"


def test_what_is_not_there_names_the_nearest() -> None:
    assert refused("pytroch", None, "CUDA_ADA").hint == "did you mean 'Pytorch'?"
    assert "Debian" in str(refused("zzz", None, "CPU").hint)
    assert refused("Pytorch", "2.8.1", "CUDA_ADA").hint == "did you mean '2.8.0'?"
    error = refused("Pytorch", None, "CPU")
    assert "architecture 'CPU'" in error.message
    assert "CUDA_ADA" in str(error.hint)


def test_newest_first_groups_by_framework() -> None:
    names = [(e.framework, e.version) for e in newest_first(ENTRIES)]
    assert names[:2] == [("Debian", "bookworm"), ("Pytorch", "2.10.0")]
    assert names[-1] == ("Tensorflow", "2.16.1")


def test_a_custom_image_becomes_an_entry_that_mlc_reads_back() -> None:
    entry = custom_entry("host.example:5000/a/b_c:v1.2", "CUDA_ADA")
    assert entry.framework == "Custom"
    assert parse(line(entry), "x") == [entry]


@pytest.mark.parametrize(
    "image", ["", "a b", "-x", "A/b", "x:", "a,b", "../x", "x@sha256:12", "a//b", "a\n"]
)
def test_what_is_no_image_name_is_refused(image: str) -> None:
    with pytest.raises(HelperError) as caught:
        custom_entry(image, "CPU")
    assert caught.value.code == Exit.USAGE


@given(st.text(max_size=60))
def test_no_text_gets_a_second_line_or_field_into_the_catalog(text: str) -> None:
    try:
        entry = custom_entry(text, "CPU")
    except HelperError:
        return
    assert parse(line(entry), "x") == [entry]


def test_the_overlay_links_mlc_and_holds_the_merged_catalog(tmp_path: Path) -> None:
    home = tmp_path / "mlc höme"
    home.mkdir()
    (home / "mlc.py").write_text("print('x')\n", encoding="utf-8")
    (home / "ml_images.repo").write_text(TEXT, encoding="utf-8")
    folder = tmp_path / "overlay"
    shelf_catalog.write_overlay(folder, home, ENTRIES, "CUDA_ADA")
    assert (folder / "mlc.py").resolve() == home / "mlc.py"
    assert not (folder / "ml_images.repo").is_symlink()
    merged = parse((folder / "ml_images.repo").read_text(encoding="utf-8"), "x")
    debian = next(e for e in merged if e.framework == "Debian")
    # AIME's mlc knows no CPU images: the chosen architecture is added.
    assert debian.architectures == ("CPU", "CUDA_ADA")
    assert len(merged) == len(ENTRIES)


def test_the_site_catalog_is_added_and_its_errors_name_the_line(tmp_path: Path) -> None:
    site = tmp_path / "site.repo"
    site.write_text("# mine\nOurs, 1, [CPU], lab/ours\n", encoding="utf-8")
    assert shelf_catalog.read_site(site) == [Entry("Ours", "1", ("CPU",), "lab/ours")]
    site.write_text("Ours, 1, lab/ours\n", encoding="utf-8")
    with pytest.raises(HelperError) as caught:
        shelf_catalog.read_site(site)
    assert caught.value.code == Exit.CONFIG
    assert f"{site}:1:" in caught.value.message


def test_an_mlc_without_catalog_is_a_missing_prerequisite(tmp_path: Path) -> None:
    with pytest.raises(HelperError) as caught:
        shelf_catalog.merged(settings.Settings(site_catalog=None), tmp_path)
    assert caught.value.code == Exit.PREREQUISITE


def test_the_architecture_is_asked_environment_setting_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MLC_ARCH", raising=False)
    monkeypatch.setattr(shelf_catalog, "host_architecture", lambda: "HOST")
    settled = settings.Settings()
    assert shelf_catalog.chosen_architecture(None, settled) == "HOST"
    settled = settings.Settings(architecture="SET")
    assert shelf_catalog.chosen_architecture(None, settled) == "SET"
    monkeypatch.setenv("MLC_ARCH", "ENV")
    assert shelf_catalog.chosen_architecture(None, settled) == "ENV"
    assert shelf_catalog.chosen_architecture("ASKED", settled) == "ASKED"


def test_list_prints_this_hosts_images(
    ds01_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("DS01_MLC_HOME", raising=False)
    assert catalog.main(["list", "--arch", "CUDA_AMPERE"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert ds01_root.is_dir()
    assert shown["architecture"] == "CUDA_AMPERE"
    found = {(e["framework"], e["version"]) for e in shown["images"]}
    assert ("Debian", "bookworm") in found
    assert ("Pytorch", "2.7.1") in found
    assert ("Pytorch", "2.8.0") not in found


@pytest.mark.engine
def test_the_base_is_missing_only_where_it_is_asked_for(
    ds01_root: Path,
    docker_host: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def missing(*words: str) -> str | None:
        assert catalog.main(["base", *words]) == 0
        found: str | None = json.loads(capsys.readouterr().out)["missing"]
        return found

    assert ds01_root.is_dir()
    assert docker_host
    assert missing("--framework", "Debian", "--version", "bookworm") is None
    assert missing("--image", "ds01/none:x") is None
    monkeypatch.setattr(shelf_catalog, "BASE_IMAGE", "ds01/none:x")
    assert missing("--framework", "Debian") is None
    assert missing("--image", "ds01/none:x") == "ds01/none:x"


@pytest.mark.engine
def test_aimes_mlc_gets_a_name_without_tag(docker_host: str) -> None:
    with Engine(docker_host) as engine:
        assert shelf_catalog.untagged(engine, "aimehub/pytorch") == "aimehub/pytorch"
        alias = shelf_catalog.untagged(engine, "ds01/debian:bookworm")
        try:
            assert ":" not in alias
            original = engine.image("ds01/debian:bookworm")
            renamed = engine.image(alias)
            assert original is not None
            assert renamed is not None
            assert renamed["Id"] == original["Id"]
        finally:
            engine.call("DELETE", f"/images/{alias}")
        with pytest.raises(HelperError) as caught:
            shelf_catalog.untagged(engine, "127.0.0.1:1/none:tag")
        assert caught.value.code == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("mine", "shared", "uid", "may"),
    [
        (False, False, 1000, False),
        (False, True, 1000, True),
        (True, False, 1000, True),
        (False, False, 0, True),
    ],
)
def test_what_others_do_not_share_is_theirs(
    mine: bool, shared: bool, uid: int, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image(
        name="x",
        reference="ds01/bob/x:latest",
        id="sha256:0a",
        user="bob",
        uid=4000,
        mine=mine,
        shared=shared,
        size=1,
        base="-",
        base_digest="-",
        created="-",
        architecture="-",
        framework="-",
        source="-",
        made_by="image-create",
    )
    monkeypatch.setattr("os.getuid", lambda: uid)
    check_shared("ds01/alice/x", [image])
    for word in ("ds01/bob/x", "docker.io/ds01/bob/x:latest"):
        if may:
            check_shared(word, [image])
        else:
            with pytest.raises(HelperError, match="bob's, who does not share it"):
                check_shared(word, [image])
