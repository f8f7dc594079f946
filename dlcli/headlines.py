"""The plain values of a small YAML file, read without a YAML parser.

Of a thousand runs the parser takes longer than everything else that listing them takes. Files that
`dl` wrote are as simple as this reader needs them; whatever isn't is left to the parser.
"""

from __future__ import annotations

import re

Plain = str | int | float

_LINE = re.compile(
    r"(?P<key>[a-z][a-z_]*):"
    r"(?: (?:(?P<whole>-?(?:0|[1-9][0-9]*))"
    r"|(?P<number>-?[0-9]+\.[0-9]+(?:e[+-][0-9]+)?)"
    r"|'(?P<quoted>[ -&(-~]*)'"
    r"|(?P<words>[A-Za-z][A-Za-z0-9_.-]*(?: [A-Za-z0-9_.,-]+)*)))?"
)
# What a nested mapping begins with; text that begins below its key would be no mapping.
_NESTED = re.compile(r"  [a-z_]+:(?: .*)?")
# Words that mean something else than themselves, as a key too (YAML 1.1).
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null"}


def headlines(data: bytes) -> dict[str, Plain] | None:
    """The values that stand at a YAML mapping's own level; what is nested below is passed over.

    Returns:
        numbers as numbers, all else as text, nothing for a key without a value; None where a line
        is out of the ordinary, so that only a YAML parser can say what it means.
    """
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return None
    if lines.pop():  # the last line has no end
        return None
    values: dict[str, Plain] = {}
    opened = in_block = False
    for line in lines:
        if line.startswith("  ") and in_block:
            if opened and not _NESTED.fullmatch(line):
                return None
            opened = False
            continue
        found = _LINE.fullmatch(line)
        if found is None or found["key"] in _RESERVED:
            return None
        key, kind = found["key"], found.lastgroup
        opened = in_block = kind == "key"
        text = found[kind or "key"]
        if in_block:
            values.pop(key, None)
        elif kind == "whole":
            values[key] = int(text)
        elif kind == "number":
            values[key] = float(text)
        elif kind == "words" and text.lower() in _RESERVED:
            return None
        else:
            values[key] = text
    return values
