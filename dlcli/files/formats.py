"""Read and write text, YAML and CSV that may hold any file name.

File names are bytes on disk. Python carries bytes that aren't UTF-8 as surrogates; every text
file that may hold a file name is written and read with `surrogateescape`, here and nowhere else.
Nested mappings are read by dotted keys. One value of a YAML text that a person wrote can be
changed or removed; comments and layout stay.

Any of these files may be somebody else's, or damaged. So a file is read only if it is one, and no
larger than any that `dl` writes.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, BinaryIO

from dlcli.errors import DlError
from dlcli.files.atomic import atomic, atomic_write
from dlcli.files.paths import shown
from dlcli.files.plain_yaml import plain_values
from dlcli.settings.fields import plain
from dlcli.words import short

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 1 << 30
MOST_YAML_BYTES = 4 << 20
_ROWS_AT_A_TIME = 10_000


def damaged(
    file: Path, why: object, hint: str = "Restore the file, or take another run."
) -> DlError:
    """The error of a file that is gone, or can't be read back."""
    state = "damaged" if file.exists() else "missing"
    return DlError(f"{shown(file)} is {state}", why=f"{why!s:.300}", hint=hint)


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a file, as `opened`."""
    with opened(path, most) as file:
        return file.read()


def opened(path: Path | str, most: int = MOST_BYTES) -> BinaryIO:
    """Open a file, or what a link to one leads to, to read it; the caller closes it.

    Args:
        most: the size in bytes of the largest file to read.

    Raises:
        DlError: it is larger, or a pipe or a device.
        OSError: it is missing, a folder, or can't be read.
    """
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115
    try:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise DlError(
                f"{shown(Path(path))} is not a file",
                why="it is a pipe or a device",
                hint="Remove it or move it away.",
            )
        if found.st_size > most:
            raise DlError(
                f"{shown(Path(path))} is too large",
                why=f"it has {found.st_size:,} bytes, of such a file `dl` reads at most {most:,}",
                hint="Restore the file, or remove it.",
            )
    except BaseException:
        file.close()
        raise
    return file


def _at_once(path: str, flags: int) -> int:
    """Open a file; a pipe too, which else waits for somebody who writes into it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Read UTF-8 text; bytes that are not UTF-8 come back as surrogates.

    Raises:
        DlError, OSError: as `read_bytes`.
    """
    return read_bytes(path, most).decode("utf-8", "surrogateescape")


def read_yaml_text(path: Path) -> str:
    """Read the text of a YAML file, to edit it; YAML may be UTF-16 as well, with its mark.

    Raises:
        DlError, OSError: as `read_bytes`.
    """
    data = read_bytes(path, MOST_YAML_BYTES)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8", "surrogateescape")


def read_yaml(path: Path) -> Any:
    """Read the plain values of a YAML file; None when it is empty.

    Raises:
        DlError: the file is not YAML, or holds more than plain values; names the line.
    """
    import yaml

    data = read_bytes(path, MOST_YAML_BYTES)
    try:
        return plain_values(data)
    except yaml.YAMLError as error:
        raise DlError(
            f"{shown(path)} is not valid YAML",
            why=short(_yaml_fault(error), 300),
            hint="Mend or remove the file.",
        ) from error


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: it is not JSON, or nests too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def _yaml_fault(error: Exception) -> str:
    """Where a text isn't YAML, and why, without the parser's words for what it was doing."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).replace(' in "<byte string>"', "").split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', '')}"


def write_yaml(path: Path, value: Any) -> None:
    """Write plain values as YAML, atomically, in the given order."""
    atomic_write(path, dump_yaml(value))


def dump_yaml(value: Any) -> str:
    """Plain values as YAML text, in the given order."""
    import yaml

    def dump(dumper: Any, allow_unicode: bool) -> str:
        text: str = yaml.dump(
            value, Dumper=dumper, allow_unicode=allow_unicode, sort_keys=False, width=100
        )
        return text

    try:
        return dump(getattr(yaml, "CSafeDumper", yaml.SafeDumper), True)
    except UnicodeEncodeError:  # libyaml refuses the surrogates of odd file names
        return dump(yaml.SafeDumper, False)


def read_csv(path: Path, separator: str = ",") -> list[list[str]]:
    """Read all rows of a CSV with its header, without a byte order mark.

    Args:
        separator: the separator of its cells.

    Raises:
        DlError: the file is not a CSV.
    """
    try:
        text = read_text(path).removeprefix("\ufeff")
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DlError(
            f"{shown(path)} is not valid CSV", why=str(error), hint="Mend or remove the file."
        ) from error


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV (RFC 4180 quoting, `\\n` at line ends), atomically."""
    with (
        atomic(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        left = iter(rows)
        while some := list(islice(left, _ROWS_AT_A_TIME)):  # millions would fill the memory
            file.write(csv_text(some))


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV: RFC 4180 quoting, `\\n` at line ends."""
    text = io.StringIO(newline="")
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in map(list, rows):
        # Python's writer leaves a lone carriage return bare, and its reader then ends the row
        (quoted if any("\r" in str(value) for value in row) else plain).writerow(row)
    return text.getvalue()


def amended(text: str, path: Sequence[str], value: Any) -> str:
    """A YAML text with one value changed or added.

    The text is edited in place. If that would not give the right values (several values in one pair
    of braces, anchors), it is written again without its comments.

    Args:
        text: a YAML mapping, or nothing.
        path: the key of each level, the outermost first.
        value: a plain value.
    """

    wanted = _set(plain_values(text), path, value)
    return _if_right(partial(_edited, text, path, value), wanted)


def without(text: str, path: Sequence[str]) -> str:
    """A YAML text without one value, and without the blocks that hold nothing else.

    Lines of comments stay, those in such a block too. Edited as in `amended`.

    Args:
        text: a YAML mapping.
        path: the key of each level, the outermost first; all must exist.
    """

    return _if_right(partial(_cut, text, path), _unset(plain_values(text), path))


def _if_right(edit: Callable[[], str], wanted: Mapping[Any, Any]) -> str:
    """An edited text, or if it does not hold the right values, these as new YAML."""
    import yaml

    with suppress(yaml.YAMLError):  # PyYAML's own parser refuses tabs that libyaml takes
        edited = edit()
        if (plain_values(edited) or {}) == wanted:
            return edited
    return dump_yaml(wanted)


def _set(mapping: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    held = mapping if isinstance(mapping, dict) else {}
    return held | {path[0]: _set(held.get(path[0]), path[1:], value)}


def _unset(mapping: Mapping[Any, Any], path: Sequence[str]) -> dict[Any, Any]:
    name, *deeper = path
    left = {}
    for key, held in mapping.items():
        if str(key) != name:
            left[key] = held
        elif deeper and (inner := _unset(held, deeper)):
            left[key] = inner
    return left


def _edited(text: str, path: Sequence[str], value: Any) -> str:
    import yaml

    text += "" if text.endswith("\n") or not text else "\n"
    node = yaml.compose(text, yaml.SafeLoader)
    if node is None:
        return text + _block(path, value, 0)
    for depth, name in enumerate(path):
        if not isinstance(node, yaml.MappingNode):  # `kaggle:` with nothing below it
            return _with_block_after(text, node, _block(path[depth:], value, 2 * depth))
        found = [held for key, held in node.value if key.value == name]
        if not found:
            return _with_block_after(
                text, _last(node), _block(path[depth:], value, node.start_mark.column)
            )
        node = found[-1]  # of keys that stand twice, the last one counts
    start, end = node.start_mark.index, node.end_mark.index
    space = " " if text[start - 1] == ":" else ""
    return text[:start] + space + dump_yaml({"": value}).partition(": ")[2].rstrip() + text[end:]


def _cut(text: str, path: Sequence[str]) -> str:
    import yaml

    node: Any = yaml.compose(text, yaml.SafeLoader)
    around = node  # the innermost mapping that holds something else too: one of its entries goes
    for name in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        if len(pairs) > 1:
            around = node
        # of keys that stand twice, the last one counts
        entry = next((pair for pair in reversed(pairs) if pair[0].value == name), None)
        if entry is None:  # a key that YAML reads as something else than text
            return text
        if node is around:
            key, value = entry
        node = entry[1]
    start, end = key.start_mark.index, value.end_mark.index
    if around.flow_style:
        place = around.value.index((key, value))
        if after := around.value[place + 1 : place + 2]:
            end = after[0][0].start_mark.index
        elif place:
            start = around.value[place - 1][1].end_mark.index
        return text[:start] + text[end:]
    last = _last(value).end_mark
    start = text.rfind("\n", 0, start) + 1
    end = last.index
    if last.column or last.line == key.start_mark.line:  # `|` ends where the next line begins
        end = text.find("\n", end) + 1 or len(text)
    lines = text[start:end].splitlines(keepends=True)
    comments = [line for line in lines if line.lstrip().startswith("#")]
    return text[:start] + "".join(comments) + text[end:]


def _block(path: Sequence[str], value: Any, column: int) -> str:
    return indent(dump_yaml(_set(None, path, value)), " " * column)


def _with_block_after(text: str, node: yaml.Node, block: str) -> str:
    """The text with a block in the line after a node's last."""
    at = text.index("\n", max(node.end_mark.index - 1, 0)) + 1
    return text[:at] + block + text[at:]


def _last(node: yaml.Node) -> yaml.Node:
    """The innermost of the values at a node's end: a block's own end lies after its comments."""
    import yaml

    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        node = node.value[-1][1] if isinstance(node.value[-1], tuple) else node.value[-1]
    return node


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
            yield f"{block}{key}", plain(value)
        elif lists:
            yield f"{block}{key}", value


def below(mapping: Any, *keys: str) -> Any:
    """What stands below some keys, one in the other; None where there is nothing."""
    for key in keys:
        mapping = mapping.get(key) if isinstance(mapping, Mapping) else None
    return mapping
