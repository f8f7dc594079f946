"""`dl recipes`: what can be trained."""

from __future__ import annotations

from shutil import get_terminal_size

import click

from dlcli.catalog import make_recipe, recipe_names, recipe_text
from dlcli.cli import emit_json
from dlcli.cli.completing import complete_recipe
from dlcli.cli.helping import paragraphs
from dlcli.cli.options import Command, DebugOption
from dlcli.cli.tables import print_table
from dlcli.fields import settings_of


@click.command(cls=Command)
@click.argument("recipe", required=False, shell_complete=complete_recipe)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(recipe: str | None, as_json: bool) -> None:
    """List the recipes, or show all about one."""
    if recipe is not None:
        default = make_recipe(recipe, {})
        if as_json:
            values = default.hyperparameters()
            emit_json({"name": recipe, "text": recipe_text(recipe), "hyperparameters": values})
            return
        text = paragraphs(recipe_text(recipe))
        width = min(get_terminal_size().columns, 80)
        click.echo(click.wrap_text(text, width, preserve_paragraphs=True) + "\n")
        settings = settings_of(type(default)).values()
        rows = [[each.name, each.text(each.default), each.help] for each in settings]
        print_table(["hyperparameter", "default", "what it is"], rows)
        return
    summaries = {name: recipe_text(name).splitlines()[0] for name in recipe_names()}
    if as_json:
        emit_json([{"name": name, "summary": text} for name, text in summaries.items()])
    else:
        print_table(["recipe", "what it does"], list(summaries.items()))


command.params.append(DebugOption())
