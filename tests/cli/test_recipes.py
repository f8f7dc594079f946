"""`dl recipes`, and the options that `dl train` makes of a recipe's fields."""

from __future__ import annotations

import json

import pytest
from typed import Dl, ok

from dlcli.catalog import recipe_class, recipe_names, recipe_text
from dlcli.fields import settings_of


def test_the_recipes_are_listed_with_what_they_do(dl: Dl) -> None:
    header, *rows = ok(dl("recipes")).stdout.splitlines()
    assert header.split(maxsplit=1) == ["recipe", "what it does"]
    assert [row.split()[0] for row in rows] == list(recipe_names())
    for name, row in zip(recipe_names(), rows, strict=True):
        assert row.endswith(recipe_text(name).splitlines()[0])


def test_one_recipe_is_shown_with_its_text_and_defaults(dl: Dl) -> None:
    page = ok(dl("recipes", "finetune")).stdout
    assert " ".join(page.split()).startswith(" ".join(recipe_text("finetune").split()))
    text, _, _ = page.partition("\nhyperparameter")
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [line for line in page.splitlines() if line.startswith("batch_size ")]
    assert row.split(maxsplit=2) == ["batch_size", "64", "images per step"]
    (row,) = [line for line in page.splitlines() if line.startswith("early_stopping ")]
    assert row.split()[1] == "none"
    (row,) = [line for line in page.splitlines() if line.startswith("augment ")]
    assert row.split()[1] == "false"


def test_recipes_as_json(dl: Dl) -> None:
    listed = json.loads(ok(dl("recipes", "--json")).stdout)
    assert [recipe["name"] for recipe in listed] == list(recipe_names())
    one = json.loads(ok(dl("recipes", "linear", "--json")).stdout)
    assert one["name"] == "linear"
    assert one["hyperparameters"]["batch_size"] == 64


@pytest.mark.parametrize("name", recipe_names())
def test_every_hyperparameter_is_an_option_with_its_help(dl: Dl, name: str) -> None:
    page = " ".join(ok(dl("train", name, "--help")).stdout.split())
    for setting in settings_of(recipe_class(name)).values():
        assert f"--{setting.name.replace('_', '-')}" in page
        assert setting.help in page


def test_a_setting_that_a_recipe_fixes_is_no_option_of_it(dl: Dl) -> None:
    assert "--backbone" in ok(dl("train", "finetune", "--help")).stdout
    assert "--backbone" not in ok(dl("train", "vgg-finetune", "--help")).stdout
