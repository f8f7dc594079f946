"""What `dl evaluate` prints of a run of photos, and the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.parts.tables import UNDEFINED, print_table, print_text
from dlcli.config import Config
from dlcli.files.paths import quoted, shown
from dlcli.words import by_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlcli.report.photos.evaluate import Evaluated
    from dlcli.runs.choice import ChosenRun

# Of more classes than these, only so many are printed.
WORST = 10
# Of confusions and of wrong images; the report shows more.
MOST_MISTAKES = 3


def print_evaluation(found: Evaluated, *, everything: bool, wide: bool) -> None:
    """Print what was found: scores, classes, mistakes."""
    print_metrics(found.metrics, everything=everything, wide=wide)
    print_mistakes(found)


def print_metrics(metrics: Mapping[str, Any], *, everything: bool, wide: bool) -> None:
    """Print what `evaluation.metrics.evaluate` found: scores, then the classes.

    Args:
        metrics: as it returned them.
        everything: whether all classes are printed, however many there are.
        wide: whether all columns are, however narrow the terminal.
    """
    low, high = metrics["accuracy_interval_95"]
    print_text(f"images    {metrics['images']:,}  (in valid/)")
    print_text(f"accuracy  {metrics['accuracy']:.4f}  (95 % interval {low:.4f} to {high:.4f})")
    print_text(f"log loss  {metrics['log_loss']:.4f}  (lower is better)")
    baseline = metrics["baseline"]["accuracy"]
    print_text(f"baseline  {baseline:.4f}  (accuracy of always answering the most frequent class)")
    click.echo()
    classes = [(name, metrics["classes"][name]) for name in by_number(metrics["classes"])]
    if len(classes) > WORST and not everything:
        number = f"{len(classes):,}"
        print_text(f"The {WORST} of {number} classes with the lowest F1. For all add `--all`.")
        classes = sorted(classes, key=_from_the_worst)[:WORST]
    print_table(
        ["class", "precision", "recall", "f1", "images"],
        [
            [name, *(UNDEFINED if score is None else score for score in scores.values())]
            for name, scores in classes
        ],
        ("f1", "images"),
        wide=wide,
    )
    if any(score is None for _, scores in classes for score in scores.values()):
        print_text(
            f"`{UNDEFINED}` is undefined: precision if no image was classified as this class, "
            "recall if the class has no image, F1 if both."
        )


def print_mistakes(found: Evaluated) -> None:
    """Print the classes that are most often confused, and the most wrong images.

    With two classes, the table of the classes says which one is taken for the other.
    """
    from dlcli.evaluation.metrics import most_wrong
    from dlcli.evaluation.verdict import confusions

    metrics, predictions = found.metrics, found.predictions
    classes, y_prob = predictions.classes, predictions.y_prob
    wrong = most_wrong(predictions.y_true, y_prob, MOST_MISTAKES)
    if len(classes) <= 2 or not wrong:
        return
    click.echo()
    # a pair that is confused once is one of the images below
    pairs = [each for each in confusions(metrics)[:MOST_MISTAKES] if each.times > 1]
    if pairs:
        print_text("Most often confused:")
        cells = [
            [p.true, p.predicted, p.times, metrics["classes"][p.true]["support"]] for p in pairs
        ]
        print_table(["class", "taken for", "images", "of"], cells)
        click.echo()
    errors = metrics["errors"]
    which = f"The {len(wrong)} most wrong of {errors:,} wrong images"
    if errors == len(wrong):
        which = "The wrong image" if errors == 1 else "The wrong images"
    print_text(f"{which}, with the probability of the true class:")
    rows = []
    for i in wrong:
        true, taken_for = int(predictions.y_true[i]), int(y_prob[i].argmax())
        image = shown(found.root / predictions.paths[i])
        rows.append([classes[true], float(y_prob[i, true]), classes[taken_for], image])
    print_table(["class", "probability", "taken for", "image"], rows)


def _from_the_worst(scored: tuple[str, Mapping[str, Any]]) -> tuple[bool, float, int]:
    """The sort key: lowest F1 first, of equal F1 the one with more images, undefined F1 last."""
    _, scores = scored
    return scores["f1"] is None, scores["f1"] or 0.0, -scores["support"]


def next_command(config: Config, chosen: ChosenRun, named: str | None, views: int) -> str:
    """The next command after an evaluation."""
    import shlex

    from dlcli.catalog import recipe_names
    from dlcli.data.choice import again
    from dlcli.data.dataset import whole_of
    from dlcli.data.kinds import open_dataset
    from dlcli.inference.kept import has_predictions
    from dlcli.inference.tta import made_by, same_tta
    from dlcli.runs.choice import missing_members, same_runs

    run, root = chosen.run, chosen.root
    how = made_by(run, config, views) if views else None
    test = open_dataset(root).fingerprint("test") if root else None
    gone = missing_members(run)
    if gone and not has_predictions(run, "test", test, how):
        return f"its member {gone[0].name} is gone, so it can predict no other images"
    if root and open_dataset(root).sizes["test"]:
        same = [shlex.quote(named), *config.given_flags(("data_dir", "dataset"))] if named else []
        taken = "".join(f" {each}" for each in same) or again(root)
        return f"next: `dl submit{taken}{same_tta(config, views)}{same_runs(config)}`"
    if whole := root and whole_of(root):
        recipe = run.record.recipe
        trained = f"dl train {recipe}" if recipe in recipe_names() else "dl train RECIPE"
        return f"next, on the whole dataset: `{trained} -d {quoted(whole)}{same_runs(config)}`"
    if root is None and has_predictions(run, "test", None, how):
        words = f"{shlex.quote(named or run.name)}{same_tta(config, views)}"
        return f"next: `dl submit {words}{same_runs(config)}`"
    by = f" {shlex.quote(named)}" if named else ""
    photos = f"dl predict{by} PHOTO...{same_runs(config)}"
    return f"there are no test images to submit; next: `{photos}`"
