"""Move and copy users' files safely; no other module of `dl` does.

plan -> journal -> apply -> done. No file is replaced: a name clash is an error before anything
moves. An operation that was killed at any step can be finished, `finish`, or taken back, `undo`;
`data/pending` says where that needs a question first.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlcli import words
from dlcli.data.journal import (
    FOLDER,
    Held,
    Journal,
    Move,
    Operation,
    folders_of,
    journals,
    rewrite,
    unfinished,
    write_journal,
)
from dlcli.data.pending import Named, require_certain
from dlcli.errors import DlError
from dlcli.files.atomic import require_room, sync_folder
from dlcli.files.paths import quoted, shown
from dlcli.files.transfer import (
    PARTIAL,
    Folders,
    copy_file,
    is_spare,
    link_file,
    link_text,
    move_back,
    move_file,
    remove_copy,
    remove_link,
    sweep,
    sync_file,
)
from dlcli.images.formats import fault_of
from dlcli.progress import Bar, track

_TRANSFER: dict[str, Callable[[Any, Any], bool]] = {
    "move": move_file,
    "copy": copy_file,
    "link": link_file,
}


@dataclass(frozen=True)
class Outcome:
    """What came of an operation.

    Args:
        operation: what was done or taken back.
        undone: whether it was taken back.
        missing: files that somebody removed before they could move.
        kept: copies that an undo left in place, because they or their originals were changed.
    """

    operation: Operation
    undone: bool
    missing: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Which files it left out, and why, in a sentence for each reason."""
        return [
            f"Warning, {why}: {words.first_of([*map(shown, paths)])}."
            for paths, why in (
                (self.missing, "gone before the move"),
                (self.kept, "kept, because the copy or its original was changed or removed"),
            )
            if paths
        ]

    @property
    def files(self) -> int:
        """How many were moved, copied or taken back."""
        return len(self.operation.moves) - len(self.missing) - len(self.kept)


def carry_out(held: Held, operation: Operation, becomes: Path | None = None) -> Outcome:
    """Check a plan, write its journal, and carry it out.

    Args:
        held: the operation's root.
        operation: the plan.
        becomes: the path that the root will be renamed to; None if it keeps its own.

    Raises:
        DlError: before anything moves: a clash, no permission or no space. Later: why it stopped;
            it can then be finished or taken back.
    """
    _require_free(operation.root, [move.target for move in operation.moves])
    if operation.kind == "move":
        _require_own_folders(operation)
        operation = replace(operation, links=_links_among(operation))
    _require_writable(operation)
    _require_no_partial(operation)
    place = becomes or operation.root
    if operation.kind == "copy":
        _require_space(operation, place)
    folders = folders_of(move.target for move in operation.moves)
    made = [folder for folder in folders if not (operation.root / folder).exists()]
    if held.is_ours:
        made.insert(0, "")
    try:
        journal = write_journal(replace(operation, made=tuple(made)), becomes)
    except OSError as error:
        raise DlError(
            f"Can't write the journal of `{operation.name}` in {shown(place / FOLDER)}",
            why=error.strerror or str(error),
            hint="Nothing was moved. Mend that, then run the same command again.",
        ) from error
    return _forward(journal, journal.read(), becomes)


def _nothing(operation: Operation) -> None:
    pass


def finish(
    held: Held, named: Named | None = None, prepare: Callable[[Operation], None] = _nothing
) -> Outcome | None:
    """Finish an operation that was killed; None where there is none.

    Args:
        held: its root.
        named: what the user asks for in this command.
        prepare: makes what an undo needs, once nothing else is in its way.

    Raises:
        DoubtfulError: it needs a question first.
        DlError: why it stopped again.
    """
    journal = unfinished(held.root)
    if journal is None:
        return None
    operation, back = journal.read(), journal.state == "undoing"
    require_certain(journal, operation, back=back, named=named)
    if back:
        _require_undoable(journal, operation)
        prepare(operation)
        return _back(held, journal, operation)
    if operation.kind == "copy":
        _require_own_sources(journal, operation)
    return _forward(journal, operation)


def undo(held: Held, prepare: Callable[[Operation], None] = _nothing) -> Outcome:
    """Take back the last operation, finished or not.

    Args:
        held: its root.
        prepare: makes what it needs, once no link and no doubt is in its way.

    Raises:
        DoubtfulError: it needs a question first.
        DlError: there is none; new files are where the old ones would go; or why it stopped, in
            which case it can be called again.
    """
    journal = last(held.root)
    operation = journal.read()
    require_certain(journal, operation, back=True)
    _require_undoable(journal, operation)
    prepare(operation)
    if journal.state == "done":
        _require_no_partial(operation)
        if operation.kind == "move":
            _require_free(operation.source, [move.source for move in operation.moves])
        elif operation.kind == "copy":
            _require_originals(operation)
    return _back(held, journal, operation)


def last(root: Path) -> Journal:
    """The journal of the operation that `undo` would take back.

    Raises:
        DlError: there is none.
    """
    found = journals(root)
    if not found:
        raise DlError(
            f"Nothing to undo in {shown(root)}",
            why="no command moved or copied files there, or all of it was taken back",
        )
    return found[-1]


def _forward(journal: Journal, operation: Operation, becomes: Path | None = None) -> Outcome:
    _require_no_links(journal, operation)
    transfer = _TRANSFER[operation.kind]
    missing = []
    with _resumable(operation, "finishes", becomes) as bar:
        for folder in filter(None, operation.made):
            (operation.root / folder).mkdir(exist_ok=True)
        for move, source, target in _places(operation):
            if not transfer(source, target):
                missing.append(move.source)
            bar.advance()
        if operation.kind == "move":
            _remove_empty(operation.source, folders_of(m.source for m in operation.moves))
        _settle(operation)
        journal.renamed("done")
    return Outcome(operation, undone=False, missing=tuple(missing))


def _back(held: Held, journal: Journal, operation: Operation) -> Outcome:
    missing, kept = [], []
    with _resumable(operation, "goes on undoing") as bar:
        if operation.kind == "move":
            for folder in ["", *folders_of(m.source for m in operation.moves)]:
                (operation.source / folder).mkdir(parents=True, exist_ok=True)
        if journal.state != "undoing":
            # it goes on without a question, although the dataset was renamed or its source removed
            rewrite(journal, operation)
            journal = journal.renamed("undoing")
        for move, source, target in _places(operation):
            if operation.kind == "move":
                if not move_back(target, source, operation.links.get(move.source, "")):
                    missing.append(move.target)
            elif not (remove_copy if operation.kind == "copy" else remove_link)(target, source):
                kept.append(move.target)
            bar.advance()
        _settle(operation)
        _remove_empty(operation.root, [folder for folder in operation.made if folder])
        held.is_ours = held.is_ours or "" in operation.made
        journal.path.unlink()
    return Outcome(operation, undone=True, missing=tuple(missing), kept=tuple(kept))


def _places(operation: Operation) -> Iterator[tuple[Move, Any, Any]]:
    """Each move with its source and target: places in open folders for files that move, else paths.

    The folders were no links before the first move, and may be exchanged for some meanwhile.
    """
    if operation.kind != "move":
        for move in operation.moves:
            yield move, f"{operation.source}/{move.source}", f"{operation.root}/{move.target}"
        return
    with Folders(str(operation.source)) as sources, Folders(str(operation.root)) as targets:
        for move in operation.moves:
            yield move, sources.spot(move.source), targets.spot(move.target)


@contextmanager
def _resumable(operation: Operation, goes_on: str, becomes: Path | None = None) -> Iterator[Bar]:
    """Show a progress bar and, if the block stops, say how to go on and that nothing is lost.

    Args:
        goes_on: what the next command does with it: "finishes".
        becomes: the path that its root would get; the root itself is removed if the block stops.
    """
    root, total = shown(operation.root), len(operation.moves)
    next_call = f"the next command that changes {root} {goes_on} it, `dl data undo` takes it back."
    safe, what = "Nothing is lost.", next_call
    if becomes:
        safe, what = f"{shown(becomes)} is as it was.", "run the same command again."
    # thousands of files move within a second, which is no time to read a bar
    copies = operation.kind == "copy"
    progress = track(f"{operation.name}:", total, "files") if copies else nullcontext(Bar())
    with progress as bar:
        try:
            yield bar
        except KeyboardInterrupt:
            stopped = f"Stopped after {bar.done:,} of {total:,} files"
            bar.say(f"{stopped}. {safe} To go on, {what}" if becomes else f"{stopped}: {what}")
            raise
        except OSError as error:
            at = os.fspath(error.filename or operation.root)
            if becomes:
                at = at.replace(str(operation.root), str(becomes))
            raise DlError(
                f"`{operation.name}` stopped after {bar.done:,} of {total:,} files",
                why=f"{error.strerror or error}, at {shown(at)}",
                hint=f"{safe} Once that is mended, {what}",
            ) from error


def _changed_by(operation: Operation) -> set[Path]:
    """The folders that an operation may change, as far as they are there."""
    folders = {operation.root}
    folders |= {operation.root / name for name in folders_of(m.target for m in operation.moves)}
    if operation.kind == "move":
        names = folders_of(move.source for move in operation.moves)
        folders |= {operation.source, *(operation.source / name for name in names)}
    return {folder for folder in folders if folder.is_dir()}


def _copied_into(operation: Operation, folders: set[Path]) -> set[Path]:
    """Those of an operation's folders in which copies may grow.

    A move within a disk copies nothing, so that a file called `PARTIAL` is the user's.
    """
    copies = operation.kind == "copy" or len({folder.stat().st_dev for folder in folders}) > 1
    return folders if copies else set()


def _require_no_partial(operation: Operation) -> None:
    """Refuse to begin where a file of the user has the name under which a copy grows."""
    for folder in _copied_into(operation, _changed_by(operation)):
        if os.path.lexists(folder / PARTIAL):
            raise DlError(
                f"{shown(folder / PARTIAL)} is in the way",
                why="`dl` gives this name to a file that it copies, until the copy is whole",
                hint="Nothing was moved. Rename it or move it away.",
            )


def _settle(operation: Operation) -> None:
    """Clean up after killed copies, and wait until the result would survive a power cut."""
    folders = _changed_by(operation)
    for folder in _copied_into(operation, folders):
        sweep(str(folder))
    if operation.kind == "copy":
        # all at the end: the file system then writes them together, at the first sync
        for move in operation.moves:
            sync_file(f"{operation.root}/{move.target}")
    for folder in folders:
        sync_folder(folder)


def sweep_copies(operation: Operation) -> None:
    """Remove what a killed copy left in the dataset, but not behind a link."""
    if operation.kind == "copy" and not _linked(operation):
        for folder in _changed_by(operation):
            sweep(str(folder))


def _require_free(root: Path, paths: Sequence[str]) -> None:
    """Refuse a plan that would give a file a name that another file has."""
    wanted: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        wanted.setdefault(folder, []).append(name)
    clashes = []
    for folder, names in wanted.items():
        try:
            with os.scandir(root / folder) as entries:
                taken = {entry.name for entry in entries}
        except FileNotFoundError:
            taken = set()
        twice = [name for name, count in Counter(names).items() if count > 1]
        clashes += [root / folder / name for name in {*twice, *taken.intersection(names)}]
    if clashes:
        first = shown(min(clashes))
        more = f" and {len(clashes) - 1:,} more" if len(clashes) > 1 else ""
        raise DlError(
            f"{first}{more} would be overwritten",
            why="another file has that name",
            hint="Nothing was moved. Rename one of the two, or move it away.",
        )


def _require_own_folders(operation: Operation) -> None:
    """Refuse to move files out of a folder, or into one, that is a link to another place.

    What it points to may be a pool of images for several datasets.
    """
    if linked := _linked(operation):
        source = operation.source
        links = source.with_name(f"{source.name}-links")
        raise DlError(
            f"{shown(linked[0])} is a link to {shown(linked[0].resolve())}",
            why=f"`{operation.name}` would move images out of that folder or into it",
            hint="Make a dataset of links to the images, and use that one: "
            f"`dl data organize {quoted(source)} {quoted(links)} --link`.",
        )


def _require_no_links(journal: Journal, operation: Operation) -> None:
    """Refuse to go on through a folder that has become a link: it leads to files of others."""
    if linked := _linked(operation):
        raise DlError(
            f"{shown(linked[0])} is a link to {shown(linked[0].readlink())}",
            why=f"`{operation.name}` and its undo move no files through a link",
            hint="Nothing was moved now. Put the folder back in place of the link."
            + _or_drop(journal),
        )


def _require_own_sources(journal: Journal, operation: Operation) -> None:
    """Refuse to copy what a link brings from elsewhere, such as a key, unless it is an image.

    An image may lie on another disk; any other file may be one that its reader must not give away.
    """
    folder = os.path.join(os.path.realpath(operation.source), "")
    for move in operation.moves:
        original = os.path.join(operation.source, move.source)
        real = os.path.realpath(original)
        if not real.startswith(folder) and Path(real).exists() and fault_of(real):
            raise DlError(
                f"{shown(original)} is not copied",
                why=f"a link leads to {shown(real)}, which is not an image",
                hint="Nothing was copied now. Put the file itself in place of the link."
                + _or_drop(journal),
            )


def _linked(operation: Operation) -> list[Path]:
    """The links among the folders that files move into and out of; copies only read theirs."""
    targets = folders_of(move.target for move in operation.moves)
    folders = [operation.root / name for name in targets]
    if operation.kind == "move":
        sources = folders_of(move.source for move in operation.moves)
        folders += [operation.source / name for name in sources]
    return [folder for folder in folders if folder.is_symlink()]


def _links_among(operation: Operation) -> dict[str, str]:
    """The text of each symbolic link among the files, by its source."""
    root = f"{operation.source}/"
    texts = ((move.source, link_text(root + move.source)) for move in operation.moves)
    return {source: text for source, text in texts if text}


def _require_writable(operation: Operation) -> None:
    """Refuse a plan that the folders' permissions don't allow."""
    folders = [operation.root / name for name in folders_of(m.target for m in operation.moves)]
    if operation.kind == "move":
        folders += [
            operation.source / name for name in folders_of(m.source for m in operation.moves)
        ]
    for folder in folders:
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise DlError(
                f"Can't write in {shown(folder)}",
                why="permission denied",
                hint="Nothing was moved. Change its permissions, or run as its owner.",
            )


def _require_space(operation: Operation, place: Path) -> None:
    """Refuse to copy more bytes than are free on the disk."""
    sizes = []
    for move in operation.moves:
        with suppress(FileNotFoundError):
            sizes.append(os.stat(f"{operation.source}/{move.source}").st_size)
    require_room(
        operation.root,
        sizes,
        f"for the copies in {shown(place)}",
        "Nothing was copied. Free some space, or name a folder on another disk.",
    )


def _or_drop(journal: Journal) -> str:
    """How to forget an operation instead, as a sentence; "" for a finished one."""
    if journal.state == "done":
        return ""
    return f" Or `dl data undo {quoted(journal.root)} --drop` leaves all files where they are."


def _require_undoable(journal: Journal, operation: Operation) -> None:
    """Refuse an undo through a link, and one of copies whose originals are in the same dataset."""
    _require_no_links(journal, operation)
    if operation.kind != "copy":
        return
    goal = os.path.join(os.path.realpath(operation.root), "")
    originals = (os.path.join(operation.source, move.source) for move in operation.moves)
    if any(os.path.realpath(original).startswith(goal) for original in originals):
        raise DlError(
            f"Nothing was undone in {shown(operation.root)}",
            why="its images are their own originals, so they may be the only copies",
            hint="If you don't need them, remove that folder yourself." + _or_drop(journal),
        )


def _require_originals(operation: Operation) -> None:
    """Refuse to remove copies if all of their originals are gone or changed."""
    pairs = [(operation.root / m.target, operation.source / m.source) for m in operation.moves]
    copies = [(str(copy), str(original)) for copy, original in pairs if copy.exists()]
    if copies and not any(is_spare(copy, original) for copy, original in copies):
        raise DlError(
            f"Nothing was undone in {shown(operation.root)}",
            why=f"the originals in {shown(operation.source)} are gone or changed, so the images "
            f"in {shown(operation.root)} may be the only copies",
            hint="If you don't need them, remove that folder yourself.",
        )


def _remove_empty(root: Path, folders: Sequence[str]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):  # not empty, or already gone
            (root / folder).rmdir()
