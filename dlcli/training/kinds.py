"""Make the job of a training: a table of the kinds of datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dlcli.catalog import built_in_names, recipe_class
from dlcli.config import Config
from dlcli.data.dataset import kind_of
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import quoted, shown
from dlcli.recipe import kind_for
from dlcli.runs.run import Run
from dlcli.training.job import AnyJob
from dlcli.training.photos.job import make_job as make_photos_job
from dlcli.training.ratings.job import make_job as make_ratings_job

# What makes the job of each kind, see `make_job`.
MAKERS: Mapping[str, Callable[[Config, str, Path, Run | None], AnyJob]] = {
    "photos": make_photos_job,
    "ratings": make_ratings_job,
}


def make_job(config: Config, recipe_name: str, root: Path, like: Run | None = None) -> AnyJob:
    """Resolve everything that `train` needs, and refuse early what can't work.

    Args:
        root: the dataset's folder.
        like: the run that is resumed or rerun; None for a new one.

    Raises:
        DlError: a recipe for another kind of dataset, a dataset that can't be trained on; see the
            jobs of the kinds.
    """
    kind, wanted = kind_of(root), kind_for(recipe_class(recipe_name))
    if kind != wanted:
        fitting = [name for name in built_in_names() if kind_for(recipe_class(name)) == kind]
        raise DlError(
            f"The recipe `{recipe_name}` can't train on {shown(root)}",
            why=f"the recipe is for {wanted}, and this is a dataset of {kind}",
            hint=f"Use a recipe for {kind}: `dl train {fitting[0]} -d {quoted(root)}`."
            if fitting
            else f"Name a dataset of {wanted}: `-d DATASET`.",
            exit_code=ExitCode.USAGE,
        )
    return MAKERS[kind](config, recipe_name, root, like)
