"""complete, completion_words: what the word under the cursor may be."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_command_header import LAUNCHER

from ds01.help import words as help_words
from ds01.help.complete import complete, is_literal, meaning, slot_at, sort_out
from ds01.help.header import parse_header, read_all, usage_words

ROOT = Path(__file__).resolve().parents[3]
HEADER = parse_header("thing-do", LAUNCHER)


def names(*words: str) -> tuple[str, ...]:
    """What the header calls the word at the end."""
    return slot_at(HEADER, sort_out(HEADER, words[:-1]), words[-1]).names


def given(*words: str) -> list[str]:
    """The words that the header itself gives for the last one."""
    slot = slot_at(HEADER, sort_out(HEADER, words[:-1]), words[-1])
    return [word for word, _ in slot.words]


def test_a_word_is_what_the_usage_has_at_its_place() -> None:
    assert names("") == ("NAME",)
    assert names("x", "") == ("KIND",)
    assert names("x", "--all", "y", "") == ("VERSION",)
    assert names("x", "y", "z", "") == ()
    assert names("x", "--", "") == ("COMMAND",)
    assert names("x", "--", "a", "-b", "-") == ("COMMAND",)


def test_a_verb_is_offered_and_leads_to_its_own_words() -> None:
    assert given("") == ["undo"]
    # A name may be like a verb: both ways to go on are offered.
    assert names("undo", "") == ("KIND", "NAME")
    assert names("undo", "x", "") == ("VERSION",)


def test_an_option_takes_its_value() -> None:
    assert names("--workspace", "") == ("DIR",)
    assert names("-w", "") == ("DIR",)
    assert names("-w", "a", "") == ("NAME",)
    assert names("--workspace=a", "") == ("NAME",)
    # A value that may be left out stands behind the sign only.
    assert names("--wait", "") == ("NAME",)
    assert names("--wait=") == ("DURATION",)


def test_a_value_of_named_words_is_one_of_them() -> None:
    assert given("--mode", "") == ["fast", "slow"]
    assert given("--only", "") == ["access", "ssh", "git"]
    assert given("--only=") == ["access", "ssh", "git"]


def test_options_are_offered_once_unless_they_repeat() -> None:
    assert "--all" in given("-") and "--wait=" in given("-")
    assert "--all" not in given("-a", "-") and "-a" not in given("--all", "-")
    assert "--only" in given("--only", "ssh", "-")
    assert given("--all=") == []
    assert given("--", "-") == ["undo"]


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "thing-do").write_text(LAUNCHER)
    (folder / "thing").write_text(
        "#!/bin/sh\n# Summary: Things\n#\n# Usage: thing COMMAND\n#\n# Options:\n"
        "#   -h, --help  list them\nlib/dispatch\n"
    )
    return folder


def test_a_dispatcher_offers_its_commands_and_leads_into_them(bin_folder: Path) -> None:
    assert list(complete(["thing", ""], bin_folder)) == ["do\tDo a thing"]
    assert list(complete(["thing", "--h"], bin_folder)) == ["--help\tlist them"]
    assert list(complete(["thing", "do", "--al"], bin_folder)) == ["--all\tall of them"]
    assert list(complete(["thing", "undo", ""], bin_folder)) == []
    assert list(complete(["/else/where/thing-do", "-w", ""], bin_folder)) == [
        ":folders"
    ]


def test_every_name_in_a_usage_or_option_has_words_or_is_known_to_have_none() -> None:
    """A new kind of word in a header is noticed here."""
    free = {
        *("SIZE", "DURATION", "LIST", "OPTION", "URL", "N", "EMAIL", "PLACE", "STEP"),
        *("GIT_NAME", "GIT_EMAIL", "PROJECT", "HOURS", "COUNT", "TEXT", "TIME"),
    }
    missing = []
    for command, header in read_all(ROOT / "bin").items():
        noun = command.partition("-")[0]
        found = {
            word.rstrip(".")
            for line in header.usage
            for word in usage_words(header, line)
            if word != "--" and not is_literal(word) and not header.is_dispatcher
        }
        found |= {
            meaning(option.value, option.long)
            for option in header.options
            if option.value and not option.choices and "|" not in option.value
        }
        missing += [
            f"{command}: {name}"
            for name in found - free - set(help_words.FILES)
            if name not in help_words.WORDS and f"{noun}-{name}" not in help_words.WORDS
        ]
    assert missing == []


def ask(*words: str, **environment: str) -> tuple[str, str]:
    """What the program prints on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-sE", str(ROOT / "python/complete.py"), "--", *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    return done.stdout, done.stderr


Place = Callable[[], str]


@pytest.fixture
def silent_engine(tmp_path: Path) -> Iterator[str]:
    """An engine that takes requests and never answers."""
    path = tmp_path / "silent.sock"
    kept = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def accept() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"unix://{path}"
        server.shutdown(socket.SHUT_RDWR)
    for each in kept:
        each.close()


def test_an_engine_that_never_answers_holds_nobody_up(
    silent_engine: str, tmp_path: Path
) -> None:
    folder = tmp_path / "root/etc/ds01"
    folder.mkdir(parents=True)
    for file in (ROOT / "config").glob("*.*"):
        if file.is_file():
            shutil.copy(file, folder)
    here = {"DOCKER_HOST": silent_engine, "DS01_ROOT": str(tmp_path / "root")}
    for words in (["container-run", ""], ["container", "run", ""]):
        assert ask(*words, **here) == ("", "")
    # The catalog needs no engine, and is not lost; on a machine that is full of other
    # work an answer may be given up in time, which is right too.
    for _ in range(60):
        out, err = ask("container-run", "x", "", **here)
        assert err == ""
        if out:
            break
    assert "Debian\t" in out


def test_what_goes_wrong_is_not_told(tmp_path: Path) -> None:
    gone = f"unix://{tmp_path}/none.sock"
    broken = tmp_path / "etc/ds01"
    broken.mkdir(parents=True)
    (broken / "ds01.yaml").write_text("{ not: [yaml")
    (broken / "resource-limits.yaml").write_text("nonsense: 1\n")
    for words in (
        ["container-run", ""],
        ["container-run", "x", ""],
        ["container-run", "--gpus", ""],
        ["no-such-command", ""],
        ["container-run"],
        ["container-run", "\udcff"],
        [],
    ):
        out, err = ask(*words, DOCKER_HOST=gone, DS01_ROOT=str(tmp_path))
        assert (out, err) == ("", ""), words


def test_a_reader_that_goes_away_is_no_error() -> None:
    words = [
        sys.executable,
        "-sE",
        str(ROOT / "python/complete.py"),
        "--",
        "image-create",
        "-",
    ]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
