"""From probabilities to the file that a competition wants."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dlcli.errors import DlError
from dlcli.inference.predictions import Predictions
from dlcli.kaggle.sample import SampleSubmission, choose_sample, read_sample_submission
from dlcli.kaggle.submission import Submission, check_submission, make_submission


def predictions(
    paths: Sequence[str], y_prob: Sequence[Sequence[float]], classes: Sequence[str] = ("cat", "dog")
) -> Predictions:
    return Predictions(tuple(paths), tuple(classes), np.array(y_prob), ("",) * len(paths))


def sample(header: Sequence[str], ids: Sequence[str], example: str = "0.5") -> SampleSubmission:
    rows = tuple((each, *[example] * (len(header) - 1)) for each in ids)
    return SampleSubmission(Path("sample.csv"), tuple(header), rows)


DOG = predictions(["test/1.jpg", "test/2.jpg"], [[0.9, 0.1], [0.2, 0.8]])
PETS = predictions(
    ["test/1.jpg", "test/2.jpg"], [[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]], ("cat", "dog", "fox")
)


# Ids


@pytest.mark.parametrize(
    ("paths", "ids"),
    [
        (["test/1.jpg", "test/2.jpg"], ["2", "1"]),
        (["test/1.jpg", "test/2.jpg"], ["2.jpg", "1.jpg"]),
        (["test/a/1.jpg", "test/b/2.jpg"], ["2", "1"]),
        (["test/a/1.jpg", "test/b/1.jpg"], ["b/1.jpg", "a/1.jpg"]),
        (["test/1.5.jpg", "test/2.5.jpg"], ["2.5", "1.5"]),
        (["test/0001.jpg", "test/0002.jpg"], ["2", "1"]),
        (["test/1.jpg", "test/2.jpg"], ["0002", "0001"]),
        (["test/x y,1.jpg", "test/\udcff\n.jpg"], ["\udcff\n", "x y,1"]),
    ],
)
def test_ids_are_matched_by_stem_name_or_path_in_the_samples_order(
    paths: list[str], ids: list[str]
) -> None:
    made = make_submission(
        predictions(paths, [[0.9, 0.1], [0.2, 0.8]]), sample(["id", "label"], ids)
    )
    assert made.header == ("id", "label")
    assert made.rows == ((ids[0], "0.8"), (ids[1], "0.1"))


@pytest.mark.parametrize("stored", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("written", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("form", ["{}", "{}.jpg", "stage/{}.jpg"])
def test_ids_match_in_every_unicode_form_and_keep_the_samples(
    stored: str, written: str, form: str
) -> None:
    paths = ["test/1.jpg", f"test/{stored}.jpg"]
    ids = [form.format(written), form.format("1")]
    made = make_submission(
        predictions(paths, [[0.9, 0.1], [0.2, 0.8]]), sample(["id", "label"], ids)
    )
    assert made.rows == ((ids[0], "0.8"), (ids[1], "0.1"))


def test_images_that_differ_only_in_their_unicode_form_stay_apart() -> None:
    ids = ["caf\u00e9", "cafe\u0301"]
    paths = [f"test/{name}.jpg" for name in ids]
    made = make_submission(
        predictions(paths, [[0.9, 0.1], [0.2, 0.8]]), sample(["id", "label"], ids)
    )
    assert made.rows == ((ids[0], "0.1"), (ids[1], "0.8"))


def test_without_a_sample_ids_are_stems_in_natural_order() -> None:
    paths = [f"test/{name}.jpg" for name in ("10", "2", "a10", "a9", "1")]
    made = make_submission(predictions(paths, [[0.5, 0.5]] * 5), None)
    assert made.header == ("id", "label")
    assert [row[0] for row in made.rows] == ["1", "2", "10", "a9", "a10"]


def test_without_a_sample_ids_are_as_long_as_they_must_be_to_be_told_apart() -> None:
    names = predictions(["test/1.jpg", "test/1.png"], [[0.5, 0.5]] * 2)
    assert [row[0] for row in make_submission(names, None).rows] == ["1.jpg", "1.png"]
    paths = predictions(["test/a/1.jpg", "test/b/1.jpg"], [[0.5, 0.5]] * 2)
    assert [row[0] for row in make_submission(paths, None).rows] == ["a/1.jpg", "b/1.jpg"]


def test_an_id_without_an_image_is_an_error_that_says_how_ids_were_compared() -> None:
    with pytest.raises(DlError) as caught:
        make_submission(DOG, sample(["id", "label"], ["1", "2", "3"]))
    assert caught.value.what == "sample.csv has ids without a test image"
    assert caught.value.why == (
        "1 of 3, such as '3'; ids were compared with file names without suffix"
    )


def test_ids_that_stand_for_several_images_are_an_error() -> None:
    twins = predictions(["test/1.jpg", "test/1.png", "test/2.jpg"], [[0.5, 0.5]] * 3)
    with pytest.raises(DlError, match="ids that match several test images: 1 of 2"):
        make_submission(twins, sample(["id", "label"], ["1", "2"]))


def test_numbers_that_two_images_share_are_an_error() -> None:
    twice = predictions(["test/01.jpg", "test/1.jpg"], [[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(DlError, match="ids that match several test images"):
        make_submission(twice, sample(["id", "label"], ["001"]))


def test_ids_of_another_competition_are_an_error() -> None:
    with pytest.raises(DlError, match="ids without a test image: 2 of 2"):
        make_submission(DOG, sample(["id", "label"], ["x", "y"]))


def test_images_that_the_sample_does_not_name_are_left_out_and_counted() -> None:
    made = make_submission(DOG, sample(["id", "label"], ["2"]))
    assert made.rows == (("2", "0.8"),)
    assert "Test images left out, because sample.csv lacks them: 1." in made.notes


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


# A sample without a header, several samples, ids with folders


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_sample_without_a_header_keeps_its_first_id(tmp_path: Path) -> None:
    form = read_sample_submission(written(tmp_path, "s.csv", "2.jpg,0.5\n1.jpg,0.5\n"))
    made = make_submission(DOG, form)
    assert made.header == ()
    assert made.rows == (("2.jpg", "0.8"), ("1.jpg", "0.1"))
    assert any("s.csv has no header, so the submission has none." in note for note in made.notes)
    check_submission([list(row) for row in made.rows], made)
    with pytest.raises(DlError):
        check_submission([["2.jpg", "0.8"], ["1.jpg", "0.2"]], made)


def test_labels_without_a_header_keep_their_first_id(tmp_path: Path) -> None:
    form = read_sample_submission(written(tmp_path, "s.csv", "2,cat\n1,cat\n"))
    assert make_submission(DOG, form).rows == (("2", "dog"), ("1", "cat"))


def test_several_columns_without_a_header_are_refused(tmp_path: Path) -> None:
    form = read_sample_submission(written(tmp_path, "s.csv", "2,0.5,0.5\n1,0.5,0.5\n"))
    with pytest.raises(DlError, match="no header, which names the class of each column") as caught:
        make_submission(DOG, form)
    assert "`id,cat,dog`" in caught.value.hint


def test_an_image_called_as_the_id_column_makes_no_row_of_the_header() -> None:
    images = predictions(["test/id.jpg", "test/1.jpg"], [[0.9, 0.1], [0.2, 0.8]])
    made = make_submission(images, sample(["id", "label"], ["1", "id"]))
    assert made.rows == (("1", "0.8"), ("id", "0.1"))


def test_of_several_samples_the_one_that_names_the_most_images_is_taken(tmp_path: Path) -> None:
    first = written(tmp_path, "sample_submission_stg1.csv", "image,label\n1.jpg,0\n")
    second = written(tmp_path, "sample_submission_stg2.csv", "image,label\n1.jpg,0\nt/2.jpg,0\n")
    third = written(tmp_path, "sample_submission_x.csv", "")
    chosen, why = choose_sample([first, second, third], DOG.paths)
    assert chosen
    assert chosen.file == second
    assert why == (
        "it names 2 test images, sample_submission_stg1.csv names 1, sample_submission_x.csv can't "
        "be read"
    )
    chosen, why = choose_sample([first], DOG.paths)
    assert chosen
    assert (chosen.file, why) == (first, "")
    assert choose_sample([], DOG.paths) == (None, "")
    with pytest.raises(DlError, match="is not a sample submission"):
        choose_sample([third], DOG.paths)


def test_ids_keep_the_folder_that_the_sample_has() -> None:
    ids = ["test_stg2/2.jpg", "1.jpg"]
    assert [r[0] for r in make_submission(DOG, sample(["image", "label"], ids)).rows] == ids
    made = make_submission(DOG, sample(["image", "label"], ["test/2.jpg", "test/1"]))
    assert made.rows == (("test/2.jpg", "0.8"), ("test/1", "0.1"))


def test_an_id_of_another_folder_is_not_taken_for_the_image_of_that_name() -> None:
    images = predictions(["test/a/1.jpg", "test/a/2.jpg"], [[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(DlError, match=r"ids without a test image: 1 of 2, such as 'b/2\.jpg'"):
        make_submission(images, sample(["id", "label"], ["a/1.jpg", "b/2.jpg"]))


def test_two_ids_of_one_image_are_an_error() -> None:
    with pytest.raises(DlError, match="several ids of one test image: 2 of 3, such as '1', "):
        make_submission(DOG, sample(["id", "label"], ["1", "2", "1.jpg"]))


# The sample submission's file


def test_a_sample_submission_is_read_as_excel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b'\xef\xbb\xbf"id","label"\r\n1,0.5\r\n"a,b",0.5\r\n\r\n')
    read = read_sample_submission(tmp_path / "s.csv")
    rows = ("1", "0.5"), ("a,b", "0.5")
    assert read == SampleSubmission(tmp_path / "s.csv", ("id", "label"), rows)
    assert read.ids == ("1", "a,b")


@pytest.mark.parametrize(
    "text", ["", "id,label\n", "id\n1\n", "id,label\n1\n", "id,label\n1,2,3\n"]
)
def test_another_file_is_no_sample_submission(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(DlError, match=r"s\.csv is not a sample submission"):
        read_sample_submission(tmp_path / "s.csv")


def test_an_id_that_stands_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("id,label\n1,0\n2,0\n1,0\n")
    with pytest.raises(DlError, match="has the id '1' twice"):
        read_sample_submission(tmp_path / "s.csv")


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
