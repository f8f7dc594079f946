"""Damage every file that `dl` reads, one after the other, and see that each reader bears it.

A format is a file that some version of `dl` wrote, in a home of its own, and what reads it. A try
damages that file and reads: the reader gives an answer or a `DlError`, in bounded time and memory,
and changes nothing on disk but what it is there to write.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from torture.damage import damage_of

CORPUS = Path(__file__).parents[1] / "data" / "0.1.0" / "home"
LINEAR = "runs/pets/202611290221-linear-e4-lr0.001"
STOPPED = "runs/pets/202611290227-finetune-e4-lr0.001-t1"
KILLED = "runs/pets/202611290226-linear-e4-lr0.001"
ENSEMBLE = "runs/pets/202611290223-ensemble-m2"
STORE = "data/pets/features/efficientnet-lite0-pooled-71735f6c"
FILMS = "data/films"
RATED = "runs/films/202611290221-collab-dot-e18"

SECONDS = 20  # of this process's own work; a try takes some milliseconds
GROWTH = 1 << 30  # bytes of memory


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        file: below the home, one that is damaged.
        read: what reads it, given the home and a source of chance.
        kind: how it is written: text, yaml, json, csv, npy, npz or bytes.
        beside: what the reader needs besides: files and folders below the home.
        writes: below the home, what the reader may change.
    """

    file: str
    read: Callable[[Path, random.Random], object]
    kind: str
    beside: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def try_one(self, rng: random.Random, folder: Path) -> None:
        """Damage the file once, and read it.

        Args:
            folder: empty at first, then the home of all tries of this format.

        Raises:
            AssertionError: the reader failed, took too long, or changed another file.
        """
        from dlcli.errors import DlError

        self._prepare(folder)
        damaged = folder / self.file
        whole = damaged.read_bytes()
        data = damage_of(self.kind, rng, whole)
        damaged.write_bytes(data)
        try:
            before, began, peak = _files(folder), time.thread_time(), _peak()
            with _at_home(folder), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                try:
                    self.read(folder, rng)
                except DlError as error:
                    _require_words(error)
            seconds, growth = time.thread_time() - began, _peak() - peak
            assert seconds < SECONDS, f"it took {seconds:.0f} s"
            assert growth < GROWTH, f"it took {growth >> 20} MB"
            after = _files(folder)
            changed = {
                name for name in before.keys() | after if before.get(name) != after.get(name)
            }
            kept = [name for name in changed if not name.startswith(self.writes or ("\0",))]
            assert not kept, f"it changed {', '.join(sorted(kept))}"
        except Exception as error:
            shutil.rmtree(folder)
            raise AssertionError(
                f"{self.file}: {type(error).__name__}: {error}\n{_said(data)}"
            ) from error
        damaged.write_bytes(whole)
        if self.writes:
            shutil.rmtree(folder)

    def _prepare(self, folder: Path) -> None:
        if (folder / self.file).exists():
            return
        for name in (self.file, *self.beside):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name in _MADE:
                target.write_bytes(_MADE[name]())
            elif (CORPUS / name).is_dir():
                shutil.copytree(CORPUS / name, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(CORPUS / name, target)


# --- what is watched


@contextmanager
def _at_home(folder: Path) -> Iterator[None]:
    kept, here = dict(os.environ), Path.cwd()
    for name in [name for name in os.environ if name.startswith(("XDG_", "DL_", "KAGGLE_"))]:
        del os.environ[name]
    os.environ |= {"HOME": str(folder), "COLUMNS": "100", "DL_DEBUG": "0"}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(kept)


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if not path.is_dir():
            name = path.relative_to(folder).as_posix()
            found[name] = status.st_size, status.st_mtime_ns, status.st_ino
    return found


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _require_words(error: Any) -> None:
    """An error says what is wrong, in one line that is not the file itself."""
    assert error.what, "an error without words"
    assert len(str(error)) < 3000, f"an error of {len(str(error)):,} characters: {error!s:.200}"


def _said(data: bytes) -> str:
    return f"{data[:400]!r}{' ...' if len(data) > 400 else ''}"


# --- the readers


def _command(*words: str) -> None:
    """Run `dl` in this process; it may fail with a message, never with a traceback."""
    from dlcli.cli import main

    argv, sys.argv = sys.argv, ["dl", *words]
    try:
        code = main(list(words))
    finally:
        sys.argv = argv
    assert code in (0, 1, 2), f"`dl {' '.join(words)}` ended with {code}"


def _listing(home: Path, rng: random.Random) -> None:
    """All that lists runs: one that is damaged hides no other."""
    from dlcli.cli.parts.complete import complete_run
    from dlcli.runs.listing import list_runs
    from dlcli.runs.run import Run

    names = {file.parent.name for file in (home / "runs").glob("*/*/status.yaml")}
    for settings in (False, True):
        rows = list_runs(home / "runs", settings=settings)
        assert {row.run.name for row in rows} == names
    for run in Run.all(home / "runs"):
        _ = run.state, run.is_damaged, run.dataset_path
    assert {item.value for item in complete_run(None, None, "")} == names  # type: ignore[arg-type]
    _command(*rng.choice(LISTS))


LISTS = (
    ("runs",),
    ("runs", "ls", "--all"),
    ("runs", "ls", "--all", "--csv"),
    ("runs", "ls", "--all", "--json"),
    ("runs", "ls", "--all", "epochs>1", "lr<1"),
    ("runs", "ls", "--all", "--sort", "val_loss"),
    ("runs", "best", "-d", "pets"),
    ("runs", "du"),
)


def _of_run(folder: str) -> Callable[[Path, random.Random], None]:
    """Everything that reads one run."""
    name = folder.rpartition("/")[2]

    def read(home: Path, rng: random.Random) -> None:
        from dlcli.errors import DlError
        from dlcli.runs.run import Run

        _listing(home, rng)
        run = Run(home / folder)
        for get in (
            lambda: run.record,
            lambda: run.classes,
            lambda: run.history,
            lambda: run.is_ensemble,
            lambda: run.features_forward,
        ):
            try:
                get()
            except DlError as error:
                _require_words(error)
        _command(*rng.choice((("runs", "show", name), ("runs", "show", name, "--json"))))
        _command("runs", "diff", name, KILLED.rpartition("/")[2])

    return read


def _history(home: Path, rng: random.Random) -> None:
    from dlcli.runs.run import Run

    _of_run(LINEAR)(home, rng)
    _ = Run(home / LINEAR).history


def _predictions(home: Path, rng: random.Random) -> None:
    from dlcli.inference.predictions import aligned, mean_of, read_predictions

    found = read_predictions(home / LINEAR / "predictions/valid.csv")
    _ = found.digest, found.y_true
    mean_of(aligned([found, found], found.classes))


def _checkpoint(home: Path, rng: random.Random) -> None:
    from dlcli.training.checkpoint import load_best, load_checkpoint

    progress, _, _ = load_checkpoint(home / KILLED / "checkpoint")
    load_best(home / KILLED / "checkpoint", progress)


def _store(home: Path, rng: random.Random) -> None:
    from dlcli.features.split_log import read_split
    from dlcli.features.store import stored_features

    stored_features(home / "data/pets")
    stored = read_split(home / STORE, "valid")
    if stored is not None:
        believed = stored.believed()
        _ = believed.rows, believed.skipped, believed.changed, believed.with_rows
    _command("features", "ls", "--all")


def _kaggle(home: Path, rng: random.Random) -> None:
    from dlcli.kaggle.record import best_score, read_log
    from dlcli.runs.run import Run

    _command("runs", "show", LINEAR.rpartition("/")[2])
    best_score(read_log(Run(home / LINEAR)))


def _ladder(home: Path, rng: random.Random) -> None:
    from dlcli.runs.ladder import Ladder

    for ladder in Ladder.all(home / "runs", "pets"):
        _ = ladder.is_finished, ladder.run("linear"), ladder.is_done("linear")
    _listing(home, rng)


def _dataset(home: Path, rng: random.Random) -> None:
    from dlcli.data.dataset import dataset_settings

    dataset_settings(home / "data/pets")


def _settings(home: Path, rng: random.Random) -> None:
    from dlcli.cli.parts import complete
    from dlcli.config import load_config
    from dlcli.errors import DlError

    for each in (complete.complete_dataset, complete.complete_run, complete.complete_setting):
        try:
            each(None, None, "")  # type: ignore[arg-type]
        except DlError as error:
            raise AssertionError("completion failed") from error
    config = load_config()
    config.settings()
    list(config.items())


def _saved(file: str) -> Callable[[Path, random.Random], None]:
    """A setting is saved in a file, or removed from it."""

    def change(home: Path, rng: random.Random) -> None:
        from dlcli.config import read_config_file
        from dlcli.settings_file import remove_setting, save_setting

        key = rng.choice(("train.dense.units", "seed", "kaggle.positive", "train.linear.schedule"))
        if rng.random() < 0.5:
            save_setting(
                home / file, key, {"seed": "3"}.get(key, "1e-3x2" if "sch" in key else "4")
            )
        else:
            remove_setting(home / file, key)
        if (home / file).exists():  # without a setting it is removed
            read_config_file(home / file)

    return change


def _journal(home: Path, rng: random.Random) -> None:
    from dlcli.data.journal import journals

    for journal in journals(home / "data/fish"):
        journal.read()


def _ratings(home: Path, rng: random.Random) -> None:
    """Everything that reads a dataset of ratings."""
    from dlcli.data.kinds import open_dataset
    from dlcli.data.ratings.pairs import read_test
    from dlcli.data.ratings.ratings import Ratings
    from dlcli.data.ratings.splits import unseen

    words = rng.choice((("ls",), ("ls", "films"), ("check", "films"), ("check", "films", "--json")))
    _command("data", *words)
    ratings = open_dataset(home / FILMS)
    assert isinstance(ratings, Ratings)
    _ = ratings.fingerprints, ratings.density, ratings.rows("train"), ratings.rows("valid")
    if ratings.split:
        unseen(ratings)
    _ = ratings.user_ids, ratings.item_ids, ratings.titles
    read_test(ratings)


def _source(home: Path, rng: random.Random) -> None:
    """A file of ratings is organised."""
    _command("data", "organize", "ratings.csv", "films")
    _command("data", "split", "films", "--by", rng.choice(("user", "time")))


def _predicted(home: Path, rng: random.Random) -> None:
    from dlcli.inference.ratings.predictions import read_predictions

    found = read_predictions(home / "predicted.csv")
    _ = found.digest, found.rated(("ann", "bob"), ("m1", "m2"))


def _ids(home: Path, rng: random.Random) -> None:
    """What a run on ratings says of its users and items."""
    from dlcli.inference.ratings.recommend import find_item
    from dlcli.inference.ratings.serving import read_labels
    from dlcli.runs.run import Run

    run = Run(home / RATED)
    find_item(run, read_labels(run), rng.choice(("Heat", "m1", "up")))


def _pairs(home: Path, rng: random.Random) -> None:
    from dlcli.data.ratings.pairs import read_pairs

    users, items = read_pairs(home / "pairs.csv")
    assert len(users) == len(items)


def _sample_of_ratings(home: Path, rng: random.Random) -> None:
    from dlcli.kaggle.ratings.submission import read_sample

    read_sample(home / "sample_submission.csv")


def _sample(home: Path, rng: random.Random) -> None:
    from dlcli.kaggle.photos.sample import read_sample_submission

    read_sample_submission(home / "data/pets/sample_submission.csv")


def _labels(home: Path, rng: random.Random) -> None:
    from dlcli.data.photos.organize.tables import read_table

    read_table(home / "labels.csv", is_named=True)


def _chosen(home: Path, rng: random.Random) -> None:
    from dlcli.data.choice import last_named

    choice = last_named()
    assert choice is None or isinstance(choice.root, Path)
    _command("runs")


def _order(home: Path, rng: random.Random) -> None:
    from dlcli.aws.order import read_order

    order = read_order("eu-west-1", "box")
    assert order is None or order.is_fresh(time.time())


def _prices(home: Path, rng: random.Random) -> None:
    from dlcli.aws.prices import _read_cache

    assert all(isinstance(price, float) for price in _read_cache("eu-west-1").values())


def _engine(home: Path, rng: random.Random) -> None:
    from dlcli.inference.serving import _record
    from dlcli.runs.run import Run

    _record(Run(home / LINEAR))


def _ladder_file() -> bytes:
    from dlcli.process import this_process

    plan = {"steps": {"linear": {}, "dense": {}}, "settings": {"seed": 0}}
    at = {"step": "linear", "since": "2026-11-29T02:21:00Z", **this_process()}
    runs = {"linear": LINEAR.rpartition("/")[2]}
    record = {"state": "finished", "started": "2026-11-29T02:21:00Z", "plan": plan, "at": at}
    return yaml.safe_dump(record | {"runs": runs, "failed": {"dense": "no room"}}).encode()


@cache
def _films() -> Mapping[str, bytes]:
    """The files of a dataset of ratings with a split and pairs to predict."""
    from support.small_ratings import organized, written

    from dlcli.data.ratings.splits import split

    with TemporaryDirectory() as folder:
        written(Path(folder) / "test.csv", (("userId", "movieId"), ("ann", "m3"), ("dora", "m1")))
        written(Path(folder) / "movies.csv", (("movieId", "title"), ("m1", "Up"), ("m2", "Heat")))
        organized(Path(folder))
        split(Path(folder) / "films", 2, "random", 0)
        return {f"{FILMS}/{name}": (Path(folder) / "films" / name).read_bytes() for name in _FILES}


def _ratings_file() -> bytes:
    from support.small_ratings import HEADER, ROWS

    return "".join(",".join(row) + "\n" for row in (HEADER, *ROWS)).encode()


def _predicted_file() -> bytes:
    return b"user,item,rating,predicted\nann,m1,4,3.9\nann,m3,,2.25\nbob,m3,1,1.5\n"


def _order_file() -> bytes:
    from dataclasses import fields

    from dlcli.aws.order import Order

    return yaml.safe_dump({field.name: "x" for field in fields(Order)}).encode()


def _prices_file() -> bytes:
    return json.dumps({"asked": time.time(), "prices": {"g4dn.xlarge": 0.526}}).encode()


_LADDER = "runs/pets/202611290230-ladder/ladder.yaml"
_STATE = ".local/state/dl/"
_CHOICE = f"{_STATE}dataset"
_ORDER = ".local/state/dl/aws/launches/eu-west-1-box.yaml"
_PRICES = ".cache/dl/aws/prices-eu-west-1.json"
_FILES = (
    "ratings.yaml",
    "split.yaml",
    "users.csv",
    "items.csv",
    *(f"ratings/{name}.npy" for name in ("user", "item", "rating", "time", "split")),
    *(f"test/{name}" for name in ("user.npy", "item.npy", "pairs.csv")),
)
_OF_FILMS = tuple(f"{FILMS}/{name}" for name in _FILES)
# Files that are not in the corpus.
_MADE: Mapping[str, Callable[[], bytes]] = {
    _LADDER: _ladder_file,
    _CHOICE: lambda: b"/home/reader/data/pets\n",
    _ORDER: _order_file,
    _PRICES: _prices_file,
    "labels.csv": lambda: b"id,label\n" + b"".join(b"%d,cat\n%d,dog\n" % (n, -n) for n in range(9)),
    "ratings.csv": _ratings_file,
    "predicted.csv": _predicted_file,
    "pairs.csv": lambda: b"id,userId,movieId\n7,ann,m1\n8,bob,m3\n",
    "sample_submission.csv": lambda: b"id,rating\n8,0\n7,0\n",
    f"{RATED}/users.csv": lambda: b"id\nann\nbob\n",
    f"{RATED}/items.csv": lambda: b"id,title\nm1,Up\nm2,\nm3,Heat\n",
    **{name: partial(lambda name: _films()[name], name) for name in _OF_FILMS},
}
_RUNS = ("runs/pets",)
_USER = ".config/dl/config.yaml"

FORMATS: dict[str, Format] = {
    "status": Format(f"{LINEAR}/status.yaml", _of_run(LINEAR), "yaml", _RUNS),
    "status of a killed run": Format(f"{KILLED}/status.yaml", _of_run(KILLED), "yaml", _RUNS),
    "lock": Format(f"{KILLED}/lock.yaml", _of_run(KILLED), "yaml", _RUNS),
    "run's config": Format(f"{LINEAR}/config.yaml", _of_run(LINEAR), "yaml", _RUNS),
    "ensemble's config": Format(f"{ENSEMBLE}/config.yaml", _of_run(ENSEMBLE), "yaml", _RUNS),
    "stopped run's config": Format(f"{STOPPED}/config.yaml", _of_run(STOPPED), "yaml", _RUNS),
    "classes": Format(f"{LINEAR}/classes.yaml", _of_run(LINEAR), "yaml", _RUNS),
    "history": Format(f"{LINEAR}/history.csv", _history, "csv", _RUNS),
    "predictions": Format(f"{LINEAR}/predictions/valid.csv", _predictions, "csv"),
    "checkpoint": Format(
        f"{KILLED}/checkpoint/state.npz", _checkpoint, "npz", (f"{KILLED}/checkpoint",)
    ),
    "best weights": Format(
        f"{KILLED}/checkpoint/best-2.npz", _checkpoint, "npz", (f"{KILLED}/checkpoint",)
    ),
    "store's manifest": Format(f"{STORE}/manifest.yaml", _store, "yaml", (STORE,)),
    "store's log": Format(f"{STORE}/valid.done", _store, "json", (STORE,)),
    "store's listing": Format(f"{STORE}/valid.csv", _store, "csv", (STORE,)),
    "store's sizes": Format(f"{STORE}/valid.bc/meta/sizes", _store, "json", (STORE,)),
    "store's storage": Format(f"{STORE}/valid.bc/meta/storage", _store, "json", (STORE,)),
    "kaggle": Format(f"{LINEAR}/kaggle.yaml", _kaggle, "yaml", (LINEAR,)),
    "ladder": Format(_LADDER, _ladder, "yaml", (LINEAR,)),
    "dataset.yaml": Format("data/pets/dataset.yaml", _dataset, "yaml"),
    "config": Format(_USER, _settings, "yaml"),
    "dl.yaml": Format("stripes/dl.yaml", _settings, "yaml"),
    "config to change": Format(_USER, _saved(_USER), "yaml", writes=(_USER,)),
    "journal": Format("data/fish/.dl/0001-split.pending", _journal, "json"),
    "sample submission": Format("data/pets/sample_submission.csv", _sample, "csv"),
    "labels": Format("labels.csv", _labels, "csv"),
    "dataset last named": Format(_CHOICE, _chosen, "text"),
    **{
        f"films' {name}": Format(
            f"{FILMS}/{name}", _ratings, name.rpartition(".")[2], _OF_FILMS, writes=(_STATE,)
        )
        for name in _FILES
    },
    "ratings to organize": Format("ratings.csv", _source, "csv", writes=("data/", _STATE)),
    "predicted ratings": Format("predicted.csv", _predicted, "csv"),
    **{
        f"run's {name}": Format(
            f"{RATED}/{name}", _ids, "csv", (f"{RATED}/users.csv", f"{RATED}/items.csv")
        )
        for name in ("users.csv", "items.csv")
    },
    "pairs to predict": Format("pairs.csv", _pairs, "csv"),
    "sample submission of ratings": Format("sample_submission.csv", _sample_of_ratings, "csv"),
    "order of a box": Format(_ORDER, _order, "yaml"),
    "prices": Format(_PRICES, _prices, "json"),
    "engine": Format(f"{LINEAR}/models/engine/engine.yaml", _engine, "yaml", (LINEAR,)),
}
