"""How far an unfinished run came, from the bytes of its files: many are listed without a parser."""

from __future__ import annotations

import re

from dlcli.catalog import built_in_names, make_recipe, recipe_class
from dlcli.errors import DlError
from dlcli.settings.fields import coerce, settings_of

_SETTING = re.compile(r"^    ([a-z_]+): '?(.*?)'?$", re.MULTILINE)
_CHANGES = re.compile(r"^  changes:\n((?:  - .*\n|    .*\n)*)", re.MULTILINE)
_EPOCHS = re.compile(r"^(?:  - |    )epochs: ([0-9]+)$", re.MULTILINE)
SCORES = ("val_loss", "val_accuracy")


def planned_epochs(recipe: str, config: bytes) -> int | None:
    """How many epochs a run is to have in all.

    Args:
        recipe: its name; one's own isn't loaded for a list.
        config: what its `config.yaml` holds.

    Returns:
        as it was asked for, by `dl resume` last; None where the file doesn't say.
    """
    text = config.decode(errors="replace")
    changes = _CHANGES.search(text)
    if changes and (asked := _EPOCHS.findall(changes[1])):
        return int(asked[-1])
    block = re.search(rf"^train:\n  {re.escape(recipe)}:\n((?:    .*\n)*)", text, re.MULTILINE)
    if block is None or recipe not in built_in_names():
        return None
    declared, written = settings_of(recipe_class(recipe)), dict(_SETTING.findall(block[1]))
    try:
        values = {
            name: coerce(written[name], declared[name]) for name in declared if name in written
        }
        return sum(phase.schedule.epochs for phase in make_recipe(recipe, values).phases())
    except DlError:
        return None


def best_so_far(history: bytes) -> dict[str, float]:
    """The scores of the epoch with the lowest validation loss, and its number.

    Args:
        history: what `history.csv` holds.

    Returns:
        `best_epoch`, `val_loss`, `val_accuracy`; nothing where there is no such epoch.
    """
    header, *rows = [line.split(",") for line in history.decode(errors="replace").splitlines()] or [
        []
    ]
    try:
        numbers = [[float(row[header.index(name)]) for name in SCORES] for row in rows]
        best = min(range(len(rows)), key=lambda row: numbers[row][0])
    except (ValueError, IndexError):  # no such column, no epoch, or another form
        return {}
    return {"best_epoch": best + 1, **dict(zip(SCORES, numbers[best], strict=True))}
