"""The formats that Keras exports to, and what runs a file of each."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dlcli.backend import litert_interpreter, silent
from dlcli.errors import DlError

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import DataclassInstance

    Answer = Callable[[np.ndarray], np.ndarray]
    """A batch of inputs (n, ...) -> a batch of outputs (n, ...)."""

# Runtimes add floats in different orders; measured: 3e-6 at most, of a probability.
TOLERANCE = 1e-3
# What is said of an export that is not kept.
REMOVED = "It was removed. Try another `--format`, or other versions of the packages."


@dataclass(frozen=True)
class Format:
    """A format that Keras exports to.

    Args:
        keras: Keras' name of the format.
        name: the name of the file or folder.
        exporters: packages that write it, besides Keras and TensorFlow.
        runtime: the package that runs it.
        example: lines of Python that run the file MODEL on `inputs`, one photo or pair in a
            batch of its own, and set `outputs` to its row of the answer.
        batch: how to pass several at once, with {one} and {shape} for a photo's or a pair's; "" if
            that is nothing special.
    """

    keras: str
    name: str
    exporters: tuple[str, ...]
    runtime: str
    example: str
    batch: str = ""


FORMATS = {
    "onnx": Format(
        "onnx",
        "model.onnx",
        ("onnx", "tf2onnx"),
        "onnxruntime",
        example="session = onnxruntime.InferenceSession(MODEL)\n"
        "outputs = session.run(None, {session.get_inputs()[0].name: inputs})[0][0]",
    ),
    "openvino": Format(
        "openvino",
        "model.xml",
        ("openvino",),
        "openvino",
        example='exact = {"INFERENCE_PRECISION_HINT": "f32"}\n'
        'compiled = openvino.Core().compile_model(MODEL, "CPU", exact)\n'
        "outputs = compiled(inputs)[0][0]",
    ),
    "litert": Format(
        "litert",
        "model.tflite",
        (),
        "tensorflow",
        example="interpreter = tensorflow.lite.Interpreter(MODEL)\n"
        "interpreter.allocate_tensors()\n"
        'interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)\n'
        "interpreter.invoke()\n"
        'output = interpreter.get_output_details()[0]["index"]\n'
        "outputs = interpreter.get_tensor(output)[0]",
        batch="one {one}; for n of them resize_tensor_input to [n, {shape}], then allocate_tensors",
    ),
    "tf": Format(
        "tf_saved_model",
        "saved_model",
        (),
        "tensorflow",
        example="model = tensorflow.saved_model.load(MODEL)\n"
        "outputs = model.serve(inputs).numpy()[0]",
    ),
}
# What a format was called before.
ALIASES = {"tflite": "litert"}


class Agreement:
    """How much an exported model's output differs from the run's; a dataclass of plain values.

    Its text says what was compared with what.
    """

    def describe(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(cast("DataclassInstance", self))


def at_most(difference: float) -> str:
    """A largest difference in words: "0.3 at most"."""
    return "less than 0.0001" if difference < 1e-4 else f"{difference:.1g} at most"


def answers_of(path: Path, format_name: str, inputs: np.ndarray) -> np.ndarray:
    """What an exported model answers to a batch of inputs.

    Raises:
        DlError: it can't be run.
    """
    try:
        with silent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow's, of moving its interpreter elsewhere
            return _RUNTIMES[format_name](path)(inputs)
    except Exception as error:  # each runtime raises its own
        raise DlError(
            "The exported model can't be run",
            why=" ".join(str(error).split()) or type(error).__name__,
            hint=REMOVED,
        ) from error


def _onnx(path: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda inputs: session.run(None, {given.name: inputs})[0]


def _openvino(path: Path) -> Answer:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", options)
    return lambda inputs: compiled(inputs)[0]


def _litert(path: Path) -> Answer:
    interpreter = litert_interpreter(path)
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(inputs: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(given["index"], inputs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], inputs)
        interpreter.invoke()
        outputs: np.ndarray = interpreter.get_tensor(answered["index"])
        return outputs

    return answer


def _saved_model(path: Path) -> Answer:
    import keras
    import numpy as np

    layer = keras.layers.TFSMLayer(path, call_endpoint="serve")
    return lambda inputs: np.asarray(layer(inputs))


_RUNTIMES: dict[str, Callable[[Path], Answer]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "litert": _litert,
    "tf": _saved_model,
}
