"""Load and export a run's model."""

from __future__ import annotations

import os
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import silent, without_notices
from dlcli.errors import DlError, lacks_memory
from dlcli.files.paths import shown
from dlcli.models.bounds import most_weights, require_bounded_outputs, weights_bounded

if TYPE_CHECKING:
    import keras


def load_model(path: Path) -> keras.Model:
    """Load a run's model, which may be somebody else's; `bounds` has what it may hold.

    Raises:
        DlError: the file is missing, damaged, would run code or take memory without bound.
        Exception: of Python or the backend, if there is too little memory.
    """
    from textwrap import shorten

    import keras

    try:
        most = most_weights(path)
        with without_notices(), weights_bounded(most):
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        require_bounded_outputs(model)
    # of a config that somebody wrote, Keras, its backend and HDF5 may raise anything
    except Exception as error:
        if lacks_memory(error):
            raise
        raise DlError(
            f"{shown(path)} can't be loaded",
            why=shorten(str(error) or type(error).__name__, 300, placeholder=" ..."),
            hint="Use another run, or train it again: `dl rerun RUN`.",
        ) from error
    return model


def export_model(model: keras.Model, path: Path, format_name: str = "openvino") -> None:
    """Export a model with Keras' exporter.

    Args:
        model: with one input and one output.
        path: the file, or the folder of a SavedModel.
        format_name: Keras' name of the format.

    Raises:
        DlError: the export failed, with any error of Keras or of the packages that it calls.
        OSError: there is no space or no permission.
        Exception: of Python or the backend, if there is too little memory.
    """
    import warnings

    import keras
    import numpy as np

    plain = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    try:
        with silent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the exporters' own code
            zeros = np.zeros((1, *plain.input_shape[1:]), plain.inputs[0].dtype)
            plain.predict_on_batch(zeros)
            plain.export(str(path), format=format_name, verbose=False)
    except OSError:
        raise
    except Exception as error:
        if lacks_memory(error):
            raise
        if "iostream" in str(error):  # OpenVINO's only sign of a full disk
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(path)) from error
        raise DlError(
            f"{model.name} can't be exported as {format_name}",
            why=" ".join(str(error).split()) or type(error).__name__,
            hint="Try another format.",
        ) from error
