"""Remedies of a diagnosis that were tried: runs of the same images with the remedy's change.

A remedy is a command, and the commands of a diagnosis are few: `dl rerun RUN` with changes, and
`dl train RECIPE`. A finished run is an attempt at one if it differs from RUN in that change alone,
or trained that recipe. All of this is read when it is printed, so it holds for older runs too.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlcli.config import RECORD
from dlcli.errors import DlError
from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.files.formats import below, flat
from dlcli.files.paths import shown
from dlcli.runs.choice import CLEARLY_LOWER
from dlcli.runs.listing import list_runs
from dlcli.runs.run import Run
from dlcli.runs.settings import BESIDES, DECIDED, LOCATIONS
from dlcli.settings.fields import Refused, text_of
from dlcli.settings.schedule import Schedule


@dataclass(frozen=True)
class Trained:
    """A finished training: what its result depends on, and the result.

    Args:
        name: the run's name.
        recipe: the recipe's name.
        settings: hyperparameters by their names, shared settings by their dotted keys, as text.
        images: the fingerprints of its training and validation images.
        val_loss: its lowest validation loss.
        parent: the name of the run that it is a rerun of, if it is one.
    """

    name: str
    recipe: str
    settings: Mapping[str, str]
    images: tuple[str, str]
    val_loss: float
    parent: str | None = None


@dataclass(frozen=True)
class Change:
    """What a remedy's command trains.

    Args:
        recipe: the recipe.
        changed: the settings that the command names, as text.
        others: all other settings, if they are those of a run; {} if they may have any values.
    """

    recipe: str
    changed: Mapping[str, str]
    others: Mapping[str, str]

    def is_that_of(self, run: Trained) -> bool:
        """Whether a run was trained so; a setting that an older run does not know may be any."""
        return (
            run.recipe == self.recipe
            and all(run.settings.get(name) == text for name, text in self.changed.items())
            and all(
                self.others[name] == run.settings[name]
                for name in self.others.keys() & run.settings.keys() - self.changed.keys()
            )
        )


def change_of(remedy: str, run: Trained) -> Change | None:
    """What a remedy's command trains; None if it trains nothing, or on other images.

    Args:
        remedy: as in `Diagnosis.next`: "more dropout, `dl rerun RUN --set dropout=0.75`".
        run: the run that it is a remedy for.
    """
    try:
        words = shlex.split(remedy.partition("`")[2].rstrip("`"))
    except ValueError:  # of a project recipe, whose `simpler` or `richer` may be any text
        return None
    match words:
        case ["dl", "rerun", _, *options]:
            found = Change(run.recipe, {}, run.settings)
        case ["dl", "train", recipe, *options]:
            found = Change(recipe, {}, {})
        case _:
            return None
    for flag, value in _pairs(options):
        name = flag.removeprefix("--").replace("-", "_")
        if flag in ("-d", "--dataset"):
            return None
        if flag == "--set":
            name, _, value = value.partition("=")
        elif words[1] == "rerun" and name not in run.settings:  # `--epochs` or `--lr`
            name, value = "schedule", _schedule(run, name, value)
        found = replace(found, changed={**found.changed, name: value})
    return found


def _schedule(run: Trained, name: str, value: str) -> str:
    """The run's schedule with other epochs or another highest rate; "" if it can't be read."""
    try:
        return str(Schedule.parse(run.settings["schedule"]).asked(name, value))
    except (KeyError, Refused):
        return ""


def _pairs(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option with its value; "true" for one without."""
    for number, option in enumerate(options):
        if option.startswith("-"):
            value = options[number + 1] if number + 1 < len(options) else "-"
            yield option, "true" if value.startswith("-") else value


def last_gain(run: Trained, others: Iterable[Trained]) -> Trained:
    """The run, or the nearest run that it is a rerun of without a clear gain since.

    Args:
        others: trainings of the same images.
    """
    by_name = {each.name: each for each in others}
    while parent := by_name.pop(run.parent or "", None):
        if run.val_loss < CLEARLY_LOWER * parent.val_loss:
            break
        run = parent
    return run


def attempts_at(
    remedies: Iterable[str], run: Trained, others: Sequence[Trained]
) -> dict[str, Trained]:
    """The best training by each remedy that was tried.

    Args:
        remedies: those for the run, as in `Diagnosis.next`.
        others: trainings of the same images.
    """
    found = {}
    for remedy in remedies:
        change = change_of(remedy, run)
        tried = [each for each in others if change and change.is_that_of(each)]
        if tried:
            found[remedy] = min(tried, key=lambda each: each.val_loss)
    return found


def told(run: Run, diagnosis: Diagnosis) -> list[str]:
    """The lines of a run's diagnosis, with the remedies that were tried set apart.

    If a rerun gained nothing clear, the remedies are those for the run that it began from.
    """
    trained = _read(run, run.status.get("val_loss"))
    if trained is None:
        return diagnosis.lines
    others = [each for each in _finished(run.path.parent) if each.images == trained.images]
    base, before = last_gain(trained, others), ""
    if base is not trained:
        diagnosis = replace(diagnosis, next=_remedies(run.path.parent / base.name))
        before = f"No clear gain over {shown(base.name)}, valid loss {base.val_loss:.4f}. "
    attempts = attempts_at(diagnosis.next, base, others)
    left = tuple(each for each in diagnosis.next if each not in attempts)
    tried = [
        f"- {remedy.partition(', `')[0]}: valid loss {each.val_loss:.4f}, {shown(each.name)}"
        for remedy, each in attempts.items()
    ]
    lines = replace(diagnosis, next=left).lines_after(before)
    if not tried:
        return lines
    best = min(attempts.values(), key=lambda each: each.val_loss)
    if best.val_loss < CLEARLY_LOWER * base.val_loss:
        tried.append(f"What to try after the best of them: `dl runs show {shlex.quote(best.name)}`")
    return [*lines, "Tried already:", *tried]


def _finished(folder: Path) -> list[Trained]:
    """The finished trainings of a dataset, of its folder in the runs folder."""
    rows = list_runs(folder.parent, folder.name)
    read = [_read(row.run, row.values["val_loss"]) for row in rows if row.state == "finished"]
    return [each for each in read if each]


def _remedies(folder: Path) -> tuple[str, ...]:
    """The remedies of a run's diagnosis; () if it has none."""
    found = below(Run(folder).status, "diagnosis", "next")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _read(run: Run, val_loss: object) -> Trained | None:
    """A finished training; None if it is an ensemble, was changed by `dl resume`, or is damaged."""
    if not isinstance(val_loss, int | float) or not math.isfinite(val_loss):
        return None
    try:
        config = run.config
    except DlError:
        return None
    record = config[RECORD]
    recipe, parent = str(record.get("recipe")), record.get("parent")
    prints = below(record, "dataset", "fingerprints")
    own = below(config, "train", recipe)
    if not (isinstance(prints, Mapping) and isinstance(own, Mapping)) or record.get("changes"):
        return None
    # another seed is no other training: it changes the loss by chance alone
    left_out = (*LOCATIONS, *DECIDED, *BESIDES, "seed", "kaggle", "train", RECORD)
    shared = {name: value for name, value in config.items() if name not in left_out}
    return Trained(
        name=run.name,
        recipe=recipe,
        settings={name: text_of(value) for name, value in (*flat(shared), *flat(own))},
        images=(str(prints.get("train")), str(prints.get("valid"))),
        val_loss=float(val_loss),
        parent=Path(parent).name if isinstance(parent, str) else None,
    )
