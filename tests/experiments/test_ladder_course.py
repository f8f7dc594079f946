"""The course's order, and what its recipes name as simpler and richer."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dlcli.catalog import built_in_names, make_recipe, recipe_class
from dlcli.experiments.ladder import RUNGS
from dlcli.settings.schedule import Schedule
from dlcli.training.photos.outcome import options_of


def test_the_ladder_is_the_courses() -> None:
    assert [rung.name for rung in RUNGS] == [
        "linear",
        "dense",
        "cnn",
        "cnn +augment",
        "cnn +batchnorm",
        "cnn +dropout",
        "imagenet-linear",
        "finetune",
        "fc",
        "bn",
    ]
    assert RUNGS[5].command == "dl train cnn --augment --batchnorm --dropout 0.5"


@pytest.mark.parametrize("name", built_in_names())
def test_a_simpler_or_richer_model_is_a_command_that_neither_adds_nor_drops_regularisation(
    name: str,
) -> None:
    cls = recipe_class(name)
    assert cls.simpler or cls.richer
    for command in filter(None, (cls.simpler, cls.richer)):
        dl, train, recipe, *flags = shlex.split(command)
        assert (dl, train) == ("dl", "train")
        assert recipe in built_in_names()
        assert recipe_class(recipe).pinned == cls.pinned  # the same network
        assert not {"--augment", "--dropout", "--batchnorm"} & set(flags)


def test_a_sample_names_its_dataset_and_pixels_a_pretrained_network(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    sample = tmp_path / "pets-sample"
    options = options_of(make_recipe("cnn", {}), "cnn", sample, normalises=False)
    assert options.full == f"dl train cnn -d {tmp_path / 'pets'}"
    assert options.pretrained == "dl train finetune"
    options = options_of(make_recipe("fc", {}), "fc", tmp_path / "pets", normalises=False)
    assert (options.full, options.pretrained) == (None, None)


def test_options_keep_a_frozen_network_fast_and_change_the_schedule(tmp_path: Path) -> None:
    given = {"schedule": Schedule.parse("50x10,5x2")}
    options = options_of(make_recipe("finetune", given), "finetune", tmp_path, normalises=False)
    assert options.augment == ("augment=true", "augment_passes=5")
    assert (options.longer, options.slower) == ("dl rerun RUN --epochs 24", "dl rerun RUN --lr 5")
    for name, more in (("cnn", {}), ("finetune", {"unfreeze": 2})):
        options = options_of(make_recipe(name, more), name, tmp_path, False)
        assert options.augment == ("augment=true",)
