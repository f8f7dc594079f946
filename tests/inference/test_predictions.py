"""Predictions as a file: written and read back, refused where damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlcli.errors import DlError
from dlcli.inference.predictions import Predictions, read_predictions, write_predictions

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=8
) | st.sampled_from(["\udcff.jpg", "a\nb", "a\rb", '"', "path", "true_class", "-rf", ""])


@st.composite
def predictions(draw: st.DrawFn) -> Predictions:
    classes = tuple(draw(st.lists(NAMES, min_size=2, max_size=4, unique=True)))
    paths = tuple(draw(st.lists(NAMES, max_size=4, unique=True)))
    shape = (len(paths), len(classes))
    y_prob = draw(arrays.arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
    true = tuple(draw(st.sampled_from([*classes, ""])) for _ in paths)
    return Predictions(paths, classes, y_prob, true)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(predictions())
def test_what_was_written_is_read_to_the_last_digit_of_a_float32(
    tmp_path: Path, written: Predictions
) -> None:
    file = tmp_path / "predictions" / "valid.csv"
    write_predictions(file, written)
    read = read_predictions(file)
    assert (read.paths, read.classes, read.true_classes) == (
        written.paths,
        written.classes,
        written.true_classes,
    )
    assert read.y_prob.shape == written.y_prob.shape
    assert (read.y_prob.astype(np.float32) == written.y_prob).all()


def test_the_file_is_plain_csv(tmp_path: Path) -> None:
    write_predictions(
        tmp_path / "p" / "valid.csv",
        Predictions(("valid/cat/1.jpg",), ("cat", "dog"), np.array([[0.25, 0.75]]), ("cat",)),
    )
    text = "path,true_class,cat,dog\nvalid/cat/1.jpg,cat,0.25,0.75\n"
    assert (tmp_path / "p" / "valid.csv").read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id,label\n1,0.5\n",
        "path,true_class,cat,dog\na.jpg,cat,0.5\n",  # cut short
        "path,true_class,cat,dog\na.jpg,cat,0.5,\n",
        "path,true_class,cat,dog\na.jpg,cat,0.5,0.5",  # so a probability may be cut short too
        "path,true_class,cat,dog\na.jpg,cat,0.5,often\n",
        "path,true_class,cat,dog\na.jpg,cat,nan,0.5\n",
        "path,true_class,cat,dog\na.jpg,cat,inf,0.5\n",
        'path,true_class,cat,dog\n"a.jpg,cat,0.5,0.5\n',
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "valid.csv").write_text(text)
    with pytest.raises(DlError, match=r"valid\.csv"):
        read_predictions(tmp_path / "valid.csv")


def test_true_classes_are_numbered_by_name() -> None:
    y_prob = np.full((3, 2), 0.5)
    known = Predictions(("a", "b", "c"), ("dog", "cat"), y_prob, ("cat", "dog", "cat"))
    assert known.y_true.tolist() == [1, 0, 1]
    unknown = Predictions(("a", "b", "c"), ("dog", "cat"), y_prob, ("cat", "fox", "cat"))
    with pytest.raises(DlError, match="'fox'"):
        _ = unknown.y_true


def test_test_images_have_no_true_class() -> None:
    test = Predictions(("a", "b"), ("dog", "cat"), np.full((2, 2), 0.5), ("", ""))
    with pytest.raises(DlError) as error:
        _ = test.y_true
    assert error.value.why == "test images have none"


def test_classes_called_like_columns_are_not_doubled(tmp_path: Path) -> None:
    classes = ("path", "path_", "true_class", "accuracy", "id", "class")
    made = Predictions(("a.jpg",), classes, np.full((1, 6), 1 / 6), ("path",))
    write_predictions(tmp_path / "p" / "valid.csv", made)
    header = (tmp_path / "p" / "valid.csv").read_text().splitlines()[0].split(",")
    assert len({*header}) == len(header)
    assert read_predictions(tmp_path / "p" / "valid.csv").classes == classes
    old = "path,true_class,cat,path\na.jpg,path,0.5,0.5\n"  # as 0.1.0 wrote it
    (tmp_path / "p" / "valid.csv").write_text(old)
    assert read_predictions(tmp_path / "p" / "valid.csv").classes == ("cat", "path")
