"""`dl features` as it is typed: what it prints, where it ends, what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command_result import Dl, ok, refused
from support.pictures import make_dataset, picture
from support.turned import save_turned

from dlcli.features.store import held
from dlcli.files.formats import read_csv

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

# 64 pixels are quick; f32 is the same on every processor.
QUICK = ("--image-size", "64", "--engine", "openvino", "--precision", "f32")


@pytest.fixture
def dogscats(home: Path) -> Path:
    """20 pictures to train on, 8 to validate, 5 to test."""
    root: Path = make_dataset(home / "data" / "dogscats")
    return root


def stores(root: Path) -> list[Path]:
    return sorted((root / "features").iterdir())


def test_features_are_computed_said_and_kept(dl: Dl, dogscats: Path) -> None:
    ok(dl("features", "-d", "dogscats", *QUICK))  # the network may have to be exported
    ok(dl("features", "rm", "--all", "--yes"))
    result = ok(dl("features", *QUICK))
    (store,) = stores(dogscats)
    assert re.fullmatch(r"efficientnet-lite0-pooled-[0-9a-f]{8}", store.name)
    assert result.stdout == "train       20 images\nvalid        8 images\ntest         5 images\n"
    assert result.stderr == (
        "Dataset ~/data/dogscats (last named)\n"
        "efficientnet-lite0, layer pooled, 64x64 pixels, on openvino in f32\n"
        f"Features are in ~/data/dogscats/features/{store.name}; next: `dl train finetune "
        "--engine openvino --precision f32 --image-size 64`\n"
    )
    again = ok(dl("features", *QUICK))
    assert again.stdout == result.stdout
    already = f"Features are already computed, in ~/data/dogscats/features/{store.name}; next: "
    assert already in again.stderr


def test_the_dataset_may_be_a_word(dl: Dl, home: Path, dogscats: Path) -> None:
    ok(dl("features", "dogscats", *QUICK))
    named = ok(dl("features", "dogscats", *QUICK))
    assert named.stderr.startswith("Dataset ~/data/dogscats (named)\n")
    make_dataset(home / "data" / "mine", train=4, valid=2)
    assert ok(dl("features", *QUICK, dogscats)).stderr == named.stderr
    assert ok(dl("features", dogscats, *QUICK, "-d", "dogscats")).stderr == named.stderr
    assert len(json.loads(ok(dl("features", "ls", "dogscats", "--json")).stdout)) == 1
    for words, said in (
        ("dogscats -d mine", "Two datasets are named"),
        ("dogcats", "No such dataset: dogcats"),
        ("dogscats mine", "mine is a dataset: `dl features mine`."),
        ("dogscats ls", "dogscats has no effect before `ls`"),
        ("rm dogscats", "dogscats is a dataset: `dl features rm --all -d dogscats`."),
        ("list", "Did you mean `ls`?"),
    ):
        result = dl("features", *words.split())
        assert result.exit_code in (1, 2)
        assert said in result.stderr


def test_a_dataset_that_is_like_a_command_is_found_in_the_data_folder_that_is_typed(
    dl: Dl, home: Path
) -> None:
    make_dataset(home / "disk" / "lsun", train=4, valid=2)
    said = ok(dl("features", "--data-dir", "~/disk", "lsun", *QUICK)).stderr
    assert said.startswith("Dataset ~/disk/lsun (named)")
    assert "Did you mean `ls`?" in dl("features", "lsun", *QUICK).stderr


def test_each_network_layer_size_and_precision_has_a_store(dl: Dl, dogscats: Path) -> None:
    for options in (
        ("--layer", "imagenet"),
        ("--precision", "bf16"),
        ("--image-size", "96"),
    ):
        ok(dl("features", "-d", "dogscats", *QUICK, *options))
    assert len(stores(dogscats)) == 3
    assert {name.name.split("-")[2] for name in stores(dogscats)} == {"imagenet", "pooled"}
    make_dataset(dogscats.parent / "mine", train=4, valid=2)
    ok(dl("features", "mine", *QUICK))
    listed = ok(dl("features", "ls", "--all")).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["dataset", *3 * ["dogscats"], "mine"]
    assert "not both" in dl("features", "ls", "--all", "mine").stderr
    ok(dl("features", "rm", "*-pooled-*", "-d", "dogscats", "-y"))
    assert [name.name.split("-")[2] for name in stores(dogscats)] == ["imagenet"]


def test_images_that_are_turned_or_scaled_are_counted_wherever_they_are_read(
    dl: Dl, dogscats: Path, home: Path
) -> None:
    for name in ("cat.1", "cat.2"):
        path = dogscats / "train" / "cat" / f"{name}.png"
        save_turned(Image.open(path), path, 6)
    deep = np.asarray(picture(0, 3).convert("L")).astype(np.uint16) * 16
    Image.fromarray(deep).save(dogscats / "test" / "1.png")
    line = "2 images are turned upright, as EXIF says; 1 image of more than 8 bits is scaled"
    assert line in ok(dl("data", "organize", dogscats, home / "data" / "copy")).stderr
    assert line in ok(dl("data", "ls", "copy")).stderr
    for _ in range(2):
        assert line in ok(dl("features", "-d", dogscats, *QUICK)).stderr
    (store,) = stores(dogscats)
    assert "version: 2" in (store / "manifest.yaml").read_text()


def test_keras_runs_the_network_where_it_is_asked_to(dl: Dl, dogscats: Path) -> None:
    result = ok(dl("features", "-d", "dogscats", *QUICK, "--engine", "keras"))
    assert ", on keras in f32\n" in result.stderr
    assert result.stdout.startswith("train       20 images\n")
    assert "WARNING" not in result.stderr


def test_a_folder_to_test_on_that_is_gone_is_not_counted(dl: Dl, dogscats: Path) -> None:
    ok(dl("features", "-d", "dogscats", *QUICK))
    for image in (dogscats / "test").iterdir():
        image.unlink()
    assert ok(dl("features", *QUICK)).stdout == "train       20 images\nvalid        8 images\n"


def test_unreadable_images_are_named_or_left_out(dl: Dl, dogscats: Path) -> None:
    (dogscats / "train" / "cat" / "cat.3.png").write_bytes(b"")
    (dogscats / "train" / "dog" / "a\nb.jpg").write_text("no image")
    (dogscats / "test" / "2.png").write_bytes((dogscats / "test" / "3.png").read_bytes()[:999])
    result = refused(
        dl("features", "-d", "dogscats", *QUICK),
        "Error: 3 images can't be read:\n",
        "  ~/data/dogscats/train/cat/cat.3.png: the file is empty\n",
        "  ~/data/dogscats/train/dog/a\\nb.jpg: not an image\n",
        "  ~/data/dogscats/test/2.png: image file is truncated",
    )
    assert result.stdout == ""
    assert result.stderr.endswith(
        "Remove or replace them, or leave them out with `--on-error skip`.\n"
    )
    skipped = ok(dl("features", *QUICK, "--on-error", "skip"))
    assert skipped.stdout == (
        "train       19 images, 2 left out\n"
        "valid        8 images\n"
        "test         4 images, 1 left out\n"
    )


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (
            ("--layer", "pool"),
            2,
            "`--layer` can't be 'pool': expected one of pooled, conv, imagenet",
        ),
        (("--engine", "tensorrt"), 2, "expected one of auto, openvino, keras"),
        (("--precision", "f16"), 2, "expected one of auto, f32, bf16"),
        (("--workers", "0"), 2, "at least 1"),
        (("--on-error", "ignore"), 2, "expected one of stop, skip"),
        (("--backbone", "efficientnet"), 2, "Did you mean"),
        (("--weights", "nowhere.h5"), 1, "nowhere.h5"),
        (("lst",), 2, "Did you mean `ls`"),
    ],
)
def test_what_can_not_be_is_refused_and_leaves_nothing(
    dl: Dl, dogscats: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    refused(dl("features", "-d", "dogscats", *arguments), said, exit_code=exit_code)
    assert not (dogscats / "features").exists()


def test_an_image_size_that_the_network_can_not_take_leaves_no_store(
    dl: Dl, dogscats: Path
) -> None:
    result = dl("features", "-d", "dogscats", *QUICK, "--image-size", "16")
    refused(result, "can't take images of 16 pixels")
    assert ok(dl("features", "ls", "--json")).stdout.strip() == "[]"


def test_a_dataset_that_can_not_be_written_is_said(dl: Dl, dogscats: Path) -> None:
    (dogscats / "features").write_text("a file where the folder would be")
    result = dl("features", "-d", "dogscats", *QUICK)
    refused(
        result, "Error: ~/data/dogscats/features is a file: `dl` keeps a folder of its own there"
    )


def test_a_full_disk_is_said_and_the_next_call_goes_on(dl: Dl, dogscats: Path) -> None:
    code = (
        "import resource, sys; from dlcli.cli import main\n"
        "sys.dont_write_bytecode = True  # it would be cut off at that size, for all\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    ok(dl("features", "-d", "dogscats", *QUICK))
    ok(dl("features", "rm", "--all", "--yes"))
    command = [sys.executable, "-c", code, "features", "-d", "dogscats", *QUICK]
    full = subprocess.run(command, capture_output=True, text=True)
    assert full.returncode == 1
    assert "Error: Can't write features to ~/data/dogscats/features/" in full.stderr
    assert "Free some space, then run the same command again" in full.stderr
    assert "Traceback" not in full.stderr
    assert ok(dl("features", *QUICK)).stdout.startswith("train       20 images\n")


def test_two_at_once_on_one_dataset(dl: Dl, dogscats: Path) -> None:
    ok(dl("features", "-d", "dogscats", *QUICK))
    (store,) = stores(dogscats)
    picture(0, 99).save(dogscats / "test" / "99.png")
    with held(store):
        for command in (("features", *QUICK), ("features", "rm", "--all", "--yes")):
            refused(dl(*command), f"{store.name} is being worked on: by process {os.getpid()} of ")
    assert ok(dl("features", *QUICK)).stdout.endswith("test         6 images\n")


def test_names_of_any_kind_are_listed_and_read_back(dl: Dl, dogscats: Path) -> None:
    names = ["a\nb.png", "ü.png", "-n.png", 'q".png', os.fsdecode(b"caf\xe9.png")]
    for seed, name in enumerate(names):
        picture(0, seed).save(dogscats / "train" / "cat" / name)
    ok(dl("features", "-d", "dogscats", *QUICK))
    (store,) = stores(dogscats)
    listed = {row[0] for row in read_csv(store / "train.csv")}
    assert {f"train/cat/{name}" for name in names} <= listed
    assert ok(dl("features", *QUICK)).stdout.startswith("train       25 images\n")


# ls


def test_ls_shows_each_store_and_what_it_costs(dl: Dl, dogscats: Path) -> None:
    empty = ok(dl("features", "ls", "-d", "dogscats"))
    assert (empty.stdout, empty.stderr.splitlines()[-1]) == (
        "",
        "No features yet; next: `dl features`",
    )
    ok(dl("features", *QUICK))
    ok(dl("features", *QUICK, "--layer", "imagenet"))
    (dogscats / "features" / "notes.txt").write_text("mine")
    imagenet, pooled = (s for s in stores(dogscats) if s.is_dir())
    header, *rows = ok(dl("features", "ls")).stdout.splitlines()
    assert header.split() == ["features", "train", "valid", "test", "MB", "unfinished"]
    assert [row.split()[:4] for row in rows] == [
        [imagenet.name, "20", "8", "5"],
        [pooled.name, "20", "8", "5"],
    ]
    assert all(re.fullmatch(r"0\.[1-3]", row.split()[4]) for row in rows)
    listed = json.loads(ok(dl("features", "ls", "--json")).stdout)
    assert [store["name"] for store in listed] == [imagenet.name, pooled.name]
    assert listed[1]["rows"] == {"train": 20, "valid": 8, "test": 5}
    assert listed[1]["folder"] == str(pooled)
    assert listed[1]["unfinished"] == []
    assert listed[1]["function"]["pixels"] == {"size": 64, "decode": "exact", "version": 2}
    files = [path for path in pooled.rglob("*") if path.is_file()]
    assert listed[1]["size_bytes"] == sum(path.stat().st_size for path in files)


def test_ls_shows_what_is_unfinished_or_damaged(dl: Dl, dogscats: Path) -> None:
    (dogscats / "valid" / "cat" / "bad.png").write_bytes(b"")
    assert dl("features", "-d", "dogscats", *QUICK).exit_code == 1
    (store,) = stores(dogscats)
    row = ok(dl("features", "ls")).stdout.splitlines()[1].split()
    assert row[1:3] == ["20", "5"]
    assert row[-1] == "valid"
    (store / "manifest.yaml").write_bytes(b"\xff: [")
    (listed,) = json.loads(ok(dl("features", "ls", "--json")).stdout)
    assert listed["function"] == {}
    ok(dl("features", *QUICK, "--on-error", "skip"))
    (listed,) = json.loads(ok(dl("features", "ls", "--json")).stdout)
    assert listed["function"]["backbone"] == "efficientnet-lite0"


# rm


def answer(words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(words)
    monkeypatch.setattr("sys.stdin", (tmp_path / "answer").open())


def test_rm_asks_and_leaves_alone_what_it_was_not_told_to_remove(
    dl: Dl, dogscats: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ok(dl("features", "-d", "dogscats", *QUICK))
    (store,) = stores(dogscats)
    answer("n\n", monkeypatch, tmp_path)
    kept = ok(dl("features", "rm", store.name))
    assert f"Remove {store.name} (156.6 kB)? [y/N]" in kept.stderr
    assert f"Kept {store.name} (156.6 kB).\n" in kept.stderr
    assert store.is_dir()
    answer("", monkeypatch, tmp_path)
    assert dl("features", "rm", store.name).exit_code != 0  # nobody is there to answer
    assert store.is_dir()
    answer("y\n", monkeypatch, tmp_path)
    removed = ok(dl("features", "rm", store.name))
    assert f"Removed {store.name} (156.6 kB).\n" in removed.stderr
    assert not store.exists()


def test_rm_all_removes_every_store_and_nothing_else(dl: Dl, dogscats: Path) -> None:
    ok(dl("features", "-d", "dogscats", *QUICK))
    ok(dl("features", *QUICK, "--layer", "imagenet"))
    (dogscats / "features" / "notes.txt").write_text("mine")
    result = ok(dl("features", "rm", "--all", "--yes"))
    assert result.stderr.count("Removed efficientnet-lite0-") == 2
    assert [path.name for path in stores(dogscats)] == ["notes.txt"]
    assert "No features to remove." in ok(dl("features", "rm", "--all", "--yes")).stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        ((), 2, "Name the features to remove, or use `--all`"),
        (("x", "--all"), 2, "Name the features to remove, or use `--all`"),
        (("efficientnet-lite0-pooled",), 1, "Did you mean `efficientnet-lite0-pooled-"),
        (("../train",), 1, "No features have the name '../train'"),
    ],
)
def test_rm_refuses_what_it_does_not_know(
    dl: Dl, dogscats: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    ok(dl("features", "-d", "dogscats", *QUICK))
    refused(dl("features", "rm", "--yes", *arguments), said, exit_code=exit_code)
    assert len(stores(dogscats)) == 1


def test_rm_leaves_the_current_dataset_as_it_is(dl: Dl, home: Path, dogscats: Path) -> None:
    make_dataset(home / "data" / "mine", train=4, valid=2)
    ok(dl("features", "ls", "-d", "dogscats"))
    ok(dl("features", "rm", "--all", "--yes", "-d", "mine"))
    assert "Dataset ~/data/dogscats (last named)" in ok(dl("features", "ls")).stderr


@pytest.mark.parametrize("typed", [("-d", "other"), ("--layer", "conv"), ("--data-dir", "x")])
def test_options_before_a_subcommand_are_refused_and_not_dropped(
    dl: Dl, dogscats: Path, typed: tuple[str, ...]
) -> None:
    store = dogscats / "features" / "some-pooled-0123abcd"
    store.mkdir(parents=True)
    (store / "manifest.yaml").touch()
    ok(dl("features", "ls", "-d", dogscats))
    result = dl("features", *typed, "rm", "--all", "--yes")
    refused(result, "has no effect before `rm`", exit_code=2)
    assert store.is_dir()


def test_the_next_command_names_the_dataset_where_it_would_take_another(
    dl: Dl, home: Path, dogscats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_dataset(home / "data" / "mine", train=4, valid=2))
    said = ok(dl("features", "-d", "dogscats", *QUICK)).stderr
    assert said.endswith("--image-size 64 -d ~/data/dogscats`\n")
    said = ok(dl("features", *QUICK)).stderr
    assert said.endswith("--image-size 64`\n")
