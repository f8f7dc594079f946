"""A run on ratings in use: items for a user, items like an item, ratings of pairs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.collab_run import expected, rated_run
from support.small_ratings import HEADER, ROWS, organized, written

import dlcli
from dlcli.data.ratings.organize import OrganizeOptions
from dlcli.data.ratings.ratings import open_ratings
from dlcli.data.ratings.splits import split
from dlcli.errors import DlError
from dlcli.inference.ratings.predictions import write_predictions
from dlcli.inference.ratings.recommend import find_item, predict_pairs, recommend, similar
from dlcli.inference.ratings.serving import Labels, read_labels, start_serving
from dlcli.runs.run import Run

pytestmark = pytest.mark.slow

TITLES = (
    ("movieId", "title"),
    *(("m1", "Alien (1979)"), ("m2", "Aliens (1986)"), ("m3", "Amélie (2001)")),
)


@pytest.fixture
def films(home: Path) -> Path:
    """A dataset of six ratings, one of them in valid."""
    folder = home / "data"
    written(folder / "movies.csv", TITLES)
    organized(folder, (HEADER, *ROWS), OrganizeOptions(titles=folder / "movies.csv"))
    split(folder / "films", 1, "random", 0)
    return folder / "films"


@pytest.fixture
def run(films: Path) -> Run:
    return rated_run(films)


LABELS = Labels(
    ("1", "2"),
    ("10", "11", "12", "13", "14", "15"),
    (
        "Heat (1995)",
        "Heat (1986)",
        "Toy Story (1995)",
        "Toy Story 2 (1999)",
        "Toy Story (1995)",
        "",
    ),
)


def test_a_users_best_items_are_those_not_rated_in_train(films: Path, run: Run) -> None:
    dataset = open_ratings(films)
    ann = dataset.user_ids.index("ann") + 1
    rows = [row for row in dataset.rows("train") if dataset.users[row] == ann]
    rated = {dataset.item_ids[dataset.items[row] - 1] for row in rows}
    found = recommend(run, films, "ann", 10)
    predicted = expected(run, [(ann, 1), (ann, 2), (ann, 3)])
    by_id = dict(zip(dataset.item_ids, predicted, strict=True))
    wanted = sorted(by_id.keys() - rated, key=lambda item: -by_id[item])
    assert [each.item for each in found.items] == wanted
    assert (found.among, found.rated) == (3 - len(rated), len(rated))
    assert [each.predicted for each in found.items] == pytest.approx(
        [by_id[item] for item in wanted], abs=1e-5
    )
    everything = recommend(run, films, "ann", 2, rated=True)
    ranked = sorted(by_id, key=lambda item: -by_id[item])
    assert [each.item for each in everything.items] == ranked[:2]
    assert {each.item for each in everything.items if each.rating} <= rated


def test_a_run_recommends_without_its_dataset(
    films: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recommend(run, films, "ann", 10, rated=True)
    shutil.rmtree(films)
    after = recommend(run, None, "ann", 10)
    assert [each.item for each in after.items] == [each.item for each in before.items]
    assert "The dataset of" in capsys.readouterr().err
    assert after.rated is None


def test_an_unknown_user_is_named_with_those_like_it(run: Run, films: Path) -> None:
    with pytest.raises(DlError, match=r"does not know user anne.*3 users") as refused:
        recommend(run, films, "anne", 3)
    assert refused.value.hint.startswith("Did you mean `ann`?")


def test_similar_items_have_vectors_of_nearly_the_same_direction(films: Path) -> None:
    vectors = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 3, 0, 0], [5, 1, 0, 0]], np.float32)
    run = rated_run(films, weights={"item_vectors": vectors})
    found = similar(run, films, "m1", 5)
    assert found.name == "Alien (1979)"
    assert [each.item for each in found.items] == ["m3", "m2"]
    assert [each.cosine for each in found.items] == pytest.approx([5 / 26**0.5, 0])
    assert [each.title for each in found.items] == ["Amélie (2001)", "Aliens (1986)"]
    assert len(similar(run, films, "m1", 1).items) == 1


def test_an_item_without_a_vector_is_like_none(films: Path) -> None:
    vectors = np.eye(4, dtype=np.float32) - np.eye(4, dtype=np.float32)[0]
    vectors[2] = 0
    run = rated_run(films, weights={"item_vectors": vectors})
    with pytest.raises(DlError, match="no vector of Aliens"):
        similar(run, films, "m2", 5)
    assert [each.item for each in similar(run, films, "m1", 5).items] == ["m3"]


def test_items_with_few_ratings_are_not_compared(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ratings = [
        (f"u{user}", f"m{item:02}", "4", "1000000000")
        for item in range(12)
        for user in range(2 if item else 30)
    ] + [(f"u{user}", f"n{item}", "4", "1000000000") for item in range(6) for user in range(25)]
    organized(home / "many", (HEADER, *ratings))
    root = home / "many" / "films"
    run = rated_run(root)
    found = similar(run, root, "m00", 1)
    assert (found.among, found.least) == (6, 20)
    assert found.items[0].item.startswith("n")
    assert similar(run, root, "m00", 3).least == 2  # 15 of them
    assert similar(run, None, "m00", 1).least is None
    assert "So items with few ratings are compared too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 3),
        ("Heat (1995)", 1),
        ("toy story 2 (1999)", 4),
        ("story 2", 4),
        ("HEAT (1986)", 2),
    ],
)
def test_an_item_is_found_by_id_title_or_a_part_that_it_alone_has(text: str, number: int) -> None:
    assert find_item(Run(Path("run")), LABELS, text) == number


@pytest.mark.parametrize("text", ["heat", "Toy Story (1995)"])
def test_several_items_of_a_title_are_listed_with_what_to_type(text: str) -> None:
    with pytest.raises(DlError, match="2 items") as refused:
        find_item(Run(Path("run")), LABELS, text)
    lines = refused.value.hint.splitlines()
    assert len(lines) == 2 and all("`--item 1" in line for line in lines)


def test_a_title_without_its_year_is_meant_before_longer_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    films = Labels((), ("1", "2", "3"), ("Body Heat (1981)", "Heat (1995)", "Heathers (1989)"))
    assert find_item(Run(Path("run")), films, "heat") == 2
    assert "heat stands for Heat (1995)." in capsys.readouterr().err


@pytest.mark.parametrize("text", ["Toy Stry", "", " "])
def test_an_unknown_item_is_refused_with_those_like_it(text: str) -> None:
    with pytest.raises(DlError, match="none of its 6 items") as refused:
        find_item(Run(Path("run")), LABELS, text)
    assert ("Toy Story" in refused.value.hint) == (text == "Toy Stry")


def test_pairs_are_predicted_and_unknown_ids_are_said(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = read_labels(run)
    found = predict_pairs(run, ["ann", "nobody", "bob"], ["m1", "m2", "m9"])
    numbers = [
        (labels.users.index("ann") + 1, labels.items.index("m1") + 1),
        (0, labels.items.index("m2") + 1),
        (labels.users.index("bob") + 1, 0),
    ]
    assert found.predicted == pytest.approx(expected(run, numbers), abs=1e-5)
    said = capsys.readouterr().err
    assert "does not know 1 user (nobody) and 1 item (m9), in 2 of 3 pairs." in said


def test_an_ensemble_predicts_the_mean_whatever_numbers_its_members_have(
    films: Path, home: Path
) -> None:
    one = rated_run(films, "202611231409-collab-dot-e1", seed=1)
    folder = home / "other"
    organized(folder, (HEADER, *(("bea", *row[1:]) if row[0] == "bob" else row for row in ROWS)))
    split(folder / "films", 1, "random", 0)
    two = rated_run(folder / "films", "202611231409-collab-dot-e2", seed=2)
    members = [
        {"name": each.name, "path": str(each.path), "val_accuracy": 0.0, "val_loss": 1.0}
        for each in (one, two)
    ]
    whole = rated_run(films, "202611231410-ensemble-m2", record={"members": members})
    whole.best_model.unlink()
    pairs = (["cleo", "bob"], ["m3", "m1"])
    each = [predict_pairs(run, *pairs).predicted for run in (one, two)]
    assert predict_pairs(whole, *pairs).predicted == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    assert len(similar(whole, films, "m1", 2).items) == 2


def test_a_model_that_does_not_fit_the_ids_is_refused(run: Run) -> None:
    text = run.items_file.read_text()
    run.items_file.write_text(text + "m4,\n")
    with pytest.raises(DlError, match=r"items\.csv is damaged.*names 4, the model has rows for 3"):
        start_serving(run)
    run.items_file.write_text(text + "m1,\n")
    with pytest.raises(DlError, match="an id twice"):
        start_serving(run)
    run.items_file.unlink()
    with pytest.raises(DlError, match="missing"):
        start_serving(run)


def test_a_model_that_diverged_is_said(films: Path) -> None:
    run = rated_run(films, weights={"user_bias": np.full((4, 1), np.nan, np.float32)})
    with pytest.raises(DlError, match=r"not numbers.*diverged"):
        predict_pairs(run, ["ann"], ["m1"])


def test_a_run_answers_in_python(run: Run, films: Path) -> None:
    opened = dlcli.Run.open(run.path)
    best = opened.recommend("ann", 1, rated=True, quiet=True)
    assert [each.item for each in best] == [
        recommend(run, films, "ann", 1, rated=True).items[0].item
    ]
    assert len(opened.similar("Alien (1979)", 1)) == 1
    found = opened.predict_pairs([("ann", "m1"), ("bob", "m3")])
    assert (found.users, found.items) == (("ann", "bob"), ("m1", "m3"))
    write_predictions(run.predictions_file("valid"), found)
    assert opened.predictions["valid"].predicted == pytest.approx(found.predicted)
    with pytest.raises(DlError, match="is a run on ratings, not on photos"):
        opened.predict(films)
