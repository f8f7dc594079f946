"""`dl rerun`: train a new run with the settings of an old one."""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.options import PositiveNumber, WholeNumber, with_config
from dlcli.cli.runs.choice import named_or_last
from dlcli.cli.train import Training, nothing_to_resume, print_result
from dlcli.config import Config
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings.schedule import MOST_EPOCHS


def _by_set(option: str, words: list[str]) -> list[str] | None:
    """The words with `--set` in place of an option of `dl train`; None if it isn't one.

    Args:
        option: its name, such as "--dropout" or "--no-augment".
        words: the whole command line after `dl rerun`.
    """
    from dlcli.keys import all_keys, declared

    name = option.removeprefix("--").replace("-", "_")
    by_name = {key.rpartition(".")[2]: key for key in all_keys()}
    off = name not in by_name
    name = name.removeprefix("no_") if off else name
    if name not in by_name:
        return None
    is_switch = declared(by_name[name]).type is bool
    changed: list[str] = []
    rest = iter(words)
    for word in rest:
        typed, sign, value = word.partition("=")
        if typed != option:
            changed.append(word)
            continue
        if is_switch:
            value = "false" if off else "true"
        elif not sign:
            value = next(rest, "VALUE")
        changed += ["--set", f"{name}={value}"]
    return changed


class Rerun(Training):
    """`dl rerun`, which knows the options of `dl train` that it takes by `--set`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        typed_words = list(args)  # click takes words out of `args`
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if (words := _by_set(error.option_name, typed_words)) is None:
                raise
            import shlex

            raise DlError(
                f"`{ctx.command_path}` has no option `{error.option_name}`",
                why="it changes settings by `--set`",
                hint=f"Type: `{ctx.command_path} {shlex.join(words)}`",
                exit_code=ExitCode.USAGE,
            ) from error


@click.command(cls=Rerun)
@click.argument("named", metavar="[RUN]", required=False, shell_complete=complete_run)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="a setting to change; may be given several times",
)
@click.option(
    "--epochs",
    type=WholeNumber(1, ceiling=MOST_EPOCHS),
    metavar="N",
    help="epochs of each phase; each rate of RUN's schedule keeps its share of them",
)
@click.option(
    "--lr",
    type=PositiveNumber(),
    metavar="X",
    help="highest learning rate; the other rates of RUN's schedule scale with it",
)
@with_config("dataset")
def command(
    config: Config, named: str | None, sets: tuple[str, ...], epochs: int | None, lr: float | None
) -> None:
    """Train a new run with the settings that RUN recorded.

    Without RUN, it takes the newest run of the current dataset. All settings are those of RUN, not
    the present defaults or those of `dl.yaml`. `--set` changes single settings:
    `dl rerun RUN --set dropout=0.2 --set seed=1`. `--epochs` and `--lr` change RUN's schedule, as
    in `dl train`.
    """
    from dlcli.data.choice import Choice, remember
    from dlcli.runs.choice import names_dataset, same_runs
    from dlcli.runs.dataset import dataset_of
    from dlcli.training.launch import rerun

    old = named_or_last(config, named, trained=True, lasting=True)
    if named and not names_dataset(config, named):
        say(f"Run {shown(old.path)} (named)")
        if root := dataset_of(old, config.settings().data_dir):
            say(str(Choice(root, "of this run")))
            remember(root)  # the commands that follow are about the new run
    with nothing_to_resume():
        new = rerun(old, sets, data_dir=config.settings().data_dir, epochs=epochs, lr=lr)
    print_result(new, f"dl evaluate {new.name}{same_runs(config)}")
