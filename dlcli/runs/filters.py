"""Filter listed runs, by conditions such as `val_accuracy>0.98`, and sort them by any value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from dlcli.catalog import recipe_names
from dlcli.errors import DlError, ExitCode, nearest
from dlcli.evaluation.scores import HIGHER, NAMES
from dlcli.files.paths import shown
from dlcli.progress import say
from dlcli.runs.choice import word_meant
from dlcli.runs.listing import DAMAGED, FIELDS, MORE_SCORES, TOLD, Row
from dlcli.runs.record import ENSEMBLE
from dlcli.runs.status import STATES
from dlcli.settings.fields import FALSE, NOTHING, TRUE, text_of
from dlcli.settings.schedule import RATE

if TYPE_CHECKING:
    from dlcli.settings.shared import Settings

SIGNS = ("!=", "<=", ">=", "==", "=", "<", ">")
# Scores that the best run is found by.
METRICS = tuple(f"val_{name}" for name in NAMES)

_ORDER = {"<": lt, "<=": le, ">": gt, ">=": ge}
_FILTER = re.compile(rf"\s*([\w.-]+?)\s*({'|'.join(SIGNS)})\s*(.*?)\s*", re.DOTALL)
# Of more values than these, only so many are named; of numbers the lowest and the highest.
MOST_VALUES = 8
# Columns of the table and of a training's lines, and the values that they stand for.
_ALIASES = {
    "epochs": "epoch",
    **{name: f"val_{name}" for name in NAMES if name != "loss"},
    "public": "public_score",
    "rate": RATE[0],
}
# Results, and the decimals that lists print of them. Settings are printed in full.
_DECIMALS = {
    **{f"{of}_{name}": 4 for of in ("val", "train") for name in NAMES},
    "public_score": 4,
    "seconds": 1,
}


@dataclass(frozen=True)
class Filter:
    """One condition on a row.

    Args:
        key: a status value or a setting.
        sign: one of `SIGNS`.
        value: as typed.
    """

    key: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}{self.sign}{self.value}"

    def keeps(self, row: Row) -> bool:
        """Whether a row meets the condition; a row without the value is neither above nor below.

        A result equals what a list prints of it, or what was typed with more digits. `!=` is the
        exact opposite of `=`.
        """
        held = row.values.get(self.key)
        if self.sign in _ORDER:
            return _is_ordered(held, _ORDER[self.sign], self.value)
        return _is(held, self.value, _DECIMALS.get(self.key)) != (self.sign == "!=")


def read_filter(text: str) -> Filter:
    """Read a typed filter.

    Raises:
        DlError: it is not a filter.
    """
    found = _FILTER.fullmatch(text)
    if found is None:
        raise DlError(
            f"{text!r} is not a filter",
            why="expected a key, a sign (= != < <= > >=) and a value",
            hint="Quote filters with < or >, which the shell reads as redirections: "
            "`'val_accuracy>0.98'`.",
            exit_code=ExitCode.USAGE,
        )
    key, sign, value = found.groups()
    return Filter(_ALIASES.get(key, key), sign, value)


def is_filter(text: str) -> bool:
    """Whether a word is a filter, not a run's name or folder."""
    return _FILTER.fullmatch(text) is not None


def word_filter(word: str) -> Filter | None:
    """The filter that a bare word stands for, if it is the name of a recipe or a state."""
    if word in (*recipe_names(), ENSEMBLE):
        return Filter("recipe", "=", word)
    return Filter("state", "=", word) if word in (*STATES, DAMAGED) else None


def typed_filter(text: str, settings: Settings) -> Filter:
    """The filter that was typed, with a message if it is a word alone.

    Raises:
        DlError: it is not a filter.
    """
    if found := word_filter(text):
        say(f"{text} stands for {found}.")
        return found
    if not is_filter(text) and (hint := word_meant(text, settings)):
        raise DlError(f"{shown(text)!r} is not a filter", hint=hint, exit_code=ExitCode.USAGE)
    return read_filter(text)


def sort_key(text: str) -> tuple[str, bool]:
    """The key to sort by, and whether to sort in descending order: `-val_loss`."""
    key = text.removeprefix("-")
    return _ALIASES.get(key, key), text.startswith("-")


def needs_settings(keys: Iterable[str]) -> bool:
    """Whether some of these keys may only be in `config.yaml`."""
    return any(key not in (*FIELDS, *TOLD, *MORE_SCORES) for key in keys)


def filtered(rows: Sequence[Row], filters: Sequence[Filter]) -> list[Row]:
    """The rows that meet all conditions, in their order.

    Raises:
        DlError: no row has a key, or a number is compared with a text.
    """
    require_known([each.key for each in filters], rows)
    for each in filters:
        _require_number(each, rows)
    return [row for row in rows if all(each.keeps(row) for each in filters)]


def sorted_by(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows by a value, ascending, or descending by `-key`; those without one last.

    Numbers come before text; equal values keep their order.

    Raises:
        DlError: a key that no row has.
    """
    key, reverse = sort_key(text)
    require_known([key], rows)
    having = [row for row in rows if not _is_missing(row.values.get(key))]
    without = [row for row in rows if _is_missing(row.values.get(key))]
    return sorted(having, key=lambda row: _place(row.values[key]), reverse=reverse) + without


def best_first(rows: Sequence[Row], metric: str) -> list[Row]:
    """The finished runs with a score, the best first; equal ones keep their order."""
    finished = [row for row in rows if row.state == "finished"]
    scored = [row for row in finished if not _is_missing(row.values.get(metric))]
    falls = metric.removeprefix("val_") in HIGHER
    return sorted_by(scored, f"-{metric}" if falls else metric)


def require_known(keys: Iterable[str], rows: Sequence[Row]) -> None:
    """Refuse keys that no row has.

    Raises:
        DlError: names the nearest, and lists the keys.
    """
    for key in keys:
        if key in FIELDS or not rows or any(key in row.values for row in rows):
            continue
        known = dict.fromkeys(name for row in rows for name in row.values)
        rates = [name for name in RATE[:1] if name in known]
        trained = [name.rpartition(".")[2] for name in known if name.startswith("train.")]
        listed = ", ".join(dict.fromkeys([*FIELDS, *rates, *trained]))
        hint = f"Keys: {listed}, and every other setting in `config.yaml`."
        if near := nearest(key, [name for name in known if "." in key or "." not in name]):
            hint = f"Did you mean {near}?\n{hint}"
        raise DlError(f"No run here has a `{key}`", hint=hint, exit_code=ExitCode.USAGE)


def values_there(rows: Sequence[Row], filters: Iterable[Filter]) -> str:
    """The values that runs have of the keys of filters: "recipe: fc, finetune; lr: 0.001, 0.003".

    Of many numbers these are the lowest and the highest, of many texts some.
    """
    said = []
    for key in dict.fromkeys(each.key for each in filters):
        values = [row.values.get(key) for row in rows]
        held = {_printed(key, value): value for value in values if not _is_missing(value)}
        texts = sorted(held, key=lambda text: _place(held[text]))
        if len(texts) > MOST_VALUES and all(map(_is_number, held.values())):
            texts = [f"{texts[0]} to {texts[-1]}"]
        elif len(texts) > MOST_VALUES:
            texts[MOST_VALUES:] = [f"and {len(texts) - MOST_VALUES} more"]
        if any(map(_is_missing, values)):
            texts.append("none")
        said.append(f"{key}: {', '.join(texts)}")
    return "; ".join(said)


def _printed(key: str, value: Any) -> str:
    if not isinstance(value, float):
        return text_of(value)
    return f"{value:.{_DECIMALS[key]}f}" if key in _DECIMALS else f"{value:.4g}"


def _require_number(each: Filter, rows: Sequence[Row]) -> None:
    if each.sign not in _ORDER or _number(each.value) is not None:
        return
    if any(_is_number(row.values.get(each.key)) for row in rows if row.state != DAMAGED):
        raise DlError(
            f"`{each}` compares numbers with {each.value!r}",
            why=f"`{each.key}` is a number",
            hint=f"Use a number: `'{each.key}{each.sign}0.5'`.",
            exit_code=ExitCode.USAGE,
        )


def _is(held: Any, text: str, decimals: int | None) -> bool:
    if _is_missing(held):
        return text.lower() in NOTHING
    if isinstance(held, bool):
        return text.lower() in (TRUE if held else FALSE)
    if _is_number(held):
        if decimals is not None:
            text = text.replace(",", "")  # as lists group thousands
        number = _number(text)
        if decimals is not None and number is not None and math.isfinite(number):
            with suppress(ArithmeticError):  # an exponent that is too large for Decimal
                typed = -int(Decimal(text).as_tuple().exponent)
                held = round(held, max(decimals, typed))
        return bool(held == number)
    return str(held) == text


def _is_ordered(held: Any, compare: Any, text: str) -> bool:
    if _is_missing(held):
        return False
    if _is_number(held):
        number = _number(text)
        return number is not None and bool(compare(held, number))
    return bool(compare(str(held), text))


def _place(held: Any) -> tuple[bool, Any]:
    return (False, held) if _is_number(held) else (True, str(held))


def _is_number(held: Any) -> bool:
    return isinstance(held, int | float) and not isinstance(held, bool)


def _is_missing(held: Any) -> bool:
    return held is None or (isinstance(held, float) and math.isnan(held))


def _number(text: str) -> float | None:
    """A typed number; integers are exact, however large."""
    for kind in (int, float):
        try:
            number: float = kind(text)
        except ValueError:
            continue
        return None if math.isnan(number) else number
    return None
