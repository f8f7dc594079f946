"""How far an unfinished run of before 0.2 came: epochs planned, and the best scores until now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.listed_runs import listed_run

from dlcli.runs.changes import Change
from dlcli.runs.listing import best_so_far, list_runs, planned_epochs

pytestmark = pytest.mark.usefixtures("small_backbone")


def planned(recipe: str = "finetune", changes: list[Change] | None = None, **settings: Any) -> Any:
    record = {"recipe": recipe, "changes": [each.describe() for each in changes or []]}
    config = {"seed": 0, "train": {recipe: settings}, "run": {**record, "epochs": 99}}
    return planned_epochs(config)


def test_the_planned_epochs_are_those_of_all_phases() -> None:
    assert planned(schedule="0.003x8,0.0003x4", dropout=0.5, ema=None, augment=False) == 12
    assert planned(schedule="0.003x8", unfreeze=3) == 16
    assert planned(schedule="0.003x8", unfreeze=3, unfreeze_schedule="1e-5") == 9
    assert planned(schedule="1e-3") == 1
    assert planned(init_from="it's a run", schedule="1e-3x2") == 2


def test_what_resuming_asked_for_last_counts() -> None:
    changes = [Change(3, 0, 3, epochs=20), Change(4, 0, 4, epochs=9), Change(5, 0, 5, batch_size=8)]
    assert planned(schedule="0.003x8", changes=changes) == 9
    assert planned(schedule="0.003x8", changes=changes[2:]) == 8


@pytest.mark.parametrize("recipe", ["mine", "finetune"])
def test_what_can_not_be_told_is_none(recipe: str) -> None:
    assert planned(recipe, schedule="fast") is None
    assert planned_epochs({}) is None


def test_the_best_until_now_is_by_validation_loss() -> None:
    rows = [(1, 0.5, 0.9), (2, 0.25, 0.8), (3, 0.25, 0.7)]
    history = [{"epoch": n, "val_loss": loss, "val_accuracy": share} for n, loss, share in rows]
    assert best_so_far(history) == {"best_epoch": 2, "val_loss": 0.25, "val_accuracy": 0.8}


@pytest.mark.parametrize(
    "history", [[], [{"epoch": 1.0, "loss": 0.5}], [{"val_loss": "a", "val_accuracy": "b"}]]
)
def test_without_scores_there_is_no_best(history: list[dict[str, float | str]]) -> None:
    assert best_so_far(history) == {}


def test_a_best_accuracy_without_a_fraction_counts() -> None:
    history: list[dict[str, float | str]] = [{"epoch": 1, "val_loss": 0.25, "val_accuracy": 1}]
    assert best_so_far(history) == {"best_epoch": 1, "val_loss": 0.25, "val_accuracy": 1}


def test_epochs_that_are_not_a_number_can_not_be_told() -> None:
    changes = [{"after": 1, "epochs": "many"}]
    assert planned_epochs({"run": {"recipe": "finetune", "changes": changes}}) is None


@pytest.mark.parametrize("content", ["\n", "\n\n"])
def test_an_unfinished_run_with_an_empty_history_is_listed(home: Path, content: str) -> None:
    run = listed_run(state="interrupted", planned_epochs=None)
    run.history_file.write_text(content)
    (row,) = list_runs(home / "runs")
    assert (row.state, row.values["planned_epochs"]) == ("interrupted", 3)
