"""`dl runs`: list runs, and print the best."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.help import CALLED, Command, Group, Page
from dlcli.cli.parts.options import JSON, OneOf, with_config
from dlcli.cli.parts.tables import WIDE, emit_json, finite, fits, print_table
from dlcli.cli.runs.choice import ALL, FILTERS, select_runs
from dlcli.config import Config, load_config
from dlcli.errors import DlError, nearest
from dlcli.evaluation.scores import NAMES
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.runs.filters import METRICS, SIGNS, best_first, sort_key, sorted_by, word_filter
from dlcli.words import count, to_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from dlcli.runs.listing import Row

SECONDS, PUBLIC = "seconds", "public_score"
# Scores besides the loss, by the titles of their columns. A list has those that a run in it has.
SCORES = {name: f"val_{name}" for name in NAMES if name != "loss"}
# Without `seconds` they fit on 80 characters, with a name of 39, the state `interrupted` and one
# score.
COLUMNS = ("run", "state", "epochs", "val_loss", *SCORES, SECONDS)
# Columns that a narrow terminal leaves out, unless a filter or `--sort` names their key.
SPARE = {SECONDS: SECONDS, "epochs": "epoch"}
# The commands in the order of use, and the modules of those that are not here.
MODULES = {
    "ls": None,
    "show": "show",
    "diff": "compare",
    "compare": "compare",
    "best": None,
    "report": "report",
    "tensorboard": "report",
    "verify": "verify",
    "rm": "disk",
    "du": "disk",
}


class Runs(Group):
    """The commands about runs; the default is `ls`."""

    before_dataset = "-d"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = MODULES.get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(
            import_module(f"dlcli.cli.runs.{module}"), f"{cmd_name}_command"
        )
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        completing_first = ctx.resilient_parsing and not args
        return super().parse_args(ctx, args if completing_first else _with_ls(args))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith("-"):
            return Page.shell_complete(ls, click.Context(ls, ctx), incomplete)
        return super().shell_complete(ctx, incomplete)

    def meant(self, ctx: click.Context, name: str) -> str:
        """Suggest a command; or a recipe, dataset or run, if no command is near."""
        from dlcli.runs.choice import word_meant

        near = nearest(CALLED.get(name, name), self.list_commands(ctx))
        return (not near and word_meant(name, load_config().settings())) or super().meant(ctx, name)


def _with_ls(args: list[str]) -> list[str]:
    """Insert `ls` before options, filters, recipes and states; any other word is a command."""
    first = args[0] if args else "-"
    if first in MODULES:
        return args
    named = first in (*COLUMNS, *SCORES.values()) or word_filter(first) is not None
    of_ls = named or first.startswith("-") or any(sign in first for sign in SIGNS)
    return ["ls", *args] if of_ls and first not in ("-h", "--help") else args


@click.group(cls=Runs, options_metavar="", subcommand_metavar="[COMMAND] [ARGS]...")
def command() -> None:
    """List, show, compare and remove runs.

    Without COMMAND, `dl runs` lists the runs, with the filters and options of `dl runs ls`. A run's
    name says when it began (UTC), its recipe and its main values: `-e12-lr0.003-t1` is 12 epochs,
    0.003 as the first learning rate, 1 trained layer.
    """


@command.command(cls=Command)
@FILTERS
@click.option(
    "--sort",
    metavar="[-]KEY",
    help="sort by a column or a setting; a minus sorts in descending order",
)
@ALL
@WIDE
@JSON
@click.option("--csv", "as_csv", is_flag=True, help="print CSV")
@with_config("dataset")
def ls(
    config: Config,
    filters: tuple[str, ...],
    sort: str | None,
    everything: bool,
    wide: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """List a dataset's runs, the newest first.

    FILTER selects runs by a key, a sign and a value: `recipe=finetune`, `state!=failed`,
    `'val_accuracy>0.98'`. The key is a column of the list, a value in the run's `status.yaml`, or a
    setting in its `config.yaml`: `train.cnn.dropout`, or only `dropout`. `lr` is the highest rate
    of the run's schedule. The signs are = != < <= > and >=. Put quotes around < and >. The name of
    a recipe or a state is enough: `dl runs ls finetune`, `dl runs ls failed`.
    """
    if as_json and as_csv:
        raise click.UsageError("Use `--json` or `--csv`, not both.")
    from dlcli.runs.listing import fields_of

    to_sort = [sort_key(sort)[0]] if sort else []
    found = select_runs(config, filters, everything, to_sort)
    keys = [*(each.key for each in found.filters), *to_sort]
    kept = sorted_by(found.kept, sort) if sort else found.kept
    if as_json or as_csv:
        fields = [*fields_of(kept), *keys]
        _print_plain([_plain(row, fields) for row in kept], fields, as_json)
    elif kept:
        # the names say which recipe it is
        columns = [key for key in keys if key != "recipe" or key in to_sort]
        _print_rows(kept, columns, everything, wide)
    place = shown(found.place)
    if not found.rows:
        from dlcli.runs.choice import training

        say(f"No runs in {place}; next: `{training(found.runs_dir, found.root)}`")
    elif not kept:
        say(f"None of {count(len(found.rows), 'run')} in {place} passes the filters.")
        say(f"Values of the runs: {found.values_there}")
    else:
        from dlcli.runs.choice import in_runs_dir, name_to_type, same_runs

        of = f"{len(kept):,} of " if filters else ""
        runs = count(len(found.rows), "run")
        after = f"`dl runs show RUN{in_runs_dir(found.runs_dir)}`"
        if found.dataset is not None and best_first(found.rows, "val_loss"):
            after += f", `dl runs best{found.same}`"
        if stopped := next((row.run for row in kept if row.state == "interrupted"), None):
            named = name_to_type(stopped, found.runs_dir)
            after = f"`dl resume {named}{same_runs(config)}`"
        say(f"{of}{runs} in {place}; next: {after}")


@command.command(cls=Command)
@FILTERS
@click.option(
    "--metric",
    type=OneOf(METRICS),
    default="val_loss",
    show_default=True,
    help="score to compare by",
)
@with_config("dataset")
def best(config: Config, filters: tuple[str, ...], metric: str) -> None:
    """Print the name of a dataset's best finished run.

    Use it in another command: `dl submit $(dl runs best)`. FILTER is as in `dl runs ls`.
    """
    from dlcli.runs.choice import name_to_type, train_one
    from dlcli.runs.dataset import may_be_of

    runs = select_runs(config, filters)
    ranked = best_first(runs.kept, metric)
    of_it = (row for row in ranked if runs.root is None or may_be_of(row.run, runs.root))
    found = next(of_it, None)
    runs_dir = config.settings().runs_dir
    if found is None:
        passes = " passes the filters" if filters and runs.rows else ""
        hint = train_one(runs_dir, runs.root)
        if runs.rows:
            hint += f" `{runs.listing}` lists all."
        if passes and not runs.kept:
            hint = f"Values of the runs: {runs.values_there}\n`{runs.listing}` lists all."
        raise DlError(
            f"No finished run of {shown(str(runs.dataset))} in {shown(runs_dir)}{passes}",
            why="all runs there belong to another dataset of that name" if ranked else "",
            hint=hint,
        )
    say(f"Best of {len(ranked):,} by {metric}: {found.values[metric]:.4f}")
    click.echo(name_to_type(found.run, runs_dir))


def _print_rows(rows: Sequence[Row], keys: Sequence[str], everything: bool, wide: bool) -> None:
    """Print the table, with a column for each requested key.

    Public scores and problems get a column if a run has any. So do datasets, if their names before
    those of the runs do not fit on the lines of the terminal.
    """
    from dlcli.runs.listing import epochs_of

    own = (*COLUMNS, *SCORES.values(), "epoch", "dataset")
    there = [t for t, key in SCORES.items() if any(row.values.get(key) is not None for row in rows)]
    scores = there or [*SCORES][:1]
    scored = any(row.values[PUBLIC] is not None for row in rows)
    asked = [PUBLIC, *keys] if scored else keys
    more = [key for key in dict.fromkeys(asked) if key not in own]
    problems = any(row.problem for row in rows)
    seconds = _aligned([row.values["seconds"] for row in rows])
    table: list[list[object]] = [
        [
            row.run.name,
            row.state,
            epochs_of(row),
            row.values["val_loss"],
            *(row.values.get(SCORES[title]) for title in scores),
            took,
            *(_cell(row, key) for key in more),
        ]
        for row, took in zip(rows, seconds, strict=True)
    ]
    columns = [title for title in COLUMNS if title not in SCORES or title in scores]
    header = [*columns, *("public" if key == PUBLIC else key for key in more)]
    spare = [title for title, key in SPARE.items() if key not in keys]
    if everything:
        datasets = [row.run.dataset for row in rows]
        named = [
            [f"{name}/{cells[0]}", *cells[1:]] for name, cells in zip(datasets, table, strict=True)
        ]
        needed = [number for number, title in enumerate(header) if wide or title not in spare]
        if fits([header[i] for i in needed], [[cells[i] for i in needed] for cells in named]):
            table = named
        else:  # the name of a run alone names it, too, if no other has it
            header.append("dataset")
            table = [[*cells, name] for name, cells in zip(datasets, table, strict=True)]
    if problems:
        header.append("problem")
        table = [[*cells, row.problem] for row, cells in zip(rows, table, strict=True)]
    print_table(header, table, spare, remarks=problems, wide=wide)


def _cell(row: Row, key: str) -> Any:
    """A value for the table; a setting as people write it, such as 1e-05."""
    from dlcli.runs.listing import FIELDS, MORE_SCORES, TIMES, TOLD
    from dlcli.settings.fields import text_of

    value = row.values.get(key)
    if key in TIMES and value is not None:
        return to_second(str(value))
    told = key in (*FIELDS, *TOLD, *MORE_SCORES) or isinstance(value, int)
    return value if told else text_of(value)


def _aligned(seconds: Sequence[float | None]) -> list[str]:
    """Seconds to a tenth, right-aligned."""
    texts = ["" if value is None else f"{value:,.1f}" for value in seconds]
    width = max(map(len, [SECONDS, *texts]))
    return [text.rjust(width) for text in texts]


def _plain(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    """A row for JSON and CSV, always with the same keys."""
    values = {key: finite(row.values.get(key)) for key in dict.fromkeys(keys)}
    return {**values, "folder": str(row.run.path), "problem": row.problem or None}


def _print_plain(rows: Sequence[dict[str, Any]], keys: Sequence[str], as_json: bool) -> None:
    if as_json:
        emit_json(rows)
        return
    import csv
    import io

    header = [*dict.fromkeys(keys), "folder", "problem"]
    text = io.StringIO()
    # Python's writer leaves a lone carriage return bare, and its reader then ends the row
    odd = any("\r" in str(value) for row in rows for value in row.values())
    writer = csv.DictWriter(
        text, header, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    )
    writer.writeheader()
    writer.writerows(rows)
    click.echo(text.getvalue(), nl=False)
