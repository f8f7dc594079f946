"""`dl recipes`: list the recipes, or show one."""

from __future__ import annotations

from shutil import get_terminal_size

import click

from dlcli.catalog import (
    broken_files,
    loadable_names,
    make_recipe,
    recipe_file,
    recipe_text,
    why_withheld,
    withheld_names,
)
from dlcli.cli.parts.complete import complete_recipe
from dlcli.cli.parts.help import Command, DebugOption, paragraphs
from dlcli.cli.parts.options import JSON
from dlcli.cli.parts.tables import emit_json, print_table
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.settings.fields import settings_of

NOT_TRUSTED = "not trusted"


@click.command(cls=Command)
@click.argument("recipe", required=False, shell_complete=complete_recipe)
@JSON
def command(recipe: str | None, as_json: bool) -> None:
    """List the recipes, or show one in full.

    Of a project that is not trusted, only the names of its recipes are listed: their code is not
    run. See `dl config trust`.
    """
    if recipe is not None:
        default, file = make_recipe(recipe, {}), recipe_file(recipe)
        if as_json:
            values = default.hyperparameters()
            page = {"name": recipe, "text": recipe_text(recipe), "file": file and str(file)}
            emit_json({**page, "hyperparameters": values})
            return
        text = paragraphs(recipe_text(recipe))
        if file:
            text = f"{text}\n\nFile: {shown(file)}".strip()
        width = min(get_terminal_size().columns, 80)
        click.echo(click.wrap_text(text, width, preserve_paragraphs=True) + "\n")
        settings = settings_of(type(default)).values()
        rows = [[each.name, each.text(each.default), each.help] for each in settings]
        print_table(["hyperparameter", "default", "what it is"], rows)
        return
    withheld = withheld_names()
    usable = loadable_names(without=withheld)
    summaries = {
        name: NOT_TRUSTED if name in withheld else recipe_text(name).partition("\n")[0]
        for name in sorted([*usable, *withheld])
    }
    if as_json:
        emit_json([{"name": name, "summary": text} for name, text in summaries.items()])
    else:
        print_table(["recipe", "what it does"], list(summaries.items()))
    for error in broken_files(without=withheld).values():
        say(f"Warning: {error}")
    if withheld:
        say(f"Warning: {why_withheld(withheld[0])}")


command.params.append(DebugOption())
