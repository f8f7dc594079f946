"""Figures as people write them."""

import pytest

from dlcli import words


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
