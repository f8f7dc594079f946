"""Predict ratings by a bias for each user and one for each item: the model to beat.

The prediction is the mean rating, plus a bias for the user, plus a bias for the item. Nothing in it
depends on both, so each user gets the same order of items. The biases begin as the bias model of
`dl evaluate` fits them, which is exact. So training hardly changes them, and its last epoch shows
what a network for ratings has learned if it has learned nothing about tastes.

Source: Koren, Bell & Volinsky 2009, "Matrix factorization techniques for recommender systems",
equation 3.
Command: `dl train collab-bias`
Expected: on MovieLens' 100,004 ratings, split at random 80/20, an MSE of 0.786 (mean of 10 random
splits). 3 epochs take a second.
Defaults: the strengths of L2 are chosen by cross-validation of the training ratings, as in
`dl evaluate`; `--l2` sets both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dlcli.models.ratings import biases
from dlcli.recipe import RatingFacts, RatingRecipe, Schedule, rates, setting

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class CollabBias(RatingRecipe):
    """Biases of users and items."""

    schedule: Schedule = rates("1e-3x3")
    l2: float | None = setting(
        None,
        "strength of L2 on the biases; by default chosen by cross-validation",
        at_least=0,
        unset="auto",
    )
    richer: ClassVar[str | None] = "dl train collab-dot"

    def model(self, facts: RatingFacts) -> keras.Model:
        """Mean and biases: pairs (n, 2) -> (n, 1)."""
        from keras import Input, Model, layers

        fitted = facts.biases
        l2_users, l2_items = (
            (strength if self.l2 is None else self.l2) / facts.ratings
            for strength in (fitted.l2_users, fitted.l2_items)
        )
        pairs = Input((2,), dtype="int32", name="pairs")
        above_mean = layers.Add(name="above_mean")(
            [
                biases("user_bias", fitted.users, l2=l2_users)(pairs[:, 0]),
                biases("item_bias", fitted.items, l2=l2_items)(pairs[:, 1]),
            ]
        )
        rating = layers.Rescaling(1.0, facts.mean, name="rating")(above_mean)
        return Model(pairs, rating, name="collab_bias")
