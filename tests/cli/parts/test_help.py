"""The pages of `--help`."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from support.command_result import Dl, ok

from dlcli.cli import COMMANDS, root


def pages(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command there is, groups included."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from pages(inner, (*path, name))


EVERY_COMMAND = [" ".join(path) for path in pages(root)]


@pytest.mark.parametrize("words", EVERY_COMMAND)
def test_every_command_has_a_page_that_fits_80_columns(
    dl: Dl, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = ok(dl(*words.split(), "--help")).stdout
    assert dl(*words.split(), "-h").stdout == page
    assert page.startswith(f"Usage: {' '.join(['dl', *words.split()])} ")
    assert max(map(len, page.splitlines())) <= 80
    assert page.isprintable() or set(filter(lambda c: not c.isprintable(), page)) == {"\n"}
    _, text, *_ = page.split("\n\n")
    assert text.startswith("  ")
    assert text.rstrip().endswith((".", ":"))


@pytest.mark.parametrize("words", EVERY_COMMAND)
def test_every_option_says_what_it_does(words: str) -> None:
    command: click.Command = root
    context = click.Context(root)
    for word in words.split():
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None
        command = found
    silent = [
        param.name
        for param in command.get_params(context)
        if isinstance(param, click.Option) and not param.help and not param.show_default
    ]
    assert silent == []


def test_the_root_page_lists_every_command_whole(dl: Dl) -> None:
    page = ok(dl("--help")).stdout
    for name, summary in COMMANDS.items():
        assert f"  {name} " in page
        assert summary in page


def test_a_default_of_zero_is_shown_and_stays_in_one_line(dl: Dl) -> None:
    page = ok(dl("train", "finetune", "--help")).stdout
    assert "seed of every random choice  [default: 0]" in page
    assert "[default: efficientnet-lite0]" in page


def test_what_one_types_most_comes_first_and_what_all_commands_have_last(dl: Dl) -> None:
    page = ok(dl("train", "finetune", "--help")).stdout
    titles = [line for line in page.splitlines() if line.endswith(":") and line[0] != " "]
    assert titles == [
        "Most used:",
        "Hyperparameters:",
        "Options:",
        "Augmentation:",
        "Options of every command:",
    ]
    assert page.index("  -d, --dataset") < page.index("  --schedule") < page.index("  --data-dir")


@pytest.mark.parametrize("words", ["submit", "evaluate", "ladder"])
def test_the_options_of_a_command_come_before_those_of_augmentation(dl: Dl, words: str) -> None:
    page = ok(dl(words, "--help")).stdout
    assert page.index("\nOptions:") < page.index("\nAugmentation:")


def test_positional_arguments_are_not_listed_as_options(dl: Dl) -> None:
    assert "  [RUN]" not in ok(dl("evaluate", "--help")).stdout


def test_without_a_command_the_page_is_shown_as_a_usage_error(dl: Dl) -> None:
    said = dl()
    assert said.exit_code == 2
    assert "Commands:" in said.stderr
    assert said.stdout == ""
