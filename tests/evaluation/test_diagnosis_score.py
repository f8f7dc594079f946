"""A measurement and how sure it is."""

import math

import numpy as np
import pytest
import scipy

from dlcli.errors import DlError
from dlcli.evaluation.diagnosis import Score, measure


def test_a_measurement_agrees_with_scikit_learn_and_the_textbook():
    from sklearn.metrics import log_loss

    y_true, p = np.array([0, 0, 1, 1, 1]), np.array([0.9, 0.4, 0.8, 0.7, 0.2])
    y_prob = np.where(np.eye(2)[y_true] == 1, p[:, None], 1 - p[:, None])
    score = measure(y_true, y_prob)
    assert score.loss == pytest.approx(log_loss(y_true, y_prob))
    assert score.loss_error == pytest.approx(scipy.stats.sem(-np.log(p)))
    assert (score.accuracy, score.counts, score.images) == (0.6, (2, 3), 5)
    assert score.guess_loss == pytest.approx(scipy.stats.entropy([2, 3]))


def test_a_class_without_images_is_counted_as_such():
    assert measure(np.array([0, 0]), np.full((2, 3), 1 / 3)).counts == (2, 0, 0)


def test_one_image_says_nothing_about_noise():
    score = measure(np.array([0]), np.array([[0.9, 0.1]]))
    assert math.isnan(score.loss_error) and score.noise == math.inf


@pytest.mark.parametrize("images", [4, 10, 400])
def test_few_images_widen_the_noise_as_students_t_does(images):
    score = Score(0.5, 1.0, 0.5, (images // 2, images - images // 2))
    assert score.noise == pytest.approx(scipy.stats.t.ppf(0.975, images - 1), rel=1e-9)


def test_nothing_measured_is_refused():
    with pytest.raises(DlError, match="no predictions"):
        measure(np.array([], int), np.empty((0, 2)))
