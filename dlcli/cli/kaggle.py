"""`dl kaggle`: your rank, submissions and scores in a competition."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from dlcli.cli.parts.help import Command, Group
from dlcli.cli.parts.options import JSON, WholeNumber, with_config
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from dlcli.kaggle.account import Kaggle
    from dlcli.kaggle.competitions import Metric, Sent
    from dlcli.kaggle.leaderboard import Truth
    from dlcli.kaggle.record import Entry, News
    from dlcli.runs.run import Run


KEYS = ("dataset", "kaggle.competition", "kaggle.metric")
# Teams to show above and below the user's own place.
AROUND = 2


@click.group(cls=Group)
def command() -> None:
    """Show your rank and submissions in a competition.

    Name the competition with `-c NAME`. Without `-c`, it is the competition that `dl data get`
    recorded in the dataset.
    """


@dataclass(frozen=True)
class Here:
    """The competition that a command acts on.

    Args:
        kaggle: the account.
        slug: the competition.
        metric: its metric, if known.
        runs: the dataset's runs; none without a dataset.
        named: options that make another command act on the same competition.
    """

    kaggle: Kaggle
    slug: str
    metric: Metric | None
    runs: tuple[Run, ...]
    named: str

    def sync(self) -> News:
        """Update the runs with Kaggle's list."""
        from dlcli.kaggle.record import sync

        return sync(self.kaggle, self.runs, self.slug, self.metric)


def competition_here(config: Config, *, needs_dataset: bool = False) -> Here:
    """The competition of the settings, and the dataset's runs.

    Raises:
        DlError: no competition is known, or a dataset is needed and none is known.
    """
    from dlcli.data.choice import again, choose_dataset
    from dlcli.kaggle.account import open_kaggle
    from dlcli.kaggle.competitions import metric_of
    from dlcli.kaggle.plan import with_competition
    from dlcli.runs.run import Run

    runs: list[Run] = []
    named = config.retyped(["kaggle.competition"])
    try:
        choice = choose_dataset(config)
    except DlError as error:
        if needs_dataset or config.settings().kaggle.competition is None:
            if needs_dataset:
                raise
            hint = f"Name a dataset, or `-c COMPETITION`. {error.hint}"
            raise DlError(error.what, why=error.why, hint=hint) from error
        config = with_competition(config, None)
    else:
        say(str(choice))
        config = with_competition(config, choice.root)
        runs = Run.all(config.settings().runs_dir, choice.root.name)
        named += again(choice.root)
        if config.settings().kaggle.competition is None:
            raise DlError(
                f"No competition is known for {shown(choice.root)}",
                hint="Add `-c NAME`, or save it as `competition: NAME` under `kaggle:` in "
                f"{shown(choice.root / 'dataset.yaml')}.",
            )
    wants = config.settings().kaggle
    slug = str(wants.competition)
    return Here(open_kaggle(), slug, metric_of(slug, wants.metric), tuple(runs), named)


@command.command(cls=Command)
@JSON
@with_config(*KEYS)
def status(config: Config, as_json: bool) -> None:
    """Show your rank, and compare validation and public scores.

    Public scores are Kaggle's. A table and a correlation show how well the scores on your
    validation images predict them.
    """
    from dlcli.kaggle.competitions import rules_page
    from dlcli.kaggle.leaderboard import overview, sent_by_runs, truth

    here = competition_here(config)
    sent = here.sync().listed
    limits, board = here.kaggle.limits(here.slug), here.kaggle.leaderboard(here.slug)
    seen = overview(board, sent, here.metric)
    metric, best, rank = seen.metric, seen.best, seen.rank
    ours = sent_by_runs(here.runs, here.slug)
    held = truth(ours)
    if as_json:
        emit_json(
            {
                "competition": here.slug,
                "metric": metric.name if metric else None,
                "left_today": limits.left,
                "sent_today": limits.today,
                "best": {"ref": best.ref, "public_score": best.public_score} if best else None,
                "rank": asdict(rank) | {"percentile": rank.percentile} if rank else None,
                "submissions": [{"run": run.name, **asdict(entry)} for run, entry in ours],
                "validation": asdict(held),
            }
        )
        return
    lines = {"competition": here.slug + (f"  ({_words(metric)})" if metric else "")}
    lines["submissions"] = f"{len(sent):,} sent, {limits.left} left today"
    if best:
        names = {entry.ref: run.name for run, entry in ours}
        lines["best"] = f"{_score(best.public_score)}  ({names.get(best.ref) or best.file_name})"
    if rank:
        lines["rank"] = f"{rank.place:,} of {rank.teams:,}  (top {rank.percentile:.1f} %)"
    for name, text in lines.items():
        click.echo(f"{name:11}  {text}")
    if ours:
        click.echo()
        _print_entries(ours)
    for sentence in _truth_text(held):
        say(sentence)
    for run, entry in ours:
        if entry.is_as_promised is False:
            say(
                f"Outside its expected range: {run.name}, public {_score(entry.public_score)}, "
                f"expected {_span(entry)}."
            )
    if not sent and limits.left:
        say(f"Nothing was sent yet; next: `dl submit{here.named}`")
    elif not limits.left and not limits.today:
        say(f"Accept the rules before you submit: {rules_page(here.slug)} .")


@command.command(cls=Command)
@JSON
@with_config(*KEYS)
def submissions(config: Config, as_json: bool) -> None:
    """List your team's submissions and their runs, newest first."""
    from dlcli.kaggle.leaderboard import sent_by_runs

    here = competition_here(config)
    sent = here.sync().listed
    ours = sent_by_runs(here.runs, here.slug)
    runs = {entry.ref: run.name for run, entry in ours}
    if as_json:
        emit_json([_plain(each, runs.get(each.ref)) for each in sent])
        return
    clips = {entry.ref: entry.clip for _, entry in ours}
    rows = [
        [
            f"{each.ref}",
            f"{each.date:%m-%d %H:%M}" if each.date else "",
            each.state if each.public_score is None else _score(each.public_score),
            _clip(clips.get(each.ref)),
            runs.get(each.ref) or each.message or each.file_name,
        ]
        for each in sent
    ]
    if rows:
        print_table(["ref", "sent (UTC)", "public", "clip", "run"], rows)
    for each in sent:
        if each.reason:
            say(f"{each.ref} could not be scored: {each.reason}")
    say(f"{count(len(sent), 'submission')} to {here.slug}; next: `dl kaggle status{here.named}`")


@command.command(cls=Command)
@click.option(
    "--top",
    type=WholeNumber(1),
    default=10,
    show_default=True,
    metavar="N",
    help="number of best teams to show",
)
@JSON
@with_config(*KEYS)
def leaderboard(config: Config, top: int, as_json: bool) -> None:
    """Show the best teams, and the teams around your best score."""
    from dlcli.kaggle.leaderboard import overview

    here = competition_here(config)
    board = here.kaggle.leaderboard(here.slug)
    seen = overview(board, here.kaggle.submissions(here.slug), here.metric)
    rows = [(place, each.team, each.score, False) for place, each in enumerate(board, 1)]
    kept = set(range(top))
    if seen.rank and seen.best and seen.best.public_score is not None:
        place = seen.rank.place
        rows.insert(place - 1, (place, "-> your best", seen.best.public_score, True))
        kept |= set(range(place - 1 - AROUND, place + AROUND))
    numbers = [number for number in range(len(rows)) if number in kept]
    if as_json:
        names = ("place", "team", "score", "own")
        emit_json([dict(zip(names, rows[number], strict=True)) for number in numbers])
        return
    table: list[list[object]] = []
    for before, number in zip([-1, *numbers], numbers, strict=False):
        if number > before + 1:
            table.append(["...", "", ""])
        place, team, score, _ = rows[number]
        table.append([f"{place}", team, _score(score)])
    if table:
        print_table(["place", "team", "score"], table)
    by = f", by {_words(seen.metric)}" if seen.metric else ""
    say(f"{len(board):,} teams in {here.slug}{by}")


@command.command(cls=Command)
@JSON
@with_config(*KEYS)
def sync(config: Config, as_json: bool) -> None:
    """Fetch the scores of your submissions into their runs.

    `dl runs` then shows them.
    """

    here = competition_here(config, needs_dataset=True)
    news = here.sync()
    changed = news.changed
    if as_json:
        emit_json([{"run": run.name, **asdict(entry)} for run, entry in changed])
        return
    _print_entries(changed)
    for run, entry in news.lost:
        say(f"{entry.file}.csv of {run.name} never reached Kaggle: the upload was interrupted.")
    if news.waiting:
        later = f"`dl kaggle sync{here.named}`"
        say(f"Still being sent or scored: {len(news.waiting):,}. Run {later} later.")
    say(f"New from Kaggle: {len(changed):,}; next: `dl kaggle status{here.named}`")


def _print_entries(entries: list[tuple[Run, Entry]]) -> None:
    """Print submissions with their expected and public scores."""
    if entries:
        print_table(
            ["run", "clip", "valid", "95 %", "public"],
            [
                [
                    run.name,
                    _clip(entry.clip),
                    _score(entry.expected),
                    _span(entry),
                    entry.state if entry.public_score is None else _score(entry.public_score),
                ]
                for run, entry in entries
            ],
        )


def _clip(clip: float | None) -> str:
    return "" if clip is None else f"{clip:g}"


def _score(score: float | None) -> str:
    """A score with five decimal places, as Kaggle gives it."""
    return "" if score is None else f"{score:.5f}"


def _span(entry: Entry) -> str:
    if entry.expected_range is None:
        return ""
    low, high = entry.expected_range
    return f"{low:.3f}-{high:.3f}"


def _truth_text(held: Truth) -> list[str]:
    """How well valid scores predict public ones, one sentence each."""
    if not held.runs:
        return []
    inside = f"{held.inside:,} of {held.runs:,} within the expected range"
    difference = round(held.difference, 4) + 0.0  # no minus before a zero
    of = "in 1 run" if held.runs == 1 else f"on average over {held.runs:,} runs"
    said = [f"Public minus valid score: {difference:+.4f} {of}. Public scores: {inside}."]
    if held.correlation is not None and held.ranks is not None:
        said.append(
            f"Correlation of valid and public scores: {held.correlation:.2f}; of their ranks: "
            f"{held.ranks:.2f}."
        )
    else:
        said.append("A correlation needs at least three runs with different scores.")
    return said


def _words(metric: Metric) -> str:
    return f"{metric.words}, {'less' if metric.falls else 'more'} is better"


def _plain(sent: Sent, run: str | None) -> dict[str, object]:
    date = sent.date.isoformat() if sent.date else None
    return {**asdict(sent), "date": date, "run": run}
