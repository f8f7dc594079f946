"""Which competition a command is about, and which runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlcli.config import Config

if TYPE_CHECKING:
    from dlcli.kaggle.account import Kaggle
    from dlcli.kaggle.competitions import Metric
    from dlcli.kaggle.record import News
    from dlcli.runs.run import Run


@dataclass(frozen=True)
class Here:
    """What a command of this group is about.

    Args:
        kaggle: the account.
        slug: the competition.
        metric: how it scores, if that is known.
        runs: those of the dataset; none without one.
        named: what the next command needs typed to be about the same.
    """

    kaggle: Kaggle
    slug: str
    metric: Metric | None
    runs: tuple[Run, ...]
    named: str

    def sync(self) -> News:
        """Bring what Kaggle says into the runs."""
        from dlcli.kaggle.record import sync

        return sync(self.kaggle, self.runs, self.slug, self.metric)


def competition_here(config: Config, *, needs_dataset: bool = False) -> Here:
    """The competition that is meant, and the dataset's runs.

    Raises:
        DlError: no competition is known, or no dataset where one is needed.
    """
    from dlcli.data.choice import again, choose_dataset
    from dlcli.errors import DlError
    from dlcli.files.paths import shown
    from dlcli.kaggle.account import open_kaggle
    from dlcli.kaggle.competitions import metric_of
    from dlcli.kaggle.submit import with_competition
    from dlcli.progress import say
    from dlcli.runs.run import Run

    runs: list[Run] = []
    named = config.retyped(["kaggle.competition"])
    try:
        choice = choose_dataset(config)
    except DlError as error:
        if needs_dataset or config.settings().kaggle.competition is None:
            hint = "Name one: `-d DATASET`" + ("." if needs_dataset else ", or `-c COMPETITION`.")
            raise DlError(error.what, why=error.why, hint=f"{hint} {error.hint}") from error
        config = with_competition(config, None)
    else:
        say(str(choice))
        config = with_competition(config, choice.root)
        runs = Run.all(config.settings().runs_dir, choice.root.name)
        named += again(choice.root)
        if config.settings().kaggle.competition is None:
            raise DlError(
                f"No competition is known for {shown(choice.root)}",
                hint="Name it, `-c NAME`, or write it down: `competition: NAME` below `kaggle:` in "
                f"{shown(choice.root / 'dataset.yaml')}.",
            )
    wants = config.settings().kaggle
    slug = str(wants.competition)
    return Here(open_kaggle(), slug, metric_of(slug, wants.metric), tuple(runs), named)
