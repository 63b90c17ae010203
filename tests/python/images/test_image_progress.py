"""image_progress: how far a build is, and why it failed."""

from __future__ import annotations

import os

import pytest

from ds01.core.errors import Exit
from ds01.images.versions.progress import (
    Step,
    Steps,
    failure_of,
    gone_versions,
    last_lines,
    step_of,
)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("Step 3/12 : USER root", Step(3, 12, "USER root")),
        (
            "Step 10/25 : RUN cd /opt/ds01     && uv pip install -r own.txt",
            Step(10, 25, "Python packages of 'own'"),
        ),
        (
            "#9 [stage-1 4/7] RUN apt-get update && apt-get install -y "
            "--no-install-recommends curl=7.8 git && rm -rf x",
            Step(4, 7, "Debian packages curl git"),
        ),
        ("#7 [3/7] COPY a b", Step(3, 7, "COPY a b")),
        ("#7 sha256:abc 1.2MB", None),
        ("Step 12/25 : LABEL ds01.image.uid=0", None),
    ],
)
def test_steps(line: str, step: Step | None) -> None:
    assert step_of(line) == step


@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        (["#9 1.2 E: Unable to locate package gti"], Exit.CONFIG, "'gti'"),
        (["  × Failed to build `lxml==1.0`"], Exit.CONFIG, "'lxml==1.0'"),
        (["error: Failed to download `six==1`", "dns error"], 7, "network"),
        (["tar: /x: No space left on device"], Exit.PREREQUISITE, "disk"),
        (["COPY failed: file not found in build context: a"], 3, "file not found"),
        (["The command '/bin/sh -c false' returned 1"], Exit.CONFIG, "false"),
        ([], Exit.CONFIG, "nothing"),
    ],
)
def test_failures_are_named(lines: list[str], code: int, told: str) -> None:
    found = failure_of(lines)
    assert found.code == code
    assert told in found.reason


def test_a_version_that_is_gone_is_found_through_colours() -> None:
    line = "\x1b[91mE: \x1b[0m\x1b[91mVersion '0.1-1' for 'tree' was not found\x1b[0m"
    assert gone_versions([line, line]) == [("tree", "0.1-1")]


def test_the_last_lines_say_something() -> None:
    assert last_lines(["a", "#8 0.312 b", " ", "---"]) == ["a", "b"]


def test_steps_are_counted_as_they_are_known() -> None:
    out, into = os.pipe()
    steps = Steps(into)
    steps.begin("looking into 'x'")
    steps.expect(2)
    for text in ("a", "b", "more than was known"):
        steps.begin(text)
    os.close(into)
    with os.fdopen(out) as told:
        assert told.read().splitlines() == [
            "step 1/1 looking into 'x'",
            "step 2/3 a",
            "step 3/3 b",
            "step 4/4 more than was known",
        ]
    # Told nowhere, and where nobody listens any more, it does no harm.
    Steps().begin("a")
    steps.begin("b")
