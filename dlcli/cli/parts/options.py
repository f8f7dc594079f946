"""Command-line options made from declared settings.

`@with_config("seed", "backbone")` gives a command those settings as options, adds the options of
every command, and calls it with the resolved `Config`. `@with_dataset` also adds a DATASET, as an
argument and as `-d`. `with_tta` adds `--tta N`, for commands that predict.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dlcli.cli.parts.complete import complete_dataset
from dlcli.cli.parts.help import AUGMENTATION, EVERYWHERE, DebugOption, typed_name_of
from dlcli.config import Config, load_config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import with_home
from dlcli.keys import declared
from dlcli.progress import say
from dlcli.settings.fields import Setting, coerce
from dlcli.words import written

SHARED = ("data_dir", "runs_dir")
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")
SHORT = {"dataset": "-d", "kaggle.competition": "-c", "aws.name": "-n"}


class WholeNumber(click.IntRange):
    """A whole number within bounds, which an error names in words.

    Args:
        least, most: the bounds, which the help tells; None: no upper bound.
        ceiling: an upper bound that nobody means to meet, and that only the error tells.
    """

    def __init__(self, least: int, most: int | None = None, *, ceiling: int | None = None) -> None:
        super().__init__(least, most)
        self.ceiling = most or ceiling

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = super().convert(value, param, ctx)
            if self.ceiling is None or number <= self.ceiling:
                return number
        except click.BadParameter:
            pass
        bounds = f"of at least {self.min}"
        if self.ceiling:
            bounds = f"from {self.min} to {self.ceiling:,}"
        raise refused_value(value, param, f"a whole number {bounds}")


class PositiveNumber(click.FloatRange):
    """A number above 0, as an error says."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise refused_value(value, param, "a number above 0") from error


class OneOf(click.Choice[str]):
    """One of some words, which an error lists."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise refused_value(value, param, f"one of {self.listed}") from error

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        return f"one of {self.listed}"

    @property
    def listed(self) -> str:
        """The words, as an error lists them."""
        return ", ".join(self.choices)


def refuse_options(typed: Mapping[str, bool], kind: str) -> None:
    """Refuse options that are for datasets of another kind.

    Args:
        typed: the options, and whether each was typed.
        kind: the datasets that they are for.

    Raises:
        click.UsageError: names those that were typed.
    """
    if names := [f"`{name}`" for name, is_typed in typed.items() if is_typed]:
        verb = "is" if len(names) == 1 else "are"
        raise click.UsageError(f"{' and '.join(names)} {verb} for {kind}. Leave it out.")


def refused_value(
    value: Any, param: click.Parameter | None, expected: str, hint: str = ""
) -> DlError:
    """The error of a value that an option or an argument can't have.

    Args:
        expected: what it takes, in words.
    """
    name = typed_name_of(param) if param else "The value"
    return DlError(
        f"{name} can't be {written(value)}",
        why=f"expected {expected}",
        hint=hint,
        exit_code=ExitCode.USAGE,
    )


class TypedPath(click.Path):
    """A path, with `~` as the home folder: the shell leaves it in `--to=~/page.html`."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(dir_okay=dir_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return with_home(os.fsdecode(super().convert(value, param, ctx)))


class Copies(click.ParamType):
    """A number of augmented copies; `require_views` checks its bounds."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(value)
        except ValueError as error:
            expected = "a whole number, the augmented copies of each image"
            raise refused_value(value, param, expected) from error


class SettingType(click.ParamType):
    """Reads the typed text by the setting's own coercion."""

    def __init__(self, setting: Setting, flag: str) -> None:
        self.setting, self.flag = setting, flag
        kinds = {int: "N", float: "X", Path: "PATH", str: "NAME"}
        self.name = setting.metavar or kinds.get(setting.type) or setting.type.__name__.upper()
        if setting.choices:
            self.name = f"[{'|'.join(setting.choices)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # kept as text, so that "none" is not mistaken for an option that wasn't typed
        coerce(value, replace(self.setting, name=self.flag))
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return self.name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        from dlcli.cli.parts import complete

        if self.setting.type is Path:
            return [CompletionItem(incomplete, type="file")]
        words = self.setting.choices or complete.words_for(self.setting.name)
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


class SettingOption(click.Option):
    """One setting as an option; unset if it wasn't typed, so that other sources count."""

    def __init__(self, key: str) -> None:
        setting = declared(key)
        self.key = key
        if key in SHARED:
            self.section = EVERYWHERE
        elif key.startswith("train."):
            self.section = "Hyperparameters"
        elif key.startswith("augmentation."):
            self.section = AUGMENTATION
        flag = "--" + setting.name.replace("_", "-")
        names = ["setting__" + key.replace(".", "__").replace("-", "_")]
        help = setting.help
        if setting.default is not None:
            switch = {True: "on", False: "off"}
            usual = (
                switch[setting.default] if setting.type is bool else setting.text(setting.default)
            )
            help += f"  [default: {usual}]"
        if setting.type is bool:
            super().__init__([*names, f"{flag}/--no-{flag[2:]}"], default=None, help=help)
        else:
            names += [SHORT[key]] if key in SHORT else []
            super().__init__([*names, flag], type=SettingType(setting, flag), help=help)


class ConfigOption(click.Option):
    """`--config FILE`, on every command."""

    section = EVERYWHERE

    def __init__(self) -> None:
        super().__init__(
            ["config_file", "--config"],
            metavar="FILE",
            type=TypedPath(),
            help="YAML file of settings, such as a run's config.yaml",
        )


def with_config(*keys: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command options for some settings, and the resolved `Config` as first argument."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(config_file: Path | None = None, **arguments: Any) -> Any:
            flags = {
                option.key: arguments.pop(str(option.name))
                for option in options
                if isinstance(option, SettingOption)
            }
            given = {key: value for key, value in flags.items() if value is not None}
            config = load_config(config_file).with_flags(given)
            if not click.get_current_context().invoked_subcommand:  # which says the same
                for warning in config.warnings:
                    say(f"Warning: {warning}")
            return function(config, **arguments)

        options: list[click.Option] = [SettingOption(key) for key in keys]
        options += [SettingOption(key) for key in SHARED if key not in keys]
        options += [ConfigOption(), DebugOption()]
        params = getattr(call, "__click_params__", [])
        # in reverse order: click reads decorators from the bottom up
        call.__click_params__ = [*params, *reversed(options)]  # type: ignore[attr-defined]
        return call

    return decorate


def with_tta(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--tta N`, and the default that `--preset` then has; above `with_config`."""
    for option in command.__click_params__:  # type: ignore[attr-defined]
        if isinstance(option, SettingOption) and option.key == "augmentation.preset":
            usual = "those of the training, else of the settings, else mirroring alone"
            option.help = f"{declared(option.key).help}  [default: {usual}]"
    tta = click.option(
        "--tta",
        type=Copies(),
        metavar="N",
        help="test-time augmentation: average the predictions for each image and N augmented "
        "copies of it; the copies are changed as in training, else as the settings say, else only "
        "mirrored; an option such as --rotation changes that",
    )
    return tta(command)


def with_dataset(
    *keys: str, about: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the same as `with_config`, and the dataset: by `-d`, or as an argument.

    The `Config` holds the argument as if by `-d`.

    Args:
        keys: other settings that become options.
        about: the help of `-d`; by default the setting's.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.argument(
            "named", metavar="[DATASET]", required=False, shell_complete=complete_dataset
        )
        @with_config("dataset", *keys)
        @wraps(function)
        def call(config: Config, named: str | None, **arguments: Any) -> Any:
            from dlcli.data.choice import with_named

            return function(with_named(config, named), **arguments)

        if about is not None:
            for option in call.__click_params__:  # type: ignore[attr-defined]
                if isinstance(option, SettingOption) and option.key == "dataset":
                    option.help = about
        return call

    return decorate
