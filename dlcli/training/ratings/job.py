"""The job of a training on ratings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.backend import start_backend
from dlcli.config import DEFAULT, Config
from dlcli.data.ratings.ratings import Ratings, open_ratings
from dlcli.errors import DlError
from dlcli.files.formats import write_csv
from dlcli.files.paths import quoted, shown
from dlcli.progress import say
from dlcli.recipe import Phase, RatingFacts, RatingRecipe
from dlcli.runs.choice import name_among
from dlcli.runs.run import Run
from dlcli.runs.tensorboard import require_tensorboard
from dlcli.settings.fields import settings_of
from dlcli.settings.schedule import Schedule
from dlcli.settings.shared import BACKBONE_SETTINGS
from dlcli.training.checkpoint import Progress
from dlcli.training.job import Job, Outcome, run_to_begin_with, settings_for
from dlcli.training.ratings.begin import carry_over
from dlcli.training.ratings.network import Network, build_model, facts_of
from dlcli.training.ratings.outcome import outcome_of
from dlcli.training.ratings.samples import Samples, Targets
from dlcli.words import count, percent

if TYPE_CHECKING:
    import keras
    import numpy as np

# With fewer training ratings an epoch takes about a second or less.
QUICK = 200_000


@dataclass(frozen=True, kw_only=True)
class RatingsJob(Job[Samples, Network]):
    """A training on ratings."""

    recipe: RatingRecipe
    dataset: Ratings

    @cached_property
    def facts(self) -> RatingFacts:
        """The facts of the training ratings, computed once."""
        return facts_of(Samples(self.dataset, "train"), self.settings.seed)

    def say_fitted(self, usual: Schedule) -> None:
        """Say why the batch size is not the recipe's default (`RatingRecipe.fitted`)."""
        used, default = self.recipe.batch_size, settings_of(type(self.recipe))["batch_size"].default
        if used != default:
            say(f"{used:,} ratings per step, not the usual {default:,}.")

    def read_samples(
        self, phase: Phase, splits: tuple[str, ...] = ("train", "valid")
    ) -> list[Samples]:
        """The ratings, which stay on disk."""
        return [Samples(self.dataset, split) for split in splits]

    def first_samples(self) -> list[Samples]:
        """Train and valid. Says how many ratings are of an unknown user or item.

        Raises:
            DlError: a project recipe fails to build its network.
        """
        train, valid = self.read_samples(self.phases[0])
        self._say_unknown(valid)
        start_backend()
        build_model(self.name, self.recipe, self.facts)
        return [train, valid]

    def _say_unknown(self, valid: Samples) -> None:
        """Say how many validation ratings are of a user or an item without training ratings."""
        import numpy as np

        rated, facts = valid.rated(), self.facts
        lacks = facts.user_counts[rated.users] == 0, facts.item_counts[rated.items] == 0
        unknown = int((lacks[0] | lacks[1]).sum())
        if not unknown:
            return
        found = (
            count(len(np.unique(numbers[without])), noun)
            for numbers, without, noun in zip(rated[:2], lacks, ("user", "item"), strict=True)
            if without.any()
        )
        share = percent(unknown / valid.labelled)
        say(
            f"{count(unknown, 'validation rating')} ({share}) of a user or an item without a "
            f"training rating ({', '.join(found)}): predicted as for an average one."
        )

    def described(self, phase: Phase, train: Samples) -> str:
        """Describe what a phase trains on."""
        facts = self.facts
        users, items = ((each > 0).sum() for each in (facts.user_counts, facts.item_counts))
        return (
            f"{count(train.labelled, 'rating')} of {count(int(users), 'user')} and "
            f"{count(int(items), 'item')}"
        )

    def is_quick(self, phase: Phase) -> bool:
        """Whether there are few ratings, so that epochs take no time."""
        return self.dataset.sizes["train"] < QUICK

    def targets(self, train: Samples) -> Targets:
        """The ratings."""
        return Targets(train.y_true)

    def network(
        self, phase: Phase, shape: tuple[int, ...], *, full_precision: bool = False
    ) -> Network:
        """The compiled network of a phase."""
        return Network(
            self.name, self.recipe, self.facts, phase, shape, full_precision=full_precision
        )

    def begin(self, network: Network, train: Samples) -> None:
        """The recipe has set the first weights; those of `--init-from` take their place."""
        if self.init_from:
            carry_over(self.init_from, self.dataset, network.model)

    def trained_scores(self, means: Mapping[str, float]) -> dict[str, float]:
        """Mean squared error while training, without L2, and its root."""
        return _scores(means["mean_squared_error"])

    def valid_scores(self, y_true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Mean squared error of predicted ratings, (n, 1), and its root."""
        import numpy as np

        return _scores(float(np.square(predicted[:, 0] - y_true, dtype=np.float64).mean()))

    def outcome(
        self,
        run: Run,
        network: Network,
        model: keras.Model,
        samples: list[Samples],
        progress: Progress,
    ) -> Outcome:
        """Judge the best model, and write its predicted ratings."""
        return outcome_of(self, self.facts, run, network, samples, progress)

    @property
    def unused(self) -> tuple[str, ...]:
        """The settings that are about images."""
        return (*BACKBONE_SETTINGS, "image_size", "on_error", "memory", "workers")

    def record(self) -> dict[str, Any]:
        """The ids, the scale of the training ratings, and the bias model's strengths of L2."""
        facts = self.facts
        return {
            "users": self.dataset.n_users,
            "items": self.dataset.n_items,
            "scale": {"least": facts.least, "most": facts.most, "mean": round(facts.mean, 6)},
            "l2_biases": {"users": facts.biases.l2_users, "items": facts.biases.l2_items},
        }

    def write_labels(self, run: Run) -> None:
        """Write the ids of users and items, and the items' titles, in the order of numbers."""
        dataset = self.dataset
        write_csv(run.users_file, [("id",), *((name,) for name in dataset.user_ids)])
        items = zip(dataset.item_ids, dataset.titles, strict=True)
        write_csv(run.items_file, [("id", "title"), *items])


def _scores(mse: float) -> dict[str, float]:
    return {"loss": mse, "rmse": math.sqrt(mse)}


def make_job(config: Config, recipe_name: str, root: Path, like: Run | None = None) -> RatingsJob:
    """Resolve everything that `train` needs, and refuse early what can't work.

    Args:
        like: the run that is resumed or rerun.

    Raises:
        DlError: a dataset that can't be trained on; no run for `--init-from`.
    """
    recipe = config.recipe(recipe_name)
    assert isinstance(recipe, RatingRecipe)
    config, settings = settings_for(config, recipe_name, recipe, root)
    dataset = open_ratings(root)
    require_split(dataset)
    if config.get(f"train.{recipe_name}.batch_size").origin == DEFAULT:
        recipe = recipe.fitted(dataset.sizes["train"])
    if settings.tensorboard:
        require_tensorboard()
    begun = None
    if recipe.init_from:
        begun = run_to_begin_with(recipe.init_from, settings, whole=like is not None)
        recipe = replace(recipe, init_from=name_among(begun, settings.runs_dir))
    return RatingsJob(
        name=recipe_name,
        recipe=recipe,
        dataset=dataset,
        fingerprints=dataset.fingerprints(),
        settings=settings,
        init_from=begun,
    )


def require_split(dataset: Ratings) -> None:
    """Refuse a dataset without ratings to train on, or to validate on.

    Raises:
        DlError: says how to split it.
    """
    for split in ("train", "valid"):
        if not dataset.sizes[split]:
            raise DlError(
                f"No ratings of {shown(dataset.root)} are in `{split}`",
                why="they are not split into train and valid yet",
                hint=f"Split them first: `dl data split {quoted(dataset.root)}`.",
            )
