"""`dl recipes`: what can be trained."""

from __future__ import annotations

import click

from dlcli.cli import emit_json
from dlcli.cli.completing import complete_recipe
from dlcli.cli.options import Command, DebugOption
from dlcli.cli.tables import print_table
from dlcli.recipe import make_recipe, recipe_names, recipe_text


@click.command(cls=Command)
@click.argument("recipe", required=False, shell_complete=complete_recipe)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(recipe: str | None, as_json: bool) -> None:
    """List the recipes, or show all about one."""
    if recipe is not None:
        values = make_recipe(recipe, {}).hyperparameters()
        if as_json:
            emit_json({"name": recipe, "text": recipe_text(recipe), "hyperparameters": values})
            return
        click.echo(recipe_text(recipe) + "\n")
        print_table(["hyperparameter", "default"], list(values.items()))
        return
    summaries = {name: recipe_text(name).splitlines()[0] for name in recipe_names()}
    if as_json:
        emit_json([{"name": name, "summary": text} for name, text in summaries.items()])
    else:
        print_table(["recipe", "what it does"], list(summaries.items()))


command.params.append(DebugOption())
