"""Finished runs on ratings that nobody trained: their predictions are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.choice import remember
from dlcli.files.formats import write_csv, write_yaml
from dlcli.inference.ratings.predictions import RatingPredictions, write_predictions
from dlcli.runs.run import Run

USERS, ITEMS = 20, 6
PRINTS = {"train": "0" * 16, "valid": "1" * 16, "test": "2" * 16}
SIZES = {"train": 400, "valid": USERS * ITEMS, "test": 0}


def pairs() -> list[tuple[str, str]]:
    """Each user with each item."""
    return [(f"u{user}", f"i{item}") for user in range(USERS) for item in range(ITEMS)]


def ratings() -> list[float]:
    """The rating of each of `pairs`: from 1 to 5."""
    return [float(number * 7 % 5 + 1) for number in range(USERS * ITEMS)]


def off_by(*errors: float) -> list[float]:
    """What the true ratings become with these errors, in turn."""
    return [rating + errors[n % len(errors)] for n, rating in enumerate(ratings())]


def predicted(values: Sequence[float], rows: slice = slice(None)) -> RatingPredictions:
    """Predictions of some of `pairs`, whose ratings are known."""
    users, items = zip(*pairs()[rows], strict=True)
    return RatingPredictions(users, items, np.array(ratings()[rows]), np.array(values[rows]))


def judged_run(
    name: str = "202611231409-collab-dot-e3",
    values: Sequence[float] | None = None,
    dataset: str = "films",
    *,
    recipe: str = "collab-dot",
    rows: slice = slice(None),
    hyperparameters: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    diagnosis: Mapping[str, Any] | None = None,
    **status: Any,
) -> Run:
    """Write a whole run under `~/runs`, a finished one of three epochs unless told otherwise.

    Args:
        name: its folder's.
        values: what it predicts for each of `pairs`; by default half a star too much and too
            little in turn.
        dataset: the folder above.
        rows: those of `pairs` that it predicts.
        hyperparameters, settings, record: what `config.yaml` holds of these besides.
        status: values of `status.yaml`.
    """
    home = Path.home()
    run = Run(home / "runs" / dataset / name)
    run.path.mkdir(parents=True)
    about = {
        "recipe": recipe,
        "kind": "ratings",
        "dataset": {
            "path": str(home / "data" / dataset),
            "fingerprints": PRINTS,
            "ratings": SIZES,
        },
        "command": f"dl train {recipe}",
        "host": "laptop",
        "versions": {"dlcli": "0.3.0"},
    }
    own = {"schedule": "1e-2x3", "factors": 10, "l2": 0.01, **(hyperparameters or {})}
    write_yaml(
        run.config_file,
        {"seed": 0, **(settings or {}), "train": {recipe: own}, "run": about | (record or {})},
    )
    write_csv(run.users_file, [["id"], *([f"u{user}"] for user in range(USERS))])
    write_csv(
        run.items_file,
        [["id", "title"], *([f"i{item}", f"Film {item}"] for item in range(ITEMS))],
    )
    found = predicted(off_by(0.5, -0.5) if values is None else values, rows)
    write_predictions(run.predictions_file("valid"), found)
    run.write_history([*_epochs(found.scores)])
    finished = {
        "best_epoch": 3,
        **{f"val_{score}": value for score, value in found.scores.items()},
        "train_loss": 0.2,
        "train_rmse": 0.4472,
        "seconds": 12.34,
        "predicted": {"valid": PRINTS["valid"]},
        **({"diagnosis": dict(diagnosis)} if diagnosis else {}),
    }
    begun = {"state": "finished", "started": _started(name), "recipe": recipe, "epoch": 3}
    told = {**begun, "planned_epochs": 3, **finished, **status}
    write_yaml(run.status_file, {key: value for key, value in told.items() if value is not None})
    return run


def last_named_ratings(name: str = "films") -> Path:
    """Make the folder of a dataset of ratings, and have it be the one that was last named."""
    root = Path.home() / "data" / name
    root.mkdir(parents=True)
    (root / "ratings.yaml").write_text("format: 1\n")
    remember(root)
    return root


def _epochs(scores: Mapping[str, float]) -> Iterable[dict[str, float | str]]:
    for epoch in (1, 2, 3):
        above = 1 + (3 - epoch) / 4
        yield {
            "epoch": epoch,
            "phase": "model",
            "learning_rate": 0.01,
            "loss": 0.2 * above,
            "rmse": 0.4472 * above**0.5,
            **{f"val_{name}": value * above for name, value in scores.items()},
        }


def _started(name: str) -> str:
    """The time that a run's name begins with."""
    return f"{name[:4]}-{name[4:6]}-{name[6:8]}T{name[8:10]}:{name[10:12]}:00.000000Z"
