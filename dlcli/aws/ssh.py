"""Reach a machine by ssh, wait for it, run programs there, and give up in time.

Nothing here knows who rents the machine. It is paramiko's client; interactive work and bulk copying
are the system's ssh's. Both take the same key, and both want one of the known host keys.
"""

from __future__ import annotations

import shlex
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer
from typing import TYPE_CHECKING

from dlcli.aws.host_keys import fingerprint_of, how_to_forget, hush, known
from dlcli.aws.system_ssh import ALIVE_SECONDS, ALIVE_TIMES, CONNECT_SECONDS, Host
from dlcli.errors import DlError
from dlcli.files.paths import quoted, shown
from dlcli.progress import Patience

if TYPE_CHECKING:
    from paramiko import Channel, PKey, SSHClient


# Between two tries to reach a machine that is booting.
PAUSE_SECONDS = 2.0


class Unreachable(DlError):
    """Nobody answers at present, or the connection was dropped: the same may work in a moment."""


class NoEntry(DlError):
    """The machine answers, and our key doesn't open it."""


def connect(host: Host, seconds: float = CONNECT_SECONDS) -> SSHClient:
    """A client that is logged in; the caller closes it.

    Raises:
        Unreachable: nobody answers there.
        NoEntry: our key isn't accepted.
        DlError: no host key is known, or another one was shown; or our key can't be read.
    """
    from paramiko import RejectPolicy, SSHClient

    _require_known(host)
    key = _load_key(host.key)
    hush()
    client = SSHClient()
    client.load_system_host_keys(str(host.known_hosts))
    client.set_missing_host_key_policy(RejectPolicy())
    try:
        with explained(host):
            connection = socket.create_connection((host.address, host.port), timeout=seconds)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; else it waits a quarter of an hour
                milliseconds = 1000 * ALIVE_SECONDS * ALIVE_TIMES
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
            client.connect(
                host.alias,  # by this name, and port 22, the host key is looked up
                sock=connection,
                username=host.user,
                pkey=key,
                allow_agent=False,
                look_for_keys=False,
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
                channel_timeout=seconds,
            )
            transport = client.get_transport()
            assert transport is not None  # connect() has just made it
            transport.hostname = host.called  # for messages alone: paramiko has no more use for it
            transport.set_keepalive(ALIVE_SECONDS)
    except BaseException:
        client.close()
        raise
    return client


def wait_for_ssh(host: Host, seconds: float) -> None:
    """Wait until a machine lets us in.

    Raises:
        Unreachable: nobody answers within that time.
        NoEntry: our key isn't accepted, and hasn't been for all that time: at its first boot sshd
            answers before the key is put in place.
        DlError: as `connect`.
    """
    patience = Patience(f"{host.called} to let us in", seconds)
    while True:
        try:
            connect(host, max(1.0, min(CONNECT_SECONDS, patience.left))).close()
            return
        except (Unreachable, NoEntry) as error:
            if patience.left <= PAUSE_SECONDS:
                raise
            why = error.why
        patience.pause(PAUSE_SECONDS, why)


def reached_again(reach: Callable[[], Host], seconds: float) -> Host:
    """A machine whose connection dropped, as soon as it is there again.

    Args:
        reach: finds it and is let in, or says that it is not there yet.

    Raises:
        Unreachable: it stays away.
        DlError: it doesn't let us in any more.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return reach()
        except Unreachable:
            if time.monotonic() > end:
                raise
        time.sleep(PAUSE_SECONDS)


def run(
    client: SSHClient, argv: Sequence[str], stdin: bytes = b"", seconds: float | None = None
) -> tuple[int, str, str]:
    """Run a program there, to its end.

    Args:
        argv: the program and its arguments, whatever characters and odd bytes they hold.
        seconds: how long it may take; None for as long as it does.

    Returns:
        exit code, and what it wrote to stdout and stderr; odd bytes as surrogates.

    Raises:
        Unreachable: the connection was dropped, or the time is over.
    """
    host = _peer(client)
    with explained(host), ThreadPoolExecutor(2) as pool:
        transport = client.get_transport()
        if transport is None:
            raise EOFError
        channel = transport.open_session(timeout=CONNECT_SECONDS)
        with limited(channel, seconds):
            channel.exec_command(shlex.join(argv).encode("utf-8", "surrogateescape"))

            def feed() -> None:
                # a program that ends without having read all is not to blame
                with suppress(OSError):
                    channel.sendall(stdin)
                channel.shutdown_write()

            # one alone would wait for ever for the other's full buffer to be emptied
            fed = pool.submit(feed)
            errors = pool.submit(channel.makefile_stderr("rb").read)
            try:
                out = channel.makefile("rb").read()
            except BaseException:  # Ctrl-C: the other two would be waited for
                channel.close()
                raise
            fed.result()
            err = errors.result()
            code = channel.recv_exit_status()
            if code == -1:
                raise EOFError
    return code, _text(out), _text(err)


def home_of(client: SSHClient) -> str:
    """The home folder there, absolute."""
    _, out, _ = run(client, ["sh", "-c", 'printf %s "$HOME"'])
    if not out.startswith("/"):
        raise DlError(
            f"No home folder on {_peer(client)}",
            why=f"HOME is {out!r} there",
            hint="Log in and look at it.",
        )
    return out


def add_key(client: SSHClient, public: str) -> None:
    """Let another key in, beside those that are; once, however often this is called."""
    script = (
        "umask 077; mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && "
        'grep -qF "$1" ~/.ssh/authorized_keys || printf "%s\\n" "$1" >> ~/.ssh/authorized_keys'
    )
    code, _, err = run(client, ["sh", "-c", script, "sh", public])
    if code:
        raise DlError(f"The key can't be added on {_peer(client)}", why=err.strip())


@contextmanager
def explained(host: Host | str) -> Iterator[None]:
    """Turn the errors of a connection within the block into words.

    Raises:
        Unreachable, NoEntry, DlError: see `connect`.
    """
    from paramiko import AuthenticationException, BadHostKeyException, SSHException

    where = f"{host.called} at {host.address}" if isinstance(host, Host) else host
    listed = host.account if isinstance(host, Host) else " --all-regions"
    try:
        yield
    except BadHostKeyException as error:
        assert isinstance(host, Host)  # only `connect` compares keys
        raise DlError(
            f"{where} is not the machine that it was: its host key has changed",
            why=f"expected {fingerprint_of(error.expected_key.asbytes())}, "
            f"received {fingerprint_of(error.key.asbytes())}",
            hint=how_to_forget(host),
        ) from error
    except AuthenticationException as error:
        assert isinstance(host, Host)  # only `connect` logs in
        raise NoEntry(
            f"{where} doesn't let {host.user} in",
            why=f"it doesn't accept the key {shown(host.key)}",
            hint="A box made from another computer knows that one's key alone: copy "
            f"{shown(host.key)} from there.",
        ) from error
    except (SSHException, EOFError, OSError) as error:
        raise Unreachable(
            f"{where} can't be reached",
            why=_reason(error),
            hint=f"`dl aws ls{listed}` says whether it runs; if it does, try again.",
        ) from error


def _require_known(host: Host) -> None:
    if not known(host.alias):
        raise DlError(
            f"No host key of {host.called} is known",
            why="without it nobody can tell who answers at its address",
            hint="The box writes it to its console some minutes after its first start: try again "
            "then; or take on trust what answers now: "
            f"`dl aws ssh{host.options} --trust-host-key`.",
        )


def _load_key(path: Path) -> PKey:
    """The private key; one with a passphrase from the ssh agent.

    Raises:
        DlError: it has a passphrase, and no agent has it open.
    """
    from paramiko import Agent, PKey, SSHException
    from paramiko.pkey import UnknownKeyType

    try:
        return PKey.from_path(path)
    except (TypeError, ValueError, SSHException, UnknownKeyType) as error:
        beside = path.with_name(path.name + ".pub")
        with suppress(OSError, SSHException):
            wanted = beside.read_text().split()[1]
            for key in Agent().get_keys():
                if key.get_base64() == wanted:
                    return key
        raise DlError(
            f"{shown(path)} can't be opened",
            why="it has a passphrase, and no ssh agent holds it",
            hint=f"`ssh-add {quoted(path)}`, then try again.",
        ) from error


def _reason(error: BaseException) -> str:
    text = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    return text[:1].lower() + text[1:] or "the connection was dropped"


def _peer(client: SSHClient) -> str:
    transport = client.get_transport()
    return str(transport.hostname) if transport and transport.hostname else "The box"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@contextmanager
def limited(channel: Channel, seconds: float | None) -> Iterator[None]:
    """Close a channel after so long: whoever waits for it, in whatever step, is woken.

    Raises:
        TimeoutError: it was closed.
    """
    from paramiko import SSHException

    # paramiko's own limit is on reading alone, and a sick machine may never begin the program
    expired = Event()

    def end() -> None:
        expired.set()  # first: the close wakes whoever asks for it
        channel.close()

    timer = Timer(seconds or 0, end)
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        yield
    except (SSHException, EOFError, OSError) as error:
        if expired.is_set():
            raise TimeoutError(f"no answer within {seconds:.0f} s") from error
        raise
    finally:
        timer.cancel()
