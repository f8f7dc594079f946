"""Sample submissions: which file is taken, how it is read, and which image an id means."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pet_predictions import DOG, predictions, sample

from dlcli.errors import DlError
from dlcli.kaggle.photos.sample import SampleSubmission, choose_sample, read_sample_submission
from dlcli.kaggle.photos.submission import check_submission, make_submission


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
