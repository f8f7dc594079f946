"""Runs on ratings beside each other: by their squared errors, with users as independent."""

from __future__ import annotations

import numpy as np
import pytest
from support.judged_run import ITEMS, USERS, judged_run, off_by, ratings

from dlcli.errors import DlError
from dlcli.evaluation.chance import mean_by_group
from dlcli.report.compare import Comparison, compare
from dlcli.report.ratings.compare import RatingsContrast

pytestmark = pytest.mark.usefixtures("home")

ALL = USERS * ITEMS


def only(comparison: Comparison) -> RatingsContrast:
    (contrast,) = comparison.contrasts
    assert isinstance(contrast, RatingsContrast)
    return contrast


def test_scores_are_the_mean_squared_error_and_its_root() -> None:
    one, two = judged_run("one", off_by(0.5, -0.5)), judged_run("two", off_by(1.0))
    comparison = compare([one, two])
    assert (comparison.kind, comparison.examples) == ("ratings", ALL)
    assert [each.scores for each in comparison.runs] == [
        {"loss": 0.25, "rmse": 0.5},
        {"loss": 1.0, "rmse": 1.0},
    ]
    assert [each.recipe for each in comparison.runs] == ["collab-dot", "collab-dot"]


def test_a_contrast_takes_users_as_independent() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.6, ALL)
    worse = np.array(ratings()) + noise
    better = np.array(ratings()) + noise * np.repeat(rng.uniform(0.7, 1.1, USERS), ITEMS)
    contrast = only(
        compare([judged_run("one", worse.tolist()), judged_run("two", better.tolist())])
    )
    assert (contrast.best, contrast.other) == ("B", "A")
    less = (worse - ratings()) ** 2 - (better - ratings()) ** 2
    expected = mean_by_group(less, np.repeat(np.arange(USERS), ITEMS))
    assert contrast.test.users == USERS
    assert contrast.test.mse == pytest.approx(expected.value, rel=1e-5)
    assert contrast.test.mse_p == pytest.approx(expected.p, rel=1e-3)
    low, high = contrast.test.mse_interval or (0, 0)
    (sentence,) = contrast.sentences
    more = "more" if expected.p < 0.05 else "no more"
    assert sentence == (
        f"B's MSE is lower than A's by {expected.value:.4f} (95 % interval {low:.4f} to "
        f"{high:.4f}, 120 ratings by 20 users): {more} than chance explains."
    )


def test_runs_that_predict_alike_have_the_same_error() -> None:
    contrast = only(compare([judged_run("one"), judged_run("two")]))
    assert contrast.sentences == [
        "A and B have the same MSE on the ratings of each of 20 users.",
    ]


def test_several_are_corrected_by_holm() -> None:
    runs = [judged_run(f"r{n}", off_by(0.5 + 0.1 * n, -0.4)) for n in range(3)]
    contrasts = compare(runs).contrasts
    assert [(each.best, each.other) for each in contrasts] == [("A", "B"), ("A", "C")]
    assert all(", p " in each.sentences[0] for each in contrasts)


def test_ratings_that_not_all_have_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    one = judged_run("one", rows=slice(0, 100))
    two = judged_run("two", off_by(1.0), rows=slice(20, 120))
    assert compare([one, two]).examples == 80
    said = capsys.readouterr().err
    assert "Compared on the 80 validation ratings that all runs have; 40 others left out." in said


def test_runs_without_a_rating_in_common_are_not_compared() -> None:
    one, two = judged_run("one", rows=slice(0, 60)), judged_run("two", rows=slice(60, 120))
    with pytest.raises(DlError, match="no validation rating in common"):
        compare([one, two])
