"""Help pages and usage errors, in the layout and the words of `dl`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.paths import shown

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FIRST = "Most used"
OWN = "Options"
AUGMENTATION = "Augmentation"
EVERYWHERE = "Options of every command"
# A longer option gets a line of its own, so that the second column keeps 50 of 80 columns.
FIRST_COLUMN = 24
# A default longer than this may be broken at the end of a line.
UNBROKEN = 30
# What other tools call some of the commands.
CALLED = {"list": "ls", "info": "show", "delete": "rm", "remove": "rm", "upload": "submit"}
NO_BREAK = "\u00a0"


class Page(click.Command):
    """A command or group whose help lists its own options apart from those of every command.

    Attributes:
        first: the most used options, in order; they are listed first.
    """

    first: tuple[str, ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
            names = [name for each in options for name in (*each.opts, *each.secondary_opts)]
            # without the dashes, which would make `--lr` similar to `--help`
            near = [name for name in names if _alike(error.option_name, name)]
            raise click.NoSuchOption(error.option_name, error.message, near, ctx) from error

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "show this page"
            option.section = EVERYWHERE  # type: ignore[attr-defined]
        return option

    def get_help(self, ctx: click.Context) -> str:
        return super().get_help(ctx).replace(NO_BREAK, " ")

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print nothing: the text describes the arguments."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in sorted(self.get_params(ctx), key=self._place):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                term, text = record
                title = self.section_of(param) if self._place(param) == len(self.first) else FIRST
                sections.setdefault(title, []).append((term, _unbroken(text)))
        terms = [term for records in sections.values() for term, _ in records]
        # one width for all sections, so that their second columns align
        width = min(max(map(len, terms)), FIRST_COLUMN)
        last = (OWN, AUGMENTATION, EVERYWHERE)
        order = [title for title in sections if title not in last]
        for title in [*order, *last]:
            if rows := sections.get(title):
                with formatter.section(title):
                    formatter.write_dl([(f"{a:{width}}", b) for a, b in rows], FIRST_COLUMN)

    def _place(self, param: click.Parameter) -> int:
        """An option's position among the most used; after these for all others."""
        flag = max(param.opts, key=len)
        return self.first.index(flag) if flag in self.first else len(self.first)

    def section_of(self, param: click.Parameter) -> str:
        """The title of an option's section; a parameter may set its own as `section`."""
        return str(getattr(param, "section", OWN))


class Command(Page):
    """A command of `dl`."""


class Group(Page, click.Group):
    """A group of commands, in the order of use.

    For an unknown command it suggests the nearest known one.
    """

    command_class = Command
    # the noun for its commands in errors
    kind = "command"
    # what to type before a dataset, after the group; None if no command of it takes one
    before_dataset: str | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def section_of(self, param: click.Parameter) -> str:
        return OWN if not self.invoke_without_command else super().section_of(param)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(f"{self.kind.capitalize()}s"):
            formatter.write_dl(
                [(name, self.summary(ctx, name)) for name in self.list_commands(ctx)]
            )

    def summary(self, ctx: click.Context, name: str) -> str:
        """A command's summary, one sentence."""
        command = self.get_command(ctx, name)
        help = (command.help if command else None) or ""
        return " ".join(help.partition("\n\n")[0].split())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        words = [CompletionItem(name, help=self.summary(ctx, name)) for name in names]
        return words + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        known = name in self.list_commands(ctx)  # only click makes the command, once
        if not (known or name.startswith("-") or self.get_command(ctx, name)):
            raise DlError(
                f"`{ctx.command_path}` has no {self.kind} {name!r}",
                hint=f"{self.meant(ctx, name)} `{ctx.command_path} --help` lists the {self.kind}s.",
                exit_code=ExitCode.USAGE,
            )
        return super().resolve_command(ctx, args)

    def meant(self, ctx: click.Context, name: str) -> str:
        """Suggest commands for an unknown one, as a sentence."""
        from dlcli.config import load_config
        from dlcli.data.choice import dataset_meant, typed_name

        data_dir = load_config().settings().data_dir
        if self.before_dataset is not None and (root := dataset_meant(name, data_dir)):
            before = f"{ctx.command_path} {self.before_dataset}".rstrip()
            return f"{shown(name)} is a dataset: `{before} {typed_name(root)}`."
        top = ctx.find_root()
        if isinstance(top.command, Group) and name in top.command.list_commands(top):
            return f"Did you mean `{top.command_path} {name}`?"
        known = self.list_commands(ctx)
        word = CALLED.get(name, name)
        if word == "ls" and "ls" not in known and "show" in known:
            word = "show"
        return did_you_mean(word, known)


def _alike(one: str, other: str) -> bool:
    """Whether a typed option has a similar name as another, or begins with it."""
    from difflib import get_close_matches

    typed, known = one.lstrip("-"), other.lstrip("-")
    return typed.startswith(known) or bool(get_close_matches(typed, [known]))


class DebugOption(click.Option):
    """`--debug`, on every command: show the traceback of an error."""

    section = EVERYWHERE

    def __init__(self) -> None:
        super().__init__(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_set_debug,
            help="show the traceback of an error",
        )


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        os.environ["DL_DEBUG"] = "1"  # also for child processes


def paragraphs(text: str) -> str:
    """A recipe's text with lines such as "Source: ..." as separate paragraphs."""
    return re.sub(r"\n(?=[A-Z][a-z]+: )", "\n\n", text)


def _unbroken(text: str) -> str:
    """Help in which a short `[default: x]` is not broken across lines."""

    def bind(found: re.Match[str]) -> str:
        whole = found[0]
        return whole.replace(" ", NO_BREAK) if len(whole) <= UNBROKEN else whole

    return re.sub(r"\[default: [^]]*\]", bind, text)


def usage_text(error: click.ClickException) -> str:
    """A usage error as "WHAT: WHY", then what to type on a line of its own."""
    if isinstance(error, click.BadOptionUsage):
        return error.message.replace(f"Option {error.option_name!r}", f"`{error.option_name}`")
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return error.format_message()
    command = error.ctx.command_path
    what, hint = error.message, f"`{command} --help` describes the command."
    if isinstance(error, click.NoSuchOption):
        what = f"`{command}` has no option `{error.option_name}`"
        if near := error.possibilities:
            hint = f"Did you mean {' or '.join(f'`{name}`' for name in near)}? {hint}"
    elif isinstance(error, click.MissingParameter) and error.param is not None:
        what = f"`{command}` needs {typed_name_of(error.param)}"
        if expected := error.param.type.get_missing_message(param=error.param, ctx=error.ctx):
            what += f": {expected}"
    elif isinstance(error, click.BadParameter) and error.param is not None:
        what = f"{typed_name_of(error.param)}: {error.message}"
    if ". " not in what:
        what = what.removesuffix(".")
    return f"{what}\n{hint}"


def typed_name_of(param: click.Parameter) -> str:
    """An option or an argument as an error calls it: "`--seed`", "SHELL"."""
    if isinstance(param, click.Option):
        return f"`{max(param.opts, key=len)}`"
    return (param.metavar or str(param.name)).strip("[].").upper()
