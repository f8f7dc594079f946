"""Training: what runs on what, and what is kept."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.pictures import picture
from support.small_run import SMALL, UNFREEZING, only_run

from dlcli.inference.predictions import read_predictions
from dlcli.training import checkpoint, fit

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]


def test_a_frozen_network_is_run_once_and_then_read_from_the_store(dl: Dl, tiny: Path) -> None:
    first = ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-3", *SMALL))
    assert "on the stored features" in first.stderr
    (store,) = (tiny / "features").iterdir()
    written = {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    ok(dl("train", "finetune", "--schedule", "1e-2", *SMALL))
    assert {file: file.stat().st_mtime_ns for file in store.rglob("*")} == written


@pytest.mark.pretrained
def test_unfreeze_trains_the_last_layers_and_leaves_the_rest_and_all_statistics(
    dl_once: Dl, home: Path, tiny: Path
) -> None:
    said = ok(dl_once("train", *UNFREEZING, "-d", tiny)).stderr
    assert "Training head on the stored features" in said
    assert "Training unfreeze on the images" in said
    run = only_run(home)
    history = run.history
    assert [row["phase"] for row in history] == ["head", "head", "unfreeze", "unfreeze"]
    assert [row["learning_rate"] for row in history] == [1e-3, 1e-3, 1e-4, 1e-4]

    import keras

    from dlcli.models.backbones import get_backbone
    from dlcli.models.network import load_cut

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
    assert changed == {"conv_head", "blocks_15_project_conv"}


def test_augmentation_goes_through_the_images(dl: Dl, home: Path, tiny: Path) -> None:
    said = ok(
        dl("train", "finetune", "-d", tiny, "--schedule", "1e-3x2", "--augment", *SMALL)
    ).stderr
    assert "on the images" in said
    assert not (tiny / "features").exists()
    assert only_run(home).name.endswith("-e2-lr0.001-t1-aug-b4")


def test_linear_sees_the_pixels_and_needs_no_backbone(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl("train", "linear", "-d", tiny, "--schedule", "1e-3x3", "--image-size", "16"))
    run = only_run(home)
    config = run.config
    assert "backbone" not in config
    assert config["run"]["pixels"] == {"size": 16, "decode": "exact", "version": 2}
    ok(dl("submit"))
    assert len(read_predictions(run.predictions_file("test")).paths) == 5


@pytest.mark.parametrize(
    ("epochs", "every"),
    [(1, 1), (12, 1), (15, 1), (16, 2), (26, 2), (30, 5), (112, 10), (200, 20), (300, 50)],
)
@pytest.mark.parametrize("before", [0, 3])
def test_a_phase_on_features_has_at_most_fifteen_lines_in_round_steps(
    epochs: int, every: int, before: int
) -> None:
    assert fit.epochs_a_line(epochs) == every
    numbers = range(before + 1, before + epochs + 1)
    assert len({numbers[0], numbers[-1], *(n for n in numbers if n % every == 0)}) <= 15


def test_epochs_are_shown_in_the_steps_that_are_said_however_slow_the_machine(
    dl: Dl, tiny: Path
) -> None:
    said = ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-3x17", *SMALL)).stderr
    assert "17 epochs, shown in steps of 2.\n" in said
    shown = re.findall(r"^epoch ([ \d]\d)  loss", said, re.MULTILINE)
    assert shown == [f"{epoch:2}" for epoch in (1, *range(2, 17, 2), 17)]


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
    stopping = ("--schedule", "3x30", "--early-stopping", "2")
    said = ok(dl("train", "finetune", "-d", tiny, *stopping, *SMALL)).stderr
    run = only_run(home)
    losses = [float(row["val_loss"]) for row in run.history]
    assert said.count(f"\nepoch {len(losses):2}  loss ") == 1
    best = int(np.argmin(losses))
    assert len(losses) < 30
    assert len(losses) == best + 1 + 2
    assert run.status["best_epoch"] == best + 1
    assert run.status["val_loss"] == pytest.approx(losses[best], rel=1e-5)


def test_a_loss_that_is_no_number_stops_the_run_with_a_remedy(
    dl: Dl, home: Path, tiny: Path
) -> None:
    result = dl("train", "linear", "-d", tiny, "--schedule", "1e38x3", "--image-size", "16")
    assert result.exit_code == 1
    assert "--schedule" in result.stderr
    assert only_run(home).state == "failed"


def test_images_that_change_while_a_run_trains_cost_nothing_and_show_later(
    dl: Dl, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = sorted((tiny / "valid" / "cat").iterdir())[:2]

    def save_then_change(*arguments: object) -> None:
        checkpoint.save_checkpoint(*arguments)  # type: ignore[arg-type]
        gone.unlink(missing_ok=True)
        picture(0, 78).resize((40, 40)).save(other)

    with monkeypatch.context() as patched:
        patched.setattr(fit, "save_checkpoint", save_then_change)
        ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-2x2", *SMALL))
    run = only_run(home)
    assert len(read_predictions(run.predictions_file("valid")).paths) == 8
    assert "have changed: predicting them again" in ok(dl("evaluate")).stderr
    assert len(read_predictions(run.predictions_file("valid")).paths) == 7


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
    assert run.config["kaggle"]["competition"] == "pets"
    logged = [line.partition(" ")[2] for line in run.log_file.read_text().splitlines()]
    assert logged[0].startswith("dl ")
    start, *rest = said.splitlines()[1:]
    assert start.startswith("Training model on the images")
    assert logged[1:] == [start, *rest[:-1]]  # its diagnosis too, but not what to do next


@pytest.mark.pretrained
def test_the_saved_model_gives_the_runs_probabilities_to_keras_alone(
    dl: Dl, home: Path, tiny: Path
) -> None:
    ok(dl("train", "finetune", "-d", tiny, "--schedule", "1e-2x3", "--precision", "f32", *SMALL))
    run = only_run(home)
    assert run.config["run"]["pixel_rule"].endswith("resized to 64x64 (bilinear) by Pillow")
    script = f"""
import sys
sys.modules["dlcli"] = None  # an import of it would fail
import csv, keras, numpy as np
from PIL import Image
model = keras.saving.load_model({str(run.best_model)!r}, safe_mode=True)
header, *rows = csv.reader(open({str(run.predictions_file("valid"))!r}))
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
