"""`dl recipes`: list the recipes, or show one."""

from __future__ import annotations

from shutil import get_terminal_size

import click

from dlcli.catalog import (
    broken_files,
    kind_named,
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
from dlcli.recipe import KINDS
from dlcli.settings.fields import settings_of

NOT_TRUSTED = "not trusted"


@click.command(cls=Command)
@click.argument("recipe", required=False, shell_complete=complete_recipe)
@JSON
def command(recipe: str | None, as_json: bool) -> None:
    """List the recipes for each kind of dataset, or show one.

    Of a project that is not trusted, only the names of its recipes are listed: their code is not
    run. See `dl config trust`.
    """
    if recipe is not None:
        default, file = make_recipe(recipe, {}), recipe_file(recipe)
        if as_json:
            values = default.hyperparameters()
            page = {"name": recipe, "kind": kind_named(recipe), "text": recipe_text(recipe)}
            emit_json({**page, "file": file and str(file), "hyperparameters": values})
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
    order = ["", *KINDS]
    listed = [
        (name, kind_named(name), NOT_TRUSTED if name in withheld else _summary(name))
        for name in sorted([*usable, *withheld])
    ]
    listed.sort(key=lambda each: order.index(each[1]))
    if as_json:
        emit_json([{"name": name, "kind": kind, "summary": text} for name, kind, text in listed])
    else:
        print_table(["recipe", "for", "what it does"], listed)
    for error in broken_files(without=withheld).values():
        say(f"Warning: {error}")
    if withheld:
        say(f"Warning: {why_withheld(withheld[0])}")


def _summary(name: str) -> str:
    return recipe_text(name).partition("\n")[0]


command.params.append(DebugOption())
