"""`dl kaggle`: where one stands in a competition, and what was sent to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dlcli.cli import Group, emit_json
from dlcli.cli.options import Command, with_config
from dlcli.cli.tables import print_table
from dlcli.config import Config

if TYPE_CHECKING:
    from dlcli.competitions import Metric, Sent
    from dlcli.kaggle import Kaggle
    from dlcli.kaggle_log import Entry
    from dlcli.run import Run
    from dlcli.standing import Truth

KEYS = ("dataset", "kaggle.competition", "kaggle.metric")
# Teams that are shown before and behind one's own place.
AROUND = 2
JSON = click.option("--json", "as_json", is_flag=True, help="print JSON")


@click.group(cls=Group)
def command() -> None:
    """See where you stand in a competition; bring the scores of what was sent into the runs.

    The competition: `-c NAME`, else the dataset's, as `dl data get` wrote it down.
    """


@command.command(cls=Command)
@JSON
@with_config(*KEYS)
def status(config: Config, as_json: bool) -> None:
    """Show your rank, and the valid scores of your runs against their public ones.

    Does the validation tell the truth? The table and the correlation say.
    """
    from dlcli.competitions import metric_of
    from dlcli.progress import say
    from dlcli.standing import best_of, metric_by, rank_of, sent_by_runs, truth

    slug, root, config = _competition(config)
    kaggle = _opened()
    _sync(kaggle, config, root, slug)
    limits, board, sent = kaggle.limits(slug), kaggle.leaderboard(slug), kaggle.submissions(slug)
    metric = metric_of(slug, config.settings().kaggle.metric) or metric_by(board)
    best = best_of(sent, metric) if metric else None
    rank = None
    if best is not None and best.public_score is not None and metric and board:
        rank = rank_of(best.public_score, board, metric)
    ours = sent_by_runs(config.settings().runs_dir, root.name, slug) if root else []
    held = truth(entry for _, entry in ours)
    if as_json:
        from dataclasses import asdict

        emit_json(
            {
                "competition": slug,
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
    lines = {"competition": slug + (f"  ({_words(metric)})" if metric else "")}
    lines["submissions"] = f"{len(sent):,} sent, {limits.left} left today"
    if best:
        names = {entry.ref: run.name for run, entry in ours}
        lines["best"] = f"{best.public_score:g}  ({names.get(best.ref) or best.file_name})"
    if rank:
        lines["rank"] = f"{rank.place:,} of {rank.teams:,}  (top {rank.percentile:.1f} %)"
    for name, text in lines.items():
        click.echo(f"{name:11}  {text}")
    if ours:
        click.echo()
        _print_entries(ours)
    for sentence in _in_words(held):
        say(sentence)
    for run, entry in ours:
        if entry.is_as_promised is False:
            say(f"Outside of it: {run.name}, {_score(entry.public_score)} and not {_span(entry)}.")
    if not sent:
        say("Nothing was sent yet; next: `dl submit`")


@command.command(cls=Command)
@JSON
@with_config(*KEYS)
def submissions(config: Config, as_json: bool) -> None:
    """List all that your team sent, the newest first, with the run that made it."""
    from dlcli.progress import say
    from dlcli.standing import sent_by_runs

    slug, root, config = _competition(config)
    kaggle = _opened()
    _sync(kaggle, config, root, slug)
    sent = kaggle.submissions(slug)
    ours = sent_by_runs(config.settings().runs_dir, root.name, slug) if root else []
    runs = {entry.ref: run.name for run, entry in ours}
    if as_json:
        emit_json([_plain(each, runs.get(each.ref)) for each in sent])
        return
    if sent:
        print_table(
            ["ref", "sent", "state", "public", "run"],
            [
                [
                    f"{each.ref}",
                    f"{each.date:%m-%d %H:%M}" if each.date else "",
                    each.state,
                    _score(each.public_score),
                    runs.get(each.ref) or each.message or each.file_name,
                ]
                for each in sent
            ],
        )
    for each in sent:
        if each.reason:
            say(f"{each.ref} could not be scored: {each.reason}")
    say(f"{len(sent):,} submissions to {slug}; next: `dl kaggle status`")


@command.command(cls=Command)
@click.option(
    "--top", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="teams"
)
@JSON
@with_config(*KEYS)
def leaderboard(config: Config, top: int, as_json: bool) -> None:
    """Show the best teams, and your best score between those around it."""
    from dlcli.competitions import metric_of
    from dlcli.progress import say
    from dlcli.standing import best_of, metric_by, rank_of

    slug, _, config = _competition(config)
    kaggle = _opened()
    board = kaggle.leaderboard(slug)
    metric = metric_of(slug, config.settings().kaggle.metric) or metric_by(board)
    best = best_of(kaggle.submissions(slug), metric) if metric else None
    rows: list[tuple[int, str, float]] = [
        (place, each.team, each.score) for place, each in enumerate(board, 1)
    ]
    kept = set(range(top))
    if best is not None and best.public_score is not None and metric:
        place = rank_of(best.public_score, board, metric).place
        rows.insert(place - 1, (place, "-> your best", best.public_score))
        kept |= set(range(place - 1 - AROUND, place + AROUND))
    shown = [row for number, row in enumerate(rows) if number in kept]
    if as_json:
        emit_json([{"place": place, "team": team, "score": score} for place, team, score in shown])
        return
    if shown:
        print_table(
            ["place", "team", "score"],
            [[place, team, _score(score)] for place, team, score in shown],
        )
    say(f"{len(board):,} teams in {slug}" + (f", by {_words(metric)}" if metric else ""))


@command.command(cls=Command)
@JSON
@with_config(*KEYS)
def sync(config: Config, as_json: bool) -> None:
    """Bring the scores of what was sent into the runs; `dl runs` shows them then."""
    from dlcli.progress import say

    slug, root, config = _competition(config)
    changed = _sync(_opened(), config, root, slug)
    if as_json:
        from dataclasses import asdict

        emit_json([{"run": run.name, **asdict(entry)} for run, entry in changed])
        return
    _print_entries(changed)
    say(f"New from Kaggle: {len(changed):,}; next: `dl kaggle status`")


def _opened() -> Kaggle:
    from dlcli.kaggle import open_kaggle

    return open_kaggle()


def _competition(config: Config) -> tuple[str, Path | None, Config]:
    """The competition that is meant, the dataset's folder, and settings with its own on top.

    Raises:
        DlError: no competition is known.
    """
    from dlcli.current import choose_dataset
    from dlcli.dataset import dataset_settings
    from dlcli.errors import DlError
    from dlcli.places import shown
    from dlcli.progress import say

    root: Path | None = None
    try:
        choice = choose_dataset(config)
    except DlError:
        if config.settings().kaggle.competition is None:
            raise
    else:
        root = choice.root
        say(str(choice))
        config = config.with_defaults(dataset_settings(root), shown(root / "dataset.yaml"))
    slug = config.settings().kaggle.competition
    if slug is None:
        raise DlError(
            f"No competition is known for {shown(root or '')}",
            hint="Name it, `-c NAME`, or write it down: `competition: NAME` below `kaggle:` in "
            f"{shown((root or Path()) / 'dataset.yaml')}.",
        )
    return slug, root, config


def _sync(kaggle: Kaggle, config: Config, root: Path | None, slug: str) -> list[tuple[Run, Entry]]:
    from dlcli.uploading import synced

    return synced(kaggle, config.settings().runs_dir, root.name, slug) if root else []


def _print_entries(entries: list[tuple[Run, Entry]]) -> None:
    """Print what runs have sent: what the validation images promised, and what came back."""
    if entries:
        print_table(
            ["run", "clip", "valid", "95 %", "public"],
            [
                [
                    run.name,
                    f"{entry.clip:g}",
                    _score(entry.expected),
                    _span(entry),
                    entry.state if entry.public_score is None else _score(entry.public_score),
                ]
                for run, entry in entries
            ],
        )


def _score(score: float | None) -> str:
    """A score to as many digits as Kaggle gives."""
    return "" if score is None else f"{score:.5f}"


def _span(entry: Entry) -> str:
    if entry.expected_range is None:
        return ""
    low, high = entry.expected_range
    return f"{low:.3f}-{high:.3f}"


def _in_words(held: Truth) -> list[str]:
    """What valid scores are worth, a sentence each."""
    if not held.pairs:
        return []
    inside = f"{held.inside:,} of {held.pairs:,} within the range that was promised"
    said = [f"Public less valid: {held.difference:+.4f} in the mean of {held.pairs:,}; {inside}."]
    if held.correlation is not None and held.ranks is not None:
        said.append(
            f"Correlation of valid and public scores: {held.correlation:.2f}, of their ranks "
            f"{held.ranks:.2f}."
        )
    elif held.pairs > 1:
        said.append("Too few different scores to correlate: three submissions say more.")
    return said


def _words(metric: Metric) -> str:
    return f"{metric.words}, {'less' if metric.falls else 'more'} is better"


def _plain(sent: Sent, run: str | None) -> dict[str, object]:
    from dataclasses import asdict

    date = sent.date.isoformat() if sent.date else None
    return {**asdict(sent), "date": date, "run": run}
