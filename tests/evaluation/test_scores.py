"""The scores of each kind of dataset, and where a history or a status has them."""

from __future__ import annotations

import pytest

from dlcli.evaluation.scores import HIGHER, NAMES, SCORES, scores_in


def test_training_minimises_the_first_score_of_every_kind() -> None:
    assert {scores.names[0] for scores in SCORES.values()} == {"loss"}
    assert NAMES[0] == "loss"
    assert "loss" not in HIGHER


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"epoch", "val_loss", "val_accuracy"}, ("val_loss", "val_accuracy")),
        ({"epoch", "val_loss", "val_rmse"}, ("val_loss", "val_rmse")),
        ({"epoch", "val_loss"}, ()),
        ({}, ()),
    ],
)
def test_the_columns_of_a_history_tell_its_scores(
    columns: set[str], found: tuple[str, ...]
) -> None:
    assert scores_in(columns) == found
