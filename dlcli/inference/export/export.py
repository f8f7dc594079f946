"""Export a run's model to another format, with a description of its input, and check it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.backend import start_backend
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_folder, digest_of
from dlcli.files.formats import write_yaml
from dlcli.files.paths import quoted, shown
from dlcli.inference.export import photos, ratings
from dlcli.inference.export.formats import FORMATS, Agreement, Format
from dlcli.models.saved import export_model, load_model
from dlcli.process import install_command
from dlcli.progress import say
from dlcli.runs.choice import typed_run
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras

# The description of an exported model's input and output, beside it.
RECORD = "model.yaml"
# A script beside the model that runs it, without `dl`.
EXAMPLE = "example.py"


@dataclass(frozen=True)
class Way:
    """What differs by a run's kind.

    Args:
        example: the text of the script beside the model.
        described: the model's input and output, as plain values.
        check: compares the exported model's output with the run's.
        files_beside: the files of the run that the model's input or output needs.
        typed: what is typed after the script.
        meaning: of the values of an `Agreement`.
    """

    example: Callable[[Run, Format, keras.Model], str]
    described: Callable[[Run, Format, keras.Model], dict[str, Any]]
    check: Callable[[Run, keras.Model, Path, str, Path | None], Agreement]
    files_beside: Callable[[Run], tuple[Path, ...]]
    typed: str
    meaning: str


WAYS: Mapping[str, Way] = {
    "photos": Way(
        example=photos.example,
        described=photos.described,
        check=photos.check_export,
        files_beside=photos.files_beside,
        typed=photos.TYPED,
        meaning=photos.MEANING_OF_CHECKED,
    ),
    "ratings": Way(
        example=ratings.example,
        described=ratings.described,
        check=ratings.check_export,
        files_beside=ratings.files_beside,
        typed=ratings.TYPED,
        meaning=ratings.MEANING_OF_CHECKED,
    ),
}


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Args:
        folder: the folder of model, description and example.
        model: the file, or the folder of a SavedModel.
        runtime: the package that runs it.
        agreement: the result of the check; None if that package is not installed.
        typed: what is typed after the script beside it.
    """

    folder: Path
    model: Path
    runtime: str
    agreement: Agreement | None
    typed: str


def export_run(
    run: Run, format_name: str, folder: Path, root: Path | None, *, replace: bool
) -> Exported:
    """Export a run's best model.

    Keras exports on TensorFlow, whichever backend the run was trained on.

    Args:
        run: a finished run with a model of its own.
        format_name: one of `FORMATS`.
        folder: where it goes, whole or not at all.
        root: the dataset's folder, for examples to check it on; None: it is gone.
        replace: whether an existing `folder` is replaced.

    Raises:
        DlError: an ensemble; packages are missing; `folder` exists; the model can't be loaded or
            exported; the exported model's output differs.
    """
    wanted, way = FORMATS[format_name], WAYS[run.record.kind]
    _require_possible(run, format_name, folder, replace)
    say(f"Exporting to {format_name}, which takes a moment.")
    start_backend("tensorflow")
    model = load_model(run.best_model)
    with atomic_folder(folder, replace=replace, keep_others=True) as built:
        export_model(model, built / wanted.name, wanted.keras)
        agreement = None
        if find_spec(wanted.runtime):
            agreement = way.check(run, model, built / wanted.name, format_name, root)
        record = _record(run, format_name, way.described(run, wanted, model), agreement)
        write_yaml(built / RECORD, record | {"meaning_of_checked": way.meaning})
        (built / EXAMPLE).write_text(way.example(run, wanted, model), "utf-8")
        for file in way.files_beside(run):
            shutil.copyfile(file, built / file.name)
    return Exported(folder, folder / wanted.name, wanted.runtime, agreement, way.typed)


def _require_possible(run: Run, format_name: str, folder: Path, replace: bool) -> None:
    """Refuse what can't work, before anything costs time.

    Raises:
        DlError: an ensemble; packages are missing; the folder exists.
    """
    run.require_single(f"dl export RUN --format {format_name}")
    missing = [name for name in FORMATS[format_name].exporters if find_spec(name) is None]
    if missing:
        raise DlError(
            f"{format_name} needs {' and '.join(missing)}, which can't be found",
            hint=f"Install the packages for exports: `{install_command('export')}`.",
        )
    if folder.exists() and not replace:
        other = quoted(folder.with_name(f"{folder.name}-2"))
        typed = f"dl export {typed_run(run)} --format {format_name} --to {other}"
        raise DlError(
            f"{shown(folder)} exists already",
            why="its content would be lost",
            hint=f"Name a new folder: `{typed}`.",
        )


def _record(
    run: Run, format_name: str, described: Mapping[str, Any], agreement: Agreement | None
) -> dict[str, Any]:
    """The description of an exported model, as plain values."""
    from importlib.metadata import version

    wanted = FORMATS[format_name]
    packages = ("keras", "tensorflow", *wanted.exporters)
    return {
        "model": wanted.name,
        "format": format_name,
        **described,
        "run": str(run.path),
        "run_digest": digest_of(run.best_model),
        "packages": {name: version(name) for name in packages},
        "checked": agreement.describe() if agreement else None,
    }
