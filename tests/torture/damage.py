"""Damage to a file's content, of any kind: to its bytes, or to its values.

The damage follows from a seed alone.
"""

from __future__ import annotations

import csv
import io
import json
import math
import random
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import yaml

Damage = Callable[[random.Random, bytes], bytes]


def damage_of(kind: str, rng: random.Random, whole: bytes) -> bytes:
    """A file's content, damaged in one to three ways."""
    data = whole
    for _ in range(rng.choice((1, 1, 2, 3))):
        if kind in _TREES and rng.random() < 0.6:
            data = _TREES[kind](rng, data)
        else:
            data = rng.choice(_BYTES)(rng, data)
    return data[: 1 << 24]


# --- damage to any bytes


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 3, 20))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _without_part(rng: random.Random, data: bytes) -> bytes:
    start, end = _part(rng, data)
    return data[:start] + data[end:]


def _spliced(rng: random.Random, data: bytes) -> bytes:
    start, end = _part(rng, data)
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[start:end] + data[at:]


def _repeated(rng: random.Random, data: bytes) -> bytes:
    start, end = _part(rng, data)
    times = rng.choice((2, 10, 1000))
    return data[:start] + data[start:end] * min(times, (1 << 20) // (end - start + 1)) + data[end:]


def _with_token(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _with_number(rng: random.Random, data: bytes) -> bytes:
    """Another number in the place of one."""
    places = [at for at, byte in enumerate(data[:100_000]) if 48 <= byte <= 57]
    if not places:
        return _with_token(rng, data)
    start = end = rng.choice(places)
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    return data[:start] + rng.choice(NUMBERS) + data[end:]


def _other_ends(rng: random.Random, data: bytes) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\0", b"\x0b")))


def _recoded(rng: random.Random, data: bytes) -> bytes:
    if rng.random() < 0.5:
        return b"\xef\xbb\xbf" + data
    return data.decode("latin-1").encode(rng.choice(("utf-16", "utf-16-be", "utf-32")))


def _replaced(rng: random.Random, data: bytes) -> bytes:
    return rng.choice((b"", b"\n", b"\0" * 4096, b"[" * 20_000, b"- " * 20_000, *TOKENS))


def _part(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 3, 30, 300)))


_BYTES: tuple[Damage, ...] = (
    _flipped,
    _cut,
    _without_part,
    _spliced,
    _repeated,
    _with_token,
    _with_number,
    _other_ends,
    _recoded,
    _replaced,
)
NUMBERS = (
    b"-1",
    b"0",
    b"1e400",
    b"-.inf",
    b".nan",
    b"NaN",
    b"Infinity",
    b"1e-320",
    b"0x7fffffffffffffff",
    b"9223372036854775808",
    b"99999999999999999999999999",
    b"9" * 5000,
    b"1_0",
    b"0o7",
    b"1:30",
    b"2026-11-29",
    b"true",
    b"null",
)
TOKENS = (
    b"\0",
    b"\xff\xfe",
    b"\x85",
    b"\xe2\x80\xa8",
    b"\xed\xb2\x80",
    b"\xef\xbb\xbf",
    b"\t",
    b"'",
    b'"',
    b"#",
    b"&a ",
    b"*a",
    b"&a [*a]",
    b"<<: *a\n",
    b"!!python/object/apply:os.system [false]",
    b"!!binary aGk=",
    b"!!set {a}",
    b"!!int ''",
    b"!<tag:yaml.org,2002:timestamp> x",
    b"? [1]\n: 2\n",
    b"\n---\n",
    b"\n...\n",
    b"%YAML 9.9\n",
    b'"\\uD800"',
    b"\\udc80",
    b"[[[[[[[[[[",
    b"[" * 2000,
    b"{" * 2000,
    b'{"a":' * 2000,
    b"- " * 200,
    b"\n  - ",
    b": ",
    b",",
    b",,,,",
    b"null",
    b"~",
    b"/dev/zero",
    b"../../../../etc/passwd",
    b"\x1b]0;x\x07",
    b"x" * 200_000,
    b"a: &a [x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 8)) for n in range(97, 108)
    ),
    *NUMBERS,
)

# --- damage to values, in a file that stays well-formed

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    0,
    1,
    10**30,
    -(10**30),
    2**63,
    1.5,
    -0.0,
    1e-320,
    1e308,
    math.inf,
    -math.inf,
    math.nan,
    "",
    " ",
    "x",
    "a\0b",
    "a\nb",
    "\udc80",
    "\ud83d",
    "../..",
    "/",
    "~nobody/x",
    "x" * 5000,
    "2026-11-29",
    "1e400",
    "nan",
    "9" * 5000,
    [],
    {},
    [None],
    [[]],
    ["x", "x"],
    {"x": 1},
    {1: 2},
    {"x": {"x": {"x": []}}},
    [{"x": []}],
    list(range(300)),
)


def _changed_value(rng: random.Random, value: Any, *, text_keys: bool = False) -> Any:
    """Values with one of them replaced, removed, doubled or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        action = rng.random()
        if action < 0.12:
            return {name: held for name, held in value.items() if name != key}
        if action < 0.2:
            odd = rng.choice([each for each in VALUES if not isinstance(each, list | dict)])
            return value | {str(odd) if text_keys else odd: value[key]}
        if action < 0.25:
            return value | {key: rng.choice(list(value.values()))}
        return value | {key: _changed_value(rng, value[key], text_keys=text_keys)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        action = rng.random()
        if action < 0.15:
            return value[:at] + value[at + 1 :]
        if action < 0.3:
            return [*value[:at], value[at], *value[at:]]
        changed = _changed_value(rng, value[at], text_keys=text_keys)
        return [*value[:at], changed, *value[at + 1 :]]
    return rng.choice(VALUES)


def _yaml_changed(rng: random.Random, data: bytes) -> bytes:
    from dlcli.files.formats import dump_yaml
    from dlcli.files.plain_yaml import plain_values

    try:
        return dump_yaml(_changed_value(rng, plain_values(data))).encode()
    except (yaml.YAMLError, UnicodeEncodeError):
        return _flipped(rng, data)


def _json_changed(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    try:
        value = _changed_value(rng, json.loads(lines[at]), text_keys=True)
    except (ValueError, RecursionError):
        return _with_number(rng, data)
    return b"\n".join([*lines[:at], json.dumps(value).encode(), *lines[at + 1 :]])


def _csv_changed(rng: random.Random, data: bytes) -> bytes:
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))
    except csv.Error:
        return _cut(rng, data)
    if not rows or not any(rows):
        return _with_token(rng, data)
    row = rng.choice([each for each in rows if each])
    action = rng.random()
    if action < 0.15:
        row.append("x")
    elif action < 0.3:
        row.pop()
    elif action < 0.4:
        rows.append(row)
    else:
        row[rng.randrange(len(row))] = str(rng.choice(VALUES))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _npz_changed(rng: random.Random, data: bytes) -> bytes:
    """An archive whose members are damaged, with the checksums of what they now are."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = {name: file.read(name) for name in file.namelist()}
    except Exception:  # noqa: BLE001 - damaged before
        return _flipped(rng, data)
    if not members:
        return _flipped(rng, data)
    name = rng.choice(list(members))
    action = rng.random()
    if action < 0.1:
        del members[name]
    elif action < 0.2:
        members[rng.choice(("x.npy", "weights-x.npy", "weights-99.npy", "../x"))] = members[name]
    elif name == "progress.npy" and action < 0.7:
        members[name] = _progress(rng)
    elif action < 0.6:
        members[name] = _npy_changed(rng, members[name])
    else:
        members[name] = rng.choice(_BYTES)(rng, members[name])
    made = io.BytesIO()
    how = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w", how) as file:
        for each, content in members.items():
            file.writestr(each, content)
    return made.getvalue()


def _npy_changed(rng: random.Random, data: bytes) -> bytes:
    """An array with another header."""
    shape = rng.choice(("(10000000000000,)", "(-1,)", "(2, 3)", "()", "(1e3,)", "((((1,))))"))
    kind = rng.choice(("<f4", "|O", "<U9", "<M8[s]", "<c16", "V9", "x", "[('a', 'O')]"))
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}"
    return data[:10] + text.encode().ljust(117)[:117] + b"\n" + data[128:]


def _progress(rng: random.Random) -> bytes:
    import numpy as np

    from dlcli.training.checkpoint import Progress

    history = [{"epoch": 1, "loss": 0.5, "val_loss": 0.4, "val_accuracy": 0.5}]
    values = _changed_value(rng, vars(Progress(1, 2, 1, 0, 0.4, 0, history, 1.0)), text_keys=True)
    file = io.BytesIO()
    np.save(file, np.array(json.dumps(values)))
    return file.getvalue()


_TREES: Mapping[str, Damage] = {
    "yaml": _yaml_changed,
    "json": _json_changed,
    "csv": _csv_changed,
    "npy": _npy_changed,
    "npz": _npz_changed,
}
