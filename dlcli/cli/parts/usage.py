"""Usage errors of click, in the words of `dl`."""

from __future__ import annotations

import click


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
