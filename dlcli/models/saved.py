"""A run's model, read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.backend import without_notices
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
