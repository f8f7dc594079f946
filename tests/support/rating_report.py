"""Reports on ratings to look at, of generated ratings and a bias model with made vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from support.movielens import generated, split

from dlcli.evaluation import baselines, ranking
from dlcli.evaluation.ratings import evaluate
from dlcli.report.ratings.items import Items, biases_of
from dlcli.report.ratings.run_page import Report


def rating_report(
    names: Sequence[str] | None = None,
    *,
    items: int = 60,
    ratings: int = 3_000,
    top: int = 0,
    vectors: bool = True,
    **changes: Any,
) -> Report:
    """A report on generated ratings of 30 users.

    Args:
        names: of the items, which are repeated with a number if there are fewer.
        top: the length of lists to score; 0 for none.
        vectors: whether the items have some.
        **changes: fields of the report to replace.
    """
    names = names or [f"Film {number} ({1950 + number})" for number in range(items)]
    if len(names) < items:
        names = [f"{names[i % len(names)]}{i // len(names) or ''}" for i in range(items)]
    train, valid = split(generated(0, ratings, items=items), 0)
    sizes = {"n_users": 30, "n_items": items}
    model = baselines.bias_model(train, **sizes)
    y_pred = model.predict(valid.users, valid.items)
    metrics = evaluate(train, valid, y_pred, baselines.predictions(train, valid, **sizes))
    if top:
        every = np.arange(1, items + 1)

        def score(users: np.ndarray) -> np.ndarray:
            pairs = np.repeat(users, items), np.tile(every, len(users))
            return model.predict(*pairs).reshape(len(users), items)

        metrics["ranking"] = ranking.evaluate(score, train, valid, n_items=items, least=4, k=top)
    counts = np.bincount(train.items, minlength=items + 1)[1:]
    sums = np.bincount(train.items, weights=train.values, minlength=items + 1)[1:]
    rng = np.random.default_rng(0)
    history = [
        {"epoch": i, "phase": "all", "learning_rate": 0.01, "loss": 1 / i, "rmse": i**-0.5}
        | {"val_loss": 1.1 / i, "val_rmse": (1.1 / i) ** 0.5}
        for i in range(1, 6)
    ]
    fields: dict[str, Any] = {
        "title": "202611231409-collab-dot-e5-f50",
        "recipe": "collab-dot",
        "metrics": metrics,
        "y_true": valid.values,
        "y_pred": y_pred,
        "items": Items(
            names=names,
            counts=counts,
            means=sums / np.maximum(counts, 1),
            biases=biases_of(model.predict, np.unique(train.users), items),
            vectors=rng.normal(size=(items, 8)) if vectors else None,
        ),
        "diagnosis": "Good fit: the MSE is 0.25 on the validation ratings.",
        "history": history,
        "settings": {"dataset": "~/data/movielens", "factors": 50},
        "commands": ("dl train collab-dot", "dl evaluate"),
    }
    return Report(**fields | changes)
