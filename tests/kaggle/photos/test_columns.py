"""Which class the name of a column means."""

from __future__ import annotations

import pytest

from dlcli.kaggle.photos.columns import classes_named, is_neutral


@pytest.mark.parametrize(
    "column",
    [
        *("cat", "Cat", "CAT", "is_cat", "isCat", "P_cat", "p(cat)", "PCat", "cats", "Cats"),
        *("prob-cat", "Prob Cat", "probability_of_cat", "cat_prob", "catProbability", "pred.cat"),
        *("has_cat", "cat_score", "cat_label", "class_cat", "is_the_cat", "\uff43\uff41\uff54"),
    ],
)
def test_a_column_means_the_class_that_it_names_however_it_is_written(column: str) -> None:
    assert classes_named(column, ("cat", "dog")) == ("cat",)
    assert classes_named(column, ("Cats", "Dogs")) == ("Cats",)
    assert classes_named(column, ("is_cat", "is_dog")) == ("is_cat",)
    assert classes_named(column, ("bird", "dog")) == ()


@pytest.mark.parametrize(
    "column", ["not_cat", "no_cat", "cat_or_dog", "is_dog_not_cat", "concat", "category", "iscat"]
)
def test_a_column_that_is_more_than_a_class_means_none(column: str) -> None:
    assert classes_named(column, ("cat", "dog")) == ()


@pytest.mark.parametrize(
    ("column", "classes", "meant"),
    [
        ("black grass", ("Black-grass", "Charlock"), "Black-grass"),
        ("small_flowered_cranesbill", ("Small-flowered Cranesbill", "Maize"), None),
        ("berry", ("berries", "leaves"), "berries"),
        ("foxes", ("fox", "ox"), "fox"),
        ("p_1", ("0", "1"), "1"),
        ("class_0", ("0", "1"), "0"),
        ("is_target", ("target", "zebra"), "target"),
        ("prob_1.5", ("1.5", "15"), "1.5"),
        ("no_cactus", ("cactus", "no_cactus"), "no_cactus"),
        ("has_cactus", ("cactus", "no_cactus"), "cactus"),
        ("\u00e9clair", ("e\u0301clair", "flan"), "e\u0301clair"),
    ],
)
def test_the_closest_reading_counts(
    column: str, classes: tuple[str, ...], meant: str | None
) -> None:
    assert classes_named(column, classes) == (meant or classes[0],)


def test_a_name_that_two_classes_bear_is_ambiguous_but_not_where_one_is_spelled_so() -> None:
    assert classes_named("CAT", ("Cat", "cat", "dog")) == ("Cat", "cat")
    assert classes_named("cat", ("Cat", "cat", "dog")) == ("cat",)


def test_words_for_any_column_are_neutral() -> None:
    for column in ("label", "Target", "class", "prediction", "score", "pred_label", "p", "", "y"):
        assert is_neutral(column)
    for column in ("dogness", "is_dog", "species", "label_cat", "1"):
        assert not is_neutral(column)
