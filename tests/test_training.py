"""Training: what runs on what, what is kept, and going on after a stop."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from pictures import make_dataset, picture
from typed import Dl, ok

from dlcli import checkpoint, training
from dlcli.predictions import read_predictions
from dlcli.run import Run

SMALL = ("--image-size", "64", "--batch-size", "4")


@pytest.fixture
def tiny(home: Path) -> Path:
    return make_dataset(home / "data" / "tiny", train=8, valid=4)


def only_run(home: Path) -> Run:
    (path,) = (home / "runs" / "tiny").iterdir()
    return Run(path)


def test_a_frozen_network_is_run_once_and_then_read_from_the_store(dl: Dl, tiny: Path) -> None:
    first = ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-3", *SMALL))
    assert "on the stored features" in first.stderr
    (store,) = (tiny / "features").iterdir()
    written = {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    ok(dl("train", "finetune", "--schedule", "1e-2", *SMALL))
    assert {file: file.stat().st_mtime_ns for file in store.rglob("*")} == written


def test_unfreeze_trains_the_last_layers_and_leaves_the_rest_and_all_statistics(
    dl: Dl, home: Path, tiny: Path
) -> None:
    said = ok(
        dl("train", "finetune", "-d", tiny, "--schedule", "1e-3x2", "--unfreeze", "2", *SMALL)
    ).stderr
    assert "Training head on the stored features" in said
    assert "Training unfreeze on the images" in said
    run = only_run(home)
    history = run.history()
    assert [row["phase"] for row in history] == ["head", "head", "unfreeze", "unfreeze"]
    assert [row["learning_rate"] for row in history] == [1e-3, 1e-3, 1e-4, 1e-4]

    import keras

    from dlcli.models.backbones import get_backbone, load_cut

    pretrained = load_cut(get_backbone("efficientnet-lite0"), "pooled", None, 64)
    model = keras.saving.load_model(run.last_model)
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    changed = {
        layer.name
        for layer in pretrained.layers
        for old, new in zip(
            layer.get_weights(), backbone.get_layer(layer.name).get_weights(), strict=True
        )
        if not np.array_equal(old, new)
    }
    assert changed == {"_conv_head", "_blocks_15_project_conv"}


def test_augmentation_goes_through_the_images(dl: Dl, home: Path, tiny: Path) -> None:
    said = ok(
        dl("train", "finetune", "-d", tiny, "--schedule", "1e-3x2", "--augment", *SMALL)
    ).stderr
    assert "on the images" in said
    assert not (tiny / "features").exists()
    assert only_run(home).name.endswith("-e2-lr0.001-t1-aug")


def test_linear_sees_the_pixels_and_needs_no_backbone(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "linear", "-d", tiny, "--schedule", "1e-3x3", "--image-size", "16"))
    run = only_run(home)
    config = run.config()
    assert "backbone" not in config
    assert config["run"]["pixels"] == {"size": 16, "decode": "exact"}
    ok(dl("submit"))
    assert len(read_predictions(run.predictions("test")).paths) == 5


def test_a_file_system_without_hard_links_holds_a_run(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object, **more: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    ok(dl("features", "-d", tiny, "--image-size", "64"))
    monkeypatch.setattr(os, "link", refuse)
    ok(dl("train", "finetune", "--schedule", "1e-3x1", *SMALL))
    run = only_run(home)
    assert run.best_model.read_bytes() == run.last_model.read_bytes()


def test_early_stopping_ends_a_phase_and_the_best_epoch_is_kept(
    dl: Dl, home: Path, tiny: Path
) -> None:
    ok(
        dl("train", "finetune", "-d", tiny, "--schedule", "3x30", "--early-stopping", "2", *SMALL),
    )
    run = only_run(home)
    losses = [float(row["val_loss"]) for row in run.history()]
    best = int(np.argmin(losses))
    assert len(losses) < 30
    assert len(losses) == best + 1 + 2
    assert run.status()["best_epoch"] == best + 1
    assert run.status()["val_loss"] == pytest.approx(losses[best], rel=1e-5)


def test_a_loss_that_is_no_number_stops_the_run_with_a_remedy(
    dl: Dl, home: Path, tiny: Path
) -> None:
    result = dl("train", "linear", "-d", tiny, "--schedule", "1e38x3", "--image-size", "16")
    assert result.exit_code == 1
    assert "--schedule" in result.stderr
    assert only_run(home).state == "failed"


PATHS = {
    "features": ("finetune", "--schedule", "1e-2x4"),
    "unfreeze": ("finetune", "--schedule", "1e-2", "--unfreeze", "1"),
    "augment": ("finetune", "--schedule", "1e-2x2", "--augment"),
}


@pytest.mark.parametrize("kind", PATHS)
def test_a_run_stopped_after_any_epoch_goes_on_as_if_never_stopped(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Ctrl-C after each epoch in turn; history row by row, predictions to the last digit."""
    command = ("train", *PATHS[kind], "-d", tiny, *SMALL)
    ok(dl(*command))
    whole = only_run(home)
    epochs = len(whole.history())

    saved = checkpoint.save_checkpoint

    def save_then_stop(*arguments: object) -> None:
        saved(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", save_then_stop)
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
    assert run.predictions("valid").read_bytes() == whole.predictions("valid").read_bytes()
    assert not run.checkpoint.exists()


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """`dl` in a process of its own."""
    command = [sys.executable, "-m", "dlcli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_epochs(home: Path, count: int) -> Run:
    for _ in range(1200):
        for path in (home / "runs").glob("*/*/history.csv"):
            if len(Run(path.parent).history()) >= count:
                return Run(path.parent)
        time.sleep(0.05)
    raise AssertionError("no epoch in a minute")


def test_a_killed_run_reads_as_interrupted_and_goes_on_from_its_last_epoch(
    dl: Dl, home: Path, tiny: Path
) -> None:
    schedule = ("--schedule", "1e-3x60")
    process = start("train", "finetune", "-d", tiny, *schedule, *SMALL)
    run = wait_for_epochs(home, 2)
    process.kill()
    process.communicate()
    assert run.state == "interrupted"
    begun = run.history()
    assert 2 <= len(begun) < 60
    refused = dl("evaluate", run.name)
    assert refused.exit_code == 1
    assert f"dl resume {run.name}" in refused.stderr
    resumed = ok(dl("resume", run.name))
    assert "Going on after epoch" in resumed.stderr
    assert run.history()[: len(begun)] == begun
    assert [row["epoch"] for row in run.history()] == list(range(1, 61))


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
def stopped(dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that Ctrl-C stopped after its first epoch of three."""

    def save_then_stop(*arguments: object) -> None:
        checkpoint.save_checkpoint(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "save_checkpoint", save_then_stop)
        dl("train", "finetune", "-d", tiny, "--schedule", "1e-2x3", *SMALL)
    return only_run(home)


def test_one_process_at_a_time_goes_on_with_a_run(dl: Dl, stopped: Run) -> None:
    with stopped.held():
        second = dl("resume", stopped.name)
    assert second.exit_code == 1
    assert "is being trained" in second.stderr
    ok(dl("resume", stopped.name))
    assert [row["epoch"] for row in stopped.history()] == [1, 2, 3]


def test_new_test_images_are_no_reason_not_to_go_on(dl: Dl, tiny: Path, stopped: Run) -> None:
    picture(0, 77).save(tiny / "test" / "new.png")
    ok(dl("resume", stopped.name))
    assert stopped.state == "finished"


def test_images_that_change_while_a_run_trains_cost_nothing_and_show_later(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = sorted((tiny / "valid" / "cat").iterdir())[:2]

    def save_then_change(*arguments: object) -> None:
        checkpoint.save_checkpoint(*arguments)  # type: ignore[arg-type]
        gone.unlink(missing_ok=True)
        picture(0, 78).resize((40, 40)).save(other)

    with monkeypatch.context() as patched:
        patched.setattr(training, "save_checkpoint", save_then_change)
        ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-2x2", *SMALL))
    run = only_run(home)
    assert len(read_predictions(run.predictions("valid")).paths) == 8
    assert "have changed: they are predicted again" in ok(dl("evaluate")).stderr
    assert len(read_predictions(run.predictions("valid")).paths) == 7


def test_ctrl_c_while_tidying_up_leaves_a_finished_run_finished(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def stop(path: Path, **more: bool) -> None:
        if Path(path).name == "checkpoint":
            raise KeyboardInterrupt
        remove(path, **more)

    ok(dl("features", "-d", tiny, "--image-size", "64"))
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stop)
        assert dl("train", "finetune", "--schedule", "1e-2", *SMALL).exit_code == 130
    assert only_run(home).state == "finished"
    ok(dl("evaluate"))


def test_a_link_to_nowhere_is_left_out_where_that_is_asked_for(
    dl: Dl, home: Path, tiny: Path
) -> None:
    (tiny / "train" / "cat" / "link.png").symlink_to("nowhere.png")
    options = ("-d", tiny, "--schedule", "1e-3", "--image-size", "16")
    assert "link.png" in dl("train", "linear", *options).stderr
    assert not (home / "runs").exists()
    ok(dl("train", "linear", *options, "--on-error", "skip"))
    assert only_run(home).state == "finished"


def test_a_run_records_what_was_said_and_what_its_competition_wants(
    dl: Dl, home: Path, tiny: Path
) -> None:
    (tiny / "dataset.yaml").write_text("kaggle:\n  competition: pets\n")
    said = ok(dl("train", "linear", "-d", tiny, "--schedule", "1e-3", "--image-size", "16")).stderr
    run = only_run(home)
    assert run.config()["kaggle"]["competition"] == "pets"
    logged = [line.partition(" ")[2] for line in run.log_file.read_text().splitlines()]
    assert logged[0].startswith("dl ")
    trained = [line for line in said.splitlines() if line.startswith(("Training", "epoch"))]
    assert logged[1:] == trained


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


def test_the_saved_model_gives_the_runs_probabilities_to_keras_alone(
    dl: Dl, home: Path, tiny: Path
) -> None:
    ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-2x3", "--precision", "f32", *SMALL))
    run = only_run(home)
    assert run.config()["run"]["pixel_rule"].endswith("bilinear filter straight to 64x64")
    script = f"""
import sys
sys.modules["dlcli"] = None  # an import of it would fail
import csv, keras, numpy as np
from PIL import Image
model = keras.saving.load_model({str(run.best_model)!r}, safe_mode=True)
header, *rows = csv.reader(open({str(run.predictions("valid"))!r}))
images = [
    np.asarray(Image.open({str(tiny)!r} + "/" + row[0]).convert("RGB").resize((64, 64), 2))
    for row in rows
]
found = model.predict(np.stack(images).astype("float32"), verbose=0)
expected = np.array([row[2:] for row in rows], "float32")
print(abs(found - expected).max())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1e-4


def test_a_full_disk_stops_the_run_with_a_remedy_and_it_goes_on_later(
    dl: Dl, home: Path, tiny: Path
) -> None:
    """No file may grow beyond 1 MB: the checkpoints fit, the model does not."""
    ok(dl("features", "-d", tiny, "--image-size", "64"))
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6)); "
        "from dlcli.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["train", "finetune", "-d", str(tiny), "--schedule", "1e-3x3", *SMALL]
    done = subprocess.run([sys.executable, "-c", limited, *words], capture_output=True, text=True)
    run = only_run(home)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert f"dl resume {run.name}" in done.stderr
    assert run.state == "failed"
    assert not run.last_model.exists()
    ok(dl("resume", run.name))
    assert len(run.history()) == 3
    assert run.best_model.is_file()


def test_a_disk_that_takes_nothing_more_still_ends_with_the_way_on(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(dl("features", "-d", tiny, "--image-size", "64"))
    saved, full = checkpoint.save_checkpoint, OSError(errno.ENOSPC, "No space left on device")

    def save_then_fill(*arguments: object) -> None:
        saved(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(os, "replace", Mock(side_effect=full))

    monkeypatch.setattr(training, "save_checkpoint", save_then_fill)
    result = dl("train", "finetune", "-d", tiny, "--schedule", "1e-3x3", *SMALL)
    monkeypatch.undo()
    run = only_run(home)
    assert result.exit_code == 1
    assert f"dl resume {run.name}" in result.stderr


def test_what_is_refused_leaves_no_run_behind(dl: Dl, home: Path, tiny: Path) -> None:
    (tiny / "train" / "cat" / "empty.jpg").touch()
    for command in (
        ("train", "linear", "--schedule", "1e-3"),
        ("train", "finetune", *SMALL),
        ("train", "finetune", "--on-error", "skip", "--unfreeze", "999", *SMALL),
        ("train", "finetune", "--unfreeze-schedule", "1e-4", *SMALL),
    ):
        assert dl(*command, "-d", tiny).exit_code in (1, 2)
    assert not (home / "runs").exists()
