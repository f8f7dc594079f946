"""`--tta N` and the amounts of augmentation, for the commands that predict."""

from __future__ import annotations

import click

TTA = click.option(
    "--tta",
    type=int,
    metavar="N",
    help="test-time augmentation: the mean over each image and N changed views of it; changed as "
    "in training, or else by --preset",
)
