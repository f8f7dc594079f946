"""The network of a training on ratings, and the facts that it is built for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dlcli.catalog import recipe_file
from dlcli.errors import DlError
from dlcli.evaluation.baselines import bias_model
from dlcli.files.paths import shown
from dlcli.recipe import Phase, RatingFacts, RatingRecipe
from dlcli.training.network import AnyNetwork
from dlcli.training.ratings.samples import Samples

if TYPE_CHECKING:
    import keras


def facts_of(train: Samples, seed: int) -> RatingFacts:
    """The facts of some training ratings; the bias model takes a second for 100,000.

    Args:
        seed: of the choice of its strengths.
    """
    import numpy as np

    rated, dataset = train.rated(), train.dataset
    return RatingFacts(
        user_counts=np.bincount(rated.users, minlength=dataset.n_users + 1),
        item_counts=np.bincount(rated.items, minlength=dataset.n_items + 1),
        least=float(rated.values.min()),
        most=float(rated.values.max()),
        biases=bias_model(rated, n_users=dataset.n_users, n_items=dataset.n_items, seed=seed),
    )


def build_model(name: str, recipe: RatingRecipe, facts: RatingFacts) -> keras.Model:
    """Build the recipe's network, with its first weights.

    Args:
        name: the recipe's.

    Raises:
        DlError: a project recipe fails in it, or its input or output has another shape.
    """
    file = recipe_file(name)
    try:
        model = recipe.model(facts)
    except Exception as error:
        if file is None or isinstance(error, DlError):
            raise
        raise DlError(
            f"The recipe `{name}` can't build its network",
            why=f"{type(error).__name__}: {error}",
            hint=f"Mend `model` in {shown(file)}; `--debug` shows where it failed.",
        ) from error
    shapes = model.input_shape, model.output_shape
    if shapes != ((None, 2), (None, 1)):
        raise DlError(
            f"The network of the recipe `{name}` doesn't make ratings of pairs",
            why=f"expected shapes (None, 2) and (None, 1), received {shapes[0]} and {shapes[1]}",
            hint='Begin with `Input((2,), dtype="int32")`, and end in one number for each pair.',
        )
    return model


class Network(AnyNetwork):
    """The compiled network.

    Args:
        name: the recipe's.
        recipe: what builds it.
        facts: of the training ratings.
        phase, shape, full_precision: as for `AnyNetwork`.
    """

    loss: ClassVar[str] = "mean_squared_error"
    # the loss also has L2 in it
    metrics: ClassVar[tuple[str, ...]] = ("mean_squared_error",)
    predict_batch: ClassVar[int] = 65_536

    def __init__(
        self,
        name: str,
        recipe: RatingRecipe,
        facts: RatingFacts,
        phase: Phase,
        shape: tuple[int, ...],
        *,
        full_precision: bool = False,
    ) -> None:
        self.name, self.facts, self._recipe = name, facts, recipe
        super().__init__(recipe, phase, shape, full_precision=full_precision)

    def build(self) -> None:
        """Build the recipe's network."""
        self.model = build_model(self.name, self._recipe, self.facts)
        if self.mixed:
            self.model.layers[-1].dtype_policy = "float32"  # 16 bits are too few for a rating

    def again(self, *, full_precision: bool = False) -> Network:
        """The same network as it is when it is new."""
        return Network(
            self.name,
            self._recipe,
            self.facts,
            self.phase,
            self.shape,
            full_precision=full_precision,
        )
