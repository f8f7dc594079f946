"""Find and load recipes: built-in ones, and those in `recipes/` beside a project's `dl.yaml`.

Each file is one recipe, named after the file. Reading names and texts runs no code of a project. A
recipe's code runs only if its project is trusted (`trust`), and never for completion. It runs once
per process, when its class is first needed, and its class is then checked as the tests check the
built-in ones. A project's file does not belong to a package, and its folder
is not on the import path: it imports `dlcli` and installed packages. A file that can't be used
breaks no other recipe.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Container, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from stat import S_ISREG
from types import ModuleType
from typing import Any

from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.paths import PROJECT_FILE, find_project_file, is_file, shown
from dlcli.recipe import KINDS, AnyRecipe, Recipe, kind_for
from dlcli.settings.augmentation import AMOUNTS
from dlcli.settings.fields import coerce, plain, settings_of
from dlcli.settings.shared import BACKBONE_SETTINGS, blocks
from dlcli.trust import UntrustedError, real, require_file, untrusted
from dlcli.words import printable, size

OWN_FOLDER = "recipes"
# In 0.1.0 `setting` and `Schedule` came from modules of their own.
IMPORTS = "from dlcli.recipe import Recipe, Schedule, setting"
# No recipe is longer; somebody's file of this name may be endless.
MOST_BYTES = 1 << 20
# Set while a shell completes a command line, which runs no code of a project.
COMPLETING = "_DL_COMPLETE"
# Options that a recipe's command has besides its settings.
TAKEN = {"config", "debug", "help", "members"}
# The shared settings that every recipe for a kind of dataset takes.
SHARED_KEYS: Mapping[str, tuple[str, ...]] = {
    "photos": (*AMOUNTS, "seed", "image_size", "workers", "memory", "on_error"),
    "ratings": ("seed",),
}
PLAIN = {int, float, bool, str, Path}


def recipe_names() -> tuple[str, ...]:
    """The names of all recipes, sorted; project recipes count even if they can't be loaded."""
    return tuple(sorted({*built_in_names(), *_files()}))


@lru_cache
def built_in_names() -> tuple[str, ...]:
    """The names of the built-in recipes, sorted: one for each file in `dlcli/recipes/`."""
    from pkgutil import iter_modules

    from dlcli import recipes

    return tuple(sorted(m.name.replace("_", "-") for m in iter_modules(recipes.__path__)))


def own_names() -> tuple[str, ...]:
    """The names of the project recipes beside the nearest `dl.yaml`, sorted."""
    return tuple(name for name in _files() if name not in built_in_names())


def recipe_class(name: str) -> type[AnyRecipe]:
    """The recipe's class.

    Raises:
        UntrustedError: it is of a project that is not trusted.
        DlError: there is no such recipe, and it names the nearest; or a project recipe can't be
            loaded.
    """
    if name in built_in_names():
        return recipe_in(import_module(_module_name(name)))
    loaded = load(_source_file(name))
    if isinstance(loaded, DlError):
        raise loaded
    return loaded


def kind_named(name: str) -> str:
    """The kind of dataset that a recipe is for; "" if its file can't be loaded, or is withheld."""
    if name in withheld_names():
        return ""
    try:
        return kind_for(recipe_class(name))
    except DlError:
        return ""


def recipe_keys(name: str) -> list[str]:
    """The settings that a command which trains a recipe takes."""
    cls = recipe_class(name)
    keys = [f"train.{name}.{field}" for field in settings_of(cls)]
    keys += SHARED_KEYS[kind_for(cls)]
    if issubclass(cls, Recipe) and cls.layer is not None:
        keys += [key for key in BACKBONE_SETTINGS if key not in cls.pinned]
    return keys


def hyperparameter_names(name: str) -> tuple[str, ...]:
    """The names of a project recipe's hyperparameters, to complete them; none of its code runs.

    They are the fields that `setting(...)` declares in its file, and those of the class of `dl`
    that it derives from. There are none if the project is not trusted.
    """
    import ast

    if name in withheld_names():
        return ()
    try:
        body = ast.parse(source_of(_source_file(name))).body
    except (DlError, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    known: dict[str, None] = {}
    homes = {"dlcli.recipe", *map(_module_name, built_in_names())}
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module in homes:
            for each in node.names:
                found = getattr(import_module(str(node.module)), each.name, None)
                if isinstance(found, type) and issubclass(found, AnyRecipe):
                    known |= dict.fromkeys(settings_of(found))
        for field in node.body if isinstance(node, ast.ClassDef) else ():
            match field:
                case ast.AnnAssign(
                    target=ast.Name(id=word), value=ast.Call(func=ast.Name(id="setting"))
                ):
                    known[word] = None
    return tuple(known)


def recipe_text(name: str) -> str:
    """The recipe file's docstring: what the recipe does, its source, command, score and time.

    Raises:
        DlError: there is no such recipe, or its file is not Python.
    """
    if name in built_in_names():
        return (import_module(_module_name(name)).__doc__ or "").strip()
    return docstring_of(_source_file(name))


def make_recipe(name: str, values: Mapping[str, Any]) -> AnyRecipe:
    """A recipe with some hyperparameters set and the others at their defaults."""
    cls = recipe_class(name)
    return dataclasses.replace(cls(), **values)


def recipe_file(name: str) -> Path | None:
    """The file of a project recipe; None if the recipe is built in."""
    return None if name in built_in_names() else _source_file(name)


def recipe_digest(name: str) -> str:
    """SHA-256 of the recipe's file, 16 hex digits: they tell whether its code has changed."""
    from hashlib import sha256

    return sha256(source_of(_source_file(name))).hexdigest()[:16]


def withheld_names() -> tuple[str, ...]:
    """The names of the project recipes that need trust in a folder, sorted; no file is opened."""
    files = {name: _files()[name] for name in own_names()}
    return tuple(name for name, file in files.items() if untrusted(file, file.parents[1]))


def why_withheld(name: str) -> UntrustedError:
    """The error for a project recipe that needs trust in a folder."""
    file = _source_file(name)
    folders = untrusted(file, file.parents[1])
    return UntrustedError(f"The recipe {shown(file)} is not run", folders[0])


def broken_files(*, without: Container[str] = ()) -> dict[Path, DlError]:
    """Each project file that can't be used, and why. This runs the code of all of them.

    Args:
        without: names of recipes to leave out.

    Raises:
        UntrustedError: the project is not trusted.
    """
    files = {name: file for name, file in _files().items() if name not in without}
    return {file: error for name, file in files.items() if (error := _fault(name, file))}


def loadable_names(*, without: Container[str] = ()) -> tuple[str, ...]:
    """The names of the recipes that can be used, sorted. This runs the code of project recipes.

    Args:
        without: names of recipes to leave out.

    Raises:
        UntrustedError: the project is not trusted.
    """
    names = [name for name in own_names() if name not in without]
    own = [name for name in names if not _fault(name, _source_file(name))]
    return tuple(sorted([*built_in_names(), *own]))


def shadowed_file(name: str) -> DlError | None:
    """The error for a project file with a built-in recipe's name; None if there is none."""
    file = _files().get(name)
    return _fault(name, file) if file and name in built_in_names() else None


def why_missing(name: str) -> str:
    """Why there is no such recipe, or why another one is used; empty if neither is so."""
    if other := shadowed_file(name):
        return f"{other.what[0].lower()}{other.what[1:]}, since {other.why}"
    if name in recipe_names():
        return ""
    file = f"{OWN_FOLDER}/{name.replace('-', '_')}.py"
    folder = _own_folder()
    if folder is None:
        return f"{name!r} is not built in, and there is no project here (no {PROJECT_FILE})"
    lacks = "is not a file" if os.path.lexists(folder.parent / file) else "does not exist"
    return f"{name!r} is not built in, and {shown(folder.parent / file)} {lacks}"


def _fault(name: str, file: Path) -> DlError | None:
    """Why a project file can't be used; None if it can."""
    if name in built_in_names():
        return DlError(
            f"The recipe {shown(file)} is not used",
            why=f"a built-in recipe has the name {name}",
            hint="Rename the file.",
        )
    loaded = load(file)
    return loaded if isinstance(loaded, DlError) else None


def _own_folder() -> Path | None:
    """The folder for the project's recipes, whether or not it exists; None outside a project."""
    try:
        project = find_project_file(Path.cwd())
    except FileNotFoundError:  # the current folder is gone; whoever needs one reports it
        return None
    return project.parent / OWN_FOLDER if project else None


def _files() -> dict[str, Path]:
    """The file of each project recipe, by the recipe's name, sorted."""
    folder = _own_folder()
    files = {
        file.stem.replace("_", "-"): file
        for file in (folder.glob("*.py") if folder else ())
        if file.stem.isidentifier() and not file.stem.startswith("_") and is_file(file)
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
            f"There is no recipe {name!r}",
            why=why_missing(name),
            hint=f"{did_you_mean(name, recipe_names())} `dl recipes` lists them all.",
            exit_code=ExitCode.USAGE,
        )
    return files[name]


def _module_name(name: str) -> str:
    return f"dlcli.recipes.{name.replace('-', '_')}"


@lru_cache
def source_of(file: Path) -> bytes:
    """A file's bytes as first read, so that the digest belongs to the code that ran.

    Raises:
        DlError: it is not a file, or too large for a recipe.
        OSError: it can't be read.
    """
    # not blocked by a FIFO that has taken the file's place
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise DlError("it is not a file")
        source = opened.read(MOST_BYTES + 1)
    if len(source) > MOST_BYTES:
        raise DlError(f"it is larger than {size(MOST_BYTES)}")
    return source


@lru_cache
def docstring_of(file: Path) -> str:
    """The docstring of a project file. This runs none of its code."""
    import ast

    try:
        text = ast.get_docstring(ast.parse(source_of(file), str(file))) or ""
    except (DlError, OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _broken(file, error) from error
    return "\n".join(map(printable, text.splitlines()))


def load(file: Path) -> type[AnyRecipe] | DlError:
    """The class in a project file, or why there is none.

    Raises:
        UntrustedError: the project is not trusted, or this completes a command line.
    """
    what = f"The recipe {shown(file)} is not run"
    if COMPLETING in os.environ:
        raise UntrustedError(what, real(file.parents[1]))
    require_file(file, file.parents[1], what)
    return _loaded(file)


@lru_cache
def _loaded(file: Path) -> type[AnyRecipe] | DlError:
    try:
        return _run(file)
    except DlError as error:
        return error


def _run(file: Path) -> type[AnyRecipe]:
    """Run a project file, and return its recipe's class.

    Raises:
        DlError: its code raised an error, or its class lacks something.
    """
    from contextlib import redirect_stdout
    from hashlib import sha256
    from importlib.util import module_from_spec, spec_from_file_location

    name = ""
    try:
        source = source_of(file)
        _refuse_keras(source, file)
        name = f"dl_recipe_{file.stem}_{sha256(source).hexdigest()[:16]}"
        spec = spec_from_file_location(name, file)
        assert spec is not None
        module = module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look up annotations there
        with redirect_stdout(sys.stderr):  # stdout is for results
            # not by the loader: its cache would miss a second edit within the same second
            exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))
            cls = recipe_in(module)
            _check(cls)
    except (Exception, SystemExit) as error:  # anybody's code may fail in any way
        sys.modules.pop(name, None)
        raise _broken(file, error) from error
    return cls


def _refuse_keras(source: bytes, file: Path) -> None:
    """Refuse Keras at the top of a file: importing it takes seconds, and reads its own settings."""
    import ast

    for node in ast.parse(source, str(file)).body:
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(name.partition(".")[0] == "keras" for name in names):
            raise DlError(
                f"line {node.lineno}: it imports keras before `dl` has set keras up; "
                "move the import into `head`"
            )


def _broken(file: Path, error: BaseException) -> DlError:
    """The error for a file that can't be loaded: the file, the line, the error, what to do."""
    from traceback import walk_tb

    if isinstance(error, DlError):
        text = f"{error.what}: {error.why}" if error.why else error.what
    else:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        text = ": ".join(filter(None, [type(error).__name__, " ".join(said.split())]))
    steps = walk_tb(error.__traceback__)
    lines = [line for frame, line in steps if frame.f_code.co_filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file) and error.lineno:
        lines.append(error.lineno)
    where = f"line {lines[-1]}: " if lines else ""
    mend = f"Mend it, or move it out of `{OWN_FOLDER}/`"
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "dlcli":
        mend = f"Correct its import: `{IMPORTS}`"
    return DlError(
        f"The recipe {shown(file)} can't be loaded",
        why=where + text,
        hint=f"{mend}; `dl recipes {file.stem.replace('_', '-')} --debug` shows the traceback.",
    )


def recipe_in(module: ModuleType) -> type[AnyRecipe]:
    """The only recipe class that a module defines."""
    found = {
        value: None
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, AnyRecipe)
        and value.__module__ == module.__name__
    }
    if len(found) == 1:
        return next(iter(found))
    names = ", ".join(f"`{cls.__name__}`" for cls in found)
    raise DlError(
        f"it has {len(found)} recipes ({names}), expected one"
        if found
        else "it has no class that derives from `Recipe` or from another recipe"
    )


def _check(cls: type[AnyRecipe]) -> None:
    """Refuse a class that is not a valid recipe.

    Raises:
        DlError: it is not a frozen dataclass, has no head, has a field without `setting(...)` or
            with a name or default that is not allowed, or gives a run a name that is not allowed.
    """
    if "__dataclass_params__" not in vars(cls):  # an inherited one knows no added fields
        raise DlError(f"its class `{cls.__name__}` lacks `@dataclass(frozen=True)`")
    base, builder = KINDS[kind_for(cls)]
    if getattr(cls, builder) is getattr(base, builder):
        raise DlError(f"its class `{cls.__name__}` has no method `{builder}`")
    shared = {f"{block}{name}": name for block, of in blocks().items() for name in settings_of(of)}
    settings = settings_of(cls)
    for field in dataclasses.fields(cls):
        if field.name not in settings:
            raise DlError(f"its field `{field.name}` is not declared with `setting(...)`")
        if field.name in TAKEN or field.name in shared.values():
            raise DlError(f"its field `{field.name}` has the name of an option of `dl` itself")
        setting = settings[field.name]
        if not setting.choices and setting.type not in PLAIN and not hasattr(setting.type, "parse"):
            raise DlError(f"its field `{field.name}` has a type that a setting can't have")
        if coerce(plain(field.default), setting) != field.default:
            raise DlError(f"its field `{field.name}` can't have the default {field.default!r}")
    if unknown := set(cls.pinned) - set(shared):
        raise DlError(f"it pins `{min(unknown)}`, which is not a setting")
    recipe = cls()
    recipe.phases()
    for word in recipe.telling():
        if not re.fullmatch(r"[\w.+-]+", word):
            raise DlError(f"its `telling()` gives {word!r}, which can't be part of a folder's name")
