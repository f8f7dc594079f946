"""Remedies against under- and overfitting, in the course's order.

Remedies that are in use already, or that the recipe lacks, are left out. Commands come from the
caller; the options named here are common to all recipes.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 3: against overfitting more
data, augmentation, architectures that generalise, regularisation, a simpler architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

# Above this, more dropout would leave too little of a layer.
MOST_DROPOUT = 0.9
MORE_IMAGES = "more images"


@dataclass(frozen=True)
class Remedy:
    """What may help, and the whole command for it; "" if there is none.

    Its text is what a run's `status.yaml` keeps: "more epochs, `dl rerun RUN --epochs 24`".
    """

    what: str
    command: str = ""

    @classmethod
    def of(cls, text: str) -> Remedy:
        """Read a remedy's text."""
        what, _, command = text.partition(", `")
        return cls(what, command.removesuffix("`"))

    @property
    def takes_dataset(self) -> bool:
        """Whether the command takes the current dataset: it names neither a dataset nor a run."""
        return self.command.startswith(("dl train ", "dl lr-find ")) and " -d " not in self.command

    def __str__(self) -> str:
        return f"{self.what}, `{self.command}`" if self.command else self.what


@dataclass(frozen=True)
class Commands:
    """What a training of any kind of data used, and the whole commands for alternatives.

    Args:
        again: the command that trains the same once more.
        dropout: its share; None if the recipe has none.
        full: the command that trains on the whole dataset; None if this one did.
        simpler, richer: the commands of the neighbouring recipes in the course's order, if any.
        find_rate: the command that finds a learning rate, if there is one.
        epochs, highest_rate, batch_size: of its first phase.
    """

    again: str = "dl rerun RUN"
    dropout: float | None = None
    full: str | None = None
    simpler: str | None = None
    richer: str | None = None
    find_rate: str | None = None
    epochs: int = 12
    highest_rate: float = 0.003
    batch_size: int = 64

    def with_set(self, *settings: str) -> str:
        """The command with other hyperparameters, such as "dropout=0.75"."""
        return " ".join([self.again, *(f"--set {each}" for each in settings)])

    @property
    def more_dropout(self) -> str | None:
        """The command for more dropout; None if the recipe has none, or has much already."""
        if self.dropout is None or self.dropout >= MOST_DROPOUT:
            return None
        # 0 becomes the usual 0.5; then each step halves the share that is kept
        return self.with_set(f"dropout={(1 + self.dropout) / 2:.2g}")

    @property
    def less_dropout(self) -> str | None:
        """The command for less dropout; None if there is none."""
        if not self.dropout:
            return None
        # the course removed dropout completely; halving also tries values between
        share = self.dropout / 2 if self.dropout > 0.2 else 0
        return self.with_set(f"dropout={share:.2g}")

    @property
    def longer(self) -> str:
        """The command for twice the epochs."""
        return f"{self.again} --epochs {2 * self.epochs}"

    @property
    def slower(self) -> str:
        """The command for a tenth of the learning rate."""
        return f"{self.again} --lr {self.highest_rate / 10:.3g}"

    @property
    def faster(self) -> str:
        """The command for three times the learning rate."""
        return f"{self.again} --lr {self.highest_rate * 3:.3g}"

    @property
    def smaller_batches(self) -> str:
        """The command for half the batch size."""
        return self.with_set(f"batch_size={max(self.batch_size // 2, 1)}")


@dataclass(frozen=True)
class Options(Commands):
    """The same for photos.

    Args:
        normalises: whether the network has batch normalisation that trains.
        pretrained: the command that trains on a pretrained network; None if this one did.
        augment: the settings for augmentation.
    """

    augments: bool = False
    normalises: bool = False
    pretrained: str | None = None
    augment: tuple[str, ...] = ("augment=true",)


def to_finish(options: Commands) -> tuple[str, ...]:
    """More epochs, or a higher learning rate, for a training that ended too early."""
    found = (
        more_epochs_of(options),
        with_command("a higher learning rate", options.faster),
        with_command("the learning-rate finder", options.find_rate),
    )
    return tuple(filter(None, found))


def more_epochs_of(options: Commands) -> str:
    """More epochs."""
    return with_command("more epochs", options.longer)


def lower_rates(options: Commands) -> tuple[str, ...]:
    """A lower learning rate, or the one that the finder suggests."""
    slower = with_command("lower learning rates", options.slower)
    return tuple(filter(None, (slower, with_command("another learning rate", options.find_rate))))


def against_overfitting(
    options: Options, *, learned: bool = True, wrecked: bool = False
) -> tuple[str, ...]:
    """More data, augmentation, a pretrained network, regularisation, a simpler model.

    Args:
        learned: whether validation beats guessing. If not, a pretrained network comes first.
        wrecked: whether the validation loss is above that of guessing. Then lower rates come next.
    """
    rates = lower_rates(options) if wrecked else ()
    pretrained = with_command("a pretrained network", options.pretrained)
    changed = ""
    if not options.augments:
        changed = with_command("augmentation", options.with_set(*options.augment))
    full = with_command("the whole dataset", options.full)
    found = (
        *((*rates, full, changed, pretrained) if learned else (full, pretrained, *rates, changed)),
        with_command("more dropout" if options.dropout else "dropout", options.more_dropout),
        with_command("a simpler model", options.simpler),
    )
    return tuple(filter(None, found)) or (MORE_IMAGES,)


def against_underfitting(
    options: Options,
    *,
    diverged: bool = False,
    more_epochs: bool = False,
    held_back: bool = False,
    less_dropout: bool = True,
    faster: bool = True,
) -> tuple[str, ...]:
    """More epochs or another learning rate, less regularisation, a richer model.

    Args:
        diverged: whether the training loss rose, so that lower rates come first.
        more_epochs: whether the loss may still fall.
        held_back: whether dropout limits training, so that less of it comes first.
        less_dropout: whether less dropout is a remedy at all.
        faster: whether a higher learning rate is.
    """
    less = with_command("less dropout", options.less_dropout) if less_dropout else ""
    find = with_command("another learning rate", options.find_rate)
    rates: tuple[str, ...] = ()
    if diverged:
        rates = lower_rates(options)
    elif more_epochs:
        rates = to_finish(options)[:2] if faster else (more_epochs_of(options), find)
    richer = (
        with_command("a richer model", options.richer),
        with_command("a pretrained network", options.pretrained)
        if options.pretrained != options.richer
        else "",
    )
    found = (less, *rates, *richer) if held_back else (*rates, less, *richer)
    if not rates:
        found = (*found, find)
    return tuple(filter(None, found)) or (to_finish(options) if faster else lower_rates(options))


def to_go_further(options: Commands) -> tuple[str, ...]:
    """What may improve a good fit: more data, a richer model."""
    found = (
        with_command("the whole dataset", options.full),
        with_command("a richer model", options.richer),
    )
    return tuple(filter(None, found))


def with_command(what: str, words: str | None) -> str:
    """The remedy with its command; empty without a command."""
    return str(Remedy(what, words)) if words else ""
