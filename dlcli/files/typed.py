"""Read plain values, as YAML and JSON hold them, in the types of annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

# A larger whole number is none that a float can hold.
_MOST_INT = 10**300

_WORDS = {
    str: "text",
    Path: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list",
    list: "a list",
}


def read_as(kind: Any, held: Any, key: str) -> Any:
    """Convert a plain value to the type of an annotation, a block to a mapping or dataclass.

    Args:
        kind: a type, or several of which one may be None, or a list, a tuple or a mapping of them.
        key: a name for it, in errors.

    Raises:
        ValueError: it is missing, unknown or of another type; names its key.
    """
    if kind is Any:
        return held
    form, inside = get_origin(kind), get_args(kind)
    if form in (Union, UnionType):
        return None if held is None else read_as(inside[0], held, key)
    if form is Literal and any(type(each) is type(held) and each == held for each in inside):
        return held
    endless = form is tuple and inside[-1] is Ellipsis
    if form is tuple and isinstance(held, list) and (endless or len(held) == len(inside)):
        return tuple(read_as(inside[0], each, f"{key}.{n}") for n, each in enumerate(held))
    if form is list and isinstance(held, list):
        return [read_as(inside[0], each, f"{key}.{n}") for n, each in enumerate(held)]
    if form in (Mapping, dict) and isinstance(held, dict):
        return {
            read_as(inside[0], name, key): read_as(inside[1], each, f"{key}.{name}")
            for name, each in held.items()
        }
    if is_dataclass(kind) and isinstance(held, dict):
        return _block(kind, held, key)
    if kind is Path and isinstance(held, str):
        return Path(held)
    # by its exact type: `true` is an `int` too
    if type(held) is kind or (kind is float and type(held) is int and abs(held) < _MOST_INT):
        return held
    expected = _WORDS.get(form or kind, "a block of `key: value`")
    if form is tuple and not endless:
        expected = f"a list of {len(inside)}"
    if form is Literal:
        expected = " or ".join(map(str, inside))
    raise ValueError(f"`{key}` should be {expected}, not {held!r:.40}")


def _block(kind: Any, held: Mapping[str, Any], key: str) -> Any:
    kinds = get_type_hints(kind)
    for name in held:
        if name not in kinds:
            raise ValueError(f"this version of `dl` does not know `{key}.{name}`")
    for field in fields(kind):
        if field.name not in held and field.default is MISSING:
            raise ValueError(f"`{key}.{field.name}` is missing")
    return kind(
        **{name: read_as(kinds[name], each, f"{key}.{name}") for name, each in held.items()}
    )
