"""`dl submit`: write a submission file and send it to Kaggle."""

from __future__ import annotations

import sys
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
    from dlcli.evaluation.clipping import Curve
    from dlcli.kaggle.account import Kaggle
    from dlcli.kaggle.destination import Agree
    from dlcli.kaggle.record import Entry
    from dlcli.kaggle.submit import Submitted
    from dlcli.runs.choice import ChosenRun

BAR_WIDTH = 30


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

    The file, `submission.csv` in the run's folder, holds a RUN's predictions of the test images.
    Without RUN it takes the newest finished run of the current dataset. The file is sent only if a
    competition is known: from `-c`, from `dl data get`, or from the settings.
    """
    from dlcli.data.choice import again
    from dlcli.inference.tta import require_views
    from dlcli.kaggle.send import open_sender
    from dlcli.kaggle.submit import plan_submission, submit_run
    from dlcli.runs.choice import say_chosen

    if no_upload and (message is not None or wait is not None):
        raise click.UsageError("`--no-upload` does not go with `--message`, `--wait`, `--no-wait`.")
    views = require_views(config, tta)
    chosen = _choose(config, run)
    say_chosen(chosen, config, "submit")
    plan = plan_submission(chosen.root, config, bound=bound or 0.0, sample_file=sample_submission)
    kaggle = open_sender(plan, _agreeing()) if plan.competition and not no_upload else None
    done = submit_run(chosen.run, plan, views)
    for note in done.notes:
        say(note)
    _print_scores(done, bound)
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
    """The run to submit. If there is none, a lack of test images is said before one is trained."""
    from dlcli.data.choice import choose_dataset, with_named
    from dlcli.data.photos.photos import open_photos
    from dlcli.inference.predict import require_images
    from dlcli.runs.choice import choose_run, names_dataset

    try:
        return choose_run(config, named)
    except DlError:
        if named is None or names_dataset(config, named):
            root = choose_dataset(with_named(config, named)).root
            require_images(open_photos(root), "test")
        raise


def _print_scores(done: Submitted, bound: float | Literal["auto"] | None) -> None:
    """Print the scores that the validation images predict for the file."""
    from dlcli.evaluation.clipping import COURSE

    if bound == "auto" and done.curve is not None:
        _print_curve(done.curve, done.bound)
    results = {"rows": f"{done.rows:,}", "valid log loss": f"{done.loss:.4f}"}
    if done.metric and done.metric.name == "accuracy" and done.expected:
        results["valid accuracy"] = f"{done.expected.score:.4f}"
    if done.bound:
        results[f"clipped at {done.bound:g}"] = f"{done.clipped_loss:.4f}"
    if expected := done.expected:
        words = f"{expected.score:.4f}  (95 % interval {expected.low:.4f} to {expected.high:.4f})"
        results[f"expected {done.metric.words}" if done.metric else "expected"] = words
    for name, value in results.items():
        click.echo(f"{name:{max(map(len, results))}}  {value}")
    curve = done.curve
    if curve is None:
        return
    if bound == "auto":
        if not done.bound:
            say("Nothing is clipped: no bound improves the log loss on held-out images.")
        else:
            say(
                f"Log loss on held-out images: {curve.held_out:.4f} clipped, "
                f"{curve.plain:.4f} unclipped."
            )
        if COURSE in curve.bounds and done.bound != COURSE:
            say(f"With `--clip {COURSE:g}` the log loss would be {curve.at(COURSE):.4f}.")
    elif round(done.clipped_loss, 4) > round(done.loss, 4):
        say(
            f"Clipping at {done.bound:g} makes the validation log loss worse "
            f"({done.clipped_loss:.4f}, unclipped {done.loss:.4f}). Leave out `--clip`, or use "
            "`--clip auto`."
        )
    elif round(done.clipped_loss, 4) > round(curve.at(curve.best), 4):  # a visible gain
        say(f"With `--clip {curve.best:g}` the valid log loss would be {curve.at(curve.best):.4f}.")
    elif bound is None:
        say("Clipping would not improve the valid log loss.")


def _print_curve(curve: Curve, chosen: float) -> None:
    """Print the log loss of each bound, as a number and a bar."""
    from dlcli.cli.parts.tables import print_table

    least, most = min(curve.losses), max(curve.losses)
    rows = []
    for bound, loss in zip(curve.bounds, curve.losses, strict=True):
        share = (loss - least) / (most - least) if most > least else 0.0
        bar = "█" * (1 + round(share * (BAR_WIDTH - 1)))
        rows.append([f"{bound:g}", f"{loss:.4f}", bar + (" chosen" if bound == chosen else "")])
    print_table(["clip", "log loss", ""], rows)
    click.echo()


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
    _print_outcome(entry, named)


def _print_outcome(entry: Entry, named: str) -> None:
    """Print the score, or say how to get it later."""

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
            "The public score is within the range that the validation images predicted."
            if entry.is_as_promised
            else "The public score is outside the range that the validation images predicted. By "
            "chance this happens to 1 run in 20. Other reasons: Kaggle scores only a part of the "
            "test images, or they differ from the validation images."
        )
    say(f"Next: `dl kaggle status{named}`")
