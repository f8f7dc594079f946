"""What version 0.1.0 wrote is opened, judged, submitted and gone on with as it was then.

`data/0.1.0/` holds the home of somebody who used it, and says how it was made. Nothing there is
to be written anew to please a later version: what an old rule made stays as it is.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from socket import gethostname
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pytest import approx
from support.command_result import Dl, ok, refused
from support.kaggle_competition import Competition, Sent
from support.kaggle_package import kaggle_serving
from support.kaggle_server import USER, KaggleServer

import dlcli

CORPUS = Path(__file__).parent / "data" / "0.1.0" / "home"
# Of every file: git keeps no times, and a run knows its images by them.
WRITTEN = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
# What a recipe of today imports, in place of 0.1.0's three lines.
IMPORTS = "from dlcli.recipe import Recipe, Schedule, setting"
SLUG = "dogs-vs-cats-redux-kernels-edition"

LINEAR = "202611290221-linear-e4-lr0.001"  # sent to Kaggle, twice
DENSE = "202611290222-dense-e4-lr0.01-u4"
ENSEMBLE = "202611290223-ensemble-m2"  # of these two
FINETUNE = "202611290224-finetune-e4-lr0.001-t1"  # its models were removed
TWO_LAYERS = "202611290225-two-layers-e3-lr0.001-u3"  # by a recipe of the project
KILLED = "202611290226-linear-e4-lr0.001"  # in its third epoch; the same training as LINEAR
STOPPED = "202611290227-finetune-e4-lr0.001-t1"  # after its third; the same as FINETUNE

# accuracy and log loss on the validation images
SCORES = {
    LINEAR: (1.0, 0.127109691),
    DENSE: (0.625, 0.30398628),
    ENSEMBLE: (1.0, 0.201481974),
    FINETUNE: (1.0, 0.126827998),
    TWO_LAYERS: (0.75, 0.614715728),
}
every_finished_run = pytest.mark.parametrize("name", SCORES)


@pytest.fixture(autouse=True)
def _corpus(home: Path) -> None:
    """The home that 0.1.0 left, elsewhere: its runs name `/home/reader/data/pets`."""
    shutil.copytree(CORPUS, home, dirs_exist_ok=True)
    for path in home.rglob("*"):
        if path.is_file():
            os.utime(path, (WRITTEN, WRITTEN))
    for run in (home / "runs" / "pets").iterdir():
        for empty in ("models", "predictions"):  # git keeps no empty folders either
            (run / empty).mkdir(exist_ok=True)


@pytest.fixture
def pets(home: Path) -> Path:
    return home / "data" / "pets"


@pytest.fixture
def fish(home: Path) -> Path:
    """A dataset whose split was killed: three files moved, one with both names, two to go."""
    return home / "data" / "fish"


@pytest.fixture
def project(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with settings and a recipe, as the current folder."""
    monkeypatch.chdir(home / "stripes")
    return home / "stripes"


def folder(name: str) -> Path:
    return Path.home() / "runs" / "pets" / name


def opened(name: str) -> dlcli.Run:
    return dlcli.Run.open(f"~/runs/pets/{name}")


def answer(dl: Dl, *words: object) -> Any:
    """What a command prints with `--json`."""
    return json.loads(ok(dl(*words, "--json")).stdout)


def run_names() -> set[str]:
    return {path.name for path in (Path.home() / "runs" / "pets").iterdir() if path.is_dir()}


def made_since(before: set[str]) -> str:
    """The one run that is new."""
    (name,) = run_names() - before
    return name


def labels_in(file: Path) -> dict[str, float]:
    """A submission's numbers, by their ids."""
    with file.open(newline="") as lines:
        header, *rows = csv.reader(lines)
    assert header == ["id", "label"]
    return {number: float(label) for number, label in rows}


def dogs_of(name: str) -> dict[str, float]:
    """How probably each test image is a dog, by what the run holds."""
    test = opened(name).predictions["test"]
    column = test.classes.index("dog")
    return dict(zip([Path(path).stem for path in test.paths], test.y_prob[:, column], strict=True))


def files_in(root: Path) -> dict[Path, bytes]:
    """Every file below a folder."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def images_in(root: Path) -> dict[str, list[bytes]]:
    """The images of a dataset, by split and class; those of test by split alone."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(root.rglob("*.png")):
        found.setdefault(str(path.parent.relative_to(root)), []).append(path.read_bytes())
    return found


def counts(root: Path) -> dict[str, int]:
    return {where: len(images) for where, images in images_in(root).items()}


def all_images(root: Path) -> set[bytes]:
    return {image for images in images_in(root).values() for image in images}


def assert_same_history(twin: str, name: str, *, exactly: int = 0) -> None:
    """The rows of another run of the same training; the first of them to the last digit."""
    rows, known = opened(name).history, opened(twin).history
    assert rows[:exactly] == known[:exactly]
    assert len(rows) == len(known)
    for row, expected in zip(rows, known, strict=True):
        assert row.pop("phase") == expected.pop("phase")
        # another processor adds in another order
        assert row == approx(expected, rel=1e-3, abs=1e-5)


def assert_finished_like(twin: str, name: str, *, exactly: int) -> None:
    """What a run that went on has in the end, held against one that was never stopped."""
    assert_same_history(twin, name, exactly=exactly)
    run, known = opened(name), opened(twin)
    keys = ("state", "epoch", "best_epoch", "parameters")
    assert {key: run.status[key] for key in keys} == {key: known.status[key] for key in keys}
    assert run.status["val_loss"] == approx(known.status["val_loss"], rel=1e-3)
    assert run.predictions["valid"].y_prob == approx(known.predictions["valid"].y_prob, abs=1e-4)
    assert not (folder(name) / "checkpoint").exists()


def test_runs_are_listed_with_their_states_and_scores(dl: Dl) -> None:
    rows = {row["run"]: row for row in answer(dl, "runs", "-d", "pets")}
    keys = ("state", "epoch", "best_epoch", "val_accuracy", "val_loss", "public_score")
    assert {name: tuple(row[key] for key in keys) for name, row in rows.items()} == {
        STOPPED: ("interrupted", 3, 3, 0.75, 0.295666094, None),
        KILLED: ("interrupted", 2, 2, 1.0, 0.209557343, None),
        TWO_LAYERS: ("finished", 3, 3, *SCORES[TWO_LAYERS], None),
        FINETUNE: ("finished", 4, 4, *SCORES[FINETUNE], None),
        ENSEMBLE: ("finished", None, None, *SCORES[ENSEMBLE], None),
        DENSE: ("finished", 4, 3, *SCORES[DENSE], None),
        LINEAR: ("finished", 4, 3, *SCORES[LINEAR], 0.53016),
    }
    assert list(rows) == [
        STOPPED,
        KILLED,
        TWO_LAYERS,
        FINETUNE,
        ENSEMBLE,
        DENSE,
        LINEAR,
    ], "the newest first"
    assert not any(row["problem"] for row in rows.values())


def test_runs_are_filtered_by_their_settings_and_ranked(dl: Dl) -> None:
    rows = answer(dl, "runs", "ls", "-d", "pets", "recipe=dense", "units=4", "image_size<32")
    assert [row["run"] for row in rows] == [DENSE]
    assert ok(dl("runs", "best", "-d", "pets", "recipe!=finetune")).stdout == f"{LINEAR}\n"


@pytest.mark.parametrize(
    ("name", "settings", "diagnosis"),
    [
        (LINEAR, {"seed": 3, "train.linear.schedule": "0.001x3,0.0001x1"}, "overfitting"),
        (DENSE, {"image_size": 16, "train.dense.units": 4}, "not clear"),
        (FINETUNE, {"image_size": 64, "train.finetune.batch_size": 4}, "still learning"),
        (TWO_LAYERS, {"image_size": 16, "train.two-layers.units": 3}, "overfitting"),
    ],
)
def test_a_run_shows_its_settings_scores_and_diagnosis(
    dl: Dl, name: str, settings: dict[str, object], diagnosis: str
) -> None:
    shown = answer(dl, "runs", "show", name)
    assert {key: shown["settings"][key]["value"] for key in settings} == settings
    assert (shown["val_accuracy"], shown["val_loss"]) == SCORES[name]
    assert shown["diagnosis"]["kind"] == diagnosis
    names = {file["name"] for file in shown["files"]}
    assert {"config.yaml", "history.csv", "predictions/valid.csv"} <= names


def test_two_runs_differ_in_the_settings_in_which_they_differed(dl: Dl) -> None:
    settings = answer(dl, "runs", "diff", LINEAR, DENSE)["settings"]
    assert settings["recipe"] == ["linear", "dense"]
    assert settings["units"] == [None, 4]
    same = {"batch_size", "seed", "image_size", "dataset.fingerprints.train"}
    assert not same & settings.keys()


def test_runs_are_compared_by_their_predictions(dl: Dl) -> None:
    compared = answer(dl, "runs", "compare", FINETUNE, ENSEMBLE)
    assert compared["images"] == 8
    losses = {Path(run["run"]).name: run["val_loss"] for run in compared["runs"]}
    assert losses == approx({name: SCORES[name][1] for name in (FINETUNE, ENSEMBLE)})
    assert [Path(each["other"]).name for each in compared["contrasts"]] == [ENSEMBLE]


def test_a_run_is_opened_from_python(pets: Path) -> None:
    run = opened(LINEAR)
    assert run.status["state"] == "finished"
    assert run.config["train"]["linear"]["batch_size"] == 4
    assert run.config["run"]["versions"]["dlcli"] == "0.1.0"
    assert [row["val_loss"] for row in run.history] == [
        0.373525191,
        0.209557343,
        0.127109691,
        0.138937879,
    ]
    valid, test = run.predictions["valid"], run.predictions["test"]
    assert valid.classes == ("cat", "dog")
    assert valid.y_true.tolist() == [0] * 4 + [1] * 4
    assert test.paths == tuple(f"test/{number}.png" for number in range(1, 7))

    # as `pixel_rule` has it: decoded by Pillow, RGB, its bilinear filter straight to 16x16
    photos = [Image.open(pets / path).convert("RGB") for path in valid.paths]
    small = [photo.resize((16, 16), Image.Resampling.BILINEAR) for photo in photos]
    y_prob = run.model().predict(np.stack(small).astype(np.float32), verbose=0)
    assert y_prob == approx(valid.y_prob, abs=1e-4)


@every_finished_run
def test_a_run_is_judged_as_it_was(dl: Dl, name: str) -> None:
    file = folder(name) / "metrics.yaml"
    known = yaml.safe_load(file.read_text()) if file.is_file() else {}
    judged = ok(dl("evaluate", name, "--json"))
    found = json.loads(judged.stdout)
    assert (found["accuracy"], found["log_loss"]) == approx(SCORES[name])
    assert list(found["classes"]) == ["cat", "dog"]
    assert {key: found[key] for key in known} == known
    assert "/home/reader/data/pets is gone. Using ~/data/pets" in judged.stderr
    assert "predicting" not in judged.stderr
    assert (folder(name) / "report.html").is_file()


@every_finished_run
def test_a_run_is_submitted_as_it_was(dl: Dl, name: str) -> None:
    file = folder(name) / "submission.csv"
    known = labels_in(file) if file.is_file() else dogs_of(name)
    ok(dl("submit", name, "--no-upload"))
    assert labels_in(file) == known == approx(dogs_of(name))
    ok(dl("submit", name, "--no-upload", "--clip", "0.1"))
    clipped = {number: min(max(label, 0.1), 0.9) for number, label in known.items()}
    assert labels_in(file) == approx(clipped, abs=1e-6)


@pytest.mark.parametrize("name", [LINEAR, DENSE, ENSEMBLE, TWO_LAYERS])
def test_photos_get_the_probabilities_that_they_had(dl: Dl, pets: Path, name: str) -> None:
    said = answer(dl, "predict", name, pets / "test")
    found = {Path(each["path"]).stem: each["probabilities"]["dog"] for each in said}
    assert found == approx(dogs_of(name), abs=1e-4)


def test_a_model_alone_gives_the_predictions_that_were_lost(dl: Dl) -> None:
    shutil.rmtree(folder(LINEAR) / "models" / "engine")
    known = dogs_of(LINEAR)
    shutil.rmtree(folder(LINEAR) / "predictions")
    (folder(LINEAR) / "predictions").mkdir()
    assert answer(dl, "evaluate", LINEAR)["log_loss"] == approx(SCORES[LINEAR][1], abs=1e-4)
    ok(dl("submit", LINEAR, "--no-upload"))
    assert dogs_of(LINEAR) == approx(known, abs=1e-4)


def test_an_ensemble_finds_its_members_beside_it(dl: Dl) -> None:
    for file in (folder(ENSEMBLE) / "predictions").iterdir():
        file.unlink()
    assert answer(dl, "evaluate", ENSEMBLE)["log_loss"] == approx(SCORES[ENSEMBLE][1])
    ok(dl("submit", ENSEMBLE, "--no-upload"))
    linear, dense = dogs_of(LINEAR), dogs_of(DENSE)
    assert dogs_of(ENSEMBLE) == approx({n: (linear[n] + dense[n]) / 2 for n in linear})


def test_runs_are_members_of_a_new_ensemble(dl: Dl) -> None:
    made = answer(dl, "ensemble", ENSEMBLE, FINETUNE)
    losses = [SCORES[name][1] for name in (ENSEMBLE, FINETUNE)]
    assert [member["val_loss"] for member in made["members"]] == approx(losses)
    assert made["val_loss"] < made["members_mean"]["val_loss"] == approx(sum(losses) / 2)


def test_a_run_that_was_stopped_goes_on_to_the_end_that_it_would_have_had(
    dl: Dl, pets: Path
) -> None:
    before = files_in(pets / "features")
    said = ok(dl("resume", STOPPED)).stderr
    assert "Resuming after epoch 3 of 4." in said
    assert_finished_like(FINETUNE, STOPPED, exactly=3)
    assert dogs_of(STOPPED) == approx(dogs_of(FINETUNE), abs=1e-4)
    assert files_in(pets / "features") == before, "stored features are served as they are"


def was_of(host: str, name: str) -> None:
    """Let a run say that it was trained on a machine of this name."""
    status = folder(name) / "status.yaml"
    status.write_text(status.read_text().replace("host: laptop", f"host: {host}"))


def test_a_run_that_was_killed_on_this_machine_goes_on(dl: Dl) -> None:
    was_of(gethostname(), KILLED)
    assert "Resuming after epoch 2 of 4." in ok(dl("resume", KILLED)).stderr
    assert_finished_like(LINEAR, KILLED, exactly=2)


def test_a_run_that_was_killed_on_another_machine_goes_on(dl: Dl) -> None:
    was_of(f"not-{gethostname()}", KILLED)
    assert "Resuming after epoch 2 of 4." in ok(dl("resume", KILLED)).stderr
    assert_finished_like(LINEAR, KILLED, exactly=2)


def test_a_finished_run_is_trained_further(dl: Dl) -> None:
    before = opened(DENSE).history
    said = ok(dl("resume", DENSE, "--epochs", "6")).stderr
    assert "The optimizer of" in said
    after = opened(DENSE)
    assert after.history[:4] == before
    assert [row["epoch"] for row in after.history] == [1, 2, 3, 4, 5, 6]
    (change,) = after.config["run"]["changes"]
    assert change["epochs"] == 6
    assert (folder(DENSE) / "before-epoch-5" / "submission.csv").is_file()


def test_a_run_is_trained_again_from_its_recorded_values(dl: Dl) -> None:
    before = run_names()
    ok(dl("rerun", LINEAR))
    name = made_since(before)
    assert_same_history(LINEAR, name)
    assert opened(name).config["run"]["parent"] == f"pets/{LINEAR}"
    settings = answer(dl, "runs", "diff", LINEAR, name)["settings"]
    of_training = {"recipe", "schedule", "batch_size", "seed", "image_size", "classes"}
    assert not {*of_training, "dataset.fingerprints.train"} & settings.keys()


def test_a_training_begins_with_the_weights_of_a_run(dl: Dl) -> None:
    before = run_names()
    small = ("--image-size", "16", "--batch-size", "4", "--schedule", "1e-9")
    ok(dl("train", "dense", "-d", "pets", *small, "--init-from", DENSE))
    # a rate of nothing leaves all as it was but for the running means of the pixels
    assert opened(made_since(before)).status["val_loss"] == approx(SCORES[DENSE][1], abs=0.05)


def test_features_are_listed_with_the_function_that_made_them(dl: Dl, pets: Path) -> None:
    (store,) = answer(dl, "features", "ls", "-d", "pets")
    assert store["name"] == "efficientnet-lite0-pooled-71735f6c"
    assert store["rows"] == {"train": 12, "valid": 8, "test": 6}
    assert store["unfinished"] == []
    assert (
        store["function"]["weights_hash"]
        == opened(FINETUNE).config["run"]["forward"]["weights_hash"]
    )
    assert store["function"]["pixels"] == {"size": 64, "decode": "exact"}


def test_datasets_are_listed(dl: Dl) -> None:
    listed = answer(dl, "data", "ls", "pets")
    assert (listed["train"], listed["valid"], listed["test"]) == (12, 8, 6)
    assert listed["classes"] == {"cat": {"train": 6, "valid": 4}, "dog": {"train": 6, "valid": 4}}
    assert {"fish", "pets"} == {each["name"] for each in answer(dl, "data", "ls")}


def test_a_dataset_that_was_split_is_not_split_again(dl: Dl, pets: Path) -> None:
    refused(dl("data", "split", "pets"), "already holds images", "`dl data undo")
    assert counts(pets)["valid/cat"] == 4


def test_a_split_is_taken_back_and_an_organizing_without_its_originals_is_not(
    dl: Dl, pets: Path
) -> None:
    images = all_images(pets)
    undone = answer(dl, "data", "undo", "pets")
    assert (undone["undone"], undone["files"]) == ("split", 8)
    assert counts(pets) == {"train/cat": 10, "train/dog": 10, "test": 6}
    refused(dl("data", "undo", "pets"), "Nothing was undone", "/home/reader/Downloads/pets")
    assert all_images(pets) == images
    assert (pets / "train/cat/cat.2.png").stat().st_mtime == WRITTEN


def test_a_split_that_was_killed_is_finished_by_the_next_call(dl: Dl, fish: Path) -> None:
    images = all_images(fish)
    said = ok(dl("data", "split", "fish"))
    assert "Finished `split` in ~/data/fish" in said.stderr
    assert "Moved 6 images to ~/data/fish/valid" in said.stderr
    kinds = ("eel", "pike", "trout")
    assert counts(fish) == {f"{split}/{k}": 2 for split in ("train", "valid") for k in kinds}
    assert all_images(fish) == images
    assert (fish / ".dl" / "0001-split.done").is_file()


def test_a_split_that_was_killed_is_taken_back(dl: Dl, fish: Path) -> None:
    images = all_images(fish)
    assert answer(dl, "data", "undo", "fish")["undone"] == "split"
    assert counts(fish) == {"train/eel": 4, "train/pike": 4, "train/trout": 4}
    assert all_images(fish) == images
    assert not (fish / "valid").exists()


def test_the_half_of_a_dataset_is_refused(dl: Dl, fish: Path) -> None:
    before = counts(fish)
    refused(dl("train", "linear", "-d", "fish"), "has not finished", "dl data")
    assert counts(fish) == before


def test_settings_of_a_person_and_of_a_project_are_read(dl: Dl, home: Path, project: Path) -> None:
    values = {"seed": "3", "workers": "2", "image_size": "16", "dataset": "pets"}
    for key, value in values.items():
        assert ok(dl("config", "get", key)).stdout == f"{value}\n"
    assert ok(dl("config", "get", "train.dense.units")).stdout == "4\n"


def test_settings_are_shown_with_their_origins(dl: Dl) -> None:
    shown = answer(dl, "config", "show")
    assert shown["seed"] == {"value": 3, "origin": "~/.config/dl/config.yaml"}
    assert shown["train.dense.units"] == {"value": 4, "origin": "~/.config/dl/config.yaml"}
    assert shown["image_size"]["origin"] == "default"


def test_a_setting_is_changed_and_comments_stay(dl: Dl, home: Path) -> None:
    ok(dl("config", "set", "workers", "3"))
    text = (home / ".config" / "dl" / "config.yaml").read_text()
    assert text.startswith("# what I want everywhere\nseed: 3\nworkers: 3  # the fan is loud\n")


def test_the_recipe_of_a_project_is_answered_with_the_line_to_write(dl: Dl, project: Path) -> None:
    refused(dl("train", "two-layers"), "type `dl config trust ~/stripes`")
    ok(dl("config", "trust"))
    refused(dl("train", "two-layers"), "two_layers.py can't be loaded: line ", f"`{IMPORTS}`")


def test_with_that_line_the_recipe_of_a_project_is_loaded(dl: Dl, project: Path) -> None:
    ok(dl("config", "trust"))
    file = project / "recipes" / "two_layers.py"
    kept = [each for each in file.read_text().split("\n") if not each.startswith("from dlcli.")]
    at = kept.index("from dataclasses import dataclass") + 1
    file.write_text("\n".join([*kept[:at], IMPORTS, *kept[at:]]))
    listed = ok(dl("recipes"))
    assert "two-layers" in listed.stdout
    assert "can't be loaded" not in listed.stderr
    assert "--units" in ok(dl("train", "two-layers", "--help")).stdout
    assert ok(dl("config", "get", "train.two-layers.units")).stdout == "3\n"
    before = run_names()
    ok(dl("rerun", TWO_LAYERS))
    assert_same_history(TWO_LAYERS, made_since(before))


def test_a_run_by_a_recipe_of_a_project_needs_no_recipe_to_be_judged_and_submitted(
    dl: Dl, project: Path, pets: Path
) -> None:
    (project / "recipes" / "two_layers.py").write_text("raise AssertionError('it was run')\n")
    (row,) = answer(dl, "runs", "ls", "recipe=two-layers")
    assert row["run"] == TWO_LAYERS
    assert answer(dl, "runs", "show", TWO_LAYERS)["recipe"] == "two-layers"
    assert answer(dl, "evaluate", TWO_LAYERS)["log_loss"] == approx(SCORES[TWO_LAYERS][1])
    ok(dl("submit", TWO_LAYERS, "--no-upload"))
    photo = answer(dl, "predict", TWO_LAYERS, pets / "test" / "5.png")
    assert photo[0]["probabilities"]["dog"] == approx(dogs_of(TWO_LAYERS)["5"], abs=1e-4)


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """Kaggle on this machine, which remembers both submissions of LINEAR's `kaggle.yaml`."""
    with kaggle_serving(monkeypatch) as server:
        server.add(Competition(SLUG, leaderboard=[("first", 0.1), ("second", 0.6)]))
        known = (("30ca4d91", "0.53016", "0.12737"), ("84ac4a3b", "0.53016", "0.11048"))
        for number, (digest, public, private) in enumerate(known, 1):
            content = (folder(LINEAR) / "submissions" / f"{digest}.csv").read_bytes()
            assert sha256(content).hexdigest().startswith(digest)
            name, sent = f"{LINEAR}-{digest}.csv", datetime(2026, 11, 29, 2, 21, tzinfo=UTC)
            arrived = Sent(50_000_000 + number, SLUG, USER, name, content, "", sent, 0)
            arrived.public, arrived.private = public, private
            server.sent.append(arrived)
        yield server


def test_what_was_sent_to_kaggle_is_known(dl: Dl, server: KaggleServer) -> None:
    log = (folder(LINEAR) / "kaggle.yaml").read_bytes()
    status = answer(dl, "kaggle", "status", "-d", "pets")
    keys = ("run", "file", "clip", "state", "ref", "public_score", "private_score", "message")
    assert [tuple(each[key] for key in keys) for each in status["submissions"]] == [
        (LINEAR, "30ca4d91", 0.05, "complete", 50000001, 0.53016, 0.12737, "the first"),
        (
            LINEAR,
            "84ac4a3b",
            0.0,
            "complete",
            50000002,
            0.53016,
            0.11048,
            f"{LINEAR} valid log loss 0.1271",
        ),
    ]
    assert status["submissions"][1]["expected"] == approx(SCORES[LINEAR][1])
    assert status["rank"]["place"] == 2
    assert status["validation"]["inside"] == 1
    listed = answer(dl, "kaggle", "submissions", "-d", "pets")
    assert [(each["ref"], each["run"]) for each in listed] == [
        (50000002, LINEAR),
        (50000001, LINEAR),
    ]
    assert (folder(LINEAR) / "kaggle.yaml").read_bytes() == log


def test_a_file_that_was_sent_is_not_sent_again_unasked(dl: Dl, server: KaggleServer) -> None:
    named = "-c", SLUG  # 0.1.0 kept no record of what `dl data get` wrote
    refused(dl("submit", LINEAR, *named), "The same file was sent before", LINEAR, exit_code=2)
    assert len(server.sent) == 2
