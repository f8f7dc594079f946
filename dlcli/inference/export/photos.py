"""Exports of runs on photos: what goes in and comes out, and the check on validation images."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError
from dlcli.images.pixels import PixelRule, UnreadableImage, load_pixels
from dlcli.inference.export.formats import (
    REMOVED,
    TOLERANCE,
    Agreement,
    Format,
    answers_of,
    at_most,
)
from dlcli.inference.kept import holder
from dlcli.inference.predictions import Predictions, read_predictions
from dlcli.runs.run import Run

if TYPE_CHECKING:
    import keras
    import numpy as np

MEANING_OF_CHECKED = (
    "images: validation images that it was checked on (0: noise); same_class: images with the "
    "class that the run predicted; predictions, keras: the largest difference of a probability "
    "from the run's own, made in run_precision, and from Keras' in f32; null: the package that "
    "runs it was not installed"
)

# Enough images to show that classes, channels and preprocessing are the same.
IMAGES_CHECKED = 64
# What is typed after the script beside the model.
TYPED = "PHOTO"
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
inputs = numpy.asarray(image, numpy.float32)[None]
{run}
for number in numpy.argsort(-outputs)[:5]:
    print(f"{{outputs[number]:.4f}}  {{CLASSES[number]}}")
"""


@dataclass(frozen=True)
class ImagesAgreement(Agreement):
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

    def __str__(self) -> str:
        by_keras = f"differs from that of the run's model in Keras by {at_most(self.keras)}"
        if self.predictions is None:
            return f"Checked on noise, without images. Each probability {by_keras}."
        said = (
            f"Checked on {self.images} validation images: {self.same_class} have the class that "
            f"the run predicted. Each probability {by_keras}"
        )
        by_run = at_most(self.predictions)
        if self.run_precision == "f32":
            return f"{said}, and from that of the run's predictions by {by_run}."
        return (
            f"{said}. It differs from that of the run's predictions by {by_run}: the run computed "
            f"features in {self.run_precision}, which is quicker and less precise; the exported "
            "model computes in f32."
        )


def example(run: Run, wanted: Format, model: keras.Model) -> str:
    """The script that runs the exported model on a photo."""
    assert run.record.pixels is not None  # of an ensemble alone
    turns = run.record.pixels.version > 1
    return _SCRIPT.format(
        runtime=wanted.runtime,
        name=wanted.name,
        classes=list(run.classes),
        size=model.input_shape[1],
        imports="Image, ImageOps" if turns else "Image",
        opened="ImageOps.exif_transpose(Image.open(sys.argv[1]))"
        if turns
        else "Image.open(sys.argv[1])",
        run=wanted.example,
    )


def described(run: Run, wanted: Format, model: keras.Model) -> dict[str, Any]:
    """The model's input and output, as plain values."""
    return {
        "classes": list(run.classes),
        "input": {
            "shape": [None, *model.input_shape[1:]],
            "dtype": "float32",
            "values": "pixels 0 to 255, channels red, green, blue last",
            "resized": str(run.record.pixels),
            "batch": wanted.batch.format(one="image", shape="height, width, 3")
            or "any number of images",
        },
        "preprocessing": "inside the model",
        "output": {
            "shape": [None, len(run.classes)],
            "dtype": "float32",
            "values": "probabilities, in the order of the classes",
        },
    }


def check_export(
    run: Run, model: keras.Model, path: Path, format_name: str, root: Path | None
) -> ImagesAgreement:
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
    answers = answers_of(path, format_name, pixels)
    expected = np.asarray(model.predict_on_batch(pixels))
    by_keras = float(np.abs(answers - expected).max())
    if not by_keras <= TOLERANCE:
        raise DlError(
            "The exported model's output differs from the run's",
            why=f"a probability differs by {by_keras:.2g} from Keras'",
            hint=REMOVED,
        )
    forward = run.features_forward
    precision = forward.precision if forward else "f32"
    if predicted is None:
        return ImagesAgreement(0, by_keras, None, 0, precision)
    same = int((answers.argmax(axis=1) == predicted.argmax(axis=1)).sum())
    by_run = float(np.abs(answers - predicted).max())
    if precision == "f32" and not by_run <= TOLERANCE:
        raise DlError(
            "The exported model's output differs from the run's predictions",
            why=f"a probability differs by {by_run:.2g} from `predictions/valid.csv`",
            hint="The export was removed. The predictions may be out of date: remove that CSV, run "
            f"`dl evaluate {run.name}`, then export again.",
        )
    return ImagesAgreement(len(pixels), by_keras, by_run, same, precision)


def files_beside(run: Run) -> tuple[Path, ...]:
    """The files of the run that are copied beside the model: none, its classes are in both."""
    return ()


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
