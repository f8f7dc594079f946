"""Going on with a run that was stopped: as it began, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcli.config import Config, Value, read_config_file
from dlcli.current import find_run
from dlcli.errors import DlError
from dlcli.folders import typed
from dlcli.job import Job
from dlcli.launch import make_job, own_recipe
from dlcli.places import shown
from dlcli.progress import heard_by
from dlcli.provenance import command_line
from dlcli.run import Run
from dlcli.training import fit


def resume(run: Run) -> None:
    """Go on with a run that was stopped, to its end.

    Raises:
        DlError: the run is finished or at work; its images have changed, but for those of test, or
            its weights have, or a run that it needs is gone.
    """
    with run.held():
        job = _reopen(run)
        run.log(command_line())
        with heard_by(run.log):
            fit(job, run)


def _reopen(run: Run) -> Job:
    """The job of an unfinished run, from the values in its own `config.yaml`."""
    _require_stopped(run)
    record = run.record()
    root = Path(record["dataset"]["path"])
    if not root.is_dir():
        raise DlError(
            f"The dataset of {run.name} is not at {shown(root)} any more",
            hint="Put it back, then resume again.",
        )
    config = _with_needed_runs(run, record, Config(read_config_file(run.config_file)))
    job = make_job(config, record["recipe"], root)
    before = record["dataset"]["fingerprints"]
    if any(job.fingerprints[split] != before[split] for split in ("train", "valid")):
        raise DlError(
            f"The images of {shown(root)} have changed since {run.name} began",
            why="it would go on with other images than it began with",
            hint=_anew(record),
        )
    labels = job.pseudo_labels.digest if job.pseudo_labels else None
    described = job.forward.describe() if job.forward else None
    why, mend = "", ""
    if own_recipe(job.name).get("recipe_digest") != record.get("recipe_digest"):
        why = f"its recipe has changed since, {shown(record['recipe_file'])}"
    elif labels != record.get("pseudo_labels"):
        why = f"{job.recipe.pseudo_label} labels the test images differently now"
    elif described != record["forward"]:
        why = f"it ran with {record['forward']}, now it would with {described}"
        mend = "Bring the weights and packages back that `config.yaml` names. "
    if why:
        message = f"{run.name} can't go on as it began"
        raise DlError(message, why=why, hint=mend + _anew(record))
    return job


def _require_stopped(run: Run) -> None:
    status = run.status()
    if status["state"] == "finished":
        raise DlError(f"{run.name} is finished", hint=f"Look at it: `dl evaluate {run.name}`.")
    if status["state"] == "running":
        raise DlError(
            f"{run.name} is being trained",
            why=f"by process {status.get('pid')} on {status.get('host')}",
            hint="Wait for it, or stop that process first. If that machine is gone, write "
            f"`state: interrupted` into {shown(run.status_file)}, then resume.",
        )


def _with_needed_runs(run: Run, record: Mapping[str, Any], config: Config) -> Config:
    """The settings with the folder in which the runs are that this one needs.

    That is the one that was set then, or, should the runs have moved as a whole, the one that this
    run lies in.

    Raises:
        DlError: one is gone, or not finished any more.
    """
    recipe = config.recipe(record["recipe"])
    beside = Value(run.path.parent.parent, "beside the run")
    for named in filter(None, (recipe.init_from, recipe.pseudo_label)):
        try:
            needed = find_run(named, config.settings().runs_dir)
        except DlError:
            config = config.with_values(config.values | {"runs_dir": beside})
            try:
                needed = find_run(named, config.settings().runs_dir)
            except DlError as error:
                raise _lacks(run, named, error.what, record) from error
        if needed.state != "finished":
            raise _lacks(run, named, f"it is not finished: its state is {needed.state}", record)
        if named == recipe.init_from and not needed.best_model.is_file():
            raise _lacks(run, named, f"{shown(needed.best_model)} is gone", record)
    return config


def _lacks(run: Run, named: str, why: str, record: Mapping[str, Any]) -> DlError:
    hint = f"Bring it back as it was. {_anew(record)}"
    return DlError(f"{run.name} can't go on without {named}", why=why, hint=hint)


def _anew(record: Mapping[str, Any]) -> str:
    root = typed(Path(record["dataset"]["path"]))
    return f"To train anew: `dl train {record['recipe']} -d {root}`."
