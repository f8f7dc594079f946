"""`dl completion`: let the shell complete commands, datasets, runs and recipes."""

from __future__ import annotations

import click

from dlcli.cli.parts.help import Command, DebugOption
from dlcli.progress import say

INSTALL = {
    "bash": "dl completion bash > ~/.local/share/bash-completion/completions/dl",
    "zsh": "dl completion zsh > ~/.zfunc/_dl  (with ~/.zfunc in $fpath before compinit)",
    "fish": "dl completion fish > ~/.config/fish/completions/dl.fish",
}
QUOTED = 'printf -v value %q "$value"; COMPREPLY+=("$value")'


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(tuple(INSTALL)))
def command(shell: str) -> None:
    """Print the script that completes `dl` in a shell, and say where to keep it."""
    from click.shell_completion import get_completion_class

    from dlcli.cli import root

    completion = get_completion_class(shell)
    assert completion is not None  # one of the choices
    script = completion(root, {}, "dl", "_DL_COMPLETE").source()
    if shell == "bash":  # which, unlike the others, puts names with spaces in as they are
        script = script.replace("COMPREPLY+=($value)", QUOTED)
    click.echo(script)
    say(f"Keep it: {INSTALL[shell]}")


command.params.append(DebugOption())
