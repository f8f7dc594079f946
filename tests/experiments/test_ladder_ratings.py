"""The ladder on ratings: biases, vectors, a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_ladder import only_ladder, train_at_once
from support.small_ratings import films

from dlcli.files.formats import read_csv
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow

STEPS = ["collab-bias", "collab-dot", "collab-net"]
SCORES = ("train_loss", "val_loss", "train_rmse", "val_rmse", "seconds", "parameters")


@pytest.fixture
def root(home: Path) -> Path:
    return films(home / "data" / "films", users=20, items=16)


@pytest.fixture
def at_once(home: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dataset, and steps that take no time."""
    train_at_once(monkeypatch, home, names=SCORES)
    return root


def test_its_steps_are_the_recipes_for_ratings_on_the_whole_dataset(
    dl: Dl, home: Path, at_once: Path
) -> None:
    said = ok(dl("ladder", "-d", at_once))
    assert said.stdout.splitlines()[:4] == [
        "step         train loss  valid loss  train RMSE  valid RMSE  seconds  params",
        "collab-bias      0.6000      0.7000      0.5400      0.5300      1.3   123 k",
        "collab-dot       0.3000      0.3500      0.5800      0.5600      2.5  1.23 M",
        "collab-net       0.2000      0.2333      0.6200      0.5900      3.8  12.3 M",
    ]
    assert "Step 3 of 3: collab-net" in said.stderr
    best = next(run for run in Run.all(home / "runs") if "collab-net" in run.name)
    assert said.stderr.endswith(f"Best: collab-net; next: `dl evaluate {best.name}`\n")


def test_the_table_the_page_and_the_figure_have_the_scores_of_ratings(
    dl: Dl, home: Path, at_once: Path
) -> None:
    made = json.loads(ok(dl("ladder", "-d", at_once, "--json")).stdout)
    assert [step["step"] for step in made["steps"]] == STEPS
    assert [step["val_rmse"] for step in made["steps"]] == [0.53, 0.56, 0.59]
    ladder = only_ladder(home)
    header, *rows = read_csv(ladder.path / "ladder.csv")
    assert header == ["step", "run", *SCORES, "finding"]
    assert [row[0] for row in rows] == STEPS
    page = (ladder.path / "ladder.md").read_text()
    assert "training ratings, " in page
    assert "Predicting the mean rating: MSE " in page
    assert "![MSE of each step](ladder.png)" in page
    assert (ladder.path / "ladder.png").read_bytes().startswith(b"\x89PNG")
    assert set(ladder.record()["plan"]["ratings"]) == {"train", "valid"}


def test_the_same_ladder_is_shown_again_until_the_ratings_are_split_anew(
    dl: Dl, home: Path, at_once: Path
) -> None:
    ok(dl("ladder", "-d", at_once))
    assert " is finished. `--again` starts a new one." in ok(dl("ladder", "-d", at_once)).stderr
    assert len(Run.all(home / "runs")) == len(STEPS)


def test_each_step_trains(dl: Dl, home: Path, root: Path) -> None:
    (home / "dl.yaml").write_text(
        "train:\n" + "".join(f"  {name}:\n    schedule: 1e-2x1\n" for name in STEPS)
    )
    ok(dl("ladder", "-d", root))
    runs = Run.all(home / "runs")
    assert sorted(run.record.recipe for run in runs) == STEPS
    assert {run.state for run in runs} == {"finished"}
