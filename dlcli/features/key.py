"""The key of a feature store: a hash of the function from image to feature.

The key covers network, weights, cut layer, image size, decoding and resizing, engine, precision and
view: everything in `Forward`. It leaves out workers and batch size, which change no number.
"""

from __future__ import annotations

import hashlib
import json

from dlcli.models.forward import Forward


def feature_key(forward: Forward) -> str:
    """Eight hex digits that differ where the function differs."""
    text = json.dumps(forward.describe(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def store_name(forward: Forward) -> str:
    """The name of a store's folder: network, cut and view in words, then the key."""
    view = f"-view{forward.view.number}" if forward.view else ""
    return f"{forward.backbone}-{forward.layer}{view}-{feature_key(forward)}"
