"""Test-time augmentation: the mean over an image and views of it, kept with what made it."""

from __future__ import annotations

import re
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.dot_images import state
from support.loaded_modules import BACKENDS, loaded
from support.pictures import picture
from support.small_run import SMALL, only_run

from dlcli.data.photos.photos import open_photos
from dlcli.evaluation.metrics import log_loss
from dlcli.files.formats import read_csv, read_yaml
from dlcli.images.augmentation import View
from dlcli.images.pixels import read_batches
from dlcli.inference.predictions import Predictions, read_predictions
from dlcli.runs.run import Run
from dlcli.settings.augmentation import Augmentation

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3x2", "--seed", "3")


@pytest.fixture
def on_images(dl_once: Dl, home: Path, tiny: Path) -> Run:
    """A run that predicts from images."""
    ok(dl_once(*LINEAR, "-d", tiny))
    return only_run(home)


@pytest.fixture
def on_features(dl_once: Dl, home: Path, tiny: Path) -> Run:
    """A run that predicts from stored features."""
    quick = ("--schedule", "1e-3", "--precision", "f32", "--seed", "3")
    ok(dl_once("train", "finetune", "-d", tiny, *SMALL, *quick))
    return only_run(home)


def tta_file(run: Run, split: str = "valid", views: int = 2) -> Predictions:
    return read_predictions(run.predictions_file(split, views))


def mean_by_hand(run: Run, root: Path, augmentation: Augmentation, views: int) -> dict[str, float]:
    """The first class's probability of each valid image: Keras alone, one view after the other."""
    import keras

    model = keras.saving.load_model(run.best_model)
    paths = open_photos(root).splits["valid"]
    assert run.record.pixels is not None
    rule = run.record.pixels
    (batch,) = read_batches(root, paths, rule, 8, 1)
    parts = [batch.pixels]
    for number in range(1, views + 1):
        (changed,) = View(augmentation, number).of([batch], paths)
        parts.append(changed.pixels)
    each = [model.predict_on_batch(pixels.astype("float32"))[:, 0] for pixels in parts]
    return dict(zip(paths, np.mean(each, axis=0).tolist(), strict=True))


@pytest.mark.parametrize("kind", ["on_images", "on_features"])
def test_it_is_the_mean_over_the_plain_image_and_its_views(
    dl: Dl, tiny: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    run: Run = request.getfixturevalue(kind)
    plain = run.predictions_file("valid").read_bytes()
    said = ok(dl("evaluate", "--tta", "2"))
    assert "View 1 of 2 of valid\n" in said.stderr
    assert "View 2 of 2 of valid\n" in said.stderr
    assert run.predictions_file("valid").read_bytes() == plain
    found = tta_file(run)
    expected = mean_by_hand(run, tiny, Augmentation("none", horizontal_flip=True), 2)
    assert dict(zip(found.paths, found.y_prob[:, 0], strict=True)) == pytest.approx(
        expected, abs=1e-4
    )
    before = read_predictions(run.predictions_file("valid"))
    assert before.y_prob != pytest.approx(found.y_prob, abs=1e-3)
    assert found.y_prob.sum(axis=1) == pytest.approx(1)
    assert found.true_classes == tuple(path.split("/")[1] for path in found.paths)


def test_what_was_said_and_written_is_true(dl: Dl, on_images: Run) -> None:
    plain = ok(dl("evaluate"))
    metrics, page = on_images.metrics_file.read_bytes(), on_images.report_file.read_text()
    assert "View" not in plain.stderr
    assert "ugmentation" not in plain.stderr + page
    said = ok(dl("evaluate", "--tta", "2"))
    before, after = (
        log_loss(each.y_true, each.y_prob)
        for each in (read_predictions(on_images.predictions_file("valid")), tta_file(on_images))
    )
    what = "improves" if after < before else "worsens"
    words = f"Test-time augmentation {what} log loss from {before:.4f} to {after:.4f}."
    assert words in said.stderr
    assert f"log loss  {after:.4f}" in said.stdout
    assert "next: `dl submit --tta 2`" in said.stderr
    assert read_yaml(on_images.metrics_file)["tta"] == 2
    assert read_yaml(on_images.metrics_file)["log_loss"] == pytest.approx(after)
    page = on_images.report_file.read_text()
    assert "2 views: horizontal flip" in page
    assert re.search(r"\ndl evaluate --tta 2\n", page)
    again = ok(dl("evaluate"))
    assert again.stdout == plain.stdout
    assert on_images.metrics_file.read_bytes() == metrics


def test_views_are_made_once_and_then_read_without_a_backend(dl: Dl, on_images: Run) -> None:
    first = ok(dl("evaluate", "--tta", "2"))
    before = state(on_images.path / "predictions")
    heavy, output = loaded("evaluate", "--tta", "2")
    assert first.stdout in output
    assert "View 1" not in output
    assert not heavy & BACKENDS
    assert state(on_images.path / "predictions") == before


def test_features_of_views_are_kept_for_the_next_that_needs_them(
    dl: Dl, tiny: Path, on_features: Run
) -> None:
    said = ok(dl("evaluate", "--tta", "2"))
    kept = r"Stored the views of valid, \d+\.\d [kM]B in ~/data/tiny/features"
    assert re.search(kept, said.stderr)
    assert len(re.findall("-view[12]-", ok(dl("features", "ls")).stdout)) == 2
    before = state(tiny / "features")
    file = on_features.predictions_file("valid", 2)
    content = file.read_bytes()
    file.unlink()
    again = ok(dl("evaluate", "--tta", "2"))
    assert "View" not in again.stderr
    assert file.read_bytes() == content
    assert state(tiny / "features") == before
    ok(dl("evaluate", "--tta", "1"))
    more = ok(dl("evaluate", "--tta", "3"))
    assert "View 3 of 3" in more.stderr
    assert "View 2 of 3" not in more.stderr
    assert len(re.findall("-view[123]-", ok(dl("features", "ls")).stdout)) == 3


def test_a_views_other_splits_stay_when_one_is_added(dl: Dl, home: Path, tiny: Path) -> None:
    passes = ("--augment", "--augment-passes", "1", "--schedule", "1e-2")
    ok(dl("train", "finetune", "-d", tiny, *SMALL, *passes))
    (store,) = (tiny / "features").glob("*-view1-*")
    train = state(store / "train.bc")
    ok(dl("evaluate", "--tta", "1"))
    valid = state(store / "valid.bc")
    ok(dl("submit", "--tta", "1"))
    assert (store / "test.bc").is_dir()
    assert state(store / "train.bc") == train
    assert state(store / "valid.bc") == valid
    assert "mirrored" not in ok(dl("submit", "--tta", "1")).stderr


def test_other_amounts_predict_anew_and_it_is_said(dl: Dl, tiny: Path, on_images: Run) -> None:
    ok(dl("evaluate", "--tta", "2"))
    mirrored = tta_file(on_images)
    options = ("--tta", "2", "--preset", "mnist", "--rotation", "20")
    said = ok(dl("evaluate", *options))
    assert "valid-tta2.csv was made with other augmentation: predicting valid again." in said.stderr
    assert "next: `dl submit --tta 2 --preset mnist --rotation 20`" in said.stderr
    assert "mirrored" not in said.stderr
    assert "dl evaluate --tta 2 --preset mnist --rotation 20" in on_images.report_file.read_text()
    kept = on_images.status["predicted"]["valid-tta2"]
    assert kept["images"] == on_images.status["predicted"]["valid"]
    assert kept["made_by"] == {
        "views": 2,
        "rotation": 20,
        "width_shift": 0.08,
        "height_shift": 0.08,
        "shear": 0.3,
        "zoom": 0.08,
        "horizontal_flip": False,
        "channel_shift": 0,
    }
    found = tta_file(on_images)
    expected = mean_by_hand(on_images, tiny, Augmentation("mnist", rotation=20), 2)
    assert dict(zip(found.paths, found.y_prob[:, 0], strict=True)) == pytest.approx(
        expected, abs=1e-5
    )
    assert "predicting" not in ok(dl("evaluate", *options)).stderr
    ok(dl("evaluate", "--tta", "2"))
    assert (tta_file(on_images).y_prob == mirrored.y_prob).all()


def test_changed_images_predict_anew_and_it_is_said(dl: Dl, tiny: Path, on_images: Run) -> None:
    ok(dl("submit", "--tta", "1"))
    picture(1, 77).save(tiny / "test" / "6.png")
    (tiny / "sample_submission.csv").unlink()
    said = ok(dl("submit", "--tta", "1"))
    assert "have changed: predicting them again" in said.stderr
    assert "View 1 of 1 of test" in said.stderr
    assert len(tta_file(on_images, "test", 1).paths) == 6
    assert "View" not in ok(dl("submit", "--tta", "1")).stderr


def test_a_submission_is_of_the_views_and_so_is_its_loss(dl: Dl, on_images: Run) -> None:
    said = ok(dl("submit", "--tta", "2"))
    test, valid = tta_file(on_images, "test"), tta_file(on_images)
    by_id = dict(zip(test.paths, test.y_prob[:, 1], strict=True))
    for name, probability in read_csv(on_images.submission_file)[1:]:
        assert float(probability) == pytest.approx(by_id[f"test/{name}.png"], abs=1e-5)
    assert f"valid log loss  {log_loss(valid.y_true, valid.y_prob):.4f}" in said.stdout


def test_an_unreadable_image_is_named_or_left_out(dl: Dl, tiny: Path, on_images: Run) -> None:
    (tiny / "valid" / "cat" / "cat.1000.png").write_bytes(b"no image")
    failed = dl("evaluate", "--tta", "2")
    assert failed.exit_code == 1
    assert "cat.1000.png" in failed.stderr
    said = ok(dl("evaluate", "--tta", "2", "--on-error", "skip"))
    assert "Left out 1 of valid" in said.stderr
    assert len(tta_file(on_images).paths) == 7


def test_without_the_images_only_what_was_predicted_serves(
    dl: Dl, tiny: Path, on_images: Run
) -> None:
    ok(dl("evaluate", "--tta", "2"))
    shutil.rmtree(tiny)
    said = ok(dl("evaluate", on_images.name, "--tta", "2"))
    assert "The dataset is gone. Using its predictions in" in said.stderr
    assert "Test-time augmentation " in said.stderr
    on_images.predictions_file("valid").unlink()
    ok(dl("evaluate", on_images.name, "--tta", "2"))
    for options, why in (
        (("--tta", "3"), "nor a dataset of that name exists\n"),
        (("--tta", "2", "--rotation", "3"), "valid-tta2.csv was made with other augmentation"),
    ):
        failed = dl("evaluate", on_images.name, *options)
        assert failed.exit_code == 1
        assert f"so valid can't be predicted with `--tta {options[1]}`" in failed.stderr
        assert why in failed.stderr


def test_views_that_the_disk_can_not_hold_are_refused_before_the_first_is_made(
    dl: Dl, tiny: Path, on_features: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    refused = dl("evaluate", "--tta", "2")
    assert refused.exit_code == 1
    assert "No room for 2 views beside ~/data/tiny/features/" in refused.stderr
    assert "Use a smaller `--tta`, or free some space" in refused.stderr
    assert len(list((tiny / "features").iterdir())) == 1


def test_an_ensemble_is_the_mean_of_its_members_views(dl: Dl, home: Path, tiny: Path) -> None:
    ok(dl(*LINEAR, "-d", tiny, "--members", "2"))
    said = ok(dl("evaluate", "--tta", "2"))
    *members, whole = sorted(
        (Run(path) for path in (home / "runs" / "tiny").iterdir()),
        key=lambda run: "ensemble" in run.name,
    )
    assert f"augmentation of valid by {members[0].name}: 2 views" in said.stderr
    each = [tta_file(member).y_prob for member in members]
    assert not np.array_equal(each[0], each[1])
    assert tta_file(whole).y_prob == pytest.approx((each[0] + each[1]) / 2)
    assert "2 views by each member" in whole.report_file.read_text()
    assert "View" not in ok(dl("evaluate", "--tta", "2")).stderr
    other = ok(dl("evaluate", "--tta", "2", "--preset", "mnist"))
    assert other.stderr.count("was made with other augmentation") == 3
    shutil.rmtree(members[0].path)
    ok(dl("evaluate", "--tta", "2", "--preset", "mnist"))
    assert dl("evaluate", "--tta", "2").exit_code == 1
