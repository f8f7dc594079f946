"""A run's model, written and read back."""

from __future__ import annotations

import os
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import silent, without_notices
from dlcli.errors import DlError
from dlcli.files.paths import shown

if TYPE_CHECKING:
    import keras


def load_model(path: Path) -> keras.Model:
    """A run's model; `safe_mode` refuses layers that carry code.

    Raises:
        DlError: the file is missing, damaged, or would run code.
    """
    from zipfile import BadZipFile

    import keras

    try:
        with without_notices():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, BadZipFile) as error:
        raise DlError(
            f"{shown(path)} can't be loaded",
            why=" ".join(str(error).split()),
            hint="Take another run, or train anew: `dl train`.",
        ) from error


def export_model(model: keras.Model, path: Path, format_name: str = "openvino") -> None:
    """Write a model by Keras' own exporter.

    Args:
        model: of one input and one output.
        path: the file, or the folder of a SavedModel.
        format_name: as Keras calls it.

    Raises:
        DlError: Keras or the packages that it calls can't, whatever they raise.
        OSError: no space, no permission.
    """
    import warnings

    import keras
    import numpy as np

    plain = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    try:
        with silent(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the exporters themselves are made of
            plain.predict_on_batch(np.zeros((1, *plain.input_shape[1:]), np.float32))
            plain.export(str(path), format=format_name, verbose=False)
    except OSError:
        raise
    except Exception as error:
        if "iostream" in str(error):  # all that OpenVINO says of a full disk
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(path)) from error
        raise DlError(
            f"{model.name} can't be exported as {format_name}",
            why=" ".join(str(error).split()) or type(error).__name__,
            hint="Another format may do.",
        ) from error
