"""Remedies of a diagnosis that were tried: runs on the same dataset with the remedy's change.

A remedy is a command, and the commands of a diagnosis are few: `dl rerun RUN` with changes, and
`dl train RECIPE`. A finished run is an attempt at one if it differs from RUN in that change alone,
or trained that recipe with RUN's shared settings for at least its usual epochs. All of this is read
when it is printed, so it holds for older runs too.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dlcli.catalog import make_recipe, recipe_digest, recipe_file
from dlcli.config import load_config
from dlcli.data.choice import again, dataset_names
from dlcli.data.dataset import UNMARKED
from dlcli.errors import DlError
from dlcli.evaluation.diagnosis import Diagnosis
from dlcli.evaluation.rating_diagnosis import MORE_RATINGS
from dlcli.evaluation.remedies import MORE_IMAGES, Remedy
from dlcli.files.formats import below, flat, read_bytes
from dlcli.files.paths import is_folder, quoted, shown
from dlcli.images.pixels import PixelRule
from dlcli.recipe import Recipe
from dlcli.runs.choice import CLEARLY_LOWER
from dlcli.runs.listing import list_runs
from dlcli.runs.run import Run
from dlcli.runs.settings import (
    BESIDES,
    CHANGES,
    CLASSES,
    DECIDED,
    IMAGE_SIZE,
    LOCATIONS,
    recorded,
)
from dlcli.settings.fields import Refused, text_of
from dlcli.settings.schedule import Schedule
from dlcli.settings_file import RECORD
from dlcli.trust import asked_by

# What is not compared of the settings. Another seed changes the loss by chance alone.
NOT_SETTINGS = (*LOCATIONS, *DECIDED, *BESIDES, "seed", "kaggle", "train", RECORD)
# Parts of a record in which attempts may differ, or that the fingerprints stand for.
NOT_COMPARED = (CLASSES, "dataset", "versions", "git", "platform")
# What helps once all remedies were tried, for each kind of dataset.
MORE: Mapping[str, str] = {"photos": MORE_IMAGES, "ratings": MORE_RATINGS}
# Recorded values that belong to one recipe.
OF_ONE_RECIPE = ("recipe_digest", "forward.layer")


@dataclass(frozen=True)
class Trained:
    """A finished training: what its result depends on, and the result.

    Args:
        name: the run's name.
        recipe: the recipe's name.
        settings: its hyperparameters by their names, as text.
        examples: the fingerprints of its training and validation images, or ratings.
        val_loss: its lowest validation loss.
        parent: the name of the run that it is a rerun of, if it is one.
        shared: shared settings and recorded values by their dotted keys, as text.
        counts: the numbers of training images and of classes; 0 if unknown, or there are none.
        kind: of dataset.
    """

    name: str
    recipe: str
    settings: Mapping[str, str]
    examples: tuple[str, str]
    val_loss: float
    parent: str | None = None
    shared: Mapping[str, str] = field(default_factory=dict)
    counts: tuple[int, int] = (0, 0)
    kind: str = UNMARKED

    @property
    def values(self) -> dict[str, str]:
        """Hyperparameters, shared settings and recorded values."""
        return {**self.shared, **self.settings}

    @property
    def epochs(self) -> int:
        """The planned epochs of its first phase; 0 if its schedule can't be read."""
        try:
            return Schedule.parse(self.settings["schedule"]).epochs
        except (KeyError, Refused):
            return 0


@dataclass(frozen=True)
class Change:
    """What a remedy's command trains.

    Args:
        recipe: the recipe.
        changed: the settings that the command names, as text.
        others: settings and recorded values that must agree, as text.
        epochs: the least epochs of a training that counts.
    """

    recipe: str
    changed: Mapping[str, str]
    others: Mapping[str, str]
    epochs: int = 0

    def matches(self, run: Trained) -> bool:
        """Whether a run was trained so; a setting that an older run does not know may be any."""
        held = run.values
        return (
            run.recipe == self.recipe
            and run.epochs >= self.epochs
            and all(held.get(name) == text for name, text in self.changed.items())
            and all(
                self.others[name] == held[name]
                for name in self.others.keys() & held.keys() - self.changed.keys()
                if name != IMAGE_SIZE or self._sees_alike(held)
            )
        )

    def _sees_alike(self, held: Mapping[str, str]) -> bool:
        """Whether both have a backbone, or neither: else their image sizes can't be compared."""
        return ("backbone" in held) == ("backbone" in self.others)


@asked_by(None)  # advice alone is not worth a question
def change_of(remedy: str, run: Trained) -> Change | None:
    """What a remedy's command trains; None if it trains nothing, or on another dataset.

    Args:
        remedy: as in `Diagnosis.next`: "more dropout, `dl rerun RUN --set dropout=0.75`".
        run: the run that it is a remedy for.
    """
    try:
        words = shlex.split(Remedy.of(remedy).command)
    except ValueError:  # of a project recipe, whose `simpler` or `richer` may be any text
        return None
    match words:
        case ["dl", "rerun", _, *options]:
            found = Change(run.recipe, {}, run.values)
        case ["dl", "train", recipe, *options]:
            try:
                found = _trained_anew(recipe, run)
            except DlError:  # a project recipe that is gone or broken
                return None
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


def _trained_anew(recipe: str, run: Trained) -> Change:
    """What `dl train RECIPE` trains on a run's dataset, with the run's shared settings.

    Raises:
        DlError: there is no such recipe, or it can't be loaded.
    """
    usual, (images, classes) = make_recipe(recipe, {}), run.counts
    if images and classes and isinstance(usual, Recipe):
        usual = usual.fitted(images, classes)
    others = {name: text for name, text in run.shared.items() if name not in OF_ONE_RECIPE}
    if recipe_file(recipe):
        others["recipe_digest"] = recipe_digest(recipe)
    return Change(recipe, {}, others, usual.schedule.epochs)


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
        others: trainings on the same examples.
    """
    by_name, lowest = {each.name: each for each in others}, run.val_loss
    while parent := by_name.pop(run.parent or "", None):
        lowest = min(lowest, run.val_loss)
        if lowest < CLEARLY_LOWER * parent.val_loss:
            break
        run = parent
    return run


def attempts_at(
    remedies: Iterable[str], run: Trained, others: Sequence[Trained]
) -> dict[str, Trained]:
    """The best training by each remedy that was tried.

    Args:
        remedies: those for the run, as in `Diagnosis.next`.
        others: trainings on the same examples.
    """
    found = {}
    for remedy in remedies:
        change = change_of(remedy, run)
        tried = [each for each in others if change and change.matches(each)]
        if tried:
            found[remedy] = min(tried, key=lambda each: each.val_loss)
    return found


def advice_lines(run: Run, diagnosis: Diagnosis) -> list[str]:
    """The lines of a run's diagnosis, with the remedies that were tried set apart.

    Of a rerun they say whether it gained anything. If it gained nothing clear, the remedies are
    those for the run that it began from.
    """
    trained = read_training(run, run.status.get("val_loss"))
    if trained is None or not (diagnosis.next or trained.parent):
        return _on_its_dataset(diagnosis, run).lines
    others = _finished(run.path.parent, trained.examples)
    base, before = last_gain(trained, others), ""
    if base is not trained:
        diagnosis = _with_remedies_of(run.path.parent / base.name, diagnosis)
        is_worse = base.val_loss < CLEARLY_LOWER * trained.val_loss
        compared = "worse than" if is_worse else "not clearly better than"
        before = f"This run is {compared} {shown(base.name)}, whose valid loss is "
        before += f"{base.val_loss:.4f}. "
    elif parent := next((each for each in others if each.name == trained.parent), None):
        before = f"This run is clearly better than {shown(parent.name)}, whose valid loss is "
        before += f"{parent.val_loss:.4f}. "
    attempts = attempts_at(diagnosis.next, base, others)
    left = tuple(each for each in diagnosis.next if each not in attempts)
    if attempts and not any(Remedy.of(each).command for each in left):
        left = ()  # more images, or ratings, are said at the end
    tried = [
        f"- {_what(remedy, each, base)}: valid loss {each.val_loss:.4f}, {shown(each.name)}"
        for remedy, each in attempts.items()
    ]
    lines = _on_its_dataset(replace(diagnosis, next=left), run).lines_after(before)
    if not tried:
        return lines
    best = min(attempts.values(), key=lambda each: each.val_loss)
    if best.val_loss < CLEARLY_LOWER * base.val_loss:
        tried.append(f"What to try after the best of them: `dl runs show {shlex.quote(best.name)}`")
    elif not left:
        tried.append(_nothing_left(trained, [base, *attempts.values()]))
    return [*lines, "Tried already:", *tried]


def _nothing_left(run: Trained, others: Sequence[Trained]) -> str:
    """What to say of a run after every remedy was tried: which is the best, and what helps now."""
    best = min([run, *others], key=lambda each: each.val_loss)
    found = f"{shown(best.name)} (valid loss {best.val_loss:.4f})"
    if best.name == run.name:
        found = "this one"
    elif best.val_loss >= CLEARLY_LOWER * run.val_loss:
        found += ", not clearly better than this one"
    backbone = ", or another backbone (`dl backbones`)" if "backbone" in run.values else ""
    return (
        f"That is all that `dl` knows to try. The best of these runs is {found}. "
        f"What may help now: {MORE[run.kind]}{backbone}."
    )


def _what(remedy: str, attempt: Trained, base: Trained) -> str:
    """What a remedy is, with the recipe if it is another one: "a simpler model (linear)"."""
    what = Remedy.of(remedy).what
    return what if attempt.recipe == base.recipe else f"{what} ({attempt.recipe})"


def _on_its_dataset(diagnosis: Diagnosis, run: Run) -> Diagnosis:
    """A diagnosis whose commands name the run's dataset, if there are others to take."""
    root = run.dataset_path
    named = ""
    if root is not None and is_folder(root):
        others = {*dataset_names(load_config().settings().data_dir)} - {root.name}
        named = f" -d {quoted(root)}" if others else again(root)
    remedies = map(Remedy.of, diagnosis.next)
    return replace(
        diagnosis,
        next=tuple(
            f"{replace(each, command=each.command + named) if each.takes_dataset else each}"
            for each in remedies
        ),
    )


def _finished(folder: Path, examples: tuple[str, str]) -> list[Trained]:
    """The finished trainings of a dataset's folder in the runs folder, on the same examples."""
    rows = list_runs(folder.parent, folder.name)
    read = [
        read_training(row.run, row.values["val_loss"])
        for row in rows
        if row.state == "finished" and _may_be_on(row.run, examples)
    ]
    return [each for each in read if each and each.examples == examples]


def _may_be_on(run: Run, examples: tuple[str, str]) -> bool:
    """Whether a run's settings hold the fingerprints: far quicker than to parse them all."""
    try:
        held = read_bytes(run.config_file)
    except (OSError, DlError):
        return False
    return all(each.encode() in held for each in examples)


def _with_remedies_of(folder: Path, diagnosis: Diagnosis) -> Diagnosis:
    """A diagnosis with the remedies of another run, and the kind that their heading follows."""
    found = below(Run(folder).status, "diagnosis")
    remedies = below(found, "next")
    if not isinstance(remedies, list):
        return replace(diagnosis, next=())
    return replace(diagnosis, kind=below(found, "kind"), next=tuple(map(str, remedies)))


def read_training(run: Run, val_loss: object) -> Trained | None:
    """A finished training; None if it is an ensemble, was changed by `dl resume`, or is damaged."""
    if not isinstance(val_loss, int | float) or not math.isfinite(val_loss):
        return None
    try:
        config = run.config
    except DlError:
        return None
    record = config[RECORD]
    recipe, parent = str(record.get("recipe")), record.get("parent")
    prints, classes = below(record, "dataset", "fingerprints"), record.get(CLASSES)
    own, images = below(config, "train", recipe), below(record, "dataset", "images", "train")
    if not (isinstance(prints, Mapping) and isinstance(own, Mapping)) or record.get(CHANGES):
        return None
    settings = {name: value for name, value in config.items() if name not in NOT_SETTINGS}
    compared = {name: held for name, held in record.items() if name not in NOT_COMPARED}
    # a record without a version is of the first
    shared = {"pixels.version": PixelRule.version, **dict(flat(settings)), **recorded(compared)}
    return Trained(
        name=run.name,
        recipe=recipe,
        settings={name: text_of(value) for name, value in flat(own)},
        examples=(str(prints.get("train")), str(prints.get("valid"))),
        val_loss=float(val_loss),
        parent=Path(parent).name if isinstance(parent, str) else None,
        shared={name: text_of(value) for name, value in shared.items()},
        counts=(
            images if isinstance(images, int) else 0,
            len(classes) if isinstance(classes, list) else 0,
        ),
        kind=str(record.get("kind", UNMARKED)),
    )
