"""What stands in a run's `config.yaml`, by dotted keys, and where it is not the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.catalog import recipe_class
from dlcli.config import RECORD
from dlcli.declarations import declared
from dlcli.errors import DlError
from dlcli.files.formats import flat
from dlcli.models.backbones import get_backbone
from dlcli.settings.augmentation import PRESETS, Augmentation
from dlcli.settings.fields import coerce, plain

# Where things lie, and what a machine can bear: they don't tell one training from another.
PLACES = ("data_dir", "runs_dir", "dataset", "workers", "memory")
# What `dl` decided on where nobody did: it stands in the file as if it had been asked for.
DECIDED = ("engine", "precision")
IMAGE_SIZE = "image_size"


@dataclass(frozen=True)
class Changed:
    """A setting of a run that is not the default.

    Args:
        key: dotted.
        value: as `config.yaml` holds it.
        default: today's, as YAML could hold it.
        known: whether there is such a setting still.
    """

    key: str
    value: Any
    default: Any
    known: bool = True


def changed_settings(config: Mapping[str, Any]) -> list[Changed]:
    """The settings of a run that are not the defaults, hyperparameters first.

    What its recipe fixes, and where data and runs lie, is left out.

    Args:
        config: what `Run.config` gave.
    """
    recipe = str(config[RECORD].get("recipe"))
    fixed = {**_pinned(recipe), **_preset(config)}
    changed = []
    for key, value in flat({name: held for name, held in config.items() if name != RECORD}):
        if key in (*PLACES, *DECIDED) or (key in fixed and fixed[key] == value):
            continue
        try:
            setting = declared(key)
            default = _own_size(recipe, config) if key == IMAGE_SIZE else setting.default
            same = coerce(value, setting) == default
        except DlError:
            changed.append(Changed(key, value, None, known=False))
            continue
        if not same:
            changed.append(Changed(key, value, plain(default)))
    return sorted(changed, key=lambda each: not each.key.startswith("train."))


def _pinned(recipe: str) -> Mapping[str, Any]:
    """What a recipe fixes; nothing where there is no such recipe any more."""
    try:
        return recipe_class(recipe).pinned
    except DlError:
        return {}


def _own_size(recipe: str, config: Mapping[str, Any]) -> int:
    """Pixels a side that are taken where nobody sets them: the recipe's, or the backbone's.

    Raises:
        DlError: there is no such recipe or backbone any more.
    """
    cls = recipe_class(recipe)
    if cls.layer is None:
        return cls.image_size
    return get_backbone(str(config.get("backbone", declared("backbone").default))).features_size


def _preset(config: Mapping[str, Any]) -> dict[str, Any]:
    """The amounts of augmentation that follow from the preset alone."""
    written = config.get("augmentation")
    preset = written.get("preset") if isinstance(written, Mapping) else None
    if preset not in PRESETS:
        return {}
    amounts = Augmentation(preset).describe()  # type: ignore[arg-type]
    return {f"augmentation.{name}": held for name, held in amounts.items() if name != "preset"}
