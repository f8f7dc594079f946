"""A run that was stopped goes on as if it never had been."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from support.command_result import Dl, ok
from support.forked_commands import Forks
from support.pictures import make_dataset, picture
from support.prepared_homes import Once
from support.small_run import SMALL, only_run
from support.stopped_training import stop_after_epoch

from dlcli.errors import DlError
from dlcli.runs.run import Run
from dlcli.training import checkpoint, fit
from dlcli.training.resume import resume

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

PATHS = {
    "features": ("finetune", "--schedule", "1e-2x4"),
    "augment": ("linear", "--schedule", "1e-3x2", "--augment"),
    "running means": ("finetune", "--schedule", "1e-2x3", "--ema", "0.5", "--mixup", "0.3"),
    "unfreeze": (
        "finetune",
        "--schedule",
        "1e-2",
        "--unfreeze",
        "2",
        "--layer-decay",
        "0.5",
        "--mixed-precision",
        "--ema",
        "0.5",
        "--image-size",
        "32",
    ),
}


@pytest.mark.parametrize("kind", PATHS)
def test_a_run_stopped_after_any_epoch_goes_on_as_if_never_stopped(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Ctrl-C after each epoch in turn; history row by row, predictions to the last digit."""
    recipe, *options = PATHS[kind]
    command = ("train", recipe, "-d", tiny, *SMALL, *options)
    ok(dl(*command))
    whole = only_run(home)
    epochs = len(whole.history)

    stop_after_epoch(monkeypatch)
    stopped = dl(*command)
    assert stopped.exit_code == 130
    (name,) = {p.name for p in (home / "runs" / "tiny").iterdir()} - {whole.name}
    assert f"dl resume {name}" in stopped.stderr
    run = Run(home / "runs" / "tiny" / name)
    assert run.state == "interrupted"
    for _ in range(epochs - 1):
        assert dl("resume", name).exit_code == 130
    ok(dl("resume", name))
    assert run.history_file.read_text() == whole.history_file.read_text()
    assert (
        run.predictions_file("valid").read_bytes() == whole.predictions_file("valid").read_bytes()
    )
    assert not run.checkpoint.exists()


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """`dl` in a process of its own."""
    command = [sys.executable, "-m", "dlcli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_epochs(home: Path, count: int) -> Run:
    for _ in range(6000):
        for path in (home / "runs").glob("*/*/history.csv"):
            if len(Run(path.parent).history) >= count:
                return Run(path.parent)
        time.sleep(0.01)
    raise AssertionError("no epoch in a minute")


def test_a_killed_run_reads_as_interrupted_and_goes_on_from_its_last_epoch(
    dl: Dl, forks: Forks, home: Path, tiny: Path
) -> None:
    schedule = ("--schedule", "1e-3x60")
    pid = forks.start("train", "finetune", "-d", tiny, *schedule, *SMALL)
    run = wait_for_epochs(home, 2)
    os.kill(pid, signal.SIGSTOP)  # or it could be done before this test is
    second = dl("resume", run.name)
    assert second.exit_code == 1
    assert f"{run.name} is being trained: by process {pid} of " in second.stderr
    assert f"`dl train finetune -d {tiny} --schedule" in second.stderr
    os.kill(pid, signal.SIGKILL)
    assert forks.end().exit_code == -signal.SIGKILL
    assert run.lock_file.exists()  # and counts for nothing
    assert run.state == "interrupted"
    begun = run.history
    assert 2 <= len(begun) < 60
    refused = dl("evaluate", run.name)
    assert refused.exit_code == 1
    assert f"dl resume {run.name}" in refused.stderr
    resumed = ok(dl("resume", run.name))
    assert "Resuming after epoch" in resumed.stderr
    assert run.history[: len(begun)] == begun
    assert [row["epoch"] for row in run.history] == list(range(1, 61))
    assert not run.lock_file.exists()


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(home: Path, tiny: Path) -> None:
    process = start("train", "finetune", "-d", tiny, "--schedule", "1e-3x3000", *SMALL)
    run = wait_for_epochs(home, 2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert f"dl resume {run.name}" in err.decode()
    assert b"Traceback" not in err
    assert run.state == "interrupted"


@pytest.fixture
def stopped(dl: Dl, once: Once, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that Ctrl-C stopped after its first epoch of three."""

    with monkeypatch.context() as patched:
        stop_after_epoch(patched)
        words = ("train", "finetune", "-d", tiny, "--schedule", "1e-2x3", *SMALL)
        once("one epoch of three", lambda: dl(*words))
    return only_run(home)


def test_one_process_at_a_time_goes_on_with_a_run(dl: Dl, stopped: Run) -> None:
    with stopped.held():
        second = dl("resume", stopped.name)
    assert second.exit_code == 1
    assert "is being trained" in second.stderr
    ok(dl("resume", stopped.name))
    assert [row["epoch"] for row in stopped.history] == [1, 2, 3]


def test_a_run_of_another_machine_is_refused_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "dogs", "linear", ())
    run.update_status(state="running", pid=1, host="elsewhere")
    run.lock_file.touch()
    with pytest.raises(DlError, match="is being trained"):
        resume(run)


def test_new_test_images_are_no_reason_not_to_go_on(dl: Dl, tiny: Path, stopped: Run) -> None:
    picture(0, 77).save(tiny / "test" / "new.png")
    ok(dl("resume", stopped.name))
    assert stopped.state == "finished"


def test_ctrl_c_while_tidying_up_leaves_a_finished_run_finished(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(folder: Path, *more: object) -> None:
        raise KeyboardInterrupt

    ok(dl("features", "-d", tiny, "--image-size", "64"))
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "remove_known", stop)
        assert dl("train", "finetune", "--schedule", "1e-2", *SMALL).exit_code == 130
    assert only_run(home).state == "finished"
    ok(dl("evaluate"))


def test_resume_refuses_what_it_could_not_do_truly(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-3", *SMALL))
    finished = dl("resume", only_run(home).name)
    assert finished.exit_code == 1
    assert "finished" in finished.stderr
    run = only_run(home)
    run.update_status(state="running", pid=os.getpid())
    at_work = dl("resume", run.name)
    assert at_work.exit_code == 1
    assert str(os.getpid()) in at_work.stderr
    run.update_status(state="interrupted")
    next((tiny / "train" / "cat").iterdir()).unlink()
    changed = dl("resume", run.name)
    assert changed.exit_code == 1
    assert "have changed" in changed.stderr


def test_the_run_that_it_began_with_is_found_where_the_runs_are_or_said_to_be_gone(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-3", *SMALL))
    first = only_run(home)

    with monkeypatch.context() as patched:
        stop_after_epoch(patched)
        words = ("--schedule", "1e-3x2", "--init-from", first.name)
        assert dl("train", "finetune", "-d", tiny, *words, *SMALL).exit_code == 130
    stopped = next(run for run in Run.all(home / "runs") if run.state == "interrupted")
    assert stopped.config["train"]["finetune"]["init_from"] == f"tiny/{first.name}"
    model = first.best_model.rename(home / "kept.keras")
    said = dl("resume", stopped.name).stderr
    assert f"{stopped.name} can't be resumed without tiny/{first.name}: " in said
    assert "best.keras is gone" in said
    model.rename(first.best_model)
    away = first.path.rename(home / "away")
    said = dl("resume", stopped.name).stderr
    assert "No such run: tiny/" in said
    assert "Restore that run. To train a new run: `dl train finetune -d ~/data/tiny`." in said
    away.rename(first.path)
    moved = (home / "runs").rename(home / "moved")
    ok(dl("resume", moved / "tiny" / stopped.name))
    assert Run(moved / "tiny" / stopped.name).state == "finished"


def test_a_dataset_that_has_moved_is_found_by_its_name_or_asked_for(
    dl: Dl, home: Path, tiny: Path, stopped: Run
) -> None:
    recorded = stopped.record.dataset
    moved = home / "elsewhere" / "tiny"
    (home / "elsewhere").mkdir()
    tiny.rename(moved)
    refused = dl("resume", stopped.name)
    assert refused.exit_code == 1
    assert f"The dataset of {stopped.name} is gone: " in refused.stderr
    assert "`--data-dir`" in refused.stderr
    said = ok(dl("resume", stopped.name, "--data-dir", home / "elsewhere")).stderr
    assert "~/data/tiny is gone. Using ~/elsewhere/tiny, the dataset of that name." in said
    assert "Resuming after epoch 1 of 3." in said
    assert stopped.state == "finished"
    assert Run(stopped.path).record.dataset == recorded


def test_another_dataset_of_the_same_name_is_not_gone_on_with(
    dl: Dl, home: Path, tiny: Path, stopped: Run
) -> None:
    tiny.rename(home / "kept")
    make_dataset(home / "data" / "other" / "tiny", train=3)
    refused = dl("resume", stopped.name, "--data-dir", home / "data" / "other")
    assert refused.exit_code == 1
    assert "The images of ~/data/other/tiny have changed since" in refused.stderr
    assert "`dl train finetune -d ~/data/other/tiny`" in refused.stderr


def test_a_full_disk_stops_the_run_with_a_remedy_and_it_goes_on_later(
    dl: Dl, forks: Forks, home: Path, tiny: Path
) -> None:
    """No file may grow beyond 200 kB: the checkpoints fit, the model does not."""
    ok(dl("features", "-d", tiny, "--image-size", "64"))
    words = ("train", "finetune", "-d", tiny, "--schedule", "1e-3x3", *SMALL)
    done = forks.run(*words, first="no_file_above(200_000)")
    run = only_run(home)
    assert done.exit_code == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert f"dl resume {run.name}" in done.stderr
    assert run.state == "failed"
    assert not run.last_model.exists()
    ok(dl("resume", run.name))
    assert len(run.history) == 3
    assert run.best_model.is_file()


def test_a_disk_that_takes_nothing_more_still_ends_with_the_way_on(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("features", "-d", tiny, "--image-size", "64"))
    saved, full = checkpoint.save_checkpoint, OSError(errno.ENOSPC, "No space left on device")

    def save_then_fill(*arguments: object) -> None:
        saved(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(os, "replace", Mock(side_effect=full))

    monkeypatch.setattr(fit, "save_checkpoint", save_then_fill)
    result = dl("train", "finetune", "-d", tiny, "--schedule", "1e-3x3", *SMALL)
    monkeypatch.undo()
    run = only_run(home)
    assert result.exit_code == 1
    assert f"dl resume {run.name}" in result.stderr


def test_a_run_that_a_copy_left_without_its_empty_folders_ends_all_the_same(
    dl: Dl, stopped: Run
) -> None:
    for file in (stopped.best_model, stopped.predictions_file("valid")):
        file.parent.rmdir()
    ok(dl("resume", stopped.name))
    assert stopped.best_model.is_file()
    assert stopped.predictions_file("valid").is_file()
