"""From downloads of ratings to datasets: each form that is known, and rows that can't be read."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.small_ratings import HEADER, ROWS, organized, written

from dlcli.data.ratings.columns import Naming
from dlcli.data.ratings.organize import OrganizeOptions, find, holds_ratings, organize
from dlcli.data.ratings.ratings import open_ratings
from dlcli.errors import DlError


def triples(folder: Path) -> list[tuple[str, str, float]]:
    ratings = open_ratings(folder)
    users = [ratings.user_ids[number - 1] for number in ratings.users]
    items = [ratings.item_ids[number - 1] for number in ratings.items]
    return list(zip(users, items, ratings.values.tolist(), strict=True))


AS_ROWS = [(user, item, float(rating)) for user, item, rating, _ in ROWS]


def test_rows_become_arrays_in_their_order(tmp_path: Path) -> None:
    made = organized(tmp_path)
    assert triples(tmp_path / "films") == AS_ROWS
    ratings = made.ratings
    assert ratings.times is not None and ratings.times.tolist() == [int(row[3]) for row in ROWS]
    assert ratings.user_ids == ("ann", "bob", "cleo") and ratings.item_ids == ("m1", "m2", "m3")
    assert ratings.sizes == {"train": 6, "valid": 0, "test": 0}
    assert str(ratings.record.scale) == "1 to 5 in steps of 0.5"
    assert ratings.density == 6 / 9
    assert made.notes == (
        "Columns of ratings.csv: user `userId`, item `movieId`, rating `rating`, time `timestamp`.",
    )


def test_whole_numbers_are_ordered_by_value_and_other_ids_as_text(tmp_path: Path) -> None:
    rows = [("u", "i", "rating"), ("10", "b", "1"), ("9", "a", "2"), ("010", "B", "3")]
    naming = Naming(user="u", item="i")
    ratings = organized(tmp_path, rows, OrganizeOptions(naming=naming)).ratings
    assert ratings.user_ids == ("9", "010", "10") and ratings.item_ids == ("B", "a", "b")


def test_the_order_of_rows_changes_no_number_of_a_user(tmp_path: Path) -> None:
    one = organized(tmp_path / "a", (HEADER, *ROWS)).ratings
    other = organized(tmp_path / "b", (HEADER, *reversed(ROWS))).ratings
    assert other.users.tolist() == one.users.tolist()[::-1]


@pytest.mark.parametrize(
    ("name", "separator", "rows"),
    [
        ("u.data", "\t", [(f"{n}", f"{n + 5}", f"{n % 5}", "881250949") for n in range(1, 9)]),
        (
            "ratings.dat",
            "::",
            [(f"{n}", f"{n + 5}", f"{n % 5}", "978300760") for n in range(1, 9)],
        ),
        (
            "amazon.csv",
            ",",
            [(f"A1YJEY40YUW4S{n}", "7806397051", f"{n % 5}.0", "1391040000") for n in range(8)]
            + [("A1YJEY40YUW4S9", "B000GI21SE", "3.0", "1391040000")],
        ),
        (
            "goodreads.csv",
            ",",
            [("user_id", "book_id", "rating"), ("1", "258", "5"), ("2", "4081", "4")],
        ),
        (
            "BX-Book-Ratings.csv",
            ";",
            [
                ('"User-ID"', '"ISBN"', '"Book-Rating"'),
                ('"1"', '"034X"', '"0"'),
                ('"2"', '"1"', '"5"'),
            ],
        ),
        (
            "train.csv",
            ",",
            [("id", "user_id", "item_id", "score"), ("0", "7", "x", "5"), ("1", "8", "y", "2")],
        ),
    ],
)
def test_known_forms_are_read(
    tmp_path: Path, name: str, separator: str, rows: list[tuple[str, ...]]
) -> None:
    organized(tmp_path, rows, name=name, separator=separator)
    plain = [[cell.strip('"') for cell in row] for row in rows]
    if not any(cell.isdecimal() for cell in plain[0]):
        at = 1 if plain[0][0] == "id" else 0
        plain = [row[at:] for row in plain[1:]]
    assert triples(tmp_path / "films") == [(u, i, float(r)) for u, i, r, *_ in plain]
    assert holds_ratings(tmp_path / name)


def test_in_amazons_files_of_2018_items_stand_first(tmp_path: Path) -> None:
    rows = [
        ("0001713353", "A1C6M8LCIX4M6M", "5.0", "1123804800"),
        ("0001713353", "A1REUF3A1YCPHM", "4.0", "1112140800"),
        ("B00005N5PF", "A1YRBRK2XM5D5", "5.0", "1081036800"),
    ]
    made = organized(tmp_path, rows, name="Books.csv")
    assert made.ratings.record.columns == {"user": "2", "item": "1", "rating": "3", "time": "4"}
    assert made.notes[0] == (
        "Columns of Books.csv, found by their content: user `2`, item `1`, rating `3`, time `4`. "
        "If that is wrong, name them, such as `--user-column 1 --item-column 2`."
    )


def test_columns_that_the_user_names_come_first(tmp_path: Path) -> None:
    rows = [("who", "what", "much", "rating"), ("a", "x", "1", "9"), ("b", "y", "2", "9")]
    naming = Naming(user="who", item="what", rating="much")
    organized(tmp_path, rows, OrganizeOptions(naming=naming))
    assert triples(tmp_path / "films") == [("a", "x", 1.0), ("b", "y", 2.0)]
    with pytest.raises(DlError, match="no column `whom`"):
        organized(tmp_path / "b", rows, OrganizeOptions(naming=Naming(user="whom")))


def test_times_are_seconds_milliseconds_or_dates(tmp_path: Path) -> None:
    times = {
        "seconds": ("1260759144", "1260759179"),
        "milliseconds": ("1260759144000", "1260759179123"),
        "dates": ("2009-12-14 02:52:24", "2009-12-14T02:52:59Z"),
    }
    for name, (one, other) in times.items():
        rows = [HEADER, ("a", "x", "1", one), ("b", "y", "2", other)]
        ratings = organized(tmp_path / name, rows).ratings
        assert ratings.times is not None
        assert ratings.times.tolist() == [1260759144, 1260759179], name


def test_a_column_of_other_dates_is_left_out_and_said(tmp_path: Path) -> None:
    rows = [HEADER, ("a", "x", "1", "Apr 3"), ("b", "y", "2", "May 4")]
    made = organized(tmp_path, rows)
    assert made.ratings.times is None and made.ratings.record.columns["time"] is None
    assert made.notes[1] == (
        "Left out: column `timestamp`, which holds no times that `dl` can read."
    )


def test_titles_are_found_beside_by_the_column_that_names_the_items(tmp_path: Path) -> None:
    # as in goodbooks-10k: `book_id` is another site's number there
    books = [("id", "book_id", "title"), ("1", "900", "Emma, a novel"), ("2", "1", "Möwe")]
    written(tmp_path / "books.csv", [(a, b, f'"{c}"' if "," in c else c) for a, b, c in books])
    rows = [("user_id", "book_id", "rating"), ("7", "1", "5"), ("8", "2", "4"), ("8", "3", "4")]
    made = organized(tmp_path, rows)
    assert made.ratings.titles == ("Emma, a novel", "Möwe", "")
    assert made.ratings.record.counts.titles == 2
    assert "Titles: column `title` of books.csv, by `id`." in made.notes
    assert "Without a title: 1 of 3 items." in made.notes


def test_latin_1_titles_of_movielens_100k_are_read(tmp_path: Path) -> None:
    (tmp_path / "u.item").write_bytes("6|Café (1995)|01-Jan-1995||x\n7|Sp|b||\n".encode("latin-1"))
    rows = [("1", "6", "3", "881250949"), ("2", "7", "4", "881250949")]
    made = organized(tmp_path, rows, name="u.data", separator="\t")
    assert made.ratings.titles == ("Café (1995)", "Sp")


def test_test_pairs_are_kept_in_their_order_with_0_for_unknown(tmp_path: Path) -> None:
    rows = [("id", "userId", "movieId"), ("0", "bob", "m2"), ("1", "new", "m1"), ("2", "bob", "m9")]
    written(tmp_path / "test.csv", rows)
    written(tmp_path / "sample_submission.csv", [("id", "rating"), ("0", "3")])
    made = organized(tmp_path)
    assert made.ratings.test_users.tolist() == [2, 0, 2]
    assert made.ratings.test_items.tolist() == [2, 1, 0]
    pairs = (tmp_path / "films" / "test" / "pairs.csv").read_text()
    assert pairs == (tmp_path / "test.csv").read_text()
    assert (tmp_path / "films" / "sample_submission.csv").is_file()
    assert made.notes[-1] == (
        "Pairs to predict: 3 of test.csv; 2 of them have a user or an item without a rating."
    )


def test_a_folder_and_an_archive_that_hold_the_file_are_read(tmp_path: Path) -> None:
    written(tmp_path / "ml" / "inner" / "ratings.csv", (HEADER, *ROWS))
    movies = [("movieId", "title"), ("m1", "One"), ("m2", "Two"), ("m3", "Three")]
    written(tmp_path / "ml" / "inner" / "movies.csv", movies)
    assert find(tmp_path / "ml").ratings == tmp_path / "ml" / "inner" / "ratings.csv"
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        for file in (tmp_path / "ml" / "inner").iterdir():
            archive.write(file, f"inner/{file.name}")
    for source in (tmp_path / "ml", tmp_path / "ml.zip"):
        assert holds_ratings(source)
        made = organize(source, tmp_path / f"of-{source.name}")
        assert made and made.ratings.titles == ("One", "Two", "Three")
        assert organize(source, tmp_path / f"of-{source.name}") is None
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"ml", "ml.zip", "of-ml", "of-ml.zip"}


def test_quotes_empty_lines_a_mark_and_line_ends_of_windows_change_nothing(tmp_path: Path) -> None:
    text = '\ufeffuserId,movieId,rating\r\n\r\n"a,1","m""1",4\r\nb,m2,5\r\n\r\n'
    (tmp_path / "ratings.csv").write_text(text, encoding="utf-8", newline="")
    organize(tmp_path / "ratings.csv", tmp_path / "films")
    assert triples(tmp_path / "films") == [("a,1", 'm"1', 4.0), ("b", "m2", 5.0)]


def test_ids_are_kept_as_they_are_and_alike_ones_are_said(tmp_path: Path) -> None:
    ids = ["Ann", "ann", "\u00e9", "e\u0301", "\udcff", "猫"]
    rows = [HEADER, *((each, f"m{n}", "3", "1000000000") for n, each in enumerate(ids))]
    made = organized(tmp_path, rows)
    assert sorted(made.ratings.user_ids) == sorted(ids)
    assert made.notes[-1] == (
        "2 groups of users have ids that differ only in case, Unicode form, spaces or leading "
        "zeros, such as `Ann`, `ann`. `dl` takes each for one of its own."
    )


REFUSED = {
    "empty": ("", "is empty"),
    "header": ("userId,movieId,rating\n", "has no ratings: it holds nothing but its header"),
    "one column": ("rating\n4\n5\n", "has one column: ratings need three"),
    "two columns": ("userId,rating\na,4\nb,5\n", "has 2 columns: ratings need three"),
    "words": ("userId,movieId,rating\na,x,4\nb,y,good\n", "Line 3 of .* 'good' is not a number"),
    "missing": ("userId,movieId,rating\na,x,4\nb,y,\n", "Line 3 of .* the cell is empty"),
    "nan": ("userId,movieId,rating\na,x,4\nb,y,NaN\n", "Line 3 of .* 'NaN' is not a rating"),
    "infinite": ("userId,movieId,rating\na,x,4\nb,y,inf\n", "Line 3 of .* 'inf' is not a rating"),
    "short": ("userId,movieId,rating\na,x,4\nb,y\n", "Line 3 of .* has 2 cells"),
    "no user": ("userId,movieId,rating\na,x,4\n,y,3\n", "Line 3 of .* has no user"),
    "one user": ("userId,movieId,rating\na,x,4\na,y,3\n", "ratings of one user alone, 'a'"),
    "one item": ("userId,movieId,rating\na,x,4\nb,x,3\n", "ratings of one item alone, 'x'"),
    "no time": (
        "userId,movieId,rating,time\n" + "a,x,4,100000000\n" * 10_001 + "b,y,4,later\n",
        "Line 10,003 of .* has no time that `dl` can read",
    ),
    "quote": ('userId,movieId,rating\na,x,4\n"b,y,3\n', "can't be read as a table: line 3"),
    "unclear": ("a,b,c,d,e\nx,y,1,z,w\nx,y,2,z,w\n", "Can't tell which column .* holds the users"),
    "binary": ("a\0b", "can't be read as a table: it is not text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_table_of_ratings_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]
    (tmp_path / "ratings.csv").write_text(text)
    with pytest.raises(DlError) as error:
        organize(tmp_path / "ratings.csv", tmp_path / "films")
    said = str(error.value).replace("\n", " ")
    assert re.search(message, said), said
    assert {path.name for path in tmp_path.iterdir()} == {"ratings.csv"}


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text("userId,movieId,rating\na,x,4\n" + "b" * (1 << 23))
    with pytest.raises(DlError, match="a line has more than"):
        organize(file, tmp_path / "films")


def test_a_folder_that_holds_something_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "notes.txt").touch()
    with pytest.raises(DlError, match="is not empty"):
        organized(tmp_path)
    (tmp_path / "films" / "notes.txt").rename(tmp_path / "films" / "dataset.yaml")
    organized(tmp_path)
    assert (tmp_path / "films" / "dataset.yaml").is_file()


def test_a_folder_of_photos_or_tables_of_labels_is_not_one_of_ratings(tmp_path: Path) -> None:
    written(tmp_path / "train.csv", [("id", "breed"), ("1", "pug"), ("2", "collie")])
    assert not holds_ratings(tmp_path)
    assert not holds_ratings(tmp_path / "missing")


def test_many_blocks_give_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    rows = [
        (f"{u}", f"{i}", f"{r / 2}", f"{t}")
        for u, i, r, t in (random.integers(1, 9, (400, 4)) + np.array([0, 0, 0, 10**9])).tolist()
    ]
    whole = organized(tmp_path / "a", (HEADER, *rows)).ratings
    monkeypatch.setattr("dlcli.data.ratings.tables._READ_CHARACTERS", 64)
    parts = organized(tmp_path / "b", (HEADER, *rows)).ratings
    assert parts.record.digest == whole.record.digest
