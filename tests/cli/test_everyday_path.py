"""The everyday path, exactly as typed, on a dozen pictures and on real photos."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset

from dlcli.files.formats import read_csv, read_yaml

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("small_backbone")
def test_the_six_commands_lead_from_a_folder_to_a_submission(dl: Dl, home: Path) -> None:
    make_dataset(home / "data" / "dogscats", train=10, valid=0, test=5)
    ok(dl("data", "split", "~/data/dogscats"))
    ok(dl("data", "sample"))
    ok(dl("features"))
    trained = ok(dl("train", "finetune"))
    assert "next: `dl evaluate`" in trained.stderr
    evaluated = ok(dl("evaluate"))
    assert "the newest finished run of dogscats" in evaluated.stderr
    submitted = ok(dl("submit", "--clip", "0.05"))
    assert "'dog'" in submitted.stderr

    (run,) = (home / "runs" / "dogscats").iterdir()
    header, *rows = read_csv(run / "submission.csv")
    assert header == ["id", "label"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert all(0.05 <= float(row[1]) <= 0.95 for row in rows)
    assert (run / "report.html").is_file()
    assert read_yaml(run / "metrics.yaml")["images"] == 4
    assert read_yaml(run / "status.yaml")["state"] == "finished"


def test_real_photos_reach_the_courses_accuracy(dl: Dl, home: Path, real_data: Path) -> None:
    ok(dl("data", "organize", real_data / "dogscats-kaggle", "dogscats"))
    ok(dl("data", "split", "--valid", "400"))
    ok(dl("features"))
    ok(dl("train", "finetune"))
    ok(dl("evaluate"))
    ok(dl("submit", "--clip", "0.05"))
    (run,) = (home / "runs" / "dogscats").iterdir()
    metrics = read_yaml(run / "metrics.yaml")
    assert metrics["images"] == 400
    assert metrics["accuracy"] >= 0.97
    assert metrics["log_loss"] <= 0.07
    sample = read_csv(real_data / "dogscats-kaggle" / "sample_submission.csv")
    submission = read_csv(run / "submission.csv")
    assert [row[0] for row in submission] == [row[0] for row in sample]
    assert len(submission) == 1 + 1001


@pytest.mark.usefixtures("small_backbone")
def test_the_same_seed_gives_the_same_history_and_predictions(dl: Dl, home: Path) -> None:
    make_dataset(home / "data" / "dogscats")
    for _ in range(2):
        ok(dl("train", "finetune", "-d", "dogscats", "--schedule", "1e-3x2", "--seed", "7"))
    first, second = sorted((home / "runs" / "dogscats").iterdir())
    for file in ("history.csv", "predictions/valid.csv"):
        assert (first / file).read_bytes() == (second / file).read_bytes()


@pytest.mark.parametrize("command", [["evaluate"], ["submit"]])
def test_without_a_run_the_next_step_is_to_train(dl: Dl, home: Path, command: list[str]) -> None:
    make_dataset(home / "data" / "dogscats", valid=0)
    result = dl(*command, "-d", "dogscats")
    assert result.exit_code == 1
    assert "dl train finetune" in result.stderr
