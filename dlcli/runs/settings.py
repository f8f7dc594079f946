"""A run's settings: those that are not the default, and those in which runs differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.catalog import recipe_class
from dlcli.errors import MOST_NAMED, DlError
from dlcli.files.formats import below, flat
from dlcli.keys import declared
from dlcli.models.backbones import get_backbone
from dlcli.recipe import Recipe
from dlcli.runs.changes import change_lines
from dlcli.runs.run import Run
from dlcli.settings.augmentation import PRESETS, Augmentation
from dlcli.settings.fields import coerce, plain, text_of
from dlcli.settings_file import RECORD
from dlcli.trust import asked_by

# Paths and limits of the machine, which don't distinguish trainings.
LOCATIONS = ("data_dir", "runs_dir", "dataset", "workers", "memory")
# Values that `dl` chose by default; the file holds them as if they had been set.
DECIDED = ("engine", "precision")
IMAGE_SIZE = "image_size"

CHANGES, CLASSES = "changes", "classes"
# A table names this many classes of a run that has more than `MOST_NAMED`.
SUCH_AS = 3
# Settings of additional files, which no result depends on.
BESIDES = ("tensorboard", "keep_checkpoint")
# Values of a run's record that its result depends on. The others are about who made it and where,
# or follow from settings.
RECORDED = (
    "recipe_digest",
    "members",
    CHANGES,
    CLASSES,
    "dataset.images",
    "dataset.ratings",
    "dataset.fingerprints",
    "pseudo_labels",
    "forward.weights_hash",
    "forward.layer",
    "forward.pixels.decode",
    "pixels.version",
    "versions",
    "git",
    "platform",
)


@dataclass(frozen=True)
class Changed:
    """A setting of a run that is not the default.

    Args:
        key: its dotted key.
        value: its value in `config.yaml`.
        default: today's default as a plain value.
        known: whether the setting still exists.
    """

    key: str
    value: Any
    default: Any
    known: bool = True


@asked_by(None)  # without a recipe's code, its defaults are unknown
def changed_settings(config: Mapping[str, Any]) -> list[Changed]:
    """The settings of a run that are not the defaults, hyperparameters first.

    Values that its recipe fixes, and the folders of data and runs, are left out.

    Args:
        config: the value of `Run.config`.
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
    """The settings that a recipe fixes; {} if the recipe no longer exists."""
    try:
        return recipe_class(recipe).pinned
    except DlError:
        return {}


def _own_size(recipe: str, config: Mapping[str, Any]) -> int:
    """The default pixels a side: the recipe's or the backbone's.

    Raises:
        DlError: the recipe or backbone no longer exists, or the recipe takes no images.
    """
    cls = recipe_class(recipe)
    if not issubclass(cls, Recipe):
        raise DlError(f"The recipe `{recipe}` takes no images")
    if cls.layer is None:
        return cls.image_size
    return get_backbone(str(config.get("backbone", declared("backbone").default))).features_size


def _preset(config: Mapping[str, Any]) -> dict[str, Any]:
    """The amounts of augmentation of the preset."""
    written = config.get("augmentation")
    preset = written.get("preset") if isinstance(written, Mapping) else None
    if preset not in PRESETS:
        return {}
    amounts = Augmentation(preset).describe()  # type: ignore[arg-type]
    return {f"augmentation.{name}": held for name, held in amounts.items() if name != "preset"}


@dataclass(frozen=True)
class Difference:
    """A setting that differs among some runs.

    Args:
        setting: its key; a hyperparameter's name, for any recipe.
        values: its plain value in each run; None if it is unset, or the run does not have it.
    """

    setting: str
    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as text for people."""
        if self.setting == CHANGES:
            return tuple("; ".join(change_lines(value)) for value in self.values)
        return tuple(map(text_of, self.values))

    @property
    def brief(self) -> tuple[str, ...]:
        """The texts for a table; of many classes the number, and some that not all runs have."""
        if self.setting != CLASSES:
            return self.texts
        lists = [value if isinstance(value, list) else [] for value in self.values]
        held = [[str(name) for name in names] for names in lists]
        having = Counter(name for names in held for name in names)
        return tuple(
            text if len(names) <= MOST_NAMED else _such_as(names, having, len(held))
            for names, text in zip(held, self.texts, strict=True)
        )

    def differs(self, ensembles: Sequence[bool]) -> bool:
        """Whether runs differ in it, apart from ensembles that do not have it.

        Args:
            ensembles: whether each run is an ensemble.
        """
        having = zip(self.texts, self.values, ensembles, strict=True)
        return len({text for text, value, lacks in having if value is not None or not lacks}) > 1


def _such_as(names: Sequence[str], having: Mapping[str, int], runs: int) -> str:
    """The number of classes, and some of those that not all runs have, the rarest first.

    Args:
        names: the classes.
        having: how many runs have each class.
        runs: how many runs there are.
    """
    own = [name for name in names if having[name] < runs] or names
    rarest = sorted(own, key=having.__getitem__)
    return f"{len(names):,}, such as {', '.join(rarest[:SUCH_AS])}"


def differing_settings(runs: Sequence[Run]) -> list[Difference]:
    """The settings that differ among some runs, recipe and hyperparameters first.

    Unset in one run and unknown to another count as equal. Settings that no result depends on are
    left out.

    Raises:
        DlError: a run's `config.yaml` is missing or damaged.
    """
    rows = {
        key: tuple(settings.get(key) for settings in group)
        for group in zip(*map(_settings, runs), strict=True)
        for one in group
        for key in one
    }
    ensembles = [isinstance(below(run.config, RECORD, "members"), list) for run in runs]
    found = [Difference(key, row) for key, row in rows.items() if key not in BESIDES]
    return [each for each in found if each.differs(ensembles)]


def _settings(run: Run) -> tuple[dict[str, Any], ...]:
    """A run's recipe, hyperparameters, settings and recorded values, by dotted keys."""
    config = run.config
    record = {str(key): value for key, value in config[RECORD].items()}
    recipe = record.get("recipe")
    if isinstance(members := record.get("members"), list):
        record["members"] = [below(member, "name") for member in members]
    own = flat(below(config, "train", str(recipe)), lists=True)
    settings = {key: value for key, value in config.items() if key not in (RECORD, "train")}
    return {"recipe": recipe}, dict(own), dict(flat(settings, lists=True)), recorded(record)


def recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a run's record that its result depends on, by dotted keys."""
    return {
        key: value
        for key, value in flat(record, lists=True)
        if any(f"{key}.".startswith(f"{kept}.") for kept in RECORDED)
    }
