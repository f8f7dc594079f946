"""The settings in which runs differ, from what their `config.yaml` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.changes import in_words
from dlcli.config import RECORD
from dlcli.files.formats import below, flat
from dlcli.run import Run

CHANGES = "changes"
# What is written or kept besides: no result depends on it.
BESIDES = ("tensorboard", "keep_checkpoint")
# Of a run's record, what its result depends on. The rest says who asked for it, from where, and
# what follows from settings.
RECORDED = (
    *("recipe_digest", "members", CHANGES, "classes"),
    *("dataset.images", "dataset.fingerprints", "pseudo_labels"),
    *("forward.weights_hash", "forward.layer", "forward.pixels.decode"),
    *("versions", "git", "platform"),
)


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
            return tuple("; ".join(in_words(value)) for value in self.values)
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


def text_of(value: Any) -> str:
    """A setting's value as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(held)}" for key, held in value.items())
    return ", ".join(map(text_of, value)) if isinstance(value, list) else str(value)


def _settings(run: Run) -> tuple[dict[str, Any], ...]:
    """A run's recipe, its hyperparameters, its settings, and what its record adds; dotted keys."""
    config = run.config()
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
