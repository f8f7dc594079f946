"""Where a score stands, and what valid scores are worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlcli.competitions import METRICS, Standing
from dlcli.kaggle_log import Entry
from dlcli.standing import metric_by, rank_of, truth

LOSS, ACCURACY = METRICS["log_loss"], METRICS["accuracy"]
scores = st.floats(0.001, 1).map(lambda value: round(value, 5))


def board(*of: float) -> list[Standing]:
    return [Standing(f"team {score}", score) for score in of]


def entry(valid: float | None, public: float | None, reach: float = 0.1) -> Entry:
    span = None if valid is None else (valid - reach, valid + reach)
    return Entry("1a2b3c4d", "c", "", "", expected=valid, expected_range=span, public_score=public)


def test_a_score_stands_behind_those_that_are_better() -> None:
    teams = board(0.03, 0.04, 0.05, 0.06)
    assert rank_of(0.045, teams, LOSS).place == 3
    assert rank_of(0.04, teams, LOSS).place == 2
    assert rank_of(0.04, teams, LOSS).percentile == 50
    assert rank_of(0.9, teams, LOSS).teams == 5  # not on the board itself
    assert rank_of(0.045, teams[::-1], ACCURACY).place == 3


@given(st.lists(scores, min_size=1, max_size=30), scores)
def test_no_better_score_has_a_later_place(of: list[float], score: float) -> None:
    for metric, better in ((LOSS, score / 2), (ACCURACY, score * 2)):
        teams = board(*of)
        assert rank_of(better, teams, metric).place <= rank_of(score, teams, metric).place
        assert 1 <= rank_of(score, teams, metric).place <= len(of) + 1


def test_a_leaderboard_shows_by_its_order_whether_less_is_better() -> None:
    assert metric_by(board(0.03, 0.3)) == LOSS
    assert metric_by(board(0.99, 0.3)) == ACCURACY
    assert metric_by(board(0.5)) is None
    assert metric_by(board(0.5, 0.5)) is None


@given(st.lists(st.tuples(scores, scores), min_size=3, max_size=20))
def test_the_correlations_are_those_of_scipy(pairs: list[tuple[float, float]]) -> None:
    found = truth(entry(*pair) for pair in pairs)
    valid, public = zip(*pairs, strict=True)
    if min(len(set(valid)), len(set(public))) < 2:
        assert (found.correlation, found.ranks) == (None, None)
        return
    assert found.correlation == pytest.approx(stats.pearsonr(valid, public).statistic, abs=1e-6)
    assert found.ranks == pytest.approx(stats.spearmanr(valid, public).statistic, abs=1e-9)


def test_what_has_no_score_yet_says_nothing_and_two_are_too_few() -> None:
    found = truth([entry(0.5, 0.55), entry(0.4, 0.6), entry(0.3, None), entry(None, 0.2)])
    assert (found.pairs, found.inside, found.correlation) == (2, 1, None)
    assert found.difference == pytest.approx(0.125)
    assert truth([]).pairs == 0
