"""Predict ratings with a run: its model, and the ids that the model's numbers stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import start_backend
from dlcli.errors import DlError
from dlcli.files.formats import damaged, read_csv
from dlcli.inference.members import members_of
from dlcli.inference.ratings.predictions import numbers_of
from dlcli.models.saved import load_model
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dlcli.evaluation.ratings import Floats, Ints

# The layer with a vector for each item, row 0 for unknown ones, of the recipes that learn vectors.
ITEM_VECTORS = "item_vectors"
# Pairs that go through the network at a time.
BATCH = 1 << 16


@dataclass(frozen=True)
class Labels:
    """What the numbers of a model stand for: number n is at n - 1, number 0 is an unknown one.

    Args:
        users, items: ids.
        titles: of the items, "" where there is none.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    titles: tuple[str, ...]


def read_labels(run: Run) -> Labels:
    """A run's ids of users and items, and the items' titles.

    Raises:
        DlError: a file is missing or damaged.
    """
    users = _table(run.users_file, ("id",))
    items = _table(run.items_file, ("id", "title"))
    return Labels(
        tuple(row[0] for row in users),
        tuple(row[0] for row in items),
        tuple(row[1] for row in items),
    )


def _table(file: Path, header: tuple[str, ...]) -> list[list[str]]:
    first, *rows = (read_csv(file) if file.is_file() else []) or [[]]
    if tuple(first) != header or any(len(row) != len(header) for row in rows):
        raise damaged(file, f"expected the columns {','.join(header)}")
    if len({row[0] for row in rows}) < len(rows):
        raise damaged(file, "it has an id twice")
    return rows


@dataclass(frozen=True)
class Network:
    """A run's model, and its numbers of the users and items that are asked for.

    Args:
        model: pairs of numbers, int32 (n, 2) -> ratings, (n, 1).
        users, items: its number for each number that is asked for, 0 for those that it does not
            know; int32 arrays. None: its own numbers are asked for.
    """

    model: keras.Model
    users: np.ndarray | None = None
    items: np.ndarray | None = None

    def predict(self, users: Ints, items: Ints) -> Floats:
        """The predicted rating of each pair, float64 (n,)."""
        import numpy as np

        own = users if self.users is None else self.users[users]
        pairs = np.column_stack([own, items if self.items is None else self.items[items]])
        parts = [
            np.asarray(self.model.predict_on_batch(pairs[start : start + BATCH].astype(np.int32)))
            for start in range(0, len(pairs), BATCH)
        ]
        return np.concatenate([np.zeros((0, 1)), *parts])[:, 0].astype(np.float64)

    @property
    def item_vectors(self) -> np.ndarray | None:
        """A vector for each item that is asked for, (n_items, n_factors); None: it learns none."""
        import numpy as np

        names = [layer.name for layer in self.model.layers]
        if ITEM_VECTORS not in names:
            return None
        vectors = np.asarray(self.model.get_layer(ITEM_VECTORS).weights[0], np.float64)
        return vectors[1:] if self.items is None else vectors[self.items[1:]]


@dataclass(frozen=True)
class Serving:
    """A run that predicts ratings: its networks, several if it is an ensemble.

    Args:
        labels: what the numbers of users and items stand for.
    """

    run: Run
    labels: Labels
    networks: tuple[Network, ...] = field(repr=False)

    def predict(self, users: Ints, items: Ints) -> Floats:
        """The predicted rating of each pair; of an ensemble, the mean of its members'.

        Args:
            users, items: numbers, int arrays of shape (n,); 0 is an unknown one.

        Returns:
            float64 array of shape (n,). A rating may lie outside of the scale.

        Raises:
            DlError: the model gives no finite number.
        """
        import numpy as np

        predicted: Floats = np.mean([each.predict(users, items) for each in self.networks], axis=0)
        if not np.isfinite(predicted).all():
            raise DlError(
                f"{self.run.name} predicts ratings that are not numbers",
                why="its training diverged",
                hint="Train with a lower learning rate, or use another run.",
            )
        return predicted

    @cached_property
    def item_vectors(self) -> tuple[np.ndarray, ...]:
        """The vectors of the items by each network that learns some, (n_items, n_factors)."""
        each = (network.item_vectors for network in self.networks)
        return tuple(vectors for vectors in each if vectors is not None)


def start_serving(run: Run) -> Serving:
    """Load a run's model, or those of an ensemble's members.

    Args:
        run: a finished run on ratings.

    Raises:
        DlError: a run of another kind; a model is gone, damaged, or would run code; it does not
            fit the run's ids.
    """
    run.require_kind("ratings")
    labels = read_labels(run)
    start_backend()
    if not run.is_ensemble:
        return Serving(run, labels, (Network(_model(run, labels)),))
    networks = [each for member in members_of(run) for each in start_serving_as(member, labels)]
    return Serving(run, labels, tuple(networks))


def start_serving_as(run: Run, labels: Labels) -> Sequence[Network]:
    """The networks of a run, for numbers that stand for other labels than its own."""
    import numpy as np

    own = start_serving(run)
    if own.labels.users == labels.users and own.labels.items == labels.items:
        return own.networks
    users = np.append(np.int32(0), numbers_of(labels.users, own.labels.users))
    items = np.append(np.int32(0), numbers_of(labels.items, own.labels.items))
    return [
        Network(
            each.model,
            users if each.users is None else each.users[users],
            items if each.items is None else each.items[items],
        )
        for each in own.networks
    ]


def _model(run: Run, labels: Labels) -> keras.Model:
    """The best model, if it is one of ratings and has a row for each of the ids."""
    import keras

    model = load_model(run.best_model)
    shapes = tuple(model.input_shape), tuple(model.output_shape)
    if shapes != ((None, 2), (None, 1)):
        raise damaged(run.best_model, f"expected pairs and ratings, found arrays of {shapes}")
    for layer in model.layers:
        ids = {"user": labels.users, "item": labels.items}.get(layer.name.partition("_")[0])
        if ids is None or not isinstance(layer, keras.layers.Embedding):
            continue
        if layer.input_dim != len(ids) + 1:
            file = run.users_file if ids is labels.users else run.items_file
            why = f"it names {len(ids):,}, the model has rows for {layer.input_dim - 1:,}"
            raise damaged(file, why)
    return model
