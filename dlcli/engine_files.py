"""A run's model as OpenVINO files beside it, so that a photo is answered without a backend.

They are made when training ends, of the best model. A network that stayed frozen is the very file
that computed the features, by a second name where the file system has such; the head, and any
network that trained, Keras exports. So a photo gets the probabilities that it had in training.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dlcli.backend import chosen_backend, silence_openvino
from dlcli.errors import DlError
from dlcli.files.atomic import digest_of, sync_tree
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.images.pixels import Batch, PixelRule
from dlcli.models.engines import Engine, OpenVinoEngine, computes_bf16
from dlcli.models.forward import Forward
from dlcli.models.openvino import MODEL, exported
from dlcli.models.saved import export_model
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

    Head = Callable[[np.ndarray], np.ndarray]
    """Features (n, ...) -> probabilities (n, n_classes)."""

RECORD = "engine.yaml"
NETWORK, HEAD = "network.xml", "head.xml"
_PREFIX = ".engine-"


def make_engine(run: Run, model: keras.Model, frozen: tuple[Forward, Path] | None = None) -> bool:
    """Write a run's engine files, in place of any that are there.

    Args:
        run: its `config.yaml` and best model are written.
        model: the best one: pixels 0-255 (n, size, size, 3) -> probabilities (n, n_classes).
        frozen: what computed the features that the run predicts from, and the file of its
            weights; None: the run sees pixels.

    Returns:
        False where OpenVINO is not installed, or the backend is not TensorFlow, on which alone
            these files are tested.

    Raises:
        DlError: the model can't be exported.
        OSError: no space, no permission.
    """
    if find_spec("openvino") is None or chosen_backend() != "tensorflow":
        return False
    for left in run.engine.parent.glob(f"{_PREFIX}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=_PREFIX, dir=run.engine.parent) as temporary:
        built = Path(temporary) / run.engine.name
        built.mkdir()
        record = {"model": digest_of(run.best_model), "pixels": run.record()["pixels"]}
        record |= {"precision": "f32", "head": False}
        if frozen:
            record["pixels"] = frozen[0].describe()["pixels"]
        if frozen and frozen[0].engine == "openvino":
            record |= {"precision": frozen[0].precision, "head": True}
            network = exported(*frozen)
            for name, own in zip(MODEL, (NETWORK, "network.bin"), strict=True):
                _second_name(network.with_name(name), built / own)
            export_model(model.get_layer("head"), built / HEAD)
        else:
            export_model(model, built / NETWORK)
        write_yaml(built / RECORD, record)
        sync_tree(built)
        shutil.rmtree(run.engine, ignore_errors=True)
        built.rename(run.engine)
    return True


def open_engine(run: Run, images: int) -> tuple[PixelRule, Engine] | None:
    """What answers for photos without a backend: how files become pixels, and what these go into.

    Args:
        run: a finished run.
        images: about how many there are to be; a few go in smaller batches.

    Returns:
        None where there are no engine files, or of another model than the run's best, or damaged.
    """
    record = _record(run)
    if record is None:
        return None
    precision = record["precision"] if computes_bf16("openvino") else "f32"
    head = _head(run) if record["head"] else None
    if record["head"] and head is None:
        return None
    try:
        network = OpenVinoEngine(run.engine / NETWORK, precision, images)
    except RuntimeError:  # all that OpenVINO says of a damaged file
        return None
    return PixelRule(**record["pixels"]), WithHead(network, head) if head else network


def open_head(run: Run) -> Head | None:
    """The head of a run that predicts from features.

    Returns:
        None where there is no such file, or another model's, or a damaged one.
    """
    record = _record(run)
    return _head(run) if record and record["head"] else None


def _head(run: Run) -> Head | None:
    silence_openvino()
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    try:
        compiled = core.compile_model(core.read_model(run.engine / HEAD), "CPU", options)
    except RuntimeError:
        return None

    def head(rows: np.ndarray) -> np.ndarray:
        answer: np.ndarray = compiled(rows)[0].copy()  # the next call writes over it
        return answer

    return head


class WithHead:
    """An engine, and a head that makes probabilities of what it gives.

    Args:
        engine: pixels -> features.
        head: features (n, ...) -> probabilities (n, n_classes).
    """

    def __init__(self, engine: Engine, head: Head) -> None:
        self._engine, self._head = engine, head
        self.batch_size = engine.batch_size

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, np.ndarray]]:
        """Pair each batch, in order, with its probabilities: float32 (n, n_classes)."""
        for batch, rows in self._engine.run(batches):
            yield batch, self._head(rows)


def _record(run: Run) -> dict[str, Any] | None:
    """What describes the files, where they are there, whole, and of the run's best model."""
    file = run.engine / RECORD
    if not file.is_file() or find_spec("openvino") is None:
        return None
    try:
        record = read_yaml(file)
    except DlError:
        return None
    keys = {"model", "pixels", "precision", "head"}
    whole = isinstance(record, dict) and record.keys() == keys
    return record if whole and record["model"] == digest_of(run.best_model) else None


def _second_name(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:  # on another file system, or one without hard links
        shutil.copyfile(file, name)
