"""The text tables: aligned by terminal columns."""

import pytest

from ds01.core.table import columns, fold, render, width


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


def test_a_terminal_that_is_wide_enough_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [["thesis", "", "idle 2h, stopped in 46h"]]
    table = render(["NAME", "GPUS", "NEXT"], rows)
    monkeypatch.setenv("DS01_COLUMNS", str(len(table.splitlines()[1])))
    assert render(["NAME", "GPUS", "NEXT"], rows) == table


def test_what_no_row_has_goes_first_and_only_as_much_as_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [["thesis", "", "x", "", "4242"]]
    monkeypatch.setenv("DS01_COLUMNS", "22")
    assert render(["NAME", "GPUS", "CPU", "IDLE", "PIDS"], rows) == (
        "NAME    CPU  PIDS\nthesis  x    4242\n"
    )
    monkeypatch.setenv("DS01_COLUMNS", "23")
    assert render(["NAME", "GPUS", "CPU", "IDLE", "PIDS"], rows) == (
        "NAME    GPUS  CPU  PIDS\nthesis  -     x    4242\n"
    )


def test_a_text_at_the_end_is_cut_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS01_COLUMNS", "24")
    assert render(["NAME", "NEXT"], [["a", "stopped 漢字 in two hours"]]) == (
        "NAME  NEXT\na     stopped 漢字 in t…\n"
    )


def test_columns_without_room_follow_below_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DS01_COLUMNS", "20")
    assert render(["NAME", "HELD", "USED", "IDLE"], [["thesis", "1", "2", "3"]]) == (
        "NAME    HELD  USED\nthesis  1     2\n\nNAME    IDLE\nthesis  3\n"
    )


@pytest.mark.parametrize("columns", range(1, 60))
def test_no_terminal_is_too_narrow(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS01_COLUMNS", str(columns))
    header = [f"C{i}" for i in range(9)]
    table = render(header, [[f"{i}" * (i + 1) for i in range(9)], ["name"] * 9])
    for i in range(8):
        assert f"{i}" * (i + 1) in table
    if columns >= 16:
        assert max(map(len, table.splitlines())) <= columns


def test_a_long_line_goes_on_below(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "12:00  stop   thesis idle for two hours"
    assert fold(line, " " * 7) == line
    monkeypatch.setenv("DS01_COLUMNS", "24")
    assert fold(line, " " * 7) == (
        "12:00  stop   thesis\n       idle for two\n       hours"
    )


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    assert columns() is None
    monkeypatch.setenv("DS01_COLUMNS", "0")
    assert columns() is None
