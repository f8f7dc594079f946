"""First weights of a network for ratings, from another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcli.data.ratings.ratings import Ratings
from dlcli.errors import DlError
from dlcli.files.formats import read_csv
from dlcli.models.saved import load_model
from dlcli.progress import say
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras


def carry_over(run: Run, dataset: Ratings, model: keras.Model) -> None:
    """Copy the weights of layers that a run's best model also has, by name and shape.

    Raises:
        DlError: the run's users or items are others, or no layer fits.
    """
    _require_same_ids(run, dataset)
    old = {layer.name: layer for layer in load_model(run.best_model).layers}
    carried = []
    for layer in model.layers:
        like = old.get(layer.name)
        if layer.weights and like is not None and _shapes(layer) == _shapes(like):
            layer.set_weights(like.get_weights())
            carried.append(layer.name)
    if not carried:
        raise DlError(
            f"No weights of {run.name} fit this network",
            why="the run has no layer of the same name and shape",
            hint="Use a run of a similar recipe on the same dataset.",
        )
    say(f"Started from {run.name}: {', '.join(carried)}.")


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(each.shape) for each in layer.weights]


def _require_same_ids(run: Run, dataset: Ratings) -> None:
    """Refuse a run whose tables have other users or items in their rows.

    Raises:
        DlError: says which of the two differ.
    """
    for what, file, ids in (
        ("users", run.users_file, dataset.user_ids),
        ("items", run.items_file, dataset.item_ids),
    ):
        if tuple(row[0] for row in read_csv(file)[1:]) != ids:
            raise DlError(
                f"The weights of {run.name} can't be used here",
                why=f"its {what} are not those of {dataset.name}",
                hint=f"Name a run on {dataset.name}: `--init-from RUN`.",
            )
