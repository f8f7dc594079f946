"""From a competition to its score, exactly as typed, over HTTP to a competition on this machine."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from support.archives import zipped
from support.command_result import Dl, ok
from support.competition_entry import SLUG, hold_competition
from support.kaggle_package import kaggle_serving
from support.kaggle_scoring import log_loss_of
from support.kaggle_server import KaggleServer

from dlcli.data.photos.photos import open_photos
from dlcli.files.formats import csv_text, read_csv
from dlcli.kaggle.record import read_log
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow


PHOTOS, VALID, HELD_OUT = 1200, 400, 400


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with kaggle_serving(monkeypatch) as server:
        hold_competition(server, monkeypatch)
        yield server


def archive(files: Mapping[str, Path]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, file in files.items():
            made.write(file, name)
    return content.getvalue()


def pixels_csv(images: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    """digit-recognizer's form: a row per image, its label before its pixels where there are any."""
    header = [f"pixel{i}" for i in range(28 * 28)]
    rows = images.reshape(len(images), -1)
    if labels is not None:
        header.insert(0, "label")
        rows = np.column_stack([labels, rows])
    return csv_text([header, *rows.tolist()]).encode()


def test_digits_in_a_csv_reach_a_submission_of_whole_numbers(dl: Dl, home: Path) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images[:500] * 15.9).astype(np.uint8)  # 8x8, from 0 to 16
    images = np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    labels, n_predict = bunch.target[:500], 60
    sample = "ImageId,Label\n" + "".join(f"{i},0\n" for i in range(1, n_predict + 1))
    files = {
        "train.csv": pixels_csv(images[n_predict:], labels[n_predict:]),
        "test.csv": pixels_csv(images[:n_predict]),
        "sample_submission.csv": sample.encode(),
    }
    zipped(home / "digit-recognizer.zip", files)

    said = ok(dl("data", "organize", "digit-recognizer.zip"))
    ok(dl("data", "split"))
    ok(dl("train", "linear", "--image-size", "28", "--schedule", "1e-2x4", "--batch-size", "32"))
    submitted = ok(dl("submit", "-c", "digit-recognizer", "--no-upload"))

    assert "440 images of 28x28 from train.csv" in said.stderr
    (run,) = Run.all(home / "runs", "digit-recognizer")
    header, *rows = read_csv(run.submission_file)
    assert header == ["ImageId", "Label"]
    assert [row[0] for row in rows] == [str(i) for i in range(1, n_predict + 1)]
    predicted = [row[1] for row in rows]
    assert {*predicted} <= {*map(str, range(10))}
    right = sum(p == str(label) for p, label in zip(predicted, labels[:n_predict], strict=True))
    assert right > 0.7 * n_predict
    assert "the name of the likeliest class" in submitted.stderr


def test_real_photos_of_a_competition_reach_the_score_that_was_promised(
    dl: Dl, server: KaggleServer, home: Path, real_data: Path
) -> None:
    from sklearn.metrics import log_loss

    photos = sorted((real_data / "dogscats-kaggle/train").iterdir())
    random.Random(0).shuffle(photos)
    photos = photos[:PHOTOS]
    hidden = {str(number): file for number, file in enumerate(photos[:HELD_OUT], 1)}
    solution = {number: file.name.partition(".")[0] for number, file in hidden.items()}
    form = "id,label\n" + "".join(f"{number},0.5\n" for number in hidden)
    competition = server.competitions[SLUG]
    competition.scorer = log_loss_of(solution, "dog")
    competition.files = {
        "train.zip": archive({f"train/{file.name}": file for file in photos[HELD_OUT:]}),
        "test.zip": archive({f"test/{number}.jpg": file for number, file in hidden.items()}),
        "sample_submission.csv": form.encode(),
    }
    competition.leaderboard = [("first", 0.0001), ("last", 0.69)]
    server.break_download(3_000_000)

    ok(dl("data", "get", SLUG, "--dataset", "pets"))
    ok(dl("data", "split", "--valid", VALID))
    ok(dl("features"))
    ok(dl("train", "finetune"))
    submitted = ok(dl("submit", "--clip", "auto"))
    status = json.loads(ok(dl("kaggle", "status", "--json")).stdout)

    dataset = open_photos(home / "data/pets")
    assert {split: len(found) for split, found in dataset.splits.items()} == {
        "train": PHOTOS - HELD_OUT - VALID,
        "valid": VALID,
        "test": HELD_OUT,
    }
    (run,) = Run.all(home / "runs", "pets")
    (entry,) = read_log(run)
    _, *rows = read_csv(run.submission_file)
    by_hand = log_loss([solution[i] == "dog" for i, _ in rows], [float(p) for _, p in rows])
    assert entry.public_score == pytest.approx(by_hand, abs=1e-5)
    assert entry.is_as_promised, entry
    assert entry.public_score < 0.1
    assert "within the range that the validation images predicted" in submitted.stderr
    assert status["rank"] == {"place": 2, "teams": 2, "percentile": 100.0}
    assert status["best"]["public_score"] == entry.public_score
