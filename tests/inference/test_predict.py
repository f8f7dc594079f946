"""A finished run's predictions: read where they stand, made again where they must be."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_result import Dl, ok, refused
from support.pictures import make_dataset, picture

from dlcli.files.formats import read_csv
from dlcli.inference.predictions import read_predictions
from dlcli.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

QUICK = ("--schedule", "1e-2x3", "--image-size", "64")


@pytest.fixture
def trained(dl_once: Dl, home: Path) -> tuple[Path, Run]:
    root = make_dataset(home / "data" / "pets", train=6, valid=3, test=4)
    ok(dl_once("features", "-d", root, "--image-size", "64"))
    ok(dl_once("train", "finetune", *QUICK))
    (path,) = (home / "runs" / "pets").iterdir()
    return root, Run(path)


def test_training_predicts_test_where_its_features_are_there(trained: tuple[Path, Run]) -> None:
    _, run = trained
    assert len(read_predictions(run.predictions_file("test")).paths) == 4
    assert set(read_predictions(run.predictions_file("valid")).true_classes) == {"cat", "dog"}


def test_judging_and_submitting_import_no_backend(trained: tuple[Path, Run]) -> None:
    for command in ("evaluate", "submit"):
        script = (
            "import sys; from dlcli.cli import main; "
            f"assert main([{command!r}]) == 0; "
            "print([m for m in ('keras', 'tensorflow', 'sklearn', 'openvino', 'bcolz') "
            "if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_new_test_images_are_predicted_and_it_is_said(dl: Dl, trained: tuple[Path, Run]) -> None:
    root, run = trained
    picture(0, 77).save(root / "test" / "5.png")
    (root / "sample_submission.csv").unlink()
    before = read_predictions(run.predictions_file("test"))
    said = ok(dl("submit")).stderr
    assert "have changed" in said
    after = read_predictions(run.predictions_file("test"))
    assert set(after.paths) - set(before.paths) == {"test/5.png"}
    same = {path: i for i, path in enumerate(after.paths)}
    for i, path in enumerate(before.paths):
        assert after.y_prob[same[path]] == pytest.approx(before.y_prob[i], abs=1e-5)
    assert [row[0] for row in read_csv(run.submission_file)[1:]] == ["1", "2", "3", "4", "5"]
    assert "have changed" not in ok(dl("submit")).stderr


def test_a_lost_predictions_file_is_made_again_alike(dl: Dl, trained: tuple[Path, Run]) -> None:
    _, run = trained
    before = read_predictions(run.predictions_file("valid"))
    run.predictions_file("valid").unlink()
    ok(dl("evaluate"))
    after = read_predictions(run.predictions_file("valid"))
    assert after.paths == before.paths
    assert after.y_prob == pytest.approx(before.y_prob, abs=1e-5)


def test_a_damaged_predictions_file_says_so(dl: Dl, trained: tuple[Path, Run]) -> None:
    _, run = trained
    text = run.predictions_file("valid").read_text()
    run.predictions_file("valid").write_text(text[: len(text) // 2])
    result = dl("evaluate")
    assert result.exit_code == 1
    assert "valid.csv" in result.stderr
    assert "Remove it" in result.stderr


def test_without_the_images_the_predictions_still_serve(dl: Dl, trained: tuple[Path, Run]) -> None:
    root, run = trained
    shutil.rmtree(root)
    said = ok(dl("evaluate", run.name)).stderr
    assert "the dataset is gone" in said.lower()
    ok(dl("submit", run.name))
    run.predictions_file("valid").unlink()
    assert dl("evaluate", run.name).exit_code == 1


def test_a_dataset_that_moved_is_found_by_its_name(
    dl: Dl, home: Path, trained: tuple[Path, Run]
) -> None:
    root, run = trained
    (home / "disk").mkdir()
    root.rename(home / "disk" / "pets")
    run.predictions_file("test").unlink()
    said = ok(dl("submit", run.name, "--data-dir", home / "disk")).stderr
    assert "~/disk/pets" in said


def test_a_dataset_that_moved_is_taken_from_where_it_is_named(
    dl: Dl, home: Path, trained: tuple[Path, Run]
) -> None:
    root, run = trained
    (home / "disk").mkdir()
    root.rename(home / "disk" / "pets")
    run.predictions_file("test").unlink()
    ok(dl("submit", "-d", home / "disk" / "pets"))
    assert run.submission_file.is_file()


def test_weights_in_the_settings_are_not_another_backbones(
    dl: Dl, home: Path, trained: tuple[Path, Run]
) -> None:
    _, run = trained
    run.predictions_file("test").unlink()
    (home / "vgg16.h5").write_bytes(b"weights of another network")
    ok(dl("config", "set", "weights", home / "vgg16.h5"))
    ok(dl("submit"))


def test_other_weights_than_the_runs_are_refused(
    dl: Dl, home: Path, trained: tuple[Path, Run]
) -> None:
    root, run = trained
    run.predictions_file("test").unlink()
    shutil.rmtree(root / "features")
    other = home / "other.pth"
    other.write_bytes(b"something else")
    result = dl("submit", "--weights", other)
    assert result.exit_code == 1
    assert "other.pth" in result.stderr


def test_a_model_that_carries_code_is_refused(
    dl: Dl, trained: tuple[Path, Run], home: Path
) -> None:
    import keras

    _, run = trained
    attack = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    attack.save(run.best_model)
    run.predictions_file("valid").unlink()
    result = dl("evaluate")
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert "best.keras" in result.stderr


def test_a_model_that_is_a_pickle_is_refused_and_nothing_of_it_runs(
    dl: Dl, trained: tuple[Path, Run], home: Path
) -> None:
    _, run = trained
    ran = home / "ran"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(ran),)

    run.best_model.write_bytes(pickle.dumps(Attack()))
    for words in (("predict", home / "data"), ("export", "--format", "onnx")):
        refused(dl(*words), "best.keras can't be loaded")
    assert not ran.exists()
