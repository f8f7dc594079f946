"""The Python interface: `dlcli.organize`, `dlcli.train`, `dlcli.Run` and the rest.

Each verb reads the same settings as its command (`dl.yaml`, `DL_*`, `~/.config/dl/config.yaml`) and
takes others as keywords: `seed=1`, `dropout=0.3`, `backbone="vgg16"`. Its messages go to stderr, as
those of the command do; `quiet=True` turns them off.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlcli.catalog import recipe_class
from dlcli.config import Config, load_config
from dlcli.data.choice import find_dataset, folder_named
from dlcli.data.photos.look_alikes import say_look_alikes
from dlcli.data.photos.photos import Photos as Folder
from dlcli.data.photos.photos import open_photos
from dlcli.errors import DlError
from dlcli.files.paths import absolute, shown
from dlcli.keys import key_named
from dlcli.process import as_command
from dlcli.progress import hushed, say
from dlcli.report.notebook import html_frame, html_table
from dlcli.runs.run import Run as RunFolder
from dlcli.settings.fields import settings_of
from dlcli.words import by_number, count

if TYPE_CHECKING:
    import keras

    from dlcli.features.compute import Features
    from dlcli.inference.predictions import Predictions
    from dlcli.inference.ratings.predictions import RatingPredictions
    from dlcli.inference.ratings.recommend import Recommended, Similar
    from dlcli.kaggle.plan import Submitted
    from dlcli.models.network import Layer
    from dlcli.runs.listing import Row


class Dataset(Folder):
    """A dataset: samples by split, as they were on disk when it was opened.

    Example:
        pets = dlcli.Dataset.open("pets").split(valid=0.2, seed=1)
        pets.classes, len(pets.splits["train"])
    """

    @classmethod
    def open(cls, named: str | Path) -> Dataset:
        """Open a dataset.

        Args:
            named: its folder, or a name under the data folder.

        Raises:
            DlError: there is no such dataset, or it is not organised yet.
        """
        return cls._at(find_dataset(os.fspath(named), load_config().settings().data_dir))

    @classmethod
    def _at(cls, root: Path) -> Dataset:
        found = open_photos(root)
        return cls(found.root, found.classes, found.splits)

    def split(
        self, valid: float | None = None, *, seed: int | None = None, quiet: bool = False
    ) -> Dataset:
        """Move a random part of train/ to valid/, the same share of each class.

        Args:
            valid: how many images (int), or which share of train/ (float below 1); by default 2000,
                or 0.2 where train/ has fewer than 10,000.
            seed: of the random choice; by default the setting.
            quiet: print no messages.

        Returns:
            the dataset as it is now.

        Raises:
            DlError: valid/ has images already, or train/ has too few.
        """
        from dlcli.data.photos.splits import split

        with hushed(quiet):
            outcome = split(self.root, valid, _config(seed=seed).settings().seed)
            say(f"Moved {count(outcome.files, 'image')} to {shown(self.root / 'valid')}")
            now = self._at(self.root)
            say_look_alikes(now, once=True)
        return now

    def sample(
        self,
        train: int = 1500,
        valid: int = 1000,
        *,
        seed: int | None = None,
        replace: bool = False,
        quiet: bool = False,
    ) -> Dataset:
        """Copy a random part into a new dataset, `<name>-sample` beside this one.

        Args:
            train: at most so many images of train/.
            valid: at most so many images of valid/.
            seed: of the random choice; by default the setting.
            replace: replace a sample that exists.
            quiet: print no messages.

        Returns:
            the sample.

        Raises:
            DlError: another sample exists, and `replace` is not set.
        """
        from dlcli.data.photos.splits import sample

        with hushed(quiet):
            seed = _config(seed=seed).settings().seed
            folder, _ = sample(self.root, train, valid, seed, replace=replace)
            say(f"The sample is in {shown(folder)}")
            say_look_alikes(self, once=True)
        return self._at(folder)

    def __repr__(self) -> str:
        """Name, number of classes and number of images in each split, without the paths."""
        images = ", ".join(f"{split} {len(paths):,}" for split, paths in self.splits.items())
        classes = count(len(self.classes), "class", "classes")
        return f"Dataset {shown(self.name)}: {classes}, {images}"

    def _repr_html_(self) -> str:
        """The number of images by class and split, as Jupyter shows it."""
        counts = {split: Counter(self.labels(split)) for split in ("train", "valid")}
        rows = [
            [name, *(f"{counts[split][name]:,}" for split in counts)]
            for name in by_number(self.classes)
        ]
        test = f", {len(self.splits['test']):,} test images" if self.splits["test"] else ""
        caption = f"{self.name}: {len(self.classes)} classes{test}"
        return html_table(["class", *counts], rows, caption)


@dataclass(frozen=True)
class Evaluation:
    """The scores of a run on its validation images.

    Args:
        metrics: what `metrics.yaml` holds: `accuracy`, `log_loss`, scores of each class.
        report: the page, which shows itself in Jupyter.
    """

    metrics: Mapping[str, Any]
    report: Path

    def __repr__(self) -> str:
        """The main scores, and where the report is."""
        scores = f"accuracy {self.metrics['accuracy']:.4f}, log loss {self.metrics['log_loss']:.4f}"
        return f"Evaluation: {scores}; report {shown(self.report)}"

    def _repr_html_(self) -> str:
        """The report itself: scores, curves, confusion matrix and the five galleries."""
        return html_frame(self.report)


class Run(RunFolder):
    """A run's folder.

    Args:
        path: the folder.

    Example:
        run = dlcli.Run.open("~/runs/dogscats/202611231409-finetune-e12-lr0.003-t1")
        run.config["train"]["finetune"]["dropout"]
        run.predictions["valid"].y_prob.shape
        run.model().predict(pixels)
    """

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run.

        Args:
            path: its folder; `~` is the home folder.

        Raises:
            DlError: there is no run.
        """
        run = cls(absolute(Path(path)))
        if not run.is_run:
            raise DlError(
                f"{shown(run.path)} is not a run",
                why="it holds no status.yaml",
                hint="`dl runs --all` lists all runs.",
            )
        return run

    @classmethod
    def latest(cls, dataset: Folder | str | Path | None = None) -> Run:
        """Open the newest finished run of a dataset.

        Args:
            dataset: an opened one, its folder, or its name; by default the one that commands take.

        Raises:
            DlError: no run of it is finished.
        """
        from dlcli.runs.choice import choose_run

        named = dataset.root if isinstance(dataset, Folder) else dataset
        return cls(choose_run(_config(dataset=named), None).run.path)

    @cached_property
    def predictions(self) -> dict[str, Any]:
        """The stored predictions, by the name of their file: "valid", "test".

        Of photos, each has `paths`, `classes`, `true_classes`, `y_true` (their numbers in
        `classes`; test images have none) and `y_prob`, array of shape (n_samples, n_classes). Of
        ratings, `users`, `items`, `ratings` (NaN in test) and `predicted`, of shape (n_pairs,).

        Raises:
            DlError: a file is damaged.
        """
        from dlcli.inference.kinds import predictor_of

        files = sorted(self.predictions_file("valid").parent.glob("*.csv"))
        return {file.stem: predictor_of(self).read(file) for file in files}

    def model(self) -> keras.Model:
        """The best epoch's model: RGB pixels 0-255 (n, size, size, 3) -> (n, n_classes).

        Of ratings: numbers of users and items, int32 (n, 2) -> (n, 1).

        If Keras is not imported yet, `dl` chooses its backend. A model that contains code is
        refused.

        Raises:
            DlError: the file is missing, damaged, or would run code.
        """
        from dlcli.backend import start_backend
        from dlcli.models.saved import load_model

        start_backend()
        return load_model(self.best_model)

    def evaluate(self, *, tta: int = 0, quiet: bool = False, **settings: Any) -> Evaluation:
        """Score the run on its validation images; write `metrics.yaml`, `report.html`, figures.

        Args:
            tta: average over so many augmented views of each image as well; 0: none.
            quiet: print no messages.
            **settings: such as `workers`, `seed`, `rotation`.

        Raises:
            DlError: the run is not finished, or neither images nor predictions exist.
        """
        from dlcli.report.evaluate import evaluate_run

        with hushed(quiet):
            config, run, root = self._finished(settings)
            found = evaluate_run(run, root, config, views=tta)
            return Evaluation(found.metrics, found.page)

    def predict(
        self, photos: Iterable[str | Path] | str | Path, *, quiet: bool = False, **settings: Any
    ) -> Predictions:
        """Predict the classes of photos from anywhere; nothing is written.

        Args:
            photos: image files and folders of them, or one of either.
            quiet: print no messages.
            **settings: such as `workers`, `on_error="skip"`.

        Returns:
            `paths` as named, `classes`, and `y_prob`, array of shape (n_photos, n_classes).

        Raises:
            DlError: the run is not finished, or a photo can't be read.
        """
        from dlcli.inference.photos import find_photos, predict_photos

        named = [photos] if isinstance(photos, str | Path) else photos
        with hushed(quiet):
            config, run, _ = self._finished(settings)
            run.require_kind("photos")  # before a photo that is not there is said
            return predict_photos(run, find_photos([os.fspath(each) for each in named]), config)

    def recommend(
        self, user: str | int, top: int = 10, *, rated: bool = False, quiet: bool = False
    ) -> tuple[Recommended, ...]:
        """The items to which a run on ratings predicts a user's highest ratings.

        Args:
            user: the user's id.
            top: how many items at most.
            rated: take items that the user has rated in train, too.
            quiet: print no messages.

        Returns:
            the best first, each with `item`, `title`, `predicted`, and `rating`, the user's own.

        Raises:
            DlError: the run is not finished, or does not know the user.
        """
        from dlcli.inference.ratings.recommend import recommend

        with hushed(quiet):
            _, run, root = self._finished({})
            return recommend(run, root, str(user), top, rated=rated).items

    def similar(
        self, item: str | int, count: int = 10, *, quiet: bool = False
    ) -> tuple[Similar, ...]:
        """The items that are like an item, by the vectors of a run on ratings.

        Args:
            item: its id or its title.
            count: how many items at most.
            quiet: print no messages.

        Returns:
            the most similar first, each with `item`, `title` and `cosine`.

        Raises:
            DlError: there is no such item, or several; the run has no vectors of items.
        """
        from dlcli.inference.ratings.recommend import similar

        with hushed(quiet):
            _, run, root = self._finished({})
            return similar(run, root, str(item), count).items

    def predict_pairs(
        self, pairs: Iterable[tuple[str | int, str | int]], *, quiet: bool = False
    ) -> RatingPredictions:
        """Predict ratings of pairs of a user and an item, by their ids; nothing is written.

        Args:
            pairs: user and item.
            quiet: print no messages.

        Returns:
            `users`, `items`, and `predicted`, array of shape (n_pairs,).

        Raises:
            DlError: the run is not finished, or is not one on ratings.
        """
        from dlcli.inference.ratings.recommend import predict_pairs

        named = [(str(user), str(item)) for user, item in pairs]
        with hushed(quiet):
            _, run, _ = self._finished({})
            return predict_pairs(run, [user for user, _ in named], [item for _, item in named])

    def submit(
        self,
        *,
        clip: float | Literal["auto"] = 0.0,
        sample_submission: str | Path | None = None,
        tta: int = 0,
        send: bool = False,
        message: str | None = None,
        yes: bool = False,
        quiet: bool = False,
        **settings: Any,
    ) -> Submitted:
        """Write `submission.csv` from the run's predictions of the test images, and check it.

        Args:
            clip: keep probabilities this far from 0 and 1; "auto": the distance that is best on
                the validation images; 0: no clipping.
            sample_submission: the competition's file; by default the one in the dataset.
            tta: average over so many augmented views of each image as well; 0: none.
            send: send the file to Kaggle, and wait up to a minute for its score.
            message: shown on Kaggle; by default the run's name and its validation score.
            yes: send even if the file was sent before, or only one submission is left today.
            quiet: print no messages.
            **settings: such as `competition`, `positive`, `metric`, `workers`.

        Returns:
            `file`, `rows`, `loss` on the validation images, `expected` score, and more; where it
                was sent, `entry` with Kaggle's `state` and `public_score`.

        Raises:
            DlError: there are no test images, or the sample submission names others. When sending:
                no competition is known, or Kaggle refuses the file.
        """
        from dlcli.kaggle.send import WAIT_SECONDS, open_sender, wait_for_score
        from dlcli.kaggle.send import send as send_file
        from dlcli.kaggle.submit import plan_submission

        def confirm(question: str) -> None:
            if not yes:
                raise DlError(
                    "The file is written but not sent",
                    why=f"this asks for confirmation: {question}",
                    hint="To send it, pass `yes=True`.",
                )

        sample = None if sample_submission is None else absolute(Path(sample_submission))
        with hushed(quiet):
            config, run, root = self._finished(settings)
            plan = plan_submission(run, root, config, bound=clip, sample_file=sample, views=tta)
            kaggle = open_sender(plan) if send else None
            done = plan.submit(run)
            if kaggle is None:
                return done
            entry = send_file(kaggle, run, done, message=message, views=tta, confirm=confirm)
            return replace(done, entry=wait_for_score(kaggle, run, entry, WAIT_SECONDS))

    def resume(
        self,
        *,
        epochs: int | None = None,
        lr: float | None = None,
        batch_size: int | None = None,
        quiet: bool = False,
    ) -> Run:
        """Continue a run that was stopped, in the same folder, or train a finished one further.

        Args:
            epochs: the number in all; None: as before.
            lr: learning rate of the remaining epochs; None: as before.
            batch_size: images per step from now on; None: as before.
            quiet: print no messages.

        Returns:
            the run as it is now.

        Raises:
            DlError: it is being trained, it is finished and `epochs` asks for no more, or its
                images have changed.
        """
        from dlcli.training.resume import resume

        options = {"--epochs": epochs, "--lr": lr, "--batch-size": batch_size}
        with hushed(quiet), _recorded("resume", self.path, options):
            resume(
                self,
                epochs=epochs,
                learning_rate=lr,
                batch_size=batch_size,
                data_dir=load_config().settings().data_dir,
            )
        return Run(self.path)

    def _finished(self, settings: Mapping[str, Any]) -> tuple[Config, RunFolder, Path | None]:
        """The settings, this run (it must be finished), and its dataset's folder (None: gone)."""
        from dlcli.runs.choice import find_finished_run
        from dlcli.runs.dataset import dataset_of

        config = _config(**settings)
        shared = config.settings()
        run = find_finished_run(str(self.path), shared.runs_dir)
        return config, run, dataset_of(run, shared.data_dir)

    def _repr_html_(self) -> str:
        """The newest report, as Jupyter shows it; without one the state and the scores."""
        if self.report_file.is_file():
            return html_frame(self.report_file)
        rows = [each for each in self.status.items() if not isinstance(each[1], dict)]
        return html_table(["", self.name], rows)


class Runs(tuple[Run, ...]):
    """Runs, the newest first; a table in Jupyter.

    Example:
        pandas.DataFrame(dlcli.list_runs("dogscats").to_dicts())
    """

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Runs:
        """The runs of these rows."""
        rows = tuple(rows)
        runs = cls(Run(row.run.path) for row in rows)
        runs.rows = rows
        return runs

    def to_dicts(self) -> list[dict[str, Any]]:
        """A flat dictionary for each run: name, state, scores, every setting by its dotted key."""
        return [dict(row.values) for row in self.rows]

    def __repr__(self) -> str:
        """A line for each run: its name, its state and, if it has them, its scores."""
        return "\n".join(["Runs:", *map(_line, self.rows)])

    def _repr_html_(self) -> str:
        """The table that `dl runs` prints, as Jupyter shows it."""
        from dlcli.runs.listing import fields_of

        fields = fields_of(self.rows)
        return html_table(
            fields, ([row.values.get(field) for field in fields] for row in self.rows)
        )


def _line(row: Row) -> str:
    """A run's name and state, with its scores if it has any."""
    from dlcli.evaluation.scores import scores_of

    of = scores_of(row.values)
    # people look at the loss last
    scores = {name: row.values.get(f"val_{name}") for name in reversed(of.names)}
    told = [f"{of.words[n]} {value:.4f}" for n, value in scores.items() if value is not None]
    return ", ".join([f"{row.run.dataset}/{row.run.name} {row.state}", *told])


def list_runs(dataset: Folder | str | None = None, *, runs_dir: str | Path | None = None) -> Runs:
    """List the runs, the newest first. A damaged one is listed too, with what is wrong.

    Args:
        dataset: an opened one, or its name; None: all datasets.
        runs_dir: the folder that holds the runs; by default the setting.
    """
    from dlcli.runs.listing import list_runs

    name = dataset.name if isinstance(dataset, Folder) else dataset
    folder = _config(runs_dir=runs_dir).settings().runs_dir
    return Runs.of(list_runs(folder, name, settings=True))


def organize(
    source: str | Path,
    dataset: str | Path | None = None,
    *,
    move: bool = False,
    link: bool = False,
    flatten: bool = False,
    labels: str | None = None,
    id_column: str | None = None,
    label_column: str | None = None,
    quiet: bool = False,
) -> Dataset:
    """Make a dataset of a folder or an archive that was downloaded.

    Args:
        source: the folder, zip or tar, which stays as it is unless `move`.
        dataset: the folder to make, or a name under the data folder; by default the source's name.
        move: move the files instead of copying them.
        link: make links to the files instead of copies.
        flatten: take images from subfolders of class folders, too.
        labels: a CSV that holds the labels: a path, or a name inside the download.
        id_column: its column that names the images.
        label_column: its column that names their classes.
        quiet: print no messages.

    Returns:
        the dataset; the existing one if the same source was organised before.

    Raises:
        DlError: there are no images, or the dataset's folder holds something else.
        ValueError: both `move` and `link`.
    """
    from dlcli.data.photos.organize import organize as organizing
    from dlcli.data.photos.organize.labels import Naming
    from dlcli.files.archives import without_suffix

    if move and link:
        raise ValueError("organize takes `move` or `link`, not both")
    found = absolute(Path(source))
    name = os.fspath(dataset or (without_suffix(found.name) if found.is_file() else found.name))
    goal = folder_named(name, load_config().settings().data_dir)
    with hushed(quiet):
        options = organizing.OrganizeOptions(
            kind="move" if move else "link" if link else "copy",
            naming=Naming(labels, id_column, label_column),
            flatten=flatten,
        )
        outcome = organizing.organize(found, goal, options)
        for note in organizing.notes_of(outcome.operation) if outcome else ():
            say(note)
        say(f"The dataset is in {shown(goal)}")
        made = Dataset._at(goal)
        say_look_alikes(made, once=True)
    return made


def compute_features(
    dataset: Folder | str | Path,
    *,
    layer: Layer = "pooled",
    quiet: bool = False,
    **settings: Any,
) -> dict[str, Features]:
    """Compute a pretrained network's features of each image once, and keep them on disk.

    Args:
        dataset: an opened one, its folder, or its name.
        layer: where the network is cut: "pooled", "conv" or "imagenet" (see `dl features`).
        quiet: print no messages.
        **settings: such as `backbone`, `weights`, `image_size`, `workers`, `on_error`.

    Returns:
        for each split with images: `paths`, and `rows` on disk; `features["train"].rows[:]` is
            an array of shape (n, ...), float32.

    Raises:
        DlError: an image is unreadable, the disk is full, or the backbone is not known.
    """
    from dlcli.features import compute
    from dlcli.models.engines import resolve_forward

    with hushed(quiet):
        config = _config(**settings)
        shared, folder = config.settings(), _opened(dataset)
        forward, weights = resolve_forward(shared, layer)
        store = compute.compute_features(
            folder, forward, weights, workers=shared.threads, on_error=shared.on_error
        )
    with_images = [split for split, paths in folder.splits.items() if paths]
    return {split: compute.open_features(store, folder, split) for split in with_images}


def train(
    recipe: str, dataset: Folder | str | Path, *, quiet: bool = False, **hyperparameters: Any
) -> Run:
    """Train a recipe; everything about it goes into a run directory.

    Args:
        recipe: its name, such as "finetune"; `dl recipes` lists them.
        dataset: an opened one, its folder, or its name.
        quiet: print no messages.
        **hyperparameters: of the recipe, and settings: `dropout=0.3`, `seed=1`. `epochs` and `lr`
            change the schedule, as `--epochs` and `--lr` do.

    Returns:
        the finished run.

    Raises:
        DlError: an argument is wrong (no run is made then), or training failed.
        Interrupted: Ctrl-C while it trains; the run can be resumed.
    """
    from dlcli.training.launch import train as train_recipe

    with hushed(quiet):
        root = _opened(dataset).root
        own = settings_of(recipe_class(recipe))
        changed = {name: hyperparameters.pop(name, None) for name in {"epochs", "lr"} - own.keys()}
        config = _config(recipe, **hyperparameters).with_schedule(recipe, **changed)
        keys = [key_named(name, recipe) for name in (*hyperparameters, "schedule")]
        options = " ".join(config.given_flags(dict.fromkeys(keys)))
        with _recorded("train", recipe, {"-d": root}, options):
            return Run(train_recipe(config, recipe, root).path)


def _config(recipe: str = "", /, **given: Any) -> Config:
    """All settings, with what a caller gave in the place of flags."""
    config = load_config()
    for warning in config.warnings:
        say(f"Warning: {warning}")
    given = {name: value for name, value in given.items() if value is not None}
    return config.with_flags({key_named(name, recipe): value for name, value in given.items()})


def _opened(dataset: Folder | str | Path) -> Folder:
    return dataset if isinstance(dataset, Folder) else Dataset.open(dataset)


@contextmanager
def _recorded(
    verb: str, word: str | Path, options: Mapping[str, Any], more: str = ""
) -> Iterator[None]:
    """Record the `dl` command that does the same, not the one that started Python."""
    import shlex

    words = ["dl", verb, str(word)]
    for flag, value in options.items():
        if value is not None:
            words += [flag, str(value)]
    with as_command(" ".join([shlex.join(words), more]).strip()):
        yield
