"""Advice on ratings that knows what was tried."""

from __future__ import annotations

import pytest
from support.judged_run import judged_run, off_by

from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.evaluation.rating_diagnosis import RatingOptions
from dlcli.runs.attempts import advice_lines
from dlcli.runs.run import Run

pytestmark = pytest.mark.usefixtures("home")

L2 = "more L2, `dl rerun base --set l2=0.03`"
FEWER = "fewer factors, `dl rerun base --set factors=5`"
BIAS = "a simpler model, `dl train collab-bias`"
FOUND = Diagnosis("overfitting", "Overfitting.", "The MSE is 1.", (L2, FEWER, BIAS))


def base() -> Run:
    return judged_run("base", off_by(1.0))


def test_a_remedy_that_was_tried_is_not_offered_again() -> None:
    run = base()
    judged_run("more-l2", off_by(1.1), hyperparameters={"l2": 0.03})
    assert advice_lines(run, FOUND) == [
        "Overfitting.",
        "The MSE is 1.",
        "Try, in this order:",
        f"- {FEWER}",
        f"- {BIAS}",
        "Tried already:",
        "- more L2: valid loss 1.2100, more-l2",
    ]


def test_a_simpler_recipe_that_was_trained_is_named_as_tried() -> None:
    run = base()
    own = {"schedule": "1e-2x300", "factors": None}
    judged_run("bias", off_by(1.2), recipe="collab-bias", hyperparameters=own)
    lines = advice_lines(run, FOUND)
    assert "- a simpler model (collab-bias): valid loss 1.4400, bias" in lines


def test_after_every_remedy_more_ratings_may_help() -> None:
    run = base()
    judged_run("more-l2", off_by(1.1), hyperparameters={"l2": 0.03})
    found = Diagnosis("overfitting", "Overfitting.", "The MSE is 1.", (L2,))
    assert advice_lines(run, found)[-1] == (
        "That is all that `dl` knows to try. The best of these runs is this one. What may help "
        "now: more ratings."
    )


def test_runs_on_another_split_are_not_attempts() -> None:
    run = base()
    prints = {"train": "3" * 16, "valid": "4" * 16, "test": "5" * 16}
    other = {"path": "/data/films", "fingerprints": prints, "ratings": {"train": 1}}
    judged_run("more-l2", hyperparameters={"l2": 0.03}, record={"dataset": other})
    assert "Tried already:" not in advice_lines(run, FOUND)


@pytest.mark.parametrize("l2", [1e-5, 0.0001, 0.004, 0.02, 12.0])
def test_commands_of_a_diagnosis_are_recognised_in_the_runs_that_they_train(l2: float) -> None:
    options = RatingOptions(again="dl rerun base", factors=50, l2=l2)
    own = {"l2": l2, "factors": 50}
    run = judged_run("base", off_by(1.0), hyperparameters=own)
    judged_run("more", off_by(1.1), hyperparameters=own | {"l2": float(f"{3 * l2:.3g}")})
    judged_run("less", off_by(1.2), hyperparameters=own | {"l2": float(f"{l2 / 3:.3g}")})
    judged_run("factors", off_by(1.3), hyperparameters=own | {"factors": 100})
    judged_run("longer", off_by(1.4), hyperparameters=own | {"schedule": "0.01x24"})
    commands = {
        "more L2": options.more_l2,
        "less L2": options.less_l2,
        "more factors": options.more_factors,
        "more epochs": "dl rerun base --epochs 24",
    }
    remedies = tuple(f"{what}, `{command}`" for what, command in commands.items())
    lines = advice_lines(run, Diagnosis("overfitting", "O.", "E.", remedies))
    tried = [line.partition(":")[0] for line in lines if ": valid loss " in line]
    assert tried == [f"- {what}" for what in commands]
