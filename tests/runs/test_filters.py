"""Filters and sorting: what is kept, in which order, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.errors import DlError, ExitCode
from dlcli.runs.filters import (
    SIGNS,
    Filter,
    best_first,
    filtered,
    needs_settings,
    read_filter,
    sorted_by,
    values_there,
)
from dlcli.runs.listing import FIELDS, Row
from dlcli.runs.run import Run

NUMBERS = st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from([math.inf, -math.inf])
VALUES = NUMBERS | st.none() | st.just(math.nan) | st.booleans() | st.sampled_from(["a", "b", "1"])
ROWS = st.lists(VALUES)


def row(number: int = 0, **values: Any) -> Row:
    run = Run(Path(f"runs/dogs/{number:03}"))
    return Row(run, {**dict.fromkeys(FIELDS), "run": run.name, "state": "finished", **values})


def rows_of(values: Sequence[Any], key: str = "x") -> list[Row]:
    return [row(number, **{key: value}) for number, value in enumerate(values)]


def keeps(text: str, **values: Any) -> bool:
    return read_filter(text).keeps(row(**values))


def is_number(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and not math.isnan(value)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("space", ["", " "])
def test_a_filter_is_key_sign_and_value(sign: str, space: str) -> None:
    found = read_filter(f"train.vgg-finetune.dropout{space}{sign}{space}0.5")
    assert found == Filter("train.vgg-finetune.dropout", sign, "0.5")


def test_a_column_of_a_trainings_lines_is_a_key() -> None:
    assert [str(read_filter(each)) for each in ("rate>0.05", "epochs=3", "accuracy<1")] == [
        "lr>0.05",
        "epoch=3",
        "val_accuracy<1",
    ]
    trained = row(val_loss=0.1, train_loss=0.2)
    with pytest.raises(DlError, match=r"Did you mean `val_loss` or `train_loss`\?"):
        filtered([trained], [read_filter("loss<1")])


def test_a_value_may_hold_signs_and_spaces_and_be_empty() -> None:
    assert read_filter("command=dl train -d 'a=b'") == Filter("command", "=", "dl train -d 'a=b'")
    assert read_filter("init_from=") == Filter("init_from", "=", "")


@pytest.mark.parametrize("text", ["", "val_accuracy", "=3", ">0.9", "a b", "!", "x!3"])
def test_what_is_no_filter_is_refused_and_quotes_are_named(text: str) -> None:
    with pytest.raises(DlError, match="is not a filter") as refused:
        read_filter(text)
    assert refused.value.exit_code == ExitCode.USAGE
    assert "Quote filters" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x=0.001", True),
        ("x=1e-3", True),
        ("x==1e-3", True),
        ("x=0.002", False),
        ("x=low", False),
        ("x!=low", True),
        ("x<1e-2", True),
        ("x>1e-3", False),
        ("x>=1e-3", True),
        ("x<=1e-3", True),
        ("x=none", False),
        ("x<inf", True),
    ],
)
def test_numbers_are_compared_as_numbers(text: str, kept: bool) -> None:
    assert keeps(text, x=0.001) is kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("accuracy=0.8713", True),  # as the list prints it
        ("accuracy!=0.8713", False),
        ("accuracy=0.87129", True),
        ("accuracy=0.87128", False),
        ("accuracy=0.8712871287", True),
        ("accuracy=0.87", False),  # the list would print 0.8700
        ("accuracy=1", False),
        ("accuracy=inf", False),
        ("val_loss=0.0014", True),
        ("val_loss=1.4e-3", True),
        ("seconds=1,234.6", True),
        ("seconds=1234.56", True),
        ("dropout=0.5", False),  # a setting is printed in full
    ],
)
def test_a_result_is_found_as_a_list_prints_it(text: str, kept: bool) -> None:
    results = {"val_accuracy": 88 / 101, "val_loss": 0.00143, "seconds": 1234.56}
    assert keeps(text, **results, dropout=0.50001) is kept


def test_the_values_that_an_error_lists_can_be_typed() -> None:
    rows = [row(val_accuracy=88 / 101, seconds=12345.678)]
    filters = [read_filter("accuracy=3"), read_filter("seconds=3")]
    assert values_there(rows, filters) == "val_accuracy: 0.8713; seconds: 12345.7"
    assert keeps("seconds=12345.7", seconds=12345.678)


def test_text_is_compared_as_text() -> None:
    assert keeps("started>=2026-11", started="2026-11-23T14:09:31Z")
    assert keeps("started>2025", started="2026-11-23T14:09:31Z")
    assert keeps("schedule=1e-3x2", schedule="1e-3x2")
    assert not keeps("recipe=fine", recipe="finetune")


def test_truth_is_named_as_settings_name_it() -> None:
    assert keeps("augment=yes", augment=True)
    assert keeps("augment=false", augment=False)
    assert keeps("augment!=true", augment=False)
    assert not keeps("augment=1e0", augment=True)


def test_none_is_what_a_run_has_not() -> None:
    assert keeps("init_from=none")
    assert keeps("init_from!=none", init_from="dogs/1")
    assert keeps("recipe!=finetune")
    assert not keeps("x<1")
    assert not keeps("x>1", x=math.nan)


def test_whole_numbers_are_compared_exactly() -> None:
    assert not keeps(f"x={2**60 + 1}", x=2**60)


def test_epochs_are_those_that_are_done() -> None:
    assert keeps("epochs>=3", epoch=3)
    assert [each.values["epoch"] for each in sorted_by(rows_of([2, 1], "epoch"), "epochs")] == [
        1,
        2,
    ]


@given(ROWS, VALUES.map(str))
def test_not_equal_keeps_exactly_what_equal_does_not(values: list[Any], text: str) -> None:
    rows = rows_of(values)
    same, other = (filtered(rows, [Filter("x", sign, text)]) for sign in ("=", "!="))
    assert sorted([*same, *other], key=lambda each: each.run.name) == rows


@given(ROWS, NUMBERS)
def test_below_equal_and_above_share_out_the_numbers(values: list[Any], number: float) -> None:
    rows = [each for each in rows_of(values) if is_number(each.values["x"])]
    kept = {sign: filtered(rows, [Filter("x", sign, repr(number))]) for sign in SIGNS}
    assert len(kept["<"]) + len(kept["="]) + len(kept[">"]) == len(rows)
    assert [r for r in rows if r in kept["<"] or r in kept["="]] == kept["<="]
    assert [r for r in rows if r in kept[">"] or r in kept["="]] == kept[">="]


@given(ROWS, NUMBERS, NUMBERS)
def test_filters_add_up_in_any_order(values: list[Any], low: float, high: float) -> None:
    rows = rows_of(values)
    one, other = Filter("x", ">", repr(low)), Filter("x", "<=", repr(high))
    both = filtered(rows, [one, other])
    assert both == filtered(rows, [other, one]) == filtered(filtered(rows, [one]), [other])
    assert both == [each for each in rows if each in both]


@given(ROWS, st.booleans())
def test_sorting_keeps_every_run_in_order_with_those_without_a_value_last(
    values: list[Any], down: bool
) -> None:
    rows = rows_of(values)
    after = sorted_by(rows, "-x" if down else "x")
    assert sorted(after, key=lambda each: each.run.name) == rows
    found = [each.values["x"] for each in after]
    missing = [value is None or (isinstance(value, float) and math.isnan(value)) for value in found]
    assert missing == sorted(missing)
    numbers = [value for value in found if is_number(value)]
    assert numbers == sorted(numbers, reverse=down)
    for one, other in pairwise(after):
        if repr(one.values["x"]) == repr(other.values["x"]):
            assert one.run.name < other.run.name


@pytest.mark.parametrize("sort", [False, True])
def test_an_unknown_key_is_refused_and_the_nearest_named(sort: bool) -> None:
    rows = [row(**{"train.fc.dropout": 0.5, "dropout": 0.5})]
    for key, near in (("dropuot", "`dropout`"), ("train.fc.dropuot", "`train.fc.dropout`")):
        with pytest.raises(DlError, match=f"No run here has a `{key}`") as refused:
            sorted_by(rows, key) if sort else filtered(rows, [Filter(key, "=", "1")])
        assert refused.value.exit_code == ExitCode.USAGE
        assert near in refused.value.hint


@pytest.mark.parametrize("text", ["1e-99999999999999999999", "0e99999999999999999999"])
def test_a_number_may_have_any_exponent(text: str) -> None:
    assert keeps(f"val_loss={text}", val_loss=0.0)
    assert not keeps(f"val_loss={text}", val_loss=0.00001)


def test_what_every_list_shows_is_known_though_no_run_has_it() -> None:
    rows = [row()]
    assert filtered(rows, [Filter("val_loss", "<", "1")]) == []
    assert sorted_by(rows, "-seconds") == rows
    assert sorted_by([], "anything") == filtered([], [Filter("anything", "=", "1")]) == []


def test_a_number_is_not_compared_with_a_word() -> None:
    with pytest.raises(DlError, match=r"`x<low` compares numbers with 'low'") as refused:
        filtered([row(x=None), row(x=0.5)], [Filter("x", "<", "low")])
    assert refused.value.exit_code == ExitCode.USAGE
    assert filtered([row(x="high")], [Filter("x", "<", "low")])


def test_settings_are_needed_for_what_no_status_tells() -> None:
    assert not needs_settings([*FIELDS, "parameters"])
    assert needs_settings(["state", "dropout"])


def test_the_best_is_finished_and_has_a_score() -> None:
    rows = [
        row(0, val_loss=0.3, val_accuracy=0.9),
        row(1, val_loss=0.2, val_accuracy=0.8),
        row(2, val_loss=0.1, val_accuracy=0.99, state="interrupted"),
        row(3, val_loss=math.nan),
        row(4, val_loss=0.2, val_accuracy=0.9),
    ]
    assert [each.run.name for each in best_first(rows, "val_loss")] == ["001", "004", "000"]
    assert [each.run.name for each in best_first(rows, "val_accuracy")] == ["000", "004", "001"]


def test_of_many_values_some_are_named() -> None:
    rows = [row(n, rate=n / 10, name=f"n{n:02}", rest=None if n else 0.123456) for n in range(20)]
    of = [Filter(key, "=", "") for key in ("rate", "name", "rest")]
    assert values_there(rows, of) == (
        "rate: 0 to 1.9; name: n00, n01, n02, n03, n04, n05, n06, n07, and 12 more; "
        "rest: 0.1235, none"
    )
