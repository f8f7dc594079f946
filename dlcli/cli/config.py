"""`dl config`: show and change settings."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path

import click

from dlcli import trust
from dlcli.catalog import OWN_FOLDER
from dlcli.cli.parts.ask import WITHHELD
from dlcli.cli.parts.complete import complete_setting
from dlcli.cli.parts.help import Command, DebugOption, Group
from dlcli.cli.parts.options import JSON, TypedPath, with_config
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.config import DEFAULT, FLAG, RATE_ALONE, Config, load_config
from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.paths import PROJECT_FILE, find_project_file, shown
from dlcli.keys import all_keys, declared, keys_of_recipes, own_recipe_of, whole_key
from dlcli.progress import say
from dlcli.settings.fields import plain
from dlcli.settings_file import remove_setting, require_change, save_setting, user_file
from dlcli.words import printable

TRUST = f"""Trust a project: run its recipes, and use all of its settings.

FOLDER is the project's folder, by default that of the current project. A project may be somebody
else's: a download, a shared disk. Before you trust it,
{WITHHELD}.
Recipes are code, and such settings may cost money or send files. So read them first. `dl` remembers
the folder's path and owner, and does not ask again if files in it change. A folder inside is not
trusted with it.
"""
PROJECT = click.option(
    "--project", is_flag=True, help=f"use the project's {PROJECT_FILE}, not your own file"
)


@click.group(cls=Group)
def command() -> None:
    """Show settings and where they come from, and change them."""


@command.command("show", cls=Command)
@click.argument("word", required=False, shell_complete=complete_setting)
@click.option("--origin", is_flag=True, help="also print where each value comes from")
@click.option("--changed", is_flag=True, help="print only settings that something sets")
@JSON
@with_config()
def show(config: Config, word: str | None, origin: bool, changed: bool, as_json: bool) -> None:
    """Print every setting, or those whose names contain WORD.

    WORD may be a section: `dl config show aws`, `dl config show train.finetune`. `--changed` leaves
    out settings that have their defaults. `--origin` also prints where each value comes from. The
    last of these that sets it counts: the default, your file, the project's file, an environment
    variable, the `--config` file, an option.
    """
    kept = {key: value for key, value in config.items() if _matches(key, word)}
    if not kept:
        raise DlError(
            f"No setting's name contains {word!r}",
            hint=f"{did_you_mean(str(word), all_keys())} `dl config show` lists them all.",
            exit_code=ExitCode.USAGE,
        )
    say_untrusted()
    if changed:
        kept = {key: value for key, value in kept.items() if value.origin != DEFAULT}
        if not kept and not as_json:
            say("Nothing sets any of these settings: all have their defaults.")
            return
    if as_json:
        emit_json({key: {"value": plain(v.value), "origin": v.origin} for key, v in kept.items()})
        return
    rows = [[key, shown(declared(key).text(v.value)), _source(v.origin)] for key, v in kept.items()]
    columns = 3 if origin else 2
    header = ["setting", "value", "comes from"][:columns]
    print_table(header, [row[:columns] for row in rows], ragged=True)


def _source(origin: str) -> str:
    """Where a value comes from, in words: "your file ~/.config/dl/config.yaml"."""
    if origin in (FLAG, RATE_ALONE):
        return "option"
    project = find_project_file(Path.cwd())
    kinds = {DEFAULT: "", shown(user_file()): "your file "}
    if project is not None:
        kinds[shown(project)] = "project file "
    usual = "environment variable " if origin in os.environ else "--config "
    return f"{kinds.get(origin, usual)}{origin}"


def _matches(key: str, word: str | None) -> bool:
    """Whether a setting's name contains a word, written as a setting or as an option."""
    return (word or "").lower().removeprefix("--").replace("-", "_") in key.replace("-", "_")


@command.command("get", cls=Command)
@click.argument("key", shell_complete=complete_setting)
@with_config()
def get(config: Config, key: str) -> None:
    """Print one setting, in the form that `dl config set` takes."""
    key = whole_key(key)
    if config.withholds(key):
        say_untrusted()
    click.echo(declared(key).text(config.shown(key).value))


@command.command("set", cls=Command)
@click.argument("key", shell_complete=complete_setting)
@click.argument("value", required=False, metavar="VALUE")
@PROJECT
@click.pass_context
def set_(ctx: click.Context, key: str, value: str | None, project: bool) -> None:
    """Save a setting in your own file, or in the project's.

    KEY is a name that `dl config show` prints, such as `seed` or `aws.disk`. Its last part is
    enough if no other name ends with it. KEY=VALUE works too. `dl config path` prints where the two
    files are.
    """
    if value is None:
        key, sign, value = key.partition("=")
        if not sign:
            raise click.MissingParameter(ctx=ctx, param=ctx.command.params[1])
    key = whole_key(key)
    if homes := keys_of_recipes(key):
        name, option = homes[0].rpartition(".")[2], " --project" if project else ""
        raise DlError(
            f"No setting is called `{key}`",
            why=f"each of {len(homes)} recipes has its own",
            hint=f"For one recipe: `dl config set {homes[0]} {shlex.quote(value)}{option}`. "
            f"For all, set each: `dl config show .{name}` lists them.",
            exit_code=ExitCode.USAGE,
        )
    if key == "backbone":
        from dlcli.models.backbones import get_backbone

        get_backbone(value)  # or an error that names the nearest
    if not project and own_recipe_of(key):
        raise DlError(
            f"`{key}` can't be saved in your own file",
            why="the recipe exists only in this project",
            hint="Save it in the project's file: add `--project`.",
        )
    file = _file_to_change(project)
    is_new = project and not any(map(os.path.lexists, (file, file.parent / OWN_FOLDER)))
    saved = save_setting(file, key, value)
    if is_new and not trust.open_to_all(file.parent):
        with suppress(OSError):  # a home that can't be written: a command that needs trust asks
            trust.trust(file.parent)
    say(f"{key} is {declared(key).text(saved)} in {shown(file)}")
    try:
        winner = load_config().shown(key)
    except DlError as error:  # another setting is wrong, perhaps in another file
        say(f"Warning: {error}")
        return
    if winner.origin not in ("default", shown(file)) and _outranks(winner.origin, project):
        say(f"{winner.origin} overrides it with {declared(key).text(winner.value)}.")


@command.command("unset", cls=Command)
@click.argument("key", shell_complete=complete_setting)
@PROJECT
def unset(key: str, project: bool) -> None:
    """Remove a setting from your own file, or the project's.

    The rest of the file stays as it is, including comments.
    """
    file, key = _file_to_change(project), whole_key(key)
    there = remove_setting(file, key)
    say(f"{key} is {'no longer' if there else 'not'} set in {shown(file)}")
    try:
        declared(key)
    except DlError:  # an unknown setting has no other value
        return
    try:
        left = load_config().shown(key)
    except DlError as error:  # another setting is wrong, perhaps in another file
        say(f"Warning: {error}")
        return
    origin = "the default" if left.origin == "default" else f"from {left.origin}"
    say(f"Now it is {shown(declared(key).text(left.value))}, {origin}.")


@command.command("path", cls=Command)
def path() -> None:
    """Print the paths of all settings files, and mark missing ones.

    It also says whether the project is trusted.
    """
    for file in (_file(), _file(project=True)):
        click.echo(f"{file}" if file.is_file() else f"{file}  (missing)")
    project = find_project_file(Path.cwd())
    if project and trust.is_trusted(project.parent):
        say(f"{shown(trust.real(project.parent))} is a trusted project.")
    say_untrusted()


@command.command("trust", cls=Command, help=TRUST)
@click.argument("folder", required=False, type=TypedPath())
@click.option("--list", "as_list", is_flag=True, help="list the trusted folders")
@click.option("--revoke", is_flag=True, help="trust the folder no longer")
@click.pass_context
def trust_(ctx: click.Context, folder: Path | None, as_list: bool, revoke: bool) -> None:
    """Trust a project, or list the trusted ones, or trust one no longer."""
    if as_list:
        if folder or revoke:
            raise click.UsageError("`--list` takes neither a folder nor `--revoke`.", ctx)
        for each in trust.trusted_folders():
            click.echo(f"{printable(str(each))}{_no_longer(each)}")
        return
    if folder is None and (project := find_project_file(Path.cwd())):
        folder = project.parent
    if folder is None:
        raise DlError(
            "There is no project here",
            why=f"neither the current folder nor one above it has a {PROJECT_FILE}",
            hint="Name the project's folder: `dl config trust FOLDER`.",
        )
    folder = trust.real(folder)
    if revoke:
        was = trust.revoke(folder)
        say(f"{shown(folder)} is {'no longer' if was else 'not'} trusted.")
        if trust.is_trusted(folder):
            say(f"Warning: it is still trusted, because {trust.VARIABLE} names it.")
        return
    if not folder.is_dir():
        raise DlError(
            f"{shown(folder)} is not a folder",
            hint=f"Name the folder that holds the {PROJECT_FILE}.",
            exit_code=ExitCode.USAGE,
        )
    trust.trust(folder)
    say(f"{shown(folder)} is trusted: `dl` runs its recipes, and uses all of its settings.")
    if not any(map(os.path.lexists, (folder / PROJECT_FILE, folder / OWN_FOLDER))):
        say(f"Warning: it has no {PROJECT_FILE}, and a folder is not trusted with those above it.")
    if trust.open_to_all(folder):
        say("Warning: every user of this computer may change what is in it.")


def _no_longer(folder: Path) -> str:
    """A mark for a folder that was trusted, and is not now."""
    if trust.is_trusted(folder):
        return ""
    return "  (has another owner now)" if folder.exists() else "  (missing)"


def say_untrusted() -> None:
    """Say if the current project is not trusted."""
    project = find_project_file(Path.cwd())
    if project and not trust.is_trusted(project.parent):
        error = trust.UntrustedError(WITHHELD, trust.real(project.parent))
        say(f"Warning: {error.why}: {error.what}.\n{error.hint}")


trust_.params.append(DebugOption())
set_.params.append(DebugOption())
unset.params.append(DebugOption())
path.params.append(DebugOption())


def _file(project: bool = False) -> Path:
    """The user's settings file, or the project's, existing or not."""
    if project:
        return find_project_file(Path.cwd()) or Path.cwd() / PROJECT_FILE
    return user_file()


def _file_to_change(project: bool) -> Path:
    """The same; a link out of the project has to lead into a trusted folder."""
    file = _file(project)
    if project:
        require_change(file)
    return file


def _outranks(origin: str, project: bool) -> bool:
    """Whether a value from elsewhere overrides the file just written."""
    return not (project and origin == shown(user_file()))
