"""`dl submit`, from a run's predictions to the file that a competition wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.command_result import Dl, ok, refused
from support.loaded_modules import BACKENDS, loaded
from support.predicted_run import predicted_run
from support.small_folders import make

from dlcli.data.photos.photos import open_photos
from dlcli.evaluation.clipping import TRIED, clip
from dlcli.files.formats import read_csv, write_yaml
from dlcli.inference.predictions import Predictions, write_predictions
from dlcli.runs.run import Run

PATHS = ("valid/cat/1.png", "valid/cat/2.png", "valid/dog/3.png")
VALID = np.array([[0.999, 0.001], [0.6, 0.4], [0.98, 0.02]])
TEST = np.array([[0.9, 0.1], [0.2, 0.8], [0.0, 1.0]])


@pytest.fixture
def run(home: Path) -> Run:
    """A finished run with its predictions, whose dataset's pictures nobody needs to open."""
    test = ("test/1.png", "test/10.png", "test/2.png")
    root = make(home / "data" / "pets", *PATHS, "train/cat/1.png", "train/dog/2.png", *test)
    name = "202611231409-finetune"
    return predicted_run(
        root, name, dict(zip(PATHS, VALID, strict=True)), dict(zip(test, TEST, strict=True))
    )


def log_loss(y_true: list[int], y_prob: object) -> float:
    """What scikit-learn says."""
    from sklearn import metrics

    return float(metrics.log_loss(y_true, y_prob))


def many(run: Run, y_prob: np.ndarray, true: list[str]) -> None:
    """Let a run have predicted other validation images."""
    root = run.path.parents[2] / "data/pets"
    for file in root.glob("valid/*/*"):
        file.unlink()
    paths = tuple(f"valid/{name}/{i:03}.png" for i, name in enumerate(true))
    for path in paths:
        (root / path).touch()
    order = sorted(range(len(paths)), key=lambda i: paths[i])
    write_predictions(
        run.predictions_file("valid"),
        Predictions(
            tuple(paths[i] for i in order),
            ("cat", "dog"),
            y_prob[order],
            tuple(true[i] for i in order),
        ),
    )
    print_of = open_photos(root).fingerprint("valid")
    run.update_status(predicted=run.status["predicted"] | {"valid": print_of})


def sample(root: Path, text: str) -> None:
    """Put a sample submission into the dataset."""
    (root / "sample_submission.csv").write_text(text)


def test_without_a_sample_the_file_has_ids_and_one_probability_and_says_whose(
    dl: Dl, run: Run
) -> None:
    said = ok(dl("submit", "-d", "pets"))
    assert run.submission_file.read_text() == "id,label\n1,0.1\n2,1\n10,0.8\n"
    assert "(the newest finished run of pets, the dataset named)" in said.stderr
    assert "holds the probability of 'dog' (the last by name" in said.stderr
    assert "Not sent: no competition is set. To send it, add `-c NAME`, the last" in said.stderr
    assert "rows            3" in said.stdout


def test_the_sample_in_the_dataset_decides_on_ids_and_columns(dl: Dl, run: Run, home: Path) -> None:
    sample(home / "data" / "pets", "file,dog,cat\n10.png,0.5,0.5\n1.png,0.5,0.5\n2.png,0.5,0.5\n")
    said = ok(dl("submit", run.name))
    assert run.submission_file.read_text() == (
        "file,dog,cat\n10.png,0.8,0.2\n1.png,0.1,0.9\n2.png,1,0\n"
    )
    assert "Sample submission: ~/data/pets/sample_submission.csv" in said.stderr


def test_a_column_that_names_the_other_class_gets_that_ones_probability(
    dl: Dl, run: Run, home: Path
) -> None:
    sample(home / "data" / "pets", "id,is_cat\n1,0\n2,0\n10,0\n")
    said = ok(dl("submit", run.name))
    assert run.submission_file.read_text() == "id,is_cat\n1,0.9\n2,0\n10,0.2\n"
    assert "add `--metric accuracy`" in said.stderr
    ok(dl("submit", run.name, "--metric", "accuracy"))
    assert run.submission_file.read_text() == "id,is_cat\n1,1\n2,0\n10,0\n"
    # the column's name counts before what is known of the competition
    ok(dl("submit", run.name, "-c", "dogs-vs-cats-redux-kernels-edition", "--no-upload"))
    assert read_csv(run.submission_file)[1] == ["1", "0.9"]
    sample(home / "data" / "pets", "id,feline\n1,0\n2,0\n10,0\n")
    refused(dl("submit", run.name), "Column 'feline' of ~/data/pets/sample_submission.csv is not")


def test_one_class_of_several_is_judged_against_all_others(dl: Dl, home: Path) -> None:
    pets = ("cat", "dog", "fox")
    root = make(home / "data/zoo", *(f"{s}/{c}/1.png" for s in ("train", "valid") for c in pets))
    make(root, "test/1.png", "test/2.png")
    rows = [0.4, 0.3, 0.3], [0.1, 0.8, 0.1], [0.6, 0.1, 0.3]
    valid = dict(zip((f"valid/{name}/1.png" for name in pets), rows, strict=True))
    test = dict(zip(("test/1.png", "test/2.png"), rows[::2], strict=True))
    zoo = predicted_run(root, "202611231409-finetune-e3", valid, test, columns=pets)
    sample(root, "id,is_cat\n1,0\n2,0\n")
    said = ok(dl("submit", zoo.name, "--metric", "accuracy"))
    # at 0.4 the image is more likely something else; the fox is taken for a cat
    assert zoo.submission_file.read_text() == "id,is_cat\n1,0\n2,1\n"
    assert "expected accuracy  0.3333  (95 %" in said.stdout
    said = ok(dl("submit", zoo.name, "--metric", "log_loss"))
    loss = log_loss([1, 0, 0], [[0.6, 0.4], [0.9, 0.1], [0.4, 0.6]])
    assert f"expected log loss  {loss:.4f}  (95 %" in said.stdout


def test_a_sample_without_a_header_makes_a_file_without_one(dl: Dl, run: Run, home: Path) -> None:
    sample(home / "data" / "pets", "10.png,0.5\n1.png,0.5\n2.png,0.5\n")
    said = ok(dl("submit", run.name))
    assert run.submission_file.read_text() == "10.png,0.8\n1.png,0.1\n2.png,1\n"
    assert "sample_submission.csv has no header, so the submission has none." in said.stderr
    assert "Column 2 holds the probability of 'dog'" in said.stderr
    assert "rows            3" in said.stdout


def test_of_two_samples_the_one_taken_is_said_and_why(dl: Dl, run: Run, home: Path) -> None:
    pets = home / "data" / "pets"
    (pets / "sample_submission_stg1.csv").write_text("image,label\n1.png,0.5\n")
    (pets / "sample_submission_stg2.csv").write_text(
        "image,label\n1.png,0.5\ntest_stg2/2.png,0.5\ntest_stg2/10.png,0.5\n"
    )
    said = ok(dl("submit", run.name))
    assert (
        "Sample submission: ~/data/pets/sample_submission_stg2.csv: it names 3 test images, "
        "sample_submission_stg1.csv names 1.\n"
    ) in said.stderr
    assert run.submission_file.read_text() == (
        "image,label\n1.png,0.1\ntest_stg2/2.png,1\ntest_stg2/10.png,0.8\n"
    )


def test_clipping_is_of_the_file_and_of_the_printed_loss(dl: Dl, run: Run) -> None:
    said = ok(dl("submit", run.name, "--clip", "0.05"))
    assert read_csv(run.submission_file)[1:] == [["1", "0.1"], ["2", "0.95"], ["10", "0.8"]]
    y_true = [0, 0, 1]
    plain, clipped = log_loss(y_true, VALID), log_loss(y_true, clip(VALID, 0.05))
    assert said.stdout.splitlines() == [
        "rows             3",
        f"valid log loss   {plain:.4f}",
        f"clipped at 0.05  {clipped:.4f}",
    ]


def test_without_clipping_what_it_would_gain_is_printed(dl: Dl, run: Run) -> None:
    said = ok(dl("submit", run.name))
    losses = {bound: log_loss([0, 0, 1], clip(VALID, bound)) for bound in TRIED}
    best = min(losses, key=lambda bound: losses[bound])
    words = f"With `--clip {best:g}` the valid log loss would be {losses[best]:.4f}."
    assert words in said.stderr
    again = ok(dl("submit", run.name, "--clip", f"{best:g}"))
    assert "would be" not in again.stderr


def test_a_bound_that_makes_the_loss_worse_is_said_to(dl: Dl, run: Run) -> None:
    many(run, np.tile([[0.999, 0.001]], (200, 1)), ["cat"] * 200)
    said = ok(dl("submit", run.name, "--clip", "0.05"))
    assert (
        "Clipping at 0.05 makes the validation log loss worse (0.0513, unclipped 0.0010). Leave "
        "out `--clip`, or use `--clip auto`.\n"
    ) in said.stderr
    assert "would be" not in said.stderr


def test_the_positive_class_may_come_from_the_dataset_and_be_overruled_by_a_flag(
    dl: Dl, run: Run, home: Path
) -> None:
    (home / "data" / "pets" / "dataset.yaml").write_text("kaggle: {positive: cat}\n")
    ok(dl("submit", run.name))
    assert read_csv(run.submission_file)[1] == ["1", "0.9"]
    ok(dl("submit", run.name, "--positive", "dog"))
    assert read_csv(run.submission_file)[1] == ["1", "0.1"]


def test_a_submission_that_fails_leaves_the_one_before(dl: Dl, run: Run, home: Path) -> None:
    ok(dl("submit", run.name))
    before = run.submission_file.read_bytes()
    sample(home / "data" / "pets", "id,label\n1,0.5\n4,0.5\n")
    failed = dl("submit", run.name)
    assert failed.exit_code == 1
    assert "ids without a test image: 1 of 2, such as '4'" in failed.stderr
    assert run.submission_file.read_bytes() == before


def test_a_bound_that_leaves_nothing_is_a_usage_error(dl: Dl, run: Run) -> None:
    failed = dl("submit", run.name, "--clip", "0.5")
    assert failed.exit_code == 2
    assert "Can't clip at 0.5: for 2 classes the bound is at least 0 and below 0.5" in failed.stderr


@pytest.mark.parametrize("bound", ["2", "1", "-0.1", "nan"])
def test_a_bound_for_no_number_of_classes_is_refused_before_anything_is_looked_for(
    dl: Dl, bound: str
) -> None:
    said = f"`--clip` can't be '{bound}': expected at least 0 and below 1 (below 0.5 for two"
    refused(dl("submit", "--clip", bound), said, exit_code=2)


def test_for_a_sample_the_hint_is_the_whole_dataset(dl: Dl, run: Run, home: Path) -> None:
    pets = home / "data/pets"
    make(home / "data/pets-sample", "train/cat/1.png", "train/dog/2.png", "valid/cat/1.png")
    trained = Run.create(home / "runs", "pets-sample", "finetune", ())
    write_yaml(trained.config_file, {"run": {"dataset": {"path": f"{pets}-sample"}}})
    write_yaml(trained.status_file, {"state": "finished", "started": "2026-11-23T14:09:31Z"})
    refused(
        dl("submit", "-d", "pets-sample"),
        "No images in ~/data/pets-sample/test: there is nothing to predict\n"
        "This is a sample. Submit the whole dataset: `dl submit -d ~/data/pets`.",
    )


def test_clipping_class_names_is_a_usage_error(dl: Dl, run: Run, home: Path) -> None:
    sample(home / "data" / "pets", "id,label\n1,cat\n2,cat\n10,cat\n")
    assert dl("submit", run.name, "--clip", "0.05").exit_code == 2
    ok(dl("submit", run.name))
    assert read_csv(run.submission_file)[1:] == [["1", "cat"], ["2", "dog"], ["10", "dog"]]


def test_a_missing_sample_file_is_an_error(dl: Dl, run: Run) -> None:
    failed = dl("submit", run.name, "--sample-submission", "none.csv")
    assert failed.exit_code == 1
    assert "none.csv does not exist" in failed.stderr


def test_auto_clips_as_the_validation_images_choose_and_shows_the_curve(dl: Dl, run: Run) -> None:
    many(run, np.tile([[1 - 1e-9, 1e-9]], (500, 1)), ["cat"] * 495 + ["dog"] * 5)
    said = ok(dl("submit", run.name, "--clip", "auto"))
    assert read_csv(run.submission_file)[1:] == [["1", "0.1"], ["2", "0.99"], ["10", "0.8"]]
    lines = [line.split() for line in said.stdout.splitlines() if line]
    assert lines[0] == ["clip", "log", "loss"]
    assert [line[0] for line in lines[1 : 1 + len(TRIED)]] == [f"{c:g}" for c in TRIED]
    assert [line[0] for line in lines if "chosen" in line] == ["0.01"]
    assert "clipped at 0.01" in said.stdout
    assert "Log loss on held-out images: " in said.stderr
    assert "With `--clip 0.05` the log loss would be 0.08" in said.stderr


def test_auto_clips_nothing_where_that_gains_nothing(dl: Dl, run: Run) -> None:
    many(run, np.tile([[0.999, 0.001]], (200, 1)), ["cat"] * 200)
    said = ok(dl("submit", run.name, "--clip", "auto"))
    assert "Nothing is clipped" in said.stderr
    assert read_csv(run.submission_file)[1:] == [["1", "0.1"], ["2", "1"], ["10", "0.8"]]
    before = run.submission_file.read_bytes()
    ok(dl("submit", run.name, "--clip", "none"))
    assert run.submission_file.read_bytes() == before


def test_what_is_no_bound_is_a_usage_error(dl: Dl, run: Run) -> None:
    failed = dl("submit", run.name, "--clip", "some")
    assert failed.exit_code == 2
    assert "`--clip` can't be 'some': expected a number such as 0.05, auto or none" in failed.stderr


@pytest.mark.parametrize("said", [("-c", "digit-recognizer"), ("--metric", "accuracy")])
def test_clipping_for_a_competition_that_it_can_not_help_is_refused(
    dl: Dl, run: Run, said: tuple[str, str]
) -> None:
    for bound in ("0.05", "auto"):
        failed = dl("submit", run.name, "--clip", bound, *said, "--no-upload")
        assert failed.exit_code == 2
        assert "scores by accuracy" in failed.stderr
    shown = ok(dl("submit", run.name, *said, "--no-upload"))
    assert "expected accuracy  0.6667  (95 % interval" in shown.stdout
    assert "Clipping would not improve" not in shown.stderr


def test_the_metric_of_a_competition_may_be_said_otherwise(dl: Dl, run: Run) -> None:
    words = "-c", "digit-recognizer", "--metric", "log_loss", "--no-upload"
    assert "clipped at 0.05" in ok(dl("submit", run.name, "--clip", "0.05", *words)).stdout
    failed = dl("submit", run.name, "--metric", "logloss")
    assert (failed.exit_code, "log_loss, accuracy, auc, f1, rmse" in failed.stderr) == (2, True)


def test_a_known_competition_says_which_class_its_column_is_for(dl: Dl, run: Run) -> None:
    slug = "dogs-vs-cats-redux-kernels-edition"
    said = ok(dl("submit", run.name, "-c", slug, "--no-upload"))
    assert f"holds the probability of 'dog' (as {slug} wants it)" in said.stderr
    assert f"expected log loss  {log_loss([0, 0, 1], VALID):.4f}  (95 % interval" in said.stdout
    said = ok(dl("submit", run.name, "-c", slug, "--no-upload", "--positive", "cat"))
    assert "holds the probability of 'cat' (named)" in said.stderr
    assert f"Warning: {slug} wants the probability of 'dog'." in said.stderr


def test_a_column_that_is_called_as_a_class_holds_that_ones_probability_whatever_is_known(
    dl: Dl, run: Run, home: Path
) -> None:
    sample(home / "data" / "pets", "id,cat\n1,0.5\n2,0.5\n10,0.5\n")
    slug = "dogs-vs-cats-redux-kernels-edition"
    said = ok(dl("submit", run.name, "-c", slug, "--no-upload"))
    assert "Column 'cat' holds the probability of 'cat'" in said.stderr
    assert read_csv(run.submission_file)[1] == ["1", "0.9"]


def test_names_of_classes_for_a_competition_that_wants_probabilities_promise_no_score(
    dl: Dl, run: Run, home: Path
) -> None:
    sample(home / "data" / "pets", "id,label\n1,cat\n2,cat\n10,cat\n")
    said = ok(dl("submit", run.name, "--metric", "log_loss"))
    assert "Warning: the file holds labels, but log loss needs prob" in said.stderr
    assert "expected" not in said.stdout
    ok(dl("submit", run.name, "--metric", "accuracy"))
    for bound in ("0.05", "auto"):  # the same, whatever would be chosen
        assert dl("submit", run.name, "--clip", bound).exit_code == 2


def test_options_for_sending_are_refused_where_nothing_is_sent(dl: Dl, run: Run) -> None:
    for option in (("-m", "words"), ("--wait",), ("--no-wait",)):
        assert dl("submit", run.name, "--no-upload", *option).exit_code == 2


def test_from_predictions_no_backend_is_loaded(run: Run) -> None:
    heavy, output = loaded("submit", run.name, "--clip", "0.05")
    assert run.submission_file.is_file(), output
    assert not heavy & (BACKENDS | {"sklearn", "scipy", "matplotlib", "PIL", "bcolz"})
