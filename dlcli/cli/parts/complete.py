"""Shell completion of datasets, runs, recipes, backbones. It never fails, and imports little."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from dlcli.errors import DlError


def words_for(setting: str) -> Iterable[str]:
    """The words that complete a setting's value, if there are any."""
    if setting == "dataset":
        return _datasets()
    if setting == "backbone":
        from dlcli.models.backbones import BACKBONES

        return BACKBONES
    if setting == "competition":
        from dlcli.kaggle.competitions import COMPETITIONS

        return COMPETITIONS
    if setting in ("init_from", "pseudo_label"):
        return _runs()
    return ()


def complete_dataset(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Datasets under the data folder, or folders if the word is a path."""
    if "/" in incomplete or incomplete.startswith(("~", ".")):
        return [CompletionItem(incomplete, type="dir")]
    return _starting(incomplete, _datasets()) or [CompletionItem(incomplete, type="dir")]


def complete_backbone(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Pretrained networks."""
    return _starting(incomplete, words_for("backbone"))


def complete_competition(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The competitions that are known."""
    return _starting(incomplete, words_for("competition"))


def complete_recipe(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Recipes."""
    from dlcli.catalog import recipe_names

    return _starting(incomplete, recipe_names())


def complete_run(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Runs, the newest first."""
    return _starting(incomplete, _runs())


def complete_run_or_photo(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Runs, the newest first, and files."""
    return [*_starting(incomplete, _runs()), CompletionItem(incomplete, type="file")]


def complete_setting(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Dotted keys of settings."""
    from dlcli.catalog import hyperparameter_names, own_names
    from dlcli.keys import TRAIN, declarations

    own = [f"{TRAIN}{name}.{each}" for name in own_names() for each in hyperparameter_names(name)]
    return _starting(incomplete, [*declarations(), *own])


def _datasets() -> tuple[str, ...]:
    from dlcli.config import load_config
    from dlcli.data.choice import dataset_names

    try:
        return dataset_names(load_config().settings().data_dir)
    except (DlError, OSError):
        return ()


def _runs() -> list[str]:
    from dlcli.config import load_config
    from dlcli.runs.run import Run

    try:
        runs = Run.all(load_config().settings().runs_dir)
    except (DlError, OSError):
        return []
    return sorted((run.name for run in runs), reverse=True)


def _starting(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
