"""From settings to a run that is ready to train, and from a run's `config.yaml` back to it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from dlcli.catalog import recipe_digest, recipe_file
from dlcli.config import RECORD, Config, Value
from dlcli.data.dataset import SETTINGS, dataset_settings, open_dataset, require_trainable
from dlcli.errors import DlError, ExitCode
from dlcli.files.formats import write_yaml
from dlcli.files.paths import shown
from dlcli.images.pixels import PixelRule
from dlcli.job import Job
from dlcli.members import is_ensemble
from dlcli.models.engines import resolve_forward
from dlcli.process import provenance
from dlcli.progress import heard_by
from dlcli.pseudo_labels import pseudo_labels_of
from dlcli.recipe import Recipe
from dlcli.runs.changes import Change
from dlcli.runs.choice import find_finished_run, name_among
from dlcli.runs.run import Run
from dlcli.runs.tensorboard import require_tensorboard
from dlcli.settings.augmentation import AMOUNTS
from dlcli.settings.fields import plain, settings_of
from dlcli.settings.shared import BACKBONE_SETTINGS, Settings
from dlcli.training import first_samples, fit


def train(
    config: Config,
    recipe_name: str,
    root: Path,
    *,
    parent: Run | None = None,
    changes: tuple[Change, ...] = (),
) -> Run:
    """Train a recipe on a dataset, in a new run.

    Args:
        config: settings and hyperparameters.
        recipe_name: what to train.
        root: the dataset's folder.
        parent: the run that is trained again.
        changes: to be made at the same epochs as then.

    Raises:
        Interrupted: Ctrl-C; the run can be resumed.
        DlError: what can't work, before there is a run; or what went wrong in training.
    """
    said: list[str] = []
    with heard_by(said.append):
        job = dataclasses.replace(make_job(config, recipe_name, root), changes=changes)
        samples = first_samples(job)
    run = new_run(job, parent)
    with run.held(), heard_by(run.log):
        for text in said:
            run.log(text)
        fit(job, run, samples)
    return run


def make_job(config: Config, recipe_name: str, root: Path) -> Job:
    """Resolve all that `train` needs, and refuse early what can't work.

    Raises:
        DlError: a dataset that nothing can be learned from, unknown backbone, no weights.
    """
    recipe = config.recipe(recipe_name)
    pins = {name: Value(value, f"recipe {recipe_name}") for name, value in recipe.pinned.items()}
    config = config.with_defaults(dataset_settings(root), shown(root / SETTINGS))
    settings = Config(config.values | pins).settings()
    dataset = open_dataset(root)
    require_trainable(dataset)
    before = dataset.fingerprints()
    _require_augmenting(recipe, config, settings)
    if settings.tensorboard:
        require_tensorboard()
    if config.is_flag(f"train.{recipe_name}.pseudo_share") and not recipe.pseudo_label:
        raise DlError(
            "`--pseudo-share` has no effect without `--pseudo-label RUN`",
            hint="Say both, or neither.",
            exit_code=ExitCode.USAGE,
        )
    forward, weights, size = None, None, settings.image_size or recipe.image_size
    if recipe.layer is not None:
        forward, weights = resolve_forward(settings, recipe.layer)  # type: ignore[arg-type]
        size = forward.pixels.size
    begun, labels = None, None
    if recipe.init_from:
        begun = _run_to_begin_with(recipe.init_from, settings.runs_dir)
        recipe = dataclasses.replace(recipe, init_from=name_among(begun, settings.runs_dir))
    if recipe.pseudo_label:
        labeller = find_finished_run(recipe.pseudo_label, settings.runs_dir)
        labels = pseudo_labels_of(labeller, config, dataset)
        recipe = dataclasses.replace(recipe, pseudo_label=name_among(labeller, settings.runs_dir))
    pixels = PixelRule(size)
    given = (forward, weights, pixels, labels, begun)
    return Job(recipe_name, recipe, dataset, before, settings, *given)


def _run_to_begin_with(named: str, runs_dir: Path) -> Run:
    run = find_finished_run(named, runs_dir)
    if not run.best_model.is_file():
        raise DlError(
            f"{run.name} has no model to begin with",
            why=f"{shown(run.best_model)} is not there"
            + "; an ensemble has none of its own" * is_ensemble(run),
            hint="Name another run: `--init-from RUN`.",
        )
    return run


def _require_augmenting(recipe: Recipe, config: Config, settings: Settings) -> None:
    """Refuse amounts of augmentation where nothing is augmented, and augmentation of no amount.

    Raises:
        DlError: says which option is missing.
    """
    if (flags := config.typed(AMOUNTS)) and not recipe.augment:
        raise DlError(
            f"`{flags[0]}` has no effect without `--augment`",
            hint="Say `--augment` as well.",
            exit_code=ExitCode.USAGE,
        )
    if recipe.augment and settings.augmentation.changes_nothing:
        raise DlError(
            "`--augment` would change nothing",
            why=f"the preset {settings.augmentation.preset!r} has no amounts, and none is set",
            hint="Take another `--preset`, or set some, such as `--rotation 15`.",
            exit_code=ExitCode.USAGE,
        )


def new_run(job: Job, parent: Run | None = None) -> Run:
    """Make the run's folder, and write down every resolved value."""
    resolved = _resolved(job, parent)
    run = Run.create(job.settings.runs_dir, job.dataset.name, job.name, job.recipe.telling())
    write_yaml(run.config_file, resolved)
    write_yaml(run.classes_file, list(job.dataset.classes))
    run.start()
    run.log(resolved[RECORD]["command"])
    return run


def _resolved(job: Job, parent: Run | None) -> dict[str, Any]:
    """A run's `config.yaml`: settings that `--config` accepts, and the `run` block."""
    settings = dataclasses.replace(
        job.settings,
        dataset=str(job.dataset.root),
        image_size=job.pixels.size,
        workers=job.settings.threads,
        memory=round(job.settings.memory_bytes / 2**30, 6),
        # as named; a backbone's own file is found anew, on whatever machine
        weights=job.settings.weights and Path(os.path.abspath(job.settings.weights)),
    )
    if job.forward is not None:
        chosen: dict[str, Any] = {
            "engine": job.forward.engine,
            "precision": job.forward.precision,
        }
        settings = dataclasses.replace(settings, **chosen)
    unused = () if job.forward else BACKBONE_SETTINGS
    shared = {
        name: plain(getattr(settings, name)) for name in settings_of(Settings) if name not in unused
    }
    kaggle = {
        name: plain(getattr(settings.kaggle, name)) for name in settings_of(type(settings.kaggle))
    }
    augmentation = {"augmentation": job.settings.augmentation.describe()}
    return {
        **shared,
        **(augmentation if job.recipe.augment else {}),
        "kaggle": kaggle,
        "train": {job.name: job.recipe.hyperparameters()},
        RECORD: {
            "recipe": job.name,
            **own_recipe(job.name),
            "dataset": {
                "path": str(job.dataset.root),
                "fingerprints": dict(job.fingerprints),
                "images": {split: len(paths) for split, paths in job.dataset.splits.items()},
            },
            "classes": list(job.dataset.classes),
            "forward": job.forward.describe() if job.forward else None,
            "pixels": dataclasses.asdict(job.pixels),
            "pixel_rule": str(job.pixels),
            "pseudo_labels": job.pseudo_labels.digest if job.pseudo_labels else None,
            "parent": name_among(parent, job.settings.runs_dir) if parent else None,
            **({"changes": [each.describe() for each in job.changes]} if job.changes else {}),
            **provenance(),
        },
    }


def own_recipe(name: str) -> dict[str, str]:
    """Where a recipe of one's own stands, and which text of it this was; nothing of a built-in."""
    file = recipe_file(name)
    return {"recipe_file": str(file), "recipe_digest": recipe_digest(name)} if file else {}
