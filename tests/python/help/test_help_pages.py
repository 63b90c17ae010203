"""help_pages, help_roff: what is made of the headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.core.errors import Exit, HelperError
from ds01.help.header import parse_header
from ds01.help.pages import (
    command_page,
    differences,
    docs_pages,
    exit_rows,
    markdown,
    quoted_fish,
    share_pages,
    write,
)
from ds01.help.roff import escaped, roff
from help_pages import main

ROOT = Path(__file__).resolve().parents[3]
SOURCE = """\
#!/bin/sh
# Summary: Do a thing
#
# Usage: thing-do [options] NAME
#
# Use 'a*b' of the user's <own>.
#
# Options:
#   -w, --workspace DIR  the folder '~/x'
#   -h, --help           show this text
#
# Examples:
#   thing-do x | head
"""
NOUN = SOURCE.replace("thing-do", "thing") + 'exec "lib/dispatch" "$@"\n'
HEADERS = {
    "thing": parse_header("thing", NOUN),
    "thing-alias": parse_header("thing-do", SOURCE),
    "thing-do": parse_header("thing-do", SOURCE),
}
EXITS = [("0", "done"), ("2", "wrong words")]


def test_what_is_quoted_becomes_code_and_signs_stay_signs() -> None:
    assert (
        markdown("Use 'a*b' of the user's <own>") == r"Use `a*b` of the user's \<own\>"
    )


def test_a_page_has_all_parts() -> None:
    page = command_page(HEADERS["thing-do"], ["thing-alias"], HEADERS)
    assert page.startswith("<!-- Made by python/help_pages.py from bin/thing-do")
    for part in (
        "# thing-do\n\nDo a thing.\n\n```\nthing-do [options] NAME\n```\n",
        "Also typed as `thing-alias`.",
        "- `-w, --workspace DIR`: the folder `~/x`\n",
        "```sh\nthing-do x | head\n```",
    ):
        assert part in page


def test_the_index_groups_by_noun_and_names_each_once() -> None:
    pages = docs_pages(HEADERS)
    assert set(pages) == {"README.md", "thing.md", "thing-do.md"}
    assert pages["README.md"].count("(thing-do.md)") == 1
    assert "[`thing do`](thing-do.md)" in pages["thing.md"]


def test_a_man_page_escapes_what_roff_would_take() -> None:
    assert escaped(".a -b 'c' \\d") == r"\&.a \-b \(aqc\(aq \ed"
    page = roff(HEADERS["thing-do"], HEADERS, "1.2", EXITS)
    assert page.startswith('.TH THING\\-DO 1 "" "DS01 1.2" "DS01"\n')
    assert "thing\\-do, thing\\-alias \\- Do a thing\n" in page
    assert "\\fB\\-w\\fR, \\fB\\-\\-workspace\\fR \\fIDIR\\fR\n" in page
    assert ".SH SEE ALSO\n\\fBthing\\fR(1)\n" in page


def test_shells_get_the_root_as_one_word() -> None:
    root = "/opt/it's here\\"
    templates = dict.fromkeys(("bash", "zsh", "fish"), "@ROOT@:@COMMANDS@")
    pages = share_pages(HEADERS, root, "1", EXITS, templates)
    assert pages["zsh/site-functions/_ds01"] == (
        "'/opt/it'\"'\"'s here\\':thing thing-alias thing-do"
    )
    assert pages["fish/vendor_completions.d/thing-do.fish"] == (
        f"{quoted_fish(root)}:thing-do"
    )
    assert quoted_fish(root) == r"'/opt/it\'s here\\'"
    assert pages["man/man1/thing-alias.1"] == pages["man/man1/thing-do.1"]


def test_the_exit_codes_are_those_of_the_docs() -> None:
    rows = exit_rows((ROOT / "docs/exit-codes.md").read_text(encoding="utf-8"))
    assert [int(code) for code, _ in rows] == [code.value for code in Exit]


def test_differences_are_pages_missing_changed_or_left_over(tmp_path: Path) -> None:
    pages = {"a.md": "a\n", "b.md": "b\n", "c.md": "c\n"}
    write(tmp_path, pages)
    assert differences(tmp_path, pages) == []
    (tmp_path / "a.md").unlink()
    (tmp_path / "b.md").write_text("other\n")
    (tmp_path / "d.md").write_text("gone\n")
    assert differences(tmp_path, pages) == ["d.md", "a.md", "b.md"]


def test_the_program_writes_pages_and_removes_those_of_commands_that_are_gone(
    tmp_path: Path,
) -> None:
    (tmp_path / "no-such-command.md").write_text("old\n")
    with pytest.raises(HelperError, match="no-such-command"):
        main(["check", str(tmp_path)])
    assert main(["docs", str(tmp_path)]) == Exit.OK
    assert main(["check", str(tmp_path)]) == Exit.OK
    assert not (tmp_path / "no-such-command.md").exists()


def test_the_pages_in_the_repository_are_as_the_headers_say() -> None:
    assert main(["check"]) == Exit.OK
