"""Metrics of predicted probabilities, with NumPy only.

scikit-learn has them too, but takes two seconds to import; the tests compare with it.

Everywhere `y_true` is an int array of shape (n_samples,), indices into the classes, and `y_prob` a
float array of shape (n_samples, n_classes) of probabilities, one row per sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dlcli.errors import DlError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]
    Floats = NDArray[np.floating]

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % point, for two-sided 95 % intervals


class PerClass(NamedTuple):
    """Scores of each class, arrays of shape (n_classes,); NaN where a score is undefined.

    precision: the share of this class among the samples predicted as it.
    recall: the share predicted as this class among its samples.
    f1: the harmonic mean of both.
    support: the number of samples of this class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


def rounded(value: float) -> float:
    """A score rounded to nine digits, the precision of a float32, for files."""
    return float(f"{value:.9g}")


def accuracy(y_true: Ints, y_prob: Floats) -> float:
    """The share of samples whose most probable class is the true one; ties go to the first."""
    y_true, y_prob = checked(y_true, y_prob)
    return float((y_prob.argmax(axis=1) == y_true).mean())


def log_loss(y_true: Ints, y_prob: Floats) -> float:
    """The mean of -ln(probability of the true class), in nats; see `sample_losses`."""
    return float(sample_losses(y_true, y_prob).mean())


def sample_losses(y_true: Ints, y_prob: Floats) -> Floats:
    """-ln(probability of the true class) of each sample, in nats: float64 (n_samples,).

    Rows are renormalised to sum to 1, in float64, and probabilities then bounded to
    [eps, 1 - eps] as scikit-learn does: a mistake with probability 1 costs 36, not infinity.
    """
    import numpy as np

    y_true, y_prob = checked(y_true, y_prob)
    eps = np.finfo(y_prob.dtype).eps
    of_truth = y_prob[np.arange(len(y_true)), y_true]
    losses: Floats = -np.log(np.clip(of_truth, eps, 1 - eps))
    return losses


def most_wrong(y_true: Ints, y_prob: Floats, most: int) -> list[int]:
    """The misclassified samples with the highest losses, at most so many; the worst first."""
    import numpy as np

    losses = sample_losses(y_true, y_prob)
    wrong = np.asarray(y_prob).argmax(axis=1) != y_true
    order = np.argsort(-losses, kind="stable")
    worst: list[int] = order[wrong[order]][:most].tolist()
    return worst


def confusion_matrix(y_true: Ints, y_prob: Floats) -> Ints:
    """Count samples by true and by predicted class.

    Returns:
        int array of shape (n_classes, n_classes): rows are the truth, columns the prediction.
    """
    import numpy as np

    y_true, y_prob = checked(y_true, y_prob)
    classes = y_prob.shape[1]
    cells = y_true * classes + y_prob.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def per_class(confusion: Ints) -> PerClass:
    """Precision, recall, F1 and support of each class, from `confusion_matrix`."""
    import numpy as np

    def share(part: Ints, whole: Ints) -> Floats:
        shares: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        return shares

    hits, support, called = (
        np.diag(confusion),
        confusion.sum(axis=1),
        confusion.sum(axis=0),
    )
    return PerClass(
        precision=share(hits, called),
        recall=share(hits, support),
        f1=share(2 * hits, support + called),
        support=support,
    )


def accuracy_interval(correct: int, samples: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy.

    It is Wilson's score interval. Unlike the textbook's p +- 2 sigma it is valid near 0 and 1,
    where good classifiers are, and stays within [0, 1].

    Reference:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference";
        recommended by Brown, Cai & DasGupta 2001, "Interval estimation for a binomial proportion".
    """
    share, z2n = correct / samples, Z_95**2 / samples
    middle = (share + z2n / 2) / (1 + z2n)
    reach = (share * (1 - share) * z2n + z2n**2 / 4) ** 0.5 / (1 + z2n)
    # exactly 0 and 1, where rounding would miss them
    return middle - reach if correct else 0.0, middle + reach if correct < samples else 1.0


def evaluate(y_true: Ints, y_prob: Floats, classes: Sequence[str]) -> dict[str, Any]:
    """All metrics of a run's predictions, ready for `metrics.yaml`.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).
        classes: names, in the order of y_prob's columns.

    Returns:
        plain Python numbers under these keys:
            images, errors: counts.
            accuracy, accuracy_interval_95 ([low, high]), log_loss.
            macro_f1: the mean F1 of the classes that occur as truth or prediction.
            mean_confidence: the mean probability of the predicted class. Above the accuracy:
                over-confident; below: under-confident.
            baseline: class, accuracy and log_loss of always predicting the class frequencies of
                these samples as probabilities.
            classes: {name: {precision, recall, f1, support}}.
            confusion: {true name: {predicted name: count}}, zeros left out.

    Raises:
        DlError: there are no samples, or a row of `y_prob` can't be probabilities.
        ValueError: the shapes do not match.
    """
    import numpy as np

    y_true, y_prob = checked(y_true, y_prob)
    if y_prob.shape[1] != len(classes):
        raise ValueError(f"expected {len(classes)} columns, received {y_prob.shape[1]}")
    confusion = confusion_matrix(y_true, y_prob)
    scores = per_class(confusion)
    columns = [[None if value != value else value for value in each.tolist()] for each in scores]
    rows = zip(*columns, strict=True)
    images, correct = len(y_true), int(np.trace(confusion))
    occurs = (confusion.sum(axis=0) + scores.support) > 0
    prior = np.broadcast_to(scores.support / images, y_prob.shape)
    return {
        "images": images,
        "errors": images - correct,
        "accuracy": correct / images,
        "accuracy_interval_95": list(accuracy_interval(correct, images)),
        "log_loss": log_loss(y_true, y_prob),
        "macro_f1": float(scores.f1[occurs].mean()),
        "mean_confidence": float(y_prob.max(axis=1).mean()),
        "baseline": {
            "class": classes[int(scores.support.argmax())],
            "accuracy": accuracy(y_true, prior),
            "log_loss": log_loss(y_true, prior),
        },
        "classes": {
            name: dict(zip(PerClass._fields, row, strict=True))
            for name, row in zip(classes, rows, strict=True)
        },
        "confusion": {
            classes[i]: {classes[j]: int(confusion[i, j]) for j in confusion[i].nonzero()[0]}
            for i in range(len(classes))
        },
    }


def checked(y_true: Ints, y_prob: Floats) -> tuple[Ints, Floats]:
    """Both arrays in one form: ints, and float64 with rows that sum to 1.

    Raises:
        DlError: there are no samples, or a row can't be probabilities: not finite, negative, all 0.
        ValueError: the shapes do not match, or a label has no column.
    """
    import numpy as np

    y_true, y_prob = np.asarray(y_true), np.asarray(y_prob, np.float64)
    if y_prob.ndim != 2 or y_true.shape != y_prob.shape[:1]:
        raise ValueError(
            "expected y_true (n_samples,) and y_prob (n_samples, n_classes), "
            f"received {y_true.shape} and {y_prob.shape}"
        )
    if not len(y_true):
        raise DlError(
            "There are no predictions to evaluate",
            hint="Put images that can be read into `valid/`.",
        )
    if y_true.min() < 0 or y_true.max() >= y_prob.shape[1]:
        raise ValueError(f"expected labels 0 to {y_prob.shape[1] - 1}, received {y_true.max()}")
    totals = y_prob.sum(axis=1, keepdims=True)
    good = np.isfinite(y_prob).all(axis=1) & (y_prob >= 0).all(axis=1) & (totals[:, 0] > 0)
    if not good.all():
        row = int(good.argmin())
        raise DlError(
            f"The predictions for sample {row + 1:,} are not probabilities",
            why=f"expected values from 0 to 1, found {y_prob[row].tolist()}",
            hint="The training may have diverged: train again with a lower learning rate.",
        )
    return y_true.astype(np.intp, copy=False), y_prob / totals
