"""Recipes for ratings: what each begins with, what it learns, and unknown users and items."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.movielens import generated, movielens, split

from dlcli.backend import seed_all
from dlcli.catalog import make_recipe
from dlcli.evaluation.baselines import bias_model
from dlcli.evaluation.ratings import Rated
from dlcli.recipe import RatingFacts, RatingRecipe

if TYPE_CHECKING:
    import keras

pytestmark = pytest.mark.slow

NAMES = ("collab-bias", "collab-dot", "collab-net")
every_recipe = pytest.mark.parametrize("name", NAMES)


def facts_of(train: Rated, n_users: int, n_items: int) -> RatingFacts:
    return RatingFacts(
        user_counts=np.bincount(train.users, minlength=n_users + 1),
        item_counts=np.bincount(train.items, minlength=n_items + 1),
        least=float(train.values.min()),
        most=float(train.values.max()),
        biases=bias_model(train, n_users=n_users, n_items=n_items, strengths=(3, 3)),
    )


@cache
def small() -> tuple[Rated, RatingFacts]:
    """400 ratings of 28 of 30 users and 19 of 20 items."""
    rated = generated(0, 400)
    rated = rated.rows((rated.users < 29) & (rated.items < 20))
    return rated, facts_of(rated, 30, 20)


def built(name: str, facts: RatingFacts, **values: Any) -> keras.Model:
    seed_all(0)
    recipe = make_recipe(name, values)
    assert isinstance(recipe, RatingRecipe)
    return recipe.model(facts)


def predict(model: keras.Model, users: Any, items: Any) -> np.ndarray:
    pairs = np.stack(np.broadcast_arrays(users, items), axis=1).astype(np.int32)
    return np.asarray(model.predict_on_batch(pairs))[:, 0]


def trained(model: keras.Model, rated: Rated, *, rate: float, epochs: int, batch: int) -> None:
    from keras import optimizers

    model.compile(optimizers.Adam(rate), "mse")
    pairs = np.stack([rated.users, rated.items], axis=1)
    model.fit(pairs, rated.values[:, None], batch_size=batch, epochs=epochs, verbose=0)


@every_recipe
def test_an_id_without_training_ratings_is_predicted_as_the_unknown_one(name: str) -> None:
    rated, facts = small()
    model = built(name, facts)
    trained(model, rated, rate=0.01, epochs=3, batch=100)
    items, users = np.arange(21), np.arange(31)
    for unseen in (29, 30):
        assert np.array_equal(predict(model, unseen, items), predict(model, 0, items))
    assert np.array_equal(predict(model, users, 20), predict(model, users, 0))
    if name != "collab-net":  # which may learn an offset for all
        assert predict(model, [0], [0]) == pytest.approx(facts.mean, abs=1e-5)


@pytest.mark.parametrize("name", ["collab-bias", "collab-dot"])
def test_it_begins_as_the_bias_model(name: str) -> None:
    rated, facts = small()
    first = predict(built(name, facts), rated.users, rated.items)
    expected = facts.biases.predict(rated.users, rated.items)
    # the vectors begin near zero
    assert np.abs(first - expected).max() < (1e-5 if name == "collab-bias" else 0.1)


def test_training_leaves_a_fitted_bias_model_as_it_is() -> None:
    rated, facts = small()
    model = built("collab-bias", facts)
    trained(model, rated, rate=1e-3, epochs=3, batch=len(rated.values))
    expected = facts.biases.predict(rated.users, rated.items)
    assert np.abs(predict(model, rated.users, rated.items) - expected).max() < 0.01


@every_recipe
def test_l2_does_not_depend_on_the_number_of_ratings(name: str) -> None:
    """The loss is a mean over ratings, so L2 is divided by their number."""
    _, facts = small()
    model = built(name, facts)
    strengths = {"user_bias": 3.0, "item_bias": 3.0}
    if name != "collab-bias":
        l2 = make_recipe(name, {}).hyperparameters()["l2"]
        strengths |= {"user_vectors": l2, "item_vectors": l2}
    for table, strength in strengths.items():
        regularizer = model.get_layer(table).embeddings_regularizer
        assert float(regularizer.l2) * facts.ratings == pytest.approx(strength, rel=1e-5)


def test_the_range_bounds_each_rating_and_changes_little_in_its_middle() -> None:
    _, facts = small()
    free, bounded = built("collab-dot", facts), built("collab-dot", facts, range=True)
    users = np.flatnonzero(facts.user_counts)
    near = np.abs(predict(free, users, 0) - facts.mean) < 0.3
    assert near.any()
    off = predict(bounded, users, 0) - predict(free, users, 0)
    assert np.abs(off[near]).max() < 0.03
    bounded.get_layer("user_bias").set_weights([np.full((31, 1), 100.0)])
    beyond = 0.1 * (facts.most - facts.least)
    assert predict(bounded, [1], [1])[0] == pytest.approx(facts.most + beyond, abs=1e-4)


def test_settings_shape_the_network() -> None:
    _, facts = small()
    dot = built("collab-dot", facts, factors=7)
    assert dot.get_layer("user_vectors").get_weights()[0].shape == (31, 7)
    assert dot.get_layer("item_vectors").get_weights()[0].shape == (21, 7)
    net = built("collab-net", facts, factors=7, units=5, dropout=0.0, input_dropout=0.0)
    assert net.get_layer("hidden").kernel.shape == (2 * 7 + 2, 5)
    assert not [layer for layer in net.layers if "dropout" in layer.name]
    own = built("collab-bias", facts, l2=0.0)
    assert not own.get_layer("user_bias").losses


@pytest.mark.parametrize(("name", "most"), [("collab-dot", 0.97), ("collab-net", 0.99)])
def test_on_real_ratings_it_beats_the_bias_model(name: str, most: float) -> None:
    """Half of the epochs; in all of them it is better still."""
    rated = movielens()
    train, valid = split(rated, 7)
    facts = facts_of(train, int(rated.users.max()), int(rated.items.max()))
    model = built(name, facts)
    recipe = make_recipe(name, {})
    trained(model, train, rate=recipe.schedule.highest_rate, epochs=6, batch=recipe.batch_size)
    errors = [
        ((y_pred - valid.values) ** 2).mean()
        for y_pred in (
            predict(model, valid.users, valid.items),
            facts.biases.predict(valid.users, valid.items),
        )
    ]
    assert errors[0] < most * errors[1]
