"""`dl ladder` as it is typed: which images, the table, what comes next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.loaded_modules import loaded
from support.small_ladder import train_at_once

from dlcli.experiments import ladder as ladder_module
from dlcli.experiments.ladder import Rung
from dlcli.runs.ladder import Ladder
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

SHORT = (Rung("linear"), Rung("cnn", {"augment": True}), Rung("finetune"))


@pytest.fixture
def quick(home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset and a course of three steps that take no time."""
    monkeypatch.setattr(ladder_module, "RUNGS", SHORT)
    train_at_once(monkeypatch, home)
    return tiny


@pytest.fixture
def sample(dl: Dl, quick: Path) -> Path:
    """The dataset's sample."""
    ok(dl("data", "sample", quick, "--train", "8", "--valid", "4"))
    return quick.with_name("tiny-sample")


def test_the_table_and_a_sentence_on_each_step(dl: Dl, home: Path, quick: Path) -> None:
    said = ok(dl("ladder", "-d", "tiny", "--full"))
    assert said.stdout.splitlines() == [
        "step          train loss  valid loss  train acc  valid acc  seconds  params",
        "linear            0.6000      0.7000     0.5400     0.5300      1.3   123 k",
        "cnn +augment      0.3000      0.3500     0.5800     0.5600      2.5  1.23 M",
        "finetune          0.2000      0.2333     0.6200     0.5900      3.8  12.3 M",
        "",
        "step          what it shows",
        "linear        Sentence 1. Next: a remedy, `dl train fc`.",
        "cnn +augment  Sentence 2. Next: a remedy, `dl train fc`.",
        "finetune      Sentence 3. Next: a remedy, `dl train fc`.",
    ]
    (ladder,) = (home / "runs" / "tiny").glob("*-ladder")
    best = next(run for run in Run.all(home / "runs") if "finetune" in run.name)
    folder = f"~/runs/tiny/{ladder.name}"
    assert said.stderr.splitlines()[-2:] == [
        f"Table: {folder}/ladder.md; figure: {folder}/ladder.png",
        f"Best: finetune; next: `dl evaluate {best.name}`",
    ]


def test_the_longest_name_of_the_course_fits_into_80_columns(
    dl: Dl, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder_module, "RUNGS", (Rung("imagenet-linear"),))
    table, _, _ = ok(dl("ladder", "-d", "tiny", "--full")).stdout.partition("\n\n")
    assert max(map(len, table.splitlines())) <= 80


def test_json_holds_the_same(dl: Dl, home: Path, quick: Path) -> None:
    made = json.loads(ok(dl("ladder", "-d", "tiny", "--full", "--json")).stdout)
    assert made["best"] == "finetune"
    assert made["dataset"] == str(quick)
    assert Ladder(Path(made["ladder"])).record()["state"] == "finished"
    first, second, _ = made["steps"]
    assert (first["step"], first["val_loss"], first["parameters"]) == ("linear", 0.7, 123450)
    assert second["command"] == "dl train cnn --augment"
    assert second["diagnosis"]["next"] == ["a remedy, `dl train fc`", "another"]
    assert Run(Path(second["run"])).state == "finished"


def test_the_sample_is_taken_and_the_best_step_is_named_for_the_whole(
    dl: Dl, home: Path, quick: Path, sample: Path
) -> None:
    said = ok(dl("ladder", "-d", "tiny"))
    assert "Dataset ~/data/tiny-sample (the sample of tiny, the dataset named)" in said.stderr
    assert {run.dataset for run in Run.all(home / "runs")} == {"tiny-sample"}
    assert said.stderr.endswith("Best: finetune; next: `dl train finetune`\n")
    # the sample is named: the whole has to be, too
    said = ok(dl("ladder", "-d", "tiny-sample", "--again"))
    assert "Dataset ~/data/tiny-sample (named)" in said.stderr
    assert said.stderr.endswith("next: `dl train finetune -d ~/data/tiny`\n")


def test_without_a_sample_it_says_how_to_make_one(dl: Dl, home: Path, quick: Path) -> None:
    said = dl("ladder", "-d", "tiny")
    assert said.exit_code == 1
    assert "~/data/tiny has no sample" in said.stderr
    assert "`dl data sample`" in said.stderr
    assert "`--full`" in said.stderr
    assert not (home / "runs").exists()


def test_a_folder_that_is_no_dataset_is_told_that_first(dl: Dl, home: Path) -> None:
    (home / "data" / "pics").mkdir(parents=True)
    assert "No images in ~/data/pics" in dl("ladder", "-d", "pics").stderr


def test_what_was_typed_is_typed_again_for_the_next_command(
    dl: Dl, quick: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--seed", "3", "--precision", "f32", "--preset", "mnist", "--runs-dir", "my runs")
    said = ok(dl("ladder", "-d", "tiny", *options))
    assert "`dl train finetune --seed 3 --precision f32 --runs-dir " in said.stderr
    (quick.parent.parent / "mine.yaml").write_text("seed: 5\n")
    said = ok(dl("ladder", "-d", "tiny", "--config", "mine.yaml"))
    assert "`dl train finetune --config mine.yaml`" in said.stderr
    monkeypatch.setattr(ladder_module, "RUNGS", SHORT[:2])
    said = ok(dl("ladder", "-d", "tiny", *options))
    assert "`dl train cnn --augment --preset mnist --seed 3 --runs-dir " in said.stderr


def test_augmentation_is_for_the_steps_that_augment(dl: Dl, home: Path, quick: Path) -> None:
    ok(dl("ladder", "-d", "tiny", "--full", "--preset", "mnist"))
    (file,) = home.glob("runs/tiny/*-ladder/ladder.yaml")
    steps = Ladder(file.parent).record()["plan"]["steps"]
    assert steps["linear"]["augmentation"] is None
    assert steps["cnn +augment"]["augmentation"]["preset"] == "mnist"


def test_a_step_that_failed_says_why_in_its_place(
    dl: Dl, home: Path, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home, failing=("cnn",))
    said = ok(dl("ladder", "-d", "tiny", "--full"))
    lines = said.stdout.splitlines()
    assert lines[2] == "cnn +augment"
    assert lines[7] == "cnn +augment  Failed. It fell: of a test. Stand up."
    assert "cnn +augment failed. It fell: of a test." in said.stderr
    assert "Best: finetune" in said.stderr


def test_where_every_step_failed_there_is_no_best(
    dl: Dl, home: Path, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home, failing=("linear", "cnn", "finetune"))
    said = ok(dl("ladder", "-d", "tiny", "--full"))
    assert "Best" not in said.stderr
    (ladder,) = (home / "runs" / "tiny").glob("*-ladder")
    assert (ladder / "ladder.png").is_file()


def test_ctrl_c_shows_the_table_and_figure_so_far(
    dl: Dl, home: Path, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_at_once(monkeypatch, home, stopping=("linear",))
    said = dl("ladder", "-d", "tiny", "--full")
    assert (said.exit_code, said.stdout) == (130, "")
    train_at_once(monkeypatch, home, stopping=("finetune",))
    said = dl("ladder", "-d", "tiny", "--full")
    assert said.exit_code == 130
    assert [line.split()[0] for line in said.stdout.splitlines() if line] == [
        *("step", "linear", "cnn"),
        *("step", "linear", "cnn"),
    ]
    (ladder,) = (home / "runs" / "tiny").glob("*-ladder")
    folder = f"~/runs/tiny/{ladder.name}"
    assert said.stderr.splitlines()[-2:] == [
        f"Table: {folder}/ladder.md; figure: {folder}/ladder.png",
        "Interrupted. To resume: `dl ladder -d tiny --full`.",
    ]
    assert (ladder / "ladder.png").is_file()
    assert "finetune" not in (ladder / "ladder.md").read_text()
    train_at_once(monkeypatch, home)
    ok(dl("ladder", "-d", "tiny", "--full"))
    assert "finetune" in (ladder / "ladder.md").read_text()
    train_at_once(monkeypatch, home, stopping=("finetune",))
    said = dl("ladder", "-d", "tiny", "--full", "--again", "--json")
    assert [each["step"] for each in json.loads(said.stdout)["steps"]] == ["linear", "cnn +augment"]


def test_a_finished_ladder_is_shown_again(dl: Dl, home: Path, quick: Path) -> None:
    first = ok(dl("ladder", "-d", "tiny", "--full"))
    (ladder,) = (home / "runs" / "tiny").glob("*-ladder")
    record = (ladder / "ladder.yaml").read_bytes()
    said = ok(dl("ladder", "-d", "tiny", "--full"))
    assert said.stdout == first.stdout
    assert (ladder / "ladder.yaml").read_bytes() == record
    assert f"~/runs/tiny/{ladder.name} is finished. `--again` starts a new one." in said.stderr
    assert "Step" not in said.stderr
    ok(dl("ladder", "-d", "tiny", "--full", "--again"))
    assert len(list((home / "runs" / "tiny").glob("*-ladder*"))) == 2
    assert len(Run.all(home / "runs")) == 6


def test_help_imports_nothing_heavy() -> None:
    heavy, output = loaded("ladder", "--help")
    assert "--full" in output
    assert heavy == set()
