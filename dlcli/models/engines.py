"""Engines that run a network over many images: OpenVINO or Keras.

OpenVINO is used on a CPU, where it is 2 to 4 times as fast as TensorFlow for these networks. Keras'
backend is used on a GPU, and if OpenVINO is not installed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dlcli.backend import dtype_policy, gpu_has_bf16, has_gpu, silence_openvino, start_backend
from dlcli.errors import DlError
from dlcli.images.pixels import NEWEST, Batch, PixelChange, PixelRule, UnreadableImage, read_batches
from dlcli.models.backbones import get_backbone
from dlcli.models.forward import Forward
from dlcli.models.network import Layer, load_cut
from dlcli.models.weights import fetch_weights, weights_hash
from dlcli.settings.shared import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np


class Engine(Protocol):
    """Runs a network. `batch_size` is its best batch size."""

    batch_size: int

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        """Pair each batch, in order, with its outputs: float32, (n, ...)."""


def resolve_forward(settings: Settings, layer: Layer) -> tuple[Forward, Path]:
    """Choose network, engine and precision, and find the weights.

    Args:
        settings: backbone, weights, image size, engine, precision.
        layer: where the network is cut.

    Returns:
        the forward pass, and the file of the weights.

    Raises:
        DlError: the backbone is unknown, its weights are missing, or the engine is not available.
    """
    backbone = get_backbone(settings.backbone)
    weights = fetch_weights(backbone, settings.weights)
    engine = _choose_engine(settings.engine)
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if computes_bf16(engine) else "f32"
    # bf16 changes the features more than scaled decoding does, so they go together; with f32
    # decoding is exact (measured: equal accuracy, twice the speed)
    scaled = precision == "bf16" and all(map(find_spec, ("simplejpeg", "cv2")))
    size = settings.image_size or backbone.features_size
    pixels = PixelRule(size, "scaled" if scaled else "exact", NEWEST)
    return (
        Forward(backbone.name, weights_hash(weights), layer, pixels, engine, precision),
        weights,
    )


def start_engine(forward: Forward, weights: Path) -> Engine:
    """Load the network into its engine, ready to run.

    Raises:
        DlError: the weights are not this network's, or the engine is not available.
    """
    if forward.engine == "openvino":
        _require_openvino("These features were made with it. Install it: `pip install openvino`.")
        from dlcli.models.openvino import exported

        model = exported(forward, weights)
        before = model.stat()
        try:
            return OpenVinoEngine(model, forward.precision)
        except RuntimeError:  # damaged in the cache: make it again
            model = exported(forward, weights, damaged=before)
            return OpenVinoEngine(model, forward.precision)
    start_backend()
    backbone = get_backbone(forward.backbone)
    with dtype_policy("mixed_bfloat16" if forward.precision == "bf16" else "float32"):
        return KerasEngine(load_cut(backbone, forward.layer, weights, forward.pixels.size))


class Computed(NamedTuple):
    """A network's output for one image.

    Args:
        row: float32 (...).
        changes: what version 2 of the rule for pixels does to the image.
    """

    row: np.ndarray
    changes: tuple[PixelChange, ...]


def rows_of(
    root: Path, paths: Sequence[str], forward: Forward, start: Callable[[], Engine], workers: int
) -> Generator[Computed | UnreadableImage, None, None]:
    """Run a network over images.

    Args:
        root: the folder that `paths` are relative to.
        forward: how files become pixels, and any augmentation.
        start: gives the engine; not called without images.
        workers: threads for decoding.

    Yields:
        for each path, in order, its output, or why it can't be read.
    """
    if not paths:
        return
    engine = start()
    read = read_batches(root, paths, forward.pixels, engine.batch_size, workers)
    with closing(read) as batches:
        seen = forward.view.of(batches, paths) if forward.view else batches
        for batch, outputs in engine.run(seen):
            unreadable = {error.path: error for error in batch.unreadable}
            readable = iter(outputs)
            for path in paths[batch.start : batch.start + batch.count]:
                error = unreadable.get(root / path)
                yield error or Computed(next(readable), batch.changes.get(path, ()))


class OpenVinoEngine:
    """A network in OpenVINO on the CPU, with several requests at a time.

    Args:
        model: the `.xml` file, for float pixels (n, size, size, 3).
        precision: f32 or bf16.
        images: the number of images, if it may be small.
    """

    # Measured on two cores: 8 images per request are as fast as any number, and fit into caches.
    batch_size = 8

    def __init__(self, model: Path, precision: str, images: int = batch_size) -> None:
        self.batch_size = max(1, min(images, self.batch_size))
        silence_openvino()
        import openvino
        from openvino.preprocess import PrePostProcessor

        core = openvino.Core()
        network = core.read_model(model)
        network.reshape([self.batch_size, *list(network.input().partial_shape)[1:]])
        steps = PrePostProcessor(network)
        # bytes as input, converted by OpenVINO, copy a quarter of the data
        steps.input().tensor().set_element_type(openvino.Type.u8)
        options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
        compiled = core.compile_model(steps.build(), "CPU", options)
        count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._free = [compiled.create_infer_request() for _ in range(count)]
        self._tensor = openvino.Tensor

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        """Pair each batch, in order, with its outputs: float32, (n, ...)."""
        running: deque[tuple[Any, Batch, np.ndarray]] = deque()

        def finish() -> tuple[Batch, np.ndarray]:
            request, batch, _ = running.popleft()
            request.wait()
            self._free.append(request)
            return batch, request.get_output_tensor().data[: len(batch.pixels)].copy()

        try:
            for batch in batches:
                if not self._free:
                    yield finish()
                request, pixels = self._free.pop(), _padded(batch.pixels, self.batch_size)
                request.set_input_tensor(self._tensor(pixels, shared_memory=True))
                request.start_async()
                running.append((request, batch, pixels))
            while running:
                yield finish()
        finally:
            while running:  # if stopped early: a request must not outlive its pixels
                finish()


class KerasEngine:
    """A Keras model on its backend.

    Args:
        model: pixels 0-255 (n, size, size, 3) -> (n, ...).
    """

    batch_size = 32

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        """Pair each batch, in order, with its outputs: float32, (n, ...)."""
        import numpy as np

        for batch in batches:
            # a constant shape, so that the backend compiles once
            pixels = _padded(batch.pixels, self.batch_size)
            outputs = self._model.predict_on_batch(pixels.astype(np.float32))
            yield batch, np.asarray(outputs, np.float32)[: len(batch.pixels)]


def _padded(pixels: np.ndarray, count: int) -> np.ndarray:
    """The batch, padded with black images to `count`."""
    import numpy as np

    if len(pixels) == count:
        return pixels
    missing = np.zeros((count - len(pixels), *pixels.shape[1:]), pixels.dtype)
    return np.concatenate([pixels, missing])


def _choose_engine(wanted: str) -> str:
    if wanted == "openvino":
        _require_openvino("Use `--engine keras`.")
    if wanted == "auto":
        return "openvino" if find_spec("openvino") and not has_gpu() else "keras"
    return wanted


def _require_openvino(hint: str) -> None:
    if find_spec("openvino") is None:
        raise DlError(
            "OpenVINO is not installed",
            why="there may be no wheel for this computer",
            hint=hint,
        )


def computes_bf16(engine: str) -> bool:
    """Whether this computer's processor has bf16 for an engine."""
    if engine == "openvino":
        silence_openvino()
        import openvino

        return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return has_gpu() and gpu_has_bf16()
