"""`dl demo`: the everyday path on pictures that come along."""

from __future__ import annotations

import click

from dlcli.cli.options import Command, with_config
from dlcli.config import Config

NAME = "digits-demo"


@click.command(cls=Command)
@with_config()
def command(config: Config) -> None:
    """Walk the everyday path on 1,797 handwritten digits: no download, about a minute."""
    import os
    import shlex
    import subprocess
    import sys
    from tempfile import TemporaryDirectory

    from dlcli.demo import commands, write_digits
    from dlcli.errors import ExitCode
    from dlcli.places import shown
    from dlcli.progress import say
    from dlcli.run import Run

    settings = config.settings()
    folder = settings.data_dir / NAME
    write_digits(folder)
    say(f"1,000 labelled digits and 797 others are in {shown(folder)}, as Kaggle would ship them.")
    with TemporaryDirectory(prefix="dl-demo-") as state:
        environment = os.environ | {
            # the same folders for the commands as for this one, wherever that was said
            "DL_DATA_DIR": str(settings.data_dir),
            "DL_RUNS_DIR": str(settings.runs_dir),
            # the demo's dataset is not what the user's next `dl features` should take
            "XDG_STATE_HOME": state,
        }
        for words in commands(str(folder)):
            typed = [shown(word) if word == str(folder) else shlex.quote(word) for word in words]
            say("\n$ dl " + " ".join(typed))
            done = subprocess.run([sys.executable, "-P", "-m", "dlcli", *words], env=environment)
            if done.returncode:
                raise SystemExit(done.returncode if done.returncode > 0 else ExitCode.ERROR)
    newest = max(Run.all(settings.runs_dir, NAME), key=lambda run: run.status()["started"])
    say("")
    click.echo(f"Report      {shown(newest.report_file)}")
    click.echo(f"Submission  {shown(newest.submission_file)}")
    say("Open the report in a browser. Then your own pictures: `dl data organize FOLDER`")
