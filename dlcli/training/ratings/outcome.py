"""Judge a finished training on ratings: scores, diagnosis, predicted ratings."""

from __future__ import annotations

import dataclasses
import shlex
from typing import TYPE_CHECKING

from dlcli.data.dataset import whole_of
from dlcli.evaluation.metrics import rounded
from dlcli.evaluation.rating_diagnosis import RatingOptions, RatingScore, diagnose, measure
from dlcli.files.paths import quoted
from dlcli.inference.ratings.predictions import RatingPredictions, write_predictions
from dlcli.recipe import RatingFacts, RatingRecipe
from dlcli.runs.run import Run
from dlcli.training.checkpoint import Progress
from dlcli.training.job import Outcome, Plan, some_of
from dlcli.training.outcome import typed_again
from dlcli.training.ratings.network import Network
from dlcli.training.ratings.samples import Samples

if TYPE_CHECKING:
    import numpy as np

# Training ratings for the diagnosis: as many as MovieLens' validation ratings, and cheap.
MEASURED = 20_000


def outcome_of(
    plan: Plan,
    facts: RatingFacts,
    run: Run,
    network: Network,
    samples: list[Samples],
    progress: Progress,
) -> Outcome:
    """Judge the best model, and write its predicted ratings.

    Args:
        network: with the weights of the best epoch.
        samples: train and valid.
    """
    import numpy as np

    train, valid = samples
    order = some_of(train, MEASURED, plan.settings.seed)
    y_pred = network.predict(valid.inputs)[:, 0]
    on_valid = _score(valid, np.arange(valid.labelled), y_pred, facts)
    on_train = _score(train, order, network.predict(train.inputs, order=order)[:, 0], facts)
    keep_predictions(run, valid, y_pred, plan.fingerprints["valid"])
    status = {
        f"{split}_{name}": rounded(value)
        for split, score in (("val", on_valid), ("train", on_train))
        for name, value in (("loss", score.mse.value), ("rmse", score.mse.value**0.5))
    }
    assert isinstance(plan.recipe, RatingRecipe)
    # a resume may have changed the schedule
    recipe = dataclasses.replace(plan.recipe, schedule=plan.phases[0].schedule)
    return Outcome(
        status, diagnose(on_train, on_valid, progress.history, options_of(run, plan, recipe))
    )


def _score(
    samples: Samples, order: np.ndarray, y_pred: np.ndarray, facts: RatingFacts
) -> RatingScore:
    rated = samples.rated(order)
    return measure(rated, y_pred, facts.mean, facts.biases.predict(rated.users, rated.items))


def keep_predictions(run: Run, valid: Samples, y_pred: np.ndarray, fingerprint: str) -> None:
    """Write the predicted validation ratings, and the fingerprint of what they are of."""
    rated, users, items = valid.rated(), valid.dataset.user_ids, valid.dataset.item_ids
    predictions = RatingPredictions(
        tuple(users[number - 1] for number in rated.users.tolist()),
        tuple(items[number - 1] for number in rated.items.tolist()),
        rated.values,
        y_pred,
    )
    write_predictions(run.predictions_file(valid.split), predictions)
    run.add_to_status("predicted", {valid.split: fingerprint})


def options_of(run: Run, plan: Plan, recipe: RatingRecipe) -> RatingOptions:
    """The options that a training used, and the commands that the diagnosis may suggest."""
    typed, whole = typed_again(run, plan.name), whole_of(plan.dataset.root)
    return RatingOptions(
        again=f"dl rerun {shlex.quote(run.name)}",
        dropout=getattr(recipe, "dropout", None),
        factors=getattr(recipe, "factors", None),
        l2=getattr(recipe, "l2", None),
        full=f"dl train {plan.name}{typed} -d {quoted(whole)}" if whole else None,
        simpler=recipe.simpler,
        richer=recipe.richer,
        find_rate=f"dl lr-find {plan.name}{typed}",
        epochs=recipe.schedule.epochs,
        highest_rate=recipe.schedule.highest_rate,
        batch_size=recipe.batch_size,
    )
