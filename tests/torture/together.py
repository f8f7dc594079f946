"""Several commands at once on one dataset: each waits, does its work, or says who is at work."""

from __future__ import annotations

from random import Random

from support.forked_commands import Forks
from support.small_folders import plant
from torture.lab import Failed, Lab, Seen
from torture.scenes import FIRST, SECOND, content, planted, small, split_dataset, two_runs

WORKS = (
    "data/pets",
    "data/.pets-",
    "data/.dl-",
    ".config/dl",
    "runs",
    "data/copied",
    "data/.copied",
)
FILES = (
    ("data", "split", "pets", "--valid", "2"),
    ("data", "split", "pets", "--valid", "3"),
    ("data", "undo", "pets"),
    ("data", "undo", "pets-sample"),
    ("data", "sample", "pets", "--train", "6", "--valid", "3"),
    ("data", "sample", "pets", "--train", "5", "--valid", "4", "--replace"),
    ("data", "ls", "pets"),
    ("data", "organize", "got", "pets"),
    ("data", "organize", "got", "copied"),
    ("data", "undo", "copied"),
    ("config", "set", "seed", "5"),
    ("config", "set", "image_size", "96"),
    ("config", "set", "workers", "2"),
    ("runs", "rm", "--yes", FIRST),
    ("runs", "rm", "--yes", SECOND),
    ("runs",),
)
SMALL = ("-d", "tiny", "--image-size", "32")
TRAIN = ("train", "finetune", *SMALL, "--batch-size", "4", "--schedule", "1e-3x2")
TRAININGS = (
    ("features", *SMALL),
    ("features", *SMALL),
    ("features", "rm", "--all", "--yes", "-d", "tiny"),
    ("features", "ls", "-d", "tiny"),
    TRAIN,
    TRAIN,
    ("data", "split", "tiny", "--valid", "2"),
    ("data", "undo", "tiny"),
    ("data", "sample", "tiny", "--train", "4", "--valid", "2"),
    ("runs",),
    ("runs", "rm", "--yes", "state=finished", "-d", "tiny"),
    ("config", "set", "seed", "5"),
)


def rush(lab: Lab, seed: int, processes: int = 6) -> None:
    """Start commands of files alone, all at once."""
    rng = Random(seed)
    lab.clear()
    lab.typed.append(f"# rush, seed {seed}")
    planted(split_dataset)(lab.home, rng)
    two_runs(lab.home, rng)
    plant(lab.home, {f"got/train/{kind}/{n}.jpg": content(rng) for kind in "ab" for n in range(4)})
    plant(lab.home, {".config/dl/config.yaml": b"# yours\nimage_size: 64\n"})
    if rng.random() < 0.5:  # one that is not split
        for path in lab.home.glob("data/pets/valid/*/*"):
            path.unlink()
    kept = Seen.of(lab.home).without(".config/dl", "runs")
    at_once(lab, lab.files, rng.choices(FILES, k=processes))
    lab.require(kept, WORKS)
    set_keys(lab)
    for name in ("pets", "pets-sample", "copied"):
        if (lab.home / "data" / name).exists():
            lab.dl("data", "ls", name)
            lab.require(kept, WORKS)
    pending = [*lab.home.glob("data/*/.dl/*.pending"), *lab.home.glob("data/*/.dl/*.undoing")]
    if pending:
        raise Failed(lab.story(f"left pending, though nobody was killed: {pending}"))
    left = [*lab.home.glob("data/.*.partial"), *lab.home.glob("data/.*.replaced")]
    if left:
        raise Failed(lab.story(f"left over, though nobody was killed: {left}"))


def set_keys(lab: Lab) -> None:
    """See that each setting that was said to be saved is."""
    saved = (lab.home / ".config/dl/config.yaml").read_text()
    for words in {line.split("   #")[0] for line in lab.typed if line.startswith("dl config set")}:
        key, value = words.split()[3:5]
        if f"{key}: {value}" not in saved:
            raise Failed(lab.story(f"not saved: {key} = {value}\n{saved}"))
    if not saved.startswith("# yours\n"):
        raise Failed(lab.story(f"a comment is gone:\n{saved}"))


def rush_of_trainings(lab: Lab, seed: int, processes: int = 4) -> None:
    """Start commands that need a backend, all at once."""
    rng = Random(seed)
    lab.clear()
    lab.typed.append(f"# rush_of_trainings, seed {seed}")
    small(lab.home, rng)
    works = ("data/tiny", "data/.tiny-", "data/.dl-", "runs", ".config/dl")
    kept = Seen.of(lab.home).without("runs", "data/tiny/features")
    at_once(lab, lab.trainings, rng.choices(TRAININGS, k=processes))
    lab.require(kept, works)
    done = lab.dl("features", *SMALL, heavy=True)
    if done.exit_code:
        raise Failed(lab.story(f"features can't be computed any more:\n{done.stderr}"))
    lab.dl("runs", heavy=True)
    lab.require(kept, works)


def at_once(lab: Lab, forks: Forks, commands: list[tuple[str, ...]]) -> None:
    """Start all, then wait for each."""
    started = [(forks.start(*words), words) for words in commands]
    for pid, words in started:
        lab.end(forks, pid, words)
    lab.counts["simultaneous commands"] += len(started)
