"""`dl submit`: write a submission file and send it to Kaggle."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from dlcli.cli.parts.ask import YES, consent
from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import TypedPath, refused_value, with_config, with_tta
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings.augmentation import AMOUNTS

if TYPE_CHECKING:
    from dlcli.kaggle.account import Kaggle
    from dlcli.kaggle.destination import Agree
    from dlcli.kaggle.plan import Submitted
    from dlcli.kaggle.record import Entry
    from dlcli.runs.choice import ChosenRun

# By kind of run: the module that prints a submission's scores.
PRINTERS = {"photos": "dlcli.cli.submit.photos", "ratings": "dlcli.cli.submit.ratings"}


class Clip(click.ParamType):
    """A bound (float), "auto", or none (0)."""

    name = "C|auto|none"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Literal["auto"]:
        word = str(value).strip().lower()
        if word == "auto":
            return "auto"
        try:
            bound = 0.0 if word == "none" else float(word)
        except ValueError:
            raise refused_value(value, param, "a number such as 0.05, auto or none") from None
        if not 0 <= bound < 1:  # how much less than 1 depends on the number of classes
            raise refused_value(
                value,
                param,
                "at least 0 and below 1 (below 0.5 for two classes)",
                "`--clip auto` finds the best bound.",
            )
        return bound


@click.command(cls=Command)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "--clip",
    "bound",
    type=Clip(),
    help="keep every probability between C and 1 - C (n classes: between C/(n-1) and 1 - C); "
    "auto: the C that is best on the validation images  [default: none]",
)
@click.option(
    "--sample-submission",
    type=TypedPath(),
    metavar="FILE",
    help="the competition's sample submission; by default the one in the dataset",
)
@click.option(
    "--message",
    "-m",
    metavar="TEXT",
    help="text to show on Kaggle; by default the run's name and its validation score",
)
@click.option("--no-upload", is_flag=True, help="write the file, do not send it")
@click.option(
    "--wait/--no-wait",
    default=None,
    help="wait for the score as long as it takes, or not at all  [default: wait a minute]",
)
@YES
@with_tta
@with_config(
    "dataset",
    "kaggle.competition",
    "kaggle.positive",
    "kaggle.metric",
    "workers",
    "weights",
    "on_error",
    *AMOUNTS,
)
def command(
    config: Config,
    run: str | None,
    bound: float | Literal["auto"] | None,
    sample_submission: Path | None,
    message: str | None,
    no_upload: bool,
    wait: bool | None,
    yes: bool,
    tta: int | None,
) -> None:
    """Write a submission file and send it to Kaggle.

    The file, `submission.csv` in the run's folder, holds a RUN's predictions of the test images, or
    of the test file's pairs of a user and an item.
    Without RUN it takes the newest finished run of the current dataset. The file is sent only if a
    competition is known: from `-c`, from `dl data get`, or from the settings.
    """
    from dlcli.data.choice import again
    from dlcli.inference.tta import require_views
    from dlcli.kaggle.send import open_sender
    from dlcli.kaggle.submit import plan_submission
    from dlcli.runs.choice import say_chosen

    if no_upload and (message is not None or wait is not None):
        raise click.UsageError("`--no-upload` does not go with `--message`, `--wait`, `--no-wait`.")
    views = require_views(config, tta)
    chosen = _choose(config, run)
    say_chosen(chosen, config, "submit")
    plan = plan_submission(
        chosen.run,
        chosen.root,
        config,
        bound=bound or 0.0,
        sample_file=sample_submission,
        views=views,
    )
    kaggle = open_sender(plan, _agreeing()) if plan.competition and not no_upload else None
    done = plan.submit(chosen.run)
    for note in done.notes:
        say(note)
    import_module(PRINTERS[chosen.run.record.kind]).print_scores(done, bound)
    say(f"Saved {shown(done.file)}")
    if kaggle is not None:
        named = config.retyped(["kaggle.competition"]) + again(chosen.root)
        _send(kaggle, chosen, done, named, message=message, wait=wait, yes=yes, views=views)
    elif not no_upload:
        say(
            "Not sent: no competition is set. To send it, add `-c NAME`, the last part of the "
            "competition's Kaggle address."
        )


def _agreeing() -> Agree | None:
    """Asks whether to send to the competition of a dataset; None if there is no terminal."""

    def agree(error: DlError, question: str) -> None:
        say(f"{error.what}: {error.why}.")
        consent(question, False, "Nothing was sent")  # not for `--yes`, which names no competition

    return agree if sys.stdin.isatty() else None


def _choose(config: Config, named: str | None) -> ChosenRun:
    """The run to submit. If there is none, a lack of tests is said before one is trained."""
    from dlcli.data.choice import choose_dataset, with_named
    from dlcli.kaggle.submit import require_test
    from dlcli.runs.choice import choose_run, names_dataset

    try:
        return choose_run(config, named)
    except DlError:
        if named is None or names_dataset(config, named):
            require_test(choose_dataset(with_named(config, named)).root)
        raise


def _send(
    kaggle: Kaggle,
    chosen: ChosenRun,
    done: Submitted,
    named: str,
    *,
    message: str | None,
    wait: bool | None,
    yes: bool,
    views: int,
) -> None:
    from dlcli.kaggle.send import WAIT_SECONDS, send, wait_for_score

    otherwise = "The file is written; nothing was sent"
    if not chosen.lasts and sys.stdin.isatty():  # a script is not stopped: it named no other
        where = f"{shown(chosen.run.dataset)}, the dataset last named in another terminal"
        consent(f"Send the predictions of {where}?", yes, otherwise)
    entry = send(
        kaggle,
        chosen.run,
        done,
        message=message,
        views=views,
        confirm=lambda question: consent(question, yes, otherwise),
    )
    if wait is not False:
        seconds = None if wait else WAIT_SECONDS
        entry = wait_for_score(kaggle, chosen.run, entry, seconds, named)
    _print_outcome(entry, named, import_module(PRINTERS[chosen.run.record.kind]))


def _print_outcome(entry: Entry, named: str, of_kind: Any) -> None:
    """Print the score, or say how to get it later.

    Args:
        of_kind: one of `PRINTERS`.
    """
    if entry.state == "error":
        raise DlError(
            f"{entry.competition} could not score submission {entry.ref}",
            why=entry.reason or "Kaggle gives no reason",
            hint="Correct that and submit again. Most competitions do not count such a submission.",
        )
    if entry.public_score is None:
        say(f"Kaggle is scoring the submission; get the score later: `dl kaggle sync{named}`")
        return
    click.echo(f"public score  {entry.public_score:g}")
    if entry.is_as_promised is not None:
        say(
            f"The public score is within the range that the {of_kind.PROMISED_BY} predicted."
            if entry.is_as_promised
            else f"The public score is outside the range that the {of_kind.PROMISED_BY} predicted. "
            "By chance this happens to 1 run in 20. Other reasons: Kaggle scores only a part of "
            f"the {of_kind.TESTED}, or they differ from the {of_kind.PROMISED_BY}."
        )
    say(f"Next: `dl kaggle status{named}`")
