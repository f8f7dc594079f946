"""A competition on this machine, its data, and a finished run that may be submitted to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.kaggle_competition import Competition, zip_of
from support.kaggle_scoring import log_loss_of
from support.kaggle_server import KaggleServer
from support.predicted_run import predicted_run
from support.small_folders import make

from dlcli.files import download
from dlcli.kaggle import account, send
from dlcli.kaggle.destination import remember
from dlcli.kaggle.record import Entry, read_log
from dlcli.runs.run import Run

SLUG = "dogs-vs-cats-redux-kernels-edition"
SOLUTION = {"1": "cat", "2": "dog", "10": "dog"}

# what the download of everything holds
SAMPLE = b"id,label\n1,0.5\n2,0.5\n"
FILES: Mapping[str, bytes] = {
    "train.zip": zip_of(
        {f"train/{kind}.{i}.jpg": b"jpeg" * 4000 for kind in ("cat", "dog") for i in range(6)}
    ),
    "test.zip": zip_of({"test/1.jpg": b"1", "test/2.jpg": b"2"}),
    "sample_submission.csv": SAMPLE,
}


def make_pets(home: Path) -> Path:
    """A dataset whose pictures nobody needs to open, as `dl data get` left it."""
    root = make(
        home / "data" / "pets",
        "train/cat/1.png",
        "train/dog/2.png",
        *(f"valid/{name}/{i}.png" for name in ("cat", "dog") for i in range(20)),
        *(f"test/{i}.png" for i in SOLUTION),
    )
    (root / "dataset.yaml").write_text(f"kaggle:\n  competition: {SLUG}\n")
    remember(root, SLUG)
    (root / "sample_submission.csv").write_text("id,label\n1,0.5\n2,0.5\n10,0.5\n")
    return root


def finished_run(root: Path, name: str = "202611231409-finetune-e3", sure: float = 0.9) -> Run:
    """A run that names all images correctly, so surely."""

    def rows(names: Mapping[str, str]) -> dict[str, list[float]]:
        return {
            path: [sure, 1 - sure] if true == "cat" else [1 - sure, sure]
            for path, true in names.items()
        }

    valid = {f"valid/{c}/{i}.png": c for c in ("cat", "dog") for i in range(20)}
    order = sorted(valid)
    test = {f"test/{i}.png": true for i, true in sorted(SOLUTION.items())}
    return predicted_run(root, name, rows({path: valid[path] for path in order}), rows(test))


def only_entry(run: Run) -> Entry:
    """What a run has sent, once."""
    (entry,) = read_log(run)
    return entry


def hold_competition(server: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> Competition:
    """The competition on a server, without the pauses that only people's patience is for."""
    monkeypatch.setattr(download, "DELAYS_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(account, "DELAYS", (0.01, 0.01))
    monkeypatch.setattr(send, "POLLS", (0.01, 0.02))
    return server.add(Competition(SLUG, log_loss_of(SOLUTION, "dog"), dict(FILES)))


__all__ = [
    "FILES",
    "SAMPLE",
    "SLUG",
    "SOLUTION",
    "finished_run",
    "hold_competition",
    "make_pets",
    "only_entry",
]
