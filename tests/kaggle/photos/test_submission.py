"""From probabilities to the file that a competition wants."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.pet_predictions import DOG, PETS, sample

from dlcli.errors import DlError
from dlcli.inference.predictions import Predictions
from dlcli.kaggle.photos.sample import SampleSubmission
from dlcli.kaggle.photos.submission import Submission, check_submission, make_submission

# Columns


def test_columns_are_matched_by_name_not_by_place() -> None:
    made = make_submission(PETS, sample(["file", "fox", "cat", "dog"], ["1", "2"]))
    assert made.header == ("file", "fox", "cat", "dog")
    assert made.rows == (("1", "0.1", "0.7", "0.2"), ("2", "0.5", "0.2", "0.3"))


@pytest.mark.parametrize(
    "header",
    [["id", "fox", "cat"], ["id", "fox", "cat", "dog", "cow"], ["id", "wolf", "cat", "dog"]],
)
def test_columns_that_are_not_the_classes_are_named(header: list[str]) -> None:
    with pytest.raises(DlError) as caught:
        make_submission(PETS, sample(header, ["1", "2"]))
    assert caught.value.what == "The columns of sample.csv are not the classes"
    for name in {"dog", "fox", "wolf", "cow"} & (set(header) ^ {"fox", "cat", "dog"}):
        assert repr(name) in caught.value.why


def test_a_single_column_holds_the_last_class_by_name_unless_another_is_named() -> None:
    last = make_submission(DOG, None)
    assert last.rows == (("1", "0.1"), ("2", "0.8"))
    assert any("'dog' (the last by name" in note for note in last.notes)
    named = make_submission(DOG, None, positive="cat")
    assert named.rows == (("1", "0.9"), ("2", "0.2"))
    assert any("'cat' (named)" in note for note in named.notes)


@pytest.mark.parametrize("of", [DOG, PETS])
def test_a_single_column_that_bears_a_classs_name_holds_that_class(of: Predictions) -> None:
    made = make_submission(of, sample(["id", "cat"], ["1", "2"]))
    assert [row[1] for row in made.rows] == [f"{probs[0]:.9g}" for probs in of.y_prob]
    assert any("'cat' (the column's name" in note for note in made.notes)


def test_an_unknown_positive_class_names_the_nearest() -> None:
    with pytest.raises(DlError) as caught:
        make_submission(DOG, None, positive="dogs")
    assert "Did you mean `dog`?" in caught.value.hint


def test_several_classes_without_a_sample_get_a_column_each() -> None:
    assert make_submission(PETS, None).header == ("id", "cat", "dog", "fox")


def test_without_a_sample_a_class_called_as_the_ids_column_gets_an_underscore() -> None:
    of = dataclasses.replace(PETS, classes=("cat", "id", "id_"))
    made = make_submission(of, None)
    assert made.header == ("id", "cat", "id_", "id__")
    assert made.rows[0][1:] == ("0.7", "0.2", "0.1")


def test_several_classes_in_a_single_column_are_the_likeliest_classs_name() -> None:
    made = make_submission(PETS, sample(["file", "species"], ["2", "1"]))
    assert made.rows == (("2", "fox"), ("1", "cat"))
    assert made.labels


def test_a_sample_that_holds_class_names_wants_class_names_of_two_classes_too() -> None:
    made = make_submission(DOG, sample(["id", "label"], ["1", "2"], example="cat"))
    assert made.rows == (("1", "cat"), ("2", "dog"))
    assert made.labels


@pytest.mark.parametrize("positive", [None, "0", "1"])
def test_of_two_classes_called_0_and_1_probabilities_are_submitted(positive: str | None) -> None:
    numbered = dataclasses.replace(DOG, classes=("0", "1"))
    form = sample(["id", "label"], ["1", "2"], example="0")
    made = make_submission(numbered, form, positive=positive)
    assert not made.labels
    column = int(positive or "1")
    assert [row[1] for row in made.rows] == [f"{probs[column]:.9g}" for probs in DOG.y_prob]


def test_two_classes_called_1_and_2_are_names() -> None:
    numbered = dataclasses.replace(DOG, classes=("1", "2"))
    assert make_submission(numbered, sample(["id", "label"], ["1", "2"], example="1")).labels


def test_ten_digits_in_a_single_column_are_names() -> None:
    digits = dataclasses.replace(PETS, classes=("0", "1", "2"))
    made = make_submission(digits, sample(["ImageId", "Label"], ["1", "2"], example="0"))
    assert made.labels


# Columns that name a class in another way


@pytest.mark.parametrize("column", ["Cat", "is_cat", "P_cat", "cats", "prob-cat"])
def test_a_column_that_names_a_class_in_another_way_holds_that_class(column: str) -> None:
    made = make_submission(DOG, sample(["id", column], ["1", "2"]))
    assert made.rows == (("1", "0.9"), ("2", "0.2"))
    assert f"Column '{column}' holds the probability of 'cat' (the column's name" in made.notes[0]


@pytest.mark.parametrize("column", ["label", "Target", "class", "pred_score", "probability", ""])
def test_a_column_that_could_be_any_classs_holds_the_last_by_name(column: str) -> None:
    made = make_submission(DOG, sample(["id", column], ["1", "2"]))
    assert made.rows == (("1", "0.1"), ("2", "0.8"))
    assert "'dog' (the last by name" in made.notes[0]


@pytest.mark.parametrize("column", ["not_cat", "feline", "is_dog_not_cat"])
def test_a_column_that_names_no_class_is_refused_without_a_positive_class(column: str) -> None:
    form = sample(["id", column], ["1", "2"])
    with pytest.raises(DlError) as caught:
        make_submission(DOG, form)
    assert caught.value.what == f"Column '{column}' of sample.csv is not the name of a class"
    assert caught.value.why == "the classes are 'cat', 'dog'"
    assert "`--positive CLASS`" in caught.value.hint
    made = make_submission(DOG, form, positive="cat")
    assert made.rows == (("1", "0.9"), ("2", "0.2"))


def test_a_column_of_another_class_than_the_positive_one_is_warned_of() -> None:
    made = make_submission(DOG, sample(["id", "is_cat"], ["1", "2"]), positive="dog")
    assert made.rows == (("1", "0.1"), ("2", "0.8"))
    assert "Warning: the column's name means 'cat'." in made.notes


@pytest.mark.parametrize(
    ("classes", "column"), [(("0", "1"), "invasive"), (("no", "yes"), "has_cactus")]
)
def test_of_no_and_yes_any_column_means_yes(classes: tuple[str, str], column: str) -> None:
    made = make_submission(
        dataclasses.replace(DOG, classes=classes), sample(["id", column], ["1", "2"])
    )
    assert made.rows == (("1", "0.1"), ("2", "0.8"))


def test_a_column_of_two_classes_is_refused_with_both_names() -> None:
    alike = dataclasses.replace(DOG, classes=("Cat", "cat"))
    with pytest.raises(DlError, match="could be about several classes: the classes are 'Cat', "):
        make_submission(alike, sample(["id", "CAT"], ["1", "2"]))


def test_several_columns_name_classes_in_another_way() -> None:
    made = make_submission(PETS, sample(["id", "P_Fox", "cats", "is_dog"], ["1", "2"]))
    assert made.header == ("id", "P_Fox", "cats", "is_dog")
    assert made.rows == (("1", "0.1", "0.7", "0.2"), ("2", "0.5", "0.2", "0.3"))


def test_two_columns_of_one_class_and_a_column_of_two_are_refused_with_both_names() -> None:
    with pytest.raises(DlError, match=r"'cat' of sample\.csv and 'Cats' could both be about 'cat'"):
        make_submission(PETS, sample(["id", "cat", "Cats", "dog"], ["1", "2"]))
    alike = dataclasses.replace(PETS, classes=("Cat", "cat", "dog"))
    with pytest.raises(DlError, match=r"'CAT' .* several classes: the classes are 'Cat', 'cat'"):
        make_submission(alike, sample(["id", "CAT", "cat", "dog"], ["1", "2"]))


# Labels where labels are wanted


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
@pytest.mark.parametrize(
    ("column", "example", "labels"),
    [
        ("label", "0", ("0", "1")),
        ("label", "0.5", ("0", "1")),
        ("label", "0.0", ("0.0", "1.0")),
        ("is_cat", "1", ("1", "0")),
        ("label", "cat", ("cat", "dog")),
        ("label", "Dog", ("Cat", "Dog")),
        ("label", "False", ("False", "True")),
        ("label", "", ("cat", "dog")),
    ],
)
def test_for_a_metric_of_labels_a_single_column_holds_them_in_the_samples_form(
    column: str, example: str, labels: tuple[str, str], metric: str
) -> None:
    made = make_submission(DOG, sample(["id", column], ["1", "2"], example), metric=metric)
    assert made.labels
    assert made.rows == (("1", labels[0]), ("2", labels[1]))


def test_for_accuracy_two_classes_called_0_and_1_are_labels() -> None:
    numbered = dataclasses.replace(DOG, classes=("0", "1"))
    form = sample(["id", "diagnosis"], ["1", "2"], "0")
    assert make_submission(numbered, form, metric="accuracy").rows == (("1", "0"), ("2", "1"))


def test_without_a_sample_labels_are_class_names() -> None:
    assert make_submission(DOG, None, metric="f1").rows == (("1", "cat"), ("2", "dog"))


@pytest.mark.parametrize("metric", ["log_loss", "auc", None])
def test_other_metrics_get_probabilities(metric: str | None) -> None:
    made = make_submission(DOG, sample(["id", "label"], ["1", "2"], "0"), metric=metric)
    assert made.rows == (("1", "0.1"), ("2", "0.8"))
    hint = "If the competition scores labels, 0 or 1, add `--metric accuracy`."
    assert (hint in made.notes) == (metric is None)


def test_true_and_false_in_the_sample_are_labels_whatever_the_metric() -> None:
    made = make_submission(DOG, sample(["id", "is_dog"], ["1", "2"], "FALSE"))
    assert made.rows == (("1", "FALSE"), ("2", "TRUE"))


def test_a_sample_that_spells_one_class_in_its_own_way_must_show_all() -> None:
    form = SampleSubmission(Path("s.csv"), ("id", "pet"), (("1", "Dogs"), ("2", "Cats")))
    assert make_submission(DOG, form).rows == (("1", "Cats"), ("2", "Dogs"))
    with pytest.raises(DlError, match=r"The labels of sample\.csv are not the class names"):
        make_submission(DOG, sample(["id", "pet"], ["1", "2"], "dogs"))


@pytest.mark.parametrize(
    ("positive", "metric"), [("class_1", None), ("class_1", "log_loss"), (None, "log_loss")]
)
def test_0_in_each_row_is_no_class_where_a_probability_is_asked_for(
    positive: str | None, metric: str | None
) -> None:
    numbered = dataclasses.replace(DOG, classes=("class_0", "class_1"))
    form = sample(["id", "label"], ["1", "2"], "0")
    made = make_submission(numbered, form, positive=positive, metric=metric)
    assert made.rows == (("1", "0.1"), ("2", "0.8"))
    with pytest.raises(DlError, match="are not the class names"):
        make_submission(numbered, form, metric="accuracy")


def test_a_value_that_is_no_class_is_warned_of() -> None:
    made = make_submission(PETS, sample(["id", "species"], ["1", "2"], "Sugar beet"))
    assert made.rows == (("1", "cat"), ("2", "fox"))
    assert "Warning: the sample submission has 'Sugar beet', not a class." in made.notes


def test_several_names_in_a_row_of_the_sample_are_warned_of() -> None:
    made = make_submission(PETS, sample(["id", "pet"], ["1", "2"], "fox cat"))
    assert made.rows == (("1", "cat"), ("2", "fox"))
    assert "Warning: the sample has several classes in a row, 'fox cat'; `dl` writes one." in (
        made.notes
    )


# The check


def content(of: Submission) -> list[list[str]]:
    """A submission as it is read back from its file."""
    return [list(of.header), *map(list, of.rows)]


@pytest.mark.parametrize("of", [DOG, PETS])
def test_what_was_made_passes_its_check(of: Predictions) -> None:
    made = make_submission(of, None)
    check_submission(content(made), made)


PETS_MADE = make_submission(PETS, None)


@pytest.mark.parametrize(
    "rows",
    [
        (PETS_MADE.rows[0],),
        (*PETS_MADE.rows, PETS_MADE.rows[1]),
        (*PETS_MADE.rows, ("3", "1", "0", "0")),
        PETS_MADE.rows[::-1],
        (PETS_MADE.rows[0], ("2", "0.2", "0.5", "0.3")),
        (PETS_MADE.rows[0], ("2", "1", "0")),
    ],
    ids=["missing", "twice", "extra", "order", "value", "short"],
)
def test_a_file_with_other_rows_than_were_made_is_refused(
    rows: tuple[tuple[str, ...], ...],
) -> None:
    with pytest.raises(DlError):
        check_submission([list(PETS_MADE.header), *map(list, rows)], PETS_MADE)


def test_a_file_with_other_columns_is_refused() -> None:
    with pytest.raises(DlError, match="columns"):
        check_submission([["id", "dog", "cat", "fox"], *map(list, PETS_MADE.rows)], PETS_MADE)
    with pytest.raises(DlError, match="columns"):
        check_submission([], PETS_MADE)


@pytest.mark.parametrize(
    "row",
    [
        ("2", "nan", "0.5", "0.5"),
        ("2", "1.5", "-0.5", "0"),
        ("2", "inf", "0", "0"),
        ("2", "", "0.5", "0.5"),
        ("2", "cat", "0.5", "0.5"),
        ("2", "0.3", "0.3", "0.3"),
        ("1", "0.2", "0.3", "0.5"),
        ("2", "0.5", "0.5"),
    ],
    ids=["nan", "out of range", "infinite", "empty", "text", "sum", "id twice", "short"],
)
def test_a_submission_that_no_competition_would_take_is_refused(row: tuple[str, ...]) -> None:
    made = dataclasses.replace(PETS_MADE, rows=(PETS_MADE.rows[0], row))
    with pytest.raises(DlError):
        check_submission(content(made), made)


def test_a_sample_with_class_names_gets_names_whatever_the_positive_class() -> None:
    names = sample(["id", "label"], ["1", "2"], "dog")
    made = make_submission(DOG, names, positive="cat")
    assert made.labels
    assert {row[1] for row in made.rows} <= {"cat", "dog"}


def test_who_chose_the_positive_class_is_said() -> None:
    form = sample(["id", "label"], ["1", "2"])
    made = make_submission(DOG, form, positive="cat", origin="`kaggle.positive` in ~/dl.yaml")
    assert any("'cat' (`kaggle.positive` in ~/dl.yaml)" in note for note in made.notes)
