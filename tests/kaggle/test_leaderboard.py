"""Where a score stands, and what valid scores are worth."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.kaggle.competitions import METRICS, Standing
from dlcli.kaggle.leaderboard import metric_by, rank_of, truth
from dlcli.kaggle.record import Entry
from dlcli.runs.run import Run

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
    for scores, falls in (((0.03, 0.3), True), ((0.99, 0.3), False)):
        metric = metric_by(board(*scores))
        assert metric is not None
        assert (metric.falls, metric.name) == (falls, "")
    assert metric_by(board(0.5)) is None
    assert metric_by(board(0.5, 0.5)) is None


@given(st.lists(st.tuples(scores, scores), min_size=3, max_size=20))
def test_the_correlations_are_those_of_scipy(pairs: list[tuple[float, float]]) -> None:
    from scipy import stats

    found = truth((Run(Path(str(n))), entry(*pair)) for n, pair in enumerate(pairs))
    valid, public = zip(*pairs, strict=True)
    if min(len(set(valid)), len(set(public))) < 2:
        assert (found.correlation, found.ranks) == (None, None)
        return
    assert found.correlation == pytest.approx(stats.pearsonr(valid, public).statistic, abs=1e-6)
    assert found.ranks == pytest.approx(stats.spearmanr(valid, public).statistic, abs=1e-9)


def test_what_has_no_score_yet_says_nothing_and_two_are_too_few() -> None:
    sent = [entry(0.5, 0.55), entry(0.4, 0.6), entry(0.3, None), entry(None, 0.2)]
    found = truth((Run(Path(str(n))), each) for n, each in enumerate(sent))
    assert (found.runs, found.inside, found.correlation) == (2, 1, None)
    assert found.difference == pytest.approx(0.125)
    assert truth([]).runs == 0


def test_a_run_that_was_sent_with_many_clips_counts_once() -> None:
    run = Run(Path("a"))
    found = truth((run, entry(0.1 * n, 0.1 * n)) for n in range(1, 9))
    assert (found.runs, found.correlation) == (1, None)
