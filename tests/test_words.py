"""Counts, sizes, spans, scores and names as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli import words
from dlcli.files.paths import shown
from dlcli.words import printable, span


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1, "100 %"),
        (0.99999, ">99.9 %"),
        (0.9997, ">99.9 %"),
        (0.9876, "98.8 %"),
        (0.5, "50.0 %"),
        (0.00001, "<0.1 %"),
        (0, "0 %"),
    ],
)
def test_what_is_not_all_never_reads_as_all(share, text):
    assert words.percent(share).replace(words.NBSP, " ") == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.000"), (0.03541, "0.0354"), (0.6931, "0.693"), (36.04, "36.0")]
)
def test_a_loss_keeps_the_digits_that_matter(value, text):
    assert words.loss(value) == text


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (("0", "1", "10", "2"), ["0", "1", "2", "10"]),
        (("-1", "0.5", "-2"), ["-2", "-1", "0.5"]),
        (("10", "2", "cat"), ["10", "2", "cat"]),
        (("nan", "1"), ["nan", "1"]),
        ((), []),
    ],
)
def test_names_that_are_all_numbers_are_listed_by_number(names, listed):
    assert words.by_number(names) == listed


@pytest.mark.parametrize(
    ("number", "names", "text"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2, ("image",), "2 images"),
        (12_345, ("image",), "12,345 images"),
        (1, ("box", "boxes"), "1 box"),
        (1_000, ("box", "boxes"), "1,000 boxes"),
    ],
)
def test_one_alone_is_named_in_the_singular(number, names, text):
    assert words.count(number, *names) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (12_345, "12.3 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (999_999_999, "1.0 GB"),
        (1_500_000_000, "1.5 GB"),
        (10**16, "10,000,000.0 GB"),
    ],
)
def test_a_size_is_in_the_largest_unit_of_which_there_is_one(n_bytes, text):
    assert words.size(n_bytes) == text


@given(st.integers(0, 10**18))
def test_a_size_reads_back_to_within_a_twentieth_of_its_unit(n_bytes):
    figure, unit = words.size(n_bytes).split()
    one = {"byte": 1, "bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}[unit]
    number = float(figure.replace(",", ""))
    assert number * one == pytest.approx(n_bytes, rel=1e-9, abs=0.0501 * one if one > 1 else 0)
    assert number < 1_000 or unit == "GB"


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("a b.jpg", "a b.jpg"),
        ("Zürich 日本.jpg", "Zürich 日本.jpg"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b31m", "\\x9b31m"),  # the same as ESC [ to some terminals
        ("\u202egpj.exe", "\\u202egpj.exe"),  # would turn the rest of the line around
        ("\udcff.jpg", "\\udcff.jpg"),  # a byte that is not UTF-8
    ],
)
def test_whatever_a_name_holds_what_is_shown_can_be_printed(name: str, printed: str) -> None:
    assert shown(name) == printed


def test_no_break_spaces_stay_as_they_are() -> None:
    assert printable("99.9\u00a0%\n") == "99.9\u00a0%\\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (720, "12 min"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (26 * 3600, "26 h"),
        (76 * 3600, "3 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_a_duration_is_read_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


def test_a_value_is_written_as_python_does_and_cut_where_it_is_long() -> None:
    assert words.written("a'b") == '"a\'b"'
    assert words.written("x" * 1000) == "'" + "x" * 79 + "... (1,002 characters)"
    assert words.written(10**5000) == "a number of thousands of digits"


@pytest.mark.parametrize(
    ("texts", "said"),
    [("", ""), ("a", "a"), ("abc", "a, b, c"), ("abcde", "a, b, c and 2 more")],
)
def test_long_lists_are_cut_with_a_count(texts: str, said: str) -> None:
    assert words.first_of(list(texts)) == said
