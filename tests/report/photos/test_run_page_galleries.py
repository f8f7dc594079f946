"""Which samples the five galleries take."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcli.report.photos.run_page import IN_A_GALLERY, MOST_IN_GALLERY, Gallery, select

NAMES = [
    "correct-at-random",
    "incorrect-at-random",
    "most-correct",
    "most-incorrect",
    "most-uncertain",
]


def chosen(y_true, y_prob, seed=0) -> dict[str, Gallery]:
    return {gallery.name: gallery for gallery in select(np.array(y_true), np.array(y_prob), seed)}


def made_up(samples, classes, seed, sharpness=1.5):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, classes, samples)
    logits = rng.normal(0, 1, (samples, classes))
    logits[np.arange(samples), y_true] += sharpness
    y_prob = np.exp(logits)
    return y_true, y_prob / y_prob.sum(axis=1, keepdims=True)


sizes = {"samples": st.integers(1, 200), "classes": st.integers(2, 150), "seed": st.integers(0, 99)}


@given(**sizes)
def test_every_gallery_keeps_its_promise(samples, classes, seed):
    y_true, y_prob = made_up(samples, classes, seed)
    right = y_prob.argmax(axis=1) == y_true
    galleries = chosen(y_true, y_prob, seed)
    assert list(galleries) == NAMES
    for gallery in galleries.values():
        assert len(set(gallery.samples)) == len(gallery.samples) <= MOST_IN_GALLERY
        assert all(type(sample) is int and 0 <= sample < samples for sample in gallery.samples)
    for name in ("correct-at-random", "most-correct"):
        assert right[list(galleries[name].samples)].all()
    for name in ("incorrect-at-random", "most-incorrect"):
        assert not right[list(galleries[name].samples)].any()
    assert len(galleries["correct-at-random"].samples) == min(IN_A_GALLERY, right.sum())
    assert len(galleries["incorrect-at-random"].samples) == min(IN_A_GALLERY, (~right).sum())
    assert len(galleries["most-uncertain"].samples) == min(IN_A_GALLERY, samples)


@given(**sizes)
def test_each_class_shows_its_extremes_in_order(samples, classes, seed):
    y_true, y_prob = made_up(samples, classes, seed)
    right = y_prob.argmax(axis=1) == y_true
    of_truth = y_prob[np.arange(samples), y_true]
    galleries = chosen(y_true, y_prob)
    for name, among, sign in (("most-correct", right, -1), ("most-incorrect", ~right, 1)):
        samples_of = np.array(galleries[name].samples, int)
        assert sorted(y_true[samples_of]) == y_true[samples_of].tolist()
        for label in set(y_true[samples_of]):
            taken = samples_of[y_true[samples_of] == label]
            rank = sign * of_truth[(y_true == label) & among]
            assert (sign * of_truth[taken] == np.sort(rank)[: len(taken)]).all()
        if classes <= MOST_IN_GALLERY:
            assert set(y_true[samples_of]) == set(y_true[among])


def test_most_incorrect_is_the_true_class_with_the_least_probability():
    galleries = chosen([0, 0, 1, 1], [[0.4, 0.6], [0.1, 0.9], [0.8, 0.2], [0.7, 0.3]])
    assert galleries["most-incorrect"].samples == (1, 0, 2, 3)
    assert galleries["most-correct"].samples == ()
    assert galleries["most-correct"].empty == "No image is classified correctly."


def test_with_two_classes_uncertain_is_nearest_to_one_half():
    p = np.array([0.99, 0.45, 0.501, 0.3, 0.52])
    gallery = chosen([0] * 5, np.stack([p, 1 - p], axis=1))["most-uncertain"]
    assert gallery.samples == (2, 4, 1, 3, 0)
    assert "one half" in gallery.note


def test_with_more_classes_uncertain_is_the_smallest_margin_of_the_first_two():
    y_prob = [[0.5, 0.49, 0.01], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05], [0.34, 0.33, 0.33]]
    assert chosen([0] * 4, y_prob)["most-uncertain"].samples == (0, 3, 1, 2)


def test_the_seed_decides_what_is_random_and_nothing_else():
    y_true, y_prob = made_up(500, 3, 1, sharpness=0.5)
    one, same, other = (chosen(y_true, y_prob, seed) for seed in (0, 0, 1))
    assert one == same
    for name in NAMES:
        assert (one[name] != other[name]) == name.endswith("random")


@pytest.mark.parametrize(("classes", "each"), [(2, 6), (3, 6), (8, 3), (24, 1), (100, 1)])
def test_a_gallery_by_class_stays_small(classes, each):
    y_true = np.repeat(np.arange(classes), 10)
    y_prob = np.eye(classes)[y_true]
    assert len(chosen(y_true, y_prob)["most-correct"].samples) == classes * each


def test_more_classes_than_one_looks_at_are_cut_and_said():
    y_true = np.arange(MOST_IN_GALLERY + 1)
    gallery = chosen(y_true, np.eye(MOST_IN_GALLERY + 1))["most-correct"]
    assert gallery.samples == tuple(range(MOST_IN_GALLERY))
    assert gallery.note.endswith("Only the first 120 classes are shown.")


def test_one_class_alone_is_no_reason_to_fail():
    assert chosen([0, 0], [[1.0], [1.0]])["most-uncertain"].samples == (0, 1)
