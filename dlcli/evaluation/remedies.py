"""What to try next against under- and overfitting, in the course's order.

What is used already and what a recipe can't do is left out. The words for what to type come from
the caller; options named here are those that all recipes spell alike.

Source: fast.ai, Practical Deep Learning for Coders (2017), lesson 3: against overfitting more
data, augmentation, architectures that generalise, regularisation, a simpler architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

# Dropout above this leaves too little of a layer to go higher still.
MOST_DROPOUT = 0.9
MORE_IMAGES = "more images"


@dataclass(frozen=True)
class Options:
    """What a training used, and the words for what could be typed instead.

    Args:
        dropout: its share; None where the recipe has none.
        normalises: whether the network has batch normalisation that trains.
        full: what to type for the whole dataset, such as "-d dogscats"; None where it was used.
        pretrained: the command that trains on a pretrained network; None where that was done.
        simpler, richer: the commands before and after this one in the course's order, if any.
        find_rate: the command that looks for a learning rate, if there is one.
    """

    augments: bool = False
    dropout: float | None = None
    normalises: bool = False
    full: str | None = None
    pretrained: str | None = None
    simpler: str | None = None
    richer: str | None = None
    find_rate: str | None = None


def against_overfitting(options: Options) -> tuple[str, ...]:
    """More data, augmentation, what generalises, regularisation, a simpler model."""
    more = None
    if options.dropout is not None and options.dropout < MOST_DROPOUT:
        # from none to the usual half; then half of what is still kept
        more = f"--dropout {(1 + options.dropout) / 2:.2g}"
    found = (
        _with_command("the whole dataset", options.full),
        _with_command("augmentation", "--augment") if not options.augments else "",
        _with_command("a pretrained network", options.pretrained),
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
    """Training on or at other rates, less regularisation, a richer model.

    Args:
        diverged: the training loss rose, so lower rates come first.
        more_epochs: nothing shows that training had come to its end.
        held_back: dropout is what holds training back, so less of it comes first.
        less_dropout: whether that is to be named at all.
    """
    less = ""
    if options.dropout and less_dropout:
        # the course took it out altogether; halving finds what lies between
        share = options.dropout / 2 if options.dropout > 0.2 else 0
        less = _with_command("less dropout", f"--dropout {share:.2g}")
    find = _with_command("another learning rate", options.find_rate)
    rates: tuple[str, ...] = ()
    if diverged:
        rates = (_with_command("lower learning rates", "--schedule"), find)
    elif more_epochs:
        rates = (_with_command("more epochs or a higher learning rate", "--schedule"),)
    richer = (
        _with_command("a richer model", options.richer),
        _with_command("a pretrained network", options.pretrained)
        if options.pretrained != options.richer
        else "",
    )
    found = (less, *rates, *richer) if held_back else (*rates, less, *richer)
    if not rates:
        found = (*found, find)
    return tuple(filter(None, found)) or (
        _with_command("more epochs or another learning rate", "--schedule"),
    )


def to_go_further(options: Options) -> tuple[str, ...]:
    """What may still bring something where nothing is amiss: more data, a richer model."""
    found = (
        _with_command("the whole dataset", options.full),
        _with_command("a richer model", options.richer),
    )
    return tuple(filter(None, found))


def _with_command(what: str, words: str | None) -> str:
    """The remedy with what to type for it; nothing where there is nothing to type."""
    return f"{what}, `{words}`" if words else ""
