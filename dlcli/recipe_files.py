"""A recipe of one's own: loaded from its file, and checked as the tests check the built-in ones.

The file is no part of a package and its folder no part of the path: what it imports is `dlcli` and
what is installed.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.recipe import Recipe
from dlcli.settings.fields import coerce, plain, settings_of
from dlcli.settings.shared import BLOCKS, Settings

OWN_FOLDER = "recipes"
# Options that a recipe's command has beside its settings.
TAKEN = {"config", "debug", "help", "members"}
PLAIN = {int, float, bool, str, Path}


@lru_cache
def source_of(file: Path) -> bytes:
    """A file's bytes as first read, so that the digest is of the code that ran."""
    return file.read_bytes()


@lru_cache
def docstring_of(file: Path) -> str:
    """The docstring of a file of one's own, none of whose code is run."""
    import ast

    try:
        return ast.get_docstring(ast.parse(source_of(file), str(file))) or ""
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise _broken(file, error) from error


@lru_cache
def load(file: Path) -> type[Recipe] | DlError:
    """The class in a file of one's own, or why there is none."""
    try:
        return _run(file)
    except DlError as error:
        return error


def _run(file: Path) -> type[Recipe]:
    """Run a file of one's own, and return its recipe's class.

    Raises:
        DlError: whatever its code raised, or what its class lacks.
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
        sys.modules[name] = module  # dataclasses look their annotations up there
        with redirect_stdout(sys.stderr):  # stdout is for results
            # not by the loader: its cache would take an edit within the same second for no edit
            exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))
            cls = recipe_in(module)
            _check(cls)
    except (Exception, SystemExit) as error:  # it is anybody's code, and may fail in any way
        sys.modules.pop(name, None)
        raise _broken(file, error) from error
    return cls


def _refuse_keras(source: bytes, file: Path) -> None:
    """Refuse Keras at the top of a file: it would obey `~/.keras/keras.json`, and take seconds."""
    import ast

    for node in ast.parse(source, str(file)).body:
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(name.partition(".")[0] == "keras" for name in names):
            raise DlError(
                f"line {node.lineno}: it imports keras before `dl` has set it up, "
                "which has to be done inside `head`"
            )


def _broken(file: Path, error: BaseException) -> DlError:
    """What is said of a file that can't be loaded: the file, the line, the error, what to do."""
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
    return DlError(
        f"The recipe {shown(file)} can't be loaded",
        why=where + text,
        hint=f"Mend it, or move it out of `{OWN_FOLDER}/`; "
        f"`dl recipes {file.stem.replace('_', '-')} --debug` shows the traceback.",
    )


def recipe_in(module: ModuleType) -> type[Recipe]:
    """The one recipe that a module defines itself."""
    found = {
        value: None
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Recipe)
        and value.__module__ == module.__name__
    }
    if len(found) == 1:
        return next(iter(found))
    names = ", ".join(f"`{cls.__name__}`" for cls in found)
    raise DlError(
        f"it has {len(found)} recipes, {names}, where a file holds one"
        if found
        else "it has no class derived from `Recipe`, or from another recipe"
    )


def _check(cls: type[Recipe]) -> None:
    """Refuse a class that can't be what a recipe promises to be.

    Raises:
        DlError: no frozen dataclass, no head, a field that isn't declared by `setting(...)`, one
            whose name or default can't be, or a run's name that can't.
    """
    if "__dataclass_params__" not in vars(cls):  # inherited, it would overlook the fields added
        raise DlError(f"`@dataclass(frozen=True)` is missing above its class `{cls.__name__}`")
    if cls.head is Recipe.head:
        raise DlError(f"its class `{cls.__name__}` has no method `head`")
    blocks = {"": Settings, **{f"{name}.": block for name, block in BLOCKS.items()}}
    shared = {f"{block}{name}": name for block, of in blocks.items() for name in settings_of(of)}
    settings = settings_of(cls)
    for field in dataclasses.fields(cls):
        if field.name not in settings:
            raise DlError(f"its field `{field.name}` isn't declared by `setting(...)`")
        if field.name in TAKEN or field.name in shared.values():
            raise DlError(f"its field `{field.name}` is called like an option of `dl` itself")
        setting = settings[field.name]
        if not setting.choices and setting.type not in PLAIN and not hasattr(setting.type, "parse"):
            raise DlError(f"its field `{field.name}` is of a type that no setting has")
        if coerce(plain(field.default), setting) != field.default:
            raise DlError(f"its field `{field.name}` can't be {field.default!r} by default")
    if unknown := set(cls.pinned) - set(shared):
        raise DlError(f"it pins `{min(unknown)}`, which is no setting")
    recipe = cls()
    recipe.phases()
    for word in recipe.telling():
        if not re.fullmatch(r"[\w.+-]+", word):
            raise DlError(f"its `telling()` gives {word!r}, which can't be part of a folder's name")
