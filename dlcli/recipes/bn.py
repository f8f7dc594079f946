"""Train fully connected layers with batch normalisation on convolutional features.

This is `fc` with BatchNormalization in each hidden layer (Ioffe & Szegedy 2015, arXiv:1502.03167)
and with dropout. Batch normalisation regularises and allows higher rates. If hidden layers begin
with the pretrained network's weights, the new normalisation changes nothing at first: its scale
and offset are set to the deviation and mean that it measures, so the network still computes what
it did.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 3 and the statefarm notebooks.
Command: `dl train bn`
Expected: on 2,002 photos of dogs and cats, valid accuracy 0.995 and log loss 0.017 (means of 20
random splits). 10 epochs take some seconds once the features are computed.
Defaults: on 10 splits of those photos the log loss was 0.021 with normalisation before the ReLU, as
in the paper, and 0.025 after it, as in the course. After it and with Keras' momentum of 0.99 it was
0.030.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.recipe import MOMENTUM, Beginning, Schedule, rates, setting
from dlcli.recipes.fc import Fc

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Bn(Fc):
    """Hidden Dense layers with batch normalisation on convolutional features."""

    schedule: Schedule = rates("3e-4x6,3e-5x4")
    dropout: float = setting(
        0.5, "share of each hidden layer's outputs to set to 0 at random", at_least=0, below=1
    )

    def hidden_layers(self, number: int) -> Iterator[keras.Layer]:
        """Dense, BatchNormalization, ReLU, Dropout."""
        from keras import layers

        yield layers.Dense(self.units, name=f"fc{number}")
        yield layers.BatchNormalization(momentum=MOMENTUM, name=f"bn{number}")
        yield layers.ReLU(name=f"relu{number}")
        if self.dropout:
            yield layers.Dropout(self.dropout, name=f"dropout{number}")

    def begin(self, head: keras.Model, beginning: Beginning) -> None:
        """Carry layers over, and insert the normalisation so that it changes nothing yet."""
        from dlcli.models.surgery import neutralize_batchnorm

        carried = beginning.carried | set(self.carried(head, beginning))
        if carried and not any(name.startswith("bn") for name in carried):
            neutralize_batchnorm(head, beginning.sample())
