"""Read the value of every setting from its source: defaults, files, environment, flags.

Built-in defaults < `~/.config/dl/config.yaml` < the project's `dl.yaml` (searched upward) <
`DL_*` environment < `--config FILE` < flags. A setting is known by its dotted key: `seed`,
`kaggle.positive`, `train.finetune.schedule`; the environment writes the dots as two underscores,
`DL_TRAIN__FINETUNE__SCHEDULE`.

Settings of a project that may cost money or send a file are used only if the project is trusted
(`trust`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from dlcli import trust
from dlcli.catalog import loadable_names, make_recipe, own_names, recipe_class
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.formats import read_yaml
from dlcli.files.paths import find_project_file, shown, with_home
from dlcli.keys import TRAIN, all_keys, declarations, declared, own_recipe_of
from dlcli.recipe import AnyRecipe
from dlcli.settings.fields import coerce, settings_of
from dlcli.settings.shared import BLOCKS, Settings
from dlcli.settings_file import NO_PROJECT_FILE, flattened, required, user_file
from dlcli.trust import real, require_file, untrusted
from dlcli.words import short

RESERVED = {"DL_DEBUG", "DL_TEST_DATA", "DL_REQUIRE_ALL", trust.VARIABLE}
# Settings of a project that are used only if it is trusted: they rent, and reach, and copy to and
# from rented computers; they name a file whose content goes elsewhere.
GUARDED = ("aws.", "weights")
# Where predictions are sent under the user's name: used to read, and to send only if trusted.
SENT_TO = "kaggle.competition"
# Folders of a project that are used, and said if it is not trusted.
SAID = ("data_dir", "runs_dir")
# Of an error's texts, which may hold a key or value of any length.
MOST_CHARACTERS = 500
# Origins of values. A schedule of which only the rate was typed may still get other epochs.
DEFAULT, FLAG, RATE_ALONE = "default", "flag", "flag --lr"


@dataclass(frozen=True)
class Value:
    """A setting's value and its origin, in words."""

    value: Any
    origin: str

    def read(self, key: str) -> Value:
        """The value of the setting of this key, to use it."""
        return self


@dataclass(frozen=True)
class OfProject(Value):
    """A value of a project's file that some commands use only if the project is trusted."""

    file: Path

    @property
    def is_trusted(self) -> bool:
        """Whether the project is trusted."""
        return not untrusted(self.file, self.file.parent)

    def require(self, key: str) -> None:
        """Require that the project is trusted.

        Raises:
            UntrustedError: it is not.
        """
        require_file(self.file, self.file.parent, f"`{key}` in {shown(self.file)} is not used")


@dataclass(frozen=True)
class Guarded(OfProject):
    """A value that may cost money or send a file: no command uses it before."""

    def read(self, key: str) -> Value:
        """The value.

        Raises:
            UntrustedError: the project is not trusted.
        """
        self.require(key)
        return Value(self.value, self.origin)


@dataclass(frozen=True)
class Unread(Value):
    """A value that was set for a project recipe, as written.

    Only the recipe's code can say whether it is valid, and that runs only for commands that use the
    recipe.
    """

    base: Path

    def read(self, key: str) -> Value:
        """The value, converted to the type that the recipe declares."""
        return _value(key, self.value, self.origin, self.base)


class Config:
    """All settings, each with its origin.

    Args:
        values: dotted key -> value, for all that were set; the others have their defaults.
        warnings: texts for the user, such as an unknown `DL_*` variable.
        file: the file of `--config`.
    """

    def __init__(
        self,
        values: Mapping[str, Value],
        warnings: tuple[str, ...] = (),
        file: Path | None = None,
    ) -> None:
        self.values, self.warnings, self.file = dict(values), warnings, file

    def settings(self) -> Settings:
        """The shared settings as one value.

        Raises:
            UntrustedError: when a setting is read that is withheld, not before.
        """
        blocks = {name: self._made(cls, f"{name}.") for name, cls in BLOCKS.items()}
        made: Settings = self._made(Settings, "", **blocks)
        return made

    def _made(self, cls: type, block: str, **blocks: Any) -> Any:
        """A block of settings as one value."""
        keys = {name: block + name for name in settings_of(cls)}
        withheld = {
            name: partial(self.get, key) for name, key in keys.items() if self.withholds(key)
        }
        values = {name: self.get(key).value for name, key in keys.items() if name not in withheld}
        return (_withholding(cls) if withheld else cls)(**values, **withheld, **blocks)

    def withholds(self, key: str) -> bool:
        """Whether a setting is a project's that is not trusted, and so not used."""
        found = self.values.get(key)
        return isinstance(found, Guarded) and not found.is_trusted

    def require_trusted(self, key: str) -> None:
        """Require trust in the project, if a value comes from one and is used to send something.

        Raises:
            UntrustedError: the project is not trusted.
        """
        found = self.values.get(key)
        if isinstance(found, OfProject):
            found.require(key)

    def recipe(self, name: str) -> AnyRecipe:
        """A recipe with its hyperparameters as set.

        Raises:
            DlError: no such recipe, or a project recipe that can't be loaded or has other settings.
        """
        cls, block = recipe_class(name), f"{TRAIN}{name}."
        for key in self.values:
            if key.startswith(block):
                self.get(key)
        return make_recipe(name, self._block(block, cls))

    def _block(self, block: str, cls: type) -> dict[str, Any]:
        """The values of the settings that a class declares, by name."""
        return {name: self.get(block + name).value for name in settings_of(cls)}

    def get(self, key: str) -> Value:
        """A setting's value and origin; the default if it wasn't set."""
        if key in self.values:
            return self.values[key].read(key)
        default = declared(key).default
        return Value(with_home(default) if isinstance(default, Path) else default, DEFAULT)

    def with_flags(self, flags: Mapping[str, Any]) -> Config:
        """The same, with flags that override all else."""
        given = {key: Value(coerce(v, declared(key)), FLAG) for key, v in flags.items()}
        return self.with_values(self.values | given)

    def with_values(self, values: Mapping[str, Value]) -> Config:
        """The same, with all values replaced."""
        return Config(values, self.warnings, self.file)

    def with_defaults(self, mapping: Mapping[str, Any], origin: str) -> Config:
        """The same, with values from a file that override all but the flags."""
        found = {key: v for key, v in flattened(mapping, origin).items() if not self.is_flag(key)}
        return self.with_values(self.values | _coerced(found, origin, Path.cwd()))

    def with_schedule(
        self,
        recipe: str,
        epochs: int | None = None,
        lr: float | None = None,
        *,
        option: str = "--schedule",
    ) -> Config:
        """The same, with another number of epochs or highest rate in a recipe's schedule.

        Args:
            epochs: of each phase; None: as they are.
            lr: the highest learning rate; None: as it is.
            option: what a schedule is typed by.

        Raises:
            DlError: a schedule was typed as well, or the rate is not a number above 0.
        """
        if epochs is None and lr is None:
            return self
        key = f"{TRAIN}{recipe}.schedule"
        if self.is_flag(key):
            raise DlError(
                f"`{option}` and `{'--lr' if epochs is None else '--epochs'}` exclude each other",
                why="a schedule holds the rates and the epochs",
                hint="Leave out one of the two.",
                exit_code=ExitCode.USAGE,
            )
        schedule, fits = self.get(key).value, self.fits_epochs(recipe)
        if epochs is not None:
            schedule, fits = schedule.with_epochs(epochs), False
        if lr is not None:
            schedule = schedule.with_highest_rate(lr)
        config = self.with_flags({key: str(schedule)})
        if fits:
            config.values[key] = replace(config.values[key], origin=RATE_ALONE)
        return config

    def fits_epochs(self, recipe: str) -> bool:
        """Whether nobody chose a recipe's epochs, so that they may suit the dataset."""
        return self.get(f"{TRAIN}{recipe}.schedule").origin in (DEFAULT, RATE_ALONE)

    def given_flags(self, keys: Iterable[str]) -> list[str]:
        """The typed settings among some, as options: `--preset mnist`, `--no-augment`."""
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
        """The options that give the next command the same values of some settings."""
        import shlex

        file = [f"--config {shlex.quote(str(self.file))}"] if self.file else []
        return "".join(f" {option}" for option in [*file, *self.given_flags(keys)])

    def is_flag(self, key: str) -> bool:
        """Whether the value was typed on the command line."""
        return key in self.values and self.values[key].origin in (FLAG, RATE_ALONE)

    def shown(self, key: str) -> Value:
        """A setting's value and origin, to show it and not to use it."""
        found = self.values.get(key)
        return found if isinstance(found, Guarded) else self.get(key)

    def items(self) -> Iterator[tuple[str, Value]]:
        """Every setting, including recipes', with value and origin, as `shown`."""
        usable = loadable_names()
        set_there = [key for key in self.values if own_recipe_of(key) in usable]
        for key in dict.fromkeys([*all_keys(), *set_there]):
            yield key, self.shown(key)


class _Withholding:
    """Settings of which some are withheld: whoever reads one has to be able to use it."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return found().value if isinstance(found, partial) else found


@lru_cache
def _withholding(cls: type) -> type:
    """A class of settings, some of which may be withheld."""
    return type(cls.__name__, (_Withholding, cls), {})


def load_config(
    config_file: Path | None = None,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read every source but the flags.

    Args:
        config_file: `--config FILE`; it may be a run's `config.yaml`.
        folder: where the search for `dl.yaml` begins; by default the current folder.
        environ: the environment; by default the process's.

    Raises:
        DlError: a file is not YAML, or has an unknown key or a value of the wrong type.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Value] = {}
    if user_file().is_file():
        values |= read_config_file(user_file())
    project = find_project_file(folder or Path.cwd())
    warnings = []
    if project:
        found = read_config_file(required(project, NO_PROJECT_FILE))
        values |= {key: _guarded(key, value, project) for key, value in found.items()}
        warnings = _untrusted_folders(found, project)
    found, unknown = _from_environment(environ)
    values |= found
    if config_file is not None:
        if not config_file.is_file():
            raise DlError(f"No such file: {shown(config_file)}", hint="Check `--config`.")
        values |= read_config_file(config_file)
    return Config(values, (*warnings, *unknown), config_file)


def _guarded(key: str, value: Value, project: Path) -> Value:
    """A value of a project's file; one that is used only if the project is trusted knows so."""
    if key == SENT_TO:
        return OfProject(value.value, value.origin, project)
    return Guarded(value.value, value.origin, project) if key.startswith(GUARDED) else value


def _untrusted_folders(values: Mapping[str, Value], project: Path) -> list[str]:
    """Say which folders a project that is not trusted sets."""
    named = [key for key in SAID if key in values]
    if not named or trust.is_trusted(project.parent):
        return []
    folders = " and ".join(f"`{key}` to {shown(values[key].value)}" for key in named)
    command = trust.command(real(project.parent))
    return [f"{shown(project)} sets {folders}, and is not a trusted project's (`{command}`)."]


def read_config_file(file: Path) -> dict[str, Value]:
    """Read one YAML file of settings; relative paths are relative to its folder."""
    origin = shown(file)
    return _coerced(flattened(read_yaml(file), origin), origin, file.parent)


def _coerced(flat: Mapping[str, Any], origin: str, base: Path) -> dict[str, Value]:
    return {
        key: Unread(value, origin, base) if own_recipe_of(key) else _value(key, value, origin, base)
        for key, value in flat.items()
    }


def _value(key: str, value: Any, origin: str, base: Path) -> Value:
    try:
        return Value(coerce(value, replace(declared(key), name=key), base=base), origin)
    except DlError as error:
        what, why = (short(text, MOST_CHARACTERS) for text in (error.what, error.why))
        raise DlError(f"{origin}: {what}", why=why, hint=error.hint) from error


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Value], list[str]]:
    """`DL_*` variables as settings, and a warning for each unknown one."""
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
