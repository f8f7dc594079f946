"""What stands in a run's `config.yaml`: by dotted keys, and where it is not the default."""

from __future__ import annotations

from datetime import date
from typing import Any

from support.listed_runs import listed_run

from dlcli.files.formats import flat
from dlcli.runs.settings import Changed, changed_settings


def changed(recipe: str = "finetune", **settings: Any) -> dict[str, Changed]:
    hyperparameters = settings.pop("hyperparameters", {})
    config = {"train": {recipe: hyperparameters}, "run": {"recipe": recipe}, **settings}
    return {each.key: each for each in changed_settings(config)}


def test_nested_settings_are_known_by_dotted_keys_and_lists_left_out() -> None:
    nested = {
        "seed": 1,
        "train": {"fc": {"dropout": 0.5}},
        "classes": ["cat"],
        "when": date(2026, 11, 23),
    }
    assert dict(flat(nested)) == {"seed": 1, "train.fc.dropout": 0.5, "when": "2026-11-23"}
    assert dict(flat(None)) == {}


def test_settings_that_are_not_the_default_are_told_with_it() -> None:
    found = changed(
        seed=7, hyperparameters={"dropout": 0.25, "augment": False, "schedule": "1e-3x3"}
    )
    assert list(found) == ["train.finetune.dropout", "train.finetune.schedule", "seed"]
    assert found["seed"] == Changed("seed", 7, 0)
    assert (found["train.finetune.dropout"].value, found["train.finetune.dropout"].default) == (
        0.25,
        0.5,
    )


def test_one_value_written_in_two_ways_is_one_value() -> None:
    default = changed(hyperparameters={"schedule": "1e-3x9"})["train.finetune.schedule"].default
    assert changed(hyperparameters={"schedule": default}) == {}
    assert changed(seed="0") == {}


def test_where_things_lie_and_what_was_decided_for_one_is_no_change() -> None:
    assert changed(data_dir="/data", dataset="/data/dogs", workers=9, memory=3.5) == {}
    assert changed(image_size=320, engine="openvino", precision="bf16") == {}
    assert changed("cnn", image_size=64) == {}
    assert changed("vgg-finetune", backbone="vgg16", image_size=224) == {}


def test_an_image_size_that_is_not_the_recipes_or_the_backbones_own_is_told() -> None:
    assert changed(image_size=64)["image_size"] == Changed("image_size", 64, 320)
    assert changed("cnn", image_size=96)["image_size"] == Changed("image_size", 96, 64)
    assert not changed("lost", image_size=96)["image_size"].known
    assert not changed(backbone="lost", image_size=96)["image_size"].known


def test_what_is_written_besides_is_told() -> None:
    assert list(changed(tensorboard=True, keep_checkpoint=True)) == [
        "tensorboard",
        "keep_checkpoint",
    ]


def test_what_the_recipe_fixes_is_no_change() -> None:
    assert changed("vgg-finetune", backbone="vgg16") == {}
    assert list(changed(backbone="vgg16")) == ["backbone"]


def test_amounts_that_follow_from_the_preset_are_no_change() -> None:
    mnist = {"preset": "mnist", "rotation": 8.0, "width_shift": 0.08, "height_shift": 0.08}
    mnist |= {"shear": 0.3, "zoom": 0.08, "horizontal_flip": False, "channel_shift": 0.0}
    assert list(changed(augmentation=mnist)) == ["augmentation.preset"]
    assert list(changed(augmentation=mnist | {"rotation": 30.0})) == [
        "augmentation.preset",
        "augmentation.rotation",
    ]


def test_settings_of_another_version_and_of_a_recipe_that_is_gone_are_told() -> None:
    found = changed("lost", mood="good", hyperparameters={"depth": 3})
    assert {key: each.known for key, each in found.items()} == {
        "train.lost.depth": False,
        "mood": False,
    }


def test_a_value_that_is_not_allowed_any_more_is_told() -> None:
    assert not changed(hyperparameters={"batch_size": "many"})["train.finetune.batch_size"].known


def test_a_runs_own_file_is_read(home: object) -> None:
    run = listed_run(hyperparameters={"dropout": 0.1})
    assert "train.finetune.dropout" in [each.key for each in changed_settings(run.config)]
