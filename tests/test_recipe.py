"""What every recipe promises, held over all files in `dlcli/recipes/`."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlcli.recipes
from dlcli.catalog import built_in_names, make_recipe, recipe_class, recipe_text
from dlcli.config import load_config
from dlcli.settings.fields import coerce, settings_of
from dlcli.settings.schedule import Schedule

every_recipe = pytest.mark.parametrize("name", built_in_names())


def test_each_file_is_one_recipe_of_its_name() -> None:
    (folder,) = dlcli.recipes.__path__
    files = {path.stem.replace("_", "-") for path in Path(folder).glob("*.py")} - {"--init--"}
    assert set(built_in_names()) == files
    assert list(built_in_names()) == sorted(built_in_names())
    assert {"finetune", "vgg-finetune", "linear"} <= files


@every_recipe
def test_its_text_says_what_it_teaches_where_from_and_how_to_run_it(name: str) -> None:
    first, *rest = recipe_text(name).splitlines()
    assert first.endswith(".")
    assert len(first) <= 90
    assert "Source: " in "\n".join(rest)
    assert re.search(rf"^Command: `dl train {name}( -[^`]*)?`", "\n".join(rest), re.MULTILINE)


@every_recipe
def test_it_is_frozen_and_made_of_declared_settings_alone(name: str) -> None:
    cls = recipe_class(name)
    assert set(settings_of(cls)) == {field.name for field in dataclasses.fields(cls)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        cls().batch_size = 1  # type: ignore[misc]


@every_recipe
def test_its_hyperparameters_as_yaml_holds_them_make_it_again(name: str) -> None:
    recipe = dataclasses.replace(
        recipe_class(name)(), schedule=Schedule(((1 / 3, 2), (1e-7, 1))), early_stopping=3
    )
    settings = settings_of(type(recipe))
    values = {k: coerce(v, settings[k]) for k, v in recipe.hyperparameters().items()}
    assert make_recipe(name, values) == recipe


@every_recipe
def test_what_tells_its_runs_apart_fits_into_a_folders_name(name: str) -> None:
    telling = make_recipe(name, {}).telling()
    assert 1 <= len(telling) <= 4
    assert all(re.fullmatch(r"[a-z0-9.-]+", value) for value in telling)


@every_recipe
def test_its_phases_hold_its_schedule(name: str) -> None:
    recipe = make_recipe(name, {"schedule": Schedule.parse("1e-2x3,1e-3")})
    assert recipe.phases()[0].schedule == Schedule.parse("1e-2x3,1e-3")


@every_recipe
def test_what_it_fixes_are_settings(name: str) -> None:
    config = load_config(environ={})
    for key in recipe_class(name).pinned:
        assert config.get(key)


def test_augmentation_is_of_every_phase() -> None:
    values = {"augment": True, "unfreeze": 1}
    assert [phase.augment for phase in make_recipe("finetune", values).phases()] == [True, True]
    assert [phase.augment for phase in make_recipe("finetune", {}).phases()] == [False]


def test_unfreezing_comes_after_the_head_at_a_tenth_of_its_rates_unless_told_otherwise() -> None:
    values = {"schedule": Schedule.parse("1e-3x2"), "unfreeze": 3}
    head, unfreeze = make_recipe("finetune", values).phases()
    assert (head.unfreeze, head.trains_backbone) == (0, False)
    assert (unfreeze.unfreeze, unfreeze.trains_backbone) == (3, True)
    assert unfreeze.schedule == Schedule.parse("1e-4x2")
    own = values | {"unfreeze_schedule": Schedule.parse("5e-6x7")}
    assert make_recipe("finetune", own).phases()[1].schedule == Schedule.parse("5e-6x7")


def test_what_is_said_of_a_finetune_in_its_runs_name() -> None:
    values = {"schedule": Schedule.parse("1e-3x8,1e-4x4"), "unfreeze": 2, "augment": True}
    assert make_recipe("finetune", values).telling() == ("e24", "lr0.001", "t3", "aug")
    values = {"dropout": 0.75, "augment": True}
    assert make_recipe("finetune", values).telling() == ("e12", "lr0.003", "t1", "d0.75-aug")
    assert make_recipe("finetune", {"dropout": 0.0}).telling() == ("e12", "lr0.003", "t1", "d0")


@given(
    st.sampled_from(["finetune", "fc", "bn", "imagenet-linear"]),
    st.integers(1, 100_000),
    st.integers(2, 1000),
    st.integers(1, 512),
)
def test_small_datasets_and_many_classes_get_more_epochs(
    name: str, images: int, classes: int, batch_size: int
) -> None:
    recipe = replace(make_recipe(name, {}), batch_size=batch_size)
    fitted = recipe.fitted(images, classes)
    usual, steps = recipe.schedule.epochs, fitted.schedule.epochs * math.ceil(images / batch_size)
    assert fitted.schedule.epochs >= usual
    assert steps >= 200 + 10 * (classes - 2) or fitted.schedule.epochs == 200
    if fitted.schedule.epochs > usual:  # no more than needed
        assert steps - math.ceil(images / batch_size) < 200 + 10 * (classes - 2)
    assert [rate for rate, _ in fitted.schedule.steps] == [r for r, _ in recipe.schedule.steps]
    assert replace(fitted, schedule=recipe.schedule) == recipe


def test_only_phases_on_stored_features_get_more_epochs() -> None:
    finetune = make_recipe("finetune", {})
    assert replace(finetune, augment=True).fitted(20, 2).schedule.epochs == 12
    assert replace(finetune, augment=True, augment_passes=3).fitted(20, 2).schedule.epochs == 200
    assert make_recipe("cnn", {}).fitted(20, 2) == make_recipe("cnn", {})
    head, last = replace(finetune, unfreeze=2).fitted(20, 2).phases()
    assert (head.schedule.epochs, str(last.schedule)) == (200, "0.0003x8,3e-05x4")
    head, last = replace(finetune, unfreeze=2).fitted(1_602, 2).phases()
    assert (head.schedule.epochs, last.schedule.epochs) == (12, 12)
