"""Where recipes are found: built in, and in `recipes/` beside a project's `dl.yaml`.

Each file is one recipe, named by the file. Names and texts are read without running any code of a
project; a recipe's code runs when its class is asked for, once per process. A file of one's own
that can't be used breaks nothing but itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.paths import PROJECT_FILE, find_project_file, shown
from dlcli.recipe import Recipe
from dlcli.recipe_files import OWN_FOLDER, docstring_of, load, recipe_in, source_of


def recipe_names() -> tuple[str, ...]:
    """The names of all recipes, sorted; those of one's own whether or not they can be loaded."""
    return tuple(sorted({*built_in_names(), *_files()}))


@lru_cache
def built_in_names() -> tuple[str, ...]:
    """The names of the recipes that `dl` brings, sorted: each file of `dlcli/recipes/` is one."""
    from pkgutil import iter_modules

    from dlcli import recipes

    return tuple(sorted(m.name.replace("_", "-") for m in iter_modules(recipes.__path__)))


def own_names() -> tuple[str, ...]:
    """The names of the recipes beside the nearest `dl.yaml`, sorted."""
    return tuple(name for name in _files() if name not in built_in_names())


def recipe_class(name: str) -> type[Recipe]:
    """The recipe's class.

    Raises:
        DlError: no such recipe, and names the nearest; or one's own, which can't be loaded.
    """
    if name in built_in_names():
        return recipe_in(import_module(_module_name(name)))
    loaded = load(_source_file(name))
    if isinstance(loaded, DlError):
        raise loaded
    return loaded


def recipe_text(name: str) -> str:
    """The recipe file's docstring: what it teaches, its source, command, score and time.

    Raises:
        DlError: no such recipe, or its file isn't Python.
    """
    if name in built_in_names():
        return (import_module(_module_name(name)).__doc__ or "").strip()
    return docstring_of(_source_file(name))


def make_recipe(name: str, values: Mapping[str, Any]) -> Recipe:
    """A recipe with some hyperparameters set, the others at their defaults."""
    cls = recipe_class(name)
    return dataclasses.replace(cls(), **values)


def recipe_file(name: str) -> Path | None:
    """The file of a recipe of one's own; None where it is built in."""
    return None if name in built_in_names() else _source_file(name)


def recipe_digest(name: str) -> str:
    """SHA-256 of the recipe's own file, 16 hex digits: the same code or not."""
    from hashlib import sha256

    return sha256(source_of(_source_file(name))).hexdigest()[:16]


def unusable() -> dict[Path, DlError]:
    """Each file of one's own that can't be used, and why; the code of them all is run."""
    return {file: error for name, file in _files().items() if (error := _fault(name, file))}


def usable_names() -> tuple[str, ...]:
    """The names of the recipes that can be used, sorted; the code of one's own is run."""
    own = [name for name in own_names() if not _fault(name, _source_file(name))]
    return tuple(sorted([*built_in_names(), *own]))


def shadowed(name: str) -> DlError | None:
    """What is wrong where a file of one's own has a built-in recipe's name."""
    file = _files().get(name)
    return _fault(name, file) if file and name in built_in_names() else None


def why_not(name: str) -> str:
    """Why there is no such recipe, or not the one that may be meant; empty where there is one."""
    if other := shadowed(name):
        return f"{other.what[0].lower()}{other.what[1:]}, since {other.why}"
    if name in recipe_names():
        return ""
    file = f"{OWN_FOLDER}/{name.replace('-', '_')}.py"
    folder = _own_folder()
    if folder is None:
        return f"{name!r} isn't built in, and there is no {PROJECT_FILE} with a {file} beside it"
    return f"{name!r} isn't built in, and there is no {shown(folder.parent / file)}"


def _fault(name: str, file: Path) -> DlError | None:
    """Why a file of one's own can't be used, if it can't."""
    if name in built_in_names():
        return DlError(
            f"The recipe {shown(file)} isn't used",
            why=f"a built-in recipe is called {name}",
            hint="Give the file another name.",
        )
    loaded = load(file)
    return loaded if isinstance(loaded, DlError) else None


def _own_folder() -> Path | None:
    """The folder of the project's recipes, there or not; None outside of a project."""
    try:
        project = find_project_file(Path.cwd())
    except FileNotFoundError:  # the current folder is gone, and what needs one says so
        return None
    return project.parent / OWN_FOLDER if project else None


def _files() -> dict[str, Path]:
    """Each file that is a recipe of one's own, by its name, sorted."""
    folder = _own_folder()
    files = {
        file.stem.replace("_", "-"): file
        for file in (folder.glob("*.py") if folder else ())
        if file.stem.isidentifier() and not file.stem.startswith("_") and file.is_file()
    }
    return dict(sorted(files.items()))


def _source_file(name: str) -> Path:
    """The file of any recipe."""
    if name in built_in_names():
        from dlcli import recipes

        return Path(recipes.__path__[0]) / f"{name.replace('-', '_')}.py"
    files = _files()
    if name not in files:
        raise DlError(
            f"No recipe is called {name!r}",
            why=why_not(name),
            hint=f"{did_you_mean(name, recipe_names())} `dl recipes` lists them all.",
            exit_code=ExitCode.USAGE,
        )
    return files[name]


def _module_name(name: str) -> str:
    return f"dlcli.recipes.{name.replace('-', '_')}"
