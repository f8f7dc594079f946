"""The plan of a training on photos: recipe, dataset and settings, resolved.

Unlabelled images may be added, with labels by a finished run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dlcli.data.photos.photos import Photos
from dlcli.images.pixels import PixelRule
from dlcli.inference.predictions import Predictions
from dlcli.models.forward import Forward
from dlcli.recipe import Phase, Recipe
from dlcli.settings.shared import BACKBONE_SETTINGS
from dlcli.training.job import Plan


@dataclass(frozen=True, kw_only=True)
class PhotosPlan(Plan):
    """What is trained on photos, and from where.

    Args:
        forward: the function that made or makes the features; None where the recipe sees pixels.
        weights: the file of the backbone's weights.
        pixels: how files become pixels if images go through the network; exact, so that the saved
            model gives the same numbers anywhere.
        pseudo_labels: predictions of the test images, used as labels.
    """

    recipe: Recipe
    dataset: Photos
    forward: Forward | None
    weights: Path | None
    pixels: PixelRule
    pseudo_labels: Predictions | None = None

    @property
    def unused(self) -> tuple[str, ...]:
        """The settings of a backbone, if there is none."""
        return () if self.forward else BACKBONE_SETTINGS

    def on_features(self, phase: Phase) -> bool:
        """Whether a phase trains on the feature store."""
        stored = not phase.augment or self.passes(phase)
        return self.forward is not None and not phase.trains_backbone and bool(stored)

    def passes(self, phase: Phase) -> int:
        """How many stored passes of augmented images a phase uses, besides the plain one.

        The epochs of all phases use them in turn, so there are never more than epochs.
        """
        wanted = self.recipe.augment_passes if phase.augment else 0
        return min(wanted, sum(phase.schedule.epochs for phase in self.phases))

    def same_samples(self, one: Phase, other: Phase) -> bool:
        """Whether two phases use the same samples."""
        kinds = [(self.on_features(phase), phase.augment) for phase in (one, other)]
        return kinds[0] == kinds[1]
