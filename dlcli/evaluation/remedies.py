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
class Options:
    """What a training used, and the commands and options for alternatives.

    Args:
        dropout: its share; None if the recipe has none.
        normalises: whether the network has batch normalisation that trains.
        full: the option for the whole dataset, such as "-d dogscats"; None if it was used.
        pretrained: the command that trains on a pretrained network; None if this one did.
        simpler, richer: the commands of the neighbouring recipes in the course's order, if any.
        find_rate: the command that finds a learning rate, if there is one.
        augment: the options for augmentation.
        longer: the option for more epochs.
        slower, faster: the options for a lower and a higher learning rate.
        smaller_batches: the option for them.
    """

    augments: bool = False
    dropout: float | None = None
    normalises: bool = False
    full: str | None = None
    pretrained: str | None = None
    simpler: str | None = None
    richer: str | None = None
    find_rate: str | None = None
    augment: str = "--augment"
    longer: str = "--epochs 24"
    slower: str = "--lr 0.0003"
    faster: str = "--lr 0.009"
    smaller_batches: str = "--batch-size 32"


def to_finish(options: Options) -> tuple[str, ...]:
    """More epochs, or a higher learning rate, for a training that ended too early."""
    found = (
        _with_command("more epochs", options.longer),
        _with_command("a higher learning rate", options.faster),
        _with_command("the learning-rate finder", options.find_rate),
    )
    return tuple(filter(None, found))


def against_overfitting(options: Options, *, learned: bool = True) -> tuple[str, ...]:
    """More data, augmentation, a pretrained network, regularisation, a simpler model.

    Args:
        learned: whether validation beats guessing. If not, a pretrained network comes first.
    """
    more = None
    if options.dropout is not None and options.dropout < MOST_DROPOUT:
        # 0 becomes the usual 0.5; then each step halves the share that is kept
        more = f"--dropout {(1 + options.dropout) / 2:.2g}"
    pretrained = _with_command("a pretrained network", options.pretrained)
    changed = _with_command("augmentation", options.augment) if not options.augments else ""
    found = (
        _with_command("the whole dataset", options.full),
        *((changed, pretrained) if learned else (pretrained, changed)),
        _with_command("more dropout" if options.dropout else "dropout", more),
        _with_command("a simpler model", options.simpler),
    )
    return tuple(filter(None, found)) or (MORE_IMAGES,)


def against_underfitting(
    options: Options,
    *,
    diverged: bool = False,
    more_epochs: bool = False,
    held_back: bool = False,
    less_dropout: bool = True,
) -> tuple[str, ...]:
    """More epochs or another learning rate, less regularisation, a richer model.

    Args:
        diverged: whether the training loss rose, so that lower rates come first.
        more_epochs: whether the loss may still fall.
        held_back: whether dropout limits training, so that less of it comes first.
        less_dropout: whether less dropout is a remedy at all.
    """
    less = ""
    if options.dropout and less_dropout:
        # the course removed dropout completely; halving also tries values between
        share = options.dropout / 2 if options.dropout > 0.2 else 0
        less = _with_command("less dropout", f"--dropout {share:.2g}")
    find = _with_command("another learning rate", options.find_rate)
    rates: tuple[str, ...] = ()
    if diverged:
        rates = (_with_command("lower learning rates", options.slower), find)
    elif more_epochs:
        rates = to_finish(options)[:2]
    richer = (
        _with_command("a richer model", options.richer),
        _with_command("a pretrained network", options.pretrained)
        if options.pretrained != options.richer
        else "",
    )
    found = (less, *rates, *richer) if held_back else (*rates, less, *richer)
    if not rates:
        found = (*found, find)
    return tuple(filter(None, found)) or to_finish(options)


def to_go_further(options: Options) -> tuple[str, ...]:
    """What may improve a good fit: more data, a richer model."""
    found = (
        _with_command("the whole dataset", options.full),
        _with_command("a richer model", options.richer),
    )
    return tuple(filter(None, found))


def _with_command(what: str, words: str | None) -> str:
    """The remedy with its command; empty without a command."""
    return f"{what}, `{words}`" if words else ""
