"""What people download, brought into the form of a dataset: which file is to go where.

Planning reads folders and writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.folders import is_image, read_folder
from dlcli.data.journal import Move
from dlcli.data.organize.labels import NAMING, Labels, Naming, named_in, read_labels
from dlcli.data.organize.layout import Image, Layout, read_layout, split_of
from dlcli.data.organize.pixel_csv import fault_of_pixels
from dlcli.data.organize.tables import require_tables
from dlcli.errors import DlError
from dlcli.files.archives import without_suffix
from dlcli.files.paths import expanded, quoted, shown
from dlcli.words import count

AS_FOUND = Naming()


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Args:
        moves: from paths relative to what was downloaded to paths relative to the dataset.
        notes: what was decided on the user's behalf, a sentence each.
    """

    moves: tuple[Move, ...]
    notes: tuple[str, ...]


def plan_organize(source: Path, target: Path, naming: Naming = AS_FOUND) -> Plan:
    """Bring a folder as people download it into the form of a dataset.

    Flat files with their class in the name (`train/cat.12.jpg`) or in a CSV, class folders with or
    without a `train/` around them, `val/`, `validation/` and `test1/` are all understood, and so is
    a folder around it all. CSV files beside them (the sample submission) and `dataset.yaml` come
    along.

    Args:
        source: the folder to read.
        target: the dataset's folder to be; the same as `source` to organise it in place.
        naming: where the labels are, as far as somebody says it.

    Returns:
        the moves; none where a folder that is to be organised in place already is.

    Raises:
        DlError: no such folder, no images to learn from, or images whose class can't be told.
    """
    require_folder(source)
    layout = read_layout(source)
    if not layout.images["train"]:
        raise _nothing_to_learn_from(layout)
    learn, test, told = _told_apart(layout, naming)
    labels = _labels(layout, learn, test, naming)
    moves = []
    for split, images in learn.items():
        named = labels.of if labels else _labels_by_name(layout, images)
        moves += [Move(i.path, f"{split}/{named[i.path]}/{i.name}") for i in images]
    _require_told_apart(source, moves, labels)
    _require_classes_in_train(moves)
    for image in test:
        inner = f"{image.folder}/" if image.folder and image not in layout.images["train"] else ""
        moves.append(Move(image.path, f"test/{inner}{image.name}"))
    beside = [*layout.tables, *layout.settings]
    if labels and labels.file.is_relative_to(source):
        beside.append(str(labels.file.relative_to(source)))
    moves += [Move(name, name.rpartition("/")[2]) for name in dict.fromkeys(beside)]
    left = sorted(move for move in moves if source != target or move.source != move.target)
    return Plan(tuple(left), tuple(_notes(layout, told, labels)))


def require_folder(source: Path) -> None:
    """Refuse, before anything is made, to organise what is no folder.

    Raises:
        DlError: it is a file, or does not exist.
    """
    if not source.is_file():
        read_folder(source)
        return
    if not is_image(source.name) and not source.name.lower().endswith(".csv"):
        raise DlError(
            f"{shown(source)} is no archive, image or CSV",
            why="there is nothing to organise in it",
            hint="Name a folder of images, or a zip or tar archive of them.",
        )
    raise DlError(
        f"{shown(source)} is a file",
        why="a folder of images, or an archive of them, is needed",
        hint=f"Name the folder that it lies in: `dl data organize {quoted(source.parent)}`.",
    )


def _told_apart(
    layout: Layout, naming: Naming
) -> tuple[dict[str, tuple[Image, ...]], tuple[Image, ...], list[str]]:
    """The images to learn from, by split, those to predict, and what was decided.

    Where both lie in one folder, the sample submission or a test.csv names those to predict. What
    lies in the folder of a class has its label, whatever image of that name a table means.
    """
    train, valid, test = (layout.images[split] for split in ("train", "valid", "test"))
    learn = {"train": train, "valid": valid}
    if layout.has_train or test:
        return learn, test, []
    has_classes = not naming.is_given and len({image.folder for image in train} - {""}) > 1
    loose = [image.path for image in train if not (has_classes and image.folder)]
    files = [name for name in layout.tables if is_about_test(name.rpartition("/")[2])]
    named = {name: named_in(layout.source / name, loose) for name in files}
    to_predict = set[str]().union(*named.values())
    if not 0 < len(to_predict) < len(train):
        return learn, test, []
    said = [shown(name.rpartition("/")[2]) for name in files if named[name]]
    name = "names" if len(said) == 1 else "name"
    note = f"{len(to_predict):,} images that {' and '.join(said)} {name} are those to predict."
    test = tuple(image for image in train if image.path in to_predict)
    learn["train"] = tuple(image for image in train if image.path not in to_predict)
    return learn, test, [note]


def is_about_test(table: str) -> bool:
    """Whether a CSV is named as a sample submission or as test images' own."""
    return "submi" in table.lower() or split_of(Path(table).stem) == "test"


def _labels(
    layout: Layout,
    learn: dict[str, tuple[Image, ...]],
    test: Sequence[Image],
    naming: Naming,
) -> Labels | None:
    """The labels that a CSV holds, where those are wanted."""
    images = [image for images in learn.values() for image in images]
    folders = {image.folder for image in learn["train"]}
    if not naming.is_given and len(folders) > 1 and all(image.folder for image in images):
        return None  # folders per class
    files = _label_files(layout, naming)
    paths, elsewhere = [image.path for image in images], [image.path for image in test]
    classes = {image.folder or image.label for image in images}
    names_tell = len(classes) > 1 and "" not in classes
    try:
        labels = read_labels(files, paths, elsewhere, naming)
    except DlError:
        if naming.is_given or not names_tell:
            raise
        return None
    if not labels and not names_tell and not all(image.folder for image in images):
        require_tables(files)
    if labels and names_tell and not (labels.is_sure or naming.is_given):
        return None
    return labels


def _label_files(layout: Layout, naming: Naming) -> list[Path]:
    """The CSVs that may hold labels."""
    bases = sorted({image.base for image in layout.images["train"]})
    tables = [name for name in layout.tables if not is_about_test(name.rpartition("/")[2])]
    for base in bases if layout.has_train else ():
        inside = read_folder(layout.source / base).others
        tables += [f"{base}{name}" for name in inside if name.lower().endswith(".csv")]
    files = [layout.source / name for name in tables]
    if naming.file is None:
        return files
    typed_file = expanded(naming.file)
    here = [
        file
        for file in (layout.source / name for name in (*tables, *layout.tables))
        if str(file).endswith(f"/{naming.file}")
    ]
    if here and not typed_file.is_file():
        return here[:1]
    if not typed_file.is_file():
        raise DlError(
            f"No such file: {shown(naming.file)}",
            why="neither from the current folder nor in what is organised",
            hint="There are: " + ", ".join(shown(name) for name in layout.tables) + "."
            if layout.tables
            else "Check the path.",
        )
    return [Path(typed_file).absolute()]


def _labels_by_name(layout: Layout, images: Sequence[Image]) -> dict[str, str]:
    """Labels of images by the folder of the class that they lie in, else by their names."""
    labels = {image.path: image.folder or image.label for image in images}
    unknown = [image for image in images if not labels[image.path]]
    if not unknown:
        return labels
    flat = [image for image in images if not image.folder]
    raise DlError(
        f"{len(unknown):,} of {len(flat):,} images in {shown(layout.source / unknown[0].base)} "
        f"have no class in their names, as {shown(unknown[0].name)}",
        why="flat files are expected to be called like cat.12.jpg, or to have their classes in a "
        "CSV beside them",
        hint=f"{sort_by_hand(layout.source)} Or name a CSV: `--labels FILE`.",
    )


def _require_told_apart(source: Path, moves: list[Move], labels: Labels | None) -> None:
    """Refuse images whose labels are all the same: the true ones must be elsewhere."""
    train = [move for move in moves if move.target.startswith("train/")]
    classes = {move.target.split("/")[1] for move in train}
    if len(classes) > 1:
        return
    (label,) = classes
    flat = [move.source for move in train if f"/{label}/" not in f"/{move.source}"]
    if flat:
        raise DlError(
            f"The images in {shown(source)} would all be of one class, `{shown(label)}`",
            why=labels.notes[0].removesuffix(".")
            if labels
            else f"that is what their names begin with, as {shown(flat[0])}",
            hint=NAMING if labels else f"{sort_by_hand(source)} Or name a CSV: `--labels FILE`.",
        )


def _require_classes_in_train(moves: list[Move]) -> None:
    """Refuse images to judge on of a class that there is nothing to learn about."""
    classes: dict[str, set[str]] = defaultdict(set)
    for move in moves:
        split, name, *_ = move.target.split("/")
        classes[split].add(name)
    if strangers := sorted(classes["valid"] - classes["train"]):
        example = next(m for m in moves if m.target.startswith(f"valid/{strangers[0]}/"))
        raise DlError(
            f"Class `{shown(strangers[0])}` has no images to learn from",
            why=f"they are all put aside to judge on, as {shown(example.source)}",
            hint="Put some of them into the training folder, or leave that class out.",
        )


def _notes(layout: Layout, told: list[str], labels: Labels | None) -> list[str]:
    notes = [*told, *(labels.notes if labels else ())]
    if layout.prefix:
        notes.insert(0, f"Took what is in {shown(layout.prefix)}, the folder around the images.")
    if layout.beside:
        notes.append(
            "Warning, beside the folder to train on, and left out: "
            f"{count(len(layout.beside), 'image')}, such as {shown(layout.beside[0])}."
        )
    return notes


def _nothing_to_learn_from(layout: Layout) -> DlError:
    source = layout.source
    if layout.archives:
        return DlError(
            f"No images to learn from in {shown(source)}",
            why=f"{shown(layout.archives[0])} is an archive",
            hint="Unpack all of it by hand, then name the folder.",
        )
    for name in layout.tables:
        if why := fault_of_pixels(source / name):
            return DlError(
                f"No images to learn from in {shown(source)}",
                why=why,
                hint=f"Mend the header of {shown(name)}, or download it again.",
            )
    return DlError(
        f"No images to learn from in {shown(source)}",
        why="found no train/, no folder per class, and no files like cat.12.jpg",
        hint=sort_by_hand(source),
    )


def sort_by_hand(source: Path) -> str:
    """What to do with a folder, or an archive, that tells no classes."""
    if not source.is_file():
        return f"Put the images of each class into a folder of its name, {_sorted(source)}."
    folder = source.with_name(without_suffix(source.name))
    return (
        f"Unpack it by hand, put the images of each class into {_sorted(folder)}, then "
        f"`dl data organize {quoted(folder)}`."
    )


def _sorted(folder: Path) -> str:
    return f"{shown(folder)}/train/<class>/"
