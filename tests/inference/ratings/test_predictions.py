"""Predicted ratings as a file: written and read back, refused where damaged; their mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcli.errors import DlError
from dlcli.inference.ratings.predictions import (
    RatingPredictions,
    aligned,
    mean_of,
    read_predictions,
    write_predictions,
)

IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["\udcff", "a\nb", "a\rb", '"', "user", "007", "7", ""]
)
NUMBERS = st.floats(-9, 9, width=32)


@st.composite
def predictions(draw: st.DrawFn) -> RatingPredictions:
    rows = draw(st.lists(st.tuples(IDS, IDS, NUMBERS | st.just(float("nan")), NUMBERS), max_size=5))
    users, items, ratings, predicted = zip(*rows, strict=True) if rows else ((), (), (), ())
    return RatingPredictions(users, items, np.array(ratings, float), np.array(predicted, float))


def made(*rows: tuple[str, str, float, float]) -> RatingPredictions:
    """Predictions of some pairs: user, item, rating, predicted rating."""
    users, items, ratings, predicted = zip(*rows, strict=True)
    return RatingPredictions(users, items, np.array(ratings), np.array(predicted))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(predictions())
def test_what_was_written_is_read_to_the_last_digit_of_a_float32(
    tmp_path: Path, written: RatingPredictions
) -> None:
    file = tmp_path / "predictions" / "valid.csv"
    write_predictions(file, written)
    read = read_predictions(file)
    assert (read.users, read.items) == (written.users, written.items)
    assert np.array_equal(read.ratings.astype(np.float32), written.ratings, equal_nan=True)
    assert (read.predicted.astype(np.float32) == written.predicted).all()
    assert read.digest == written.digest


def test_the_file_is_plain_csv_and_a_rating_is_as_short_as_it_can_be(tmp_path: Path) -> None:
    predicted = made(
        ("007", "Amélie, 2001", 4.0, 3.5),
        ("a", "b", float(np.float32(3.6)), 0.25),
        ("a", "c", np.nan, 2.0),
    )
    write_predictions(tmp_path / "p" / "test.csv", predicted)
    text = 'user,item,rating,predicted\n007,"Amélie, 2001",4,3.5\na,b,3.6,0.25\na,c,,2\n'
    assert (tmp_path / "p" / "test.csv").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,true_class,cat,dog\na.jpg,cat,0.5,0.5\n",
        "user,item,rating,predicted\n1,2,3\n",  # cut short
        "user,item,rating,predicted\n1,2,3,4,5\n",
        "user,item,rating,predicted\n1,2,3,3.1",  # so a number may be cut short too
        "user,item,rating,predicted\n1,2,3,\n",
        "user,item,rating,predicted\n1,2,good,3\n",
        "user,item,rating,predicted\n1,2,nan,3\n",
        "user,item,rating,predicted\n1,2,3,inf\n",
        'user,item,rating,predicted\n"1,2,3,3\n',
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "valid.csv").write_text(text)
    with pytest.raises(DlError, match=r"valid\.csv"):
        read_predictions(tmp_path / "valid.csv")


def test_evaluation_gets_numbers_where_an_unknown_id_has_the_number_0() -> None:
    rated = made(("b", "y", 4, 3), ("a", "x", 2, 3), ("?", "x", 1, 3)).rated(("a", "b"), ("x", "y"))
    assert rated.users.tolist() == [2, 1, 0]
    assert rated.items.tolist() == [2, 1, 1]
    assert rated.values.tolist() == [4, 2, 1]
    with pytest.raises(DlError, match="Not all of these pairs have a rating"):
        made(("a", "x", np.nan, 3)).rated(("a",), ("x",))


def test_members_are_brought_to_the_pairs_that_all_of_them_predict() -> None:
    one = made(("a", "x", 4, 3.0), ("a", "y", 2, 2.0), ("b", "x", 5, 4.0), ("a", "x", 3, 3.0))
    other = made(("c", "x", 1, 1.0), ("b", "x", 5, 5.0), ("a", "x", 4, 2.0))
    first, second = aligned([one, other])
    assert first.users == second.users == ("a", "b", "a")
    assert first.items == second.items == ("x", "x", "x")
    assert first.ratings.tolist() == second.ratings.tolist() == [4, 5, 3]
    assert first.predicted.tolist() == [3, 4, 3]
    assert second.predicted.tolist() == [2, 5, 2]
    assert mean_of([first, second]).predicted.tolist() == [2.5, 4.5, 2.5]
    with pytest.raises(DlError, match="no rating in common"):
        aligned([one, made(("z", "z", 1, 1))])


def test_members_of_the_same_pairs_stay_as_they_are() -> None:
    one, other = made(("a", "x", 4, 3.0)), made(("a", "x", 4, 5.0))
    assert [member.predicted.tolist() for member in aligned([one, other])] == [[3.0], [5.0]]


def test_the_digest_depends_on_each_id_and_each_prediction() -> None:
    rows = [
        (("a", "b"), ("x", "y"), 1.0),
        (("a", "b"), ("x", "z"), 1.0),
        (("a", "b"), ("x", "y"), 1.5),
        (("b", "a"), ("x", "y"), 1.0),
    ]
    digests = {
        RatingPredictions(users, items, np.ones(2), np.full(2, value)).digest
        for users, items, value in rows
    }
    assert len(digests) == len(rows)
