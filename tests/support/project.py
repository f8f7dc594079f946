"""A project with recipes of its own beside its `dl.yaml`."""

from __future__ import annotations

from pathlib import Path

from dlcli.trust import trust

# Trains in no time: one Dense layer on the pixels, with an option that no other recipe has.
WIDE = '''"""One layer, then a wider one.

It serves the tests.
"""

from dataclasses import dataclass

from dlcli.recipe import Recipe, setting


@dataclass(frozen=True)
class Wide(Recipe):
    layer = None
    units: int = setting(4, "outputs of the hidden layer", at_least=1)

    def head(self, input_shape, n_classes):
        from keras import Input, Sequential, layers

        last = layers.Dense(n_classes, activation="softmax")
        return Sequential([Input(input_shape), layers.Flatten(), layers.Dense(self.units), last])
'''
BROKEN = '"""It asks for what nobody has."""\n\nimport nobody_has_this\n'


def make_project(folder: Path, settings: str = "", **recipes: str) -> Path:
    """A trusted project: `dl.yaml`, and `recipes/` with files of these names and texts."""
    trust(somebodys_project(folder, settings, **recipes))
    return folder


def somebodys_project(folder: Path, settings: str = "", **recipes: str) -> Path:
    """A project as a download brings it, which nobody has trusted."""
    (folder / "recipes").mkdir(parents=True, exist_ok=True)
    (folder / "dl.yaml").write_text(settings)
    for name, text in recipes.items():
        (folder / "recipes" / f"{name}.py").write_text(text)
    return folder
