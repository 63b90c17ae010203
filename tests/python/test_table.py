"""The text tables: aligned by terminal columns."""

from _table import render, width


def test_width_counts_columns_not_bytes() -> None:
    assert width("abc") == 3
    assert width("würzel") == 6
    assert width("e\u0301") == 1  # e and a combining accent
    assert width("漢字") == 4


def test_render_pads_by_columns_and_marks_empty_cells() -> None:
    table = render(["NAME", "X"], [["漢字", "1"], ["ä", ""]])
    assert table == "NAME  X\n漢字  1\nä     -\n"


def test_a_cell_rewrites_no_terminal_and_is_one_line() -> None:
    assert render(["A"], [["a\x1b[31m\nb\x9bc\u202e"]]) == "A\na?[31m?b?c?\n"


def test_render_of_no_rows_is_the_header() -> None:
    assert render(["A", "B"], []) == "A  B\n"
