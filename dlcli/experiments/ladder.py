"""The ladder: train the course's recipes in order, each as a run, and compare them.

The order goes from the simplest model to those on pretrained networks; on ratings, from biases to a
network on the vectors of users and items.

Source: fast.ai, Practical Deep Learning for Coders (2017), the notes on going "end to end" and the
mnist and statefarm notebooks; the pretrained networks of lessons 1 to 3 follow. The models of
ratings are lesson 4's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcli.catalog import recipe_class
from dlcli.config import Config, Value
from dlcli.data.choice import Choice, again
from dlcli.data.dataset import NOUNS, SAMPLE, kind_of
from dlcli.data.kinds import open_dataset
from dlcli.data.photos.photos import open_photos
from dlcli.data.ratings.ratings import open_ratings
from dlcli.errors import DlError, ExitCode
from dlcli.files.paths import shown
from dlcli.images.headers import changed_images
from dlcli.process import command_line, utc_now
from dlcli.progress import say
from dlcli.report.ladder import Ground, Result, columns_of, write_results
from dlcli.runs.ladder import Ladder
from dlcli.training.fit import Interrupted
from dlcli.training.kinds import make_job
from dlcli.training.launch import train
from dlcli.training.photos.job import make_job as make_photos_job
from dlcli.training.resume import resume
from dlcli.words import loss, percent

# What a plan calls the examples of each kind of dataset.
EXAMPLES = {f"{noun}s": f"{noun}s" for noun in NOUNS.values()}


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Args:
        values: hyperparameters that differ from the recipe's defaults.
    """

    recipe: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> str:
        """The values as options: "--augment --dropout 0.5"."""
        return " ".join(
            f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
            for name, value in self.values.items()
        )

    @property
    def name(self) -> str:
        """The recipe and what is new in this step: "cnn +batchnorm"."""
        return f"{self.recipe} +{[*self.values][-1]}" if self.values else self.recipe

    @property
    def command(self) -> str:
        """The command that trains it."""
        return f"dl train {self.recipe} {self.flags}".rstrip()

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Its values, and the defaults of values that other steps of its recipe set.

        So a step never has what a later step adds, whatever a settings file says.
        """
        cls = recipe_class(self.recipe)
        others = {
            name
            for rung in (*RUNGS, *RATING_RUNGS)
            if rung.recipe == self.recipe
            for name in rung.values
        }
        return {name: getattr(cls, name) for name in sorted(others)} | dict(self.values)


class Stopped(DlError):
    """A ladder was stopped by Ctrl-C, and can be resumed.

    Args:
        ladder: None if it had not begun.
        results: of the finished steps.
    """

    def __init__(self, ladder: Ladder | None, results: Sequence[Result]) -> None:
        # `--again` would start from scratch
        command = command_line().replace(" --again", "")
        super().__init__(f"Interrupted. To resume: `{command}`.", exit_code=ExitCode.INTERRUPTED)
        self.ladder, self.results = ladder, results


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
RATING_RUNGS = (Rung("collab-bias"), Rung("collab-dot"), Rung("collab-net"))


@dataclass(frozen=True)
class Course:
    """What a ladder is on a kind of dataset.

    Args:
        rungs: its steps, in order.
        on_sample: whether it trains on a sample unless the whole dataset is asked for.
        settings: the shared settings that determine the results.
        steps: everything else that does, for each step by its name.
        ground: the dataset, with the scores of guessing.
    """

    rungs: tuple[Rung, ...]
    on_sample: bool
    settings: tuple[str, ...]
    steps: Callable[[Config, Path], dict[str, Any]]
    ground: Callable[[Path], Ground]


def course_of(kind: str) -> Course:
    """The ladder on a kind of dataset."""
    photos = Course(RUNGS, True, ("seed", "on_error"), _photo_steps, _photo_ground)
    ratings = Course(RATING_RUNGS, False, ("seed",), _rating_steps, _rating_ground)
    return {"photos": photos, "ratings": ratings}[kind]


def choose_examples(choice: Choice, full: bool) -> Choice:
    """Choose the sample of a dataset, or the whole dataset.

    Args:
        choice: the dataset; it may be a sample itself.
        full: whether to use the whole dataset.

    Raises:
        DlError: there is no sample.
    """
    root = choice.root
    if full or root.name.endswith(SAMPLE) or not course_of(kind_of(root)).on_sample:
        return choice
    sample = root.with_name(root.name + SAMPLE)
    if not sample.is_dir():
        open_dataset(root)  # errors of the dataset itself come first
        raise DlError(
            f"{shown(root)} has no sample",
            why="a ladder trains on a sample, to take minutes and not hours",
            hint=f"Make one: `dl data sample{again(root, '')}`. `--full` trains on all images.",
        )
    return Choice(sample, f"the sample of {root.name}, the dataset {choice.why}", choice.lasts)


def climb(config: Config, root: Path, anew: bool = False) -> tuple[Ladder, list[Result]]:
    """Train all steps that aren't trained yet, then write the table and the figure.

    Args:
        config: settings, and hyperparameters that no step sets.
        root: the dataset's folder.
        anew: start a new ladder, even if one with the same plan exists.

    Raises:
        Stopped: Ctrl-C; it has the results so far, which are also written. The next call resumes
            the ladder.
        DlError: before the first step: what can't work; later: what stops all training.
    """
    ladder, course = None, course_of(kind_of(root))
    try:
        plan = _plan(config, root, course)
        runs_dir = config.settings().runs_dir
        ladder = None if anew else _find(Ladder.all(runs_dir, root.name), plan)
        ladder = ladder or Ladder.create(runs_dir, root.name, plan)
        with ladder.held():
            ladder.adopt()
            for number, rung in enumerate(course.rungs, start=1):
                if not ladder.is_done(rung.name):
                    say(f"Step {number} of {len(course.rungs)}: {rung.name}")
                    _require_same_examples(plan, root)
                    _train(ladder, rung, config, root)
            results = [_result(ladder, rung, root) for rung in course.rungs]
            if not ladder.is_finished:
                write_results(ladder.path, results, course.ground(root))
                ladder.update(state="finished", finished=utc_now())
    except (Interrupted, KeyboardInterrupt) as stop:
        so_far = _results_so_far(ladder, root, course) if ladder else []
        raise Stopped(ladder, so_far) from stop
    return ladder, results


def _results_so_far(ladder: Ladder, root: Path, course: Course) -> list[Result]:
    """The results of the finished steps, written as tables and figure too."""
    ladder.adopt()
    results = [_result(ladder, rung, root) for rung in course.rungs if ladder.is_done(rung.name)]
    if results:
        write_results(ladder.path, results, course.ground(root))
    return results


def _find(ladders: Sequence[Ladder], plan: Mapping[str, Any]) -> Ladder | None:
    """The newest ladder with this plan; prints which one, or why there is none."""
    for ladder in ladders:
        if ladder.record()["plan"] == plan:
            done, steps = sum(ladder.is_done(step) for step in plan["steps"]), len(plan["steps"])
            if ladder.is_finished:
                say(f"{shown(ladder.path)} is finished. `--again` starts a new one.")
            else:
                say(f"Resuming {shown(ladder.path)}, {done} of {steps} steps done.")
            return ladder
    unfinished = [ladder for ladder in ladders if not ladder.is_finished]
    if unfinished:
        change = next(_changes(unfinished[0].record()["plan"], plan))
        say(f"Starting a new ladder, because {change}. {unfinished[0].name} stays unfinished.")
    return None


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], of: str = "") -> Iterator[str]:
    """The differences of two plans, in words."""
    for name in [*now, *(name for name in before if name not in now)]:
        was, value = before.get(name), now.get(name)
        if isinstance(was, dict) and isinstance(value, dict):
            inner = {"steps": "", "settings": "", **EXAMPLES}.get(name, of or f" of {name}")
            yield from _changes(was, value, inner)
        elif was != value and of in EXAMPLES:
            yield f"the {of} of {name}/ have changed"
        elif was != value:
            yield f"`{name}`{of} is {value}, not {was} as before"


def _plan(config: Config, root: Path, course: Course) -> dict[str, Any]:
    """Everything that determines the results of the steps, as plain values.

    So a new default is a new plan, and a ladder that was begun under another default starts anew.

    Raises:
        DlError: something that a step needs is missing.
    """
    steps = course.steps(config, root)
    dataset, settings = open_dataset(root), config.settings()
    prints = dataset.fingerprints()
    return {
        "dataset": str(root),
        f"{dataset.noun}s": {split: prints[split] for split in ("train", "valid")},
        "settings": {name: getattr(settings, name) for name in course.settings},
        "steps": steps,
    }


def _photo_steps(config: Config, root: Path) -> dict[str, Any]:
    """What the results of the steps on photos depend on.

    Where no image is turned or scaled, both versions of the rule for pixels are the same, and the
    plan names the first: a ladder that was begun under it goes on. Schedules are held as fitted to
    the number of images, `Recipe.fitted`.
    """
    steps: dict[str, Any] = {}
    splits = open_photos(root).splits
    changed = changed_images(root, [*splits["train"], *splits["valid"]])
    for rung in RUNGS:
        job = make_photos_job(_configured(config, rung), rung.recipe, root)
        settings, forward = job.settings, job.forward
        if forward and not changed:
            forward = forward.by_rule(1)
        steps[rung.name] = {
            "recipe": rung.recipe,
            **job.recipe.hyperparameters(),
            "image_size": job.pixels.size,
            "augmentation": settings.augmentation.describe() if job.recipe.augment else None,
            "forward": forward.describe() if forward else None,
        }
    return steps


def _rating_steps(config: Config, root: Path) -> dict[str, Any]:
    """What the results of the steps on ratings depend on."""
    recipes = [
        make_job(_configured(config, rung), rung.recipe, root).recipe for rung in RATING_RUNGS
    ]
    return {
        rung.name: {"recipe": rung.recipe, **recipe.hyperparameters()}
        for rung, recipe in zip(RATING_RUNGS, recipes, strict=True)
    }


def _configured(config: Config, rung: Rung) -> Config:
    """The settings for one step.

    Typed amounts of augmentation are for the steps that augment; the others would refuse them as
    flags.
    """
    values = {
        key: Value(value.value, "dl ladder") if key.startswith("augmentation.") else value
        for key, value in config.values.items()
    }
    own = {f"train.{rung.recipe}.{name}": value for name, value in rung.hyperparameters.items()}
    return config.with_values(values).with_flags(own)


def _require_same_examples(plan: Mapping[str, Any], root: Path) -> None:
    dataset = open_dataset(root)
    for split, fingerprint in plan[f"{dataset.noun}s"].items():
        if dataset.fingerprint(split) != fingerprint:
            raise DlError(
                f"The {dataset.noun}s of {shown(root / split)} have changed since the ladder began",
                why="its steps could not be compared",
                hint=f"`dl ladder{again(root)}` starts a new one.",
            )


def _train(ladder: Ladder, rung: Rung, config: Config, root: Path) -> None:
    """Train one step or resume its run, and record a failure."""
    begun, failure = ladder.run(rung.name), None
    ladder.begin(rung.name)
    try:
        if begun:
            resume(begun)
        else:
            train(_configured(config, rung), rung.recipe, root)
    except DlError as error:
        failure = error
    finally:
        ladder.adopt()
    if failure is None:
        return
    run = ladder.run(rung.name)
    # only errors of this one training, such as a rate too high: a full disk would stop the next too
    if run is None or run.state != "failed" or isinstance(failure.__cause__, OSError):
        raise failure
    reason = f"{failure.what}: {failure.why}" if failure.why else failure.what
    ladder.update(failed=ladder.record()["failed"] | {rung.name: f"{reason}. {failure.hint}"})
    say(f"{rung.name} failed. {reason}.")


def _result(ladder: Ladder, rung: Rung, root: Path) -> Result:
    run = ladder.run(rung.name)
    assert run is not None
    status, failed = run.status, ladder.record()["failed"].get(rung.name)
    told = {} if failed else status
    return Result(
        step=rung.name,
        recipe=rung.recipe,
        command=rung.command,
        run=run.path,
        failed=failed,
        diagnosis=None if failed else run.diagnosis,
        scores={name: told[name] for name in columns_of(kind_of(root)) if name in told},
        seconds=told.get("seconds"),
        parameters=told.get("parameters"),
    )


def _photo_ground(root: Path) -> Ground:
    """Guessing the most frequent class, and by class frequencies: their entropy is its loss."""
    dataset = open_photos(root)
    counts = Counter(dataset.labels("valid")).values()
    total = sum(counts)
    guess = {
        "accuracy": max(counts) / total,
        "loss": sum(n / total * math.log(total / n) for n in counts),
    }
    about = (
        f"{len(dataset.splits['train']):,} training images, {total:,} validation images. Guessing: "
        f"accuracy {percent(guess['accuracy'])} with the most frequent class, loss "
        f"{loss(guess['loss'])} with the class frequencies."
    )
    return Ground(dataset.name, dataset.kind, about, guess)


def _rating_ground(root: Path) -> Ground:
    """Guessing the mean rating of train."""
    dataset = open_ratings(root)
    mean = dataset.values[dataset.rows("train")].mean(dtype="float64")
    errors = dataset.values[dataset.rows("valid")] - mean
    guess = {"loss": float((errors**2).mean(dtype="float64"))}
    about = (
        f"{dataset.sizes['train']:,} training ratings, {dataset.sizes['valid']:,} validation "
        f"ratings. Predicting the mean rating: MSE {loss(guess['loss'])}."
    )
    return Ground(dataset.name, dataset.kind, about, guess)
