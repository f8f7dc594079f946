"""The formats that a run's model is exported to."""

from __future__ import annotations

from dataclasses import dataclass

# What stands beside an exported model: how to feed it.
RECORD = "model.yaml"


@dataclass(frozen=True)
class Format:
    """A format that Keras exports to.

    Args:
        keras: what Keras calls it.
        name: of the file, or of the folder.
        exporters: packages that write it, beside Keras and TensorFlow.
        runtime: the package that runs it.
        batch: how to feed it several images, where that is not plain.
    """

    keras: str
    name: str
    exporters: tuple[str, ...]
    runtime: str
    batch: str = "any number of images"


FORMATS = {
    "onnx": Format("onnx", "model.onnx", ("onnx", "tf2onnx"), "onnxruntime"),
    "openvino": Format("openvino", "model.xml", ("openvino",), "openvino"),
    "litert": Format(
        *("litert", "model.tflite", (), "tensorflow"),
        "one image; for n of them resize_tensor_input to [n, height, width, 3], "
        "then allocate_tensors",
    ),
    "tf": Format("tf_saved_model", "saved_model", (), "tensorflow"),
}
