"""`dl runs diff` and `dl runs compare`: compare runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import JSON, TypedPath, with_config
from dlcli.cli.parts.tables import WIDE, emit_json, fits, print_table, print_text
from dlcli.cli.runs.choice import named_or_newest
from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.words import printable

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from dlcli.report.compare import Comparison
    from dlcli.report.contrast import Contrast
    from dlcli.runs.run import Run
    from dlcli.runs.settings import Difference

PICTURE = "compare.png"
SECONDS = "seconds"


@click.command("diff", cls=Command)
@click.argument("named", metavar="[RUN RUN]", nargs=-1, shell_complete=complete_run)
@JSON
@with_config("dataset")
def diff_command(config: Config, named: tuple[str, ...], as_json: bool) -> None:
    """Show the settings in which two runs differ.

    Without RUN, the command compares the newest two runs of the current dataset. It compares the
    settings, hyperparameters, versions of packages and examples that `config.yaml` records.
    """
    from dlcli.report.compare import names_of
    from dlcli.runs.settings import differing_settings

    if len(named) not in (0, 2):
        raise click.UsageError("`dl runs diff` takes two runs, or none for the newest two.")
    runs = named_or_newest(config, named, finished=False)
    differences = differing_settings(runs)
    if as_json:
        emit_json({"runs": [str(run.path) for run in runs], "settings": _plain(differences)})
    elif differences:
        print_differences(differences, _titles(differences, names_of(runs)))
    else:
        say(f"{' and '.join(map(shown, names_of(runs)))} have the same settings.")


@click.command("compare", cls=Command)
@click.argument("named", metavar="[RUN RUN [RUN]...]", nargs=-1, shell_complete=complete_run)
@click.option(
    "--out",
    type=TypedPath(),
    metavar="FILE",
    help=f"PNG of the curves  [default: {PICTURE} beside the first run]",
)
@WIDE
@JSON
@with_config("dataset")
def compare_command(
    config: Config, named: tuple[str, ...], out: Path | None, wide: bool, as_json: bool
) -> None:
    """Compare the scores, settings and curves of finished runs.

    Without RUN, the command compares the newest two finished runs of the current dataset. It
    computes the scores on the validation images or ratings that all runs have in common, and says
    which differences chance can explain.
    """
    from dlcli.report.compare import compare

    _require_png(out)
    runs = named_or_newest(config, named, finished=True)
    comparison = compare(runs)
    picture = _draw(runs, comparison, out)
    if as_json:
        emit_json(_as_json(comparison, picture))
    else:
        _print(comparison, wide)


def _require_png(out: Path | None) -> None:
    if out is not None and out.suffix.lower() != ".png":
        raise DlError(
            f"Can't write {shown(out)}",
            why="the figure is a PNG",
            hint=f"Name it {shown(out.with_suffix('.png'))}.",
            exit_code=ExitCode.USAGE,
        )


def _draw(runs: Sequence[Run], comparison: Comparison, out: Path | None) -> Path | None:
    """Write the figure of the curves; None, with a message, if that is not possible."""
    from dlcli.report.compare import names_of
    from dlcli.report.figures import draw_comparison

    drawn, without = [], []
    for each, name in zip(comparison.runs, names_of(runs, short=True), strict=True):
        if history := each.run.history:
            drawn.append((f"{each.letter}  {name}", history))
        else:
            without.append(each.letter)
    if without:
        say(f"Without a curve: {', '.join(without)}. A run without a history has none (ensembles).")
    if not drawn:
        return None
    path = out or runs[0].path.parent / PICTURE
    try:
        draw_comparison(path, drawn)
    except OSError as error:
        if out is not None:
            raise
        say(f"No figure: {shown(path)}: {error.strerror}. Name another file: `--out FILE`.")
        return None
    say(f"Curves: {shown(path)}")
    return path


def _print(comparison: Comparison, wide: bool) -> None:
    from dlcli.evaluation.scores import SCORES
    from dlcli.report.compare import names_of

    rows, titles = [], SCORES[comparison.kind].titles
    names = names_of([each.run for each in comparison.runs])
    for each, name in zip(comparison.runs, names, strict=True):
        seconds = each.seconds and f"{each.seconds:.1f}".rjust(len(SECONDS))
        scores = [each.scores[name] for name in titles]
        rows.append([each.letter, name, each.recipe, each.epochs, *scores, seconds])
    header = ["", "run", "recipe", "epochs", *titles.values(), SECONDS]
    print_table(header, rows, (SECONDS, "recipe", "epochs"), wide=wide)
    click.echo()
    if comparison.differences:
        print_differences(comparison.differences, [each.letter for each in comparison.runs])
    else:
        click.echo("All settings are the same.")
    click.echo()
    for contrast in _merged(comparison.contrasts):
        for sentence in contrast.sentences:
            print_text(sentence)
    if (several := len(comparison.contrasts)) > 1:
        print_text(
            f"With {several} comparisons, chance finds a difference more often than with one. Each "
            "p is corrected for that by Holm's method."
        )


def _merged(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The contrasts, with one for all runs of the same predictions, such as equal members."""
    from dataclasses import replace

    same: dict[Hashable, list[Contrast]] = {}
    for each in contrasts:
        same.setdefault(each.outcome, []).append(each)
    return [
        replace(group[0], other=" and ".join(each.other for each in group))
        for group in same.values()
    ]


def _titles(differences: Sequence[Difference], names: Sequence[str]) -> Sequence[str]:
    """The title of each run's column: its name, or a letter if the names do not fit."""
    from dlcli.report.compare import letter

    if fits(["setting", *names], [[each.setting, *each.brief] for each in differences]):
        return names
    letters = [letter(number) for number in range(len(names))]
    for each, name in zip(letters, names, strict=True):
        click.echo(f"{each}  {printable(name)}")
    click.echo()
    return letters


def print_differences(differences: Sequence[Difference], names: Sequence[str]) -> None:
    """Print a column for each run, or if the columns don't fit, a line for each value.

    In the second form, a line names all runs that have its value. Values are told apart by their
    whole texts: brief ones may be the same.
    """
    rows = [[each.setting, *each.brief] for each in differences]
    if fits(header := ["setting", *names], rows):
        print_table(header, rows)
        return
    lines = []
    for each in differences:
        setting = each.setting
        having: dict[tuple[str, str], list[str]] = {}
        for name, text, brief in zip(names, each.texts, each.brief, strict=True):
            having.setdefault((text, brief), []).append(name)
        for (text, brief), runs in having.items():
            if text:
                lines.append([setting, ", ".join(runs), brief])
                setting = ""
    print_table(["setting", "runs", "value"], lines)


def _plain(differences: Sequence[Difference]) -> dict[str, list[Any]]:
    return {each.setting: [*each.values] for each in differences}


def _as_json(comparison: Comparison, picture: Path | None) -> dict[str, Any]:
    """The comparison as plain values for JSON."""
    from dlcli.data.dataset import NOUNS
    from dlcli.evaluation.scores import SCORES

    path = {each.letter: str(each.run.path) for each in comparison.runs}
    return {
        f"{NOUNS[comparison.kind]}s": comparison.examples,
        "runs": [
            {
                "run": path[each.letter],
                "letter": each.letter,
                "recipe": each.recipe,
                "epochs": each.epochs,
                **{f"val_{name}": each.scores[name] for name in SCORES[comparison.kind].titles},
                "seconds": each.seconds,
            }
            for each in comparison.runs
        ],
        "settings": _plain(comparison.differences),
        "contrasts": [
            {
                "best": path[each.best],
                "other": path[each.other],
                **each.values,
                "words": each.sentences,
            }
            for each in comparison.contrasts
        ],
        "picture": str(picture) if picture else None,
    }
