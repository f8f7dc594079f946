"""`dl aws ssh`, `tmux`, `forward`, `ssh-config`: working on a box from here."""

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

NOT_FOUND = 127  # a shell's exit code for a program that isn't there

TRUST = click.option(
    "--trust-host-key",
    "trust",
    is_flag=True,
    help="take the host key of whoever answers, where none is known",
)


def reached(config: Config, trust: bool = False) -> tuple[Host, Callable[[], Host]]:
    """The box that a command is about, once it lets us in; and how to find it after a drop."""
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
    """Work on a box in a shell, or run a COMMAND there; ends as that ends.

    A COMMAND in one piece is read by the shell there: `dl aws ssh 'nvidia-smi | head'`. One in
    several is run as it is: `dl aws ssh ls 'my photos'`.
    """
    import shlex

    from dlcli.aws.system_ssh import interactive, ssh_argv

    host, _ = reached(config, trust)
    line = words[0] if len(words) == 1 else shlex.join(words)
    terminal = ["-t"] if words and sys.stdin.isatty() else []
    return _exit_code(interactive([*ssh_argv(host, *terminal), *([line] if words else [])]))


@click.command("tmux", cls=Command)
@click.option("--cc", is_flag=True, help="control mode: iTerm2 shows tmux's windows as its own")
@click.option("--session", metavar="NAME", default="dl", show_default=True, help="tmux's session")
@TRUST
@with_config(*NAMED)
def tmux_command(config: Config, cc: bool, session: str, trust: bool) -> int:
    """Work on a box in a shell that outlives the connection.

    What runs in it goes on when the connection drops; the same command brings it back.
    """
    import shlex

    from dlcli.aws.system_ssh import interactive, ssh_argv

    host, _ = reached(config, trust)
    line = shlex.join(["tmux", *(["-CC"] if cc else []), "-u", "new-session", "-A", "-s", session])
    code = interactive([*ssh_argv(host, "-t"), line])
    if code == NOT_FOUND:
        raise DlError(
            "tmux is not installed on the box",
            hint=f"`dl aws ssh{host.options} 'sudo apt-get install -y tmux'`",
        )
    return _exit_code(code)


@click.command("forward", cls=Command)
@click.argument("words", metavar="[jupyter|tensorboard|L:R]...", nargs=-1)
@TRUST
@with_config(*NAMED)
def forward_command(config: Config, words: tuple[str, ...], trust: bool) -> None:
    """Reach Jupyter, TensorBoard or another port of a box from here, until Ctrl-C.

    Without a word it is both. `9999:8888` is the box's port 8888 at this computer's 9999. They
    answer on 127.0.0.1 alone. A connection that drops is made again. Jupyter's address holds its
    token, which lets in whoever has it.
    """
    from dlcli.aws.forward import forward, pages, read_tunnels

    tunnels = read_tunnels(words)
    host, again = reached(config, trust)

    def ready(host: Host, tunnels: Sequence[Tunnel]) -> None:
        for page in pages(host, tunnels):
            click.echo(page)
            if not page.answers:
                say(page.missing(host))
        say("These lead to the box; Ctrl-C ends them.")

    forward(host, again, tunnels, ready)


@click.command("ssh-config", cls=Command)
@with_config("aws.profile")
def ssh_config_command(config: Config) -> None:
    """Let plain ssh, scp, rsync and editors know your running boxes, as `dl-NAME`.

    A box of another region than your usual one is `dl-NAME-REGION`, so that no name ever comes to
    mean another box. They stand in a file of their own, which one line at the top of
    `~/.ssh/config` includes; nothing else of that is touched. Run it again when boxes have come,
    gone or been started.
    """
    from dlcli.aws.boxes import boxes_everywhere
    from dlcli.aws.system_ssh import names_for, our_file, write_entries

    settings, cloud = account(config)
    found, failed = boxes_everywhere(cloud, True, owner=cloud.owner)
    for region, error in failed.items():
        say(f"Warning: {region} doesn't answer: {error.what}")
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
        say(f"The host key of {box.name} isn't known yet: `dl aws ssh{host.options}` asks for it.")
    return host


def _exit_code(code: int) -> int:
    """How a program ended, as shells count: one that was killed by a signal is 128 and that."""
    return 128 - code if code < 0 else code
