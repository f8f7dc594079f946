"""The course's order of models: from the simplest to those that stand on others' work.

Source: fast.ai, Practical Deep Learning for Coders (2017), the notes on going "end to end" and the
mnist and statefarm notebooks; the pretrained networks of lessons 1 to 3 follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcli.catalog import recipe_class
from dlcli.data.dataset import whole_of
from dlcli.evaluation.remedies import Options
from dlcli.files.paths import typed
from dlcli.recipe import Recipe


@dataclass(frozen=True)
class Rung:
    """One step of the course.

    Args:
        recipe: its name.
        values: hyperparameters that differ from the recipe's defaults.
    """

    recipe: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> str:
        """What to type for the values: "--augment --dropout 0.5"."""
        return " ".join(
            f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
            for name, value in self.values.items()
        )

    @property
    def name(self) -> str:
        """The recipe and what is new about it, in a word: "cnn +batchnorm"."""
        return f"{self.recipe} +{[*self.values][-1]}" if self.values else self.recipe

    @property
    def command(self) -> str:
        """What to type to train it."""
        return f"dl train {self.recipe} {self.flags}".rstrip()

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Its values, and at their defaults those that other steps of its recipe bring in.

        So a step never has what a later one adds, whatever a file of settings says.
        """
        cls = recipe_class(self.recipe)
        others = {name for rung in RUNGS if rung.recipe == self.recipe for name in rung.values}
        return {name: getattr(cls, name) for name in sorted(others)} | dict(self.values)


RUNGS = (
    Rung("linear"),
    Rung("dense"),
    Rung("cnn"),
    Rung("cnn", {"augment": True}),
    Rung("cnn", {"augment": True, "batchnorm": True}),
    Rung("cnn", {"augment": True, "batchnorm": True, "dropout": 0.5}),
    Rung("imagenet-linear"),
    Rung("finetune"),
    Rung("fc"),
    Rung("bn"),
)
# What a model that sees the pixels is to be held against.
PRETRAINED = "dl train finetune"


def options_of(recipe: Recipe, name: str, root: Path, normalises: bool) -> Options:
    """What a training used, and what could be typed instead.

    Args:
        recipe: with its hyperparameters.
        name: the recipe's.
        root: the dataset's folder.
        normalises: whether the network has batch normalisation that trains.
    """
    whole = whole_of(root)
    return Options(
        augments=recipe.augment,
        dropout=getattr(recipe, "dropout", None),
        normalises=normalises,
        full=f"-d {typed(whole)}" if whole else None,
        pretrained=PRETRAINED if recipe.layer is None else None,
        simpler=recipe.simpler,
        richer=recipe.richer,
        find_rate=f"dl lr-find {name}",
    )
