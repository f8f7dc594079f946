"""A run's model in another format, with what one needs to feed it, checked against the run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlcli.errors import DlError
from dlcli.export_check import Agreement, check_export
from dlcli.export_formats import FORMATS, RECORD
from dlcli.files.atomic import digest_of, sync_tree
from dlcli.files.formats import write_yaml
from dlcli.files.paths import shown
from dlcli.images.pixels import PixelRule
from dlcli.members import is_ensemble
from dlcli.models.saved import export_model
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras


MEANING = (
    "it was run on so many of the run's validation images (0: on noise); same_class: of so many "
    "the class is the one that the run predicted; predictions, keras: the largest difference of a "
    "probability from the run's own, made in run_precision, and from Keras' in f32; null: what "
    "runs it was not installed"
)


@dataclass(frozen=True)
class Exported:
    """What was made.

    Args:
        folder: where it lies, the record beside it.
        model: the file, or the folder of a SavedModel.
        runtime: the package that runs it.
        agreement: how it was checked; None where that package is not installed.
    """

    folder: Path
    model: Path
    runtime: str
    agreement: Agreement | None


def export_run(
    run: Run, format_name: str, folder: Path, root: Path | None, *, replace: bool
) -> Exported:
    """Export a run's best model: pixels 0-255 (n, size, size, 3) -> probabilities (n, n_classes).

    Keras exports on TensorFlow, whichever backend the run was trained on.

    Args:
        run: a finished run with a model of its own.
        format_name: one of `FORMATS`.
        folder: where it goes, whole or not at all.
        root: the dataset's folder, whose validation images it is checked on; None: it is gone.
        replace: whether what is at `folder` gives way.

    Raises:
        DlError: an ensemble; packages are missing; `folder` is taken; the model can't be loaded or
            exported; what came of it answers otherwise.
    """
    wanted = FORMATS[format_name]
    _require_possible(run, format_name, folder, replace)
    from dlcli.backend import start_backend
    from dlcli.models.saved import load_model

    start_backend("tensorflow")
    model = load_model(run.best_model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        built = Path(temporary) / folder.name
        built.mkdir()
        export_model(model, built / wanted.name, wanted.keras)
        agreement = None
        if find_spec(wanted.runtime):
            agreement = check_export(run, model, built / wanted.name, format_name, root)
        write_yaml(built / RECORD, _record(run, format_name, model, agreement))
        sync_tree(built)
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
        built.rename(folder)
    return Exported(folder, folder / wanted.name, wanted.runtime, agreement)


def _require_possible(run: Run, format_name: str, folder: Path, replace: bool) -> None:
    """Refuse, before anything costs time, what can't work.

    Raises:
        DlError: an ensemble; packages are missing; the folder is taken.
    """
    if is_ensemble(run):
        raise DlError(
            f"{run.name} has no model of its own",
            why="an ensemble is the mean of its members' predictions",
            hint="Export its members, and take the mean of what they answer.",
        )
    missing = [name for name in FORMATS[format_name].exporters if find_spec(name) is None]
    if missing:
        raise DlError(
            f"{format_name} needs {' and '.join(missing)}, not installed here",
            hint="Install what exporting needs: `pip install 'dlcli[export]'`.",
        )
    if folder.exists() and not replace:
        raise DlError(
            f"{shown(folder)} is there already",
            why="what is in it would be lost",
            hint="Name a new folder with `--to`.",
        )


def _record(
    run: Run, format_name: str, model: keras.Model, agreement: Agreement | None
) -> dict[str, Any]:
    """What one needs to feed the model and to read its answers, as plain values."""
    from importlib.metadata import version

    wanted, recorded = FORMATS[format_name], run.record()
    rule = PixelRule(**recorded["pixels"])
    packages = ("keras", "tensorflow", *wanted.exporters)
    return {
        "model": wanted.name,
        "format": format_name,
        "classes": list(run.classes()),
        "input": {
            "shape": [None, *model.input_shape[1:]],
            "dtype": "float32",
            "values": "pixels 0 to 255, channels red, green, blue last",
            "resized": str(rule),
            "batch": wanted.batch,
        },
        "preprocessing": "inside the model",
        "output": {
            "shape": [None, len(run.classes())],
            "dtype": "float32",
            "values": "probabilities, in the order of the classes",
        },
        "run": str(run.path),
        "run_digest": digest_of(run.best_model),
        "packages": {name: version(name) for name in packages},
        "checked": agreement.describe() if agreement else None,
        "meaning_of_checked": MEANING,
    }
