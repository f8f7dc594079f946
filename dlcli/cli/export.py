"""`dl export`: export a run's model to another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dlcli.cli.parts.complete import complete_run
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import OneOf, TypedPath, with_config
from dlcli.config import Config
from dlcli.files.paths import absolute, quoted, shown
from dlcli.inference.export.export import EXAMPLE, RECORD, export_run
from dlcli.inference.export.formats import ALIASES, FORMATS
from dlcli.process import install_command
from dlcli.progress import say


class FormatName(OneOf):
    """A format, by its name or by an older one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(ALIASES.get(value, value), param, ctx)

    @property
    def listed(self) -> str:
        """The formats, each with its older name."""
        older = {name: f" (or {alias})" for alias, name in ALIASES.items()}
        return ", ".join(f"{name}{older.get(name, '')}" for name in self.choices)


@click.command(cls=Command)
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "--format",
    "format_name",
    type=FormatName(FORMATS),
    required=True,
    help="the format; `tflite` is another name of `litert`",
)
@click.option(
    "--to",
    metavar="FOLDER",
    type=TypedPath(),
    help="folder of the exported model  [default: exports/ in the run]",
)
@with_config("dataset")
def command(config: Config, run: str | None, format_name: str, to: Path | None) -> None:
    """Export a RUN's best model to another format.

    Formats are ONNX, OpenVINO, LiteRT (TensorFlow Lite) and SavedModel. For a phone or a small
    device use `litert`, for a server `onnx` or `openvino`, which is fast on Intel processors, for
    TensorFlow Serving `tf`. The file model.yaml beside the model lists the classes in order, and
    describes the model's input: image size, channels and range of values. For a run on ratings it
    says which numbers go in; users.csv and items.csv beside it have their ids. If the package that
    runs the format is installed, model.yaml also says how much the model's output differs from the
    run's predictions. Without RUN, the command takes the newest finished run of the current
    dataset.
    """
    from dlcli.runs.choice import choose_run, say_chosen
    from dlcli.runs.stand_in import writable_run_said

    chosen = choose_run(config, run)
    say_chosen(chosen, config, "export", f"--format {format_name}")
    folder = absolute(to) if to else writable_run_said(chosen.run).exports / format_name
    made = export_run(chosen.run, format_name, folder, chosen.root, replace=to is None)
    if made.agreement:
        say(str(made.agreement))
    else:
        say(
            f"Not checked: {made.runtime} is not installed. Install it: "
            f"`{install_command('export')}`."
        )
    script = quoted(made.folder / EXAMPLE)
    say(
        f"Exported {shown(made.model)}. {RECORD} beside it describes input and output. Next, run "
        f"it with {made.runtime}, without `dl`: `python {script} {made.typed}`"
    )
