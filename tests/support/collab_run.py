"""A finished run on ratings that nobody trained: its model's weights are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlcli.data.ratings.ratings import open_ratings
from dlcli.files.formats import write_csv, write_yaml
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras

MEAN = 3.0


def rated_run(
    root: Path,
    name: str = "202611231409-collab-dot-e5",
    *,
    seed: int = 0,
    recipe: str = "collab-dot",
    weights: Mapping[str, np.ndarray] | None = None,
    record: Mapping[str, Any] | None = None,
) -> Run:
    """Write a run of a dataset under `~/runs`.

    Args:
        root: the dataset's folder.
        seed: of the weights.
        weights: those of `model_of` that are given, a row for each number from 0 on.
        record: what `config.yaml` says besides.
    """
    dataset = open_ratings(root)
    run = Run(Path.home() / "runs" / dataset.name / name)
    run.make_folders()
    prints, sizes = dataset.fingerprints(), dict(dataset.sizes)
    made_on = {"path": str(root), "fingerprints": prints, "ratings": sizes}
    made_with = {"command": f"dl train {recipe}", "host": "laptop", "versions": {"dlcli": "0.1.0"}}
    about = {"recipe": recipe, "kind": "ratings", "dataset": made_on, **made_with}
    write_yaml(run.config_file, {"run": about | dict(record or {})})
    write_csv(run.users_file, [["id"], *([each] for each in dataset.user_ids)])
    rows = zip(dataset.item_ids, dataset.titles, strict=True)
    write_csv(run.items_file, [["id", "title"], *rows])
    write_yaml(
        run.status_file,
        {"state": "finished", "recipe": recipe, "started": f"2026-11-23T14:{seed:02}:31Z"},
    )
    model = model_of(dataset.n_users, dataset.n_items, seed=seed, weights=weights or {})
    model.save(run.best_model)
    return run


def model_of(
    users: int, items: int, *, seed: int = 0, weights: Mapping[str, np.ndarray] | None = None
) -> keras.Model:
    """A model of ratings with the layers of `collab-dot`: pairs int32 (n, 2) -> ratings (n, 1)."""
    from dlcli.backend import start_backend

    start_backend()
    from keras import Input, Model, layers

    rng = np.random.default_rng(seed)
    pairs = Input((2,), dtype="int32", name="pairs")
    parts = []
    for name, rows, width, column in (
        ("user_vectors", users, 4, 0),
        ("item_vectors", items, 4, 1),
        ("user_bias", users, 1, 0),
        ("item_bias", items, 1, 1),
    ):
        layer = layers.Embedding(rows + 1, width, name=name)
        parts.append(layer(pairs[:, column]))
        table = rng.normal(0, 0.5, (rows + 1, width))
        table[0] = 0
        layer.set_weights([(weights or {}).get(name, table)])
    dot = layers.Dot(1, name="dot")(parts[:2])
    return Model(pairs, MEAN + dot + parts[2] + parts[3], name="collab_dot")


def expected(run: Run, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """What the run's model predicts for pairs of numbers, (n,), computed by NumPy."""
    from dlcli.models.saved import load_model

    model = load_model(run.best_model)
    tables = {
        name: np.asarray(model.get_layer(name).weights[0], np.float64)
        for name in ("user_vectors", "item_vectors", "user_bias", "item_bias")
    }
    users, items = np.array(pairs).T
    dot = (tables["user_vectors"][users] * tables["item_vectors"][items]).sum(axis=1)
    sums: np.ndarray = MEAN + dot + tables["user_bias"][users, 0] + tables["item_bias"][items, 0]
    return sums
