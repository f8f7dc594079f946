"""The dotted keys of all settings, and what each setting declares.

The built-in settings are known at once. Those of a project recipe are known only after its code has
run, which happens only for commands that use the recipe or list all settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain

from dlcli.catalog import built_in_names, loadable_names, own_names, recipe_class, why_missing
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.settings.fields import Setting, settings_of
from dlcli.settings.schedule import EPOCHS, RATE
from dlcli.settings.shared import blocks

TRAIN = "train."
# The recipe that examples name first.
USUAL = "finetune"


@lru_cache
def declarations() -> Mapping[str, Setting]:
    """Every built-in setting, including those of built-in recipes."""
    found = dict(_shared())
    for recipe in built_in_names():
        found |= _declared_by(recipe)
    return found


@lru_cache
def _shared() -> Mapping[str, Setting]:
    """The settings that belong to no recipe."""
    return {
        f"{block}{name}": declaration
        for block, cls in blocks().items()
        for name, declaration in settings_of(cls).items()
    }


def all_keys() -> tuple[str, ...]:
    """Every dotted key; project recipes are loaded, and left out if they can't be."""
    own = [name for name in loadable_names() if name in own_names()]
    return (*declarations(), *(key for name in own for key in _declared_by(name)))


def declared(key: str) -> Setting:
    """The declaration behind a dotted key.

    Raises:
        DlError: no such setting (names the nearest), or its recipe can't be loaded.
    """
    recipe = recipe_of(key)
    there = recipe in built_in_names() or own_recipe_of(key)
    of_block = _declared_by(recipe) if there else _shared()
    if key in of_block:
        return of_block[key]
    name = key.rpartition(".")[2]
    if name in (*RATE, *EPOCHS):
        schedule = f"{TRAIN}{recipe if there else USUAL}.schedule"
        usual = declared(schedule)
        raise DlError(
            f"No setting is called `{key}`",
            why="a recipe's schedule holds rates and epochs",
            hint=f"For example: `dl config set {schedule} {usual.text(usual.default)}`.",
            exit_code=ExitCode.USAGE,
        )
    known = {**declarations(), **of_block}
    homes = _named(key, known)
    if not homes:
        near = did_you_mean(key, tuple(known))
    elif len(homes) == 1:
        near = f"Did you mean `{homes[0]}`?"
    elif all(map(recipe_of, homes)):
        near = f"Name the recipe too, as in `{homes[0]}`."
    else:
        near = f"Did you mean {', '.join(f'`{each}`' for each in homes[:-1])} or `{homes[-1]}`?"
    raise DlError(
        f"No setting is called `{key}`",
        why=why_missing(recipe) if recipe and not homes else "",
        hint=f"{near} `dl config show` lists them all.",
        exit_code=ExitCode.USAGE,
    )


def keys_of_recipes(key: str) -> list[str]:
    """The dotted keys that a name alone may mean, if they are several, all of recipes."""
    if key in declarations() or own_recipe_of(key):  # all keys would need the code of all recipes
        return []
    homes = _named(key, all_keys())
    return homes if len(homes) > 1 and all(map(recipe_of, homes)) else []


def _named(key: str, known: Iterable[str]) -> list[str]:
    """The known keys that end with a name, that of the usual recipe first."""
    last = key.removeprefix(TRAIN).replace("-", "_")
    found = [each for each in known if each.endswith(f".{last}")]
    return sorted(found, key=lambda each: recipe_of(each) != USUAL)


def whole_key(key: str) -> str:
    """A dotted key by its last part, if no other key ends so; else what was typed."""
    if key in declarations() or own_recipe_of(key):
        return key
    keys = all_keys()
    homes = [each for each in keys if each.endswith(f".{key}")]
    return homes[0] if len(homes) == 1 and key not in keys else key


def key_named(name: str, recipe: str = "") -> str:
    """The dotted key, "train.finetune.dropout", of a setting named by its last part.

    The recipe's hyperparameters come first, then shared settings, then those in blocks.

    Raises:
        DlError: there is no such setting; names the nearest.
    """
    homes: dict[str, type] = {f"{TRAIN}{recipe}.": recipe_class(recipe)} if recipe else {}
    homes |= blocks()
    for home, cls in homes.items():
        if name in settings_of(cls):
            return f"{home}{name}"
    known = [*(("epochs", "lr") if recipe else ()), *chain(*map(settings_of, homes.values()))]
    raise DlError(
        f"No setting is called `{name}`",
        hint=f"{did_you_mean(name, known)} `dl config show` lists them all.",
        exit_code=ExitCode.USAGE,
    )


def recipe_of(key: str) -> str:
    """The recipe, existing or not, that a key below `train.` names; "" for another key."""
    return key.removeprefix(TRAIN).partition(".")[0] if key.startswith(TRAIN) else ""


def own_recipe_of(key: str) -> str | None:
    """The project recipe, existing or not, that a key belongs to."""
    name = recipe_of(key)
    return name if name and name in own_names() else None


def _declared_by(recipe: str) -> Mapping[str, Setting]:
    cls: type = recipe_class(recipe)
    return _declared(recipe, cls)


@lru_cache
def _declared(recipe: str, cls: type) -> Mapping[str, Setting]:
    return {f"{TRAIN}{recipe}.{name}": setting for name, setting in settings_of(cls).items()}
