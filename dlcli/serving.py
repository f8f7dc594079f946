"""What answers for a run: its engine files, else its model in Keras; and images put through it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.config import Config
from dlcli.engine_files import WithHead, open_engine, open_head
from dlcli.errors import DlError
from dlcli.files.paths import shown
from dlcli.images.augmentation import View
from dlcli.images.pixels import (
    PixelRule,
    UnreadableImage,
    named,
    none_readable,
    read_batches,
    refuse_unreadable,
)
from dlcli.models.backbones import get_backbone
from dlcli.models.engines import Engine, KerasEngine, start_engine
from dlcli.models.forward import Forward
from dlcli.models.saved import load_model
from dlcli.models.weights import fetch_weights, weights_hash
from dlcli.progress import say, track
from dlcli.runs.run import Run
from dlcli.settings.shared import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dlcli.engine_files import Head


def start_serving(run: Run, config: Config, images: int) -> tuple[PixelRule, Engine]:
    """How files become pixels for a run, and what makes probabilities of these.

    Args:
        run: a finished run with a model of its own.
        config: the backbone's weights, where they lie elsewhere than when it was trained.
        images: about how many there are to be.

    Raises:
        DlError: the model is gone, damaged, or would run code; other weights than the run's.
    """
    if opened := open_engine(run, images):
        return opened
    if run.status().get("predicts_from") != "features":
        return PixelRule(**run.record()["pixels"]), KerasEngine(_model(run))
    forward, head = Forward.from_description(run.record()["forward"]), start_head(run)
    return forward.pixels, WithHead(start_engine(forward, same_weights(run, config, forward)), head)


def start_head(run: Run) -> Head:
    """What makes probabilities of the features that a run predicts from.

    Raises:
        DlError: the model is gone, damaged, or would run code.
    """
    return open_head(run) or _model(run).get_layer("head").predict_on_batch


def _model(run: Run) -> keras.Model:
    from dlcli.backend import start_backend

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
    """Probabilities of the images that can be read.

    Args:
        root: the folder that `paths` are relative to.
        paths: the images.
        seen: what `start_serving` gave.
        settings: threads, what to do about unreadable images.
        what: what to call them: "test", "the photos".
        view: how each is changed at random before; None: not at all.

    Returns:
        the paths of the readable ones, and float32 (n_samples, n_classes).

    Raises:
        DlError: unreadable images, with `on_error` "stop"; none that is readable.
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
        say(f"{len(unreadable):,} of {what} left out, unreadable:\n{named(unreadable)}")
    bad = {error.path for error in unreadable}
    return tuple(path for path in paths if root / path not in bad), np.concatenate(parts)


def same_weights(run: Run, config: Config, forward: Forward) -> Path:
    """The file of the backbone's weights that a run was trained with.

    Raises:
        DlError: it is gone, or holds other weights now.
    """
    recorded = run.config().get("weights")
    # a file in the settings is for the backbone there, which may be another one
    typed = config.settings().weights if config.is_flag("weights") else None
    named = typed or (Path(recorded) if recorded else None)
    weights = fetch_weights(get_backbone(forward.backbone), named)
    if weights_hash(weights) != forward.weights_hash:
        raise DlError(
            f"{shown(weights)} does not hold the weights that {run.name} was trained with",
            why=f"expected sha256 {forward.weights_hash}..., found {weights_hash(weights)}...",
            hint="Name the right file with `--weights FILE`.",
        )
    return weights
