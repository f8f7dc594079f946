"""Copy files by SFTP, without rsync; each file resumes where it stopped.

A file is written under a temporary name in a separate folder, and renamed when complete. Downloads
use a plain stream, because paramiko's SFTP reads in threads that outlive a lost connection.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.aws.copy.plan import PARTIAL, Direction, Entry
from dlcli.aws.ssh import Unreachable, run
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.words import printable

if TYPE_CHECKING:
    from paramiko import SFTPClient, SSHClient

CHUNK_BYTES = 1 << 18


def copy_once(
    client: SSHClient,
    direction: Direction,
    here: Path,
    there: str,
    files: Mapping[str, Entry],
    progress: Callable[[int], None],
) -> None:
    """Copy files, from where an earlier attempt stopped.

    Args:
        here, there: the folders, absolute; missing ones are made.
        files: name relative to both folders -> file as the source lists it.
        progress: called with the number of bytes done.

    Raises:
        Unreachable: the connection was lost; call it again with the remaining files.
        DlError: a file cannot be read or written.
    """
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done)

    with _explained(client), client.open_sftp() as sftp:
        aside = here / PARTIAL if direction == "get" else Path(there) / PARTIAL
        folders = sorted({*(os.path.dirname(name) for name in files), PARTIAL})
        _make_folders(client, direction, here, there, folders)
        for name, entry in files.items():
            partial = aside / _partial_name(name, entry)
            if direction == "put":
                _put(client, sftp, here / name, f"{there}/{name}", entry, partial, count)
            else:
                _get(client, sftp, here / name, f"{there}/{name}", entry, partial, count)
        with suppress(OSError):  # another copy may have files there
            sftp.rmdir(_bytes(aside)) if direction == "put" else aside.rmdir()


def _put(
    client: SSHClient,
    sftp: SFTPClient,
    here: Path,
    there: str,
    entry: Entry,
    partial: Path,
    count: Callable[[int], None],
) -> None:
    unfinished = _bytes(partial)
    if entry.link is not None:
        with suppress(FileNotFoundError):
            sftp.remove(unfinished)
        sftp.symlink(_bytes(entry.link), unfinished)
    else:
        with here.open("rb") as source:
            offset = _size_there(sftp, unfinished)
            if offset > entry.size:
                offset = 0
            source.seek(offset)
            count(offset)
            target = sftp.open(unfinished, "r+b" if offset else "wb")
            with _hung_up_on_error(client):
                target.set_pipelined(True)
                target.seek(offset)
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    count(len(chunk))
                target.close()
            status = os.fstat(source.fileno())
        _require_whole(sftp.stat(unfinished).st_size, status.st_size, here)
        sftp.utime(unfinished, (status.st_atime, status.st_mtime))
        if status.st_mode & stat.S_IXUSR:
            sftp.chmod(unfinished, 0o755)
    sftp.posix_rename(unfinished, _bytes(there))


def _get(
    client: SSHClient,
    sftp: SFTPClient,
    here: Path,
    there: str,
    entry: Entry,
    partial: Path,
    count: Callable[[int], None],
) -> None:
    if entry.link is not None:
        partial.unlink(missing_ok=True)
        partial.symlink_to(entry.link)
    else:
        status = sftp.stat(_bytes(there))
        with partial.open("ab") as target:
            if target.tell() > entry.size:
                target.truncate(0)
                target.seek(0)
            count(target.tell())
            for chunk in _stream(client, there, target.tell()):
                target.write(chunk)
                count(len(chunk))
        _require_whole(partial.stat().st_size, status.st_size, here)
        os.utime(partial, (status.st_atime or 0, status.st_mtime or 0))
        if (status.st_mode or 0) & stat.S_IXUSR:
            partial.chmod(partial.stat().st_mode | 0o111 & ~_umask())
    os.replace(partial, here)


def _stream(client: SSHClient, path: str, offset: int) -> Iterator[bytes]:
    """The bytes of a file on the machine, from an offset on.

    Raises:
        EOFError: the connection was lost.
        DlError: the file cannot be read.
    """
    transport = client.get_transport()
    if transport is None:
        raise EOFError
    with transport.open_session() as channel:
        channel.exec_command(_bytes(f"tail -c +{offset + 1} {shlex.quote(path)}"))
        while chunk := channel.recv(CHUNK_BYTES):
            yield chunk
        code = channel.recv_exit_status()
        if code == -1:
            raise EOFError
        if code:
            said = channel.recv_stderr(CHUNK_BYTES).decode("utf-8", "replace")
            raise DlError("Some files were not copied", why=printable(said.strip()))


def remaining(files: Mapping[str, Entry], present: Mapping[str, Entry]) -> dict[str, Entry]:
    """The files that the destination does not have yet.

    Args:
        present: the listing of the destination.
    """
    return {
        name: entry
        for name, entry in files.items()
        if (there := present.get(name)) is None
        or (there.link, there.size, int(there.modified))
        != (entry.link, entry.size, int(entry.modified))
    }


def _make_folders(
    client: SSHClient, direction: Direction, here: Path, there: str, names: Sequence[str]
) -> None:
    if direction == "get":
        for name in names:
            (here / name).mkdir(parents=True, exist_ok=True)
        return
    folders = b"".join(_bytes(f"{there}/{name}") + b"\0" for name in names)
    code, _, err = run(client, ["xargs", "-0", "mkdir", "-p", "--"], stdin=folders)
    if code:
        raise DlError("Folders cannot be made on the box", why=err.strip().partition("\n")[0])


def _partial_name(name: str, entry: Entry) -> str:
    """The temporary name of a file; a changed file gets another, for the parts would not fit."""
    told = f"{name}\0{entry.size}\0{int(entry.modified)}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _size_there(sftp: SFTPClient, path: bytes) -> int:
    try:
        return sftp.stat(path).st_size or 0
    except FileNotFoundError:
        return 0


def _require_whole(arrived: int | None, size: int | None, here: Path) -> None:
    if arrived != size:
        raise DlError(
            f"{shown(here)} changed while it was copied",
            why=f"it has {size:,} bytes, but {arrived:,} arrived",
            hint="Run the same command again.",
        )


@contextmanager
def _hung_up_on_error(client: SSHClient) -> Iterator[None]:
    """Close the connection on any error and Ctrl-C, because closing a file may wait forever."""
    try:
        yield
    except BaseException:
        client.close()
        raise


@contextmanager
def _explained(client: SSHClient) -> Iterator[None]:
    """Turn the errors of SFTP into a `DlError`.

    Raises:
        Unreachable, DlError: see `copy_once`.
    """
    from paramiko import SSHException

    try:
        yield
    except (SSHException, EOFError, OSError) as error:
        if not isinstance(error, OSError) or not _is_up(client) or "closed" in str(error):
            raise Unreachable(
                "The connection was lost",
                why="the other side closed it",
                hint="Run the same command again: it continues.",
            ) from error
        if isinstance(error, OSError) and error.filename is not None:
            raise  # a file of this computer
        raise DlError(
            "Some files were not copied",
            why=f"the other side says: {error}",
            hint="Check the free space there (`df -h`), and that you may write there.",
        ) from error


def _is_up(client: SSHClient) -> bool:
    transport = client.get_transport()
    return transport is not None and transport.is_active()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _bytes(path: Path | str) -> bytes:
    """A path as the bytes on disk."""
    return os.fsencode(path)
