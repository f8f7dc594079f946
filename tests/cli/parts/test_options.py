"""The dataset as a word and by `-d`, in every command that means one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.command_result import Dl, ok, refused
from support.small_folders import make, tree

from dlcli.cli import root


def commands(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command there is, by its words; groups included."""
    yield path.strip(), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}")


def takes_a_word(command: click.Command) -> bool:
    """Whether a dataset may stand among a command's words."""
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    return any("DATASET" in str(each.metavar) for each in arguments)


TAKE_A_WORD = [words for words, command in commands(root) if takes_a_word(command)]


@pytest.fixture
def pets(home: Path) -> Path:
    """Two datasets, pets and birds."""
    make(home / "data/birds", "train/hen/1.jpg", "train/owl/1.jpg", "valid/owl/2.jpg")
    return make(home / "data/pets", "train/cat/1.jpg", "train/dog/1.jpg", "valid/cat/2.jpg")


def test_the_commands_that_take_a_dataset_as_a_word() -> None:
    plain = [words for words in TAKE_A_WORD if not words.startswith(("train ", "lr-find "))]
    assert plain == [
        "data split",
        "data sample",
        "data undo",
        "data ls",
        "data check",
        "data augment-preview",
        "features ls",
        "ladder",
    ]
    assert {"train linear", "train finetune", "lr-find linear"} <= {*TAKE_A_WORD}


@pytest.mark.parametrize("words", [*TAKE_A_WORD, "data organize", "data get", "aws put", "aws get"])
def test_what_takes_a_dataset_as_a_word_takes_it_by_d_as_well(dl: Dl, words: str) -> None:
    assert "  -d, --dataset " in ok(dl(*words.split(), "--help")).stdout


@pytest.mark.parametrize(
    "words", [["birds"], ["-d", "birds"], ["birds", "-d", "birds"]], ids=" ".join
)
def test_either_way_or_both_name_the_same(dl: Dl, pets: Path, words: list[str]) -> None:
    listed = ok(dl("data", "ls", *words))
    assert "hen" in listed.stdout
    assert "Dataset ~/data/birds (named)" in listed.stderr
    assert "birds (last named)" in dl("data", "undo").stderr


def test_a_path_and_the_name_of_the_same_folder_are_one_dataset(dl: Dl, pets: Path) -> None:
    assert "cat" in ok(dl("data", "ls", "pets", "-d", pets)).stdout


@pytest.mark.parametrize("words", TAKE_A_WORD)
def test_two_datasets_are_refused_before_anything_is_done(
    dl: Dl, home: Path, pets: Path, words: str
) -> None:
    before = tree(home, hidden=True)
    said = "Two datasets are named: ~/data/pets, and ~/data/birds by `-d`\nLeave out one of them."
    refused(dl(*words.split(), "pets", "-d", "birds"), said, exit_code=2)
    assert tree(home, hidden=True) == before


@pytest.mark.parametrize("words", TAKE_A_WORD)
def test_a_word_that_names_no_dataset_is_refused_with_the_nearest(
    dl: Dl, home: Path, pets: Path, words: str
) -> None:
    before = tree(home, hidden=True)
    refused(dl(*words.split(), "pest"), "No such dataset: pest", "Did you mean `pets`?")
    assert tree(home, hidden=True) == before


def test_a_dataset_may_be_called_as_the_word_for_no_setting(dl: Dl, home: Path, pets: Path) -> None:
    pets.rename(pets.with_name("none"))
    assert "cat" in ok(dl("data", "ls", "none")).stdout


def test_an_image_and_a_dataset_are_two_things(dl: Dl, home: Path, pets: Path) -> None:
    image = pets / "train/cat/1.jpg"
    said = "is an image, and `-d` names a dataset: leave out one of them\n"
    refused(dl("data", "augment-preview", image, "-d", "birds"), said, exit_code=2)


def test_organize_takes_its_goal_by_d_as_well(dl: Dl, home: Path) -> None:
    make(home / "raw", "cat/1.jpg", "dog/1.jpg")
    two = ("data", "organize", "raw", "pets", "-d", "birds")
    refused(dl(*two), "Two datasets are named: ~/data/pets, and ~/data/birds by `-d`", exit_code=2)
    assert not (home / "data").exists()
    ok(dl("data", "organize", "raw", "-d", "pets"))
    assert (home / "data/pets/train/cat/1.jpg").is_file()


@pytest.mark.parametrize("kind", ["dataset", "features", "runs"])
@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_copy_of_two_datasets_is_refused_without_the_network(
    dl: Dl, pets: Path, direction: str, kind: str
) -> None:
    said = "Two datasets are named: ~/data/pets, and ~/data/birds by `-d`"
    refused(dl("aws", direction, kind, "pets", "-d", "birds"), said, exit_code=2)


@pytest.mark.parametrize("direction", ["put", "get"])
def test_a_copy_of_the_project_takes_no_dataset(dl: Dl, pets: Path, direction: str) -> None:
    said = "Leave out NAME and `-d`"
    refused(dl("aws", direction, "project", "-d", "pets"), said, exit_code=2)
