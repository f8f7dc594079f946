"""`dl predict` as it is typed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok, refused
from support.pictures import picture
from support.small_run import only_run

from dlcli.inference.predictions import read_predictions

pytestmark = [pytest.mark.usefixtures("small_backbone"), pytest.mark.slow]

LINEAR = ("train", "linear", "--image-size", "16", "--schedule", "1e-3x2")


@pytest.fixture
def album(dl_once: Dl, home: Path, tiny: Path) -> Path:
    """A run of the dataset last named, and a folder of three photos elsewhere."""
    ok(dl_once(*LINEAR, "-d", tiny))
    folder = home / "album"
    folder.mkdir()
    for number in range(3):
        picture(number % 2, 50 + number).save(folder / f"{number}.png")
    return folder


def test_a_table_has_the_class_and_each_probability(dl: Dl, home: Path, album: Path) -> None:
    result = ok(dl("predict", album / "0.png", album / "1.png"))
    header, *rows = [line.split() for line in result.stdout.splitlines()]
    assert header == ["photo", "class", "cat", "dog"]
    for (path, name, cat, dog), number in zip(rows, "01", strict=True):
        assert path == f"~/album/{number}.png"
        assert name == ("cat" if float(cat) > float(dog) else "dog")
        assert float(cat) + float(dog) == pytest.approx(1, abs=1e-3)
    assert f"the newest finished run of {only_run(home).dataset}" in result.stderr
    assert f"2 photos by {only_run(home).name}; " in result.stderr
    for part in ("linear", "tiny/linear"):
        said = ok(dl("predict", part, album / "0.png"))
        assert f"{part} stands for {only_run(home).name}.\n" in said.stderr


def test_a_run_after_the_photos_is_refused_with_the_line_to_type(
    dl: Dl, home: Path, album: Path
) -> None:
    run = only_run(home)
    for typed in (run.name, "linear", str(run.path)):
        what = f"`{typed.replace(str(home), '~')}` is a run, not a photo. Name the run before the "
        line = f"photos: `dl predict {typed} {album}`."
        refused(dl("predict", "--csv", album, typed), what + line, exit_code=2)
    many = [album / f"{number}.png" for number in (0, 1, 2, 0)]
    refused(dl("predict", *many, "linear"), "`dl predict linear PHOTO...`", exit_code=2)


def test_json_and_csv_hold_every_digit_and_nothing_else(
    dl: Dl, home: Path, tiny: Path, album: Path
) -> None:
    run = only_run(home)
    known = read_predictions(run.predictions_file("valid"))
    photos = [tiny / path for path in known.paths]
    from_json = json.loads(ok(dl("predict", run.name, *photos, "--json")).stdout)
    text = ok(dl("predict", run.name, *photos, "--csv")).stdout
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["path", "class", "cat", "dog"]
    for each, row, photo, y_prob in zip(from_json, rows, photos, known.y_prob, strict=True):
        assert each["path"] == row[0] == str(photo)
        assert each["class"] == row[1] == known.classes[y_prob.argmax()]
        assert list(each["probabilities"]) == ["cat", "dog"]
        assert list(each["probabilities"].values()) == [float(text) for text in row[2:]]
        assert list(each["probabilities"].values()) == pytest.approx(y_prob, abs=1e-6)


def test_the_last_line_counts_the_commonest_of_many_classes(
    dl: Dl, home: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.cli.predict.photos.MOST_COUNTED", 1)
    known = read_predictions(only_run(home).predictions_file("valid"))
    monkeypatch.setattr(
        "dlcli.inference.photos.predict_photos",
        lambda *given: replace(known, y_prob=np.eye(2)[[0, 0, 1]], paths=("a", "b", "c")),
    )
    said = ok(dl("predict", album)).stderr
    assert said.endswith("; cat: 2 photos, and 1 more class\n")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\0"], ids=["lines", "Windows", "find -print0"])
def test_a_list_comes_on_standard_input(
    dl: Dl, home: Path, album: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    names = [str(album / f"{number}.png") for number in (2, 0)]
    listed = io.TextIOWrapper(io.BytesIO("".join(name + ends for name in names).encode()))
    monkeypatch.setattr("sys.stdin", listed)
    rows = json.loads(ok(dl("predict", "-", "--json")).stdout)
    assert [row["path"] for row in rows] == names


def test_many_classes_are_named_by_the_three_most_probable(dl: Dl, home: Path) -> None:
    root = home / "data" / "many"
    for split, each in (("train", 2), ("valid", 1)):
        for kind in "abcdefg":
            (root / split / kind).mkdir(parents=True)
            for seed in range(each):
                picture(ord(kind), seed).save(root / split / kind / f"{seed}.png")
    ok(dl(*LINEAR, "-d", root))
    table = ok(dl("predict", root / "valid")).stdout
    (best,) = json.loads(ok(dl("predict", root / "valid/a", "--json")).stdout)
    ranked = sorted(best["probabilities"].items(), key=lambda each: -each[1])
    first, *then = [f"{name} {p:.4f}" for name, p in ranked[:3]]
    header, row, *_ = table.splitlines()
    assert header.split() == ["photo", "class", "probability", "then"]
    assert " ".join(row.split()[1:]) == f"{first} {', '.join(then)}"


def test_an_ensemble_answers_with_the_mean_of_its_members(
    dl: Dl, home: Path, tiny: Path, album: Path
) -> None:
    first = only_run(home)
    ok(dl("train", "dense", "--image-size", "16", "--schedule", "1e-3", "-d", tiny))
    (second,) = {path for path in first.path.parent.iterdir() if path != first.path}
    ok(dl("ensemble", first.name, second.name))
    (ensemble,) = first.path.parent.glob("*-ensemble*")

    def cats(run: str) -> list[float]:
        named = [album / f"{number}.png" for number in (2, 0, 1)]
        rows = json.loads(ok(dl("predict", run, *named, "--json")).stdout)
        assert [row["path"] for row in rows] == list(map(str, named))
        return [row["probabilities"]["cat"] for row in rows]

    one, other, mean = map(cats, (first.name, second.name, ensemble.name))
    assert mean == pytest.approx([(a + b) / 2 for a, b in zip(one, other, strict=True)], abs=1e-6)


def test_nothing_is_written_and_the_dataset_is_not_needed(
    dl: Dl, home: Path, tiny: Path, album: Path
) -> None:
    run = only_run(home)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    shutil.rmtree(tiny)
    ok(dl("predict", run.path, album))
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_photos_that_can_not_be_read_stop_it_or_are_left_out(
    dl: Dl, home: Path, album: Path
) -> None:
    (album / "1.png").write_text("no picture")
    run = only_run(home).name
    refused(dl("predict", run, album), "1.png: not an image", "--on-error skip")
    result = ok(dl("predict", run, album, "--on-error", "skip", "--json"))
    assert [Path(row["path"]).name for row in json.loads(result.stdout)] == ["0.png", "2.png"]
    left_out = "Left out 1 of the photos, unreadable:\n  ~/album/1.png: not an image\n"
    assert left_out in result.stderr
    nothing = dl("predict", run, album / "1.png", "--on-error", "skip")
    why = "No image of the photos can be read: ~/album/1.png: not an image\n"
    assert why in refused(nothing).stderr


def test_photos_that_are_not_there_count_as_unreadable(dl: Dl, home: Path, album: Path) -> None:
    (album / "1.png").write_text("no picture")
    named = [album / f"{number}.png" for number in (9, 0, 1, 8)]
    bad = ["~/album/9.png: No such file", "~/album/1.png: not an image", "~/album/8.png: No such"]
    refused(dl("predict", *named), "3 images can't be read:\n", *bad)
    result = ok(dl("predict", *named, "--on-error", "skip", "--json"))
    assert [Path(row["path"]).name for row in json.loads(result.stdout)] == ["0.png"]
    assert [each for each in bad if each not in result.stderr] == []


def test_what_can_not_be_meant_is_refused_with_what_to_type(
    dl: Dl, home: Path, album: Path
) -> None:
    run = only_run(home).name
    refused(dl("predict"), "Name photos", exit_code=2)
    refused(dl("predict", run), f"`dl predict {run} PHOTO...`", exit_code=2)
    refused(dl("predict", album / "9.png"), "No such photo: ~/album/9.png")
    refused(dl("predict", f"{run[:-1]}x", album), "No such run", "Did you mean")
    refused(dl("predict", run, album, "--json", "--csv"), "not both", exit_code=2)
    (home / "data" / "other" / "train" / "cat").mkdir(parents=True)
    refused(dl("predict", run, album, "-d", "other"), "is a run of tiny, not of", exit_code=2)


@pytest.mark.parametrize("named", ["README.md", "nofile.jpg", "photos/none"])
def test_a_file_that_does_not_exist_is_named_before_any_run_is_looked_for(
    dl: Dl, named: str
) -> None:
    refused(dl("predict", named), f"No such photo: {named}\nCheck the path.")


def test_a_mistyped_run_whose_name_ends_in_a_rate_is_not_taken_for_a_photo(dl: Dl) -> None:
    refused(dl("predict", "202611231408-finetune-lr0.003-t1", "1.jpg"), "No such run")


def test_the_photo_that_is_named_is_read_wherever_a_link_leads(
    dl: Dl, home: Path, album: Path
) -> None:
    far = home / "far" / "deep"
    far.mkdir(parents=True)
    picture(1, 7).save(home / "far" / "0.png")
    (album / "link").symlink_to(far)
    through, plain = album / "link" / ".." / "0.png", home / "far" / "0.png"
    rows = json.loads(ok(dl("predict", str(through), plain, album / "0.png", "--json")).stdout)
    assert [row["path"] for row in rows] == [str(through), str(album / "0.png")]
    assert rows[0]["probabilities"] != rows[1]["probabilities"]


def test_a_model_that_carries_code_is_refused(dl: Dl, home: Path, album: Path) -> None:
    import keras

    attack = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x)])
    attack.save(only_run(home).best_model)
    refused(dl("predict", album), "best.keras can't be loaded", "Lambda")
