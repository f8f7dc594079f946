"""The pages that come from the code: `make docs` writes them, a test holds that they are current.

`commands.md` is the click tree, `recipes.md` the recipes' docstrings and hyperparameters. Of
`architecture.md` the tree and the list of modules are made here, from the docstrings' first lines.
`dogs-and-cats.ipynb` is the first part of `python.md`.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click

from dlcli.catalog import built_in_names, recipe_class, recipe_text
from dlcli.cli import root
from dlcli.cli.parts.help import EVERYWHERE
from dlcli.cli.train import Recipes

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "dlcli"
# The packages and modules of `dlcli`, the top floor first.
FLOORS = (
    "__main__.py",
    "cli",
    "api.py",
    "experiments",
    "kaggle",
    "report",
    "training",
    "inference",
    "features",
    "runs",
    "data",
    "config.py",
    "settings_file.py",
    "keys.py",
    "catalog.py",
    "recipes",
    "models",
    "images",
    "aws",
    "trust.py",
    "files",
    "recipe.py",
    "settings",
    "evaluation",
    "progress.py",
    "process.py",
    "backend.py",
    "errors.py",
    "words.py",
    "version.py",
    "git.py",
)

COMMANDS = """\
# Commands

<!-- Made by `make docs` from the code: change it there. -->

`dl COMMAND --help` prints the same in a terminal. Every command also takes these options, if it
uses them:
"""

RECIPES = """\
# Recipes

<!-- Made by `make docs` from the code: change it there. -->

A recipe is one way to build and train a network. `dl recipes` lists them. [Training](train.md)
describes what they have in common, [Adding a recipe](adding-a-recipe.md) how to write one.

Set a hyperparameter with its option, in a file of settings below `train:` and the recipe's name, or
in the environment, as `DL_TRAIN__FINETUNE__DROPOUT`; see [Settings](config.md). The tables show the
defaults. Some recipes train more epochs than that on [small datasets](train.md#schedules).
"""

SHARED = """\
## Options of every recipe

A recipe takes these options if it uses them. A recipe on the pixels has no backbone, and a recipe
that fixes its backbone offers no choice. A recipe that can augment also takes the [amounts of
augmentation](augmentation.md).
"""


def main() -> None:
    """Write every generated page."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Each generated page's text, by its file's name."""
    return {
        "architecture.md": _architecture_page(),
        "commands.md": _commands_page(),
        "dogs-and-cats.ipynb": _notebook((DOCS / "python.md").read_text(encoding="utf-8")),
        "recipes.md": _recipes_page(),
    }


def walk(
    command: click.Command = root, name: str = "dl", parent: click.Context | None = None
) -> Iterator[click.Context]:
    """The context of a command and of every command below it, in the order of its help."""
    ctx = click.Context(command, parent, info_name=name, **command.context_settings)
    yield ctx
    if isinstance(command, click.Group):
        for each in command.list_commands(ctx):
            below = command.get_command(ctx, each)
            assert below is not None
            yield from walk(below, each, ctx)


def _notebook(page: str) -> str:
    """The section of a page on dogs and cats as a notebook: a cell for each text and each code."""
    text = page.partition("\n## Dogs and cats\n")[2].partition("\n## ")[0]
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(re.split(r"```(?:python)?\n", f"# Dogs and cats\n{text}")):
        if lines := part.strip().splitlines(keepends=True):
            cell: dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": lines}
            if number % 2:
                cell |= {"cell_type": "code", "execution_count": None, "outputs": []}
            cells.append({"id": f"cell-{number}", **cell})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _architecture_page() -> str:
    """The page as it stands, its tree and its list of modules made anew."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    before, fence, rest = page.partition("```text\ndlcli/\n")
    between, heading, _ = rest.partition("```")[2].partition("\n## Every module\n")
    assert fence and heading, "the page has no tree, or no list of modules"
    tree = "\n".join(["dlcli/", *_tree(PACKAGE, "  ", FLOORS)])
    return f"{before}```text\n{tree}\n```{between}{heading}{''.join(_modules(PACKAGE))}"


def _tree(folder: Path, indent: str, first: tuple[str, ...] = ()) -> Iterator[str]:
    """A line for each package and what it is for, and below it the names of its modules."""
    packages, modules = _inside(folder)
    if first:
        assert {*first} == {*packages, *modules}, "bring FLOORS up to date"
        for name in first:
            path = packages.get(name) or modules[name]
            yield f"{indent}{f'{name}/' if name in packages else name:<15}{_first_line(path)}"
            if name in packages:
                yield from _tree(folder / name, f"{indent}    ")
        return
    names = "  ".join(sorted(each.removesuffix(".py") for each in modules))
    yield from textwrap.wrap(names, 96, initial_indent=indent, subsequent_indent=indent)
    for name, path in sorted(packages.items()):
        yield f"{indent}{name + '/':<11}{_first_line(path)}"
        yield from _tree(folder / name, f"{indent}    ")


def _modules(folder: Path) -> Iterator[str]:
    """A table for each package: its modules, and what each says of itself."""
    packages, modules = _inside(folder)
    name = str(folder.relative_to(PACKAGE.parent))
    rows = [(each.removesuffix(".py"), _first_line(path)) for each, path in sorted(modules.items())]
    yield f"\n### {name}\n\n{_table('module', 'what it is', rows)}\n"
    for each in sorted(packages):
        yield from _modules(folder / each)


def _inside(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """A package's packages and modules, by their names."""
    packages = {each.parent.name: each for each in folder.glob("*/__init__.py")}
    modules = {each.name: each for each in folder.glob("*.py") if each.name != "__init__.py"}
    return packages, modules


def _first_line(path: Path) -> str:
    """What a module says it is for."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def _commands_page() -> str:
    """Every command with its own options; a recipe's stand in the page of recipes."""
    contexts = [ctx for ctx in walk() if not _is_recipe(ctx)]
    everywhere = {row: None for ctx in contexts for row in _options(ctx, EVERYWHERE)}
    sections = [COMMANDS.rstrip(), _table("option", "what it does", [*everywhere])]
    for ctx in contexts:
        sections += _command(ctx)
    return "\n\n".join(sections) + "\n"


def _command(ctx: click.Context) -> list[str]:
    level = "##" if ctx.parent is None or ctx.parent.parent is None else "###"
    usage = " ".join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])
    sections = [f"{level} {ctx.command_path}", _fenced(usage)]
    sections += _paragraphs(cleandoc(ctx.command.help or ""))
    rows = [row for title in _titles(ctx) for row in _options(ctx, title)]
    if isinstance(ctx.command, Recipes):
        names = ", ".join(f"[{name}](recipes.md#{name})" for name in built_in_names())
        sections.append(f"Each recipe has its own options: {names}.")
        rows += _beside_training(ctx)
    if rows:
        sections.append(_table("option", "what it does", rows))
    return sections


def _recipes_page() -> str:
    """Every recipe: what it teaches, and its hyperparameters."""
    trains = {str(ctx.info_name): ctx for ctx in _to_train()}
    sections = [RECIPES.rstrip()]
    for name in built_in_names():
        sections += [f"## {name}", *_recipe_paragraphs(recipe_text(name))]
        for setting, value in recipe_class(name).pinned.items():
            sections.append(f"This recipe fixes `{setting}` to `{value}`.")
        own = _options(trains[name], "Hyperparameters")
        sections.append(_table("hyperparameter", "what it is", own))
    shared = {row: None for ctx in trains.values() for row in _options(ctx, "Options")}
    sections += [SHARED.rstrip(), _table("option", "what it does", [*shared])]
    return "\n\n".join(sections) + "\n"


def _is_recipe(ctx: click.Context) -> bool:
    return ctx.parent is not None and isinstance(ctx.parent.command, Recipes)


def _to_train() -> list[click.Context]:
    """The commands that train a recipe."""
    return [ctx for ctx in walk() if _is_recipe(ctx) and ctx.command_path.startswith("dl train ")]


def _beside_training(group: click.Context) -> list[tuple[str, str]]:
    """What a group's recipes take that no recipe takes to be trained."""
    known = {row for ctx in _to_train() for row in _options(ctx, "Options")}
    mine = [ctx for ctx in walk() if ctx.command_path.startswith(f"{group.command_path} ")]
    rows = {row: None for ctx in mine for row in _options(ctx, "Options") if row not in known}
    return [*rows]


def _options(ctx: click.Context, title: str) -> list[tuple[str, str]]:
    """Options as typed, and their help, of the section of that title in a command's help."""
    records = [
        param.get_help_record(ctx)
        for param in ctx.command.get_params(ctx)
        if isinstance(param, click.Option) and _title(param) == title
    ]
    return [record for record in records if record]


def _titles(ctx: click.Context) -> list[str]:
    """The sections of a command's help that are its own."""
    titles = {_title(param): None for param in ctx.command.get_params(ctx)}
    return [title for title in titles if title != EVERYWHERE]


def _title(param: click.Parameter) -> str:
    return str(getattr(param, "section", "Options"))


def _paragraphs(text: str) -> list[str]:
    r"""Click's help as Markdown: `\b` keeps a paragraph's lines as they are."""
    parts = text.split("\n\n")
    return [_fenced(part[2:]) if part.startswith("\b\n") else part for part in parts]


def _recipe_paragraphs(text: str) -> list[str]:
    """A recipe's docstring, with `Source:` and the like as paragraphs of their own."""
    parts = re.sub(r"\n+(?=[A-Z][a-z]+: )", "\n\n", text).split("\n\n")
    return [re.sub(r"^([A-Z][a-z]+):(?= )", r"**\1:**", part) for part in parts]


def _fenced(text: str) -> str:
    return f"```\n{text}\n```"


def _table(left: str, right: str, rows: list[tuple[str, str]]) -> str:
    cells = [(left, right), ("---", "---")]
    for term, text in rows:
        text = re.sub(r"\s*\[default: ([^]]*)\]", r" (default: \1)", text)
        # a bar would end the cell, even in code
        cells.append((f"`{term}`".replace("|", r"\|"), text.replace("|", r"\|")))
    return "\n".join(f"| {term} | {text} |" for term, text in cells)


if __name__ == "__main__":
    main()
