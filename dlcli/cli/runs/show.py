"""`dl runs show`: show one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, with_config
from dlcli.cli.parts.tables import emit_json, finite, print_table, print_text
from dlcli.cli.runs.choice import named_or_last, next_command
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.evaluation.scores import NAMES, SCORES
from dlcli.progress import say
from dlcli.words import printable, to_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlcli.evaluation.diagnosis import Diagnosis
    from dlcli.runs.disk import Stored
    from dlcli.runs.listing import Row
    from dlcli.runs.record import RecordedMember
    from dlcli.runs.run import Run
    from dlcli.runs.settings import Changed

# Values that get a line if the run has them; `--json` has the others.
LINES = (
    "run",
    "dataset",
    "state",
    "reason",
    "recipe",
    "command",
    "started",
    "finished",
    *(f"val_{name}" for name in NAMES),
    "public_score",
    *(f"train_{name}" for name in NAMES),
    "seconds",
    "parameters",
)
SENTENCES = ("reason", "problem")
# The names for people, as in the other tables; the keys are those of `status.yaml`.
WORDS = {
    **{f"val_{name}": f"valid {name}" for name in NAMES},
    **{f"train_{name}": f"train {name}" for name in NAMES},
}


@click.command("show", cls=Command)
@click.argument("named", metavar="[RUN]", required=False, shell_complete=complete_run)
@JSON
@with_config("dataset")
def show_command(config: Config, named: str | None, as_json: bool) -> None:
    """Show a RUN: changed settings, scores, diagnosis, files.

    Without RUN, it shows the newest run of the current dataset. Changed settings are those that
    differ from the defaults. The diagnosis says whether the run underfits or overfits. The last
    line suggests the next command.
    """
    from dlcli.runs.choice import name_to_type
    from dlcli.runs.disk import stored_files
    from dlcli.runs.listing import read_row

    run = named_or_last(config, named)
    row, files = read_row(run), stored_files(run)
    (changed, changes), diagnosis = _changed(run), _diagnosis(run)
    if as_json:
        emit_json(_plain(row, changed, changes, diagnosis, files))
    else:
        _print(row, changed, changes, diagnosis, files)
    say(_next(row, config, name_to_type(run, config.settings().runs_dir)))


def _print(
    row: Row,
    changed: Sequence[Changed],
    changes: Any,
    diagnosis: Diagnosis | None,
    files: Sequence[Stored],
) -> None:
    from dlcli.runs.attempts import advice_lines
    from dlcli.runs.disk import size_of

    _print_head(row)
    click.echo()
    _print_settings(row.run, changed, changes)
    if diagnosis:
        click.echo()
        for line in advice_lines(row.run, diagnosis):
            print_text(line)
    click.echo()
    rows: list[list[object]] = [
        [file.name, file.size_bytes, f"the same file as {file.same_as}" if file.same_as else ""]
        for file in files
    ]
    print_table(["file", "bytes", ""], [*rows, ["in all", size_of(files), ""]])


def _print_head(row: Row) -> None:
    """Print the values that have a line, without those that the run lacks."""
    from dlcli.runs.listing import PLANNED, TIMES
    from dlcli.settings.fields import text_of

    lines = {name: row.values.get(name) for name in LINES}
    lines |= {name: to_second(str(lines[name])) for name in TIMES if lines[name] is not None}
    if row.values["epoch"] is not None:
        planned = row.values.get(PLANNED)
        of = f" of {planned}" if planned and planned != row.values["epoch"] else ""
        lines["epochs"] = f"{row.values['epoch']}{of}"
        lines["best epoch"] = row.values["best_epoch"]
    if row.problem:
        lines["problem"] = row.problem
    for name, value in lines.items():
        if value is not None:
            start, text = f"{WORDS.get(name, name):14}  ", text_of(value)
            if name in SENTENCES:
                print_text(text, start)
            else:  # unbroken, so that it can be copied
                click.echo(start + printable(text))


def _print_settings(run: Run, changed: Sequence[Changed], changes: Any) -> None:
    """Print the changed settings, or an ensemble's members, and the changes by `dl resume`."""
    from dlcli.runs.changes import change_lines
    from dlcli.settings.fields import text_of

    resumed = change_lines(changes)
    if changed:
        print_table(
            ["setting", "value", "default"],
            [
                [each.key, text_of(each.value) or "none", _default(each, text_of(each.default))]
                for each in changed
            ],
        )
    elif members := _members(run):
        titles = SCORES[run.record.kind].titles
        print_table(
            ["member", *titles.values()],
            [[each.name, *map(each.scores.get, titles)] for each in members],
        )
    elif not resumed:
        click.echo("All settings have their defaults.")
    for text in resumed:
        print_text(f"Changed {text}.")


def _default(changed: Changed, text: str) -> str:
    return text or "none" if changed.known else "not known here"


def _changed(run: Run) -> tuple[Sequence[Changed], Any]:
    """The settings that are not the defaults, and the changes by `dl resume`.

    Both are empty if the file can't be read.
    """
    from dlcli.runs.settings import changed_settings

    try:
        return changed_settings(run.config), run.config["run"].get("changes")
    except DlError:
        return (), None


def _members(run: Run) -> Sequence[RecordedMember]:
    """An ensemble's members, with their scores when it was made; none where the file can't say."""
    try:
        return run.record.members
    except DlError:
        return ()


def _diagnosis(run: Run) -> Diagnosis | None:
    """The diagnosis of a finished training; None if missing, or from another version."""
    try:
        return run.diagnosis
    except DlError:
        return None


def _plain(
    row: Row,
    changed: Sequence[Changed],
    changes: Any,
    diagnosis: Diagnosis | None,
    files: Sequence[Stored],
) -> dict[str, Any]:
    from dataclasses import asdict

    from dlcli.runs.listing import FIELDS, MORE_SCORES, TOLD

    more = [name for name in MORE_SCORES if name in row.values]
    return {
        **{name: finite(row.values.get(name)) for name in (*FIELDS, *TOLD, *more, "command")},
        "folder": str(row.run.path),
        "problem": row.problem or None,
        "settings": {each.key: asdict(each) for each in changed},
        "changes": changes or [],
        "members": [each.describe() for each in _members(row.run)],
        "diagnosis": asdict(diagnosis) if diagnosis else None,
        "files": [asdict(file) for file in files],
    }


def _next(row: Row, config: Config, named: str) -> str:
    """The next command for a run in this state."""
    import shlex

    from dlcli.runs.choice import same_runs
    from dlcli.runs.listing import DAMAGED

    words = f"{shlex.quote(named)}{same_runs(config)}"
    if row.state == DAMAGED:
        return f"Damaged: {row.problem}. Restore the file, or remove the run: `dl runs rm {words}`"
    if row.state == "running":
        return "The run is being trained. Wait for it."
    if row.state == "finished":
        return f"Next: `{next_command(row.run, config)}`"
    return f"Next: `dl resume {words}`, or `dl runs rm {words}`"
