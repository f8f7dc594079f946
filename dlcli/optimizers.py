"""What Keras' optimizers lack: a learning rate of its own for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def grade(optimizer: keras.Optimizer, shares: Mapping[int, float]) -> None:
    """Let some variables train at a share of the learning rate.

    Scaling gradients would not do: Adam and RMSprop divide by their size again.

    Args:
        optimizer: any of Keras' but Nadam, whose steps count themselves.
        shares: id of a variable -> share of the learning rate; 1 for those not named.
    """
    plain: Any = type(optimizer)

    class Graded(plain):  # type: ignore[misc]
        """The same, a step for each group of variables of one rate."""

        # PyTorch's optimizers take all variables at once, so the step of one variable is no place
        def _backend_update_step(
            self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
        ) -> None:
            groups: dict[float, tuple[list[Any], list[Any]]] = {}
            for gradient, variable in zip(grads, trainable_variables, strict=True):
                group = groups.setdefault(shares.get(id(variable), 1.0), ([], []))
                group[0].append(gradient)
                group[1].append(variable)
            for share, (theirs, variables) in groups.items():
                super()._backend_update_step(theirs, variables, learning_rate * share)

    object.__setattr__(optimizer, "__class__", Graded)


def decaying_shares(layers_from_the_top: list[keras.Layer], decay: float) -> dict[int, float]:
    """Each layer at a share of the rate of the one above it, the head's being 1.

    Discriminative fine-tuning: Howard & Ruder 2018, arXiv:1801.06146, section 3.2.

    Args:
        layers_from_the_top: of the backbone, the one next to the head first.
        decay: the share, above 0 and at most 1.
    """
    return {
        id(variable): decay**depth
        for depth, layer in enumerate(layers_from_the_top, start=1)
        for variable in layer.trainable_variables
    }
