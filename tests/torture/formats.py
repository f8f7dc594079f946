"""Damage every file that `dl` reads, one after the other, and see that each reader bears it.

A format is a file that some version of `dl` wrote, in a home of its own, and what reads it. A try
damages that file and reads: the reader gives an answer or a `DlError`, in bounded time and memory,
and changes nothing on disk but what it is there to write. The damage follows from a seed alone.

    FORMATS["status"].try_one(random.Random(7), folder)
    fuzz("status", seed=7, count=1000, folder)
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import random
import resource
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CORPUS = Path(__file__).parents[1] / "data" / "0.1.0" / "home"
LINEAR = "runs/pets/202611290221-linear-e4-lr0.001"
STOPPED = "runs/pets/202611290227-finetune-e4-lr0.001-t1"
KILLED = "runs/pets/202611290226-linear-e4-lr0.001"
ENSEMBLE = "runs/pets/202611290223-ensemble-m2"
STORE = "data/pets/features/efficientnet-lite0-pooled-71735f6c"

SECONDS = 20  # of this process's own work; a try takes some milliseconds
GROWTH = 1 << 30  # bytes of memory

Damage = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        file: below the home, one that is damaged.
        read: what reads it, given the home and a source of chance.
        kind: how it is written: text, yaml, json, csv, npz or bytes.
        beside: what the reader needs besides: files and folders below the home.
        writes: below the home, what the reader may change.
    """

    file: str
    read: Callable[[Path, random.Random], object]
    kind: str
    beside: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def try_one(self, rng: random.Random, folder: Path) -> None:
        """Damage the file once, and read it.

        Args:
            folder: empty at first, then the home of all tries of this format.

        Raises:
            AssertionError: the reader failed, took too long, or changed another file.
        """
        from dlcli.errors import DlError

        self._prepare(folder)
        damaged = folder / self.file
        whole = damaged.read_bytes()
        data = damage_of(self.kind, rng, whole)
        damaged.write_bytes(data)
        try:
            before, began, peak = _files(folder), time.thread_time(), _peak()
            with _at_home(folder), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                try:
                    self.read(folder, rng)
                except DlError as error:
                    _require_words(error)
            seconds, growth = time.thread_time() - began, _peak() - peak
            assert seconds < SECONDS, f"it took {seconds:.0f} s"
            assert growth < GROWTH, f"it took {growth >> 20} MB"
            after = _files(folder)
            changed = {
                name for name in before.keys() | after if before.get(name) != after.get(name)
            }
            kept = [name for name in changed if not name.startswith(self.writes or ("\0",))]
            assert not kept, f"it changed {', '.join(sorted(kept))}"
        except Exception as error:
            shutil.rmtree(folder)
            raise AssertionError(
                f"{self.file}: {type(error).__name__}: {error}\n{_said(data)}"
            ) from error
        damaged.write_bytes(whole)
        if self.writes:
            shutil.rmtree(folder)

    def _prepare(self, folder: Path) -> None:
        if (folder / self.file).exists():
            return
        for name in (self.file, *self.beside):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name in _MADE:
                target.write_bytes(_MADE[name]())
            elif (CORPUS / name).is_dir():
                shutil.copytree(CORPUS / name, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(CORPUS / name, target)


def fuzz(name: str, seed: int, count: int, folder: Path) -> int:
    """Damage a format's file so many times.

    Args:
        seed: the first of `count` seeds; a failure names its own.
        folder: an empty folder.

    Returns:
        the number of tries.

    Raises:
        AssertionError: a reader did not bear it.
    """
    for each in range(seed, seed + count):
        try:
            FORMATS[name].try_one(random.Random(each), folder)
        except AssertionError as error:
            raise AssertionError(f"fuzz({name!r}, {each}, 1): {error}") from error
    return count


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
        head = members[name][:128]
        shape = rng.choice(("(10000000000000,)", "(-1,)", "(2, 3)", "()", "(1e3,)", "((((1,))))"))
        kind = rng.choice(("<f4", "|O", "<U9", "<M8[s]", "<c16", "V9", "x", "[('a', 'O')]"))
        text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}"
        members[name] = head[:10] + text.encode().ljust(117)[:117] + b"\n" + members[name][128:]
    else:
        members[name] = rng.choice(_BYTES)(rng, members[name])
    made = io.BytesIO()
    how = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w", how) as file:
        for each, content in members.items():
            file.writestr(each, content)
    return made.getvalue()


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
    "npz": _npz_changed,
}

# --- what is watched


@contextmanager
def _at_home(folder: Path) -> Iterator[None]:
    kept, here = dict(os.environ), Path.cwd()
    for name in [name for name in os.environ if name.startswith(("XDG_", "DL_", "KAGGLE_"))]:
        del os.environ[name]
    os.environ |= {"HOME": str(folder), "COLUMNS": "100", "DL_DEBUG": "0"}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(kept)


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if not path.is_dir():
            name = path.relative_to(folder).as_posix()
            found[name] = status.st_size, status.st_mtime_ns, status.st_ino
    return found


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _require_words(error: Any) -> None:
    """An error says what is wrong, in one line that is not the file itself."""
    assert error.what, "an error without words"
    assert len(str(error)) < 3000, f"an error of {len(str(error)):,} characters: {error!s:.200}"


def _said(data: bytes) -> str:
    return f"{data[:400]!r}{' ...' if len(data) > 400 else ''}"


# --- the readers


def _command(*words: str) -> None:
    """Run `dl` in this process; it may fail with a message, never with a traceback."""
    from dlcli.cli import main

    argv, sys.argv = sys.argv, ["dl", *words]
    try:
        code = main(list(words))
    finally:
        sys.argv = argv
    assert code in (0, 1, 2), f"`dl {' '.join(words)}` ended with {code}"


def _listing(home: Path, rng: random.Random) -> None:
    """All that lists runs: one that is damaged hides no other."""
    from dlcli.cli.parts.complete import complete_run
    from dlcli.runs.listing import list_runs
    from dlcli.runs.run import Run

    names = {file.parent.name for file in (home / "runs").glob("*/*/status.yaml")}
    for settings in (False, True):
        rows = list_runs(home / "runs", settings=settings)
        assert {row.run.name for row in rows} == names
    for run in Run.all(home / "runs"):
        _ = run.state, run.is_damaged, run.dataset_path
    assert {item.value for item in complete_run(None, None, "")} == names  # type: ignore[arg-type]
    _command(*rng.choice(LISTS))


LISTS = (
    ("runs",),
    ("runs", "ls", "--all"),
    ("runs", "ls", "--all", "--csv"),
    ("runs", "ls", "--all", "--json"),
    ("runs", "ls", "--all", "epochs>1", "lr<1"),
    ("runs", "ls", "--all", "--sort", "val_loss"),
    ("runs", "best", "-d", "pets"),
    ("runs", "du"),
)


def _of_run(folder: str) -> Callable[[Path, random.Random], None]:
    """Everything that reads one run."""
    name = folder.rpartition("/")[2]

    def read(home: Path, rng: random.Random) -> None:
        from dlcli.errors import DlError
        from dlcli.runs.run import Run

        _listing(home, rng)
        run = Run(home / folder)
        for get in (
            lambda: run.record,
            lambda: run.classes,
            lambda: run.history,
            lambda: run.is_ensemble,
            lambda: run.features_forward,
        ):
            try:
                get()
            except DlError as error:
                _require_words(error)
        _command(*rng.choice((("runs", "show", name), ("runs", "show", name, "--json"))))
        _command("runs", "diff", name, KILLED.rpartition("/")[2])

    return read


def _history(home: Path, rng: random.Random) -> None:
    from dlcli.runs.run import Run

    _of_run(LINEAR)(home, rng)
    _ = Run(home / LINEAR).history


def _predictions(home: Path, rng: random.Random) -> None:
    from dlcli.inference.predictions import aligned, mean_of, read_predictions

    found = read_predictions(home / LINEAR / "predictions/valid.csv")
    _ = found.digest, found.y_true
    mean_of(aligned([found, found], found.classes))


def _checkpoint(home: Path, rng: random.Random) -> None:
    from dlcli.training.checkpoint import load_best, load_checkpoint

    progress, _, _ = load_checkpoint(home / KILLED / "checkpoint")
    load_best(home / KILLED / "checkpoint", progress)


def _store(home: Path, rng: random.Random) -> None:
    from dlcli.features.split_log import read_split
    from dlcli.features.store import stored_features

    stored_features(home / "data/pets")
    stored = read_split(home / STORE, "valid")
    if stored is not None:
        believed = stored.believed()
        _ = believed.rows, believed.skipped, believed.changed, believed.with_rows
    _command("features", "ls", "--all")


def _kaggle(home: Path, rng: random.Random) -> None:
    from dlcli.kaggle.record import best_score, read_log
    from dlcli.runs.run import Run

    _command("runs", "show", LINEAR.rpartition("/")[2])
    best_score(read_log(Run(home / LINEAR)))


def _ladder(home: Path, rng: random.Random) -> None:
    from dlcli.runs.ladder import Ladder

    for ladder in Ladder.all(home / "runs", "pets"):
        _ = ladder.is_finished, ladder.run("linear"), ladder.is_done("linear")
    _listing(home, rng)


def _dataset(home: Path, rng: random.Random) -> None:
    from dlcli.data.dataset import dataset_settings

    dataset_settings(home / "data/pets")


def _settings(home: Path, rng: random.Random) -> None:
    from dlcli.cli.parts import complete
    from dlcli.config import load_config
    from dlcli.errors import DlError

    for each in (complete.complete_dataset, complete.complete_run, complete.complete_setting):
        try:
            each(None, None, "")  # type: ignore[arg-type]
        except DlError as error:
            raise AssertionError("completion failed") from error
    config = load_config()
    config.settings()
    list(config.items())


def _saved(file: str) -> Callable[[Path, random.Random], None]:
    """A setting is saved in a file, or removed from it."""

    def change(home: Path, rng: random.Random) -> None:
        from dlcli.config import read_config_file, remove_setting, save_setting

        key = rng.choice(("train.dense.units", "seed", "kaggle.positive", "train.linear.schedule"))
        if rng.random() < 0.5:
            save_setting(
                home / file, key, {"seed": "3"}.get(key, "1e-3x2" if "sch" in key else "4")
            )
        else:
            remove_setting(home / file, key)
        read_config_file(home / file)

    return change


def _journal(home: Path, rng: random.Random) -> None:
    from dlcli.data.journal import journals

    for journal in journals(home / "data/fish"):
        journal.read()


def _sample(home: Path, rng: random.Random) -> None:
    from dlcli.kaggle.sample import read_sample_submission

    read_sample_submission(home / "data/pets/sample_submission.csv")


def _labels(home: Path, rng: random.Random) -> None:
    from dlcli.data.organize.tables import read_table

    read_table(home / "labels.csv", is_named=True)


def _chosen(home: Path, rng: random.Random) -> None:
    from dlcli.data.choice import last_named

    choice = last_named()
    assert choice is None or isinstance(choice.root, Path)
    _command("runs")


def _order(home: Path, rng: random.Random) -> None:
    from dlcli.aws.order import read_order

    order = read_order("eu-west-1", "box")
    assert order is None or order.is_fresh(time.time())


def _prices(home: Path, rng: random.Random) -> None:
    from dlcli.aws.prices import _read_cache

    assert all(isinstance(price, float) for price in _read_cache("eu-west-1").values())


def _engine(home: Path, rng: random.Random) -> None:
    from dlcli.inference.serving import _record
    from dlcli.runs.run import Run

    _record(Run(home / LINEAR))


def _ladder_file() -> bytes:
    from dlcli.process import this_process

    plan = {"steps": {"linear": {}, "dense": {}}, "settings": {"seed": 0}}
    at = {"step": "linear", "since": "2026-11-29T02:21:00Z", **this_process()}
    runs = {"linear": LINEAR.rpartition("/")[2]}
    record = {"state": "finished", "started": "2026-11-29T02:21:00Z", "plan": plan, "at": at}
    return yaml.safe_dump(record | {"runs": runs, "failed": {"dense": "no room"}}).encode()


def _order_file() -> bytes:
    from dataclasses import fields

    from dlcli.aws.order import Order

    return yaml.safe_dump({field.name: "x" for field in fields(Order)}).encode()


def _prices_file() -> bytes:
    return json.dumps({"asked": time.time(), "prices": {"g4dn.xlarge": 0.526}}).encode()


_LADDER = "runs/pets/202611290230-ladder/ladder.yaml"
_CHOICE = ".local/state/dl/dataset"
_ORDER = ".local/state/dl/aws/launches/eu-west-1-box.yaml"
_PRICES = ".cache/dl/aws/prices-eu-west-1.json"
# Files that are not in the corpus.
_MADE: Mapping[str, Callable[[], bytes]] = {
    _LADDER: _ladder_file,
    _CHOICE: lambda: b"/home/reader/data/pets\n",
    _ORDER: _order_file,
    _PRICES: _prices_file,
    "labels.csv": lambda: b"id,label\n" + b"".join(b"%d,cat\n%d,dog\n" % (n, -n) for n in range(9)),
}
_RUNS = ("runs/pets",)
_USER = ".config/dl/config.yaml"

FORMATS: dict[str, Format] = {
    "status": Format(f"{LINEAR}/status.yaml", _of_run(LINEAR), "yaml", _RUNS),
    "status of a killed run": Format(f"{KILLED}/status.yaml", _of_run(KILLED), "yaml", _RUNS),
    "lock": Format(f"{KILLED}/lock.yaml", _of_run(KILLED), "yaml", _RUNS),
    "run's config": Format(f"{LINEAR}/config.yaml", _of_run(LINEAR), "yaml", _RUNS),
    "ensemble's config": Format(f"{ENSEMBLE}/config.yaml", _of_run(ENSEMBLE), "yaml", _RUNS),
    "stopped run's config": Format(f"{STOPPED}/config.yaml", _of_run(STOPPED), "yaml", _RUNS),
    "classes": Format(f"{LINEAR}/classes.yaml", _of_run(LINEAR), "yaml", _RUNS),
    "history": Format(f"{LINEAR}/history.csv", _history, "csv", _RUNS),
    "predictions": Format(f"{LINEAR}/predictions/valid.csv", _predictions, "csv"),
    "checkpoint": Format(
        f"{KILLED}/checkpoint/state.npz", _checkpoint, "npz", (f"{KILLED}/checkpoint",)
    ),
    "best weights": Format(
        f"{KILLED}/checkpoint/best-2.npz", _checkpoint, "npz", (f"{KILLED}/checkpoint",)
    ),
    "store's manifest": Format(f"{STORE}/manifest.yaml", _store, "yaml", (STORE,)),
    "store's log": Format(f"{STORE}/valid.done", _store, "json", (STORE,)),
    "store's listing": Format(f"{STORE}/valid.csv", _store, "csv", (STORE,)),
    "store's sizes": Format(f"{STORE}/valid.bc/meta/sizes", _store, "json", (STORE,)),
    "store's storage": Format(f"{STORE}/valid.bc/meta/storage", _store, "json", (STORE,)),
    "kaggle": Format(f"{LINEAR}/kaggle.yaml", _kaggle, "yaml", (LINEAR,)),
    "ladder": Format(_LADDER, _ladder, "yaml", (LINEAR,)),
    "dataset.yaml": Format("data/pets/dataset.yaml", _dataset, "yaml"),
    "config": Format(_USER, _settings, "yaml"),
    "dl.yaml": Format("stripes/dl.yaml", _settings, "yaml"),
    "config to change": Format(_USER, _saved(_USER), "yaml", writes=(_USER,)),
    "journal": Format("data/fish/.dl/0001-split.pending", _journal, "json"),
    "sample submission": Format("data/pets/sample_submission.csv", _sample, "csv"),
    "labels": Format("labels.csv", _labels, "csv"),
    "dataset last named": Format(_CHOICE, _chosen, "text"),
    "order of a box": Format(_ORDER, _order, "yaml"),
    "prices": Format(_PRICES, _prices, "json"),
    "engine": Format(f"{LINEAR}/models/engine/engine.yaml", _engine, "yaml", (LINEAR,)),
}
