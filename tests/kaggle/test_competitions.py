"""What is known of competitions."""

from __future__ import annotations

import typing

import pytest

from dlcli.kaggle.competitions import (
    COMPETITIONS,
    METRICS,
    metric_of,
    positive_of,
    rules_page,
    slug_of,
)
from dlcli.settings.shared import MetricName

REDUX = "dogs-vs-cats-redux-kernels-edition"


def test_every_metric_that_may_be_set_is_known_and_every_competition_has_one() -> None:
    assert set(METRICS) == set(typing.get_args(MetricName))
    assert {known.metric for known in COMPETITIONS.values()} <= set(METRICS)
    assert all(slug == known.slug for slug, known in COMPETITIONS.items())


def test_what_is_said_goes_before_what_is_known() -> None:
    for slug, named, wanted in (
        (REDUX, None, "log_loss"),
        (REDUX, "accuracy", "accuracy"),
        ("another", "auc", "auc"),
    ):
        metric = metric_of(slug, named)
        assert metric is not None
        assert metric.name == wanted
    assert metric_of("another", None) is None
    assert metric_of(None, None) is None


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (("cat", "dog"), "dog"),
        (("Cat", "Dog"), "Dog"),
        (("cats", "dogs"), "dogs"),
        (("cat", "hound"), None),
        (("Dog", "cat", "dog"), None),  # nobody can say which
    ],
)
def test_the_positive_class_is_known_by_its_name_however_it_is_written(
    classes: tuple[str, ...], positive: str | None
) -> None:
    assert positive_of(REDUX, classes) == positive
    assert positive_of("digit-recognizer", classes) is None
    assert positive_of(None, classes) is None


def test_rules_are_accepted_on_a_page_of_their_own() -> None:
    assert rules_page("digit-recognizer") == "https://www.kaggle.com/c/digit-recognizer/rules"


@pytest.mark.parametrize(
    "named",
    [
        "digit-recognizer",
        "https://www.kaggle.com/c/digit-recognizer",
        "https://www.kaggle.com/competitions/digit-recognizer/data?x=1",
        "http://kaggle.com/competitions/digit-recognizer#top",
    ],
)
def test_a_page_of_a_competition_names_it(named: str) -> None:
    assert slug_of(named) == "digit-recognizer"
