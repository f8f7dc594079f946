"""What is said about a training on ratings: true of its numbers, and no more than they show."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.movielens import generated, split

from dlcli import words
from dlcli.evaluation.baselines import bias_model
from dlcli.evaluation.chance import Mean
from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.evaluation.rating_diagnosis import RatingOptions, RatingScore, diagnose, measure

USERS = 671


def score(
    mse: float, of_mean: float, of_bias: float, error: float = 0.003, users: int = USERS
) -> RatingScore:
    """A model's MSE, beside those of the mean rating and the bias model."""
    return RatingScore(
        ratings=20_000,
        mse=Mean(mse, 0.025, users),
        below_mean=Mean(of_mean - mse, 0.024, users),
        below_bias=Mean(of_bias - mse, error, users),
    )


def rows(*epochs: tuple[float, float]) -> list[dict[str, Any]]:
    """A history of (loss, val_loss)."""
    return [
        {"epoch": number, "phase": "model", "loss": loss, "val_loss": val_loss}
        for number, (loss, val_loss) in enumerate(epochs, start=1)
    ]


# MovieLens, 20 factors fitted to what the bias model leaves, with L2 from right to little and much.
BEST = score(0.447, 1.118, 0.670), score(0.779, 1.124, 0.793)
LITTLE = score(0.336, 1.118, 0.670), score(0.814, 1.124, 0.793)
LEAST = score(0.187, 1.118, 0.670), score(0.966, 1.124, 0.793)
MUCH = score(0.670, 1.118, 0.670), score(0.793, 1.124, 0.793)
DOT = RatingOptions(
    factors=50,
    l2=1e-4,
    simpler="dl train collab-bias",
    richer="dl train collab-net",
    find_rate="dl lr-find collab-dot",
)


def said(
    scores: tuple[RatingScore, RatingScore],
    options: RatingOptions = DOT,
    history: list[dict[str, Any]] | None = None,
) -> Diagnosis:
    return diagnose(*scores, history or [], options)


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        (BEST, "good fit"),
        (LITTLE, "overfitting"),
        (LEAST, "overfitting"),
        (MUCH, "underfitting"),
        ((score(1.11, 1.118, 0.67), score(1.12, 1.124, 0.793)), "nothing learned"),
        ((score(2.0, 1.118, 0.67), score(2.0, 1.124, 0.793)), "nothing learned"),
        ((score(0.3, 1.118, 0.67), score(1.3, 1.124, 0.793)), "overfitting"),
        ((score(0.6, 1.118, 0.67), score(0.80, 1.124, 0.793)), "overfitting"),
        ((score(0.3, 1.118, 0.67), score(0.75, 1.124, 0.793)), "overfitting"),
        ((score(0.5, 1.118, 0.67), score(0.78, 1.124, 0.793, error=0.02)), "not clear"),
        ((score(0.7, 1.118, 0.67), score(0.85, 1.124, 0.793)), "underfitting"),
    ],
)
def test_trainings_are_called_what_they_were(
    scores: tuple[RatingScore, RatingScore], kind: str
) -> None:
    assert said(scores).kind == kind


def test_the_block_after_a_training_gives_finding_numbers_and_remedies() -> None:
    finding, numbers, *remedies = said(LITTLE).lines
    assert finding == (
        "Overfitting: the MSE is 0.814 on the validation ratings and 0.336 on training ratings, "
        "less than half as much. On the former the bias model's is lower, 0.793."
    )
    assert numbers == (
        "Training ratings: MSE 0.336 ± 0.0250 (20,000 ratings). Validation ratings: MSE 0.814 ± "
        "0.0250 (20,000 ratings). The bias model: 0.793. The mean rating: 1.124."
    )
    assert remedies == [
        "Try, in this order:",
        "- more L2, `dl rerun RUN --set l2=0.0003`",
        "- fewer factors, `dl rerun RUN --set factors=25`",
        "- a simpler model, `dl train collab-bias`",
    ]


def test_a_good_fit_says_by_how_much_it_beats_the_bias_model() -> None:
    found = said(BEST)
    assert f"it is 1.8{words.NBSP}% lower than that of the bias model, 0.793" in found.sentence
    assert found.next == ("a richer model, `dl train collab-net`",)


def test_the_bias_recipe_is_a_good_fit_if_it_is_as_good_as_the_model_fitted_directly() -> None:
    options = RatingOptions(l2=1e-4, richer="dl train collab-dot")
    assert said(MUCH, options).kind == "good fit"
    assert "as low as a bias model gets" in said(MUCH, options).sentence
    late = score(0.8, 1.118, 0.67), score(0.9, 1.124, 0.793)
    assert said(late, options).kind == "underfitting"
    assert not any("factors" in each for each in said(late, options).next)


def test_too_much_l2_and_dropout_come_before_a_richer_model() -> None:
    options = RatingOptions(factors=16, l2=1e-3, dropout=0.75, richer="dl train it")
    assert said(MUCH, options).next == (
        "less L2, `dl rerun RUN --set l2=0.000333`",
        "less dropout, `dl rerun RUN --set dropout=0.38`",
        "more factors, `dl rerun RUN --set factors=32`",
        "more epochs, `dl rerun RUN --epochs 24`",
        "a richer model, `dl train it`",
    )


def test_without_l2_the_usual_strength_is_tried() -> None:
    found = said(LEAST, RatingOptions(factors=1, l2=0.0, usual_l2=2e-5))
    assert found.next == ("L2, `dl rerun RUN --set l2=2e-05`",)
    assert said(LEAST, RatingOptions()).next == ("more ratings",)


def test_a_validation_loss_that_still_falls_asks_for_more_epochs() -> None:
    falling = rows((1.0, 1.0), (0.9, 0.9), (0.8, 0.85), (0.7, 0.82), (0.65, 0.80), (0.6, 0.779))
    found = said(BEST, history=falling)
    assert found.kind == "still learning"
    assert found.next[0] == "more epochs, `dl rerun RUN --epochs 24`"


def test_a_rise_after_the_best_epoch_asks_for_more_l2() -> None:
    rising = rows((0.7, 0.80), (0.447, 0.779), (0.4, 0.83), (0.3, 0.86))
    found = said(BEST, history=rising)
    assert found.kind == "good fit"
    assert "the validation loss rose from 0.779 to 0.860 while" in found.evidence
    assert found.next[0].startswith("more L2")
    assert (
        "rose" not in said(BEST, history=rows((0.447, 0.779), (0.4, 0.78), (0.3, 0.782))).evidence
    )


def test_a_model_worse_than_the_mean_rating_asks_for_lower_rates_first() -> None:
    wrecked = score(0.5, 1.118, 0.67), score(1.3, 1.124, 0.793)
    assert said(wrecked).next[0].startswith("lower learning rates")
    diverged = said((score(1.3, 1.118, 0.67), score(0.9, 1.124, 0.793)))
    assert diverged.kind == "underfitting"
    assert diverged.next[0].startswith("lower learning rates")


def test_a_model_that_learned_nothing_yet_is_trained_for_longer_unless_it_diverged() -> None:
    near = score(1.12, 1.118, 0.67), score(1.12, 1.124, 0.793)
    assert [each.split(",")[0] for each in said(near).next[:2]] == [
        "more epochs",
        "a higher learning rate",
    ]
    far = score(2.0, 1.118, 0.67), score(2.0, 1.124, 0.793)
    assert said(far).next[0].startswith("lower learning rates")


def test_dropout_explains_a_higher_training_loss() -> None:
    options = RatingOptions(factors=50, dropout=0.75)
    found = said(BEST, options, rows((0.9, 0.9), (0.8, 0.779)))
    assert "is a mean over the epoch, with dropout;" in found.evidence


def test_one_user_leaves_everything_open() -> None:
    train = generated(0, 50, users=1)
    biases = bias_model(train, n_users=1, n_items=20).predict(train.users, train.items)
    alone = measure(train, train.values, 3.5, biases)
    assert not math.isfinite(alone.mse.error)
    found = diagnose(alone, alone, [], DOT)
    assert found.kind == "nothing learned"
    assert "nan" not in " ".join(found.lines)


def test_ratings_that_are_all_the_same_can_not_be_judged() -> None:
    train = generated(0, 50)
    same = np.full(50, 3.0)
    constant = measure(train._replace(values=same), same, 3.0, same)
    assert said((constant, constant)).kind == "not clear"
    assert said((constant, constant)).next == ()


def test_measured_scores_are_those_of_the_models() -> None:
    train, valid = split(generated(0, 3000), 0)
    mean = float(train.values.mean())
    biases = bias_model(train, n_users=30, n_items=20, strengths=(4.0, 4.0))
    found = measure(valid, valid.values + 0.5, mean, biases.predict(valid.users, valid.items))
    assert found.mse.value == pytest.approx(0.25)
    assert found.mean_mse == pytest.approx(((valid.values - mean) ** 2).mean())
    errors = valid.values - biases.predict(valid.users, valid.items)
    assert found.bias_mse == pytest.approx((errors**2).mean())


numbers = st.floats(0.01, 4)
scores = st.builds(
    score,
    numbers,
    numbers,
    numbers,
    st.floats(0, 0.1) | st.just(math.nan),
    st.integers(2, 2000),
)
histories = st.lists(st.tuples(numbers | st.just(math.nan), numbers), max_size=6).map(
    lambda epochs: rows(*epochs)
)
commands = st.none() | st.just("dl train it")
chosen = st.builds(
    RatingOptions,
    factors=st.none() | st.integers(1, 100),
    l2=st.none() | st.floats(0, 0.1),
    dropout=st.none() | st.floats(0, 0.99),
    full=commands,
    simpler=commands,
    richer=commands,
    find_rate=commands,
)


@given(scores, scores, histories, chosen)
def test_overfitting_is_claimed_only_where_training_ratings_fit_better(
    train: RatingScore, valid: RatingScore, history: list[dict[str, Any]], options: RatingOptions
) -> None:
    if diagnose(train, valid, history, options).kind == "overfitting":
        better = (
            train.below_bias.value > valid.below_bias.value,
            train.below_mean.value > valid.below_mean.value,
            train.mse.value < valid.mse.value,
        )
        assert any(better)


@given(scores, scores, histories, chosen)
def test_a_good_fit_is_not_worse_than_the_bias_model(
    train: RatingScore, valid: RatingScore, history: list[dict[str, Any]], options: RatingOptions
) -> None:
    if diagnose(train, valid, history, options).kind == "good fit":
        assert valid.mse.value < 1.03 * valid.bias_mse


@given(scores, scores, histories, chosen)
def test_what_is_said_is_whole_and_every_number_was_measured(
    train: RatingScore, valid: RatingScore, history: list[dict[str, Any]], options: RatingOptions
) -> None:
    found = diagnose(train, valid, history, options)
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(found.lines))
    assert found.sentence.endswith(".") and found.evidence.endswith(".")
    assert len(set(found.next)) == len(found.next) and all(found.next)
    tries = " ".join(found.next)
    for much in ("L2", "dropout", "factors"):
        assert not (f"more {much}" in tries and re.search(f"(less|fewer) {much}", tries))
    measured = {str(row["epoch"]) for row in history} | {"20,000", f"{valid.mse.groups:,}"}
    for row in history:
        measured |= {words.loss(row["loss"]), words.loss(row["val_loss"])}
    for each in (train, valid):
        measured |= {
            words.loss(value)
            for value in (each.mse.value, each.mse.error, each.mean_mse, each.bias_mse)
        }
        measured.add(words.percent(each.below_bias.value / each.bias_mse))
    measured = {text.removesuffix(f"{words.NBSP}%").lstrip("<>") for text in measured}
    text = f"{found.sentence} {found.evidence}".replace("L2", "")
    assert set(re.findall(r"\d(?:[\d,.]*\d)?(?:e-\d+)?", text)) <= measured
