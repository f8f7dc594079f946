"""Lists of items: which are in them, and how good they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.movielens import generated, movielens, split

from dlcli.errors import DlError
from dlcli.evaluation import ranking
from dlcli.evaluation.baselines import bias_model
from dlcli.evaluation.ranking import evaluate, popularity, relevant_from, top
from dlcli.evaluation.ratings import Rated, verdict
from dlcli.evaluation.ratings import evaluate as evaluate_errors

if TYPE_CHECKING:
    from dlcli.evaluation.ranking import Score

TRAIN = Rated(np.array([1, 1, 2, 3]), np.array([1, 2, 3, 4]), np.array([5.0, 4.0, 3.0, 2.0]))


def fixed(table: np.ndarray) -> Score:
    """Scores from a table of shape (n_users + 1, n_items); row 0 is an unknown user."""
    return lambda users: table[users]


def at_random(seed: int, users: int = 30, items: int = 20) -> Score:
    return fixed(np.random.default_rng(seed).normal(0, 1, (users + 1, items)))


@pytest.mark.parametrize(
    ("scale", "relevant"), [((1, 5), 4), ((0.5, 5), 3.875), ((1, 10), 7.75), ((0, 1), 0.75)]
)
def test_the_upper_quarter_of_a_scale_is_relevant(
    scale: tuple[float, float], relevant: float
) -> None:
    assert relevant_from(*scale) == relevant


def test_a_list_leaves_out_what_the_user_rated_and_what_train_lacks() -> None:
    score = fixed(np.tile([5.0, 4, 3, 2, 9], (4, 1)))  # item 5 has the highest score, and no rating
    lists = top(score, TRAIN, np.array([1, 2, 3]), n_items=5, k=3)
    assert lists.items.tolist() == [[3, 4, 0], [1, 2, 4], [1, 2, 3]]


def test_items_of_equal_score_come_by_number() -> None:
    train = Rated(np.full(9, 1), np.arange(1, 10), np.ones(9))
    lists = top(fixed(np.zeros((3, 9))), train, np.array([2]), n_items=9, k=4)
    assert lists.items.tolist() == [[1, 2, 3, 4]]


def test_a_list_has_the_highest_scores_in_order() -> None:
    train = generated(0, 200)
    users = np.unique(train.users)
    table = np.random.default_rng(1).normal(0, 1, (31, 20))
    lists = top(fixed(table), train, users, n_items=20, k=5)
    for user, found in zip(users, lists.items, strict=True):
        rated = set(train.items[train.users == user].tolist())
        order = [item for item in 1 + np.argsort(-table[user]) if item not in rated][:5]
        assert found.tolist() == order + [0] * (5 - len(order))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid = split(generated(0, 600), 0)
    whole = evaluate(at_random(0), train, valid, n_items=20, least=4)
    monkeypatch.setattr(ranking, "CHUNK", 50)
    assert evaluate(at_random(0), train, valid, n_items=20, least=4) == whole


def test_ndcg_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import ndcg_score

    train, valid = split(generated(0, 300, users=60, items=40), 0, 0.5)
    table = np.random.default_rng(0).normal(0, 1, (61, 40))
    found = evaluate(fixed(table), train, valid, n_items=40, least=3.5)
    ndcg, recall = [], []
    known = np.isin(np.arange(1, 41), train.items)
    for user in np.unique(valid.users[valid.values >= 3.5]):
        rated = np.isin(np.arange(1, 41), train.items[train.users == user])
        of_user = (valid.users == user) & (valid.values >= 3.5)
        relevant = np.isin(np.arange(1, 41), valid.items[of_user])
        # what can't be in a list has the lowest score
        scores = np.where(known & ~rated, table[user], -100 - np.arange(40))
        ndcg.append(ndcg_score([relevant], [scores], k=10))
        recall.append(relevant[np.argsort(-scores)[:10]].sum() / relevant.sum())
    assert (~known).sum() == 0
    assert found["ndcg"] == pytest.approx(np.mean(ndcg))
    assert found["recall"] == pytest.approx(np.mean(recall))
    assert found["ndcg_interval_95"][0] < found["ndcg"] < found["ndcg_interval_95"][1]


def test_the_best_possible_list_scores_1() -> None:
    valid = Rated(np.array([1, 1, 2]), np.array([3, 4, 1]), np.array([5.0, 4.0, 5.0]))
    perfect = fixed(np.array([[0.0] * 4, [0, 0, 2, 1], [3, 0, 0, 0]]))
    found = evaluate(perfect, TRAIN, valid, n_items=4, least=4)
    assert (found["recall"], found["ndcg"], found["users"]) == (1, 1, 2)


def test_a_relevant_item_that_train_lacks_is_missed() -> None:
    valid = Rated(np.array([1, 1]), np.array([3, 5]), np.array([5.0, 5.0]))
    found = evaluate(fixed(np.ones((2, 5))), TRAIN, valid, n_items=5, least=4)
    assert found["recall"] == 0.5
    assert 0 < found["ndcg"] < 1
    assert found["recall_interval_95"] is None  # one user


def test_a_pair_that_was_rated_twice_counts_once() -> None:
    valid = Rated(np.array([1, 1]), np.array([3, 3]), np.array([5.0, 4.0]))
    assert evaluate(fixed(np.ones((2, 4))), TRAIN, valid, n_items=4, least=4)["recall"] == 1


def test_the_most_popular_items_are_those_with_most_ratings() -> None:
    train, valid = split(generated(0, 600), 0)
    score = popularity(train, n_items=20)
    found = evaluate(score, train, valid, n_items=20, least=4, k=3)
    assert score(np.array([4]))[0].tolist() == np.bincount(train.items)[1:].tolist()
    assert found["popularity"] == {name: found[name] for name in found["popularity"]}
    assert (found["ndcg_more"], found["p"]) == (0, 1)


def test_coverage_is_the_share_of_items_in_any_list() -> None:
    valid = Rated(np.array([1, 2]), np.array([3, 4]), np.array([5.0, 5.0]))
    same = fixed(np.tile([1.0, 2, 3, 4], (3, 1)))
    assert evaluate(same, TRAIN, valid, n_items=4, least=4, k=1)["coverage"] == 0.25
    others = fixed(np.array([[0.0] * 4, [0, 0, 1, 0], [0, 0, 0, 1]]))
    assert evaluate(others, TRAIN, valid, n_items=4, least=4, k=1)["coverage"] == 0.5


def test_of_many_users_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid = split(generated(0, 600), 0)
    monkeypatch.setattr(ranking, "MOST_USERS", 7)
    found = evaluate(at_random(0), train, valid, n_items=20, least=4, seed=1)
    assert found["users"] == 7
    assert found == evaluate(at_random(0), train, valid, n_items=20, least=4, seed=1)


def test_without_a_relevant_item_there_are_no_lists() -> None:
    with pytest.raises(DlError, match="no rating in `valid` is 6 or higher"):
        evaluate(at_random(0), TRAIN, TRAIN, n_items=4, least=6)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DlError, match="not all finite"):
        top(fixed(np.full((2, 4), np.nan)), TRAIN, np.array([1]), n_items=4, k=2)


def test_scores_of_another_shape_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="expected scores of shape"):
        top(fixed(np.ones((2, 3))), TRAIN, np.array([1]), n_items=4, k=2)


@pytest.mark.parametrize(
    ("better", "said"),
    [(True, "the 10 most popular items"), (False, "do not make good lists")],
)
def test_the_verdict_sets_lists_beside_the_most_popular(better: bool, said: str) -> None:
    train, valid = split(generated(0, 2000, users=200, items=30), 0)
    table = np.zeros((201, 30))
    table[valid.users, valid.items - 1] = valid.values if better else -valid.values
    lists = evaluate(fixed(table), train, valid, n_items=30, least=4)
    metrics = evaluate_errors(train, valid, valid.values + 0.1, {})
    assert said in verdict({**metrics, "ranking": lists})[-1]


@pytest.mark.slow
def test_on_movielens_the_most_popular_films_beat_those_of_the_highest_bias() -> None:
    rated = movielens()
    n_users, n_items = int(rated.users.max()), int(rated.items.max())
    train, valid = split(rated, 0)
    biases = bias_model(train, n_users=n_users, n_items=n_items, strengths=(4.0, 2.0))
    found = evaluate(
        lambda users: biases.users[users, None] + biases.items[None, 1:],
        train,
        valid,
        n_items=n_items,
        least=relevant_from(0.5, 5),
    )
    assert found["popularity"]["recall"] > 2 * found["recall"] > 0
    assert found["ndcg_more_interval_95"][1] < 0
