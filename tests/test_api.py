"""A run read from Python, as the page on it shows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import pytest
from support.command_result import Dl, ok
from support.pictures import make_dataset, picture
from support.predicted_run import predicted_run
from support.small_folders import make
from support.small_run import SMALL, only_run

import dlcli
from dlcli.config import load_config
from dlcli.errors import DlError
from dlcli.training.photos.job import make_job

# As `SMALL` says it on a command line.
SMALL_SETTINGS = {"image_size": 64, "batch_size": 4}

PAGE = Path(__file__).parent.parent / "docs" / "python.md"


@pytest.fixture
def downloaded(home: Path) -> Path:
    """Labelled and unlabelled pictures, as Kaggle ships them."""
    folder = home / "Downloads" / "dogscats"
    for each in ("train", "test1"):
        (folder / each).mkdir(parents=True)
    for number, kind in enumerate(("cat", "dog")):
        for seed in range(10):
            picture(number, seed).save(folder / f"train/{kind}.{seed}.jpg")
            picture(number, 100 + seed).save(folder / f"test1/{2 * seed + number + 1}.jpg")
    return folder


def test_the_pages_example_runs(downloaded: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    with redirect_stdout(StringIO()) as written:
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)
    pets, run = names["pets"], names["run"]
    assert pets.classes == ("cat", "dog")
    assert {split: len(paths) for split, paths in pets.splits.items()} == {
        "train": 16,
        "valid": 4,
        "test": 20,
    }
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4]
    assert names["photos"].y_prob.shape == (20, 2)
    said = written.getvalue().splitlines()
    assert re.fullmatch(r"accuracy [01]\.\d{3}: [0-4] of 4 right", said[0])
    assert re.fullmatch(r".*test1/1\.jpg  dog [01]\.\d{3}", said[1])
    assert said[4] == "20 submission.csv"
    assert said[5].startswith("dl train finetune -d")


@pytest.mark.slow
def test_the_notebook_runs_on_real_photos(home: Path, real_data: Path, tmp_path: Path) -> None:
    photos = real_data / "dogscats-kaggle"
    for each, pattern in (("train", "*.[12]?.jpg"), ("test1", "1?.jpg")):
        (home / "Downloads/dogscats" / each).mkdir(parents=True)
        for file in (photos / each).glob(pattern):
            copy(file, home / "Downloads/dogscats" / each)
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute"]
    subprocess.run(
        [*command, "--output-dir", tmp_path, PAGE.parent / "dogs-and-cats.ipynb"], check=True
    )
    cells = json.loads((tmp_path / "dogs-and-cats.ipynb").read_text())["cells"]
    shown = [
        "".join(output["data"]["text/html"])
        for cell in cells
        for output in cell.get("outputs", ())
        if "text/html" in output.get("data", {})
    ]
    assert [html[:7] for html in shown] == ["<table>", "<iframe", "<table>"]
    (run,) = dlcli.list_runs("dogscats")
    assert run.name in shown[-1]
    assert run.status["val_accuracy"] >= 0.75


def test_a_run_records_the_command_that_does_the_same(dl: Dl, home: Path, tiny: Path) -> None:
    run = dlcli.train("linear", tiny, schedule="1e-3x2", quiet=True, **SMALL_SETTINGS)
    command = run.config["run"]["command"]
    assert command.startswith(f"dl train linear -d {tiny} --schedule 0.001x2")
    ok(dl(*shlex.split(command)[1:]))
    same = dlcli.Run.latest(tiny)
    assert same.path != run.path
    assert same.history == run.history
    assert {**same.config, "run": None} == {**run.config, "run": None}


def test_quiet_says_nothing_and_the_log_has_it_all(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = dlcli.train("linear", tiny, schedule="1e-3x1", quiet=True, **SMALL_SETTINGS)
    run.evaluate(quiet=True)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert "epoch" in (run.path / "log.txt").read_text()
    dlcli.train("linear", tiny, schedule="1e-3x1", **SMALL_SETTINGS)
    assert "epoch" in capsys.readouterr().err


def test_a_run_is_trained_further(tiny: Path) -> None:
    run = dlcli.train("linear", tiny, schedule="1e-3x1", quiet=True, **SMALL_SETTINGS)
    longer = run.resume(epochs=2, lr=1e-4, quiet=True)
    assert [row["learning_rate"] for row in longer.history] == [1e-3, 1e-4]


def test_jupyter_shows_reports_and_tables(tiny: Path) -> None:
    assert "<td>cat</td>" in dlcli.Dataset.open(tiny)._repr_html_()
    run = dlcli.train("linear", tiny, schedule="1e-3x1", quiet=True, **SMALL_SETTINGS)
    assert "<td>finished</td>" in run._repr_html_()
    shown = run.evaluate(quiet=True)._repr_html_()
    assert shown == run._repr_html_()
    assert shown.startswith("<iframe") and "&lt;!doctype html" in shown.lower()
    runs = dlcli.list_runs("tiny")
    assert run.name in runs._repr_html_()
    assert [each["run"] for each in runs.to_dicts()] == [run.name]
    assert list(runs) == [run]


def test_epochs_and_lr_change_the_schedule(tiny: Path) -> None:
    run = dlcli.train("linear", tiny, epochs=2, lr=2e-3, quiet=True, **SMALL_SETTINGS)
    assert run.config["train"]["linear"]["schedule"] == "0.002x1,0.0002x1"
    assert "--schedule 0.002x1,0.0002x1" in run.config["run"]["command"]
    with pytest.raises(DlError, match="schedule"):
        dlcli.train("linear", tiny, epochs=2, schedule="1e-3x1", quiet=True)
    with pytest.raises(DlError, match="above 0"):
        dlcli.train("linear", tiny, lr=0, quiet=True)
    with pytest.raises(DlError, match="epoch"):
        dlcli.train("linear", tiny, epochs=0, quiet=True)


def test_what_python_prints_is_short(home: Path, tiny: Path) -> None:
    root = make_dataset(home / "data" / "pets", train=6, valid=3, test=2)
    pets = dlcli.Dataset.open(root)
    assert repr(pets) == str(pets) == "Dataset pets: 2 classes, train 12, valid 6, test 2"
    run = dlcli.train("linear", tiny, epochs=1, quiet=True, **SMALL_SETTINGS)
    scores = r"accuracy [01]\.\d{4}, log loss \d+\.\d{4}"
    assert re.fullmatch(f"Evaluation: {scores}; report .*html", repr(run.evaluate(quiet=True)))
    runs = repr(dlcli.list_runs("tiny")).splitlines()
    assert runs[0] == "Runs:"
    assert re.fullmatch(f"tiny/{run.name} finished, {scores}", runs[1]) and len(runs) == 2


def test_a_setting_that_is_not_there_is_named(tiny: Path) -> None:
    with pytest.raises(DlError, match="batch_size"):
        dlcli.train("linear", tiny, batch_sise=4)
    with pytest.raises(DlError, match="Did you mean `epochs`") as refused:
        dlcli.train("finetune", tiny, epoch=3)
    assert "`epoch`" in str(refused.value)
    with pytest.raises(DlError, match="batch_size"):
        dlcli.train("linear", tiny, batch_size=0)


def test_a_sample_and_a_submission(home: Path) -> None:
    root = make_dataset(home / "data" / "pets", train=6, valid=3, test=2)
    sample = dlcli.Dataset.open("pets").sample(train=4, valid=2, quiet=True)
    assert sample.name == "pets-sample"
    assert len(sample.splits["train"]) == 4
    run = dlcli.train("linear", root, schedule="1e-3x1", quiet=True, **SMALL_SETTINGS)
    done = run.submit(clip=0.05, quiet=True)
    assert done.rows == 2
    assert done.file == run.path / "submission.csv"


def test_classes_that_look_alike_are_said_once_and_before_a_training(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Warning: the classes 'Cat' and 'cat' differ only"
    images = [f"train/{name}/{i}.jpg" for name in ("cat", "Cat") for i in range(4)]
    make(home / "data" / "pets", *images)
    split = dlcli.Dataset.open("pets").split()
    assert capsys.readouterr().err.count(said) == 1
    split.sample()
    assert said not in capsys.readouterr().err
    make(home / "data" / "others", *images, "valid/cat/9.jpg")
    for times in (1, 0):
        make_job(load_config(), "cnn", home / "data" / "others")
        assert capsys.readouterr().err.count(said) == times


def test_the_model_gives_the_predictions(dl: Dl, home: Path, tiny: Path) -> None:
    from dlcli.images.pixels import PixelRule, load_pixels

    ok(dl("train", "linear", "-d", tiny, "--schedule", "1e-3x2", *SMALL))
    run = dlcli.Run.open(only_run(home).path)
    valid = run.predictions["valid"]
    rule = PixelRule(**run.config["run"]["pixels"])
    pixels = np.stack([load_pixels(tiny / path, rule) for path in valid.paths]).astype(np.float32)
    np.testing.assert_allclose(run.model().predict_on_batch(pixels), valid.y_prob, atol=1e-5)


def test_what_is_there_is_read_and_what_is_not_is_said(home: Path) -> None:
    root = make_dataset(home / "data" / "pets", train=2, valid=1)
    made = predicted_run(root, "one", {"valid/cat/cat.1000.png": (0.9, 0.1)})
    run = dlcli.Run.open("~/runs/pets/one")
    assert (run.path, run.name) == (made.path, "one")
    assert list(run.predictions) == ["valid"]
    assert run.history == []
    assert run.status == made.status
    with pytest.raises(DlError, match=r"best\.keras"):
        run.model()
    with pytest.raises(DlError, match="is not a run"):
        dlcli.Run.open(home / "runs" / "pets")
    with pytest.raises(AttributeError, match="has no attribute 'Rum'"):
        dlcli.Rum  # noqa: B018


def test_importing_the_package_imports_nothing_but_its_version() -> None:
    code = "import sys, dlcli; print(*[name for name in sys.modules if name.startswith('dlcli')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"dlcli", "dlcli.version"}
