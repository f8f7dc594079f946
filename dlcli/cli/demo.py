"""`dl demo`: the everyday path on images that come with `dl`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.config import Config
from dlcli.errors import ExitCode
from dlcli.files.paths import quoted, shown
from dlcli.progress import say
from dlcli.runs.run import Run

NAME = "digits-demo"


@click.command(cls=Command)
@with_config()
def command(config: Config) -> None:
    """Try the main commands on 1,797 handwritten digits.

    It writes the dataset `digits-demo` and a run of it, prints each command that it runs, and takes
    about a minute. It downloads nothing and sends nothing.
    """
    from dlcli.data.photos.demo import write_digits

    settings = config.settings()
    folder = settings.data_dir / NAME
    write_digits(folder)
    say(
        f"Wrote 1,000 labelled images of digits and 797 test images to {shown(folder)}, in the "
        "layout of a Kaggle competition."
    )
    try:
        run = walk(folder, settings.runs_dir)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode if error.returncode > 0 else ExitCode.ERROR) from error
    say("")
    click.echo(f"Report      {shown(run.report_file)}")
    click.echo(f"Submission  {shown(run.submission_file)}")
    say("Open the report in a browser. Next, with your own images: `dl data organize FOLDER`")


def walk(folder: Path, runs_dir: Path) -> Run:
    """Run the everyday path on the demo's dataset, one process per command, and show each command.

    Args:
        folder: the dataset.
        runs_dir: where runs go.

    Returns:
        the trained run.

    Raises:
        CalledProcessError: a command failed, and has said why.
    """
    with TemporaryDirectory(prefix="dl-demo-") as elsewhere:
        # the user's own settings don't count: the demo shows the defaults, and must not work on
        # the user's dataset
        environment = {
            **{k: v for k, v in os.environ.items() if k == "DL_DEBUG" or not k.startswith("DL_")},
            "DL_DATA_DIR": str(folder.parent),
            "DL_RUNS_DIR": str(runs_dir),
            "DL_DATASET": str(folder),
            "XDG_CONFIG_HOME": elsewhere,
            # the demo's dataset must not become the one that the user's next command takes
            "XDG_STATE_HOME": elsewhere,
        }
        for words in commands(str(folder)):
            shell = [quoted(folder) if word == str(folder) else shlex.quote(word) for word in words]
            say("\n$ dl " + " ".join(shell))
            argv = [sys.executable, "-P", "-m", "dlcli", *words]
            subprocess.run(argv, env=environment, cwd=elsewhere, check=True)
    runs = Run.all(runs_dir, folder.name)
    return max(runs, key=lambda run: str(run.status.get("started", "")))


def commands(dataset: str) -> list[list[str]]:
    """The everyday path on the demo's dataset, as one would type it.

    Args:
        dataset: its folder.
    """
    return [
        ["data", "organize", dataset],
        ["data", "split", "--valid", "200"],
        ["data", "sample"],
        # 8 pixels enlarged to 64 gain nothing from 224; and 800 images are 13 steps an epoch, so
        # that the default's 12 epochs would underfit (log loss 0.6 instead of 0.14)
        ["features", "--image-size", "96"],
        ["train", "finetune", "--image-size", "96", "--schedule", "3e-3x40,3e-4x10"],
        ["evaluate"],
        ["submit"],
    ]
