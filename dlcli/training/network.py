"""The compiled network of one phase of training, whatever it is of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

from dlcli.backend import dtype_policy, jit_compile, mixed_policy
from dlcli.recipe import AnyRecipe, Phase
from dlcli.training.checkpoint import Progress, best_file, load_best, of_another_network

if TYPE_CHECKING:
    import keras
    import numpy as np

# Samples per step for prediction; any number gives the same predictions.
PREDICT_BATCH = 64


class Inputs(Protocol):
    """The inputs of one split's samples, ready to train on.

    All give batches for an order of samples, so that one training loop serves them.
    """

    def __len__(self) -> int:
        """How many samples there are."""

    @property
    def from_disk(self) -> bool:
        """Whether samples are read from disk in every epoch, because memory can't hold them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    def start_epoch(self, epoch: int) -> None:
        """Prepare the samples for an epoch, numbered from 1; 0: without augmentation."""

    def shuffled(self, rng: np.random.Generator) -> np.ndarray:
        """The numbers of all samples, in a random order that is quick to read."""

    def batches(
        self, order: np.ndarray, batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The samples in `order`, (n, *shape), and their numbers, int (n,)."""


class AnyNetwork(ABC):
    """The compiled network of one phase.

    Args:
        shape: the shape of one sample of the phase's inputs.
        full_precision: compute in 32 bits, whatever the recipe says.

    Attributes:
        model: what trains.
        trained: its variables that a checkpoint keeps, in the model's order.
    """

    loss: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ()
    predict_batch: ClassVar[int] = PREDICT_BATCH

    model: keras.Model

    def __init__(
        self,
        recipe: AnyRecipe,
        phase: Phase,
        shape: tuple[int, ...],
        *,
        full_precision: bool = False,
    ) -> None:
        self.recipe, self.phase, self.shape = recipe, phase, shape
        self.mixed = recipe.mixed_precision and not full_precision
        with dtype_policy(mixed_policy() if self.mixed else "float32"):
            self.build()
        self.model.compile(
            self.make_optimizer(),
            loss=self.loss,
            metrics=[*self.metrics],
            jit_compile=jit_compile(),
        )
        self.optimizer = self.model.optimizer  # wrapped if 16 bits need loss scaling
        self.optimizer.build(self.model.trainable_variables)
        own = {id(variable) for variable in self.own()}
        self.trained = [
            variable
            for variable in self.model.variables
            if variable.trainable or id(variable) in own
            if "seed_generator_state" not in variable.path
        ]

    @abstractmethod
    def build(self) -> None:
        """Build `model`, not yet compiled."""

    @abstractmethod
    def again(self, *, full_precision: bool = False) -> Self:
        """The same network as it is when it is new."""

    def make_optimizer(self) -> keras.Optimizer:
        """The recipe's optimizer, which also keeps running means if the recipe asks for them."""
        optimizer = self.recipe.optimizer(self.phase.schedule.steps[0][0])
        if self.recipe.ema is not None:
            optimizer.use_ema, optimizer.ema_momentum = True, self.recipe.ema
        return optimizer

    def own(self) -> list[keras.Variable]:
        """The variables that a checkpoint keeps even if they don't train, such as means."""
        return list(self.model.variables)

    def restorable(self) -> list[keras.Variable]:
        """The variables that any phase may have trained, in the model's order."""
        return self.own()

    def train(
        self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None
    ) -> Mapping[str, float]:
        """Train on one batch; returns its loss, and the metrics by name."""
        scores = self.model.train_on_batch(x, y, weights, return_dict=True)
        return {name: float(score) for name, score in scores.items()}

    def predict(
        self,
        inputs: Inputs,
        step: Callable[[], None] = lambda: None,
        order: np.ndarray | None = None,
    ) -> np.ndarray:
        """The model's output for samples: float32 (n_samples, ...).

        Args:
            step: called after each batch.
            order: numbers of the samples; all in order by default.
        """
        import numpy as np

        order = np.arange(len(inputs)) if order is None else order
        parts = []
        for x, _ in inputs.batches(order, self.predict_batch):
            parts.append(np.asarray(self.model.predict_on_batch(x), np.float32))
            step()
        return np.concatenate(parts)

    def weights(self) -> list[np.ndarray]:
        """The weights that train, in the model's order."""
        return [to_numpy(variable) for variable in self.trained]

    def assign(self, weights: list[np.ndarray], optimizer: list[np.ndarray] | None = None) -> None:
        """Restore weights as returned by `weights`, and the optimizer's state."""
        for variable, value in zip(self.trained, weights, strict=True):
            variable.assign(value)
        if optimizer is not None:
            for variable, value in zip(self.optimizer.variables, optimizer, strict=True):
                variable.assign(value)

    def renew_optimizer(self) -> None:
        """Reset the optimizer as in a new run; the weights stay."""
        fresh = self.again()
        self.assign(self.weights(), [to_numpy(each) for each in fresh.optimizer.variables])

    def assign_best(self, checkpoint: Path, progress: Progress) -> None:
        """Load the weights of the best epoch so far, which may be of an earlier phase.

        The trained layers are always the model's last ones. So the weights of a phase that trained
        fewer or more layers match from the end.
        """
        kept = [each for each in self.restorable() if "seed_generator_state" not in each.path]
        weights = load_best(checkpoint, progress)
        try:
            for variable, value in zip(reversed(kept), reversed(weights), strict=False):
                variable.assign(value)
        except ValueError as error:
            raise of_another_network(best_file(checkpoint, progress)) from error

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the running means of the weights within the block, if the recipe keeps these."""
        if self.recipe.ema is None:
            yield
            return
        now = self.weights()
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        self.assign(self.weights())  # copies: JAX frees the memory of the means after a step
        try:
            yield
        finally:
            self.assign(now)

    def in_full_precision(self) -> Self:
        """The same network in 32 bits, for validation and for saving."""
        if not self.mixed:
            return self
        network = self.again(full_precision=True)
        network.assign(self.weights())
        return network

    def complete(self) -> keras.Model:
        """The whole model, as it is saved."""
        return self.model


def to_numpy(variable: keras.Variable) -> np.ndarray:
    """A variable's value, as a copy."""
    from keras import ops

    value: np.ndarray = ops.convert_to_numpy(variable.value)
    return value
