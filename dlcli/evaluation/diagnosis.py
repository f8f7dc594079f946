"""Diagnose under- and overfitting from the numbers of one training.

Two measurements decide: the kept model's loss on training images and on validation images, both
without dropout and augmentation. Each is a `Score`: the loss, its uncertainty, and the loss of
guessing. The history only shows the course of training: its training loss is an average over an
epoch of changing weights, with dropout and augmentation. A difference counts if it is larger than
the noise and larger than a trifle.

Losses are means of -ln(probability of the true class), in nats.

Reference:
    fast.ai, Practical Deep Learning for Coders (2017), lesson 3: the signs of under- and
    overfitting, and the order of remedies. Its notes once call "training error much lower than
    validation" underfitting; that is overfitting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dlcli.evaluation.chance import t_95
from dlcli.evaluation.history import NOTABLE_CHANGE, NOTABLE_RISE, Trends, trends
from dlcli.evaluation.metrics import accuracy, accuracy_interval, sample_losses
from dlcli.evaluation.remedies import (
    MORE_IMAGES,
    Options,
    Remedy,
    against_overfitting,
    against_underfitting,
    more_epochs_of,
    to_finish,
    to_go_further,
)
from dlcli.words import count, percent
from dlcli.words import loss as written

if TYPE_CHECKING:
    from dlcli.evaluation.metrics import Floats, Ints


Kind = Literal[
    "nothing learned",
    "not settled",
    "underfitting",
    "overconfident",
    "overfitting",
    "still learning",
    "good fit",
    "not clear",
]

# Shares of the loss of guessing, so that they mean the same for 2 classes and for 120.
# A training loss above a tenth is high: the course's linear model of MNIST, accuracy 0.924, is
# about there; its CNN and a fine-tuned network on photos are at a fiftieth.
HIGH = 0.1
# Above a half, underfitting comes before overfitting, unless the validation loss is far higher:
# 0.63 against 0.44 (accuracy 65 % against 82 %). Above nine tenths, almost nothing was learned that
# could overfit.
VERY_HIGH = 0.5
FAR_APART = 1.4
NEARLY_ALL = 0.9
# A fiftieth is 0.014 for two classes: one confident mistake (-ln 0.01) in 330 images.
TRIFLE = 0.02


@dataclass(frozen=True)
class Score:
    """The kept model's results on some images, without dropout and augmentation.

    Args:
        loss: mean over the images.
        loss_error: standard error of that mean; NaN for one image.
        accuracy: share of correct predictions.
        counts: number of images of each class.
    """

    loss: float
    loss_error: float
    accuracy: float
    counts: tuple[int, ...]

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(self.counts)

    @property
    def usable(self) -> bool:
        """Whether the loss is finite, and the loss of guessing is not 0."""
        return math.isfinite(self.loss + self.accuracy) and sum(n > 0 for n in self.counts) > 1

    @property
    def guess_loss(self) -> float:
        """The loss of always predicting these images' class frequencies: their entropy."""
        return sum(n / self.images * math.log(self.images / n) for n in self.counts if n)

    @property
    def noise(self) -> float:
        """Half the width of the mean loss's 95 % interval; infinite if unknown."""
        known = math.isfinite(self.loss_error) and self.images > 1
        return t_95(self.images - 1) * self.loss_error if known else math.inf

    @property
    def accuracy_low(self) -> float:
        """The lower end of the accuracy's 95 % interval."""
        return accuracy_interval(round(self.accuracy * self.images), self.images)[0]

    @property
    def beats_guessing(self) -> bool:
        """Whether loss or accuracy is significantly better than guessing."""
        better = self.loss + self.noise < self.guess_loss
        return better or self.accuracy_low > max(self.counts) / self.images


def measure(y_true: Ints, y_prob: Floats) -> Score:
    """Score a model's probabilities for some images.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).

    Raises:
        DlError: there are no samples, or a row can't be probabilities.
    """
    import numpy as np

    losses = sample_losses(y_true, y_prob)
    error = float(losses.std(ddof=1)) / math.sqrt(len(losses)) if len(losses) > 1 else math.nan
    counts = np.bincount(y_true, minlength=y_prob.shape[1]).tolist()
    return Score(float(losses.mean()), error, accuracy(y_true, y_prob), tuple(counts))


@dataclass(frozen=True)
class Diagnosis:
    """The finding, the numbers behind it, and what to try, in order."""

    kind: Kind
    sentence: str
    evidence: str
    next: tuple[str, ...]

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Diagnosis:
        """A diagnosis from a run's `status.yaml`.

        Raises:
            KeyError, TypeError: it is damaged, or from another version.
        """
        made = cls(**{**recorded, "next": tuple(recorded["next"])})
        if not all(isinstance(text, str) for text in (made.sentence, made.evidence, *made.next)):
            raise TypeError("a diagnosis consists of texts")
        return made

    @property
    def in_short(self) -> str:
        """The finding and the first remedy, for a table."""
        return f"{self.sentence} Next: {self.next[0]}." if self.next else self.sentence

    @property
    def lines(self) -> list[str]:
        """The finding, its numbers and any remedies, one line each."""
        return self.lines_after("")

    def lines_after(self, before: str) -> list[str]:
        """The same, with a sentence before the remedies: "It gained nothing. "."""
        further = self.kind == "good fit"
        if not self.next:
            tries = [before.strip()] if before else []
        elif len(self.next) == 1:
            tries = [f"{before}{'To go further:' if further else 'Try'} {self.next[0]}."]
        else:
            start = "To go further, in this order:" if further else "Try, in this order:"
            tries = [before + start, *(f"- {each}" for each in self.next)]
        return [self.sentence, self.evidence, *tries]


def diagnose(
    train: Score, valid: Score, history: Sequence[Mapping[str, Any]], options: Options
) -> Diagnosis:
    """Diagnose a training.

    Args:
        train: score on training images; 2,000 of them are enough.
        valid: score on all validation images. The kept epoch was chosen by them, so that their
            loss is slightly too good.
        history: rows of `history.csv`.
        options: what the training used, and the alternatives.
    """
    if not (train.usable and valid.usable):
        why = "there is no loss, or all images are of one class"
        return Diagnosis("not clear", f"Not clear: {why}.", _measured(train, valid), ())
    # for two independent means of equal noise; on the same images the noise is rather less
    seen = trends(history, math.sqrt(2) * valid.noise, TRIFLE * valid.guess_loss)
    kind, sentence = _finding(train, valid, seen, options)
    used = {"dropout": bool(options.dropout), "augmentation": options.augments}
    beside = [*after_best(seen), *while_training(train.loss, train.guess_loss, seen, used)]
    if kind != "nothing learned" and not valid.beats_guessing:
        worse = "On the validation images the model is not measurably better than that."
        beside.insert(0, worse)
    return Diagnosis(
        kind,
        sentence,
        " ".join([_measured(train, valid), *beside]),
        _remedies(kind, train, valid, seen, options),
    )


def _finding(train: Score, valid: Score, seen: Trends, options: Options) -> tuple[Kind, str]:
    """The kind and sentence of the first rule that applies."""
    share = train.loss / train.guess_loss
    on_train, on_valid = written(train.loss), written(valid.loss)
    both = f"{on_valid} on the validation images and {on_train} on training images"
    overfits = _overfits(train, valid)
    if options.normalises and _unsettled(train, seen):
        return "not settled", (
            f"Not settled: the loss on training images is {on_train} when predicting, but was "
            f"{written(seen.train_loss)} while training. Batch normalisation predicts with moving "
            "averages, which may not have caught up."
        )
    if not (train.beats_guessing or valid.beats_guessing):
        return "nothing learned", (
            "Nothing learned yet: the model is not measurably better than guessing by class "
            "frequencies, neither on training nor on validation images."
        )
    if train.loss > max(train.guess_loss, valid.guess_loss):
        return "underfitting", (
            f"Underfitting: even on training images the loss is {on_train} and the accuracy "
            f"{percent(train.accuracy)}. Guessing by class frequencies gives a lower loss."
        )
    if _exploded(train, seen) and not overfits and share >= TRIFLE:
        return "underfitting", (
            f"Underfitting: the loss on training images was {written(seen.train_loss)} while "
            "training, above that of guessing by class frequencies."
        )
    if _little_to_gain(valid):
        return "good fit", (
            f"Good fit: the loss is {both}. All validation images are classified correctly, so "
            f"accuracy has nothing to gain.{_of_loss(seen)}"
        )
    wrecked = valid.loss > valid.guess_loss
    if wrecked and overfits and valid.beats_guessing:
        return "overconfident", (
            f"Overconfident: the loss is {both}. Guessing by class frequencies gives a lower loss, "
            f"though the accuracy is {percent(valid.accuracy)}: mistakes get high probabilities, "
            "as after a learning rate that is too high."
        )
    if seen.fell and valid.beats_guessing and not wrecked:
        return "still learning", (
            f"Still learning: the validation loss fell from {written(seen.fell[0])} half-way to "
            f"{written(seen.fell[1])} in epoch {seen.best}."
        )
    far_apart = valid.loss > FAR_APART * train.loss
    certain = (train.loss - train.noise) / train.guess_loss  # one image may cause most of a loss
    if certain >= _least_left(overfits, far_apart):
        higher = f" On the validation images it is higher still, {on_valid}." if overfits else ""
        return "underfitting", (
            f"Underfitting: the loss is high even on training images, {on_train}.{higher}"
        )
    if overfits:
        return "overfitting", (
            f"Overfitting: the loss is {both}. The difference is larger than chance explains."
        )
    if _held_back(train, valid, seen, options):
        held = f"dropout {options.dropout:g}{' and augmentation' if options.augments else ''}"
        it = "both" if options.augments else "dropout"
        return "underfitting", (
            f"Underfitting: the accuracy on training images was {percent(seen.train_accuracy)} "
            f"while training with {held}. Without {it}, the accuracy is {percent(train.accuracy)}."
        )
    gap, noise = valid.loss - train.loss, math.hypot(train.noise, valid.noise)
    few = count(valid.images, "validation image")
    if train.noise > valid.noise:
        few = count(train.images, "training image")
    # a difference that is not significant may still be large
    if not gap + noise < HIGH * valid.guess_loss:
        return "not clear", (
            f"Not clear: the loss is {both}. The difference can't be measured with {few}."
        )
    if abs(gap) <= noise:
        return "good fit", (
            f"Good fit: the loss is {both}. The difference is no larger than chance explains with "
            f"{few}."
        )
    little = "a small difference" if gap > 0 else "no sign of overfitting"
    return "good fit", f"Good fit: the loss is {both}, {little}."


def _of_loss(seen: Trends) -> str:
    """What is left to gain in the log loss, if every validation image is classified correctly."""
    if not seen.fell_at_all:
        return ""
    half_way, kept = map(written, seen.fell_at_all)
    return f" The log loss still fell, from {half_way} half-way to {kept} in epoch {seen.best}."


def _least_left(overfits: bool, far_apart: bool) -> float:
    """The share of the loss of guessing from which on a training loss means underfitting."""
    if not overfits:
        return HIGH
    return NEARLY_ALL if far_apart else VERY_HIGH


def _little_to_gain(valid: Score) -> bool:
    """Whether every validation image is classified correctly, with a trifle of a loss."""
    return valid.accuracy == 1 and valid.loss < TRIFLE * valid.guess_loss


def _overfits(train: Score, valid: Score) -> bool:
    """Whether the validation loss exceeds the training loss by more than noise and a trifle."""
    least = max(math.hypot(train.noise, valid.noise), TRIFLE * valid.guess_loss)
    return valid.loss - train.loss > least and valid.loss > NOTABLE_RISE * train.loss


def _unsettled(train: Score, seen: Trends) -> bool:
    """Whether a network predicts far worse on training images than it did while training.

    The moving averages of batch normalisation move by a hundredth per step, so that they hardly
    change in a few dozen steps. Dropout and augmentation have the opposite effect.
    """
    learned = seen.train_loss < train.guess_loss
    return learned and train.loss - train.noise > max(
        NOTABLE_CHANGE * seen.train_loss, HIGH * train.guess_loss
    )


def _exploded(train: Score, seen: Trends) -> bool:
    """Whether the kept epoch's training loss is far above guessing, as with a rate too high."""
    return seen.train_loss > NOTABLE_RISE * train.guess_loss


def _held_back(train: Score, valid: Score, seen: Trends, options: Options) -> bool:
    """Whether dropout makes training far worse than the same weights are without it.

    The course saw this in VGG16's fully connected layers, by a training accuracy below the
    validation accuracy, and removed the dropout. That alone is common and harmless. So the training
    loss must be high too, and exceed the loss without dropout by more than its fall since the epoch
    before, which the change of weights may explain. In a first epoch this is unknown.
    """
    return (
        bool(options.dropout)
        and train.loss < seen.train_loss - abs(seen.before - seen.train_loss)
        and seen.train_accuracy < valid.accuracy_low
        and seen.train_loss > max(HIGH * train.guess_loss, 2 * train.loss)
        and train.loss > TRIFLE * train.guess_loss
    )


def while_training(
    loss: float, guess_loss: float, seen: Trends, used: Mapping[str, bool]
) -> list[str]:
    """Why the kept epoch's own training loss is notably higher than the measured one, if it is.

    Args:
        loss, guess_loss: the measured loss on training data, and that of guessing.
        used: what may make training harder, by name, and whether the training used it.
    """
    if not seen.train_loss > max(NOTABLE_CHANGE * loss, loss + TRIFLE * guess_loss):  # or unknown
        return []
    both = " and ".join(name for name, is_used in used.items() if is_used)
    during, after = (f", with {both}", f", without {both}") if both else ("", "")
    own = f"Epoch {seen.best}'s training loss, {written(seen.train_loss)}"
    return [
        f"{own}, is a mean over the epoch{during}; the losses here are measured after it{after}."
    ]


def after_best(seen: Trends) -> list[str]:
    """Sentences about the epochs after the kept one."""
    found = []
    after = f"After epoch {seen.best}, whose model was kept, the"
    if seen.rose:
        found.append(
            f"{after} validation loss rose from {_pair(seen.rose)} while the training loss fell."
        )
    if seen.diverged:
        found.append(f"{after} training loss rose from {_pair(seen.diverged)}.")
    return found


def _remedies(
    kind: Kind, train: Score, valid: Score, seen: Trends, options: Options
) -> tuple[str, ...]:
    if kind == "not settled":
        smaller = Remedy("smaller batches", options.smaller_batches)
        return more_epochs_of(options), str(smaller)
    if kind == "still learning":
        return to_finish(options)
    if kind == "good fit" and _little_to_gain(valid):
        return (more_epochs_of(options),) if seen.fell_at_all else ()
    wrecked = valid.loss > valid.guess_loss
    if kind in ("overconfident", "overfitting") or (kind == "good fit" and seen.rose):
        return against_overfitting(options, learned=valid.beats_guessing, wrecked=wrecked)
    if kind == "not clear":
        further = to_go_further(options)[:1] if options.full else ()
        return tuple(dict.fromkeys((*further, MORE_IMAGES)))
    if kind == "good fit":
        return to_go_further(options)
    return against_underfitting(
        options,
        # worse than guessing or than before: the learning rate is too high
        diverged=seen.diverged is not None
        or train.loss > NOTABLE_RISE * train.guess_loss
        or _exploded(train, seen),
        more_epochs=seen.fell is not None or seen.single,
        held_back=_held_back(train, valid, seen, options),
        less_dropout=not _overfits(train, valid),
        # random first weights may be worse than guessing too, but with nothing learned
        faster=kind == "nothing learned" or not wrecked,
    )


def _measured(train: Score, valid: Score) -> str:
    """Both scores, with the standard errors of the losses, and the loss of guessing."""
    guess = f" Guessing by class frequencies: {written(valid.guess_loss)}." if valid.usable else ""
    return f"Training images: {_score_text(train)}. Validation images: {_score_text(valid)}.{guess}"


def _score_text(score: Score) -> str:
    images = count(score.images, "image")
    if not math.isfinite(score.loss + score.accuracy):
        return f"no loss ({images})"
    error = f" ± {written(score.loss_error)}" if math.isfinite(score.loss_error) else ""
    return f"loss {written(score.loss)}{error}, accuracy {percent(score.accuracy)} ({images})"


def _pair(losses: tuple[float, float]) -> str:
    return f"{written(losses[0])} to {written(losses[1])}"
