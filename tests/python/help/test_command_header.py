"""command_header: a launcher's comment as an object."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.help.header import Option, comment, nouns, parse_header, read_all, usage_words

ROOT = Path(__file__).resolve().parents[3]

LAUNCHER = """\
#!/bin/sh
# Summary: Do a thing
#
# Usage: thing-do [options] NAME [KIND [VERSION]] [-- COMMAND...]
#        thing-do undo NAME
#
# The first paragraph, which is
# of two lines.
#
#     a block
#       as it stands
#
# Verbs:
#   undo     take it back,
#            all of it
#
# Options:
#   -a, --all             all of them
#   -arch, --architecture show one blank (also --archi_tecture)
#       --wait[=DURATION]
#                         wait for it
#   -w, --workspace DIR   a folder
#                         of yours; repeatable
#       --only STEP       one step: access, ssh or git; may be repeated
#       --mode fast|slow  how
#   -h, --help            show this text
#
# Exit status: 7 if nothing is there.
#
# Files:
#   /etc/thing
#
# Examples:
#   thing-do x
#   thing-do y -- sh -c 'a | b' < words
set -eu
# Options: not of the header
"""


def test_every_part_is_read() -> None:
    header = parse_header("thing-do", LAUNCHER)
    assert header.summary == "Do a thing"
    assert header.usage == (
        "thing-do [options] NAME [KIND [VERSION]] [-- COMMAND...]",
        "thing-do undo NAME",
    )
    assert header.text == (
        "The first paragraph, which is of two lines.",
        "    a block\n      as it stands",
        "Exit status: 7 if nothing is there.",
    )
    assert header.verbs == (("undo", "take it back, all of it"),)
    assert header.examples == ("thing-do x", "thing-do y -- sh -c 'a | b' < words")
    assert header.others == {"Files": ("  /etc/thing",)}
    assert not header.is_dispatcher


def test_options_with_names_values_and_continued_text() -> None:
    options = {option.long: option for option in parse_header("x", LAUNCHER).options}
    assert options["all"] == Option(("-a", "--all"), text="all of them")
    assert options["architecture"].names == ("-arch", "--architecture")
    assert options["architecture"].value == ""
    assert options["architecture"].aliases == ("--archi_tecture",)
    assert options["wait"].words == "--wait[=DURATION]"
    assert options["wait"].value_is_optional and options["wait"].text == "wait for it"
    assert options["workspace"].words == "-w, --workspace DIR"
    assert options["workspace"].text == "a folder of yours; repeatable"
    assert options["workspace"].is_repeatable and not options["all"].is_repeatable
    assert options["only"].choices == ("access", "ssh", "git")
    assert options["workspace"].choices == ()
    assert options["mode"].value == "fast|slow"


def test_an_option_is_found_by_each_of_its_names() -> None:
    header = parse_header("x", LAUNCHER)
    for word in ("-arch", "--architecture", "--archi_tecture"):
        found = header.option(word)
        assert found is not None and found.long == "architecture"
    assert header.option("--arch") is None


def test_usage_words_are_those_after_the_command_without_options() -> None:
    header = parse_header("thing-do", LAUNCHER)
    assert [usage_words(header, line) for line in header.usage] == [
        ["NAME", "KIND", "VERSION", "--", "COMMAND..."],
        ["undo", "NAME"],
    ]


def test_a_usage_may_go_on_in_the_next_line() -> None:
    text = "#!/bin/sh\n# Summary: S\n#\n# Usage: x [options] NAME\n#          [FILE]\n"
    assert parse_header("x", text).usage == ("x [options] NAME [FILE]",)


@pytest.mark.parametrize("text", ["", "#!/bin/sh\n# Summary: S\n", "# Usage: x\n"])
def test_a_header_without_summary_or_usage_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no summary or no usage"):
        parse_header("x", text)


def test_the_comment_ends_with_the_first_line_of_code() -> None:
    assert comment(["#!/bin/sh", "# a", "#", "set -e", "# b"]) == ["a", ""]


def test_real_launchers_lose_nothing_that_their_headers_say() -> None:
    """Every word of every header is somewhere in what was read of it."""
    for path in sorted((ROOT / "bin").iterdir()):
        header = read_all(ROOT / "bin")[path.name]
        kept = " ".join(
            [header.summary, *header.usage, *header.text, *header.examples]
            + [f"{option.words} {option.text}" for option in header.options]
            + [f"{verb} {text}" for verb, text in header.verbs]
            + [line for body in header.others.values() for line in body]
        ).split()
        for line in comment(path.read_text(encoding="utf-8").splitlines()):
            for word in line.split():
                title = word.rstrip(":")
                assert word in kept or title in {
                    *("Summary", "Usage", "Verbs", "Options", "Examples"),
                    *(part for name in header.others for part in name.split()),
                }, f"{path.name}: {word}"


def test_dispatchers_know_their_verbs() -> None:
    known = nouns(read_all(ROOT / "bin"))
    assert known["container"]["run"] == "container-run"
    assert known["container"]["cleanup"] == "container-cleanup"
    assert "container-run" not in known
