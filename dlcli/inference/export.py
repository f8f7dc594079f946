"""Export a run's model to another format, with a description of its input, and check it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.backend import litert_interpreter, silent, start_backend
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_folder, digest_of
from dlcli.files.formats import write_yaml
from dlcli.files.paths import quoted, shown
from dlcli.images.pixels import PixelRule, UnreadableImage, load_pixels
from dlcli.inference.kept import holder
from dlcli.inference.predictions import Predictions, read_predictions
from dlcli.models.saved import export_model, load_model
from dlcli.process import install_command
from dlcli.progress import say
from dlcli.runs.choice import typed_run
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

    Answer = Callable[[np.ndarray], np.ndarray]
    """Pixels 0-255, float32 (n, size, size, 3) -> probabilities (n, n_classes)."""


MEANING_OF_CHECKED = (
    "images: validation images that it was checked on (0: noise); same_class: images with the "
    "class that the run predicted; predictions, keras: the largest difference of a probability "
    "from the run's own, made in run_precision, and from Keras' in f32; null: the package that "
    "runs it was not installed"
)

# Enough images to show that classes, channels and preprocessing are the same.
IMAGES_CHECKED = 64
# Runtimes add floats in different orders; measured: 3e-6 at most.
TOLERANCE = 1e-3
_REMOVED = "It was removed. Try another `--format`, or other versions of the packages."

# The description of an exported model's input and output, beside it.
RECORD = "model.yaml"
# A script beside the model that runs it on a photo, without `dl`.
EXAMPLE = "example.py"
_SCRIPT = """\
\"\"\"Print the probable classes of a photo: `python example.py PHOTO`.\"\"\"

import sys
from pathlib import Path

import numpy
import {runtime}
from PIL import {imports}

MODEL = str(Path(__file__).with_name({name!r}))
CLASSES = {classes!r}

# A photo of 8 bits a channel. Deeper ones, which `dl` scales to 8, may become white here.
image = {opened}.convert("RGB")
image = image.resize(({size}, {size}), Image.Resampling.BILINEAR)
pixels = numpy.asarray(image, numpy.float32)[None]
{run}
for number in numpy.argsort(-probabilities)[:5]:
    print(f"{{probabilities[number]:.4f}}  {{CLASSES[number]}}")
"""


@dataclass(frozen=True)
class Format:
    """A format that Keras exports to.

    Args:
        keras: Keras' name of the format.
        name: the name of the file or folder.
        exporters: packages that write it, besides Keras and TensorFlow.
        runtime: the package that runs it.
        example: lines of Python that run the file MODEL on `pixels`, float32 of shape
            (1, size, size, 3), and set `probabilities`.
        batch: how to pass several images, if special.
    """

    keras: str
    name: str
    exporters: tuple[str, ...]
    runtime: str
    example: str
    batch: str = "any number of images"


FORMATS = {
    "onnx": Format(
        "onnx",
        "model.onnx",
        ("onnx", "tf2onnx"),
        "onnxruntime",
        example="session = onnxruntime.InferenceSession(MODEL)\n"
        "probabilities = session.run(None, {session.get_inputs()[0].name: pixels})[0][0]",
    ),
    "openvino": Format(
        "openvino",
        "model.xml",
        ("openvino",),
        "openvino",
        example='exact = {"INFERENCE_PRECISION_HINT": "f32"}\n'
        'compiled = openvino.Core().compile_model(MODEL, "CPU", exact)\n'
        "probabilities = compiled(pixels)[0][0]",
    ),
    "litert": Format(
        "litert",
        "model.tflite",
        (),
        "tensorflow",
        example="interpreter = tensorflow.lite.Interpreter(MODEL)\n"
        "interpreter.allocate_tensors()\n"
        'interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)\n'
        "interpreter.invoke()\n"
        'output = interpreter.get_output_details()[0]["index"]\n'
        "probabilities = interpreter.get_tensor(output)[0]",
        batch="one image; for n of them resize_tensor_input to [n, height, width, 3], "
        "then allocate_tensors",
    ),
    "tf": Format(
        "tf_saved_model",
        "saved_model",
        (),
        "tensorflow",
        example="model = tensorflow.saved_model.load(MODEL)\n"
        "probabilities = model.serve(pixels).numpy()[0]",
    ),
}
# What a format was called before.
ALIASES = {"tflite": "litert"}


@dataclass(frozen=True)
class Agreement:
    """How much an exported model's output differs from the run's.

    Args:
        images: how many were compared; 0 for noise, if no image could be read.
        keras: the largest difference of a probability from the run's model in Keras.
        predictions: the largest difference from the run's predictions; None for noise.
        same_class: images whose most probable class is that of the run's predictions.
        run_precision: the precision of the run; the exported model computes in f32.
    """

    images: int
    keras: float
    predictions: float | None
    same_class: int
    run_precision: str

    def describe(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        by_keras = f"differs from that of the run's model in Keras by {_at_most(self.keras)}"
        if self.predictions is None:
            return f"Checked on noise, without images. Each probability {by_keras}."
        said = (
            f"Checked on {self.images} validation images: {self.same_class} have the class that "
            f"the run predicted. Each probability {by_keras}"
        )
        by_run = _at_most(self.predictions)
        if self.run_precision == "f32":
            return f"{said}, and from that of the run's predictions by {by_run}."
        return (
            f"{said}. It differs from that of the run's predictions by {by_run}: the run computed "
            f"features in {self.run_precision}, which is quicker and less precise; the exported "
            "model computes in f32."
        )


def _at_most(difference: float) -> str:
    """A largest difference of a probability in words: 0.3 at most."""
    return "less than 0.0001" if difference < 1e-4 else f"{difference:.1g} at most"


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Args:
        folder: the folder of model, description and example.
        model: the file, or the folder of a SavedModel.
        runtime: the package that runs it.
        agreement: the result of the check; None if that package is not installed.
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
        replace: whether an existing `folder` is replaced.

    Raises:
        DlError: an ensemble; packages are missing; `folder` exists; the model can't be loaded or
            exported; the exported model's output differs.
    """
    wanted = FORMATS[format_name]
    _require_possible(run, format_name, folder, replace)
    say(f"Exporting to {format_name}, which takes a moment.")
    start_backend("tensorflow")
    model = load_model(run.best_model)
    with atomic_folder(folder, replace=replace, keep_others=True) as built:
        export_model(model, built / wanted.name, wanted.keras)
        agreement = None
        if find_spec(wanted.runtime):
            agreement = check_export(run, model, built / wanted.name, format_name, root)
        write_yaml(built / RECORD, _record(run, format_name, model, agreement))
        (built / EXAMPLE).write_text(_example(run, wanted, model.input_shape[1]), "utf-8")
    return Exported(folder, folder / wanted.name, wanted.runtime, agreement)


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


def _example(run: Run, wanted: Format, size: int) -> str:
    """The script that runs the exported model on a photo."""
    assert run.record.pixels is not None  # of an ensemble alone
    turns = run.record.pixels.version > 1
    return _SCRIPT.format(
        runtime=wanted.runtime,
        name=wanted.name,
        classes=list(run.classes),
        size=size,
        imports="Image, ImageOps" if turns else "Image",
        opened="ImageOps.exif_transpose(Image.open(sys.argv[1]))"
        if turns
        else "Image.open(sys.argv[1])",
        run=wanted.example,
    )


def _record(
    run: Run, format_name: str, model: keras.Model, agreement: Agreement | None
) -> dict[str, Any]:
    """The description of the model's input and output, as plain values."""
    from importlib.metadata import version

    wanted = FORMATS[format_name]
    packages = ("keras", "tensorflow", *wanted.exporters)
    return {
        "model": wanted.name,
        "format": format_name,
        "classes": list(run.classes),
        "input": {
            "shape": [None, *model.input_shape[1:]],
            "dtype": "float32",
            "values": "pixels 0 to 255, channels red, green, blue last",
            "resized": str(run.record.pixels),
            "batch": wanted.batch,
        },
        "preprocessing": "inside the model",
        "output": {
            "shape": [None, len(run.classes)],
            "dtype": "float32",
            "values": "probabilities, in the order of the classes",
        },
        "run": str(run.path),
        "run_digest": digest_of(run.best_model),
        "packages": {name: version(name) for name in packages},
        "checked": agreement.describe() if agreement else None,
        "meaning_of_checked": MEANING_OF_CHECKED,
    }


def check_export(
    run: Run, model: keras.Model, path: Path, format_name: str, root: Path | None
) -> Agreement:
    """Run an exported model on validation images, and compare its output with the run's.

    Args:
        run: the exported run.
        model: the run's best model, in Keras.
        root: the dataset's folder; None: it is gone.

    Raises:
        DlError: it can't be run, or its output differs from Keras', or from an exact run's.
    """
    import numpy as np

    rule = run.record.pixels
    assert rule is not None  # of an ensemble alone
    pixels, predicted = _images_to_check(run, root, rule)
    try:
        with silent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow's, of moving its interpreter elsewhere
            answers = _RUNTIMES[format_name](path)(pixels)
    except Exception as error:  # each runtime raises its own
        raise DlError(
            "The exported model can't be run",
            why=" ".join(str(error).split()) or type(error).__name__,
            hint=_REMOVED,
        ) from error
    expected = np.asarray(model.predict_on_batch(pixels))
    by_keras = float(np.abs(answers - expected).max())
    if not by_keras <= TOLERANCE:
        raise DlError(
            "The exported model's output differs from the run's",
            why=f"a probability differs by {by_keras:.2g} from Keras'",
            hint=_REMOVED,
        )
    forward = run.features_forward
    precision = forward.precision if forward else "f32"
    if predicted is None:
        return Agreement(0, by_keras, None, 0, precision)
    same = int((answers.argmax(axis=1) == predicted.argmax(axis=1)).sum())
    by_run = float(np.abs(answers - predicted).max())
    if precision == "f32" and not by_run <= TOLERANCE:
        raise DlError(
            "The exported model's output differs from the run's predictions",
            why=f"a probability differs by {by_run:.2g} from `predictions/valid.csv`",
            hint="The export was removed. The predictions may be out of date: remove that CSV, run "
            f"`dl evaluate {run.name}`, then export again.",
        )
    return Agreement(len(pixels), by_keras, by_run, same, precision)


def _images_to_check(
    run: Run, root: Path | None, rule: PixelRule
) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels of some validation images, and the run's predictions of them; else noise.

    They are decoded as the description of the model says.
    """
    import numpy as np

    known = _predicted(run, root) if root else None
    if root and known:
        total = len(known.paths)
        wanted = min(total, IMAGES_CHECKED)
        pixels, rows = [], []
        for row in (number * total // wanted for number in range(wanted)):  # of every class
            with suppress(UnreadableImage):
                pixels.append(load_pixels(root / known.paths[row], rule))
                rows.append(row)
        if rows:
            return np.stack(pixels).astype(np.float32), known.y_prob[rows]
    noise = np.random.default_rng(0).uniform(0, 255, (8, rule.size, rule.size, 3))
    return noise.astype(np.float32), None


def _predicted(run: Run, root: Path) -> Predictions | None:
    """The run's predictions of the validation images as they are now, if there are any."""
    folder = holder(run, "valid", open_photos(root).fingerprint("valid"))
    known = read_predictions(folder.predictions_file("valid")) if folder else None
    return known if known and known.paths and known.classes == run.classes else None


def _onnx(path: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda pixels: session.run(None, {given.name: pixels})[0]


def _openvino(path: Path) -> Answer:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", options)
    return lambda pixels: compiled(pixels)[0]


def _litert(path: Path) -> Answer:
    interpreter = litert_interpreter(path)
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(pixels: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(given["index"], pixels.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], pixels)
        interpreter.invoke()
        probabilities: np.ndarray = interpreter.get_tensor(answered["index"])
        return probabilities

    return answer


def _saved_model(path: Path) -> Answer:
    import keras
    import numpy as np

    layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
    return lambda pixels: np.asarray(layer(pixels))


_RUNTIMES: dict[str, Callable[[Path], Answer]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "litert": _litert,
    "tf": _saved_model,
}
