"""image_context: what of a folder goes to the builder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.core.errors import HelperError
from ds01.images.build.stage import context_checksum
from ds01.images.source.context import base_of, check_labels, gather, sources

TEXT = """\
# syntax=docker/dockerfile:1
ARG X=1
FROM debian:12 AS first
FROM --platform=linux/amd64 first
COPY --from=first /a /b
COPY --chown=1:1 one "two words" /there/
COPY ["j son", "/x"]
ADD https://example.org/x.tar /x
ADD part \\
    # a comment in between
    more /y/
RUN --mount=type=bind,source=bound,target=/z \\
    --mount=type=cache,target=/c true
RUN echo COPY no /no
copy ../outside .ds01/own.txt /o/
"""


def test_what_a_dockerfile_names() -> None:
    assert sources(TEXT) == (
        *("one", "two words", "j son", "part", "more", "bound"),
        *("../outside", ".ds01/own.txt"),
    )


def test_the_base_is_the_last_stages() -> None:
    assert base_of(TEXT) == "debian:12"
    assert base_of("FROM a\nFROM b:${X}\n") is None
    assert base_of("RUN true\n") is None


def test_only_what_is_named_is_taken(tmp_path: Path) -> None:
    folder, target = tmp_path / "from", tmp_path / "to"
    (folder / "sub/deep").mkdir(parents=True)
    target.mkdir()
    for name in ("a.txt", "b.txt", "data.bin", "sub/deep/x", ".git", ".dockerignore"):
        (folder / name).write_text(name)
    (folder / "sub/link").symlink_to("/etc/passwd")
    gather(folder, ["*.txt", "sub", "../../etc", "missing", "/sub/deep"], target)
    found = sorted(str(p.relative_to(target)) for p in target.rglob("*"))
    wanted = [".dockerignore", "a.txt", "b.txt", "sub", "sub/deep", "sub/deep/x"]
    assert found == [*wanted, "sub/link"]
    assert (target / "sub/link").is_symlink()
    gather(folder, ["."], target)
    assert (target / "data.bin").exists()
    assert not (target / ".git").exists()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("LABEL ds01.managed=1", "ds01.managed"),
        ('label a=b \\\n  "DS01.uid"="0"', "DS01.uid"),
        ("LABEL aime.mlc.USER root", "aime.mlc.USER"),
        ("ONBUILD LABEL ds01.build.helper=1.2.x", "ds01.build.helper"),
        ("ARG K=ds01.x\nLABEL $K=1", "$K"),
    ],
)
def test_labels_that_say_whose_a_container_is_are_refused(
    line: str, named: str
) -> None:
    with pytest.raises(HelperError, match="sets the label") as told:
        check_labels(f"FROM x\n{line}\n")
    assert f"'{named}'" in told.value.message


def test_other_labels_are_the_users() -> None:
    text = 'FROM x\nLABEL maintainer="a ds01.x" org.x=1\nRUN echo LABEL ds01.x=1\n'
    check_labels(text)


def test_the_checksum_of_a_context_follows_no_links(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "file").write_text("1")
    (context / "link").symlink_to("/dev/zero")
    first = context_checksum(tmp_path)
    (context / "link").unlink()
    (context / "link").symlink_to("/nowhere")
    assert context_checksum(tmp_path) != first


def test_what_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = tmp_path / "source", tmp_path / "context"
    (folder / "data/deep").mkdir(parents=True)
    (folder / "data/file").write_text("1")
    target.mkdir()

    def refuse(path: object, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Root may read everything.
    for name in ("os.link", "shutil.copy2"):
        monkeypatch.setattr(name, refuse)
    with pytest.raises(HelperError, match="file' cannot be read, and the Dockerfile"):
        gather(folder, ["data"], target)
    (folder / "data/file").unlink()
    gather(folder, ["data"], target)
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(HelperError, match="data' cannot be read, and the Dockerfile"):
        gather(folder, ["data"], target)
