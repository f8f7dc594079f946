"""`dl data` as it is typed: what it prints, and where it ends."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from support.command_result import Dl, ok
from support.small_folders import make, tree

from dlcli.data.photos.photos import open_photos


@pytest.fixture
def kaggle(home: Path) -> Path:
    """A competition as it is downloaded: 20 labelled images, 3 to predict."""
    labelled = [f"train/{kind}.{i}.jpg" for kind in ("cat", "dog") for i in range(10)]
    test = [f"test1/{i}.jpg" for i in range(1, 4)]
    return make(home / "Downloads" / "pets", *labelled, *test, "sample_submission.csv")


def store(root: Path) -> Path:
    """Features of a dataset, 1 kB of them."""
    folder = root / "features" / "some-pooled-0123abcd"
    folder.mkdir(parents=True)
    (folder / "manifest.yaml").write_bytes(b"# " + b"-" * 998)
    return folder


COUNTS = """\
train       16 images
valid        4 images
test         3 images
"""


def test_from_a_download_to_a_sample_and_all_the_way_back(dl: Dl, home: Path, kaggle: Path) -> None:
    before = tree(kaggle, hidden=True)
    result = ok(dl("data", "organize", "Downloads/pets"))
    assert result.stdout == COUNTS.replace("16", "20").replace(" 4", " 0")
    assert result.stderr == (
        "Copied 24 files.\nThe dataset is in ~/data/pets; next: `dl data split`\n"
    )
    result = ok(dl("data", "split"))
    assert result.stdout == COUNTS
    assert result.stderr == (
        "Dataset ~/data/pets (last named)\n"
        "Moved 4 images to ~/data/pets/valid; next: `dl data sample`, or `dl features`\n"
    )
    result = ok(dl("data", "sample", "--train", "6"))
    assert result.stdout == "train        6 images\nvalid        4 images\ntest         0 images\n"
    assert result.stderr == (
        "Dataset ~/data/pets (last named)\n"
        "The sample is in ~/data/pets-sample; next: `dl features` for the "
        "whole dataset, or `dl features -d ~/data/pets-sample` for the sample\n"
    )
    store(home / "data" / "pets-sample")
    result = ok(dl("data", "ls"))
    assert result.stdout == (
        "   dataset      train  valid  test  classes  features  problem\n"
        "*  pets            16      4     3        2\n"
        "   pets-sample      6      4     0        2  1.0 kB\n"
    )
    result = ok(dl("data", "ls", "pets"))
    assert result.stdout == (
        f"class  train  valid\ncat        8      2\ndog        8      2\n\n{COUNTS}"
    )
    result = ok(dl("data", "undo", "pets-sample"))
    assert "Took back `sample`: removed 10 copies from ~/data/pets-sample, with" in result.stderr
    result = ok(dl("data", "undo", "pets"))
    assert result.stderr == (
        "Dataset ~/data/pets (named)\n"
        "Took back `split`: moved 4 files back to ~/data/pets. "
        "To do it again: `dl data split ~/data/pets --seed 0`\n"
    )
    result = ok(dl("data", "undo"))
    assert "To do it again: `dl data organize ~/Downloads/pets ~/data/pets`" in result.stderr
    assert list((home / "data").iterdir()) == []
    assert tree(kaggle, hidden=True) == before


def test_undo_without_a_name_takes_the_last_back_be_it_a_sample(dl: Dl, kaggle: Path) -> None:
    ok(dl("data", "organize", "Downloads/pets"))
    ok(dl("data", "split", "--valid", "6", "--seed", "3"))
    ok(dl("data", "sample", "--train", "6"))
    for again in (
        "dl data sample ~/data/pets --train 6 --valid 1000 --seed 0",
        "dl data split ~/data/pets --valid 6 --seed 3",
        "dl data organize ~/Downloads/pets ~/data/pets",
    ):
        assert f"To do it again: `{again}`" in ok(dl("data", "undo")).stderr


def test_the_whole_folder_of_a_sample_goes_with_its_features(
    dl: Dl, home: Path, kaggle: Path
) -> None:
    ok(dl("data", "organize", "Downloads/pets"))
    ok(dl("data", "split"))
    ok(dl("data", "sample", "--train", "6"))
    sample = home / "data" / "pets-sample"
    store(sample)
    ok(dl("data", "ls", "pets-sample"))  # now it is the current dataset
    said = ok(dl("data", "undo", "-d", "pets-sample")).stderr
    assert "with the sample's features (1.0 kB)" in said
    assert "The current dataset is ~/data/pets again." in said
    assert not sample.exists()
    assert "Dataset ~/data/pets (last named)" in ok(dl("data", "ls")).stderr


def test_the_dataset_named_before_a_sample_was_removed_is_current_again(
    dl: Dl, home: Path, kaggle: Path
) -> None:
    make(home / "data" / "fish", "train/cat/1.png", "train/dog/1.png")
    ok(dl("data", "organize", "Downloads/pets"))
    ok(dl("data", "split"))
    ok(dl("data", "sample", "--train", "6"))
    ok(dl("data", "ls", "fish"))
    said = ok(dl("data", "undo", "pets-sample", "--yes")).stderr
    assert "The current dataset is ~/data/fish again." in said
    assert "Dataset ~/data/fish (last named)" in ok(dl("features", "ls")).stderr


def test_what_else_is_in_a_sample_stays_with_its_features(dl: Dl, home: Path, kaggle: Path) -> None:
    ok(dl("data", "organize", "Downloads/pets"))
    ok(dl("data", "split"))
    ok(dl("data", "sample", "--train", "6"))
    sample = home / "data" / "pets-sample"
    kept = store(sample)
    (sample / "notes.txt").touch()
    assert "features" not in ok(dl("data", "undo", "-d", "pets-sample")).stderr
    assert kept.is_dir()


def test_a_sample_that_is_hardly_smaller_says_how_to_make_a_smaller_one(
    dl: Dl, home: Path, kaggle: Path
) -> None:
    ok(dl("data", "organize", "Downloads/pets"))
    ok(dl("data", "split"))
    smaller = "`dl data sample --train 4 --replace`"
    assert smaller in ok(dl("data", "sample")).stderr
    assert "hardly" not in ok(dl("data", "sample", "--train", "4", "--replace")).stderr


def test_classes_that_get_no_validation_image_are_named(dl: Dl, home: Path) -> None:
    common = [f"common/{number}.jpg" for number in range(40)]
    rare = [f"{name}/{number}.jpg" for name in ("rare", "scarce") for number in range(2)]
    make(home / "Downloads" / "mix", *common, *rare)
    ok(dl("data", "organize", "Downloads/mix"))
    said = ok(dl("data", "split", "--valid", "4")).stderr
    assert "No validation image for 2 classes: `rare`, `scarce`. You can train all the same" in said
    assert re.search(
        r"image of each, \d+ of 44 images \([\d.]+\u00a0%\) have to move to valid/", said
    )
    again = re.search(r"`(dl data split --valid [\d.]+)`", said)
    assert again
    ok(dl("data", "undo"))
    assert "No validation image" not in ok(dl(*again[1].split()[1:])).stderr


def test_features_of_what_was_taken_back_are_not_in_the_way(
    dl: Dl, home: Path, kaggle: Path
) -> None:
    ok(dl("data", "organize", "Downloads/pets"))
    store = home / "data" / "pets" / "features" / "some-pooled-0123abcd"
    store.mkdir(parents=True)
    ok(dl("data", "undo"))
    ok(dl("data", "organize", "Downloads/pets"))
    assert store.is_dir()


def test_what_organize_leaves_out_is_said(dl: Dl, home: Path) -> None:
    mix = make(home / "Downloads" / "mix", "train/a.1.jpg", "train/b.1.jpg", "fish/1.jpg", "2.jpg")
    warning = "left out 2 images outside the training folder, such as 2.jpg."
    assert warning in ok(dl("data", "organize", "Downloads/mix", "--dry-run")).stderr
    assert warning in ok(dl("data", "organize", "Downloads/mix")).stderr
    make(mix, "train/a.2.jpg")
    again = ok(dl("data", "organize", "Downloads/mix")).stderr
    assert "is organised already" in again
    assert "Warning, not copied: 1 new file in ~/Downloads/mix, such as train/a.2.jpg" in again
    assert "`dl data undo` until it has taken back `organize`" in again
    make(mix, "train/stray.jpg")  # which has no class in its name: organising would refuse
    assert "is organised already" in ok(dl("data", "organize", "Downloads/mix")).stderr


def test_a_folder_under_the_data_folder_is_organised_in_place(dl: Dl, home: Path) -> None:
    root = make(home / "data" / "pets", "cat.1.jpg", "dog.1.jpg", "test1/1.jpg")
    result = ok(dl("data", "organize", "pets"))
    assert "Moved 3 files." in result.stderr
    assert sorted(path for path in tree(root, hidden=True) if not path.startswith(".dl")) == [
        "test/1.jpg",
        "train/cat/cat.1.jpg",
        "train/dog/dog.1.jpg",
    ]
    result = ok(dl("data", "organize", "pets"))
    assert "~/data/pets is organised already.\n" in result.stderr


@pytest.mark.parametrize(
    ("target", "made"), [("tiere", "data/tiere"), ("./tiere", "tiere"), ("~/a/tiere", "a/tiere")]
)
def test_a_bare_name_means_one_under_the_data_folder(
    dl: Dl, home: Path, kaggle: Path, target: str, made: str
) -> None:
    ok(dl("data", "organize", kaggle, target, "--move"))
    assert len(open_photos(home / made).splits["train"]) == 20
    assert list(tree(kaggle, hidden=True)) == []
    assert "(last named)" in ok(dl("data", "split")).stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("organize", "Downloads/pets", "again"), "Would copy 24 files, ~/Downloads/pets to ~/d"),
        (("split", "pets"), "Would move 4 files, ~/data/pets:"),
        (("sample", "ready"), "Would copy 4 files, ~/data/ready to ~/data/ready-sample:"),
        (("undo", "pets"), "Would remove 24 files, ~/data/pets"),
    ],
)
def test_a_dry_run_shows_the_plan_and_touches_nothing(
    dl: Dl, home: Path, kaggle: Path, command: tuple[str, ...], says: str
) -> None:
    ok(dl("data", "organize", kaggle))
    make(
        home / "data" / "ready",
        *(f"{split}/{kind}/1.jpg" for split in ("train", "valid") for kind in ("cat", "dog")),
    )
    before = tree(home / "data", hidden=True), sorted(home.rglob("*"))
    result = ok(dl("data", *command, "--dry-run"))
    assert result.stdout.startswith(says)
    assert "Nothing was done" in result.stderr
    planned = json.loads(ok(dl("data", *command, "--dry-run", "--json")).stdout)
    assert planned["files"] == len(planned["moves"]) == int(re.findall(r"\d+", says)[0])
    assert (tree(home / "data", hidden=True), sorted(home.rglob("*"))) == before


def test_a_plan_of_a_split_reads_from_folder_to_folder(dl: Dl, home: Path) -> None:
    make(home / "data/pets", *(f"train/{k}/{i}.jpg" for k in ("cat", "dog") for i in range(5)))
    shown = ok(dl("data", "split", "pets", "--dry-run", "--valid", "4")).stdout.splitlines()
    assert shown[:5] == [
        "Would move 4 files, ~/data/pets:",
        "from        to          files",
        "train/cat/  valid/cat/      2",
        "train/dog/  valid/dog/      2",
        "For example:",
    ]
    assert re.fullmatch(r"  train/cat/\d.jpg -> valid/cat/\d.jpg", shown[5])


def test_results_are_json_on_demand_and_nothing_else_is_on_stdout(
    dl: Dl, home: Path, kaggle: Path
) -> None:
    made = json.loads(ok(dl("data", "organize", kaggle, "--json")).stdout)
    assert made == {
        "name": "pets",
        "folder": str(home / "data" / "pets"),
        "train": 20,
        "valid": 0,
        "test": 3,
        "classes": {"cat": {"train": 10, "valid": 0}, "dog": {"train": 10, "valid": 0}},
    }
    assert json.loads(ok(dl("data", "split", "--json", "--valid", "50%")).stdout)["valid"] == 10
    assert json.loads(ok(dl("data", "ls", "pets", "--json")).stdout)["train"] == 10
    (home / "data" / "empty").mkdir()
    empty, pets = json.loads(ok(dl("data", "ls", "--json")).stdout)
    assert (empty["problem"], pets["problem"]) == ("No images in ~/data/empty", None)
    assert (empty["current"], pets["current"]) == (False, True)
    undone = json.loads(ok(dl("data", "undo", "--json")).stdout)
    assert undone == {"undone": "split", "files": 10, "kept": []}


def test_classes_that_are_numbers_are_listed_by_number(dl: Dl, home: Path) -> None:
    root = make(home / "data" / "ages", *(f"train/{name}/1.jpg" for name in ("9", "10", "-1")))
    listed = ok(dl("data", "ls", root)).stdout.splitlines()
    assert [line.split()[0] for line in listed[1:4]] == ["-1", "9", "10"]
    assert open_photos(root).classes == ("-1", "10", "9")


def test_the_seed_decides_which_files(dl: Dl, home: Path) -> None:
    chosen = []
    for number, seed in enumerate((3, 3, 4)):
        root = make(
            home / f"pets{number}", *(f"train/{k}/{i}.jpg" for k in "ab" for i in range(50))
        )
        ok(dl("data", "split", root, "--seed", seed))
        chosen.append(open_photos(root).splits["valid"])
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_class_with_one_image_is_reported(dl: Dl, home: Path) -> None:
    make(home / "pets", "train/unicorn/1.jpg", *(f"train/cat/{i}.jpg" for i in range(9)))
    result = ok(dl("data", "split", home / "pets"))
    assert "Class `unicorn` has a single image. It stays in train/.\n" in result.stderr


def test_many_classes_of_one_image_are_said_in_one_line(dl: Dl, tmp_path: Path) -> None:
    root = make(
        tmp_path / "pets",
        *(f"train/c{i:03}/1.jpg" for i in range(300)),
        *(f"train/cat/{i}.jpg" for i in range(9)),
    )
    said = ok(dl("data", "split", root, "--valid", 2)).stderr
    assert said.count("single image") == 1
    assert "300 classes, such as `c000`, have a single image each." in said


@pytest.mark.parametrize("name", ["two words", "it's", "-rf", "new\nline", "猫", b"\xff\xfe"])
def test_odd_names_of_folders_and_files_survive(dl: Dl, home: Path, name: str | bytes) -> None:
    name = os.fsdecode(name)
    flat = [f"{k}{name}.{i}.jpg" for k in "ab" for i in range(5)]
    make(home / "Downloads" / name, *(f"train/{file}" for file in flat))
    source = f"./Downloads/{name}"
    ok(dl("data", "organize", source))
    ok(dl("data", "split", "--", name))
    ok(dl("data", "sample"))
    for command in (("ls",), ("ls", "--json"), ("ls", "--", name), ("undo", "--", name)):
        result = ok(dl("data", *command))
        assert "Traceback" not in result.stderr
    assert len(open_photos(home / "data" / f"{name}-sample").splits["valid"]) == 2


def test_without_any_dataset_ls_says_how_to_begin(dl: Dl) -> None:
    result = ok(dl("data", "ls"))
    assert result.stdout == ""
    assert result.stderr == "No datasets in ~/data; next: `dl data organize SRC`\n"


def test_help_lists_the_commands_in_the_order_of_their_use(dl: Dl) -> None:
    listed = ok(dl("data", "--help")).stdout.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines()] == [
        "get",
        "organize",
        "split",
        "sample",
        "undo",
        "ls",
        "check",
        "augment-preview",
    ]
    assert "..." not in listed, "each is told in a line"


def test_real_photos_organize_and_split(dl: Dl, home: Path, real_data: Path) -> None:
    ok(dl("data", "organize", real_data / "dogscats-kaggle", "dogscats"))
    result = ok(dl("data", "split", "--valid", "400"))
    assert result.stdout == (
        "train    1,602 images\nvalid      400 images\ntest     1,001 images\n"
    )
