"""What the headline numbers of an evaluation say."""

import numpy as np

from dlcli.evaluation.metrics import evaluate
from dlcli.evaluation.verdict import confusions, verdict
from dlcli.words import NBSP


def said(correct, wrong, confidence=0.99, majority=0.5):
    """The verdict on `correct` right and `wrong` wrong answers, all of that confidence."""
    images = correct + wrong
    y_true = (np.arange(images) >= round(images * majority)).astype(int)
    y_pred = np.where(np.random.default_rng(0).permutation(images) < correct, y_true, 1 - y_true)
    y_prob = np.where(np.eye(2)[y_pred] == 1, confidence, 1 - confidence)
    return " ".join(verdict(evaluate(y_true, y_prob, ["cat", "dog"])))


def test_a_good_score_is_compared_with_guessing():
    text = said(396, 4).replace(NBSP, " ")
    assert "396 of 400 validation images are classified correctly." in text
    assert "Expect an accuracy of 97.5 % to 99.6 % on new images" in text
    assert "Always answering “cat” gives 50.0 %." in text
    assert "close to its accuracy" in text


def test_a_score_near_guessing_is_said_to_be_luck():
    assert "the difference may be chance" in said(52, 48)


def test_a_score_below_guessing_is_said_to_be_nothing():
    assert "the model has not learned anything yet" in said(48, 52)


def test_confidence_is_judged_by_the_interval():
    assert "over-confident" in said(80, 20)
    assert "under-confident" in said(99, 1, confidence=0.6)


def test_few_confident_mistakes_are_named_as_the_cause_of_a_bad_log_loss():
    assert "Clipping helps" in said(90, 10, confidence=1 - 1e-12)


def test_confusions_come_with_the_commonest_first():
    y_true = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    y_pred = np.array([0, 1, 1, 2, 1, 0, 2, 0])
    pairs = confusions(evaluate(y_true, np.eye(3)[y_pred], ["a", "b", "c"]))
    assert pairs == [
        ("a", "b", 2, 0.5),
        ("b", "a", 1, 0.5),
        ("c", "a", 1, 0.5),
        ("a", "c", 1, 0.25),
    ]
