"""core/program.py: the nearest known word; a result that cannot be written."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from ds01.core import disk_full
from ds01.core.paths import PROJECT_ROOT
from ds01.core.text import nearest


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("memroy", ["memory", "network"], "memory"),
        ("pytorhc", ["TensorFlow", "PyTorch"], "PyTorch"),
        ("PYTORCH", ["Pytorch"], "Pytorch"),
        ("straße", ["STRASSE"], "STRASSE"),
        ("zzz", ["memory", "network"], None),
        ("", ["memory"], None),
        ("memory", [], None),
    ],
)
def test_nearest_known_word(word: str, known: list[str], meant: str | None) -> None:
    assert nearest(word, known) == meant


def test_any_iterable_is_known() -> None:
    assert nearest("stop", iter(("start", "Stopp"))) == "Stopp"
    assert nearest("stopp", {"start": 1, "stop": 2}) == "stop"


FULL = Path("/dev/full")
# A helper that prints, with words of its own.
HELPER = """
import sys
sys.path.insert(0, sys.argv[1])
from ds01.core.program import run
def body(argv):
    print("x" * int(sys.argv[2]))
    return 0
sys.exit(run(body, "helper"))
"""


@pytest.mark.parametrize("size", [1, 100_000])
def test_output_that_cannot_be_written(size: int) -> None:
    words = [sys.executable, "-c", HELPER, str(PROJECT_ROOT / "python"), str(size)]
    with FULL.open("w") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, check=False, text=True
        )
    assert done.returncode == 7
    first, second = done.stderr.splitlines()
    assert first.startswith("helper: error: no space left on device: '/")
    assert second.startswith("helper: hint: free some; 'df -h /")


def test_the_full_file_system_is_where_the_error_was(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "", str(tmp_path / "none/there"))
    where = Path("/")
    for folder in reversed(tmp_path.parents):
        where = folder if folder.is_mount() else where
    assert disk_full.no_space(error).hint == f"free some; 'df -h {where}' tells more"
    copied = OSError(errno.ENOSPC, "", "/proc/self/status", None, str(tmp_path))
    assert disk_full.no_space(copied).message == f"no space left on device: '{where}'"


def test_a_used_up_share_is_told_as_such() -> None:
    told = disk_full.no_space(OSError(errno.EDQUOT, "", "/proc/self/fd"))
    assert told.message == "your share of the disk is used up: '/proc'"
    assert told.hint == "free some; 'quota -s' tells more"
