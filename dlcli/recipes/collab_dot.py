"""Predict ratings by the dot product of a vector for each user and one for each item.

The prediction is the mean rating, plus a bias for the user, plus a bias for the item, plus the dot
product of the two vectors (matrix factorization). One more number for each user scales the biases
of the items: some users follow the general opinion more than others.

The biases begin as the bias model fits them (`collab-bias`); the vectors begin at random, near
zero. L2 holds all of them back. Each strength is the ratio of the noise's variance to that of the
vectors' numbers, so it does not depend on the number of ratings. An unknown user or item has the
zero vector and no bias: an average one. `--range` ends the network in a sigmoid that reaches a
little beyond the scale of the ratings.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 4. Koren, Bell & Volinsky 2009,
"Matrix factorization techniques for recommender systems".
Command: `dl train collab-dot`
Expected: on MovieLens' 100,004 ratings, split at random 80/20, an MSE of 0.748, 0.952 of the bias
model's 0.786 (means of 10 random splits). 18 epochs take 4 s.
Defaults: chosen on 2 other splits, where the bias model had an MSE of 0.785. It was 0.744 with
these. It was 0.743 with 100 factors or with `--range`, 0.746 with 20 factors or with biases that
begin at zero, 0.747 with L2 of 6 or 10, 0.750 without `--l2-each`, 0.752 without the users' scales,
and 0.756 without both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.models.ratings import biases, vectors
from dlcli.recipe import RatingFacts, RatingRecipe, Schedule, rates, setting

if TYPE_CHECKING:
    import keras

# How far the sigmoid of `--range` reaches beyond the scale at each end, as a share of the scale: a
# sigmoid never reaches its own ends.
BEYOND = 0.1


@dataclass(frozen=True)
class CollabDot(RatingRecipe):
    """Vectors and biases of users and items, and their dot product."""

    schedule: Schedule = rates("2e-2x10,5e-3x5,1e-3x3")
    factors: int = setting(50, "numbers in each vector", at_least=1, below=10_001)
    l2: float = setting(
        8.0, "strength of L2 on the vectors and on the users' scales of the biases", at_least=0
    )
    l2_each: float = setting(
        0.04, "L2 on a user's vector for each of the user's ratings, beside --l2", at_least=0
    )
    range: bool = setting(
        False, "end in a sigmoid that is scaled to the range of the training ratings"
    )
    simpler: ClassVar[str | None] = "dl train collab-bias"

    def model(self, facts: RatingFacts) -> keras.Model:
        """Mean, biases and dot product: pairs (n, 2) -> (n, 1)."""
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
        above_mean = layers.Add(name="above_mean")(
            [
                user_bias,
                item_bias,
                layers.Multiply(name="scaled_bias")([user_scale, item_bias]),
                layers.Dot(1, name="dot")([of_user, of_item]),
            ]
        )
        return Model(pairs, self.rating(above_mean, facts), name="collab_dot")

    def rating(self, above_mean: keras.KerasTensor, facts: RatingFacts) -> keras.KerasTensor:
        """The predicted rating, given by how much it is above the mean: (n, 1) -> (n, 1)."""
        from keras import layers

        if not self.range:
            return layers.Rescaling(1.0, facts.mean, name="rating")(above_mean)
        import math

        beyond = BEYOND * (facts.most - facts.least)
        low, high = facts.least - beyond, facts.most + beyond
        # at the mean the sigmoid has the mean's value and the slope 1, as it is without one
        slope = (facts.mean - low) * (high - facts.mean) / (high - low)
        offset = math.log((facts.mean - low) / (high - facts.mean))
        inner = layers.Rescaling(1 / slope, offset, name="logit")(above_mean)
        share = layers.Activation("sigmoid", name="share")(inner)
        return layers.Rescaling(high - low, low, name="rating")(share)

    def telling(self) -> tuple[str, ...]:
        """Epochs, first rate, factors, L2 and the sigmoid."""
        l2 = f"l{self.l2:g}" if self.l2 != type(self).l2 else ""
        changed = "-".join(filter(None, (l2, "range" if self.range else "")))
        return tuple(filter(None, (*super().telling(), f"k{self.factors}", changed)))
