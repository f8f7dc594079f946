"""Evaluate a run of ratings: write `metrics.yaml`, `report.html` and figures."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlcli.config import Config
from dlcli.data.ratings.ratings import Ratings, open_ratings
from dlcli.errors import DlError, ExitCode
from dlcli.evaluation import baselines, ranking
from dlcli.evaluation.ratings import Rated, evaluate
from dlcli.files.formats import below, flat, write_yaml
from dlcli.files.paths import shown
from dlcli.inference.ratings.predict import RATINGS
from dlcli.inference.ratings.predictions import numbers_of
from dlcli.inference.ratings.serving import Serving, start_serving
from dlcli.progress import track
from dlcli.report.ratings.items import Items, biases_of
from dlcli.report.ratings.run_page import Report, write_report
from dlcli.runs.run import Run
from dlcli.runs.stand_in import writable_run_said

if TYPE_CHECKING:
    import numpy as np

    from dlcli.evaluation.ratings import Floats, Ints


class Evaluated(NamedTuple):
    """An evaluation of a run of ratings.

    Args:
        metrics: see `evaluation.ratings.evaluate`; with the key `ranking` for lists, see
            `evaluation.ranking.evaluate`.
        page: the report's path.
    """

    metrics: dict[str, Any]
    page: Path


def evaluate_run(
    run: Run, root: Path | None, config: Config, *, views: int = 0, top: int = 0
) -> Evaluated:
    """Evaluate a run on its validation ratings, and write the results.

    Args:
        run: a finished run.
        root: its dataset's folder; None if it is gone.
        config: the settings; the seed also draws the users of whom items' biases are means.
        views: must be 0: a rating has no views.
        top: the length of the list of items for each user that is scored; 0 for no lists.

    Raises:
        DlError: the dataset is gone, or has no validation ratings; `views` is not 0.
    """
    if views:
        raise DlError(
            f"{run.name} is a run of ratings, which have no augmented views",
            hint="Leave out `--tta`. It is for runs of photos.",
            exit_code=ExitCode.USAGE,
        )
    if root is None:
        raise DlError(
            f"The dataset of {run.name} is gone, so the run can't be evaluated",
            why="the baselines are computed from the ratings in train",
            hint="Put it back, or name it, `-d PATH`, or its parent folder, `--data-dir`.",
        )
    dataset = open_ratings(root)
    kept_in = writable_run_said(run)
    seed = config.settings().seed
    model = _Model(run, dataset)
    rows = dataset.rows("train")
    train = Rated(dataset.users[rows], dataset.items[rows], dataset.values[rows])
    predictions = RATINGS.of(run, root, config, "valid")
    valid = predictions.rated(dataset.user_ids, dataset.item_ids)
    numbers = {"n_users": dataset.n_users, "n_items": dataset.n_items}
    simpler = baselines.predictions(train, valid, **numbers, seed=seed)
    metrics = evaluate(train, valid, predictions.predicted, simpler)
    if top:
        metrics["ranking"] = _ranking(model, dataset, train, valid, top, seed)
    write_yaml(kept_in.metrics_file, metrics)
    record = run.record
    settings: dict[str, object] = {
        "dataset": shown(record.dataset.path),
        "ratings": ", ".join(f"{n:,} {split}" for split, n in record.dataset.sizes.items()),
        "scale": str(dataset.record.scale),
        "split": dataset.split.by if dataset.split else None,
        **(_members(run) if run.is_ensemble else _training(run)),
        "versions": ", ".join(f"{name} {v}" for name, v in record.versions.items()),
        "host": record.host,
        "git": record.git,
    }
    report = Report(
        title=run.name,
        recipe=record.recipe,
        metrics=metrics,
        y_true=valid.values,
        y_pred=predictions.predicted,
        items=_items(model, dataset, train, seed),
        diagnosis=_diagnosis(run),
        history=run.history,
        settings={name: value for name, value in settings.items() if value is not None},
        commands=(record.command, f"dl evaluate{f' --top {top}' if top else ''}"),
    )
    return Evaluated(metrics, write_report(report, kept_in.path))


class _Model:
    """A run's model, by the numbers that a dataset gives users and items.

    It is loaded when it is first asked for: that takes seconds.
    """

    def __init__(self, run: Run, dataset: Ratings) -> None:
        self._run, self._dataset = run, dataset

    @cached_property
    def _serving(self) -> Serving:
        return start_serving(self._run)

    @cached_property
    def _numbers(self) -> tuple[Ints, Ints]:
        """The model's number for each of the dataset's; 0 for what train lacks."""
        import numpy as np

        dataset, labels = self._dataset, self._serving.labels
        rows = dataset.rows("train")
        found = []
        for ids, known, numbers in (
            (dataset.user_ids, labels.users, dataset.users),
            (dataset.item_ids, labels.items, dataset.items),
        ):
            own = np.append(np.int32(0), numbers_of(ids, known))
            own[np.bincount(numbers[rows], minlength=len(own)) == 0] = 0
            found.append(own)
        return found[0], found[1]

    def predict(self, users: Ints, items: Ints) -> Floats:
        """The predicted rating of each pair of numbers: float64 array of shape (n,)."""
        own_users, own_items = self._numbers
        return self._serving.predict(own_users[users], own_items[items])

    @property
    def item_vectors(self) -> np.ndarray | None:
        """A vector for each item, (n_items, n_factors); of an ensemble, those of all members."""
        import numpy as np

        if not (each := self._serving.item_vectors):
            return None
        own = self._numbers[1][1:]
        # an item that the model does not know has zeros
        return np.hstack([np.where(own[:, None] > 0, vectors[own - 1], 0) for vectors in each])


def _ranking(
    model: _Model, dataset: Ratings, train: Rated, valid: Rated, top: int, seed: int
) -> dict[str, Any]:
    """The lists of the model, beside those of the most popular items."""
    import numpy as np

    n_items, scale = dataset.n_items, dataset.record.scale
    every = np.arange(1, n_items + 1)

    with track("Ranking items", len(np.unique(valid.users)), "users") as bar:

        def score(users: Ints) -> Floats:
            pairs = np.repeat(users, n_items), np.tile(every, len(users))
            scores = model.predict(*pairs).reshape(len(users), n_items)
            bar.advance(len(users))
            return scores

        return ranking.evaluate(
            score,
            train,
            valid,
            n_items=n_items,
            least=ranking.relevant_from(scale.least, scale.most),
            k=top,
            seed=seed,
        )


def _items(model: _Model, dataset: Ratings, train: Rated, seed: int) -> Items:
    """What the model learned about the dataset's items."""
    import numpy as np

    counts = np.bincount(train.items, minlength=dataset.n_items + 1)[1:]
    sums = np.bincount(train.items, weights=train.values, minlength=dataset.n_items + 1)[1:]
    names = zip(dataset.titles, dataset.item_ids, strict=True)
    with np.errstate(invalid="ignore"):
        means = sums / counts
    return Items(
        names=[shown(title or f"item {number}") for title, number in names],
        counts=counts,
        means=means,
        biases=biases_of(model.predict, np.unique(train.users), dataset.n_items, seed=seed),
        vectors=model.item_vectors,
    )


def _diagnosis(run: Run) -> str:
    """The finding of the training's diagnosis; "" if it has none, as an ensemble."""
    return run.diagnosis.sentence if "diagnosis" in run.status else ""


def _training(run: Run) -> dict[str, object]:
    """The settings that a run was trained with."""
    record, config = run.record, run.config
    return {
        **dict(flat(below(config, "train", record.recipe) or {})),
        "seed": config.get("seed"),
        "changed": "; ".join(map(str, record.changes)) or None,
    }


def _members(run: Run) -> dict[str, object]:
    """An ensemble's members, with their loss when it was made."""
    return {
        f"member {number}": f"{each.name}, MSE {each.val_loss:.4f}"
        for number, each in enumerate(run.record.members, 1)
    }
