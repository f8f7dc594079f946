"""A run's settings by dotted keys: where they are not the default, and where runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.catalog import recipe_class
from dlcli.config import RECORD, declared
from dlcli.errors import DlError
from dlcli.files.formats import below, flat
from dlcli.models.backbones import get_backbone
from dlcli.runs.changes import change_lines
from dlcli.runs.run import Run
from dlcli.settings.augmentation import PRESETS, Augmentation
from dlcli.settings.fields import coerce, plain, text_of

# Where things lie, and what a machine can bear: they don't tell one training from another.
LOCATIONS = ("data_dir", "runs_dir", "dataset", "workers", "memory")
# What `dl` decided on where nobody did: it stands in the file as if it had been asked for.
DECIDED = ("engine", "precision")
IMAGE_SIZE = "image_size"

CHANGES = "changes"
# What is written or kept besides: no result depends on it.
BESIDES = ("tensorboard", "keep_checkpoint")
# Of a run's record, what its result depends on. The rest says who asked for it, from where, and
# what follows from settings.
RECORDED = (
    "recipe_digest",
    "members",
    CHANGES,
    "classes",
    "dataset.images",
    "dataset.fingerprints",
    "pseudo_labels",
    "forward.weights_hash",
    "forward.layer",
    "forward.pixels.decode",
    "versions",
    "git",
    "platform",
)


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
        if key in (*LOCATIONS, *DECIDED) or (key in fixed and fixed[key] == value):
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


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all of some runs.

    Args:
        setting: its key; of a hyperparameter its own name, whichever recipe has it.
        values: of each run, as YAML holds it; None where it is unset or the run has none.
    """

    setting: str
    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The same as people write them."""
        if self.setting == CHANGES:
            return tuple("; ".join(change_lines(value)) for value in self.values)
        return tuple(map(text_of, self.values))


def differing_settings(runs: Sequence[Run]) -> list[Difference]:
    """The settings that are not the same in all of some runs, recipe and hyperparameters first.

    What is unset in one and unknown to another is the same; what no result depends on is left out.

    Raises:
        DlError: a run's `config.yaml` is missing or damaged.
    """
    rows = {
        key: tuple(settings.get(key) for settings in group)
        for group in zip(*map(_settings, runs), strict=True)
        for one in group
        for key in one
    }
    found = [Difference(key, row) for key, row in rows.items() if key not in BESIDES]
    return [each for each in found if len(set(each.texts)) > 1]


def _settings(run: Run) -> tuple[dict[str, Any], ...]:
    """A run's recipe, its hyperparameters, its settings, and what its record adds; dotted keys."""
    config = run.config
    record = {str(key): value for key, value in config[RECORD].items()}
    recipe = record.get("recipe")
    if isinstance(members := record.get("members"), list):
        record["members"] = [below(member, "name") for member in members]
    recorded = {
        key: value
        for key, value in flat(record, lists=True)
        if any(f"{key}.".startswith(f"{kept}.") for kept in RECORDED)
    }
    own = flat(below(config, "train", str(recipe)), lists=True)
    settings = {key: value for key, value in config.items() if key not in (RECORD, "train")}
    return {"recipe": recipe}, dict(own), dict(flat(settings, lists=True)), recorded
