"""Tables on stdout."""

from __future__ import annotations

import pytest
from support.terminal import at_terminal

from dlcli.cli.parts.tables import print_table


def printed(
    capsys: pytest.CaptureFixture[str], header: list[str], rows: list[list[object]]
) -> list[str]:
    print_table(header, rows)
    return capsys.readouterr().out.split("\n")[:-1]


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(
        capsys, ["class", "images", "loss"], [["cat", 12500, 0.5], ["dog", 3, 12.0]]
    ) == [
        "class  images     loss",
        "cat    12,500   0.5000",
        "dog         3  12.0000",
    ]


def test_what_is_missing_is_empty_and_leaves_a_column_of_numbers_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(capsys, ["n", "x"], [[1, "a"], [None, None], [10, "b"]]) == [
        " n  x",
        " 1  a",
        "",
        "10  b",
    ]


def test_truth_values_are_words_not_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ["here", "x"], [[True, "a"], [False, "b"]]) == [
        "here  x",
        "yes   a",
        "no    b",
    ]


def test_a_table_without_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ["setting", "value"], []) == ["setting  value"]


def test_wide_characters_take_two_columns_and_marks_take_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(
        capsys, ["class", "x"], [["日本", "a"], ["cat", "b"], ["e\u0301te\u0301", "c"]]
    ) == [
        "class  x",
        "日本   a",
        "cat    b",
        "e\u0301te\u0301    c",
    ]


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    (_, row) = printed(capsys, ["name"], [["\x1b[2Ja\nb\rc\x9b\udcff\u202e"]])
    assert row == "\\x1b[2Ja\\nb\\rc\\x9b\\udcff\\u202e"


def test_on_a_narrow_terminal_the_last_column_goes_on_below_itself() -> None:
    lines = at_terminal("-m", "dlcli", "recipes", columns=50).splitlines()
    assert max(map(len, lines)) <= 50
    column = lines[0].index("what it does")
    assert any(line.startswith(" " * column) for line in lines[1:])
    assert all(line[column - 2 : column] == "  " for line in lines[1:])


TABLE = """
from dlcli.cli.parts.tables import print_table
print_table({header}, {rows}, {spare})
"""


def at_width(
    columns: int, header: list[str], rows: list[list[object]], spare: tuple[str, ...] = ()
) -> list[str]:
    script = TABLE.format(header=header, rows=rows, spare=spare)
    return at_terminal("-c", script, columns=columns).splitlines()


def test_words_stay_whole_however_little_room_there_is() -> None:
    rows = [["a" * 24, "22 h 55 min at most"], ["b", "5 min"]]
    assert at_width(40, ["name", "stops in"], rows) == [
        f"name{' ' * 22}stops in",
        f"{'a' * 24}  22 h 55 min at",
        f"{' ' * 26}most",
        f"b{' ' * 25}5 min",
    ]
    assert at_width(30, ["name", "stops in"], rows) == [
        "name",
        "    stops in",
        "a" * 24,
        "    22 h 55 min at most",
        "b",
        "    5 min",
    ]


def test_spare_columns_go_one_after_the_other_where_there_is_no_room() -> None:
    header, rows = ["name", "24 h", "so far", "state"], [["cats", "$19.78", "$0.82", "running"]]
    assert at_width(29, header, rows, ("24 h", "so far"))[0] == "name  24 h    so far  state"
    assert at_width(28, header, rows, ("24 h", "so far"))[0] == "name  so far  state"
    assert at_width(15, header, rows, ("24 h", "so far")) == ["name  state", "cats  running"]


def test_where_the_output_goes_elsewhere_no_column_is_spared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(["a", "b"], [["x" * 90, "y" * 90]], ("b",))
    assert capsys.readouterr().out.split() == ["a", "b", "x" * 90, "y" * 90]
