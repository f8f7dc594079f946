"""`dl completion`: print a shell's completion script."""

from __future__ import annotations

from os.path import dirname

import click

from dlcli.cli.parts.help import Command, DebugOption
from dlcli.cli.parts.options import OneOf
from dlcli.progress import say

FILES = {
    "bash": "~/.local/share/bash-completion/completions/dl",
    "zsh": "~/.zfunc/_dl",
    "fish": "~/.config/fish/completions/dl.fish",
}
QUOTED = 'printf -v value %q "$value"; COMPREPLY+=("$value")'


@click.command(cls=Command)
@click.argument("shell", type=OneOf(tuple(FILES)))
def command(shell: str) -> None:
    """Print the shell script that completes `dl` commands.

    The script completes commands, options, datasets, runs and recipes. The command also says where
    to save it.
    """
    from click.shell_completion import get_completion_class

    from dlcli.cli import root

    completion = get_completion_class(shell)
    assert completion is not None  # one of the choices
    script = completion(root, {}, "dl", "_DL_COMPLETE").source()
    if shell == "bash":  # unlike the others, bash does not quote names with spaces
        script = script.replace("COMPREPLY+=($value)", QUOTED)
    click.echo(script)
    file = FILES[shell]
    before = " Put ~/.zfunc in $fpath before compinit." if shell == "zsh" else ""
    say(f"To save it: `mkdir -p {dirname(file)} && dl completion {shell} > {file}`.{before}")


command.params.append(DebugOption())
