"""A run's model in another format, with what one needs to feed it, checked against the run."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlcli.engine_files import digest_of
from dlcli.errors import DlError
from dlcli.export_check import Agreement, check_export
from dlcli.files import write_yaml
from dlcli.images import PixelRule
from dlcli.members import is_ensemble
from dlcli.places import shown
from dlcli.run import Run

if TYPE_CHECKING:
    import keras

RECORD = "model.yaml"


@dataclass(frozen=True)
class Format:
    """A format that Keras exports to.

    Args:
        keras: what Keras calls it.
        name: of the file, or of the folder.
        exporters: packages that write it, beside Keras and TensorFlow.
        runtime: the package that runs it.
    """

    keras: str
    name: str
    exporters: tuple[str, ...]
    runtime: str


FORMATS = {
    "onnx": Format("onnx", "model.onnx", ("onnx", "tf2onnx"), "onnxruntime"),
    "openvino": Format("openvino", "model.xml", ("openvino",), "openvino"),
    "litert": Format("litert", "model.tflite", (), "tensorflow"),
    "tf": Format("tf_saved_model", "saved_model", (), "tensorflow"),
}


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
    from dlcli.backend import silent, start_backend
    from dlcli.models.saved import load_model

    start_backend("tensorflow")
    import keras
    import numpy as np

    model = load_model(run.best_model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        built = Path(temporary) / folder.name
        built.mkdir()
        others = [each for each in FORMATS if each != format_name]
        plain = keras.Model(model.inputs[0], model.outputs[0], name="model")
        try:
            with silent(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what the exporters themselves are made of
                plain.predict_on_batch(np.zeros((1, *plain.input_shape[1:]), np.float32))
                plain.export(str(built / wanted.name), format=wanted.keras, verbose=False)
        except (RuntimeError, ValueError, TypeError, NotImplementedError, ImportError) as error:
            raise DlError(
                f"{run.name} can't be exported as {format_name}",
                why=" ".join(str(error).split()) or type(error).__name__,
                hint="Try another: " + " or ".join(f"`--format {each}`" for each in others),
            ) from error
        agreement = None
        if find_spec(wanted.runtime):
            agreement = check_export(run, model, built / wanted.name, format_name, root)
        write_yaml(built / RECORD, _record(run, format_name, plain, agreement))
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
    }
