"""Python runs this at the start of every process that a test with the small backbone starts."""

import os
from pathlib import Path

from support.small_backbone import NAME, row

from dlcli.models.backbones import BACKBONES

BACKBONES[NAME] = row(Path(os.environ["SMALL_BACKBONE"]))
