"""Nested mappings, as YAML holds them, by dotted keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any


def flat(mapping: Any, *, lists: bool = False, block: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by dotted keys, as JSON can hold them.

    Args:
        mapping: what a YAML file holds; anything but a mapping has no values.
        lists: whether lists come too, as they are.
        block: what stands before each key.
    """
    for key, value in mapping.items() if isinstance(mapping, Mapping) else ():
        if isinstance(value, Mapping):
            yield from flat(value, lists=lists, block=f"{block}{key}.")
        elif not isinstance(value, list):
            yield f"{block}{key}", _plain(value)
        elif lists:
            yield f"{block}{key}", value


def below(mapping: Any, *keys: str) -> Any:
    """What stands below some keys, one in the other; None where there is nothing."""
    for key in keys:
        mapping = mapping.get(key) if isinstance(mapping, Mapping) else None
    return mapping


def _plain(value: Any) -> Any:
    """YAML makes a date of what looks like one, and knows sets and bytes."""
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
