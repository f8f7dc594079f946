"""Predict images with a run: by its engine files, else by its model in Keras.

Engine files are the best model as OpenVINO files in the run, made at the end of training. With them
photos are predicted without a Keras backend. A frozen backbone is the same file that computed the
features, as a hard link if possible; Keras exports the head, and any backbone that was trained. So
a photo gets the same probabilities as in training.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.backend import chosen_backend, silence_openvino, start_backend
from dlcli.config import Config
from dlcli.errors import DlError
from dlcli.files.atomic import atomic_folder, digest_of
from dlcli.files.formats import read_yaml, write_yaml
from dlcli.files.paths import shown
from dlcli.images.augmentation import View
from dlcli.images.pixels import (
    Batch,
    PixelRule,
    UnreadableImage,
    named,
    none_readable,
    read_batches,
    refuse_unreadable,
)
from dlcli.models.backbones import get_backbone
from dlcli.models.engines import Engine, KerasEngine, OpenVinoEngine, computes_bf16, start_engine
from dlcli.models.forward import Forward
from dlcli.models.openvino import MODEL, exported
from dlcli.models.saved import export_model, load_model
from dlcli.models.weights import fetch_weights, weights_hash
from dlcli.progress import say, track
from dlcli.runs.run import Run
from dlcli.settings.shared import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    Head = Callable[[np.ndarray], np.ndarray]
    """Features (n, ...) -> probabilities (n, n_classes)."""


RECORD = "engine.yaml"
NETWORK, HEAD = "network.xml", "head.xml"


class WithHead:
    """An engine for the features, and a head for the probabilities.

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


def start_serving(run: Run, config: Config, images: int) -> tuple[PixelRule, Engine]:
    """How files become pixels for a run, and the engine that turns pixels into probabilities.

    Args:
        run: a finished run with a model of its own.
        config: the backbone's weights, if they have moved since training.
        images: about how many images will be predicted.

    Raises:
        DlError: the model is gone, damaged, or would run code; the weights are not the run's.
    """
    if opened := open_engine(run, images):
        return opened
    if forward := run.features_forward:
        engine = start_engine(forward, same_weights(run, config, forward))
        return forward.pixels, WithHead(engine, start_head(run))
    assert run.record.pixels is not None  # of an ensemble alone
    return run.record.pixels, KerasEngine(_model(run))


def start_head(run: Run) -> Head:
    """The head of a run that predicts from features.

    Raises:
        DlError: the model is gone, damaged, or would run code.
    """
    return open_head(run) or _model(run).get_layer("head").predict_on_batch


def _model(run: Run) -> keras.Model:
    start_backend()
    return load_model(run.best_model)


def predict_images(
    root: Path,
    paths: Sequence[str],
    seen: tuple[PixelRule, Engine],
    settings: Settings,
    what: str,
    view: View | None = None,
) -> tuple[tuple[str, ...], np.ndarray]:
    """Predict the readable images.

    Args:
        root: the folder that `paths` are relative to.
        seen: the result of `start_serving`.
        settings: threads, what to do about unreadable images.
        what: a name for them: "test", "the photos".
        view: random augmentation of each image; None: none.

    Returns:
        the paths of the readable images, and their probabilities, float32 (n_samples, n_classes).

    Raises:
        DlError: unreadable images, with `on_error` "stop"; all are unreadable.
    """
    import numpy as np

    rule, engine = seen
    parts: list[np.ndarray] = []
    unreadable: list[UnreadableImage] = []
    batches = read_batches(root, paths, rule, engine.batch_size, settings.threads)
    with closing(batches), track(f"Predicting {what}", len(paths), "images") as bar:
        for batch, y_prob in engine.run(view.of(batches, paths) if view else batches):
            unreadable += batch.unreadable
            if len(y_prob):
                parts.append(y_prob)
            bar.advance(batch.count)
    if settings.on_error == "stop":
        refuse_unreadable(unreadable)
    if len(unreadable) == len(paths):
        raise none_readable(what, unreadable[0], len(unreadable))
    if unreadable:
        say(f"Left out {len(unreadable):,} of {what}, unreadable:\n{named(unreadable)}")
    bad = {error.path for error in unreadable}
    return tuple(path for path in paths if root / path not in bad), np.concatenate(parts)


def same_weights(run: Run, config: Config, forward: Forward) -> Path:
    """The file of the backbone's weights that a run was trained with.

    Raises:
        DlError: it is gone, or holds other weights now.
    """
    recorded = run.config.get("weights")
    # a file in the settings belongs to the backbone there, which may be another one
    given = config.settings().weights if config.is_flag("weights") else None
    file = given or (Path(str(recorded)) if recorded else None)
    weights = fetch_weights(get_backbone(forward.backbone), file)
    if weights_hash(weights) != forward.weights_hash:
        raise DlError(
            f"{shown(weights)} is not the file of weights that {run.name} was trained with",
            why=f"expected sha256 {forward.weights_hash}..., found {weights_hash(weights)}...",
            hint="Name the right file with `--weights FILE`.",
        )
    return weights


def make_engine(run: Run, model: keras.Model, frozen: tuple[Forward, Path] | None = None) -> bool:
    """Write a run's engine files, and replace earlier ones.

    Args:
        run: a run whose `config.yaml` and best model are already written.
        model: the best model: pixels 0-255 (n, size, size, 3) -> probabilities (n, n_classes).
        frozen: the function of the run's features, and the file of its weights; None: the run
            takes pixels.

    Returns:
        False if OpenVINO is not installed, or the backend is not TensorFlow: these files are only
            tested on TensorFlow.

    Raises:
        DlError: the model can't be exported.
        OSError: no space, no permission.
    """
    if find_spec("openvino") is None or chosen_backend() != "tensorflow":
        return False
    with atomic_folder(run.engine, run.path, replace=True, keep_others=True) as built:
        pixels = frozen[0].pixels if frozen else run.record.pixels
        assert pixels is not None
        record: dict[str, Any] = {"model": digest_of(run.best_model), "pixels": pixels.describe()}
        record |= {"precision": "f32", "head": False}
        if frozen and frozen[0].engine == "openvino":
            record |= {"precision": frozen[0].precision, "head": True}
            network = exported(*frozen)
            for name, own in zip(MODEL, (NETWORK, "network.bin"), strict=True):
                _second_name(network.with_name(name), built / own)
            export_model(model.get_layer("head"), built / HEAD)
        else:
            export_model(model, built / NETWORK)
        write_yaml(built / RECORD, record)
    return True


def open_engine(run: Run, images: int) -> tuple[PixelRule, Engine] | None:
    """The rule for pixels and the engine that predict photos without a Keras backend.

    Args:
        run: a finished run.
        images: about how many images will be predicted; a few go in smaller batches.

    Returns:
        None if the engine files are missing, damaged, or not of the run's best model.
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
    except RuntimeError:  # OpenVINO's error for a damaged file
        return None
    return PixelRule(**record["pixels"]), WithHead(network, head) if head else network


def open_head(run: Run) -> Head | None:
    """The head of a run that predicts from features.

    Returns:
        None if its file is missing, damaged, or not of the run's best model.
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
        answer: np.ndarray = compiled(rows)[0].copy()  # the next call overwrites it
        return answer

    return head


def _record(run: Run) -> dict[str, Any] | None:
    """The description of the engine files; None unless they are complete and of the best model."""
    file = run.engine / RECORD
    if not file.is_file() or find_spec("openvino") is None:
        return None
    try:
        record = read_yaml(file)
    except DlError:
        return None
    keys = {"model", "pixels", "precision", "head"}
    whole = isinstance(record, dict) and record.keys() == keys and _is_rule(record["pixels"])
    return record if whole and record["model"] == digest_of(run.best_model) else None


def _is_rule(pixels: Any) -> bool:
    """Whether a record's values are those of a `PixelRule`, of a size that `dl` trains at."""
    if not isinstance(pixels, dict) or not pixels.keys() <= {"size", "decode", "version"}:
        return False
    size, decode, version = pixels.get("size"), pixels.get("decode"), pixels.get("version", 1)
    known = decode in ("exact", "scaled") and version in (1, 2)
    return known and isinstance(size, int) and 0 < size <= 4096


def _second_name(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:  # on another file system, or one without hard links
        shutil.copyfile(file, name)
