"""Make a dataset of a download, as `dl data organize` does."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dlcli.data.dataset import FEATURES, SETTINGS
from dlcli.data.journal import Operation, journals, made_of, unfinished
from dlcli.data.moves import Outcome, carry_out
from dlcli.data.operations import working_in
from dlcli.data.pending import Named
from dlcli.data.photos.folders import read_folder
from dlcli.data.photos.organize.foreign import split_off_foreign
from dlcli.data.photos.organize.labels import NOTHING_NAMED, Naming
from dlcli.data.photos.organize.layout import read_layout
from dlcli.data.photos.organize.names import require_distinct
from dlcli.data.photos.organize.plan import plan_organize, require_folder, sort_by_hand
from dlcli.data.photos.organize.staging import (
    Download,
    clear_after,
    discard,
    download_of,
    drawn_in,
    hollow,
    is_staged_in,
    left_packed,
    require_whole,
    stage,
    staging_folder,
    sweep_staged,
)
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import quoted, shown
from dlcli.images.formats import left_out

_ANOTHER_NAME = "Name another folder, one that is empty or does not exist yet."


@dataclass(frozen=True)
class OrganizeOptions:
    """How a dataset is made.

    Args:
        kind: "copy", "move" or "link" the files of a folder.
        naming: where the labels are, as far as the user says it.
        flatten: take images from subfolders of class folders, too.
    """

    kind: Literal["copy", "move", "link"] = "copy"
    naming: Naming = NOTHING_NAMED
    flatten: bool = False


DEFAULTS = OrganizeOptions()


def organize(source: Path, target: Path, options: OrganizeOptions = DEFAULTS) -> Outcome | None:
    """Turn a download into a dataset.

    Args:
        source: the folder to read, or an archive (zip, tar), which is never changed.
        target: the dataset's folder. If it is `source` itself, the files move in place; else they
            are copied or unpacked, and `source` stays as it is.

    Returns:
        what was done; `notes_of` it are for the user. None where it was already done before.

    Raises:
        DlError: there is nothing to organise, or something is in the way.
    """
    _require_paths(source, target)
    named = Named(source, options.kind)
    with working_in(target, "organize", named) as (held, finished):
        download = _download(source, target, options)
        if finished and _is_made_of(finished.operation, source, download):
            return finished
        if not _is_to_do(source, target, download):
            if download:  # an earlier call may have been killed before this, its last step
                discard(staging_folder(download, target))
            return None
        if download is None:
            operation = _operation(source, source, target, options)
            return carry_out(held, operation) if operation else None
        is_new = stage(download, target)
        folder = staging_folder(download, target)
        try:
            operation = _staged(download, folder, target, options)
            outcome = carry_out(held, operation)
        except BaseException:
            if is_new and not unfinished(target):  # else its files are still being moved
                discard(folder)
            raise
        discard(folder)
        return outcome


def to_organize(
    source: Path, target: Path, options: OrganizeOptions = DEFAULTS
) -> Operation | None:
    """The operation that `organize` would carry out; None where nothing is to be done."""
    _require_paths(source, target)
    download = _download(source, target, options)
    if not _is_to_do(source, target, download):
        return None
    if download is None:
        return _operation(source, source, target, options)
    folder = staging_folder(download, target)
    if is_staged_in(folder):
        require_whole(folder, target)
        return _staged(download, folder, target, options)
    with hollow(download) as names:
        return _staged(download, names, target, options)


def require_target(source: Path, target: Path, hint: str = _ANOTHER_NAME) -> None:
    """Refuse a folder that is in use, unless it is being made of this same source.

    Args:
        hint: how to name another.

    Raises:
        DlError: it is a file, or holds something.
    """
    _require_no_file(target, hint)
    begun = unfinished(target)
    if begun and made_of(begun.read_header()) == source:
        return
    if begun or (target.exists() and not _is_free(target)):
        raise DlError(
            f"{shown(target)} is not empty",
            why="a new dataset needs an empty folder",
            hint=hint,
        )


def settle_made(root: Path) -> None:
    """Finish what was killed in a dataset, and remove what was left beside it."""
    with working_in(root, "get"):
        for journal in journals(root):
            clear_after(journal.read_header())
        sweep_staged(root)


def notes_of(operation: Operation) -> tuple[str, ...]:
    """What an organize decided for the user, a sentence each."""
    return tuple(operation.details.get("notes", ()))


def is_staged(operation: Operation) -> bool:
    """Whether an operation's files were first unpacked, or drawn from a CSV of pixels."""
    return "source" in operation.details


def packed_in(root: Path) -> str:
    """A sentence on archives in a dataset that `dl` did not organise; "" where there are none."""
    made = any(journal.name == "organize" for journal in journals(root))
    return "" if made else left_packed(root, None)  # else it was said then


def new_since(source: Path, target: Path) -> tuple[str, ...]:
    """The files that were added to a source after a dataset was made from it.

    Empty where the source can't be organised any more: the dataset doesn't need it.
    """
    made = [journal.read() for journal in journals(target) if journal.name == "organize"]
    if source == target or not made or made[-1].kind == "move":
        return ()
    known = {move.source for operation in made for move in operation.moves}
    details = made[-1].details
    try:
        naming, flatten = Naming(**details.get("naming", {})), details.get("flatten", False)
        plan = plan_organize(source, target, naming, flatten=flatten)
    except DlError:
        return ()
    moves, _ = split_off_foreign(source, plan.moves)
    return tuple(move.source for move in moves if move.source not in known)


def _require_paths(source: Path, target: Path) -> None:
    """Refuse a source that is not a folder or archive, or a target that is not a folder.

    Raises:
        DlError: which of the two, and why.
    """
    if not source.is_file() or download_of(source) is None:
        require_folder(source)
    _require_no_file(target)


def _require_no_file(target: Path, hint: str = _ANOTHER_NAME) -> None:
    if target.is_file():
        raise DlError(f"{shown(target)} is a file", why="a dataset is a folder", hint=hint)


def _download(source: Path, target: Path, options: OrganizeOptions) -> Download | None:
    """What has to be unpacked or drawn first; None where nothing has to.

    Raises:
        DlError: its files are to be moved or linked, but the source is never changed.
    """
    download = download_of(source)
    if download and _is_in_place(source, target) and _has_images(source):
        return None  # the folder is a dataset, whatever archives are in it
    if options.kind == "link" and _is_in_place(source, target):
        raise DlError(
            f"{shown(target)} can't be made of links to itself",
            hint="Name a new folder for the dataset: `dl data organize "
            f"{quoted(source)} DEST --link`.",
            exit_code=ExitCode.USAGE,
        )
    if download and options.kind != "copy":
        what = "an archive" if source.is_file() else f"made of {shown(download.packed[0].name)}"
        raise DlError(
            f"`--{options.kind}` only {options.kind}s the files of a folder",
            why=f"{shown(source)} is {what}, which stays as it is",
            hint=f"Leave out `--{options.kind}`"
            + (", and remove it yourself afterwards." if options.kind == "move" else "."),
            exit_code=ExitCode.USAGE,
        )
    return download


def _is_to_do(source: Path, target: Path, download: Download | None) -> bool:
    """Whether anything is to be done, by what the journals say.

    Raises:
        DlError: the target can't be used for this source.
    """
    made = [journal.read_header() for journal in journals(target)]
    if _is_in_place(source, target):
        return download is None or not any(_is_made_of(each, source, download) for each in made)
    if any(_is_made_of(each, source, download) for each in made):
        return False
    if any(is_staged(each) and made_of(each) == source for each in made):
        raise DlError(
            f"{shown(target)} was made from an earlier state of {shown(source)}",
            why="the source has changed since",
            hint=f"Take the earlier `organize` back, `dl data undo {quoted(target)}`, or name "
            "another folder for the dataset.",
        )
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(source)):
        raise DlError(
            f"{shown(target)} is inside {shown(source)}",
            why="a dataset can't be made inside its own source",
            hint="Name a folder elsewhere, or organise it in place: "
            f"`dl data organize {quoted(source)} {quoted(source)}`.",
        )
    require_target(source, target)
    return True


def _operation(
    source: Path,
    folder: Path,
    target: Path,
    options: OrganizeOptions,
    download: Download | None = None,
) -> Operation | None:
    """The plan for a folder; None where nothing in it has to move."""
    in_place = _is_in_place(source, target)
    goal = folder if in_place and folder == source else target
    plan = plan_organize(folder, goal, options.naming, flatten=options.flatten)
    moves = plan.moves
    if in_place and folder != source:  # the CSVs are in place already
        moves = tuple(move for move in moves if "/" in move.target)
    kind = options.kind if folder == source else "move"  # what was unpacked is moved
    not_copied: list[str] = []
    if kind == "copy" or folder != source:
        moves, not_copied = split_off_foreign(source, moves)
    if not moves:
        return None
    require_distinct(target, (move.target for move in moves))
    said: dict[str, Any] = {"flatten": True} if options.flatten else {}
    if options.naming.is_given:
        named = asdict(options.naming)
        said["naming"] = {key: value for key, value in named.items() if value is not None}
    drawn = drawn_in(folder) if folder != source else []
    notes = [*drawn, *plan.notes, *not_copied, *filter(None, [left_packed(source, download)])]
    if folder != source and source.is_dir():  # the files beside its archives
        others = [source / name for name in read_layout(source).others]
        notes += filter(None, [left_out(others)])
    origin = {"source": str(source), "stamp": download.stamp} if download else {}
    details = {"notes": notes, **said, **origin}
    if in_place and folder == source:
        return Operation("organize", "move", target, moves, details=details)
    return Operation("organize", kind, target, moves, origin=folder, details=details)


def _staged(download: Download, folder: Path, target: Path, options: OrganizeOptions) -> Operation:
    """The plan for a folder that was unpacked or drawn, or that holds the names alone."""
    try:
        operation = _operation(download.source, folder, target, options, download)
    except DlError as error:
        raise _in_words_of(download, folder, error) from error
    assert operation is not None, "its train/ moves"
    return operation


def _in_words_of(download: Download, folder: Path, error: DlError) -> DlError:
    """An error about a temporary folder, reworded to name the download instead."""
    source = download.source
    hint = error.hint.replace(sort_by_hand(folder), sort_by_hand(source))
    said = [
        text.replace(shown(folder), shown(source)).replace(str(folder), str(source))
        for text in (error.what, error.why, hint)
    ]
    return DlError(said[0], why=said[1], hint=said[2], exit_code=error.exit_code)


def _is_in_place(source: Path, target: Path) -> bool:
    return os.path.realpath(source) == os.path.realpath(target)


def _has_images(source: Path) -> bool:
    return source.is_dir() and bool(read_layout(source).images["train"])


def _is_free(target: Path) -> bool:
    """Whether a folder is empty, or holds only what stays after an undo.

    These are its features and the settings that were written since.
    """
    listing = read_folder(target)
    here = {*listing.images, *listing.others, *listing.folders}
    return not here - {FEATURES, SETTINGS}


def _is_made_of(operation: Operation, source: Path, download: Download | None) -> bool:
    """Whether an operation made a dataset of exactly this source."""
    if operation.name != "organize" or made_of(operation) != source:
        return False
    return not is_staged(operation) or (
        download is not None and operation.details["stamp"] == download.stamp
    )
