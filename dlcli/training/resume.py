"""Resume a run, unchanged or with changes of epochs, learning rate or batch size.

A finished run can be resumed too: its checkpoint is rebuilt from its models.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlcli.backend import start_backend
from dlcli.config import Config, Value, load_config, read_config_file
from dlcli.errors import DlError, ExitCode
from dlcli.files.atomic import remove_leftovers
from dlcli.files.formats import write_yaml
from dlcli.files.paths import make_numbered, quoted, shown
from dlcli.process import command_line, utc_now
from dlcli.progress import heard_by, say
from dlcli.runs.changes import Change
from dlcli.runs.choice import find_run, typed_run
from dlcli.runs.dataset import dataset_of
from dlcli.runs.disk import require_no_link
from dlcli.runs.record import RunRecord
from dlcli.runs.run import Run
from dlcli.settings_file import RECORD
from dlcli.training.checkpoint import (
    Progress,
    has_checkpoint,
    load_checkpoint,
    save_best,
    save_checkpoint,
)
from dlcli.training.fit import fit
from dlcli.training.job import AnyJob
from dlcli.training.kinds import make_job
from dlcli.training.launch import own_recipe
from dlcli.training.network import to_numpy
from dlcli.training.outcome import outcome_keys


def resume(
    run: Run,
    *,
    epochs: int | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    data_dir: Path | None = None,
) -> None:
    """Resume a stopped run to its end, or a finished run for more epochs.

    Changes apply from the next epoch on and are recorded in `config.yaml`.

    Args:
        epochs: total number of epochs; None: as before.
        learning_rate: learning rate of all remaining epochs; None: as before.
        batch_size: batch size of all remaining epochs; None: as before.
        data_dir: the folder in which a dataset that has moved is looked up by name; None: as in
            the settings.

    Raises:
        DlError: the run is being trained; it is finished and no more epochs are requested; its
            samples (except test) or weights have changed or are gone; a run that it needs is gone.
    """
    if not os.access(run.path, os.W_OK):
        raise DlError(
            f"{shown(run.path)} can't be written",
            why="permission denied",
            hint=f"Train a copy of your own: `dl rerun {typed_run(run)}`.",
        )
    require_no_link(run)
    run.require_own()
    # checked before this process writes `lock.yaml`, which would look like a sign of life
    was_at_work = run.state == "running"
    with run.held():
        run = Run(run.path)  # its config may have been read before the lock, and changed since
        _require_stopped(run, epochs, was_at_work)
        remove_leftovers(run.path)
        job = _reopen(run, data_dir or load_config().settings().data_dir)
        _require_begun_or_empty(run)
        progress = _progress(run, job)
        change = None
        if any(each is not None for each in (epochs, learning_rate, batch_size)):
            change = Change(
                after=len(progress.history),
                phase=progress.phase,
                phase_epochs=progress.phase_epochs,
                epochs=epochs,
                learning_rate=learning_rate,
                batch_size=batch_size,
            )
            _require_possible(run, job, change)
        lacks_checkpoint = run.state == "finished" and not has_checkpoint(run.checkpoint)
        if lacks_checkpoint:
            _require_revivable(run, job)
        run.log(command_line())
        with heard_by(run.log):
            if lacks_checkpoint:
                _revive(run, job, progress)
            if run.state == "finished":
                # only now: without a checkpoint an interrupted run would start from scratch
                run.update_status(state="interrupted", reason="more epochs were asked for")
            if "finished" in run.status:  # or was, and a kill came between
                _set_aside(run, job)
            if change:
                job = _changed(run, job, replace(change, optimizer_anew=lacks_checkpoint))
            fit(job, run)


def _progress(run: Run, job: AnyJob) -> Progress:
    """The progress of training."""
    if has_checkpoint(run.checkpoint):
        return load_checkpoint(run.checkpoint, job.scores)[0]
    return _progress_at_end(run, job) if run.state == "finished" else Progress()


def _changed(run: Run, job: AnyJob, change: Change) -> AnyJob:
    """The job with one more change, which `config.yaml` records as made now."""
    change = replace(change, when=utc_now())
    job = replace(job, changes=(*job.changes, change))
    record = run.config[RECORD] | {"changes": [each.describe() for each in job.changes]}
    write_yaml(run.config_file, run.config | {RECORD: record})
    say(f"Changed {change}.")
    if change.epochs is not None:
        say("The run's name stays, with the epochs first planned.")
    return job


def _require_possible(run: Run, job: AnyJob, change: Change) -> None:
    """Refuse a change that can't have an effect.

    Raises:
        DlError: says why.
    """
    total = sum(phase.schedule.epochs for phase in job.phases)
    done, wanted = change.after, change.epochs
    if wanted is not None and wanted < max(done + (run.state == "finished"), 1):
        raise DlError(
            f"{run.name} can't end after {wanted} epochs",
            why=f"it already has {done}",
            hint=f"Train more of them: `dl resume {typed_run(run)} --epochs {done + 1}`.",
            exit_code=ExitCode.USAGE,
        )
    if done >= (wanted or total) and (change.learning_rate or change.batch_size):
        raise DlError(
            f"{run.name} has no epochs left to change",
            why=f"all {done} are trained",
            hint=f"Add epochs as well: `--epochs {done + 1}`.",
            exit_code=ExitCode.USAGE,
        )


def _reopen(run: Run, data_dir: Path) -> AnyJob:
    """The job of a run, from the values in its own `config.yaml`."""
    record = run.record
    root = dataset_of(run, data_dir)
    if root is None:
        raise DlError(
            f"The dataset of {run.name} is gone",
            why=f"it was {shown(record.dataset.path)}, and no other of that name is in "
            f"{shown(data_dir)}",
            hint="Put it back, or name its folder's parent with `--data-dir`, then resume again.",
        )
    config = _with_needed_runs(run, root, Config(read_config_file(run.config_file)))
    job = make_job(config, record.recipe, root, like=run)
    before = record.dataset.fingerprints
    if any(job.fingerprints[split] != before[split] for split in ("train", "valid")):
        raise DlError(
            f"The {job.dataset.noun}s of {shown(root)} have changed since {run.name} began",
            why=job.dataset.why_changed,
            hint=f"{job.dataset.how_to_copy} {_anew(record, root)}",
        )
    why, mend = job.changed_since(record)
    own = own_recipe(job.name)
    if own.get("recipe_digest") != record.recipe_digest:
        why = f"its recipe has changed: {shown(record.recipe_file or own['recipe_file'])}"
        mend = ""
    if why:
        message = f"{run.name} can't be resumed unchanged"
        raise DlError(message, why=why, hint=mend + _anew(record, root))
    return replace(job, changes=record.changes)


def _require_stopped(run: Run, epochs: int | None, was_at_work: bool) -> None:
    status = run.status
    if status["state"] == "finished" and epochs is None:
        hint = f"Look at it: `dl evaluate {typed_run(run)}`."
        if done := status.get("epoch"):
            hint += f" To train it further: `dl resume {typed_run(run)} --epochs {done + 4}`."
        raise DlError(f"{run.name} is finished", hint=hint)
    if was_at_work and status["state"] == "running":
        raise run.busy(status)
    run.require_single("dl resume RUN")


def _require_begun_or_empty(run: Run) -> None:
    """Refuse to train over an existing model if the checkpoint or the status is gone.

    Raises:
        DlError: there is a model, but nothing to resume from.
    """
    whole = run.state == "finished" and not run.is_damaged
    if not whole and not has_checkpoint(run.checkpoint) and run.best_model.is_file():
        why = "its checkpoint is gone, and training from the start would overwrite its model"
        if run.is_damaged:
            why = f"{shown(run.status_file)} is damaged, or {why}"
        raise DlError(
            f"{run.name} has a model, but can't be resumed",
            why=why,
            hint=f"Restore the file, or train a new run: `dl rerun {typed_run(run)}`.",
        )


def _with_needed_runs(run: Run, root: Path, config: Config) -> Config:
    """The settings, with the folder of the runs that this run needs.

    That is the folder that was set at the time, or, if all runs have moved, the folder of this run.

    Raises:
        DlError: a run is gone, or no longer finished.
    """
    recipe = config.recipe(run.record.recipe)
    beside = Value(run.path.parent.parent, "beside the run")
    for named in recipe.needed_runs:
        try:
            needed = find_run(named, config.settings().runs_dir, whole=True)
        except DlError:
            config = config.with_values(config.values | {"runs_dir": beside})
            try:
                needed = find_run(named, config.settings().runs_dir, whole=True)
            except DlError as error:
                raise _lacks(run, named, error.what, root) from error
        if needed.state != "finished":
            raise _lacks(run, named, f"it is not finished: its state is {needed.state}", root)
        if named == recipe.init_from and not needed.best_model.is_file():
            raise _lacks(run, named, f"{shown(needed.best_model)} is gone", root)
    return config


def _lacks(run: Run, named: str, why: str, root: Path) -> DlError:
    hint = f"Restore that run. {_anew(run.record, root)}"
    return DlError(f"{run.name} can't be resumed without {named}", why=why, hint=hint)


def _anew(record: RunRecord, root: Path) -> str:
    return f"To train a new run: `dl train {record.recipe} -d {quoted(root)}`."


def _progress_at_end(run: Run, job: AnyJob) -> Progress:
    """The progress of a finished run at its end.

    Raises:
        DlError: its history is damaged.
    """
    history: list[dict[str, Any]] = run.history
    names = [phase.name for phase in job.phases]
    if not history or any(row.get("phase") not in names for row in history):
        raise DlError(
            f"{run.name} can't be trained further",
            why=f"{shown(run.history_file)} is missing, or has other phases than the run",
            hint=f"Restore the file, or train a new run: `dl rerun {typed_run(run)}`.",
        )
    best = min(history, key=lambda row: row["val_loss"])
    last = history[-1]["phase"]
    return Progress(
        phase=names.index(last),
        phase_epochs=sum(row["phase"] == last for row in history),
        best_epoch=best["epoch"],
        best_phase=names.index(best["phase"]),
        best_loss=best["val_loss"],
        since_best=len(history) - best["epoch"],
        history=history,
        seconds=run.status.get("seconds", 0.0),
    )


def _require_revivable(run: Run, job: AnyJob) -> None:
    """Refuse a finished run whose models can't become a checkpoint.

    Raises:
        DlError: says why.
    """
    gone = [path for path in (run.best_model, run.last_model) if not path.is_file()]
    why = ""
    if job.recipe.ema is not None:
        why = "its files hold averaged weights (`--ema`); the weights themselves were not kept"
    elif gone:
        why = f"{shown(gone[0])} is gone, and it keeps no checkpoint"
    if why:
        raise DlError(
            f"{run.name} can't be trained further",
            why=why,
            hint="Train a new run, with more `--epochs` or with `--keep-checkpoint`.",
        )


def _revive(run: Run, job: AnyJob, progress: Progress) -> None:
    """Write a checkpoint for a finished run without one; its optimizer starts fresh.

    Raises:
        DlError: a model is damaged.
    """
    start_backend()
    phases = job.phases
    best = job.restored(phases[progress.best_phase], run.best_model).weights()
    last = job.restored(phases[progress.phase], run.last_model)
    optimizer = [to_numpy(variable) for variable in last.optimizer.variables]
    run.checkpoint.mkdir(exist_ok=True)
    save_best(run.checkpoint, progress, best)
    save_checkpoint(run.checkpoint, progress, last.weights(), optimizer)
    say(
        f"The optimizer of {run.name} starts fresh: a finished run has no checkpoint unless "
        "trained with `--keep-checkpoint`."
    )


def _set_aside(run: Run, job: AnyJob) -> None:
    """Move the reports and exports of a finished run's model to a folder `before-epoch-13/`.

    With more epochs another model may become the best; then they would be wrong.
    """
    made = [run.predictions_file("valid").parent, run.metrics_file, run.report_file, run.figures]
    made += [run.submission_file, run.exports]
    there = [path for path in made if path.exists()]
    if there:
        folder = make_numbered(run.path / f"before-epoch-{len(run.history) + 1}")
        for path in there:
            path.rename(folder / path.name)
        names = ", ".join(path.name for path in there)
        say(f"Moved the results of the previous model to {shown(folder)}: {names}.")
    run.remove_from_status(*outcome_keys(job))
