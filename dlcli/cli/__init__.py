"""`dl`: parse, call one function, print. One file per command or group, imported when used."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from itertools import takewhile

import click

from dlcli.cli.parts.ask import consent_to_trust
from dlcli.cli.parts.help import CALLED, DebugOption, Group, usage_text
from dlcli.errors import DlError, ExitCode, lacks_memory
from dlcli.files.paths import obstacle_of, shown
from dlcli.progress import nobody_reads, say
from dlcli.trust import asked_by
from dlcli.version import __version__

# In the order of use; each is a module of this package with a `command`. The texts are here, so
# that `dl --help` and completion import none of the modules.
COMMANDS = {
    "demo": "Try the main commands on handwritten digits.",
    "data": "Organise images into a dataset, split it, take a sample.",
    "features": "Compute a pretrained network's features of all images.",
    "train": "Train a recipe, and save everything in the run's folder.",
    "lr-find": "Find a good learning rate (learning-rate range test).",
    "resume": "Resume a stopped run, or train a finished one further.",
    "rerun": "Train a new run with the settings of an old one.",
    "ensemble": "Average the predictions of several runs.",
    "ladder": "Train the course's recipes in order, and compare them.",
    "evaluate": "Compute the metrics of a run, and write a report.",
    "runs": "List runs; show, compare and remove them.",
    "predict": "Predict classes of photos, or ratings, with a run.",
    "export": "Write a run's model as ONNX, OpenVINO, LiteRT or SavedModel.",
    "submit": "Write a submission file and send it to Kaggle.",
    "kaggle": "Show your rank and submissions in a competition.",
    "aws": "Rent a GPU box, work on it, and end it.",
    "recipes": "List the recipes.",
    "backbones": "List the pretrained networks.",
    "config": "Show settings and where they come from, and change them.",
    "completion": "Print the shell script that completes `dl` commands.",
}

# Groups whose commands a bare word may mean, the likeliest first: `dl ls`, `dl up`.
GROUPS = ("runs", "data", "features", "train", "kaggle", "aws", "config")

_SMALLER = "Train on smaller images or batches, `--image-size N` or `--batch-size N`."
# By command: what makes it need less memory.
LESS_MEMORY = {
    "features": "Compute features of smaller images, `--image-size N`.",
    "train": _SMALLER,
    "lr-find": _SMALLER,
    "resume": "Train on smaller batches, `--batch-size N`.",
    "rerun": "Train on smaller images or batches, `--set image_size=N` or `--set batch_size=N`.",
}
MORE_ROOM = "Stop other programs, or raise the limit of memory or processes, `ulimit -a`."


class Root(Group):
    """The root group: it knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"dlcli.cli.{cmd_name.replace('-', '_')}").command
        return command

    def summary(self, ctx: click.Context, name: str) -> str:
        return COMMANDS[name]

    def meant(self, ctx: click.Context, name: str) -> str:
        """Suggest commands of that name in groups, or else root commands of a similar name."""
        if name in ("help", "version"):
            return f"Did you mean `dl --{name}`?"
        inner = CALLED.get(name, name)
        found = [f"`dl {group} {inner}`" for group in GROUPS if inner in self._inside(ctx, group)]
        if not found:
            return super().meant(ctx, name)
        *others, last = found
        either = f"{', '.join(others)} or {last}" if others else last
        also = " `dl data undo` removes a dataset that `dl` made." if inner == "rm" else ""
        return f"Did you mean {either}?{also}"

    def _inside(self, ctx: click.Context, group: str) -> list[str]:
        """The commands of one of the groups."""
        command = self.get_command(ctx, group)
        assert isinstance(command, Group)
        return command.list_commands(ctx)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"dl {__version__}")
        ctx.exit()


@click.command(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="show the version",
)
def root() -> None:
    """Turn a folder of images into a Kaggle submission.

    \b
    dl data organize ~/Downloads/dogscats   make a dataset of a download
    dl data split                           move part of train/ to valid/
    dl features                             run a pretrained network, once
    dl train finetune                       train a new last layer on its output
    dl evaluate                             metrics and figures of the run
    dl submit                               write the submission and send it

    New here? `dl demo` runs such commands on handwritten digits that come with `dl`.
    """


root.params.append(DebugOption())


def main(arguments: list[str] | None = None) -> int:
    """Run `dl` and return its exit code; the only place that prints errors."""
    words = sys.argv[1:] if arguments is None else arguments
    asks_for_help = not {"-h", "--help"}.isdisjoint(takewhile(lambda word: word != "--", words))
    try:
        # a page of help needs no answer: it is of what may be read
        with asked_by(None if asks_for_help else consent_to_trust):
            # standalone_mode would turn Ctrl-C into exit code 1
            result = root.main(arguments, prog_name="dl", standalone_mode=False)
        return result if isinstance(result, int) else ExitCode.OK
    except DlError as error:
        return _fail(str(error), error, error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        return _fail(usage_text(error), error, error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        # click aborts for Ctrl-C, for the end of input, and for "no" to a question
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
            return _fail("Interrupted.", error, ExitCode.INTERRUPTED)
        return _fail(str(error) or "Nothing was done.", error, ExitCode.ERROR)
    except BrokenPipeError:
        nobody_reads()
        return ExitCode.ERROR
    except OSError as error:
        return _fail(_os_error(error), error, ExitCode.ERROR)
    except Exception as error:
        if lacks_memory(error):
            command = next((word for word in words if not word.startswith("-")), "")
            hint = LESS_MEMORY.get(command, MORE_ROOM)
            return _fail(f"Out of memory\n{hint}", error, ExitCode.ERROR)
        if _lacks_threads(error):
            text = f"The system can't start another thread\n{MORE_ROOM}"
            return _fail(text, error, ExitCode.ERROR)
        raise


def _lacks_threads(error: Exception) -> bool:
    """Whether the system refuses a thread: no memory for it, or too many (`ulimit -v`, `-u`)."""
    return isinstance(error, RuntimeError) and str(error) == "can't start new thread"


def _fail(text: str, error: BaseException, exit_code: int) -> int:
    if os.environ.get("DL_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    answered = isinstance(error, click.Abort) or exit_code == ExitCode.INTERRUPTED
    say(text if answered else f"Error: {text}")
    return exit_code


def _os_error(error: OSError) -> str:
    """An operating system's error as what, why and how to mend it."""
    import errno

    of = f" {shown(error.filename)}" if isinstance(error.filename, str) else ""
    why = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"No room to write{of}: {why}\n"
            "Free some space, then run the same command again. It resumes from there."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"No permission to use{of or ' a file'}: {why}\nCheck its owner, or name another."
    if found := obstacle_of(error):
        return str(found)
    if error.errno == errno.ENOENT and not of:
        return "The current folder was moved or removed\nChange to another: `cd ~`."
    return f"Can't use{of or ' a file'}: {why}\nRun it again with --debug to see where it failed."
