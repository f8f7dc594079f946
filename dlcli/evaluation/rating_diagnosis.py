"""Diagnose under- and overfitting of a model of ratings.

Two comparisons decide, each on training and on validation ratings: the model's MSE with that of the
bias model, which is fitted directly, and with that of the mean rating. They are paired, rating by
rating, so that a small gain shows. A low error on training ratings alone is no sign of overfitting:
each user and each item has few ratings, so even the best strength of L2 leaves a large difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlcli.evaluation.chance import LEVEL, Mean, mean_by_group
from dlcli.evaluation.diagnosis import TRIFLE, Diagnosis, Kind, after_best, while_training
from dlcli.evaluation.history import NOTABLE_RISE, Trends, trends
from dlcli.evaluation.ratings import Rated, residuals
from dlcli.evaluation.remedies import (
    Commands,
    lower_rates,
    more_epochs_of,
    to_finish,
    to_go_further,
    with_command,
)
from dlcli.words import count, percent
from dlcli.words import loss as written

if TYPE_CHECKING:
    from dlcli.evaluation.ratings import Floats

# On MovieLens' 100,004 ratings, 20 factors fitted to what the bias model (0.793) leaves, by L2: the
# best has an MSE of 0.779 on validation ratings and 0.447 on training ratings, 1.7 times as much.
# With less L2 they are 0.814 and 0.336 (2.4 times), or 0.966 and 0.187.
FAR_APART = 2.0
# A lower MSE than the bias model's counts from this share on, even if it is no chance.
LEAST_GAIN = 0.005
# The settings of the recipes change by this factor.
L2_STEP, FACTORS_STEP = 3, 2
MORE_RATINGS = "more ratings"


@dataclass(frozen=True)
class RatingOptions(Commands):
    """What a training on ratings used, and the commands for alternatives.

    Args:
        factors: numbers per user and item; None if the recipe has none, as `collab-bias`.
        l2: strength of the L2 penalty; None if the recipe has none.
        usual_l2: what to try if it is 0.
    """

    factors: int | None = None
    l2: float | None = None
    usual_l2: float = 1e-4

    @property
    def more_l2(self) -> str | None:
        """The command for more L2; None if the recipe has none."""
        if self.l2 is None:
            return None
        return self.with_set(f"l2={self.l2 * L2_STEP or self.usual_l2:.3g}")

    @property
    def less_l2(self) -> str | None:
        """The command for less L2; None if there is none."""
        return self.with_set(f"l2={self.l2 / L2_STEP:.3g}") if self.l2 else None

    @property
    def more_factors(self) -> str | None:
        """The command for more factors; None if the recipe has none."""
        if self.factors is None:
            return None
        return self.with_set(f"factors={self.factors * FACTORS_STEP}")

    @property
    def fewer_factors(self) -> str | None:
        """The command for fewer factors; None if it has one or none."""
        if self.factors is None or self.factors < FACTORS_STEP:
            return None
        return self.with_set(f"factors={self.factors // FACTORS_STEP}")


@dataclass(frozen=True)
class RatingScore:
    """The kept model's errors on some ratings, without dropout.

    Args:
        mse: mean squared error.
        below_mean, below_bias: the MSE of the mean rating, and of the bias model, minus the
            model's: above 0 if the model is better.
    """

    ratings: int
    mse: Mean
    below_mean: Mean
    below_bias: Mean

    @property
    def usable(self) -> bool:
        """Whether the errors are finite, and the mean rating is not always right."""
        return math.isfinite(self.mse.value) and self.mean_mse > 0

    @property
    def mean_mse(self) -> float:
        """The MSE of the mean rating."""
        return self.mse.value + self.below_mean.value

    @property
    def bias_mse(self) -> float:
        """The MSE of the bias model."""
        return self.mse.value + self.below_bias.value


def measure(rated: Rated, y_pred: Floats, mean: float, bias_pred: Floats) -> RatingScore:
    """Score a model's predictions of some ratings.

    Args:
        y_pred, bias_pred: what the model and the bias model predict, arrays (n_ratings,).
        mean: the mean rating in `train`.

    Raises:
        DlError: there are no ratings, or a prediction is not a finite number.
    """
    import numpy as np

    own, of_bias, of_mean = (
        residuals(rated, each) ** 2
        for each in (y_pred, bias_pred, np.full(len(rated.values), mean))
    )
    return RatingScore(
        ratings=len(rated.values),
        mse=mean_by_group(own, rated.users),
        below_mean=mean_by_group(of_mean - own, rated.users),
        below_bias=mean_by_group(of_bias - own, rated.users),
    )


def diagnose(
    train: RatingScore,
    valid: RatingScore,
    history: Sequence[Mapping[str, Any]],
    options: RatingOptions,
) -> Diagnosis:
    """Diagnose a training on ratings.

    Args:
        train: score on training ratings; some thousands of them are enough.
        valid: score on all validation ratings.
        history: rows of `history.csv`; a `loss` that includes more than the MSE is left out.
        options: what the training used, and the alternatives.
    """
    evidence = _measured(train, valid)
    if not (train.usable and valid.usable):
        why = "there is no error, or all ratings are the same"
        return Diagnosis("not clear", f"Not clear: {why}.", evidence, ())
    # the model of one epoch differs from that of another by less than from the bias model
    noise = _reach(valid.below_bias)
    seen = trends(history, noise, TRIFLE * valid.mean_mse, rise=1.0)
    kind, sentence = _finding(train, valid, seen, options)
    used = {"dropout": bool(options.dropout)}
    beside = [*after_best(seen), *while_training(train.mse.value, train.mean_mse, seen, used)]
    return Diagnosis(
        kind,
        sentence,
        " ".join([evidence, *beside]),
        _remedies(kind, train, valid, seen, options),
    )


def _finding(
    train: RatingScore, valid: RatingScore, seen: Trends, options: RatingOptions
) -> tuple[Kind, str]:
    """The kind and sentence of the first rule that applies."""
    on_train, on_valid = written(train.mse.value), written(valid.mse.value)
    both = f"{on_valid} on the validation ratings and {on_train} on training ratings"
    if not (_above(train.below_mean) or _above(valid.below_mean)):
        return "nothing learned", (
            "Nothing learned yet: the model is not measurably better than the mean rating, neither "
            "on training nor on validation ratings."
        )
    if train.below_mean.value < 0:
        return "underfitting", (
            f"Underfitting: even on training ratings the MSE is {on_train}. The mean rating gives "
            "a lower one."
        )
    if valid.below_mean.value < 0:
        return "overfitting", (
            f"Overfitting: the MSE is {both}. On the validation ratings the mean rating gives a "
            "lower one."
        )
    if seen.fell:
        return "still learning", (
            f"Still learning: the validation loss fell from {written(seen.fell[0])} half-way to "
            f"{written(seen.fell[1])} in epoch {seen.best}."
        )
    of_bias = f"{written(valid.bias_mse)} and {written(train.bias_mse)}"
    fits_more = train.below_bias.value > TRIFLE * train.bias_mse
    if valid.mse.value > FAR_APART * train.mse.value and fits_more:
        beside = ""
        if _above(valid.below_bias):
            beside = f" On the former it is still {_less(valid)} lower than the bias model's."
        elif _below(valid.below_bias):
            beside = f" On the former the bias model's is lower, {written(valid.bias_mse)}."
        return "overfitting", f"Overfitting: the MSE is {both}, less than half as much.{beside}"
    if _above(valid.below_bias) and valid.below_bias.value > LEAST_GAIN * valid.bias_mse:
        return "good fit", (
            f"Good fit: the MSE is {both}. On the former it is {_less(valid)} lower than that of "
            f"the bias model, {written(valid.bias_mse)}."
        )
    compared = f"the MSE is {both}; the bias model's are {of_bias}"
    if valid.below_bias.p >= LEVEL and _reach(valid.below_bias) > TRIFLE * valid.bias_mse:
        few = count(valid.below_bias.groups, "user")
        return "not clear", (
            f"Not clear: the MSE is {both}. Whether it is lower than the bias model's, "
            f"{written(valid.bias_mse)}, can't be measured with {few}."
        )
    if options.factors is None and valid.below_bias.value > -TRIFLE * valid.bias_mse:
        return "good fit", (
            f"Good fit: the MSE is {both}. That is as low as a bias model gets: fitted directly, "
            f"{of_bias}."
        )
    if fits_more:
        return "overfitting", (
            f"Overfitting: {compared}. What the model learned beyond the biases "
            "hardly helps with other ratings."
        )
    return "underfitting", (
        f"Underfitting: {compared}. The model fits the training ratings hardly "
        "better than biases do."
    )


def _remedies(
    kind: Kind, train: RatingScore, valid: RatingScore, seen: Trends, options: RatingOptions
) -> tuple[str, ...]:
    if kind == "still learning":
        return to_finish(options)
    further = to_go_further(options)
    if kind == "not clear":
        return tuple(dict.fromkeys((*further[:1], MORE_RATINGS)))
    wrecked = valid.below_mean.value < 0
    if kind == "overfitting" or (kind == "good fit" and seen.rose):
        return _against_overfitting(options, wrecked=wrecked)
    if kind == "good fit":
        return further
    nothing = kind == "nothing learned"
    # random first weights may be somewhat worse than the mean rating, too
    most = train.mean_mse * (NOTABLE_RISE if nothing else 1)
    return _against_underfitting(
        options,
        diverged=seen.diverged is not None or train.mse.value > most,
        more_epochs=seen.single or nothing,
    )


def _against_overfitting(options: RatingOptions, *, wrecked: bool) -> tuple[str, ...]:
    """More data, more L2, fewer factors, more dropout, a simpler model.

    Args:
        wrecked: whether the mean rating is better. Then lower rates come first.
    """
    found = (
        *(lower_rates(options) if wrecked else ()),
        with_command("the whole dataset", options.full),
        with_command("more L2" if options.l2 else "L2", options.more_l2),
        with_command("fewer factors", options.fewer_factors),
        with_command("more dropout" if options.dropout else "dropout", options.more_dropout),
        with_command("a simpler model", options.simpler),
    )
    return tuple(filter(None, found)) or (MORE_RATINGS,)


def _against_underfitting(
    options: RatingOptions, *, diverged: bool, more_epochs: bool
) -> tuple[str, ...]:
    """Other rates or more epochs, less L2, less dropout, more factors, a richer model.

    Args:
        diverged: whether the rates are too high, so that lower ones come first.
        more_epochs: whether more epochs come first.
    """
    rates: tuple[str, ...] = ()
    if diverged:
        rates = lower_rates(options)
    elif more_epochs:
        rates = to_finish(options)[:2]
    found = (
        *rates,
        with_command("less L2", options.less_l2),
        with_command("less dropout", options.less_dropout),
        with_command("more factors", options.more_factors),
        "" if rates else more_epochs_of(options),
        with_command("a richer model", options.richer),
        "" if diverged else with_command("another learning rate", options.find_rate),
    )
    return tuple(filter(None, found))


def _above(mean: Mean) -> bool:
    """Whether a mean is above 0 by more than chance explains."""
    return mean.value > 0 and mean.p < LEVEL


def _below(mean: Mean) -> bool:
    return mean.value < 0 and mean.p < LEVEL


def _reach(mean: Mean) -> float:
    """Half the width of the 95 % interval; infinite if unknown."""
    return mean.interval[1] - mean.value if mean.interval else math.inf


def _less(score: RatingScore) -> str:
    return percent(score.below_bias.value / score.bias_mse)


def _measured(train: RatingScore, valid: RatingScore) -> str:
    """Both errors with their standard errors, and those of the baselines on validation ratings."""
    text = f"Training ratings: {_text_of(train)}. Validation ratings: {_text_of(valid)}."
    if not valid.usable:
        return text
    return (
        f"{text} The bias model: {written(valid.bias_mse)}. The mean rating: "
        f"{written(valid.mean_mse)}."
    )


def _text_of(score: RatingScore) -> str:
    ratings = count(score.ratings, "rating")
    if not math.isfinite(score.mse.value):
        return f"no error ({ratings})"
    error = f" ± {written(score.mse.error)}" if math.isfinite(score.mse.error) else ""
    return f"MSE {written(score.mse.value)}{error} ({ratings})"
