"""A ladder: all steps on one dataset, each a run, compared in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.command_result import Dl, ok
from support.pictures import picture
from support.small_ladder import STEPS, only_ladder, run_of, train_at_once

from dlcli.config import Config
from dlcli.experiments import ladder as ladder_module
from dlcli.experiments.ladder import RUNGS
from dlcli.files.formats import read_csv
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]


def test_a_step_never_has_what_a_later_one_adds() -> None:
    plain, *_, last = [rung.hyperparameters for rung in RUNGS if rung.recipe == "cnn"]
    assert plain == {"augment": False, "batchnorm": False, "dropout": 0.0}
    assert last == {"augment": True, "batchnorm": True, "dropout": 0.5}


def test_each_step_is_a_run_and_the_folder_which_is_none_holds_table_and_picture(
    dl: Dl, home: Path, short_course: Path
) -> None:
    said = ok(dl("ladder", "-d", short_course, "--full"))
    assert "Step 1 of 2: linear" in said.stderr
    assert "Step 2 of 2: finetune" in said.stderr
    ladder = only_ladder(home)
    assert ladder.name.endswith("-ladder")
    assert ladder.record()["state"] == "finished"
    runs = [run_of(ladder, step) for step in STEPS]
    assert [run.record.recipe for run in runs] == STEPS
    assert {run.state for run in runs} == {"finished"}
    header, *rows = read_csv(ladder.path / "ladder.csv")
    assert [row[0] for row in rows] == STEPS
    for run, row in zip(runs, rows, strict=True):
        found, status = dict(zip(header, row, strict=True)), run.status
        assert found["run"] == run.name
        assert float(found["val_loss"]) == status["val_loss"]
        assert int(found["parameters"]) == status["parameters"]
    page = (ladder.path / "ladder.md").read_text()
    assert "16 training images, 8 validation images. Guessing: accuracy 50.0" in page
    assert all(f"| {step} |" in page and f"- **{step}**: " in page for step in STEPS)
    assert (ladder.path / "ladder.png").read_bytes().startswith(b"\x89PNG")

    assert Run.all(home / "runs") == sorted(runs, key=lambda run: run.name)
    assert runs[-1].name in ok(dl("evaluate", "-d", short_course)).stderr
    assert dl("evaluate", ladder.path).exit_code == 1


def test_images_that_change_under_way_stop_it(
    dl: Dl, home: Path, short_course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home)
    begin = vars(ladder_module)["train"]

    def change(config: Config, recipe: str, root: Path) -> Any:
        picture(0, 78).save(short_course / "valid" / "cat" / "new.png")
        return begin(config, recipe, root)

    monkeypatch.setattr(ladder_module, "train", change)
    said = dl("ladder", "-d", short_course, "--full")
    assert said.exit_code == 1
    assert "have changed since the ladder began" in said.stderr


def test_a_step_that_diverges_is_noted_and_the_others_go_on(
    dl: Dl, home: Path, short_course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DL_TRAIN__LINEAR__SCHEDULE", "1e38x3")
    said = ok(dl("ladder", "-d", short_course, "--full"))
    assert "linear failed. Loss or predictions are not finite numbers in epoch" in said.stderr
    assert "linear    Failed. Loss or predictions are not finite numbers" in said.stdout
    ladder = only_ladder(home)
    assert run_of(ladder, "linear").state == "failed"
    assert run_of(ladder, "finetune").state == "finished"
    _, row, _ = read_csv(ladder.path / "ladder.csv")
    assert row[2:8] == [""] * 6


def test_what_a_step_can_not_do_without_is_refused_before_the_first(
    dl: Dl, home: Path, tiny: Path
) -> None:
    said = dl("ladder", "-d", tiny, "--full", "--backbone", "vgg")
    assert said.exit_code != 0
    assert "Did you mean" in said.stderr
    said = dl("ladder", "-d", tiny, "--full", "--preset", "none")
    assert said.exit_code == 2
    assert "would change nothing" in said.stderr
    assert not (home / "runs").exists()
