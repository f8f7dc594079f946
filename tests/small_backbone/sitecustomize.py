"""Python runs this at the start of every process that a test with the small backbone starts."""

import os
from pathlib import Path

from dlcli.models.backbones import BACKBONES
from small_backbone import NAME, row

BACKBONES[NAME] = row(Path(os.environ["SMALL_BACKBONE"]))
