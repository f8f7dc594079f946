"""Commands, and the homes in which they are struck down."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random

from support.competition_entry import finished_run, make_pets
from support.listed_runs import listed_run
from support.pictures import make_dataset
from support.predicted_run import two_runs_of_pets
from support.small_folders import Tree, plant

# What people call their photos.
ODD = (
    "a b",
    "-rf",
    "it's",
    'so "quoted"',
    "new\nline",
    "ünïcode",
    "\udcff",
    ".hid",
    "$HOME",
    "*",
)
CLASSES = ("cat", "dog", "fox", "Great Dane", "ñandú")
# Somebody's own, here and there: no command may touch it.
NOTES = {
    "notes.txt": b"my notes",
    "data/other/train/cat/1.jpg": b"another dataset",
    "data/.pets-sample.notes": b"looks like a leftover",
    "data/.dl-notes.txt": b"looks like one, too",
}

FIRST, SECOND = "202611231409-finetune-e3", "202611231410-finetune-e3"

Make = Callable[[Path, Random], object]


@dataclass(frozen=True)
class Scene:
    """A command and what it begins with.

    Args:
        words: what is typed.
        make: makes what is there before, from random numbers.
        changes: what begins so, relative to the home, is where it works.
        before: commands that were typed before.
        heavy: whether it needs a backend.
        reads: commands that only read, typed after the accident.
        once: what is made before is copied, not made anew: it takes seconds.
        own: what begins so is the command's to change; all else has to keep its content.
        leaves: what may be left over in the end, as a regular expression: empty folders, a lock.
    """

    words: tuple[str, ...]
    make: Make
    changes: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    heavy: bool = False
    reads: tuple[tuple[str, ...], ...] = (("data", "ls"),)
    once: bool = False
    own: tuple[str, ...] = ()
    leaves: str = ""


def content(rng: Random) -> bytes:
    """A file's, unlike all others; some take more than a block of the disk."""
    size = rng.choice([8, 40, 5_000, 70_000])
    return rng.randbytes(8) * (size // 8)


def names(rng: Random, count: int) -> list[str]:
    """Names of photos, some of them odd."""
    odd = rng.sample(ODD, min(count, rng.randint(0, 3)))
    return [f"{name}.jpg" for name in [*odd, *map(str, range(count - len(odd)))]]


def classes(rng: Random, below: str, least: int = 3) -> Tree:
    """A folder for each of some classes, of a few photos each."""
    return {
        f"{below}{kind}/{name}": content(rng)
        for kind in rng.sample(CLASSES, rng.randint(2, 4))
        for name in names(rng, rng.randint(least, 6))
    }


def flat(rng: Random, below: str) -> Tree:
    """As Kaggle ships them."""
    tree = {
        f"{below}train/{kind}.{n}.jpg": content(rng) for kind in ("cat", "dog") for n in range(4)
    }
    tree |= {f"{below}test1/{n}.jpg": content(rng) for n in range(1, rng.randint(2, 4))}
    return tree | {f"{below}sample_submission.csv": b"id,label\n1,0.5\n"}


def csv(rng: Random, below: str) -> Tree:
    """Photos in one folder, and their classes in a CSV."""
    photos = [f"{rng.getrandbits(32):08x}" for _ in range(rng.randint(6, 12))]
    rows = [f"{photo},{('cat', 'dog')[n % 2]}" for n, photo in enumerate(photos)]
    table = "\n".join(["id,breed", *rows, ""]).encode()
    tree = {f"{below}train/{photo}.jpg": content(rng) for photo in photos}
    return {f"{below}labels.csv": table} | tree


def archive(rng: Random) -> bytes:
    """A zip of a folder per class."""
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name, data in classes(rng, "pets/").items():
            name = name.encode(errors="replace").decode()
            file.writestr(zipfile.ZipInfo(name, (2026, 11, 23, 14, 9, 0)), data)
    return held.getvalue()


def planted(*trees: Callable[[Random], Tree]) -> Make:
    """Plants files that are drawn, and somebody's notes."""

    def make(home: Path, rng: Random) -> None:
        plant(home, NOTES)
        for tree in trees:
            plant(home, tree(rng))

    return make


def dataset(rng: Random) -> Tree:
    """A dataset, data/pets, that is not split."""
    return classes(rng, "data/pets/train/") | {
        "data/pets/test/1.jpg": content(rng),
        "data/pets/notes.txt": b"of the dataset",
        "data/pets/dataset.yaml": b"kaggle: {positive: dog}\n",
    }


def split_dataset(rng: Random) -> Tree:
    """One that is."""
    tree = dataset(rng)
    kinds = sorted({name.split("/")[3] for name in tree if name.startswith("data/pets/train/")})
    paths = [f"data/pets/valid/{kind}/v{number}.jpg" for kind in kinds for number in (1, 2)]
    return tree | {path: content(rng) for path in paths}


def two_runs(home: Path, rng: Random) -> None:
    plant(home, NOTES)
    for name in (FIRST, SECOND):
        run = listed_run(name, "pets")
        (run.path / "models").mkdir()
        (run.path / "models" / "best.keras").write_bytes(content(rng))
        (run.path / "figures").mkdir()
        (run.path / "figures" / "curves.png").write_bytes(content(rng))


def of_competition(home: Path, rng: Random) -> None:
    plant(home, NOTES)
    finished_run(make_pets(home))


def of_pets(home: Path, rng: Random) -> None:
    plant(home, NOTES)
    two_runs_of_pets(home, FIRST, SECOND)


def small(home: Path, rng: Random) -> None:
    """A dataset of pictures to train on."""
    plant(home, NOTES)
    make_dataset(home / "data" / "tiny", train=4, valid=2, test=2)


def settings(home: Path, rng: Random) -> None:
    plant(home, NOTES | {"work/dl.yaml": b"# mine\nseed: 3  # of the first try\n"})
    plant(home, {".config/dl/config.yaml": b"# yours\nimage_size: 64\n"})


PETS = ("data/pets", "data/.pets-", "data/.dl-")
OF_FIRST = (f"runs/pets/{FIRST}", "runs/pets/.dl-")
SMALLEST = ("--image-size", "32", "--batch-size", "4")
LINEAR = ("train", "linear", "-d", "tiny", "--schedule", "1e-3x3", *SMALLEST)
FINETUNE = ("train", "finetune", "-d", "tiny", "--schedule", "1e-3x2", *SMALLEST)
OF_RUNS = (("runs", "--all"), ("data", "ls"))
LOCK = r"data/pets-sample/\.dl/lock"
organize = partial(Scene, changes=PETS)
change = partial(Scene, changes=PETS)
undo = partial(Scene, changes=PETS, leaves=r"data/pets(-sample)?/(.*/)?(\.dl/lock)?")
TRAINS = ("runs", "data/tiny/features")
train = partial(
    Scene,
    leaves="runs/.*/before-epoch-[^/]*/",
    heavy=True,
    reads=OF_RUNS,
    once=True,
    changes=TRAINS,
    own=TRAINS,
)
of_first = partial(Scene, changes=OF_FIRST, own=OF_FIRST, reads=(("runs", "--all"),))

SCENES = {
    "organize": organize(
        ("data", "organize", "download", "pets"), planted(lambda rng: classes(rng, "download/"))
    ),
    "organize-flat": organize(
        ("data", "organize", "download", "pets"), planted(lambda rng: flat(rng, "download/"))
    ),
    "organize-move": organize(
        ("data", "organize", "download", "pets", "--move"),
        planted(lambda rng: flat(rng, "download/")),
        changes=("download", *PETS),
        leaves="download/(.*/)?",
    ),
    "organize-link": organize(
        ("data", "organize", "download", "pets", "--link"),
        planted(lambda rng: classes(rng, "download/")),
    ),
    "organize-csv": organize(
        ("data", "organize", "download", "pets"), planted(lambda rng: csv(rng, "download/"))
    ),
    "organize-archive": organize(
        ("data", "organize", "pets.zip"), planted(lambda rng: {"pets.zip": archive(rng)})
    ),
    "organize-in-place": organize(
        ("data", "organize", "data/pets", "data/pets"),
        planted(lambda rng: flat(rng, "data/pets/")),
        leaves="data/pets/[^/]*/",
    ),
    "split": change(("data", "split", "pets"), planted(dataset)),
    "undo-split": undo(
        ("data", "undo", "pets"), planted(dataset), before=(("data", "split", "pets"),)
    ),
    "undo-organize": undo(
        ("data", "undo", "pets"),
        planted(lambda rng: classes(rng, "download/")),
        before=(("data", "organize", "download", "pets"),),
    ),
    "undo-move": undo(
        ("data", "undo", "pets"),
        planted(lambda rng: flat(rng, "download/")),
        changes=("download", *PETS),
        before=(("data", "organize", "download", "pets", "--move"),),
    ),
    "sample": change(
        ("data", "sample", "pets", "--train", "6", "--valid", "4"),
        planted(split_dataset),
        leaves=LOCK,
    ),
    "sample-replace": change(
        ("data", "sample", "pets", "--train", "5", "--valid", "4", "--replace"),
        planted(split_dataset),
        before=(("data", "sample", "pets", "--train", "6", "--valid", "3"),),
        leaves=LOCK,
    ),
    "undo-sample": undo(
        ("data", "undo", "pets-sample"),
        planted(split_dataset),
        before=(("data", "sample", "pets", "--train", "6", "--valid", "3"),),
    ),
    "config-set": Scene(
        ("config", "set", "seed", "5"),
        settings,
        (".config/dl",),
        own=(".config/dl",),
        reads=(("config", "show"),),
    ),
    "config-set-project": Scene(
        ("config", "set", "--project", "seed", "5"),
        lambda home, rng: plant(home, NOTES | {"dl.yaml": b"# mine\nseed: 3  # first\n"}),
        ("dl.yaml", ".dl-"),
        own=("dl.yaml",),
        reads=(("config", "show"),),
    ),
    "runs-rm": of_first(("runs", "rm", "--yes", FIRST), two_runs),
    "evaluate": of_first(("evaluate", FIRST), of_pets),
    "submit": of_first(("submit", FIRST, "--no-upload"), of_competition),
    "ensemble": Scene(
        ("ensemble", FIRST, SECOND, "-d", "pets"),
        of_pets,
        ("runs/pets",),
        reads=(("runs", "--all"),),
        leaves="runs/pets/[^/]*/",
    ),
    "features": train(("features", "-d", "tiny", "--image-size", "32"), small),
    "features-rm": Scene(
        ("features", "rm", "--all", "--yes", "-d", "tiny"),
        small,
        ("data/tiny",),
        own=("data/tiny/features",),
        before=(("features", "-d", "tiny", "--image-size", "32"),),
        heavy=True,
        reads=(("features", "ls", "-d", "tiny"),),
        once=True,
        leaves="data/tiny/features/.*",
    ),
    "train": train(LINEAR, small),
    "train-finetune": train(FINETUNE, small),
    "resume": train(("resume", "RUN", "--epochs", "5"), small, before=(LINEAR,)),
    "export": train(
        ("export", "RUN", "--format", "openvino", "--to", "exported"),
        small,
        before=(LINEAR,),
        changes=("exported", ".dl-", "runs"),  # a folder is made aside
    ),
}
LIGHT = [name for name, scene in SCENES.items() if not scene.heavy]
HEAVY = [name for name, scene in SCENES.items() if scene.heavy]
# A command is over, and the next one of the same words says that there is nothing to do.
NOTHING_LEFT = {
    "split": "already holds images",
    "undo-split": "Nothing to undo",
    "undo-organize": "",
    "undo-move": "",
    "undo-sample": "",
    "runs-rm": "",
    "features-rm": "",
}
