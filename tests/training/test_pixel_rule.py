"""The rule for pixels of a run: the newest, or that of the run that it comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from support.command_result import Dl, ok
from support.pictures import make_dataset, picture
from support.small_run import only_run
from support.turned import EIGHT, save_turned

from dlcli.config import load_config
from dlcli.files.formats import write_yaml
from dlcli.runs.run import Run
from dlcli.training.photos.job import make_job

pytestmark = pytest.mark.slow

LINEAR = ("train", "linear", "--schedule", "1e-3x1", "--image-size", "16", "--batch-size", "4")


@pytest.fixture
def upright(home: Path) -> Path:
    return make_dataset(home / "data" / "tiny", train=8, valid=4, test=1)


def turn_all(root: Path) -> Path:
    """Store every image turned, in each of the eight orientations, and say so in EXIF."""
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        save_turned(Image.open(path), path, EIGHT[number % 8])
    return root


def others(run: Run) -> list[Run]:
    return [each for each in Run.all(run.path.parent.parent) if each.name != run.name]


def by_version_1(dl: Dl, home: Path, root: Path) -> Run:
    """A run that was trained by version 1 of the rule: rerun from a record that says so."""
    ok(dl(*LINEAR, "-d", root))
    first = only_run(home)
    config = first.config
    assert config["run"]["pixels"].pop("version") == 2
    write_yaml(first.config_file, config)
    ok(dl("rerun", first.name))
    (run,) = others(first)
    shutil.rmtree(first.path)
    return run


def probabilities(dl: Dl, run: Run, photos: Path) -> set[str]:
    answer = json.loads(ok(dl("predict", run.name, photos, "--json")).stdout)
    return {str(each["probabilities"]) for each in answer}


def test_images_in_eight_orientations_train_as_upright_ones_do(
    dl: Dl, home: Path, upright: Path
) -> None:
    ok(dl(*LINEAR, "-d", upright))
    run = only_run(home)
    assert "EXIF" in run.config["run"]["pixel_rule"]
    turn_all(upright)
    ok(dl("rerun", run.name))
    (again,) = others(run)
    assert again.history_file.read_text() == run.history_file.read_text()
    photos = home / "photos"
    photos.mkdir()
    for orientation in EIGHT:
        save_turned(picture(0, 5), photos / f"{orientation}.png", orientation)
    assert len(probabilities(dl, run, photos)) == 1


def test_what_comes_from_a_run_of_before_keeps_its_rule(dl: Dl, home: Path, upright: Path) -> None:
    run = by_version_1(dl, home, turn_all(upright))
    assert run.record.pixels is not None
    assert run.record.pixels.version == 1
    assert "EXIF" not in run.config["run"]["pixel_rule"]
    photos = home / "photos"
    photos.mkdir()
    for orientation in (1, 6):
        save_turned(picture(0, 5), photos / f"{orientation}.png", orientation)
    assert len(probabilities(dl, run, photos)) == 2

    ok(dl(*LINEAR, "-d", upright, "--init-from", run.name))
    (begun,) = others(run)
    assert begun.config["run"]["pixels"] == run.config["run"]["pixels"]
    shutil.rmtree(begun.path)

    ok(dl("rerun", run.name, "--set", "schedule=1e-3x2", "--set", "keep_checkpoint=true"))
    (longer,) = others(run)
    ok(dl("rerun", run.name, "--set", "keep_checkpoint=true"))
    shorter = next(each for each in others(run) if each.name != longer.name)
    ok(dl("resume", shorter.name, "--epochs", "2"))
    assert Run(shorter.path).history[1]["val_loss"] == longer.history[1]["val_loss"]
    assert longer.history[0] != only_of_version_2(dl, upright, run).history[0]


@pytest.mark.parametrize(
    ("pixels", "version"),
    [
        ({"size": 16, "decode": "exact"}, 1),
        ({"size": 16, "decode": "exact", "version": 2}, 2),
        (None, 2),  # of an ensemble
    ],
)
def test_the_file_of_a_run_keeps_its_rule_and_says_so_if_it_is_the_old_one(
    upright: Path, capsys: pytest.CaptureFixture[str], pixels: object, version: int
) -> None:
    file = upright.parent / "config.yaml"
    write_yaml(file, {"seed": 3, "run": {"pixels": pixels}})
    assert make_job(load_config(file), "cnn", upright).pixels.version == version
    said = "Images become pixels by version 1 of the rule, as ~/data/config.yaml records.\n"
    assert capsys.readouterr().err == (said if version == 1 else "")


def test_the_file_of_a_run_keeps_any_version_but_the_newest_with_a_message(
    upright: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.training.photos.job.NEWEST", 3)
    file = upright.parent / "config.yaml"
    write_yaml(file, {"run": {"pixels": {"size": 16, "version": 2}}})
    assert make_job(load_config(file), "cnn", upright).pixels.version == 2
    assert "Images become pixels by version 2 of the rule" in capsys.readouterr().err


def only_of_version_2(dl: Dl, root: Path, old: Run) -> Run:
    before = {run.name for run in others(old)}
    ok(dl(*LINEAR, "-d", root))
    (run,) = (each for each in others(old) if each.name not in before)
    return run
