"""Predict ratings by a network on the vectors of the user and the item.

The vectors of both, with their biases, go into one hidden Dense layer, with dropout before and
after it, which learns how vectors go together. Its output is added to what `collab-dot` predicts
from the same vectors and biases: the mean rating, both biases, the user's scale of the item's bias,
and the dot product (neural matrix factorization). `--no-dot` leaves the product out, as the course
did; the vectors then need more L2. An unknown user or item has the zero vector and no bias.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 4: 50 numbers in each vector,
dropout 0.3, Dense(70), dropout 0.75. He et al. 2017, arXiv:1708.05031, for the product beside it.
Command: `dl train collab-net`
Expected: on MovieLens' 100,004 ratings, split at random 80/20, an MSE of 0.754, 0.960 of the bias
model's 0.786 (means of 10 random splits); 0.769 without the product. The mean with `collab-dot`
has 0.746, less than each. 18 epochs take 8 s.
Defaults: chosen on 2 other splits, where the bias model had an MSE of 0.785: 0.752 with these.
With `--no-dot --l2 40 --l2-each 0 --schedule 1e-2x8,3e-3x4,1e-3x2` it was 0.765. Beside that it was
0.767 with L2 of 30 or 60, without the users' scales, or with the products of the vectors as a
further input; 0.768 with 100 factors; 0.776 with dropout 0.5; and 0.79 without the biases beside
the layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.models.ratings import biases, vectors
from dlcli.recipe import RatingFacts, RatingRecipe, Schedule, rates, setting

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class CollabNet(RatingRecipe):
    """Vectors and biases of users and items, and a hidden layer on both."""

    schedule: Schedule = rates("2e-2x10,5e-3x5,1e-3x3")
    factors: int = setting(50, "numbers in each vector", at_least=1, below=10_001)
    units: int = setting(70, "outputs of the hidden layer", at_least=1, below=100_001)
    dropout: float = setting(
        0.75, "share of the hidden layer's outputs to set to 0 at random", at_least=0, below=1
    )
    input_dropout: float = setting(
        0.3, "share of the vectors' numbers to set to 0 at random", at_least=0, below=1
    )
    l2: float = setting(
        8.0, "strength of L2 on the vectors and on the users' scales of the biases", at_least=0
    )
    l2_each: float = setting(
        0.04, "L2 on a user's vector for each of the user's ratings, beside --l2", at_least=0
    )
    dot: bool = setting(True, "add the dot product of the vectors")
    simpler: ClassVar[str | None] = "dl train collab-dot"

    def model(self, facts: RatingFacts) -> keras.Model:
        """Mean, biases, dot product and hidden layer: pairs (n, 2) -> (n, 1)."""
        from keras import Input, Model, layers

        l2, fitted = self.l2 / facts.ratings, facts.biases
        pairs = Input((2,), dtype="int32", name="pairs")
        user, item = pairs[:, 0], pairs[:, 1]
        user_bias = biases("user_bias", fitted.users, l2=fitted.l2_users / facts.ratings)(user)
        item_bias = biases("item_bias", fitted.items, l2=fitted.l2_items / facts.ratings)(item)
        user_scale = biases("user_scale", 0 * fitted.users, l2=l2)(user)
        of_user = vectors(
            "user_vectors", facts.user_counts, self.factors, l2=l2, l2_each=self.l2_each
        )(user)
        of_item = vectors("item_vectors", facts.item_counts, self.factors, l2=l2)(item)
        both = layers.Concatenate(name="both")([of_user, of_item, user_bias, item_bias])
        if self.input_dropout:
            both = layers.Dropout(self.input_dropout, name="input_dropout")(both)
        hidden = layers.Dense(self.units, activation="relu", name="hidden")(both)
        if self.dropout:
            hidden = layers.Dropout(self.dropout, name="dropout")(hidden)
        parts = [
            user_bias,
            item_bias,
            layers.Multiply(name="scaled_bias")([user_scale, item_bias]),
            layers.Dense(1, name="taste")(hidden),
        ]
        if self.dot:
            parts.append(layers.Dot(1, name="dot")([of_user, of_item]))
        above_mean = layers.Add(name="above_mean")(parts)
        rating = layers.Rescaling(1.0, facts.mean, name="rating")(above_mean)
        return Model(pairs, rating, name="collab_net")

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, factors, and what is not as usual."""
        l2 = f"l{self.l2:g}" if self.l2 != type(self).l2 else ""
        changed = "-".join(filter(None, (l2, "" if self.dot else "nodot")))
        return tuple(filter(None, (*super().telling(), f"k{self.factors}", changed)))
