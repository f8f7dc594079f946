"""Plan how a downloaded folder becomes a dataset: which file goes where.

Planning reads folders and writes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.journal import Move
from dlcli.data.photos.folders import read_folder, require_images, too_deep
from dlcli.data.photos.organize.labels import (
    NAMING,
    NOTHING_NAMED,
    Labels,
    Naming,
    named_in,
    names_differ,
    read_labels,
)
from dlcli.data.photos.organize.layout import Image, Layout, read_layout, split_of
from dlcli.data.photos.organize.pixel_csv import fault_of_pixels
from dlcli.data.photos.organize.records import data_in
from dlcli.data.photos.organize.tables import read_table, require_tables
from dlcli.errors import DlError
from dlcli.files.archives import without_suffix
from dlcli.files.paths import expanded, quoted, shown
from dlcli.images.formats import is_image, left_out
from dlcli.words import count


@dataclass(frozen=True)
class Plan:
    """The moves that make a dataset of a download.

    Args:
        moves: from paths relative to the download to paths relative to the dataset.
        notes: what was decided for the user, a sentence each.
    """

    moves: tuple[Move, ...]
    notes: tuple[str, ...]


def plan_organize(
    source: Path, target: Path, naming: Naming = NOTHING_NAMED, *, flatten: bool = False
) -> Plan:
    """Plan how a downloaded folder becomes a dataset.

    Understands flat files with their class in the name (`train/cat.12.jpg`) or in a CSV, class
    folders with or without a `train/`, `val/`, `validation/`, `test1/`, and an outer folder. CSV
    files beside them (the sample submission) and `dataset.yaml` are taken over.

    Args:
        source: the folder to read.
        target: the dataset's folder; the same as `source` to organise it in place.
        naming: where the labels are, as far as the user says it.
        flatten: take images from subfolders of class folders, too.

    Returns:
        the plan; without moves where a folder is already organised in place.

    Raises:
        DlError: no such folder, no training images, images of unknown class or in subfolders.
    """
    require_folder(source)
    layout = read_layout(source)
    if not layout.images["train"]:
        raise _nothing_to_learn_from(layout)
    everything = [image for images in layout.images.values() for image in images]
    deep = Counter(image.place for image in everything if image.deeper)
    if deep and not flatten:
        raise too_deep(source, deep, target)
    names = _flat_names(everything) if deep else {}
    learn, test, told = _told_apart(layout, naming)
    labels = _labels(layout, learn, test, naming)
    if not labels:
        for folder in layout.empty:
            files = [source / each for each in layout.others if each.startswith(f"{folder}/")]
            require_images(source / folder, files)
    moves = []
    for split, images in learn.items():
        named = labels.of if labels else _labels_by_name(layout, images)
        for image in images:
            path = image.path
            moves.append(Move(path, f"{split}/{named[path]}/{names.get(image, image.name)}"))
    _require_told_apart(source, moves, labels)
    _require_classes_in_train(moves)
    for image in test:
        inner = f"{image.folder}/" if image.folder and image not in layout.images["train"] else ""
        moves.append(Move(image.path, f"test/{inner}{names.get(image, image.name)}"))
    beside = [*layout.tables, *layout.settings]
    if labels and labels.file.is_relative_to(source):
        beside.append(str(labels.file.relative_to(source)))
    moves += [Move(name, name.rpartition("/")[2]) for name in dict.fromkeys(beside)]
    left = sorted(move for move in moves if source != target or move.source != move.target)
    return Plan(tuple(left), tuple(_notes(layout, told, labels)))


def require_folder(source: Path) -> None:
    """Refuse a source that is not a folder, before anything is made.

    Raises:
        DlError: it is a file, or does not exist.
    """
    if not source.is_file():
        read_folder(source)
        return
    if not is_image(source) and not source.name.lower().endswith(".csv"):
        raise DlError(
            f"{shown(source)} is not an archive, image or CSV",
            why="it holds nothing to organise",
            hint="Name a folder of images, or a zip or tar archive of them.",
        )
    raise DlError(
        f"{shown(source)} is a file",
        why="expected a folder of images, or an archive of them",
        hint=f"Name its folder: `dl data organize {quoted(source.parent)}`.",
    )


def _flat_names(images: Sequence[Image]) -> dict[Image, str]:
    """The name of each image in the folder of its class.

    If two folders hold a file of one name, those in subfolders have their path before it:
    "2019_may_1.jpg". If that name is taken too, a number follows: "2019_may_1-2.jpg".
    """
    found = Counter((image.base, image.folder, image.name) for image in images)
    alike = [i for i in images if i.deeper and found[i.base, i.folder, i.name] > 1]
    names = {image: image.name for image in images}
    for image in alike:
        del names[image]
    taken = {(image.base, image.folder, name) for image, name in names.items()}
    for image in alike:
        flat = Path(f"{image.deeper}/{image.name}".replace("/", "_"))
        name, number = flat.name, 1
        while (image.base, image.folder, name) in taken:
            number += 1
            name = f"{flat.stem}-{number}{flat.suffix}"
        names[image] = name
        taken.add((image.base, image.folder, name))
    return names


def _told_apart(
    layout: Layout, naming: Naming
) -> tuple[dict[str, tuple[Image, ...]], tuple[Image, ...], list[str]]:
    """The training images by split, the test images, and notes on what was decided.

    Where both are in one folder, the sample submission or a test.csv names the test images. An
    image in a class's folder has that label, whatever a table says about an image of that name.
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
    note = f"{len(to_predict):,} images that {' and '.join(said)} {name} are test images."
    test = tuple(image for image in train if image.path in to_predict)
    learn["train"] = tuple(image for image in train if image.path not in to_predict)
    return learn, test, [note]


def is_about_test(table: str) -> bool:
    """Whether a CSV's name is that of a sample submission or of a table of test images."""
    return "submi" in table.lower() or split_of(Path(table).stem) == "test"


def _labels(
    layout: Layout,
    learn: dict[str, tuple[Image, ...]],
    test: Sequence[Image],
    naming: Naming,
) -> Labels | None:
    """The labels in a CSV; None where they are not needed."""
    images = [image for images in learn.values() for image in images]
    folders = {image.folder for image in learn["train"]}
    if not naming.is_given and len(folders) > 1 and all(image.folder for image in images):
        return None  # one folder per class
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
            why="it is not in the current folder, nor among the files to organise",
            hint="Files there: " + ", ".join(shown(name) for name in layout.tables) + "."
            if layout.tables
            else "Check the path.",
        )
    return [Path(typed_file).absolute()]


def _labels_by_name(layout: Layout, images: Sequence[Image]) -> dict[str, str]:
    """Labels of images by their class's folder, else by their names."""
    labels = {image.path: image.folder or image.label for image in images}
    unknown = [image for image in images if not labels[image.path]]
    if not unknown:
        return labels
    flat = [image for image in images if not image.folder]
    why = "flat files need names like cat.12.jpg, or a CSV of their classes beside them"
    hint = f"{sort_by_hand(layout.source)} Or name a CSV: `--labels FILE`."
    files = _label_files(layout, NOTHING_NAMED)
    if len(files) == 1 and (table := read_table(files[0])):
        name = shown(files[0].name)
        differ = names_differ(table, table.header[0], [unknown[0].name])
        why = f"{name} does not name them; {differ}"
        hint = (
            f"{sort_by_hand(layout.source)} Or correct the names in {name}, or name another: "
            "`--labels FILE`."
        )
    raise DlError(
        f"{len(unknown):,} of {len(flat):,} images in {shown(layout.source / unknown[0].base)} "
        f"have no class in their names, such as {shown(unknown[0].name)}",
        why=why,
        hint=hint,
    )


def _require_told_apart(source: Path, moves: list[Move], labels: Labels | None) -> None:
    """Refuse images whose labels are all the same: the true labels must be elsewhere."""
    train = [move for move in moves if move.target.startswith("train/")]
    classes = {move.target.split("/")[1] for move in train}
    if len(classes) > 1:
        return
    (label,) = classes
    flat = [move.source for move in train if f"/{label}/" not in f"/{move.source}"]
    if flat:
        raise DlError(
            f"All images in {shown(source)} would have the same class, `{shown(label)}`",
            why=labels.notes[0].removesuffix(".")
            if labels
            else f"their names all begin with it, such as {shown(flat[0])}",
            hint=NAMING if labels else f"{sort_by_hand(source)} Or name a CSV: `--labels FILE`.",
        )


def _require_classes_in_train(moves: list[Move]) -> None:
    """Refuse validation images of a class that has no training images."""
    classes: dict[str, set[str]] = defaultdict(set)
    for move in moves:
        split, name, *_ = move.target.split("/")
        classes[split].add(name)
    if strangers := sorted(classes["valid"] - classes["train"]):
        example = next(m for m in moves if m.target.startswith(f"valid/{strangers[0]}/"))
        raise DlError(
            f"Class `{shown(strangers[0])}` has no training images",
            why=f"its images are all for validation, such as {shown(example.source)}",
            hint="Move some of its images to the training folder, or leave that class out.",
        )


def _notes(layout: Layout, told: list[str], labels: Labels | None) -> list[str]:
    notes = [*told, *(labels.notes if labels else ())]
    if layout.prefix:
        notes.insert(0, f"Used the contents of {shown(layout.prefix)}, the outer folder.")
    if layout.beside:
        notes.append(
            f"Warning: left out {count(len(layout.beside), 'image')} outside the training folder, "
            f"such as {shown(layout.beside[0])}."
        )
    if left := left_out(layout.source / name for name in layout.others):
        notes.append(left)
    return notes


def _nothing_to_learn_from(layout: Layout) -> DlError:
    source = layout.source
    if layout.archives:
        return DlError(
            f"No training images in {shown(source)}",
            why=f"{shown(layout.archives[0])} is an archive, which `dl` did not unpack",
            hint="Unpack all of it by hand, then name the folder: `dl data organize FOLDER`.",
        )
    for name in layout.tables:
        if why := fault_of_pixels(source / name):
            return DlError(
                f"No training images in {shown(source)}",
                why=why,
                hint=f"Mend the header of {shown(name)}, or download it again.",
            )
    if data := data_in(source):
        return DlError(
            f"No training images in {shown(source)}",
            why=f"it has {data}",
            hint="`dl` learns from image files. Make a JPEG or PNG of each image first, "
            f"{_sorted(source)}.",
        )
    left = left_out(source / name for name in layout.others)
    return DlError(
        f"No training images in {shown(source)}",
        why=left.removesuffix(".")
        or "it has no train/, no folders of classes, and no files like cat.12.jpg",
        hint=sort_by_hand(source),
    )


def sort_by_hand(source: Path) -> str:
    """What to do with a folder or archive that shows no classes."""
    if not source.is_file():
        return f"Put the images of each class into a folder named after it, {_sorted(source)}."
    folder = source.with_name(without_suffix(source.name))
    return (
        f"Unpack it by hand, put the images of each class into {_sorted(folder)}, then "
        f"`dl data organize {quoted(folder)}`."
    )


def _sorted(folder: Path) -> str:
    return f"{shown(folder)}/train/<class>/"
