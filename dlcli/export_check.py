"""Whether an exported model answers as the run that it was exported from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.backend import litert_interpreter, silent
from dlcli.data.dataset import open_dataset
from dlcli.errors import DlError
from dlcli.images.pixels import PixelRule, UnreadableImage, load_pixels
from dlcli.predict import holder
from dlcli.predictions import Predictions, read_predictions
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

    Answer = Callable[[np.ndarray], np.ndarray]
    """Pixels 0-255, float32 (n, size, size, 3) -> probabilities (n, n_classes)."""

# As many images as show that classes, channels and preprocessing are the same.
IMAGES = 64
# Runtimes add up floats in other orders; measured: 3e-6 at most.
TOLERANCE = 1e-3
_REMOVED = "It was removed. Try another `--format`, or other versions of the packages."


@dataclass(frozen=True)
class Agreement:
    """How far an exported model's answers are from the run's.

    Args:
        images: how many were compared; 0 where none could be read, and noise was instead.
        keras: the largest difference of a probability from the run's model in Keras.
        predictions: the same from the run's predictions of these images; None for noise.
        same_class: of so many images the most probable class is the one of these predictions.
        run_precision: in what the run computes; the exported model computes in f32.
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
        if self.predictions is None:
            return (
                f"Checked on noise, for want of images: probabilities within {self.keras:.1g} of "
                "Keras'."
            )
        return (
            f"Checked on {self.images} validation images: {self.same_class} of the class that the "
            f"run predicted, probabilities within {self.predictions:.1g} of its own, made in "
            f"{self.run_precision}, and within {self.keras:.1g} of Keras' in f32."
        )


def check_export(
    run: Run, model: keras.Model, path: Path, format_name: str, root: Path | None
) -> Agreement:
    """Run an exported model on validation images, and compare.

    Args:
        run: what it was exported from.
        model: the run's best, in Keras.
        path: the exported model.
        format_name: its format.
        root: the dataset's folder; None: it is gone.

    Raises:
        DlError: it can't be run, or answers otherwise than Keras, or than an exact run predicted.
    """
    import numpy as np

    pixels, predicted = _some(run, root, model.input_shape[1])
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
            "The exported model answers otherwise than the run",
            why=f"a probability differs by {by_keras:.2g} from Keras'",
            hint=_REMOVED,
        )
    on_features = run.status().get("predicts_from") == "features"
    precision = run.record()["forward"]["precision"] if on_features else "f32"
    if predicted is None:
        return Agreement(0, by_keras, None, 0, precision)
    same = int((answers.argmax(axis=1) == predicted.argmax(axis=1)).sum())
    by_run = float(np.abs(answers - predicted).max())
    if precision == "f32" and not by_run <= TOLERANCE:
        raise DlError(
            "The exported model answers otherwise than the run predicted",
            why=f"a probability differs by {by_run:.2g} from `predictions/valid.csv`",
            hint="It was removed. Make the predictions anew: remove that file, then `dl evaluate`.",
        )
    return Agreement(len(pixels), by_keras, by_run, same, precision)


def _some(run: Run, root: Path | None, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels of some validation images, and what the run predicted for them; else noise.

    They are decoded exactly, as whoever feeds the exported model is told to.
    """
    import numpy as np

    known = _predicted(run, root) if root else None
    if root and known:
        step = -(-len(known.paths) // IMAGES)  # so that there are some of every class
        pixels, rows = [], []
        for row in range(0, len(known.paths), step):
            with suppress(UnreadableImage):
                pixels.append(load_pixels(root / known.paths[row], PixelRule(size)))
                rows.append(row)
        if rows:
            return np.stack(pixels).astype(np.float32), known.y_prob[rows]
    noise = np.random.default_rng(0).uniform(0, 255, (8, size, size, 3))
    return noise.astype(np.float32), None


def _predicted(run: Run, root: Path) -> Predictions | None:
    """What the run predicted for the validation images as they are now, if it did."""
    place = holder(run, "valid", open_dataset(root).fingerprint("valid"))
    known = read_predictions(place.predictions("valid")) if place else None
    return known if known and known.paths and known.classes == run.classes() else None


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
