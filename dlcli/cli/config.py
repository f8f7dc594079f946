"""`dl config`: every setting, its value and where that came from."""

from __future__ import annotations

import click

from dlcli.cli.parts.complete import complete_setting
from dlcli.cli.parts.help import Command, DebugOption, Group
from dlcli.cli.parts.options import JSON, with_config
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import Config, declared, load_config, own_recipe_of, save_setting, user_file
from dlcli.errors import DlError
from dlcli.files.paths import PROJECT_FILE, find_project_file, shown
from dlcli.settings.fields import plain


@click.group(cls=Group)
def command() -> None:
    """Show and change settings, and say where each comes from."""


@command.command("show", cls=Command)
@click.option("--origin", is_flag=True, help="also say where each value came from")
@JSON
@with_config()
def show(config: Config, origin: bool, as_json: bool) -> None:
    """Print every setting."""
    if as_json:
        emit_json({key: {"value": plain(v.value), "origin": v.origin} for key, v in config.items()})
        return
    rows = [[key, shown(declared(key).text(v.value)), v.origin] for key, v in config.items()]
    columns = 3 if origin else 2
    print_table(["setting", "value", "origin"][:columns], [row[:columns] for row in rows])


@command.command("get", cls=Command)
@click.argument("key", shell_complete=complete_setting)
@with_config()
def get(config: Config, key: str) -> None:
    """Print the value of one setting, as `dl config set` takes it."""
    click.echo(declared(key).text(config.get(key).value))


@command.command("set", cls=Command)
@click.argument("key", shell_complete=complete_setting)
@click.argument("value")
@click.option("--project", is_flag=True, help=f"in the project's {PROJECT_FILE}, not your own file")
def set_(key: str, value: str, project: bool) -> None:
    """Keep a setting in your own file, or in the project's."""
    from pathlib import Path

    from dlcli.progress import say

    if key == "backbone":
        from dlcli.models.backbones import get_backbone

        get_backbone(value)  # or an error that names the nearest
    if not project and own_recipe_of(key):
        raise DlError(
            f"`{key}` can't stand in your own file",
            why="outside of this project nobody knows that recipe",
            hint="Keep it in the project's: add `--project`.",
        )
    file = user_file()
    if project:
        file = find_project_file(Path.cwd()) or Path.cwd() / PROJECT_FILE
    saved = save_setting(file, key, value)
    say(f"{key} is {declared(key).text(saved)} in {shown(file)}")
    try:
        winner = load_config().get(key)
    except DlError as error:  # of another setting, maybe in another file
        say(f"Warning: {error}")
        return
    if winner.origin not in ("default", shown(file)) and _outranks(winner.origin, project):
        say(f"{winner.origin} says {declared(key).text(winner.value)}, and goes first.")


@command.command("path", cls=Command)
def path() -> None:
    """Print the files that settings are read from, there or not."""
    from pathlib import Path

    project = find_project_file(Path.cwd())
    click.echo(user_file())
    click.echo(project or Path.cwd() / PROJECT_FILE)


set_.params.append(DebugOption())
path.params.append(DebugOption())


def _outranks(origin: str, project: bool) -> bool:
    """Whether a value from elsewhere wins over the file just written."""
    return not (project and origin == shown(user_file()))
