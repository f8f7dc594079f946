"""Metrics, held against scikit-learn on arrays that hypothesis makes up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlcli.errors import DlError
from dlcli.evaluation import metrics as metrics_module


@st.composite
def predictions(draw, max_classes=6):
    """(y_true, y_prob): some classes without samples, zeros and exact ties included."""
    samples, classes = draw(st.integers(1, 40)), draw(st.integers(2, max_classes))
    y_true = draw(arrays.arrays(np.int64, samples, elements=st.integers(0, classes - 1)))
    weights = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(1e-9, 1.0))
    y_prob = draw(arrays.arrays(np.float64, (samples, classes), elements=weights))
    y_prob[y_prob.sum(axis=1) == 0, draw(st.integers(0, classes - 1))] = 1.0
    return y_true, y_prob / y_prob.sum(axis=1, keepdims=True)


@given(predictions())
def test_scores_are_those_of_scikit_learn(given_):
    import sklearn.metrics as oracle

    y_true, y_prob = given_
    labels, y_pred = range(y_prob.shape[1]), y_prob.argmax(axis=1)
    confusion = metrics_module.confusion_matrix(y_true, y_prob)

    assert metrics_module.accuracy(y_true, y_prob) == pytest.approx(
        oracle.accuracy_score(y_true, y_pred)
    )
    assert metrics_module.log_loss(y_true, y_prob) == pytest.approx(
        oracle.log_loss(y_true, y_prob, labels=labels), rel=1e-9, abs=1e-12
    )
    assert (confusion == oracle.confusion_matrix(y_true, y_pred, labels=labels)).all()
    for ours, theirs in zip(
        metrics_module.per_class(confusion),
        oracle.precision_recall_fscore_support(y_true, y_pred, labels=labels, zero_division=np.nan),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs)


@given(predictions())
def test_the_summary_is_that_of_scikit_learn(given_):
    import sklearn.metrics as oracle
    from sklearn.dummy import DummyClassifier

    y_true, y_prob = given_
    classes = [f"class {i}" for i in range(y_prob.shape[1])]
    metrics = metrics_module.evaluate(y_true, y_prob, classes)

    guess = DummyClassifier(strategy="prior").fit(y_true[:, None], y_true)
    seen = guess.classes_
    prior = guess.predict_proba(y_true[:, None])
    assert metrics["baseline"] == {
        "class": classes[seen[prior[0].argmax()]],
        "accuracy": pytest.approx(guess.score(y_true[:, None], y_true)),
        "log_loss": pytest.approx(
            oracle.log_loss(y_true, prior, labels=seen) if len(seen) > 1 else 0,
            abs=1e-9,
        ),
    }
    assert metrics["macro_f1"] == pytest.approx(
        oracle.f1_score(y_true, y_prob.argmax(axis=1), average="macro", zero_division=0)
    )
    assert metrics["images"] == len(y_true)
    assert metrics["errors"] == (y_prob.argmax(axis=1) != y_true).sum()
    assert metrics["mean_confidence"] == pytest.approx(y_prob.max(axis=1).mean())


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys_wilson_interval(counts):
    from scipy.stats import binomtest

    theirs = binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert metrics_module.accuracy_interval(*counts) == pytest.approx(tuple(theirs), abs=1e-9)


def test_the_interval_reaches_all_and_nothing_exactly():
    assert metrics_module.accuracy_interval(48, 48)[1] == 1
    assert metrics_module.accuracy_interval(0, 48)[0] == 0


def test_a_certain_mistake_costs_much_but_not_infinity():
    loss = metrics_module.log_loss(np.array([0]), np.array([[0.0, 1.0]]))
    assert loss == pytest.approx(-math.log(np.finfo(float).eps))


@given(predictions(), st.floats(0.1, 10))
def test_log_loss_renormalises_rows(given_, factor):
    y_true, y_prob = given_
    assert metrics_module.log_loss(y_true, y_prob * factor) == pytest.approx(
        metrics_module.log_loss(y_true, y_prob), rel=1e-9, abs=1e-12
    )


def test_the_summary_is_plain_and_names_its_classes(tmp_path):
    from dlcli.files.formats import read_yaml, write_yaml

    y_true = np.array([0, 0, 1, 1])
    y_prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]], np.float32)
    metrics = metrics_module.evaluate(y_true, y_prob, ["cat", "dog"])

    write_yaml(tmp_path / "metrics.yaml", metrics)
    assert read_yaml(tmp_path / "metrics.yaml") == metrics
    assert list(metrics) == [
        "images",
        "errors",
        "accuracy",
        "accuracy_interval_95",
        "log_loss",
        "macro_f1",
        "mean_confidence",
        "baseline",
        "classes",
        "confusion",
    ]
    assert metrics["accuracy"] == 0.75
    assert metrics["baseline"] == {
        "class": "cat",
        "accuracy": 0.5,
        "log_loss": math.log(2),
    }
    assert metrics["classes"]["cat"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "support": 2,
    }
    assert metrics["confusion"] == {"cat": {"cat": 1, "dog": 1}, "dog": {"dog": 2}}


@pytest.mark.parametrize(
    "row", [[math.nan, 0.5], [math.inf, 0.5], [-0.1, 1.1], [0.0, 0.0]], ids=str
)
def test_what_is_no_probability_is_refused_and_its_sample_named(row):
    with pytest.raises(DlError, match="sample 2 are not probabilities") as refused:
        metrics_module.log_loss(np.array([0, 1]), np.array([[0.5, 0.5], row]))
    assert "lower learning rate" in refused.value.hint


def test_nothing_to_evaluate_says_so():
    with pytest.raises(DlError, match="no predictions"):
        metrics_module.evaluate(np.empty(0, int), np.empty((0, 2)), ["cat", "dog"])


@pytest.mark.parametrize(
    ("y_true", "y_prob", "classes"),
    [
        ([0, 1], [[0.5, 0.5]], ["a", "b"]),
        ([0], [0.5], ["a", "b"]),
        ([2], [[0.5, 0.5]], ["a", "b"]),
        ([-1], [[0.5, 0.5]], ["a", "b"]),
        ([0], [[0.5, 0.5]], ["a", "b", "c"]),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_a_bug(y_true, y_prob, classes):
    with pytest.raises(ValueError, match=r"expected .* received"):
        metrics_module.evaluate(np.array(y_true), np.array(y_prob), classes)
