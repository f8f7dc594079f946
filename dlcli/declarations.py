"""Every setting there is by its dotted key: `seed`, `kaggle.positive`, `train.finetune.schedule`.

What `dl` brings is known at once. What a recipe of one's own declares is known once its code has
run, so it is asked for only where a command concerns that recipe, or lists them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from dlcli.catalog import built_in_names, own_names, recipe_class, usable_names, why_not
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.settings.fields import Setting, settings_of
from dlcli.settings.shared import BLOCKS, Settings

TRAIN = "train."


@lru_cache
def declarations() -> Mapping[str, Setting]:
    """Every setting that `dl` brings, built-in recipes' included."""
    found = dict(_shared())
    for recipe in built_in_names():
        found |= _declared_by(recipe)
    return found


@lru_cache
def _shared() -> Mapping[str, Setting]:
    """The settings that belong to no recipe."""
    blocks = {"": Settings, **{f"{name}.": cls for name, cls in BLOCKS.items()}}
    return {
        f"{block}{name}": declaration
        for block, cls in blocks.items()
        for name, declaration in settings_of(cls).items()
    }


def all_keys() -> tuple[str, ...]:
    """Every dotted key there is; one's own recipes are loaded, and left out where they can't be."""
    own = [name for name in usable_names() if name in own_names()]
    return (*declarations(), *(key for name in own for key in _declared_by(name)))


def declared(key: str) -> Setting:
    """The declaration behind a dotted key.

    Raises:
        DlError: no such setting, and names the nearest; or one of a recipe that can't be loaded.
    """
    recipe = recipe_of(key)
    there = recipe in built_in_names() or own_recipe_of(key)
    near = _declared_by(recipe) if there else _shared()
    if key in near:
        return near[key]
    known = {**declarations(), **near}
    raise DlError(
        f"No setting is called `{key}`",
        why=why_not(recipe) if recipe else "",
        hint=f"{did_you_mean(key, tuple(known))} `dl config show` lists them all.",
        exit_code=ExitCode.USAGE,
    )


def recipe_of(key: str) -> str:
    """The recipe that a key below `train.` names, there or not; empty for another key."""
    return key.removeprefix(TRAIN).partition(".")[0] if key.startswith(TRAIN) else ""


def own_recipe_of(key: str) -> str | None:
    """The recipe of one's own that a key belongs to, or would."""
    name = recipe_of(key)
    return name if name and name in own_names() else None


def _declared_by(recipe: str) -> Mapping[str, Setting]:
    cls: type = recipe_class(recipe)
    return _declared(recipe, cls)


@lru_cache
def _declared(recipe: str, cls: type) -> Mapping[str, Setting]:
    return {f"{TRAIN}{recipe}.{name}": setting for name, setting in settings_of(cls).items()}
