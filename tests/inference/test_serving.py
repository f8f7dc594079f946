"""The files that answer without a backend: what they answer, and when they are not used."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.small_run import UNFREEZING, only_run

from dlcli.config import load_config
from dlcli.inference.photos import predict_photos
from dlcli.inference.predictions import read_predictions
from dlcli.inference.serving import HEAD, NETWORK, RECORD, open_engine
from dlcli.runs.disk import IN_CACHE, stored_files
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

FINETUNE = ("finetune", "--image-size", "64", "--schedule", "1e-2x3")
CNN = ("cnn", "--image-size", "16", "--schedule", "1e-3x2")


def trained(dl: Dl, home: Path, tiny: Path, *recipe: str) -> Run:
    ok(dl("train", *recipe, "-d", tiny))
    return only_run(home)


def of_valid(root: Path, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the validation images: asked for as photos, and as they were in training."""
    before = read_predictions(run.predictions_file("valid"))
    photos = [str(root / path) for path in before.paths]
    return predict_photos(run, photos, load_config(None)).y_prob, before.y_prob


@pytest.mark.pretrained
@pytest.mark.parametrize(
    ("recipe", "files"),
    [
        (FINETUNE, {HEAD, NETWORK}),
        ((*FINETUNE, "--precision", "f32"), {HEAD, NETWORK}),
        ((*FINETUNE, "--engine", "keras"), {NETWORK}),
        (UNFREEZING, {NETWORK}),
        (CNN, {NETWORK}),
    ],
    ids=["frozen", "frozen in f32", "frozen in Keras", "unfrozen", "from pixels"],
)
def test_they_answer_as_the_run_did_in_training(
    dl_once: Dl, home: Path, tiny: Path, recipe: tuple[str, ...], files: set[str]
) -> None:
    run = trained(dl_once, home, tiny, *recipe)
    assert {path.name for path in run.engine.glob("*.xml")} == files
    assert open_engine(run, 1) is not None
    photos, training = of_valid(tiny, run)
    assert photos == pytest.approx(training, abs=1e-5)


def test_a_frozen_network_takes_no_room_twice(dl: Dl, home: Path, tiny: Path) -> None:
    run = trained(dl, home, tiny, *FINETUNE)
    assert (run.engine / "network.bin").stat().st_nlink >= 2


def test_a_photo_is_answered_without_a_backend(dl_once: Dl, home: Path, tiny: Path) -> None:
    run = trained(dl_once, home, tiny, *FINETUNE)
    script = (
        "import sys; from dlcli.cli import main; "
        f"assert main(['predict', {str(run.path)!r}, {str(tiny / 'valid')!r}]) == 0; "
        "print([m for m in ('keras', 'tensorflow', 'bcolz', 'yaml._yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "['yaml._yaml']", done.stderr


@pytest.mark.parametrize(
    "damage",
    [
        "gone",
        "network.xml",
        "head.xml",
        "record",
        "half the record",
        "absurd pixels",
        "another model's",
    ],
)
def test_where_they_can_not_serve_keras_answers_the_same(
    dl_once: Dl, home: Path, tiny: Path, damage: str
) -> None:
    run = trained(dl_once, home, tiny, *FINETUNE)
    if damage == "another model's":
        model = run.best_model.read_bytes()
        run.best_model.write_bytes(model + b"\0")
    elif damage == "gone":
        for path in run.engine.iterdir():
            path.unlink()
    elif damage == "record":
        (run.engine / RECORD).write_text("{")
    elif damage == "absurd pixels":
        text = (run.engine / RECORD).read_text()
        (run.engine / RECORD).write_text(re.sub(r"size: \d+", f"size: {10**9}", text))
    elif damage == "half the record":
        (run.engine / RECORD).write_text("model: x\n")
    else:
        path = run.engine / damage
        text = path.read_text()
        path.unlink()  # the network's file is the cache's too
        path.write_text(text[: len(text) // 2])
    assert open_engine(run, 1) is None
    photos, training = of_valid(tiny, run)
    assert photos == pytest.approx(training, abs=1e-5)


def test_the_room_of_a_frozen_network_is_counted_once(dl: Dl, home: Path, tiny: Path) -> None:
    run = trained(dl, home, tiny, *FINETUNE)
    files = {file.name: file for file in stored_files(run)}
    assert files["models/engine/network.bin"].same_as == IN_CACHE
    assert files["models/engine/head.bin"].same_as is None


def test_a_run_ends_well_without_them_and_it_is_said(
    dl: Dl, dl_once: Dl, home: Path, tiny: Path
) -> None:
    run = trained(dl_once, home, tiny, *FINETUNE)
    shutil.rmtree(run.engine)
    run.engine.write_text("in the way")
    said = ok(dl("resume", run.name, "--epochs", "4")).stderr
    assert "Warning: `dl predict` will be slower for this run, because it uses Keras: " in said
    assert run.state == "finished"
    photos, training = of_valid(tiny, run)
    assert photos == pytest.approx(training, abs=1e-5)
