"""Where the value of every setting comes from.

Built-in defaults < `~/.config/dl/config.yaml` < the project's `dl.yaml` (searched upward) <
`DL_*` environment < `--config FILE` < flags. A setting is known by its dotted key: `seed`,
`kaggle.positive`, `train.finetune.schedule`; the environment writes the dots as two underscores,
`DL_TRAIN__FINETUNE__SCHEDULE`.

What `dl` brings is known at once. What a project's recipe declares is known once its code has run,
so it is asked for only where a command concerns that recipe, or lists them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlcli.catalog import (
    built_in_names,
    loadable_names,
    make_recipe,
    own_names,
    recipe_class,
    why_missing,
)
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.atomic import atomic_write
from dlcli.files.formats import amended, read_text, read_yaml, without
from dlcli.files.paths import config_home, find_project_file, shown
from dlcli.recipe import Recipe
from dlcli.settings.fields import Setting, coerce, means_nothing, plain, settings_of
from dlcli.settings.shared import BLOCKS, Settings, blocks

RESERVED = {"DL_DEBUG", "DL_TEST_DATA", "DL_REQUIRE_ALL"}
# The block of a run's config.yaml that records where, when and with what it ran.
RECORD = "run"

TRAIN = "train."


@dataclass(frozen=True)
class Value:
    """A setting's value and the words for where it came from."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Unread(Value):
    """What was set for a recipe of one's own, as it was written.

    What may stand there only the recipe's code can say, which runs for those commands alone that
    use the recipe.
    """

    base: Path

    def read(self, key: str) -> Value:
        """The value in the type that the recipe declares."""
        return _value(key, self.value, self.origin, self.base)


class Config:
    """All settings resolved, each with its origin.

    Args:
        values: dotted key -> value, for what was set anywhere; the rest are defaults.
        warnings: what should be said, such as an unknown `DL_*` variable.
        file: what `--config` named.
    """

    def __init__(
        self,
        values: Mapping[str, Value],
        warnings: tuple[str, ...] = (),
        file: Path | None = None,
    ) -> None:
        self.values, self.warnings, self.file = dict(values), warnings, file

    def settings(self) -> Settings:
        """The shared settings as one value."""
        blocks = {name: cls(**self._block(f"{name}.", cls)) for name, cls in BLOCKS.items()}
        return Settings(**self._block("", Settings), **blocks)

    def recipe(self, name: str) -> Recipe:
        """A recipe with the hyperparameters that were set for it.

        Raises:
            DlError: no such recipe, or one's own that can't be loaded, or takes other settings.
        """
        cls, block = recipe_class(name), f"{TRAIN}{name}."
        for key in self.values:
            if key.startswith(block):
                self.get(key)
        return make_recipe(name, self._block(block, cls))

    def _block(self, block: str, cls: type) -> dict[str, Any]:
        """The values of the settings that a class declares, by their own names."""
        return {name: self.get(block + name).value for name in settings_of(cls)}

    def get(self, key: str) -> Value:
        """A setting's value and origin; its default where it wasn't set."""
        if key in self.values:
            found = self.values[key]
            return found.read(key) if isinstance(found, Unread) else found
        default = declared(key).default
        return Value(default.expanduser() if isinstance(default, Path) else default, "default")

    def with_flags(self, flags: Mapping[str, Any]) -> Config:
        """The same with what was typed on the command line on top."""
        given = {key: Value(coerce(v, declared(key)), "flag") for key, v in flags.items()}
        return self.with_values(self.values | given)

    def with_values(self, values: Mapping[str, Value]) -> Config:
        """The same with other values in place of all."""
        return Config(values, self.warnings, self.file)

    def with_defaults(self, mapping: Mapping[str, Any], origin: str) -> Config:
        """The same with some values from a file put over all but the flags."""
        found = {key: v for key, v in _flat(mapping, origin).items() if not self.is_flag(key)}
        return self.with_values(self.values | _coerced(found, origin, Path.cwd()))

    def with_schedule(
        self, recipe: str, epochs: int | None = None, lr: float | None = None
    ) -> Config:
        """The same with another number of epochs in a recipe's schedule, or another highest rate.

        Args:
            epochs: of each phase; None: as they are.
            lr: the highest learning rate; None: as it is.

        Raises:
            DlError: a schedule was typed as well, or the rate is not a number above 0.
        """
        if epochs is None and lr is None:
            return self
        key = f"{TRAIN}{recipe}.schedule"
        if self.is_flag(key):
            raise DlError(
                f"`--schedule` says what `{'--lr' if epochs is None else '--epochs'}` says",
                why="a schedule holds the rates and the epochs",
                hint="Leave out one of the two.",
                exit_code=ExitCode.USAGE,
            )
        schedule = self.get(key).value
        if epochs is not None:
            schedule = schedule.with_epochs(epochs)
        if lr is not None:
            schedule = schedule.with_highest_rate(lr)
        return self.with_flags({key: str(schedule)})

    def given_flags(self, keys: Iterable[str]) -> list[str]:
        """Those of some settings that were typed, as options: `--preset mnist`, `--no-augment`."""
        import shlex

        options = []
        for key in keys:
            if self.is_flag(key):
                setting, value = declared(key), self.get(key).value
                flag = setting.name.replace("_", "-")
                if setting.type is bool:
                    options.append(f"--{flag}" if value else f"--no-{flag}")
                else:
                    options.append(f"--{flag} {shlex.quote(setting.text(value))}")
        return options

    def retyped(self, keys: Iterable[str]) -> str:
        """What the next command needs typed to have the same of some settings."""
        import shlex

        file = [f"--config {shlex.quote(str(self.file))}"] if self.file else []
        return "".join(f" {option}" for option in [*file, *self.given_flags(keys)])

    def is_flag(self, key: str) -> bool:
        """Whether the value was typed on the command line."""
        return key in self.values and self.values[key].origin == "flag"

    def items(self) -> Iterator[tuple[str, Value]]:
        """Every setting there is, recipes' included, with value and origin."""
        usable = loadable_names()
        set_there = [key for key in self.values if own_recipe_of(key) in usable]
        for key in dict.fromkeys([*all_keys(), *set_there]):
            yield key, self.get(key)


def load_config(
    config_file: Path | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read every source but the flags.

    Args:
        config_file: `--config FILE`; a run's `config.yaml` is accepted.
        folder: where the search for `dl.yaml` begins; the current folder.
        environ: the environment; the process's own.

    Raises:
        DlError: a file isn't YAML, has an unknown key, or a value of the wrong type.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Value] = {}
    project = find_project_file(folder or Path.cwd())
    for file in (user_file(), project):
        if file and file.is_file():
            values |= read_config_file(file)
    found, unknown = _from_environment(environ)
    values |= found
    if config_file is not None:
        if not config_file.is_file():
            raise DlError(f"No such file: {shown(config_file)}", hint="Check `--config`.")
        values |= read_config_file(config_file)
    return Config(values, tuple(unknown), config_file)


def user_file() -> Path:
    """One person's settings: `~/.config/dl/config.yaml`."""
    return config_home() / "config.yaml"


def read_config_file(file: Path) -> dict[str, Value]:
    """Read one YAML file of settings; relative paths are relative to its folder."""
    origin = shown(file)
    return _coerced(_flat(read_yaml(file), origin), origin, file.parent)


def save_setting(file: Path, key: str, value: str) -> Any:
    """Write one setting into a YAML file, the rest of which stays; returns what was written.

    Args:
        file: the file; made where there is none.
        value: as typed; a relative path is relative to the current folder.

    Raises:
        DlError: unknown key, wrong type, or a file that doesn't hold settings.
    """
    setting = declared(key)
    try:
        checked = plain(coerce(value, replace(setting, name=key)))
    except DlError as error:
        if not means_nothing(value, setting):
            raise
        hint = f"For the default, {setting.text(setting.default)}: `dl config unset {key}`."
        raise DlError(error.what, why=error.why, hint=hint, exit_code=error.exit_code) from error
    file = file.resolve()  # a link, from somebody's dotfiles, stays one
    text = ""
    if file.is_file():
        _flat(read_yaml(file), shown(file))  # a file that can't be understood isn't overwritten
        text = read_text(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, amended(text, key.split(".", 2), checked))
    return checked


def remove_setting(file: Path, key: str) -> bool:
    """Take one setting out of a YAML file, the rest of which stays; whether it was there.

    One that the file holds may be unknown: that is how to mend it.

    Raises:
        DlError: unknown key, or a file that doesn't hold settings.
    """
    file = file.resolve()
    if not file.is_file() or key not in _flat(read_yaml(file), shown(file)):
        declared(key)
        return False
    atomic_write(file, without(read_text(file), key.split(".")))
    return True


def _flat(mapping: Any, origin: str, block: str = "") -> dict[str, Any]:
    """Nested YAML as dotted keys, without the record of a run.

    Raises:
        DlError: it is not nested as settings are.
    """
    if mapping is None:
        return {}
    if not isinstance(mapping, dict):
        raise DlError(
            f"{origin} should hold lines of `key: value`",
            why=f"found {mapping!r:.40}",
            hint="Mend or remove the file.",
        )
    flat: dict[str, Any] = {}
    for name, value in mapping.items():
        key = f"{block}{name}"
        if key == RECORD:
            continue
        if "." in str(name):
            head, _, rest = str(name).partition(".")
            raise DlError(
                f"{origin}: `{key}` should stand indented below `{head}:`",
                why="only `dl config` and the environment write a setting in one line",
                hint=f"Write `{head}:` and below it `  {rest}: {value}`.",
            )
        if isinstance(value, dict):
            flat |= _flat(value, origin, f"{key}.")
        elif below := _below(key):
            if value is not None:
                raise DlError(
                    f"{origin}: `{key}` holds other settings, not {value!r}",
                    hint=f"Below it {below}.",
                )
        else:
            flat[key] = value
    return flat


def _below(key: str) -> str:
    """What may stand below a key, in words; empty for a setting's own."""
    if own_recipe_of(key) and key.count(".") == 1:
        return "stand the recipe's hyperparameters, each as `name: value`"
    known = [each.split(".")[-1] for each in declarations() if each.startswith(f"{key}.")]
    return f"may stand {', '.join(known)}" if known else ""


def _coerced(flat: Mapping[str, Any], origin: str, base: Path) -> dict[str, Value]:
    return {
        key: Unread(value, origin, base) if own_recipe_of(key) else _value(key, value, origin, base)
        for key, value in flat.items()
    }


def _value(key: str, value: Any, origin: str, base: Path) -> Value:
    try:
        return Value(coerce(value, replace(declared(key), name=key), base=base), origin)
    except DlError as error:
        raise DlError(f"{origin}: {error.what}", why=error.why, hint=error.hint) from error


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Value], list[str]]:
    """`DL_*` variables as settings, and a sentence for each that isn't one."""
    names = [n for n in environ if n.startswith("DL_") and n not in RESERVED]
    if not names:
        return {}, []
    known = {_variable(key): key for key in declarations()}
    blocks = {_variable(f"{TRAIN}{recipe}."): f"{TRAIN}{recipe}." for recipe in own_names()}
    values: dict[str, Value] = {}
    unknown = []
    for name in names:
        own = next((block for block in blocks if name.startswith(block)), None)
        key = blocks[own] + name.removeprefix(own).lower() if own else known.get(name)
        if key:
            values |= _coerced({key: environ[name]}, name, Path.cwd())
        else:
            unknown.append(f"{name} is not a setting. {did_you_mean(name, tuple(known))}")
    return values, unknown


def _variable(key: str) -> str:
    """The environment variable of a dotted key."""
    return "DL_" + key.replace(".", "__").replace("-", "_").upper()


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
    return {
        f"{block}{name}": declaration
        for block, cls in blocks().items()
        for name, declaration in settings_of(cls).items()
    }


def all_keys() -> tuple[str, ...]:
    """Every dotted key there is; one's own recipes are loaded, and left out where they can't be."""
    own = [name for name in loadable_names() if name in own_names()]
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
        why=why_missing(recipe) if recipe else "",
        hint=f"{did_you_mean(key, tuple(known))} `dl config show` lists them all.",
        exit_code=ExitCode.USAGE,
    )


def key_named(name: str, recipe: str = "") -> str:
    """The dotted key of a setting that is named by its last part: "train.finetune.dropout".

    A recipe's hyperparameter comes first, then what commands share, then what stands in a block.

    Raises:
        DlError: there is no such setting; names the nearest.
    """
    homes: dict[str, type] = {f"{TRAIN}{recipe}.": recipe_class(recipe)} if recipe else {}
    homes |= blocks()
    home = next(
        (home for home, cls in homes.items() if name in settings_of(cls)), next(iter(homes))
    )
    declared(key := f"{home}{name}")
    return key


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
