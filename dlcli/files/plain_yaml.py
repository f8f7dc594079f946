"""YAML as plain values, within bounds: text, numbers, true, false, null, lists and mappings.

A file may be somebody else's. PyYAML's loaders build what a tag names, repeat what an alias names
as often as the file says, and recurse as deep as it nests. Here the parser's events become values
one by one, so that a text is refused at the first event beyond a bound. It is quicker, too.

Values are those of YAML 1.1, but for times: they stay text.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import yaml

MOST_DEPTH = 50
# Values of a file, those behind an alias as often as it occurs.
MOST_VALUES = 200_000
MOST_CHARACTERS = 1 << 18
# Of a text for the parser in Python, which reads 150 kB in a second.
MOST_ODD = 1 << 18
# A longer number is text: Python's own reading of one takes time by the square of its digits.
MOST_DIGITS = 100

_TAG = "tag:yaml.org,2002:"
_PLAIN = {f"{_TAG}{name}" for name in ("bool", "int", "float", "null")}
_TEXT, _MERGE_TAG = f"{_TAG}str", f"{_TAG}merge"
_MERGE = object()
_NO_KEY = object()


@dataclass
class _Open:
    """A list or mapping until its end.

    Args:
        before: the number of values before it.
        key: of a mapping, the key whose value comes next.
        merged: the mappings that `<<` names, the weakest first.
    """

    into: list[Any] | dict[Any, Any]
    anchor: str | None
    before: int
    key: Any = _NO_KEY
    merged: list[dict[Any, Any]] = field(default_factory=list)


def plain_values(data: bytes | str) -> Any:
    """What a YAML text holds; None if it is empty.

    Raises:
        yaml.YAMLError: it is not YAML, or holds anything but plain values, or too much.
    """
    import yaml

    # libyaml refuses the surrogates that stand for odd bytes in a file name
    odd = ("\\uD" if isinstance(data, str) else b"\\uD") in data  # type: ignore[operator]
    if odd and len(data) > MOST_ODD:
        raise yaml.YAMLError(f"with `\\uD` in it, it is longer than {MOST_ODD:,} characters")
    loader = yaml.SafeLoader if odd or not hasattr(yaml, "CSafeLoader") else yaml.CSafeLoader
    with closing(cast("Generator[Any, None, None]", yaml.parse(data, loader))) as events:
        return _value_of(events)


def _value_of(events: Iterable[Any]) -> Any:
    import yaml

    top: Any = None
    count = documents = 0
    opened: list[_Open] = []
    named: dict[str, tuple[Any, int]] = {}
    for event in events:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            value, size, anchor = _scalar(event, _takes_key(opened)), 1, event.anchor
        elif kind is yaml.SequenceStartEvent or kind is yaml.MappingStartEvent:
            if len(opened) == MOST_DEPTH:
                raise _fault(event, f"it nests deeper than {MOST_DEPTH} levels")
            _require_plain_block(event)
            into: Any = [] if kind is yaml.SequenceStartEvent else {}
            opened.append(_Open(into, event.anchor, count))
            count += 1
            continue
        elif kind is yaml.SequenceEndEvent or kind is yaml.MappingEndEvent:
            closed = opened.pop()
            value, size, anchor = _whole(closed), count - closed.before, closed.anchor
            count = closed.before
        elif kind is yaml.AliasEvent:
            if any(each.anchor == event.anchor for each in opened):
                raise _fault(event, f"*{event.anchor} holds itself")
            if event.anchor not in named:
                raise _fault(event, f"no &{event.anchor} stands before *{event.anchor}")
            (value, size), anchor = named[event.anchor], None
        else:
            documents += kind is yaml.DocumentStartEvent
            if documents > 1:
                raise _fault(event, "a second document begins")
            continue
        count += size
        if count > MOST_VALUES:
            raise _fault(event, f"it holds more than {MOST_VALUES:,} values")
        if anchor is not None:
            named[anchor] = value, size
        if opened:
            _add(opened[-1], value, event)
        else:
            top = value
    return top


def _takes_key(opened: list[_Open]) -> bool:
    return bool(opened) and isinstance(opened[-1].into, dict) and opened[-1].key is _NO_KEY


def _add(to: _Open, value: Any, event: yaml.Event) -> None:
    """Add an item, a key, or the value of the key before it."""
    if isinstance(to.into, list):
        to.into.append(value)
    elif to.key is _NO_KEY:
        if isinstance(value, list | dict):
            raise _fault(event, "a list or mapping can't be a key")
        to.key = value
    else:
        if to.key is _MERGE:
            mappings = value if isinstance(value, list) else [value]
            if not all(isinstance(each, dict) for each in mappings):
                raise _fault(event, "`<<` takes a mapping or a list of mappings")
            to.merged += reversed(mappings)
        else:
            to.into[to.key] = value
        to.key = _NO_KEY


def _whole(closed: _Open) -> Any:
    """The list or mapping, with what `<<` names; its own keys are stronger."""
    if not closed.merged:
        return closed.into
    values: dict[Any, Any] = {}
    for each in [*closed.merged, closed.into]:
        values.update(each)
    return values


def _scalar(event: yaml.ScalarEvent, is_key: bool) -> Any:
    """The value of a scalar."""
    import yaml

    text: str = event.value
    if len(text) > MOST_CHARACTERS:
        raise _fault(event, f"a value is longer than {MOST_CHARACTERS:,} characters")
    tag = event.tag
    if tag is None or tag == "!":
        if not event.implicit[0] or len(text) > MOST_DIGITS:
            return text
        found = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
        tag = next((tag for tag, pattern in found if pattern.match(text)), _TEXT)
        if is_key and tag == _MERGE_TAG:
            return _MERGE
        if tag not in _PLAIN:
            return text
    if tag == _TEXT:
        return text
    if tag not in _PLAIN:
        raise _fault(event, f"the tag {tag!r:.60} is not one of a plain value")
    if len(text) > MOST_DIGITS:
        raise _fault(event, f"a number has more than {MOST_DIGITS} characters")
    node = yaml.ScalarNode(tag, text)
    try:
        return yaml.SafeLoader.yaml_constructors[tag](_reader(), node)
    except (ValueError, LookupError, OverflowError) as error:
        name = tag.removeprefix(_TAG)
        raise _fault(event, f"{text!r:.40} can't be read as !!{name}") from error


@lru_cache
def _reader() -> Any:
    """PyYAML's reader of numbers and words for values."""
    from yaml.constructor import SafeConstructor

    return SafeConstructor()


def _require_plain_block(event: Any) -> None:
    """Refuse a list or mapping with the tag of something else."""
    import yaml

    usual = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
    if event.tag not in (None, "!", f"{_TAG}{usual}"):
        raise _fault(event, f"the tag {event.tag!r:.60} is not one of a plain value")


def _fault(event: Any, problem: str) -> Exception:
    """The error of a text, with its line and column."""
    import yaml

    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
