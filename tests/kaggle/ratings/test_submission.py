"""From predicted ratings to the file that a competition wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlcli.data.ratings.pairs import PairsToPredict
from dlcli.errors import DlError
from dlcli.kaggle.ratings.submission import Sample, make_submission, read_sample

USERS, ITEMS, PREDICTED = ["ann", "bob", "ann"], ["m1", "m1", "m2"], np.array([4.25, 3, 1.5])
WITH_IDS = PairsToPredict(("ID", "user", "item"), (["7", "8", "9"], USERS, ITEMS), 1, 2)
PLAIN = PairsToPredict(("user", "item"), (USERS, ITEMS), 0, 1)


def sample(folder: Path, text: str) -> Sample:
    file = folder / "sample_submission.csv"
    file.write_text(text)
    return read_sample(file)


def test_without_a_sample_a_file_has_the_ids_of_the_test_file_else_user_and_item() -> None:
    made = make_submission(WITH_IDS, PREDICTED, None, "rating")
    assert made.header == ("ID", "rating")
    assert made.rows == (("7", "4.25"), ("8", "3"), ("9", "1.5"))
    made = make_submission(PLAIN, PREDICTED, None, "stars")
    assert made.header == ("user", "item", "stars")
    assert made.rows == (("ann", "m1", "4.25"), ("bob", "m1", "3"), ("ann", "m2", "1.5"))


@pytest.mark.parametrize(
    ("text", "ids", "how"),
    [
        ("id,Prediction\n9,0\n7,0\n8,0\n", ["9", "7", "8"], "column `ID`"),
        ("id,rating\nann_m2,3\nann_m1,3\nbob_m1,3\n", ["ann_m2", "ann_m1", "bob_m1"], "user_item"),
        ("id,rating\nm2:ann,3\nm1:ann,3\nm1:bob,3\n", ["m2:ann", "m1:ann", "m1:bob"], "item:user"),
        ("id,rating\n2,3\n0,3\n1,3\n", ["2", "0", "1"], "row numbers from 0"),
        ("id,rating\n3,3\n1,3\n2,3\n", ["3", "1", "2"], "row numbers from 1"),
    ],
)
def test_ids_of_a_sample_are_recognised_and_keep_their_order(
    tmp_path: Path, text: str, ids: list[str], how: str
) -> None:
    made = make_submission(WITH_IDS, PREDICTED, sample(tmp_path, text), "rating")
    assert made.header == tuple(text.splitlines()[0].split(","))
    assert made.rows == tuple(zip(ids, ("1.5", "4.25", "3"), strict=True))
    assert made.notes == (f"Ids of sample_submission.csv are {how}.",)


def test_a_sample_may_have_user_and_item_and_fewer_pairs(tmp_path: Path) -> None:
    made = make_submission(
        PLAIN, PREDICTED, sample(tmp_path, "item,user,rating\nm2,ann,0\nm1,bob,0\n"), "rating"
    )
    assert made.rows == (("m2", "ann", "1.5"), ("m1", "bob", "3"))
    assert any(note.endswith("lacks them: 1.") for note in made.notes)


def test_a_sample_without_a_header_stays_without(tmp_path: Path) -> None:
    made = make_submission(WITH_IDS, PREDICTED, sample(tmp_path, "8,0\n7,0\n9,0\n"), "rating")
    assert (made.header, made.rows[0]) == ((), ("8", "3"))


def test_ids_that_no_pair_has_are_named(tmp_path: Path) -> None:
    with pytest.raises(DlError) as refused:
        make_submission(WITH_IDS, PREDICTED, sample(tmp_path, "ID,rating\n7,0\n77,0\n"), "rating")
    assert "1 of 2, such as '77'; ids were compared with column `ID`" in refused.value.why


@pytest.mark.parametrize(
    "text", ["", "id,rating\n", "id\n7\n", "a,b,c,d\n1,2,3,4\n", "id,rating\n7,0,1\n"]
)
def test_what_is_not_a_sample_of_ratings_is_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(DlError, match="is not a sample submission of ratings"):
        sample(tmp_path, text)


def test_a_row_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(DlError, match="has `7` twice"):
        sample(tmp_path, "id,rating\n7,0\n8,0\n7,1\n")
