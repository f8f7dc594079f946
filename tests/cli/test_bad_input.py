"""What a user can get wrong: a clear message, exit code 1 or 2, nothing lost, no traceback."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.command_result import Dl, Result, ok
from support.pictures import make_dataset, make_pictures, picture

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

QUICK = ("--schedule", "1e-3", "--image-size", "64")


def refused(result: Result, *words: str, code: int = 1) -> str:
    """The message of a command that has to be refused, with these words in it."""
    assert result.exit_code == code, result
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr
    return result.stderr


@pytest.fixture
def root(home: Path) -> Path:
    return make_dataset(home / "data" / "dogscats", train=6, valid=3, test=3)


def test_no_such_folder(dl: Dl, root: Path) -> None:
    refused(dl("data", "split", "~/data/dogcats"), "~/data/dogcats", "`dogscats`")
    refused(dl("train", "finetune", "-d", "dogcat"), "`dogscats`")


def test_empty_folder(dl: Dl, home: Path) -> None:
    (home / "data" / "nothing").mkdir(parents=True)
    for command in (["data", "split", "nothing"], ["features", "-d", "nothing"]):
        refused(dl(*command), "nothing")


def test_one_class_only(dl: Dl, home: Path) -> None:
    make_dataset(home / "data" / "cats", train=5, valid=2, classes=1)
    refused(dl("train", "finetune", "-d", "cats"), "cat", "two")


def test_a_class_with_one_image_stays_in_train_and_is_named(dl: Dl, home: Path) -> None:
    make_pictures(home / "data" / "pets" / "train", ("cat", "dog"), 10)
    make_pictures(home / "data" / "pets" / "train", ("fox",), 1)
    said = ok(dl("data", "split", "pets", "--valid", "4")).stderr
    assert "fox" in said
    assert len(list((home / "data" / "pets" / "train" / "fox").iterdir())) == 1


def test_a_class_missing_from_valid_shifts_no_label(dl: Dl, home: Path) -> None:
    root = make_dataset(home / "data" / "pets", train=4, valid=2, classes=3)
    shutil.rmtree(root / "valid" / "dog")
    ok(dl("train", "finetune", "-d", "pets", *QUICK))
    (run,) = (home / "runs" / "pets").iterdir()
    from dlcli.inference.predictions import read_predictions

    predictions = read_predictions(run / "predictions" / "valid.csv")
    assert predictions.classes == ("cat", "dog", "fox")
    assert set(predictions.y_true.tolist()) == {0, 2}


def test_a_class_only_in_valid_is_an_error(dl: Dl, root: Path) -> None:
    make_pictures(root / "valid", ("cat", "dog", "fox"), 1)
    refused(dl("train", "finetune", "-d", root), "fox")


def test_no_valid_folder(dl: Dl, home: Path) -> None:
    make_dataset(home / "data" / "dogscats", valid=0)
    refused(dl("train", "finetune", "-d", "dogscats"), "dl data split")
    assert not (home / "runs").exists()


BAD = {
    "empty.jpg": b"",
    "text.jpg": b"this is no picture",
    "cut.png": None,
}


def spoil(folder: Path) -> None:
    whole = folder / "whole.png"
    picture(0, 1, size=200).save(whole)
    for name, content in BAD.items():
        (folder / name).write_bytes(whole.read_bytes()[:-900] if content is None else content)
    whole.unlink()


@pytest.mark.parametrize(
    "command",
    [["features"], ["train", "finetune", *QUICK], ["train", "linear"]],
    ids=["features", "finetune", "linear"],
)
def test_unreadable_images_are_named_all_at_once(dl: Dl, root: Path, command: list[str]) -> None:
    spoil(root / "train" / "cat")
    (root / "valid" / "dog" / "zero.png").write_bytes(b"")
    refused(dl(*command, "-d", root), *BAD, "zero.png", "--on-error skip")


def test_unreadable_images_can_be_left_out(dl: Dl, home: Path, root: Path) -> None:
    spoil(root / "train" / "cat")
    (root / "test" / "2.png").write_bytes(b"")
    made = ok(dl("features", "-d", root, "--on-error", "skip", "--image-size", "64"))
    assert "3 left out" in made.stdout
    ok(dl("train", "finetune", "--on-error", "skip", *QUICK))
    refused(dl("submit"), "test/2.png", "--on-error skip")
    (root / "sample_submission.csv").unlink()
    refused(dl("submit"), "test/2.png", "--on-error skip")
    said = ok(dl("submit", "--on-error", "skip")).stderr
    assert "test/2.png" in said
    (run,) = (home / "runs" / "dogscats").iterdir()
    assert len((run / "submission.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("split", ["train", "valid"])
@pytest.mark.parametrize("recipe", ["linear", "finetune"])
def test_where_every_image_would_be_left_out_there_is_no_run(
    dl: Dl, home: Path, root: Path, recipe: str, split: str
) -> None:
    for path in (root / split).rglob("*.png"):
        path.write_bytes(b"")
    said = dl("train", recipe, "-d", root, "--on-error", "skip", "--image-size", "64")
    refused(said, f"No image of {split} can be read")
    assert not (home / "runs").exists()


def test_images_left_out_are_told_of_whenever_they_are(dl: Dl, root: Path) -> None:
    (root / "train" / "cat" / "0.png").write_bytes(b"")
    words = ("--on-error", "skip", "--image-size", "64")
    ok(dl("features", "-d", root, *words))
    for recipe in ("finetune", "linear"):
        said = ok(dl("train", recipe, "--schedule", "1e-3x1", *words)).stderr
        assert "Left out 1 of train" in said


NAMES = [
    "with space.png",
    "quo'te\"s.png",
    "new\nline.png",
    "ünï-cödé-猫.png",
    "-dash.png",
    "--help.png",
    "a,comma.png",
    os.fsdecode(b"not-utf-8-\xff\xfe.png"),
]


def test_odd_file_names_survive_every_command(dl: Dl, home: Path) -> None:
    root = home / "data" / "odd names, é"
    for number, kind in enumerate(("cat", "dog\nsay")):
        (root / "train" / kind).mkdir(parents=True)
        for seed, name in enumerate(NAMES):
            picture(number, seed).save(root / "train" / kind / "x.png")
            (root / "train" / kind / "x.png").rename(root / "train" / kind / name)
    (root / "test").mkdir()
    for seed, name in enumerate(NAMES):
        picture(0, 50 + seed).save(root / "test" / "x.png")
        (root / "test" / "x.png").rename(root / "test" / name)
    ok(dl("data", "split", root, "--valid", "6"))
    ok(dl("data", "sample"))
    ok(dl("features", "--image-size", "64"))
    ok(dl("train", "finetune", *QUICK))
    ok(dl("evaluate"))
    ok(dl("submit", "--positive", "cat"))
    (run,) = (home / "runs" / "odd names, é").iterdir()
    from dlcli.files.formats import read_csv

    ids = {row[0] for row in read_csv(run / "submission.csv")[1:]}
    assert ids == {name.removesuffix(".png") for name in NAMES}


def test_valid_is_there_already(dl: Dl, home: Path, root: Path) -> None:
    refused(dl("data", "split", root), "valid already holds")
    make_pictures(home / "data" / "pets" / "train")
    ok(dl("data", "split", "pets"))
    refused(dl("data", "split", "pets"), "dl data undo")


def test_no_test_folder(dl: Dl, root: Path) -> None:
    shutil.rmtree(root / "test")
    ok(dl("train", "finetune", "-d", root, *QUICK))
    ok(dl("evaluate"))
    refused(dl("submit"), "test")


def test_unknown_names_are_answered_with_the_nearest(dl: Dl, root: Path) -> None:
    refused(dl("train", "fintune", "-d", root), "`finetune`", code=2)
    refused(dl("evalute"), "`evaluate`", code=2)
    refused(dl("data", "splt", root), "`split`", code=2)
    refused(dl("features", "-d", root, "--backbone", "vgg61"), "`vgg16`", code=2)
    refused(dl("features", "-d", root, "--backbone", "VGG16"), "`vgg16`", code=2)
    refused(dl("evaluate", "no-such-run"), "no-such-run")
    refused(dl("features", "-d", root, "--layr", "conv"), "--layer", code=2)


def test_a_wrong_setting_in_a_file_names_the_file(dl: Dl, home: Path, root: Path) -> None:
    (home / "dl.yaml").write_text("sed: 3\n")
    refused(dl("features", "-d", root), "~/dl.yaml", "`sed`", "`seed`")
    (home / "dl.yaml").write_text("seed: many\n")
    refused(dl("features", "-d", root), "~/dl.yaml", "'many'", "whole number")
    (home / "dl.yaml").write_text("seed: [\n")
    refused(dl("features", "-d", root), "~/dl.yaml", "YAML")


def test_a_wrong_setting_in_a_datasets_own_file(dl: Dl, root: Path) -> None:
    ok(dl("train", "finetune", "-d", root, *QUICK))
    (root / "dataset.yaml").write_text("kagle: {positive: cat}\n")
    refused(dl("submit"), "dataset.yaml", "`kagle`", "`kaggle`")
    (root / "dataset.yaml").write_text("kaggle: {positiv: cat}\n")
    refused(dl("submit"), "dataset.yaml", "positive")
    (root / "dataset.yaml").write_text("kaggle: {positive: cat}\n")
    assert "'cat'" in ok(dl("submit")).stderr


def test_a_value_of_the_wrong_type_on_the_command_line(dl: Dl, root: Path) -> None:
    for flags in (
        ("--schedule", "fast"),
        ("--schedule", "1e-3x0"),
        ("--dropout", "1"),
        ("--batch-size", "0"),
        ("--seed", "-1"),
        ("--unfreeze", "two"),
    ):
        refused(dl("train", "finetune", "-d", root, *flags), "can't be", code=2)


def test_more_layers_than_there_are(dl: Dl, root: Path) -> None:
    refused(dl("train", "finetune", "-d", root, "--unfreeze", "999", *QUICK), "999")


def test_a_file_in_a_folders_place_is_named(dl: Dl, home: Path, root: Path) -> None:
    (home / "taken").write_text("a file where a folder should be")
    refused(dl("train", "finetune", "-d", root, "--runs-dir", home / "taken", *QUICK), "taken")
    refused(dl("features", "-d", root, "--config", home / "none.yaml"), "none.yaml")


def test_submit_with_a_bound_that_leaves_nothing(dl: Dl, root: Path) -> None:
    ok(dl("train", "finetune", "-d", root, *QUICK))
    for bound in ("0.5", "-0.1", "nan"):
        refused(dl("submit", "--clip", bound), "below 0.5", code=2)
    refused(dl("submit", "--positive", "cow"), "cow")
    refused(dl("submit", "--sample-submission", root / "none.csv"), "none.csv")
