"""ssh by paramiko: connect to a machine, wait for it, run programs there, all with time limits.

Interactive work and bulk copies use the system's ssh instead. Both use the same key and accept only
known host keys.
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


# Between two attempts to reach a machine that is booting.
PAUSE_SECONDS = 2.0


class Unreachable(DlError):
    """Nothing answers, or the connection was lost; another attempt may work."""


class NoEntry(DlError):
    """The machine answers, but does not accept our key."""


def connect(host: Host, seconds: float = CONNECT_SECONDS) -> SSHClient:
    """A client that is logged in; the caller closes it.

    Raises:
        Unreachable: nothing answers.
        NoEntry: our key is not accepted.
        DlError: no host key is known, or it differs, or our own key cannot be read.
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
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; others wait for 15 minutes
                milliseconds = 1000 * ALIVE_SECONDS * ALIVE_TIMES
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
            client.connect(
                host.alias,  # the host key is looked up by this name and port 22
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
            transport.hostname = host.called  # only for messages: paramiko no longer uses it
            transport.set_keepalive(ALIVE_SECONDS)
    except BaseException:
        client.close()
        raise
    return client


def wait_for_ssh(host: Host, seconds: float) -> None:
    """Wait until a machine accepts a connection.

    Raises:
        Unreachable: nothing answers within that time.
        NoEntry: our key is not accepted within that time. At the first boot sshd answers before
            the key is in place.
        DlError: as `connect`.
    """
    patience = Patience(f"{host.called} to accept a connection", seconds)
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
    """A machine after a lost connection, as soon as it can be reached again.

    Args:
        reach: finds and reaches it; raises `Unreachable` while it cannot.

    Raises:
        Unreachable: it could not be reached in time.
        DlError: it no longer accepts us.
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
    """Run a program on the machine to its end.

    Args:
        argv: the program and its arguments; any characters and bytes are allowed.
        seconds: time limit; None for none.

    Returns:
        exit code, stdout and stderr; bytes that are not UTF-8 as surrogates.

    Raises:
        Unreachable: the connection was lost, or the time is over.
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
                # a program may end without reading all its input
                with suppress(OSError):
                    channel.sendall(stdin)
                channel.shutdown_write()

            # in one thread, each could wait forever for the other's full buffer
            fed = pool.submit(feed)
            errors = pool.submit(channel.makefile_stderr("rb").read)
            try:
                out = channel.makefile("rb").read()
            except BaseException:  # Ctrl-C: else the pool waits for the other two threads
                channel.close()
                raise
            fed.result()
            err = errors.result()
            code = channel.recv_exit_status()
            if code == -1:
                raise EOFError
    return code, _text(out), _text(err)


def home_of(client: SSHClient) -> str:
    """The absolute path of the home folder on the machine."""
    _, out, _ = run(client, ["sh", "-c", 'printf %s "$HOME"'])
    if not out.startswith("/"):
        raise DlError(
            f"{_peer(client)} has no home folder",
            why=f"HOME is {out!r} there",
            hint="Log in and set it.",
        )
    return out


def add_key(client: SSHClient, public: str) -> None:
    """Add a public key to the machine's authorized keys, unless it is among them."""
    script = (
        "umask 077; mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys && "
        'grep -qF "$1" ~/.ssh/authorized_keys || printf "%s\\n" "$1" >> ~/.ssh/authorized_keys'
    )
    code, _, err = run(client, ["sh", "-c", script, "sh", public])
    if code:
        raise DlError(f"The key cannot be added on {_peer(client)}", why=err.strip())


@contextmanager
def explained(host: Host | str) -> Iterator[None]:
    """Turn the errors of a connection within the block into a `DlError`.

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
            f"The host key of {where} has changed",
            why=f"expected {fingerprint_of(error.expected_key.asbytes())}, "
            f"received {fingerprint_of(error.key.asbytes())}",
            hint=how_to_forget(host),
        ) from error
    except AuthenticationException as error:
        assert isinstance(host, Host)  # only `connect` logs in
        raise NoEntry(
            f"{where} does not let {host.user} in",
            why=f"it does not accept the key {shown(host.key)}",
            hint="A box accepts the key of the computer that made it: copy "
            f"{shown(host.key)} from there.",
        ) from error
    except (SSHException, EOFError, OSError) as error:
        raise Unreachable(
            f"{where} cannot be reached",
            why=_reason(error),
            hint=f"Check with `dl aws ls{listed}` that it runs, then try again.",
        ) from error


def _require_known(host: Host) -> None:
    if not known(host.alias):
        raise DlError(
            f"The host key of {host.called} is not known",
            why="without this key, `dl` can't tell the box from another machine",
            hint="The box shows the key on its console some minutes after its first start. Try "
            "again then, or accept the key unverified: "
            f"`dl aws ssh{host.options} --trust-host-key`.",
        )


def _load_key(path: Path) -> PKey:
    """The private key in a file; one with a passphrase comes from the ssh agent.

    Raises:
        DlError: it has a passphrase, and no agent holds it.
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
            f"The key {shown(path)} cannot be opened",
            why="it has a passphrase, and no ssh agent holds it",
            hint=f"Run `ssh-add {quoted(path)}`, then try again.",
        ) from error


def _reason(error: BaseException) -> str:
    text = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    return text[:1].lower() + text[1:] or "the connection was lost"


def _peer(client: SSHClient) -> str:
    transport = client.get_transport()
    return str(transport.hostname) if transport and transport.hostname else "The box"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@contextmanager
def limited(channel: Channel, seconds: float | None) -> Iterator[None]:
    """Close a channel after a time limit, which ends any wait for it.

    Raises:
        TimeoutError: it was closed.
    """
    from paramiko import SSHException

    # paramiko limits only reads, but a failing machine may never start the program
    expired = Event()

    def end() -> None:
        expired.set()  # before the close, which wakes the thread that reads it
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
