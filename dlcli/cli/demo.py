"""`dl demo`: the everyday path on pictures that come along."""

from __future__ import annotations

import click

from dlcli.cli.helping import Command
from dlcli.cli.options import with_config
from dlcli.config import Config

NAME = "digits-demo"


@click.command(cls=Command)
@with_config()
def command(config: Config) -> None:
    """Walk the everyday path on 1,797 handwritten digits: no download, about a minute."""
    from subprocess import CalledProcessError

    from dlcli.data.demo import walk, write_digits
    from dlcli.errors import ExitCode
    from dlcli.files.paths import shown
    from dlcli.progress import say

    settings = config.settings()
    folder = settings.data_dir / NAME
    write_digits(folder)
    say(f"1,000 labelled digits and 797 others are in {shown(folder)}, as Kaggle would ship them.")
    try:
        run = walk(folder, settings.runs_dir)
    except CalledProcessError as error:
        raise SystemExit(error.returncode if error.returncode > 0 else ExitCode.ERROR) from error
    say("")
    click.echo(f"Report      {shown(run.report_file)}")
    click.echo(f"Submission  {shown(run.submission_file)}")
    say("Open the report in a browser. Then your own pictures: `dl data organize FOLDER`")
