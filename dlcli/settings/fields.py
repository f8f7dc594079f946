"""Declare a setting once: a dataclass field with type, default, help and bounds.

The field defines the command-line option, the YAML key, the environment variable and the entry in a
run's `config.yaml`. All values go through `coerce`, where the field's type decides: YAML reads
`1e-3` as a string.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlcli.errors import DlError, ExitCode
from dlcli.words import written

TRUE = {"true", "yes", "on", "1"}
FALSE = {"false", "no", "off", "0"}
NOTHING = {"", "none", "null"}


def setting(
    default: Any,
    help: str,
    *,
    at_least: float | None = None,
    below: float | None = None,
    unset: str = "none",
    metavar: str | None = None,
) -> Any:
    """Declare a setting as a dataclass field.

    Args:
        default: a value of the field's type, or None for an optional one.
        help: one line, shown by `--help`.
        at_least, below: bounds of a number; the first is inclusive, the second exclusive.
        unset: the word for None: "auto" if `dl` then decides.
        metavar: the name of its value in `--help`; by default one for its type.
    """
    bounds = {"at_least": at_least, "below": below}
    metadata = {"help": help, "unset": unset, "metavar": metavar, **bounds}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Setting:
    """One declared setting, as read from its dataclass."""

    name: str
    type: Any
    default: Any
    help: str
    optional: bool
    at_least: float | None
    below: float | None
    unset: str
    metavar: str | None

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words if the type is a Literal; else ()."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is typing.Literal else ()

    @property
    def expected(self) -> str:
        """The accepted values, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        kind = {
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            str: "text",
            Path: "a path",
        }.get(self.type) or self.type.expected
        bounds = [f"at least {self.at_least:.12g}"] if self.at_least is not None else []
        bounds += [f"below {self.below:.12g}"] if self.below is not None else []
        unset = f"or {self.unset}" if self.optional else ""
        return ", ".join(filter(None, [kind, " and ".join(bounds), unset]))

    def text(self, value: Any) -> str:
        """A value as a user would type it."""
        return self.unset if value is None else text_of(value)


def settings_of(cls: type) -> dict[str, Setting]:
    """All settings that a dataclass declares with `setting`, in order."""
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        hints |= _own_hints(base)
    found = {}
    for field in dataclasses.fields(cls):
        if "help" not in field.metadata:
            continue
        kind, optional = hints[field.name], False
        if typing.get_origin(kind) in (typing.Union, types.UnionType):
            (kind,) = (part for part in typing.get_args(kind) if part is not type(None))
            optional = True
        found[field.name] = Setting(
            field.name, kind, field.default, optional=optional, **field.metadata
        )
    return found


@lru_cache
def _own_hints(cls: type) -> dict[str, Any]:
    """The types of a class's own annotations; `typing.get_type_hints` would read the bases too."""
    return inspect.get_annotations(cls, eval_str=True)


def coerce(value: Any, to: Setting, *, base: Path | None = None) -> Any:
    """Convert a value from YAML, the environment or a flag to the setting's type.

    Args:
        value: text, or the value that YAML read.
        base: the folder for relative paths; by default the current folder.

    Raises:
        DlError: the value has another type or is out of bounds; says what was expected.
    """
    if to.optional and means_nothing(value, to):
        return None
    try:
        result = _convert(value, to, base)
    except (ValueError, TypeError, OverflowError) as error:
        raise _refused(value, to, str(error) if isinstance(error, Refused) else "") from error
    if to.at_least is not None and not result >= to.at_least:
        raise _refused(value, to)
    if to.below is not None and not result < to.below:
        raise _refused(value, to)
    return result


class Refused(ValueError):
    """Raised by a setting's own type: why it can't be read from a text."""


def _refused(value: Any, to: Setting, why: str = "") -> DlError:
    return DlError(
        f"`{to.name}` can't be {written(value)}",
        why=why or f"expected {to.expected}",
        hint=f"{to.name}: {to.help}.",
        exit_code=ExitCode.USAGE,
    )


def means_nothing(value: Any, to: Setting) -> bool:
    """Whether a value is a word for none, such as `none`, or the setting's own."""
    if value is False:
        return to.unset == "off"  # YAML reads `off` as false
    return value is None or (
        isinstance(value, str) and value.strip().lower() in NOTHING | {to.unset}
    )


def _convert(value: Any, to: Setting, base: Path | None) -> Any:
    if value is None or value == "":
        raise ValueError
    if to.choices:
        if str(value) not in to.choices:
            raise ValueError
        return str(value)
    if to.type is bool:
        word = str(value).strip().lower()
        if word not in TRUE | FALSE:
            raise ValueError
        return word in TRUE
    if to.type is Path:
        if not isinstance(value, str | Path):
            raise TypeError
        if str(value).strip().lower() in NOTHING:
            raise Refused(f"expected a path; write `./{value}` for a folder of that name")
        try:
            return (base or Path.cwd()) / Path(value).expanduser()
        except RuntimeError as error:
            if Path(value).parts[0] == "~":
                raise Refused("there is no home folder: HOME is not set") from error
            raise Refused("the name after `~` is not a user of this computer") from error
    if isinstance(value, bool | list | dict) and to.type in (int, float, str):
        raise TypeError  # YAML's `seed: yes` is a mistake, not the number 1
    if to.type is int:
        if isinstance(value, float) and not value.is_integer():
            raise ValueError
        return int(value)
    if to.type is float:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    if to.type is str:
        return str(value)
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return value if isinstance(value, to.type) else to.type.parse(str(value))


def plain(value: Any) -> Any:
    """A value as YAML and JSON can hold it; `coerce` gives a setting's back."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def text_of(value: Any) -> str:
    """A value as people write it; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(held)}" for key, held in value.items())
    return ", ".join(map(text_of, value)) if isinstance(value, list) else str(value)
