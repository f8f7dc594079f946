"""Settings of a recipe of one's own: read when the recipe is used, and in nobody's way before."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.project import BROKEN, WIDE, make_project

from dlcli.config import load_config
from dlcli.errors import DlError
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.keys import all_keys, declarations, declared
from dlcli.settings_file import save_setting

TELLTALE = 'open("it ran", "w")\n'


def test_its_hyperparameters_are_settings_from_every_source(home: Path) -> None:
    make_project(home, "train: {wide: {units: 5, batch_size: '6'}}", wide=WIDE)
    assert declared("train.wide.units").help == "outputs of the hidden layer"
    assert [key for key in all_keys() if key not in declarations()] == [
        f"train.wide.{name}" for name in load_config(environ={}).recipe("wide").hyperparameters()
    ]
    config = load_config(environ={"DL_TRAIN__WIDE__UNITS": "7"})
    assert config.recipe("wide").batch_size == 6
    assert config.get("train.wide.units").value == 7
    assert config.get("train.wide.units").origin == "DL_TRAIN__WIDE__UNITS"
    write_yaml(home / "chosen.yaml", {"train": {"wide": {"units": 8}}})
    config = load_config(home / "chosen.yaml", environ={"DL_TRAIN__WIDE__UNITS": "7"})
    assert config.recipe("wide").hyperparameters()["units"] == 8
    config = config.with_flags({"train.wide.units": "9"})
    assert config.recipe("wide").hyperparameters()["units"] == 9


def test_they_are_read_without_its_code_until_it_is_used(home: Path) -> None:
    settings = "train: {own: {units: many, what: 3}}\nseed: 5\n"
    make_project(home, settings, own=TELLTALE + WIDE)
    config = load_config(environ={"DL_TRAIN__OWN__UNITS": "none", "DL_SEED": "6"})
    assert config.settings().seed == 6
    assert config.recipe("finetune")
    assert not (home / "it ran").exists()
    with pytest.raises(DlError, match=r"^DL_TRAIN__OWN__UNITS: `train\.own\.units` can't"):
        config.recipe("own")
    assert (home / "it ran").exists()


@pytest.mark.parametrize(
    ("settings", "what", "hint"),
    [
        (
            "units: many",
            "~/dl.yaml: `train.wide.units` can't be 'many'",
            "outputs of the hidden layer",
        ),
        ("unts: 3", "~/dl.yaml: No setting is called `train.wide.unts`", "`train.wide.units`"),
        ("units: {a: 1}", "~/dl.yaml: No setting is called `train.wide.units.a`", "units`"),
    ],
)
def test_what_its_code_does_not_know_is_refused_where_it_is_used(
    home: Path, settings: str, what: str, hint: str
) -> None:
    make_project(home, f"train: {{wide: {{{settings}}}}}", wide=WIDE)
    config = load_config(environ={})
    for use in (lambda: config.recipe("wide"), lambda: dict(config.items())):
        with pytest.raises(DlError) as caught:
            use()
        assert caught.value.what == what
        assert hint in caught.value.hint


def test_a_block_of_another_shape_says_so(home: Path) -> None:
    make_project(home, "train: {wide: 3}", wide=WIDE)
    with pytest.raises(DlError, match=r"~/dl\.yaml: `train\.wide` holds other settings, not 3"):
        load_config(environ={})
    make_project(home, "train:\n  wide:\n")
    assert load_config(environ={}).values == {}


def test_settings_of_a_broken_one_stop_only_what_uses_it(home: Path) -> None:
    make_project(home, "train: {broken: {units: 3}, wide: {units: 5}}", broken=BROKEN, wide=WIDE)
    config = load_config(environ={})
    assert "train.broken.units" not in dict(config.items())
    assert dict(config.items())["train.wide.units"].value == 5
    assert config.recipe("finetune")
    for use in (lambda: config.recipe("broken"), lambda: config.get("train.broken.units")):
        with pytest.raises(DlError, match=r"recipes/broken\.py can't be loaded: line 3: Module"):
            use()


def test_of_a_recipe_that_is_not_here_the_file_is_named(home: Path, tmp_path: Path) -> None:
    record = {"train": {"wide": {"units": 3}}, "run": {"recipe": "wide"}}
    write_yaml(tmp_path / "config.yaml", record)
    with pytest.raises(DlError) as caught:
        load_config(tmp_path / "config.yaml", environ={})
    assert "No setting is called `train.wide.units`" in caught.value.what
    assert "there is no project here (no dl.yaml)" in caught.value.why
    make_project(home, wide=WIDE)
    config = load_config(tmp_path / "config.yaml", environ={})
    assert config.recipe("wide").hyperparameters()["units"] == 3


def test_settings_meant_for_a_file_of_a_built_in_name_say_that_it_is_not_used(home: Path) -> None:
    make_project(home, "train: {finetune: {units: 3}}", finetune=WIDE)
    with pytest.raises(DlError) as caught:
        load_config(environ={})
    assert "the recipe ~/recipes/finetune.py is not used" in caught.value.why


def test_one_is_kept_in_the_projects_file(home: Path) -> None:
    make_project(home, "seed: 3\n", wide=WIDE)
    assert save_setting(home / "dl.yaml", "train.wide.units", "8") == 8
    assert read_yaml(home / "dl.yaml") == {"seed": 3, "train": {"wide": {"units": 8}}}
    with pytest.raises(DlError, match=r"`train\.wide\.units` can't be 'many'"):
        save_setting(home / "dl.yaml", "train.wide.units", "many")
