"""Tables on stdout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.terminal import at_terminal

from dlcli.cli.parts.tables import BELOW, GAP, kept_columns, print_table, shared_lines


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
from dlcli.cli.parts.tables import BELOW, GAP, kept_columns, print_table, shared_lines
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
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    print_table(["a", "b"], [["x" * 90, "y" * 90]], ("b",))
    assert capsys.readouterr().out.split() == ["a", "b", "x" * 90, "y" * 90]


def test_columns_says_what_has_room_where_there_is_no_terminal_and_no_row_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_table(["a", "b", "c"], [["x" * 15, "y" * 15, "two words"]], ("b",))
    assert capsys.readouterr().out.splitlines()[1] == f"{'x' * 15}  two words"
    print_table(["a", "b", "c"], [["x" * 15, "y" * 15, "two words"]], ("b",), wide=True)
    assert "y" * 15 in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "many")
    print_table(["a", "b"], [["x" * 90, "y" * 90]], ("b",))
    assert "y" * 90 in capsys.readouterr().out


def test_what_has_no_room_beside_a_long_name_stands_below_it() -> None:
    rows = [["n" * 30, "finished", 0.25, 12.5], ["m", "failed", None, None]]
    assert at_width(40, ["run", "state", "loss", "seconds"], rows) == [
        "run",
        "    state       loss  seconds",
        "n" * 30,
        "    finished  0.2500  12.5000",
        "m",
        "    failed",
    ]


def test_remarks_cost_no_column() -> None:
    header, rows = ["run", "epochs", "problem"], [["one", 3, "nothing there"], ["two", 4, None]]
    script = TABLE.format(header=header, rows=rows, spare=("epochs",))
    script = script.rstrip()[:-1] + ", remarks=True)"
    assert at_terminal("-c", script, columns=13).splitlines() == [
        "run  epochs",
        "    problem",
        "one       3",
        "    nothing",
        "    there",
        "two       4",
    ]


WIDTHS = st.lists(st.integers(0, 40), min_size=1, max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Widths of columns, and those that may go, in some order; one always stays."""
    widths = draw(WIDTHS)
    order = draw(st.permutations(range(len(widths))))
    return widths, order[: draw(st.integers(0, len(widths) - 1))]


def together(widths: list[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


@given(tables(), st.integers(0, 120))
def test_columns_go_in_their_order_and_no_more_than_have_to(
    table: tuple[list[int], list[int]], room: int
) -> None:
    widths, spare = table
    stay = kept_columns(widths, spare, room)
    gone = len(widths) - len(stay)
    assert stay == [i for i in range(len(widths)) if i not in spare[:gone]]
    if gone < len(spare):
        assert together([widths[i] for i in stay]) <= room
    if gone:
        before = [i for i in range(len(widths)) if i not in spare[: gone - 1]]
        assert together([widths[i] for i in before]) > room


@given(tables(), st.integers(0, 120), st.integers(0, 120))
def test_a_wider_terminal_shows_no_column_less(
    table: tuple[list[int], list[int]], one: int, other: int
) -> None:
    narrow, wide = sorted((one, other))
    assert set(kept_columns(*table, narrow)) <= set(kept_columns(*table, wide))


@given(WIDTHS, st.integers(0, 120), st.booleans())
def test_lines_hold_all_columns_in_order_and_break_where_they_have_no_room(
    widths: list[int], room: int, text: bool
) -> None:
    lines = shared_lines(widths, room, text=text)
    assert [column for line in lines for column in line] == list(range(len(widths)))
    assert (len(lines) == 1) == (together(widths) <= room or len(widths) == 1)
    for number, line in enumerate(lines):
        indent = BELOW if number else 0
        assert len(line) == 1 or indent + together([widths[i] for i in line]) <= room
