"""Under- or overfitting, and what to try next, from the numbers of one training.

Two measurements decide, both by the kept model as it predicts (no dropout, no augmentation): the
loss on images it trained on and on validation images. Each is a `Score`: its loss, how sure that
is, and what a guesser would have. The history tells only how training went, since its training loss
is an average over an epoch of moving weights, with dropout and augmentation on. A difference counts
where it is more than noise and more than a trifle.

Losses are means of -ln(probability of the true class), in nats.

Reference:
    fast.ai, Practical Deep Learning for Coders (2017), lesson 3: what under- and overfitting look
    like, and the order of remedies. Its notes once call "training error much lower than
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
    against_overfitting,
    against_underfitting,
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
    "overfitting",
    "still learning",
    "good fit",
    "not clear",
]

# Shares of a guesser's loss, so that they mean the same for 2 classes and for 120.
# A tenth of what a guesser doesn't know is unknown still, on images already seen: the course's
# linear model of MNIST, 0.924 right, lies about there; its CNN and a fine-tuned network on photos
# at a fiftieth.
HIGH = 0.1
# Above a half, too little is learned for its not carrying over to be the first concern, unless by
# far the most of it doesn't: 0.63 after 0.44 (82 % of the training images, 65 % of the others).
# Above nine tenths hardly anything was learned that could fail to carry over.
VERY_HIGH = 0.5
FAR_APART = 1.4
NEARLY_ALL = 0.9
# A fiftieth, 0.014 for two classes, is one confident mistake (-ln 0.01) in 330 images.
TRIFLE = 0.02


@dataclass(frozen=True)
class Score:
    """How the kept model does on some images, without dropout or augmentation.

    Args:
        loss: mean over the images.
        loss_error: standard error of that mean; NaN where one image gives none.
        accuracy: share that is named correctly.
        counts: how many of these images are of each class.
    """

    loss: float
    loss_error: float
    accuracy: float
    counts: tuple[int, ...]

    @property
    def images(self) -> int:
        """How many images were measured."""
        return sum(self.counts)

    @property
    def usable(self) -> bool:
        """Whether there is a loss, and a guesser's to hold it against."""
        return math.isfinite(self.loss + self.accuracy) and sum(n > 0 for n in self.counts) > 1

    @property
    def guess_loss(self) -> float:
        """The loss of always answering these images' class frequencies: their entropy."""
        return sum(n / self.images * math.log(self.images / n) for n in self.counts if n)

    @property
    def noise(self) -> float:
        """How far the mean loss may be off by chance, 19 times in 20; infinite if unknown."""
        known = math.isfinite(self.loss_error) and self.images > 1
        return t_95(self.images - 1) * self.loss_error if known else math.inf

    @property
    def accuracy_low(self) -> float:
        """The lower end of the accuracy's 95 % interval."""
        return accuracy_interval(round(self.accuracy * self.images), self.images)[0]

    @property
    def beats_guessing(self) -> bool:
        """Whether loss or accuracy is better than a guesser's by more than chance explains."""
        better = self.loss + self.noise < self.guess_loss
        return better or self.accuracy_low > max(self.counts) / self.images


def measure(y_true: Ints, y_prob: Floats) -> Score:
    """Score the probabilities a model gave some images.

    Args:
        y_true: int array of shape (n_samples,).
        y_prob: float array of shape (n_samples, n_classes).

    Raises:
        DlError: no samples, or a row that can't be probabilities.
    """
    import numpy as np

    losses = sample_losses(y_true, y_prob)
    error = float(losses.std(ddof=1)) / math.sqrt(len(losses)) if len(losses) > 1 else math.nan
    counts = np.bincount(y_true, minlength=y_prob.shape[1]).tolist()
    return Score(float(losses.mean()), error, accuracy(y_true, y_prob), tuple(counts))


@dataclass(frozen=True)
class Diagnosis:
    """What is the matter, the numbers that show it, and what to try, the first first."""

    kind: Kind
    sentence: str
    evidence: str
    next: tuple[str, ...]

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Diagnosis:
        """What a run's `status.yaml` holds of one."""
        return cls(**{**recorded, "next": tuple(recorded["next"])})

    @property
    def in_short(self) -> str:
        """The finding and the first remedy, for a table."""
        return f"{self.sentence} Next: {self.next[0]}." if self.next else self.sentence

    @property
    def lines(self) -> list[str]:
        """The finding, its numbers and, if there are any, the remedies: a line each."""
        first = "Try" if len(self.next) == 1 else "Try, in this order:"
        if self.kind == "good fit":
            first = "To go further:"
        tries = [f"{first} {'; '.join(self.next)}."] if self.next else []
        return [self.sentence, self.evidence, *tries]


def diagnose(
    train: Score, valid: Score, history: Sequence[Mapping[str, Any]], options: Options
) -> Diagnosis:
    """Say what the numbers show, and no more.

    Args:
        train: of images that were trained on; 2,000 of them will do.
        valid: of all validation images. The kept epoch was chosen by them, so that their loss is
            a little too good.
        history: rows of `history.csv`.
        options: what was used, and what else there is.
    """
    if not (train.usable and valid.usable):
        why = "there is no loss, or there are images of one class alone"
        return Diagnosis("not clear", f"Not clear: {why}.", _measured(train, valid), ())
    # as for two means equally noisy and independent; the same images make them rather less so
    seen = trends(history, math.sqrt(2) * valid.noise, TRIFLE * valid.guess_loss)
    kind, sentence = _finding(train, valid, seen, options)
    return Diagnosis(
        kind,
        sentence,
        " ".join([_measured(train, valid), *_beside(kind, valid, seen)]),
        _remedies(kind, train, valid, seen, options),
    )


def _finding(train: Score, valid: Score, seen: Trends, options: Options) -> tuple[Kind, str]:
    """The first rule that holds, and its sentence."""
    share = train.loss / train.guess_loss
    on_train, on_valid = written(train.loss), written(valid.loss)
    both = f"{on_valid} on the validation images and {on_train} on training images"
    overfits = _overfits(train, valid)
    if options.normalises and _unsettled(train, seen):
        return "not settled", (
            f"Not settled: on training images its loss is {on_train} now and was "
            f"{written(seen.train_loss)} while it trained; the averages of batch normalisation, "
            "which serve in predicting, may not have caught up."
        )
    if not (train.beats_guessing or valid.beats_guessing):
        return "nothing learned", (
            "Nothing learned yet: neither on training nor on validation images is it measurably "
            "better than always answering the class frequencies."
        )
    falling = seen.fell is not None and seen.falls_markedly
    if train.loss > train.guess_loss:
        return "underfitting", (
            f"Underfitting: even on training images its loss is {on_train}, more than the "
            f"{written(train.guess_loss)} of always answering the class frequencies, though it "
            f"names {percent(train.accuracy)} of them correctly."
        )
    if seen.fell and falling and HIGH <= share < VERY_HIGH and not overfits:
        return _still_learning(seen.fell)
    far_apart = valid.loss > FAR_APART * train.loss
    certain = (train.loss - train.noise) / train.guess_loss  # one image may be most of a loss
    if certain >= _least_left(overfits, far_apart):
        higher = f"; on the validation images it is higher still, {on_valid}" if overfits else ""
        return "underfitting", (
            f"Underfitting: even on training images its loss is {on_train}, against "
            f"{written(train.guess_loss)} for always answering the class frequencies{higher}."
        )
    if overfits:
        return "overfitting", f"Overfitting: the loss is {both}, more apart than by chance."
    if _held_back(train, valid, seen, options):
        held = f"dropout {options.dropout:g}{' and augmentation' if options.augments else ''}"
        return "underfitting", (
            f"Underfitting: while it trained, with {held}, it named "
            f"{percent(seen.train_accuracy)} of the training images correctly, and without that "
            f"{percent(train.accuracy)}."
        )
    if seen.fell and falling and share >= TRIFLE:
        return _still_learning(seen.fell)
    gap, noise = valid.loss - train.loss, math.hypot(train.noise, valid.noise)
    noisier = valid if valid.noise >= train.noise else train
    few = count(noisier.images, "image")
    # what isn't shown to be large isn't thereby shown to be small
    if not gap + noise < HIGH * valid.guess_loss:
        return "not clear", (
            f"Not clear: the loss is {both}; with {few}, how far that is apart can't be told."
        )
    if abs(gap) <= noise:
        return "good fit", f"Good fit: the loss is {both}, within the noise of {few}."
    little = "a small difference" if gap > 0 else "no sign of overfitting"
    return "good fit", f"Good fit: the loss is {both}, {little}."


def _least_left(overfits: bool, far_apart: bool) -> float:
    """The share of a guesser's loss from which on too little was learned, whatever carries over."""
    if not overfits:
        return HIGH
    return NEARLY_ALL if far_apart else VERY_HIGH


def _still_learning(fell: tuple[float, float]) -> tuple[Kind, str]:
    return "still learning", (
        "Still learning: the last epoch was the best, and in it the training loss fell from "
        f"{_pair(fell)}."
    )


def _overfits(train: Score, valid: Score) -> bool:
    """Whether the validation loss is above the training loss by more than noise and a trifle."""
    least = max(math.hypot(train.noise, valid.noise), TRIFLE * valid.guess_loss)
    return valid.loss - train.loss > least and valid.loss > NOTABLE_RISE * train.loss


def _unsettled(train: Score, seen: Trends) -> bool:
    """Whether a network that learned while it trained predicts far worse on the same images.

    The moving averages of batch normalisation follow by a hundredth in each step, so that a few
    dozen steps leave them near where they began. Dropout and augmentation work the other way.
    """
    learned = seen.train_loss < train.guess_loss
    return learned and train.loss - train.noise > max(
        NOTABLE_CHANGE * seen.train_loss, HIGH * train.guess_loss
    )


def _held_back(train: Score, valid: Score, seen: Trends, options: Options) -> bool:
    """Whether dropout keeps training far below what the same weights do without it.

    The course saw it in VGG16's fully connected layers, by a training accuracy below the
    validation accuracy, and took the dropout out. That alone is common and harmless, so the
    training loss has to be high too, and further above the loss without dropout than it fell from
    the epoch before: so much the weights' moving may explain. In a first epoch it can't be told.
    """
    return (
        bool(options.dropout)
        and train.loss < seen.train_loss - abs(seen.before - seen.train_loss)
        and seen.train_accuracy < valid.accuracy_low
        and seen.train_loss > max(HIGH * train.guess_loss, 2 * train.loss)
        and train.loss > TRIFLE * train.guess_loss
    )


def _beside(kind: Kind, valid: Score, seen: Trends) -> list[str]:
    """Sentences on what else the numbers show."""
    found = []
    if kind != "nothing learned" and not valid.beats_guessing:
        found.append("On the validation images it is not measurably better than that.")
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
        return ("more epochs or smaller batches, `--schedule` and `--batch-size`",)
    if kind == "still learning":
        return ("more epochs, `--schedule`",)
    if kind == "overfitting" or (kind == "good fit" and seen.rose):
        return against_overfitting(options)
    if kind == "not clear":
        further = to_go_further(options)[:1] if options.full else ()
        return tuple(dict.fromkeys((*further, MORE_IMAGES)))
    if kind == "good fit":
        return to_go_further(options)
    return against_underfitting(
        options,
        # worse than guessing, or than it was: the steps are too long
        diverged=seen.diverged is not None or train.loss > NOTABLE_RISE * train.guess_loss,
        more_epochs=seen.fell is not None or seen.single,
        held_back=_held_back(train, valid, seen, options),
        less_dropout=not _overfits(train, valid),
    )


def _measured(train: Score, valid: Score) -> str:
    """Both measurements, with the standard errors of the losses, and what guessing would give."""
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
