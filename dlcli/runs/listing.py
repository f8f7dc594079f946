"""List many runs quickly, a row for each; the row of a damaged run says what is wrong.

For a thousand runs a YAML parser takes longer than everything else. The reader here is enough for
files that `dl` wrote; all others go to the parser.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from dlcli.catalog import built_in_names, make_recipe, recipe_class
from dlcli.data.dataset import UNMARKED
from dlcli.errors import DlError
from dlcli.evaluation.scores import NAMES, scores_in
from dlcli.files.formats import MOST_YAML_BYTES, flat, opened, read_yaml
from dlcli.files.paths import expanded
from dlcli.process import at_work
from dlcli.runs.choice import find_run
from dlcli.runs.run import LABELS, OWN, Run
from dlcli.runs.status import STATES
from dlcli.settings.fields import Refused, coerce, settings_of
from dlcli.settings.schedule import RATE, Schedule

DAMAGED = "damaged"
# The key of a run's total number of epochs.
PLANNED = "planned_epochs"
# The values of every row, None if the run lacks one; in the order of `--csv`.
FIELDS = (
    "run",
    "dataset",
    "state",
    "recipe",
    "started",
    "epoch",
    "best_epoch",
    "val_loss",
    "val_accuracy",
    "seconds",
    "public_score",
)
# Other values of `status.yaml`, so that no other file is read for them.
TOLD = ("finished", "train_loss", "train_accuracy", "parameters", "reason", "pid", "host")
# Scores of datasets of other kinds than photos; a list has those that a run in it has.
VALID, TRAINED = (tuple(f"{of}_{name}" for name in NAMES) for of in ("val", "train"))
MORE_SCORES = tuple(key for key in (*VALID, *TRAINED) if key not in (*FIELDS, *TOLD))
# Values that are times in UTC, ISO 8601, to the microsecond.
TIMES = ("started", "finished")
NUMBERS = ("epoch", "best_epoch", *VALID, "seconds", "public_score", PLANNED)

Plain = str | int | float

_ANY = Run(Path())
_STATUS, _CONFIG = _ANY.status_file.name, _ANY.config_file.name
_HISTORY = _ANY.history_file.name

# config.yaml, as far as no parser is needed
_RECIPE = re.compile(rb"^run:\n  recipe: ([a-z][a-z0-9-]*)$", re.MULTILINE)
_KIND = re.compile(rb"^run:\n(?:  .*\n)*?  kind: ([a-z]+)$", re.MULTILINE)

# a line of status.yaml
_LINE = re.compile(
    r"(?P<key>[a-z][a-z_]*):"
    r"(?: (?:(?P<whole>-?(?:0|[1-9][0-9]*))"
    r"|(?P<number>-?[0-9]+\.[0-9]+(?:e[+-][0-9]+)?)"
    r"|'(?P<quoted>[ -&(-~]*)'"
    r"|(?P<words>[A-Za-z][A-Za-z0-9_.-]*(?: [A-Za-z0-9_.,-]+)*)))?"
)
# The first line of a nested mapping; a text that begins below its key is not one.
_NESTED = re.compile(r"  [a-z_]+:(?: .*)?")
# Words that YAML 1.1 reads as other values, as keys too.
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null"}


@dataclass(frozen=True)
class Row:
    """One run of a list.

    Args:
        values: values to filter and sort by: `FIELDS`, others of `status.yaml`, for an unfinished
            run its best scores so far and `PLANNED`, and if requested the settings, by their
            dotted keys and their last names, and the highest rate of the schedule as `lr`.
        problem: what is wrong with its files; "" if nothing is.
    """

    run: Run
    values: Mapping[str, Any]
    problem: str = ""

    @property
    def state(self) -> str:
        """running, finished, failed, interrupted or damaged."""
        return str(self.values["state"])


def list_runs(runs_dir: Path, dataset: str | None = None, *, settings: bool = False) -> list[Row]:
    """Every run under the runs folder, or of one dataset, the newest first.

    Args:
        dataset: the name of a dataset; None: of all.
        settings: whether to read each `config.yaml` as well.
    """
    names = [dataset] if dataset is not None else _folders(runs_dir)
    rows = [
        row
        for place in (runs_dir / name for name in names)
        for folder in _folders(place)
        if (row := _row(place / folder, settings))
    ]
    rows.sort(key=_age, reverse=True)
    return rows


def read_row(run: Run) -> Row:
    """The row of one run, with settings."""
    return _row(run.path, True) or Row(run, _values(run, {}, DAMAGED), f"{_STATUS} is missing")


def find_listed(
    named: str, runs_dir: Path, data_dir: Path | None = None, *, whole: bool = False
) -> Run:
    """A run as found by `find_run`, or a damaged run without a status.

    Args:
        named: what was typed.
        runs_dir: the folder of all runs.
        data_dir: the data folder, to recognise a dataset; None: as in the settings.
        whole: whether to refuse a part of a name.

    Raises:
        DlError: there is no such run, or there are several.
    """
    try:
        return find_run(named, runs_dir, data_dir, whole=True)
    except DlError:
        folders = [Path(name) / named for name in ("", *_folders(runs_dir))]
        places = [expanded(named), *(runs_dir / folder for folder in folders)]
        found = {Path(os.path.abspath(p)) for p in places if named and Run(p).config_file.is_file()}
        if len(found) == 1:
            return Run(found.pop())
        if whole:
            raise
        return find_run(named, runs_dir, data_dir)


def fields_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """`FIELDS`, and the validation scores of other kinds of datasets that a row has."""
    there = {key for row in rows for key in VALID if row.values.get(key) is not None}
    return (*FIELDS, *(key for key in VALID if key in there and key not in FIELDS))


def epochs_of(row: Row) -> str:
    """The number of epochs, "12"; for an unfinished run those done of those planned, "9/12"."""
    done, planned = row.values["epoch"], row.values.get(PLANNED)
    if planned and row.state != "finished":
        return f"{done or 0}/{planned}"
    return "" if done is None else f"{done}"


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if not e.name.startswith(".") and e.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _age(row: Row) -> tuple[str, str]:
    """When a run began, as digits in the order of time; if unknown, by its name."""
    started = str(row.values["started"] or row.run.name[:12])
    return re.sub(r"\D", "", started), row.run.name


def _row(folder: Path, settings: bool) -> Row | None:
    """The row of a folder; None if it is not a run."""
    run, path = Run(folder), os.fspath(folder)
    try:
        with os.scandir(path) as entries:
            found = [*entries]
    except OSError as error:
        return Row(run, _values(run, {}, DAMAGED), _unread("the folder", error))
    names = {entry.name for entry in found}
    if _STATUS not in names and _CONFIG not in names:
        return None
    if taken := _taken(found):
        return Row(run, _values(run, {}, DAMAGED), taken)
    problems: list[str] = []
    status = _status(f"{path}/{_STATUS}", problems)
    config = _content(f"{path}/{_CONFIG}", problems)
    _look_at_labels(path, names, config, problems)
    if _HISTORY in names or status.get("epoch"):
        _look_at_history(run, f"{path}/{_HISTORY}", problems)
    state = _state(run, status, problems)
    held = _settings(run, config, settings, problems)
    if state != "finished" and not problems and PLANNED not in status:
        with suppress(DlError):  # empty lines alone
            status |= best_so_far(run.history)
        status[PLANNED] = planned_epochs(_parsed(os.fspath(run.config_file), problems))
    values = _values(run, held | status, DAMAGED if problems else state)
    return Row(run, values, "; ".join(problems))


def _taken(entries: Iterable[os.DirEntry[str]], folder: str = "") -> str:
    """What takes the place of a file or folder of a run, as in `Run.require_own`; "" if nothing.

    Args:
        folder: where the entries are in the run, with a slash at the end.
    """
    others = [each for each in entries if not each.is_file(follow_symlinks=False)]
    for entry in sorted(others, key=attrgetter("name")):
        name = folder + entry.name
        if not OWN.fullmatch(name):
            continue
        if entry.is_symlink():
            return f"{name} is a link"
        if not entry.is_dir(follow_symlinks=False):
            return f"{name} can't be read: it is a pipe or a device"
        with suppress(OSError), os.scandir(entry.path) as inside:
            if taken := _taken(inside, f"{name}/"):
                return taken
    return ""


def _values(run: Run, known: Mapping[str, Any], state: str) -> dict[str, Any]:
    own = {"run": run.name, "dataset": run.dataset, "state": state}
    return {**dict.fromkeys(FIELDS), **known, **own}


def _status(path: str, problems: list[str]) -> dict[str, Any]:
    """The plain values of `status.yaml`."""
    data = _content(path, problems)
    if not data:
        return {}
    values: dict[str, Any] | None = headlines(data)
    if values is None:
        whole = _parsed(path, problems)
        values = {key: held for key, held in flat(whole) if "." not in key}
    for key in NUMBERS:
        held = values.get(key)
        if held is not None and (isinstance(held, bool) or not isinstance(held, int | float)):
            problems.append(f"{key} in {_STATUS} is not a number")
            values[key] = None
    return values


def _state(run: Run, status: Mapping[str, Any], problems: list[str]) -> str:
    """The current state."""
    state = status.get("state")
    if state == "running" and not at_work(status, run.lock_file):
        return "interrupted"
    if state not in STATES and not problems:
        unknown = f"has a state that this version doesn't know, {state}"
        problems.append(f"{_STATUS} {unknown if state else 'has no state'}")
    return str(state)


def _settings(run: Run, config: bytes, whole: bool, problems: list[str]) -> dict[str, Any]:
    """The settings in `config.yaml`: the recipe alone, without a parser, or all."""
    if not config:
        return {}
    recipe = _RECIPE.search(config)
    if recipe and not whole:
        return {"recipe": recipe[1].decode()}
    held = _parsed(os.fspath(run.config_file), problems)
    if held and not isinstance(held.get("run"), dict):
        problems.append(f"{_CONFIG} lacks the block `run`")
    values = dict(flat(held))
    # where two settings have the same last name, the first counts: shared settings come before the
    # recipe's, and these before the record of the run
    short = {key.rpartition(".")[2]: values[key] for key in reversed(values)}
    return {**_rates(short), **short, **values, "recipe": values.get("run.recipe")}


def _rates(settings: Mapping[str, Any]) -> dict[str, float]:
    """The highest rate of the schedule, by each name that people use; {} if there is none."""
    try:
        return dict.fromkeys(RATE, Schedule.parse(str(settings["schedule"])).highest_rate)
    except (KeyError, Refused):
        return {}


def _look_at_labels(path: str, names: set[str], config: bytes, problems: list[str]) -> None:
    """Add what is wrong with the files of what the model's numbers stand for."""
    kind = _KIND.search(config)
    for name in LABELS.get(kind[1].decode() if kind else UNMARKED, ()):
        if name.endswith(".yaml") or name not in names:
            _content(f"{path}/{name}", problems)


def _look_at_history(run: Run, path: str, problems: list[str]) -> None:
    """Add what is wrong with `history.csv` to the problems."""
    data = _content(path, problems)
    commas = {line.count(b",") for line in data.splitlines()}
    if data and (len(commas) > 1 or b'"' in data):
        try:
            _ = run.history
        except DlError:
            problems.append(f"{_HISTORY} has rows of different lengths")


def _content(path: str, problems: list[str]) -> bytes:
    """The content of a file; empty if it can't be used, with the reason in `problems`."""
    name = path.rpartition("/")[2]
    try:
        with opened(path, MOST_YAML_BYTES) as file:
            data = file.read()
    except DlError as error:
        problems.append(f"{name} can't be read: {error.why}")
        return b""
    except FileNotFoundError:
        problems.append(f"{name} is missing")
        return b""
    except OSError as error:
        problems.append(_unread(name, error))
        return b""
    if not data:
        problems.append(f"{name} is empty")
    elif b"\0" in data:
        problems.append(f"{name} is not text")
        return b""
    elif not data.endswith(b"\n"):
        problems.append(f"{name} ends within a line")
    return data


def _parsed(path: str, problems: list[str]) -> dict[Any, Any]:
    """A YAML file's mapping; empty if it is not one, with the reason in `problems`."""
    name = path.rpartition("/")[2]
    try:
        held = read_yaml(Path(path))
    except DlError:
        problems.append(f"{name} is not valid YAML")
        return {}
    if not isinstance(held, dict):
        problems.append(f"{name} has no lines of `key: value`")
        return {}
    return held


def _unread(name: str, error: OSError) -> str:
    return f"{name} can't be read: {error.strerror}"


def planned_epochs(config: Mapping[str, Any]) -> int | None:
    """The total number of epochs of a run whose status lacks it (before 0.2).

    Args:
        config: the content of its `config.yaml`; a project recipe isn't loaded for a list.

    Returns:
        the number set by the schedule or the last `dl resume`; None if the file does not say.
    """
    try:
        recipe = config["run"]["recipe"]
        changes = config["run"].get("changes") or ()
        if asked := [change["epochs"] for change in changes if "epochs" in change]:
            return int(asked[-1])
        if recipe not in built_in_names():
            return None
        declared = settings_of(recipe_class(recipe))
        written = config["train"][recipe]
        values = {key: coerce(written[key], declared[key]) for key in declared if key in written}
        return sum(phase.schedule.epochs for phase in make_recipe(recipe, values).phases())
    except (DlError, KeyError, TypeError, ValueError, AttributeError):
        return None


def best_so_far(history: Sequence[Mapping[str, float | str]]) -> dict[str, float | str]:
    """The best epoch of a run whose status lacks it (before 0.2).

    Args:
        history: rows of `history.csv`.

    Returns:
        `best_epoch`, `val_loss` and the other validation scores; {} if there is no such epoch.
    """
    columns = scores_in(history[0]) if history else ()
    scored = [row for row in history if all(isinstance(row.get(n), int | float) for n in columns)]
    if not columns or not scored:
        return {}
    best = min(scored, key=lambda row: float(row["val_loss"]))
    return {"best_epoch": history.index(best) + 1, **{name: best[name] for name in columns}}


def headlines(data: bytes) -> dict[str, Plain] | None:
    """The top-level values of a YAML mapping, without nested ones.

    Returns:
        numbers as numbers, all else as text, keys without a value left out; None if a line is
        unusual, so that it needs a YAML parser.
    """
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return None
    if lines.pop():  # the last line is incomplete
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
