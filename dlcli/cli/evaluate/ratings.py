"""What `dl evaluate` prints of a run of ratings, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.tables import UNDEFINED, print_table, print_text
from dlcli.words import count, percent

if TYPE_CHECKING:
    from dlcli.config import Config
    from dlcli.report.ratings.evaluate import Evaluated
    from dlcli.runs.choice import ChosenRun


def print_evaluation(found: Evaluated, *, everything: bool, wide: bool) -> None:
    """Print what was found: errors, baselines, lists, groups, and the verdict.

    Args:
        everything: nothing is left out anyway.
        wide: whether all columns are printed, however narrow the terminal.
    """
    from dlcli.evaluation.ratings import verdict

    metrics = found.metrics
    of = f"{count(metrics['users'], 'user')}, {count(metrics['items'], 'item')}"
    print_text(f"ratings  {metrics['ratings']:,}  (in valid; {of})")
    for key in ("rmse", "mse", "mae"):
        ends = metrics[f"{key}_interval_95"]
        between = f"  (95 % interval {_between(ends)})" if ends else ""
        print_text(f"{key.upper():7}  {metrics[key]:.4f}{between}")
    click.echo()
    _print_baselines(metrics, wide=wide)
    if "ranking" in metrics:
        click.echo()
        _print_lists(metrics["ranking"])
    for key, noun, title in (
        ("by_user_activity", "users", "Error by the number of ratings that the user has in train:"),
        ("by_item_popularity", "items", "Error by the number that the item has:"),
    ):
        click.echo()
        print_text(title)
        _print_groups(metrics[key], noun, wide=wide)
    click.echo()
    for sentence in verdict(metrics)[1:]:
        print_text(sentence)


def _between(ends: Sequence[float] | None) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else UNDEFINED


def _print_baselines(metrics: Mapping[str, Any], *, wide: bool) -> None:
    from dlcli.evaluation.ratings import gain_over

    rows = [
        [
            name,
            of["mse"],
            f"{of['mse_less']:.4f}, {percent(gain_over(of))}",
            _between(of["mse_less_interval_95"]),
            of["rmse"],
            of["mae"],
        ]
        for name, of in metrics["baselines"].items()
    ]
    rows.append(["the model", metrics["mse"], None, None, metrics["rmse"], metrics["mae"]])
    header = ["predictions", "MSE", "the model's is lower by", "95 % interval", "RMSE", "MAE"]
    print_table(header, rows, ("MAE", "RMSE"), wide=wide)


def _print_lists(ranking: Mapping[str, Any]) -> None:
    k = ranking["k"]
    print_table(
        [f"lists of {k}", f"recall@{k}", f"NDCG@{k}", "coverage"],
        [
            [name, of["recall"], of["ndcg"], percent(of["coverage"])]
            for name, of in (
                ("the most popular items", ranking["popularity"]),
                ("the model", ranking),
            )
        ],
    )


def _print_groups(groups: Sequence[Mapping[str, Any]], noun: str, *, wide: bool) -> None:
    rows = []
    for group in groups:
        reach = f"{group['from']:,}"
        if group["to"] != group["from"]:
            reach += f" to {group['to']:,}"
        between = _between(group["mse_interval_95"])
        rows.append([reach, group["ids"], group["ratings"], group["mse"], between])
    header = ["ratings in train", noun, "ratings", "MSE", "95 % interval"]
    print_table(header, rows, ("ratings",), wide=wide)


def next_command(config: Config, chosen: ChosenRun, named: str | None, views: int) -> str:
    """The next command after an evaluation."""
    from dlcli.data.choice import again
    from dlcli.data.ratings.ratings import open_ratings
    from dlcli.runs.choice import same_runs

    root = chosen.root
    assert root is not None  # a run without its dataset is not evaluated
    dataset = open_ratings(root)
    if dataset.sizes["test"]:
        same = [shlex.quote(named), *config.given_flags(("data_dir", "dataset"))] if named else []
        taken = "".join(f" {each}" for each in same) or again(root)
        return f"next: `dl submit{taken}{same_runs(config)}`"
    by = f" {shlex.quote(named)}" if named else ""
    user = shlex.quote(dataset.user_ids[0])
    return f"next: `dl predict{by} --user {user} --top 10{same_runs(config)}`"
