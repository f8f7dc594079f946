"""`dl aws ssh`, `tmux`, `forward` and `ssh-config`: connect to a box."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dlcli.cli.aws.account import NAMED, account, account_and_name
from dlcli.cli.parts.help import Command
from dlcli.cli.parts.options import with_config
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.words import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dlcli.aws.boxes import Box
    from dlcli.aws.cloud import Cloud
    from dlcli.aws.forward import Tunnel
    from dlcli.aws.system_ssh import Host
    from dlcli.settings.aws import Aws

NOT_FOUND = 127  # a shell's exit code for a missing program

TRUST = click.option(
    "--trust-host-key",
    "trust",
    is_flag=True,
    help="trust the box's host key without a check, if `dl` knows none yet",
)


def reached(config: Config, trust: bool = False) -> tuple[Host, Callable[[], Host]]:
    """The box, once it accepts a connection, and a function that finds it after a lost one."""
    from functools import partial

    from dlcli.aws.boxes import find_box
    from dlcli.aws.reach import reach, reach_again

    settings, cloud, name = account_and_name(config)
    host = reach(cloud, find_box(cloud, name), settings, trust=trust)
    return host, partial(reach_again, cloud, name, settings)


@click.command("ssh", cls=Command, context_settings={"allow_interspersed_args": False})
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@TRUST
@with_config(*NAMED)
def ssh_command(config: Config, words: tuple[str, ...], trust: bool) -> int:
    """Open a shell on a box, or run a COMMAND there.

    The exit code is that of COMMAND. If COMMAND is one argument, the box's shell reads it as a
    line: `dl aws ssh 'nvidia-smi | head'`. If COMMAND is several arguments, they are not changed:
    `dl aws ssh ls 'my photos'`.
    """
    import shlex

    from dlcli.aws.system_ssh import interactive, ssh_argv

    host, _ = reached(config, trust)
    line = words[0] if len(words) == 1 else shlex.join(words)
    terminal = ["-t"] if words and sys.stdin.isatty() else []
    return _exit_code(interactive([*ssh_argv(host, *terminal), *([line] if words else [])]))


@click.command("tmux", cls=Command)
@click.option("--cc", is_flag=True, help="control mode: iTerm2 shows tmux windows as its own")
@click.option("--session", metavar="NAME", default="dl", show_default=True, help="tmux session")
@TRUST
@with_config(*NAMED)
def tmux_command(config: Config, cc: bool, session: str, trust: bool) -> int:
    """Open a shell that keeps running if the connection is lost.

    The shell is a tmux session on the box. Programs in it keep running without a connection. Run
    the same command again to return to it.
    """
    import shlex

    from dlcli.aws.system_ssh import interactive, ssh_argv

    host, _ = reached(config, trust)
    line = shlex.join(["tmux", *(["-CC"] if cc else []), "-u", "new-session", "-A", "-s", session])
    code = interactive([*ssh_argv(host, "-t"), line])
    if code == NOT_FOUND:
        raise DlError(
            "tmux is not installed on the box",
            hint=f"Install it: `dl aws ssh{host.options} 'sudo apt-get install -y tmux'`.",
        )
    return _exit_code(code)


@click.command("forward", cls=Command)
@click.argument("words", metavar="[jupyter|tensorboard|L:R]...", nargs=-1)
@TRUST
@with_config(*NAMED)
def forward_command(config: Config, words: tuple[str, ...], trust: bool) -> None:
    """Open Jupyter, TensorBoard or another port of a box.

    The ports are open on this computer, on 127.0.0.1 only, until Ctrl-C. Without an argument it
    opens Jupyter and TensorBoard. `9999:8888` opens the box's port 8888 as port 9999 here. If the
    connection is lost, the command connects again. Jupyter's address contains a secret token:
    anyone who has the address can run code on the box.
    """
    from dlcli.aws.forward import forward, pages, read_tunnels

    tunnels = read_tunnels(words)
    host, again = reached(config, trust)

    def ready(host: Host, tunnels: Sequence[Tunnel]) -> None:
        for page in pages(host, tunnels):
            click.echo(page)
            if not page.answers:
                say(page.missing(host))
        say("These addresses lead to the box until Ctrl-C.")

    forward(host, again, tunnels, ready)


@click.command("ssh-config", cls=Command)
@with_config("aws.profile")
def ssh_config_command(config: Config) -> None:
    """Add your running boxes to the ssh configuration.

    ssh, scp, rsync and editors then know them as `dl-NAME`. A box outside your usual region is
    `dl-NAME-REGION`, so a name always means the same box. The entries are in a separate file. One
    line at the top of `~/.ssh/config` includes it; nothing else there changes. Run the command
    again after you rent, start or end a box.
    """
    from dlcli.aws.boxes import boxes_everywhere
    from dlcli.aws.system_ssh import names_for, our_file, write_entries

    settings, cloud = account(config)
    found, failed = boxes_everywhere(cloud, True, owner=cloud.owner)
    for region, error in failed.items():
        say(f"Warning: {region} did not answer: {error.what}")
    running = [box for box in found if box.running and box.address is not None]
    hosts = {
        name: _prepared(cloud, box, settings)
        for name, box in names_for(running, cloud.region).items()
    }
    for entry in write_entries(hosts):
        click.echo(entry)
    many = count(len(hosts), "running box", "running boxes")
    say(f"{many} in {shown(our_file())}" + ("; next: `ssh dl-NAME`" if hosts else ""))


def _prepared(cloud: Cloud, box: Box, settings: Aws) -> Host:
    from dlcli.aws.host_keys import known
    from dlcli.aws.keys import own_key
    from dlcli.aws.reach import prepared

    host = prepared(cloud.at(box.region), box, settings, own_key(settings.ssh_key))
    if not known(box.id):
        say(f"The host key of {box.name} is not known yet. Run `dl aws ssh{host.options}` once.")
    return host


def _exit_code(code: int) -> int:
    """An exit code as shells give it: 128 + N for a program killed by signal N."""
    return 128 - code if code < 0 else code
