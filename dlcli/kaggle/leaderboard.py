"""The account's rank in a competition, and how well validation scores predict public scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlcli.kaggle.competitions import Metric, Sent, Standing
from dlcli.kaggle.record import Entry, read_logs
from dlcli.runs.run import Run

# Fewer pairs of scores lie on a line by chance.
LEAST_PAIRS = 3


@dataclass(frozen=True)
class Rank:
    """A score's place on a leaderboard.

    Args:
        place: 1 for the best; teams with the same score share the first place.
    """

    place: int
    teams: int

    @property
    def percentile(self) -> float:
        """The share of teams, in percent, that are at least as good: 7.7 for the top 7.7 %."""
        return 100 * self.place / self.teams if self.teams else 0.0


@dataclass(frozen=True)
class Truth:
    """Validation scores compared with public ones.

    Args:
        runs: the number of runs with both.
        difference: mean of public minus valid.
        inside: the number of public scores in the predicted range.
        correlation: Pearson's; None for too few pairs, or if one side is constant.
        ranks: Spearman's; None in the same cases.
    """

    runs: int
    difference: float
    inside: int
    correlation: float | None
    ranks: float | None


@dataclass(frozen=True)
class Overview:
    """The position of an account in a competition.

    Args:
        metric: the competition's metric; None if neither the table nor the leaderboard shows it.
        best: the submission with the best public score.
        rank: its rank; None without a score or a leaderboard.
    """

    metric: Metric | None
    best: Sent | None
    rank: Rank | None


def overview(
    leaderboard: Sequence[Standing], sent: Iterable[Sent], metric: Metric | None
) -> Overview:
    """The position of an account in a competition.

    Args:
        leaderboard: the public one, best first.
        sent: the submissions of the account's team.
        metric: the competition's metric, if it is known.
    """
    metric = metric or metric_by(leaderboard)
    best = best_of(sent, metric) if metric else None
    if metric is None or best is None or best.public_score is None or not leaderboard:
        return Overview(metric, best, None)
    return Overview(metric, best, rank_of(best.public_score, leaderboard, metric))


def rank_of(score: float, leaderboard: Sequence[Standing], metric: Metric) -> Rank:
    """The rank of a score, whether or not the leaderboard lists it."""
    sign = 1 if metric.falls else -1
    better = sum(sign * each.score < sign * score for each in leaderboard)
    return Rank(better + 1, max(len(leaderboard), better + 1))


def metric_by(leaderboard: Sequence[Standing]) -> Metric | None:
    """A metric without a name; the leaderboard's order shows whether less is better."""
    scores = [each.score for each in leaderboard]
    if len(scores) < 2 or scores[0] == scores[-1]:
        return None
    return Metric("", "an unknown metric", falls=scores[0] < scores[-1], clipped=True)


def best_of(sent: Iterable[Sent], metric: Metric) -> Sent | None:
    """The submission with the best public score."""
    scored = [each for each in sent if each.public_score is not None]
    sign = 1 if metric.falls else -1
    return min(scored, key=lambda each: sign * (each.public_score or 0.0), default=None)


def sent_by_runs(runs: Iterable[Run], slug: str) -> list[tuple[Run, Entry]]:
    """The submissions of runs to a competition, in the order of sending."""
    return [(run, entry) for run, entry in read_logs(runs) if entry.competition == slug]


def truth(sent: Iterable[tuple[Run, Entry]]) -> Truth:
    """Compare the scores that the validation images predicted with the public scores.

    Only the last scored submission of each run counts: the others differ only in clipping, and
    would agree with each other however good the prediction is.

    Reference:
        Spearman 1904, "The proof and measurement of association between two things".
    """
    last = {
        run: (entry.expected, entry.public_score, entry.is_as_promised)
        for run, entry in sent
        if entry.expected is not None and entry.public_score is not None
    }
    both = [(v, p, kept) for v, p, kept in last.values() if v is not None and p is not None]
    valid, public = [pair[0] for pair in both], [pair[1] for pair in both]
    return Truth(
        runs=len(both),
        difference=sum(p - v for v, p in zip(valid, public, strict=True)) / max(len(both), 1),
        inside=sum(bool(kept) for *_, kept in both),
        correlation=_correlation(valid, public),
        ranks=_correlation(_ranks(valid), _ranks(public)),
    )


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    import numpy as np

    if len(one) < LEAST_PAIRS or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value among all; equal values share their mean rank."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]
