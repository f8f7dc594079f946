"""Where recipes are found: each file of `dlcli/recipes/` is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.recipe import Recipe


@lru_cache
def recipe_names() -> tuple[str, ...]:
    """The names of all recipes, sorted: each file of `dlcli/recipes/` is one."""
    from pkgutil import iter_modules

    from dlcli import recipes

    return tuple(sorted(m.name.replace("_", "-") for m in iter_modules(recipes.__path__)))


@lru_cache
def recipe_class(name: str) -> type[Recipe]:
    """The recipe's class.

    Raises:
        DlError: no such recipe; names the nearest.
    """
    if name not in recipe_names():
        raise DlError(
            f"No recipe is called {name!r}",
            hint=f"{did_you_mean(name, recipe_names())} `dl recipes` lists them all.",
            exit_code=ExitCode.USAGE,
        )
    module = import_module(f"dlcli.recipes.{name.replace('-', '_')}")
    (cls,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Recipe)
        and value.__module__ == module.__name__
    )
    return cls


def recipe_text(name: str) -> str:
    """The recipe file's docstring: what it teaches, its source, command, score and time."""
    recipe_class(name)
    return (import_module(f"dlcli.recipes.{name.replace('-', '_')}").__doc__ or "").strip()


def make_recipe(name: str, values: Mapping[str, Any]) -> Recipe:
    """A recipe with some hyperparameters set, the others at their defaults."""
    cls = recipe_class(name)
    return dataclasses.replace(cls(), **values)
