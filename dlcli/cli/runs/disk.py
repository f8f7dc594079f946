"""`dl runs du` and `dl runs rm`: show the size of runs, and remove them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from dlcli import words
from dlcli.cli.parts.ask import YES, consent
from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, with_config
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.cli.runs.choice import ALL, choose_runs, find_named, select_runs
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dlcli.runs.run import Run

# A command to type names at most so many runs besides ensembles.
MOST_TYPED = 3


@click.command("du", cls=Command)
@ALL
@JSON
@with_config("dataset")
def du_command(config: Config, everything: bool, as_json: bool) -> None:
    """Show the size of runs on disk, the largest first.

    `--all` also prints the total of all that `dl` keeps: datasets, features, runs and its cache.
    """
    from dlcli.runs.disk import checkpoint_of, size_of, stored_files
    from dlcli.runs.listing import list_runs

    dataset, _ = choose_runs(config, everything)
    runs_dir = config.settings().runs_dir
    found = []
    for row in list_runs(runs_dir, dataset):
        files = stored_files(row.run)
        found.append((row, size_of(files), size_of(checkpoint_of(row.run, files))))
    found.sort(key=lambda each: each[1], reverse=True)
    kept = _kept(config, runs_dir) if everything else {}
    total, checkpoints = sum(size for _, size, _ in found), sum(part for _, _, part in found)
    if as_json:
        runs = [
            {
                "run": row.run.name,
                "dataset": row.run.dataset,
                "folder": str(row.run.path),
                "state": row.state,
                "size_bytes": size,
                "checkpoint_bytes": part,
            }
            for row, size, part in found
        ]
        told = {"size_bytes": total, "checkpoint_bytes": checkpoints, "runs": runs}
        emit_json({**told, **({"kept_bytes": kept} if kept else {})})
        return
    if not found:
        say(f"No runs in {shown(runs_dir if dataset is None else runs_dir / dataset)}")
        _say_kept(kept)
        return
    sizes = _megabytes("MB", [*(size for _, size, _ in found), total])
    parts = _megabytes("checkpoint", [*(part for _, _, part in found), checkpoints])
    names = [
        f"{row.run.dataset}/{row.run.name}" if everything else row.run.name for row, _, _ in found
    ]
    states = [row.state for row, _, _ in found]
    columns: dict[str, Sequence[str]] = {"run": [*names, "in all"], "state": [*states, ""]}
    if checkpoints:
        columns["checkpoint"] = parts
    columns["MB"] = sizes
    print_table([*columns], [*zip(*columns.values(), strict=True)], ("state",))
    if checkpoints:
        say("Checkpoints are only for resuming; next: `dl runs rm --checkpoints RUN`")
    _say_kept(kept)
    if not everything:
        say(
            "Features take space too: `dl features ls` shows how much, `dl features rm` removes "
            "them. `dl runs du --all` has the total of all datasets, features and runs."
        )


def _kept(config: Config, runs_dir: Path) -> dict[str, int]:
    """The sizes in bytes of all that `dl` keeps, by what it is."""
    from dlcli.data.choice import dataset_names
    from dlcli.features.store import stored_features
    from dlcli.files.paths import cache_home
    from dlcli.runs.disk import folder_sizes

    data_dir = config.settings().data_dir
    roots = [data_dir / name for name in dataset_names(data_dir)]
    features = [store.folder for root in roots for store in stored_features(root)]
    # what is counted as features is not counted again in the folder that holds them
    sizes = folder_sizes([*features, cache_home(), runs_dir, *roots])
    stores, (cache, runs, *datasets) = sizes[: len(features)], sizes[len(features) :]
    return {
        "datasets": sum(datasets),
        "features": sum(stores),
        "runs": runs,
        "cache": cache,
    }


@click.command("rm", cls=Command)
@click.argument("named", metavar="RUN...|FILTER...", nargs=-1, shell_complete=complete_run)
@ALL
@click.option("--checkpoints", is_flag=True, help="remove only the checkpoints")
@YES
@click.option(
    "--force", is_flag=True, help="with `--yes`: also remove needed runs, and others' files in runs"
)
@with_config("dataset")
def rm_command(
    config: Config,
    named: tuple[str, ...],
    everything: bool,
    checkpoints: bool,
    yes: bool,
    force: bool,
) -> None:
    """Remove runs, or their checkpoints.

    Removes each RUN, or all runs that pass every FILTER, as in `dl runs ls`. It prints their sizes
    and what needs them, then asks once. Give names or filters, not both. With `--yes`, type the
    whole name of each RUN, or a FILTER with its sign. It is then an error if an ensemble, an
    unfinished run or a ladder needs one of the runs, unless that goes too, or you add `--force`. So
    it is if a run's folder holds files that `dl` did not make; it names them before it asks.
    """
    from dlcli.runs.disk import (
        checkpoint_of,
        remove_checkpoint,
        remove_run,
        require_at_rest,
        require_no_link,
        size_of,
        stored_files,
    )

    if force and not yes:
        raise click.UsageError("`--force` is only for `--yes`: add that, or leave out `--force`.")
    sizes: dict[Run, int] = {}
    others: list[Path] = []
    for run in _meant(config, named, everything, yes):
        require_no_link(run)
        require_at_rest(run)
        files = stored_files(run)
        if checkpoints and not (files := checkpoint_of(run, files)):
            say(f"{shown(run.path)} has no checkpoint.")
            continue
        sizes[run] = size_of(files)
        say(f"{shown(run.checkpoint if checkpoints else run.path)}: {words.size(sizes[run])}")
        if not checkpoints:
            others += run.others()
    if not sizes:
        return
    what = "checkpoint" if checkpoints else "run"
    asked = words.count(len(sizes), what)
    if len(sizes) == 1:
        (run,) = sizes
        asked = f"the checkpoint of {run.name}" if checkpoints else run.name
    question = f"Remove {asked}, {words.size(sum(sizes.values()))}"
    answer = "--yes"
    if checkpoints:
        _warn_of_stopped(list(sizes))
    elif needed := _needed(list(sizes), config.settings().runs_dir):
        if yes and not force:
            raise _refused(needed, config)
        question += _though(needed, len(sizes))
        answer = "--yes --force"
    for path in others:
        say(f"Warning: {shown(path)} would be removed too, and `dl` did not make it.")
    if others:
        if yes and not force:
            raise DlError(
                f"{shown(others[0])} is not a file of `dl`",
                hint="Nothing was removed. Move it elsewhere. To remove it too, add `--force`.",
            )
        answer = "--yes --force"
    consent(f"{question}?", yes, answer=answer)
    left: list[Path] = []
    for run in sizes:
        with run.held():  # `dl resume` locks it too, before it trains
            if checkpoints:
                left += remove_checkpoint(run)
            else:
                remove_run(run)
    say(f"Removed {asked}.")
    for path in left:
        say(f"{shown(path)} stays: `dl` did not make it.")


def _say_kept(kept: Mapping[str, int]) -> None:
    """Say how much room all takes, if that was measured, and how to make some."""
    from dlcli.files.paths import cache_home

    if not kept:
        return
    each = ", ".join(f"{what} {words.size(size)}" for what, size in kept.items())
    say(f"All that `dl` keeps: {words.size(sum(kept.values()))} ({each})")
    say(
        "`dl features ls --all` lists features, `dl features rm` removes them. You may remove the "
        f"cache too, {shown(cache_home())}: `dl` makes it again."
    )


def _meant(config: Config, named: Sequence[str], everything: bool, yes: bool) -> list[Run]:
    """The named runs, each once, or those that pass the filters.

    Raises:
        DlError: there is no such run, or none passes.
        click.UsageError: both names and filters, or neither.
    """
    from functools import partial

    from dlcli.runs.filters import is_filter, word_filter
    from dlcli.runs.listing import find_listed

    filters = [word for word in named if is_filter(word) or word_filter(word)]
    for word in filters:
        if yes and (meant := word_filter(word)):
            raise click.UsageError(f"`{word}` is not a run's whole name. Type `{meant}`.")
    if not named:
        raise click.UsageError("Name runs, `dl runs rm RUN`, or filter them, `state=failed`.")
    if len(filters) == len(named):
        found = select_runs(config, filters, everything).of_the_dataset()
        found.require_some()
        return [row.run for row in found.kept]
    if filters:
        names = shlex.join(word for word in named if word not in filters)
        raise click.UsageError(
            f"`{filters[0]}` is a filter: name runs, or filter them, not both. One after the "
            f"other: `dl runs rm {names}`, `dl runs rm {shlex.join(filters)}`."
        )
    if everything:
        raise click.UsageError("`--all` is only for filters: leave it out.")
    # a part of a name stands for a run only if its whole name is asked about
    runs = find_named(config, named, partial(find_listed, whole=yes))
    return list({run.path.resolve(): run for run in runs}.values())


def _warn_of_stopped(runs: Sequence[Run]) -> None:
    """Warn of runs that can't resume without their checkpoints."""
    for run in runs:
        if run.state != "finished":
            say(f"Warning: {run.name} is {run.state}; without the checkpoint it can't resume.")


def _needed(runs: Sequence[Run], runs_dir: Path) -> dict[Run, list[str]]:
    """The runs that something needs which does not go with them, and what that is; warns of it."""
    from dlcli.runs.disk import needed_by
    from dlcli.runs.listing import list_runs

    others = [row for row in list_runs(runs_dir) if row.run not in runs]
    found = {run: reasons for run in runs if (reasons := needed_by(run, others, runs_dir))}
    for run, reasons in found.items():
        for reason in reasons:
            say(f"Warning: {run.name} is needed: {reason}.")
    return found


def _though(needed: Mapping[Run, Sequence[str]], going: int) -> str:
    """The end of the question, which says that runs are needed, of the number that goes."""
    reasons = [reason for each in needed.values() for reason in each]
    if going == len(reasons) == 1:  # a reason says "it" of its run
        return f", although {reasons[0]}"
    return f", although {words.count(len(needed), 'run is', 'runs are')} needed"


def _refused(needed: Mapping[Run, Sequence[str]], config: Config) -> DlError:
    """The error of needed runs that `--yes` does not remove."""
    from dlcli.runs.choice import same_runs, typed_run
    from dlcli.runs.disk import ensembles_with
    from dlcli.runs.listing import list_runs

    rows = list_runs(config.settings().runs_dir)
    ensembles = dict.fromkeys(each for run in needed for each in ensembles_with(run, rows))
    names = [run.name for run in needed]
    it = "it" if len(names) == 1 else "them"
    hint = f"Nothing was removed. To remove {it} all the same, add `--force`."
    if ensembles:
        is_short = len(needed) <= MOST_TYPED
        typed = " ".join(map(typed_run, [*ensembles, *(needed if is_short else ())]))
        what = "ensemble" if len(ensembles) == 1 else "ensembles"
        hint += f" To remove the {what} {'too' if is_short else 'first'}: "
        hint += f"`dl runs rm {typed} --yes{same_runs(config)}`"
    return DlError(
        f"{names[0]} is needed" if len(names) == 1 else f"{len(names)} runs are needed", hint=hint
    )


def _megabytes(title: str, sizes: Sequence[int]) -> list[str]:
    """Sizes in MB, right-aligned."""
    texts = [f"{size / 1e6:,.1f}" for size in sizes]
    width = max(map(len, [title, *texts]))
    return [text.rjust(width) for text in texts]
