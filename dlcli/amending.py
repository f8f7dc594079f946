"""Change one value in a YAML text that a person wrote; comments and layout stay theirs."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Any

from dlcli.files import dump_yaml

if TYPE_CHECKING:
    import yaml


def amended(text: str, path: Sequence[str], value: Any) -> str:
    """A YAML text with one value changed or added.

    The text is edited in place; where that would not give the right values (several values in
    one pair of braces, anchors), it is written anew, without its comments.

    Args:
        text: a YAML mapping, or nothing.
        path: the key of each level, the outermost first.
        value: a plain value.
    """
    import yaml

    wanted = _set(yaml.safe_load(text), path, value)
    edited = _edited(text, path, value)
    try:
        if yaml.safe_load(edited) == wanted:
            return edited
    except yaml.YAMLError:
        pass
    return dump_yaml(wanted)


def _set(mapping: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    held = mapping if isinstance(mapping, dict) else {}
    return held | {path[0]: _set(held.get(path[0]), path[1:], value)}


def _edited(text: str, path: Sequence[str], value: Any) -> str:
    import yaml

    text += "" if text.endswith("\n") or not text else "\n"
    node = yaml.compose(text, yaml.SafeLoader)
    if node is None:
        return text + _block(path, value, 0)
    for depth, name in enumerate(path):
        if not isinstance(node, yaml.MappingNode):  # `kaggle:` with nothing below it
            return _below(text, node, _block(path[depth:], value, 2 * depth))
        found = [held for key, held in node.value if key.value == name]
        if not found:
            return _below(text, _last(node), _block(path[depth:], value, node.start_mark.column))
        node = found[0]
    start, end = node.start_mark.index, node.end_mark.index
    space = " " if text[start - 1] == ":" else ""
    return text[:start] + space + dump_yaml({"": value}).partition(": ")[2].rstrip() + text[end:]


def _block(path: Sequence[str], value: Any, column: int) -> str:
    return indent(dump_yaml(_set(None, path, value)), " " * column)


def _below(text: str, node: yaml.Node, block: str) -> str:
    """The text with a block in the line after a node's last."""
    at = text.index("\n", max(node.end_mark.index - 1, 0)) + 1
    return text[:at] + block + text[at:]


def _last(node: yaml.Node) -> yaml.Node:
    """The innermost of the values at a node's end: a block's own end lies after its comments."""
    import yaml

    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        node = node.value[-1][1] if isinstance(node.value[-1], tuple) else node.value[-1]
    return node
