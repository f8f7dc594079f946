"""A run that goes on with what is asked for besides: honoured and recorded, or refused."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.prepared_homes import Once
from support.small_run import SMALL, only_run
from support.stopped_training import stop_after_epoch

from dlcli.runs.run import Run
from dlcli.training.resume import resume

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

TRAIN = ("train", "finetune", "--schedule", "1e-2x4", *SMALL)


@pytest.fixture
def stopped(dl: Dl, once: Once, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that Ctrl-C stopped after its second epoch of four."""

    with monkeypatch.context() as patched:
        stop_after_epoch(patched, 2)
        once("two epochs of four", lambda: dl(*TRAIN, "-d", tiny))
    return only_run(home)


def test_epochs_rate_and_batch_size_are_honoured_and_recorded(
    dl: Dl, home: Path, stopped: Run
) -> None:
    said = ok(dl("resume", stopped.name, "--epochs", "6", "--lr", "1e-3", "--batch-size", "8"))
    change = "from epoch 3 on: 6 epochs in all, a learning rate of 0.001, batches of 8"
    assert f"Changed {change}.\nThe run's name stays, with the epochs first " in said.stderr
    assert change in stopped.log_file.read_text()
    history = stopped.history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert [row["learning_rate"] for row in history] == [1e-2] * 2 + [1e-3] * 4
    (recorded,) = stopped.config["run"]["changes"]
    assert recorded["when"].endswith("Z")
    del recorded["when"]
    assert recorded == {
        "after": 2,
        "phase": 0,
        "phase_epochs": 2,
        "epochs": 6,
        "learning_rate": 1e-3,
        "batch_size": 8,
    }
    # what it was trained with at last can be had again
    again = ok(dl("rerun", stopped.name))
    assert "next: `dl evaluate" in again.stderr
    child = next(run for run in Run.all(home / "runs") if run.name != stopped.name)
    assert child.history_file.read_text() == stopped.history_file.read_text()
    assert child.config["run"]["parent"] == f"tiny/{stopped.name}"


def test_the_report_tells_what_was_changed_under_way(dl: Dl, stopped: Run) -> None:
    ok(dl("resume", stopped.name, "--epochs", "3", "--batch-size", "8"))
    ok(dl("evaluate", stopped.name))
    page = stopped.report_file.read_text()
    assert "from epoch 3 on: 3 epochs in all, batches of 8" in page


def test_a_run_may_end_sooner(dl: Dl, stopped: Run) -> None:
    ok(dl("resume", stopped.name, "--epochs", "2"))
    assert len(stopped.history) == 2
    assert stopped.state == "finished"


def test_a_run_that_was_read_before_keeps_its_earlier_changes(stopped: Run) -> None:
    assert stopped.record.changes == ()
    resume(stopped, epochs=3)
    resume(stopped, epochs=4)
    assert [change.epochs for change in Run(stopped.path).record.changes] == [3, 4]


def test_a_finished_run_goes_on_for_more_epochs_alone(dl: Dl, stopped: Run) -> None:
    ok(dl("resume", stopped.name))
    before = stopped.history
    result = dl("resume", stopped.name)
    assert result.exit_code == 1
    assert f"To train it further: `dl resume {stopped.name} --epochs 8`." in result.stderr
    ok(dl("evaluate"))
    said = ok(dl("resume", stopped.name, "--epochs", "6", "--lr", "1e-4")).stderr
    assert "starts fresh: a finished run has no checkpoint" in said
    assert "Resuming after epoch 4 of 6." in said
    assert stopped.history[:4] == before
    assert [row["learning_rate"] for row in stopped.history[4:]] == [1e-4, 1e-4]
    # it goes on from the weights that it had: at such a rate the loss hardly moves
    assert stopped.history[4]["val_loss"] == pytest.approx(before[-1]["val_loss"], rel=0.1)
    assert stopped.status["epoch"] == 6
    ok(dl("evaluate"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--epochs", "1"), "it already has 2"),
        (("--epochs", "1"), " --epochs 3`"),
        (("--epochs", "2", "--lr", "1e-3"), "all 2 are trained"),
        (("--epochs", "0"), "expected a whole number from 1 to 1,000,000"),
        (("--lr", "0"), "0"),
        (("--dropout", "0.1"), "`dl resume` can't change `--dropout`: only `--epochs`"),
    ],
    ids=str,
)
def test_what_can_not_be_done_is_refused_and_nothing_changes(
    dl: Dl, stopped: Run, options: tuple[str, ...], why: str
) -> None:
    before = stopped.config_file.read_bytes()
    result = dl("resume", stopped.name, *options)
    assert result.exit_code == 2
    assert why in result.stderr
    assert stopped.config_file.read_bytes() == before
    assert stopped.state == "interrupted"


def test_with_its_checkpoint_kept_a_finished_run_goes_on_as_if_it_had_not_ended(
    dl: Dl, home: Path, tiny: Path
) -> None:
    ok(dl(*TRAIN, "-d", tiny))
    whole = only_run(home)
    ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-2x2", "--keep-checkpoint", *SMALL))
    (run,) = (each for each in Run.all(home / "runs") if each != whole)
    said = ok(dl("resume", run.name, "--epochs", "4")).stderr
    assert "starts fresh" not in said
    assert run.history_file.read_text() == whole.history_file.read_text()
    assert run.predictions_file("valid").read_text() == whole.predictions_file("valid").read_text()


def test_more_epochs_than_early_stopping_grants_are_trained(dl: Dl, home: Path, tiny: Path) -> None:
    # at such a rate the valid loss is never better than after the first epoch
    options = ("--schedule", "1e-9x9", "--early-stopping", "1", "--label-smoothing", "0.5")
    ok(dl("train", "finetune", "-d", tiny, *options, *SMALL))
    run = only_run(home)
    done = len(run.history)
    ok(dl("resume", run.name, "--epochs", str(done + 1)))
    assert len(run.history) == done + 1


def test_what_was_made_of_the_model_before_is_set_aside_and_nothing_is_lost(
    dl: Dl, stopped: Run
) -> None:
    ok(dl("resume", stopped.name))
    for command in ("evaluate", "submit"):
        ok(dl(command))
    made = ("predictions", "metrics.yaml", "report.html", "figures", "submission.csv")
    said = ok(dl("resume", stopped.name, "--epochs", "5")).stderr
    assert f"before-epoch-5: {', '.join(made)}." in said
    aside = stopped.path / "before-epoch-5"
    assert sorted(path.name for path in aside.iterdir()) == sorted(made)
    assert not stopped.report_file.exists()
    assert stopped.predictions_file("valid").is_file()
    ok(dl("evaluate"))


def test_an_optimizer_that_began_anew_is_recorded_and_does_so_again(dl: Dl, stopped: Run) -> None:
    ok(dl("resume", stopped.name))
    ok(dl("resume", stopped.name, "--epochs", "6"))
    assert stopped.config["run"]["changes"][-1]["optimizer_anew"] is True
    assert "the same history: 6 epochs" in ok(dl("runs", "verify", stopped.name)).stdout


@pytest.mark.parametrize("text", ["", "state: finis", "state: finished\nval_loss: 0.0"])
def test_a_model_is_not_trained_over_where_the_status_is_damaged(
    dl: Dl, stopped: Run, text: str
) -> None:
    ok(dl("resume", stopped.name))
    stopped.status_file.write_text(text)
    model = stopped.best_model.read_bytes()
    for command in ("evaluate", "submit"):
        refused(dl(command, stopped.name), "status.yaml is damaged", "dl rerun")
    refused(dl("resume", stopped.name, "--epochs", "9"), "dl rerun")
    assert stopped.status_file.read_text() == text
    assert stopped.best_model.read_bytes() == model


def test_a_run_that_can_not_be_written_is_not_gone_on_with(dl: Dl, bound: Dl, stopped: Run) -> None:
    stopped.path.chmod(0o555)
    try:
        refused(bound("resume", stopped.name), "can't be written", "dl rerun")
    finally:
        stopped.path.chmod(0o755)


def test_training_goes_on_when_nobody_reads_its_words_any_more(home: Path, tiny: Path) -> None:
    words = ("train", "linear", "-d", tiny, "--image-size", "16", "--schedule", "1e-3x9")
    typed = shlex.join([sys.executable, "-m", "dlcli", *map(str, words)])
    subprocess.run(["bash", "-c", f"{typed} 2>&1 | head -1"], check=True, capture_output=True)
    end = time.monotonic() + 120
    while only_run(home).state == "running" and time.monotonic() < end:
        time.sleep(0.1)
    assert only_run(home).state == "finished"
    assert len(only_run(home).history) == 9


def test_a_finished_run_without_its_models_is_refused_before_anything_changes(
    dl: Dl, stopped: Run
) -> None:
    ok(dl("resume", stopped.name))
    stopped.last_model.unlink()
    before = stopped.status_file.read_bytes(), stopped.log_file.read_bytes()
    refused(
        dl("resume", stopped.name, "--epochs", "6"), "models/last.keras is gone", "Train a new run"
    )
    assert (stopped.status_file.read_bytes(), stopped.log_file.read_bytes()) == before
    assert not stopped.checkpoint.exists()


def test_a_model_that_can_not_be_read_leaves_no_checkpoint(dl: Dl, stopped: Run) -> None:
    ok(dl("resume", stopped.name))
    stopped.best_model.unlink()
    stopped.best_model.write_bytes(b"no model")
    assert dl("resume", stopped.name, "--epochs", "6").exit_code == 1
    assert not stopped.checkpoint.exists()
    assert stopped.state == "finished"


def test_a_finished_run_that_goes_on_and_is_stopped_tells_nothing_of_its_end(
    dl: Dl, stopped: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("resume", stopped.name))
    ended = json.loads(ok(dl("runs", "show", stopped.name, "--json")).stdout)
    assert ended["diagnosis"] and ended["finished"] and ended["seconds"]

    with monkeypatch.context() as stopping:
        stop_after_epoch(stopping)
        assert dl("resume", stopped.name, "--epochs", "6").exit_code == 130
    told = json.loads(ok(dl("runs", "show", stopped.name, "--json")).stdout)
    assert (told["state"], told["epoch"]) == ("interrupted", 4)
    gone = ("finished", "seconds", "train_loss", "train_accuracy", "diagnosis")
    assert [told[name] for name in gone] == [None] * len(gone)
    lowest = min(float(row["val_loss"]) for row in stopped.history)
    assert told["val_loss"] == pytest.approx(lowest, rel=1e-3)
    assert ok(dl("runs")).stdout.splitlines()[1].split()[1:3] == ["interrupted", "4/6"]
    ok(dl("resume", stopped.name))
    assert json.loads(ok(dl("runs", "show", stopped.name, "--json")).stdout)["seconds"]
