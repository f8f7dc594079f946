"""`make torture`: accidents of all kinds with growing seeds, until the time is over.

python -m torture --minutes 30                  all kinds, on all cores
python -m torture --kind kills --seed 17        one round, as a failure names it
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from torture import hostile, kills, low, together
from torture.fuzz import INPUTS, fuzz
from torture.lab import Crashed, Failed, Hung, Lab, Lost, lab_in
from torture.scenes import HEAVY, LIGHT
from torture.steps import Walk

HERE = Path(__file__).parents[1]
ROUND_INPUTS = 300
# A round ends within this, or its worker is given up.
GRACE_SECONDS = 300
# A worker that is asked to end has so long; then it is killed.
PATIENCE_SECONDS = 30.0


def kill_files(lab: Lab, seed: int) -> None:
    """Strike a command of files at every change, or at one in a few."""
    rng = Random(seed)
    how, name = rng.choice(kills.HOWS), LIGHT[seed % len(LIGHT)]
    numbers = kills.sizes(seed, 12) if how == "cut" else range(rng.randint(1, 4), 400, 4)
    kills.play(lab, name, how, seed, numbers)


def kill_trainings(lab: Lab, seed: int) -> None:
    """Strike a command with a backend at some changes, or at some moment."""
    rng = Random(seed)
    how, name = rng.choice([*kills.HOWS, "moment", "moment"]), HEAVY[seed % len(HEAVY)]
    numbers = sorted(int(2 ** rng.uniform(0, 8)) for _ in range(4))
    if how == "cut":
        numbers = kills.sizes(seed, 4)
    if how == "moment":
        numbers = [rng.randint(1, 4000) for _ in range(4)]
    kills.play(lab, name, how, seed, numbers)


def walk(lab: Lab, seed: int) -> None:
    Walk(lab, seed).go(30)


def squeeze(lab: Lab, seed: int) -> None:
    kinds = len(low.KINDS)
    low.squeeze(lab, LIGHT[seed // kinds % len(LIGHT)], low.KINDS[seed % kinds], seed)


def fill(lab: Lab, seed: int) -> None:
    low.fill(lab, LIGHT[seed % len(LIGHT)], seed)


def inputs(lab: Lab, seed: int) -> None:
    names = sorted(INPUTS)
    fuzz(lab, names[seed % len(names)], seed * ROUND_INPUTS, ROUND_INPUTS)


@dataclass(frozen=True)
class Kind:
    """A kind of accident.

    Args:
        row: what it counts, in the table.
        share: of the time.
        play: one round of it.
    """

    row: str
    share: float
    play: Callable[[Lab, int], None]


KINDS = {
    "kills": Kind("kills", 5, kill_files),
    "trainings": Kind("kills of trainings", 3, kill_trainings),
    "walks": Kind("random operations", 2, walk),
    "rush": Kind("simultaneous commands", 1, together.rush),
    "rush-of-trainings": Kind("simultaneous commands", 1, together.rush_of_trainings),
    "low": Kind("low resources", 1, squeeze),
    "full": Kind("full disks", 1, fill),
    "hostile": Kind("hostile folders", 2, hostile.any_trap),
    "inputs": Kind("inputs", 8, inputs),
}
COLUMNS = {"lost": Lost, "tracebacks": Crashed, "hangs": Hung, "other": Failed}


def move_in(folder: Path) -> Path:
    """Give this process a home of its own; nothing of the user's is read or written."""
    from support.small_backbone import HERE as SITE
    from support.small_backbone import weights_in

    home, cache = folder / "home", folder / "cache"
    home.mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith(("DL_", "KAGGLE_", "XDG_"))]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(cache),
        "KERAS_HOME": str(folder / "keras"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "TMPDIR": str(folder),
        "COLUMNS": "100",
        "SMALL_BACKBONE": str(weights_in(cache)),
        "PYTHONPATH": f"{SITE}{os.pathsep}{HERE}",
    }
    os.chdir(home)
    return home


def own_view_of_disks() -> bool:
    """Have what this process mounts go with it; False if it may not mount."""
    clone_newns = 0x00020000
    if os.geteuid() or ctypes.CDLL(None).unshare(clone_newns):
        return False
    private = ["mount", "--make-rprivate", "/"]
    return subprocess.run(private, capture_output=True).returncode == 0


def kinds_here() -> dict[str, Kind]:
    """Those that this machine can play."""
    found = dict(KINDS)
    if not own_view_of_disks():
        del found["full"]
    return found


def work(number: int, workers: int, seed: int, minutes: float, only: str) -> None:
    """Play rounds until the time is over; print a line of JSON when one begins, and one after."""
    signal.signal(signal.SIGTERM, lambda *of_it: sys.exit(1))
    end = time.monotonic() + minutes * 60
    kinds = {name: kind for name, kind in kinds_here().items() if only in ("", name)}
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=memory()))
    spent: Counter[str] = Counter()
    rounds: Counter[str] = Counter()
    try:
        with lab_in(folder / "said", move_in(folder)) as lab:
            while True:
                name = min(kinds, key=lambda each: spent[each] / kinds[each].share)
                at = seed + number + rounds[name] * workers
                begun = time.monotonic()
                played = {"kind": name, "seed": at}
                print(json.dumps(played), flush=True)
                failure = one_round(lab, kinds[name], at)
                rounds[name] += 1
                spent[name] += time.monotonic() - begun
                told = played | {"counts": dict(lab.counts), "failure": failure}
                print(json.dumps(told), flush=True)
                lab.counts.clear()
                if time.monotonic() > end and (minutes or not kinds.keys() - rounds.keys()):
                    break
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


def one_round(lab: Lab, kind: Kind, seed: int) -> list[str] | None:
    """Play one; the column and the text of its failure, if it fails."""
    try:
        kind.play(lab, seed)
    except Failed as error:
        column = next(name for name, each in COLUMNS.items() if isinstance(error, each))
        return [column, str(error)]
    except Exception:  # noqa: BLE001 - the torture itself has a bug; the others go on
        return ["other", traceback.format_exc()]
    return None


def memory() -> str | None:
    """A folder in memory: what a kill leaves is the same there, and a disk is slow."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass
class Tally:
    """What was tried, and what came of it, by row and column of the table."""

    tried: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    begun: float = field(default_factory=time.monotonic)

    def add(self, told: dict[str, Any]) -> None:
        """Count a round, and print its failure."""
        row, counts = KINDS[told["kind"]].row, told["counts"]
        for what, count in counts.items():
            self.tried[row if what == "kills" else what] += count
        if not told["failure"]:
            return
        column, text = told["failure"]
        name, is_input, _ = text.partition(", input ")
        row = f"inputs: {name}" if is_input else row
        self.failed[row, column] += 1
        again = f"PYTHONPATH=tests .venv/bin/python -m torture --kind {told['kind']}"
        print(f"\n{text}\n\nTo repeat it: {again} --seed {told['seed']}\n", flush=True)

    def add_cut(self, worker: Worker, column: str, why: str) -> None:
        """Count a round that its worker began and did not end, if there is one."""
        if worker.playing is not None:
            self.add(worker.playing | {"counts": {}, "failure": [column, why]})
            worker.playing = None

    def line(self) -> str:
        """What was tried so far."""
        inputs = sum(count for row, count in self.tried.items() if row.startswith("inputs"))
        others = [(row, n) for row, n in self.tried.items() if not row.startswith("inputs")]
        parts = [f"{count:,} {row}" for row, count in sorted([*others, ("inputs", inputs)])]
        failed = self.failed.total()
        return f"{time.monotonic() - self.begun:6.0f} s: {', '.join(parts)}; {failed} failed"

    def table(self, markdown: bool) -> str:
        """A row for each kind of accident."""
        names = sorted({*self.tried, *(row for row, _ in self.failed)})
        head = ["what", "tried", *COLUMNS]
        rows = [
            [name, f"{self.tried[name]:,}", *(str(self.failed[name, c]) for c in COLUMNS)]
            for name in names
        ]
        sums = [str(sum(self.failed[name, column] for name in names)) for column in COLUMNS]
        rows.append(["in all", f"{self.tried.total():,}", *sums])
        if markdown:
            lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
            return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        width = max(len(row[0]) for row in rows)
        return "\n".join(
            f"{cells[0]:{width}}" + "".join(f"{cell:>12}" for cell in cells[1:])
            for cells in [head, *rows]
        )


@dataclass
class Worker:
    """A process that plays rounds.

    Args:
        process: prints a line of JSON when a round begins, and one when it ends.
        told: gets these lines as values, then None, each with this worker.
        playing: the round that has begun and not ended.
    """

    process: subprocess.Popen[str]
    told: queue.Queue[tuple[Worker, dict[str, Any] | None]]
    playing: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.put((self, json.loads(line)))
        self.told.put((self, None))

    def end(self) -> int:
        """End the process, if it has not ended; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def started(command: list[str], told: queue.Queue[Any]) -> Worker:
    environ = os.environ | {"PYTHONPATH": str(HERE)}
    return Worker(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True), told)


def watch(tally: Tally, workers: list[Worker], told: queue.Queue[Any], give_up: float) -> bool:
    """Count what workers tell until they end, or are given up; whether all ended well.

    Args:
        give_up: when, by the monotonic clock.
    """
    left, said = [*workers], 0.0
    pause = 5 if sys.stderr.isatty() else 60
    is_well = True
    try:
        while left and time.monotonic() < give_up:
            with suppress(queue.Empty):
                worker, line = told.get(timeout=1)
                if line is None:
                    left.remove(worker)
                    code = worker.process.wait()
                    is_well &= code == 0
                    tally.add_cut(worker, "other", f"The worker died: exit code {code}.")
                elif "counts" in line:
                    worker.playing = None
                    tally.add(line)
                else:
                    worker.playing = line
            if time.monotonic() > said + pause:
                said = time.monotonic()
                print(tally.line(), file=sys.stderr, flush=True)
        for worker in left:
            is_well = False
            tally.add_cut(worker, "hangs", "The round did not end.")
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
    finally:
        for worker in workers:
            worker.end()
    return is_well


def run(arguments: argparse.Namespace) -> int:
    """Start the workers, count what they tell, print the table."""
    tally, told = Tally(), queue.Queue[Any]()
    workers = []
    for number in range(arguments.workers):
        command = [sys.executable, "-m", "torture", "--worker", str(number)]
        for name in ("workers", "seed", "minutes", "kind"):
            command += [f"--{name}", str(getattr(arguments, name))]
        workers.append(started(command, told))
    give_up = time.monotonic() + arguments.minutes * 60 + GRACE_SECONDS
    is_well = watch(tally, workers, told, give_up)
    print(tally.table(arguments.markdown))
    if "full disks" not in tally.tried and arguments.kind in ("", "full"):
        print("Full disks were left out: no disk may be mounted here.")
    return int(tally.failed.total() > 0 or not is_well or not tally.tried)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0, help="0: one round of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the first rounds")
    parser.add_argument("--kind", default="", choices=["", *KINDS], help="this one alone")
    parser.add_argument("--workers", type=int, default=0, help="processes; by default one per core")
    parser.add_argument("--markdown", action="store_true", help="print the table for the docs")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        work(given.worker, given.workers, given.seed, given.minutes, given.kind)
        return 0
    one = given.kind and not given.minutes
    given.workers = given.workers or (1 if one else os.cpu_count() or 1)
    return run(given)


if __name__ == "__main__":
    sys.exit(main())
