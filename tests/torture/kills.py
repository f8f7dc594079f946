"""Strike a command down at one change of the disk after another, and see what the next one does."""

from __future__ import annotations

import csv
import re
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path
from random import Random

from support.children import STRUCK
from support.command_result import Result
from torture.lab import STAMP, Failed, Lab, Seen, difference
from torture.scenes import NOTHING_LEFT, SCENES, Scene

HOWS = ("kill", "kill", "kill", "kill", "cut", "full", "error", "interrupt")
CODES = {
    "kill": f"-{signal.SIGKILL}",
    "full": "",
    "error": "",
    "interrupt": "130",
    "moment": f"-{signal.SIGKILL}",
    "cut": f"-{signal.SIGXFSZ}|-{signal.SIGKILL}",
}


# Another number may strike yet.
TRIED_ON = ("cut", "moment")
# A file that was being written: its name holds the process, the machine and a random part.
TEMPORARY = r"((?:.*?/)?\.dl-\d+-[0-9a-f]{8}-[0-9a-f]{8})([-/].*)?"


class Act:
    """A scene, played again and again in one home."""

    def __init__(self, lab: Lab, name: str, seed: int) -> None:
        self.lab, self.name, self.seed = lab, name, seed
        self.scene: Scene = SCENES[name]
        self.kept = lab.home.with_name(f"{lab.home.name}-kept")

    def set_up(self) -> Seen:
        """Make the home as it was at first; what of it may not be lost."""
        home, scene = self.lab.home, self.scene
        self.lab.clear()
        if scene.once and self.kept.is_dir():
            shutil.copytree(self.kept, home, symlinks=True, dirs_exist_ok=True)
        else:
            scene.make(home, Random(self.seed))
            for words in scene.before:
                if self.run(words).exit_code:
                    raise Failed(self.lab.story("the scene can't be set"))
            if scene.once:
                shutil.copytree(home, self.kept, symlinks=True)
        self.lab.typed[:] = [f"# {self.name}, seed {self.seed}"]
        return Seen.of(home).without(*scene.own)

    def expected(self) -> dict[str, str]:
        """What comes of it if nothing happens."""
        self.set_up()
        self.run(self.words())
        return Seen.of(self.lab.home).result()

    def words(self) -> tuple[str, ...]:
        """What is typed; RUN is the newest there is."""
        return tuple(self.runs()[-1].name if word == "RUN" else word for word in self.scene.words)

    def runs(self) -> list[Path]:
        """The folders of runs."""
        return sorted(each for each in self.lab.home.glob("runs/*/*") if STAMP.match(each.name))

    def run(self, words: tuple[str, ...], first: str = "", codes: str = "") -> Result:
        return self.lab.dl(*words, first=first, codes=codes, heavy=self.scene.heavy)

    def struck(self, how: str, number: int, expected: dict[str, str]) -> bool:
        """Play it, strike at a change, then go on; False if the command had fewer changes."""
        lab, scene = self.lab, self.scene
        start, before = self.set_up(), self.runs()
        first = f"strike({how!r}, {number}, {str(lab.home)!r})"
        done = self.run(self.words(), first, CODES[how])
        if done.exit_code >= 0 and STRUCK not in done.stderr and how not in TRIED_ON:
            return False
        if done.exit_code == 0 and how in TRIED_ON:
            return True
        lab.counts["kills" if done.exit_code < 0 else "faults"] += 1
        lab.require(start, scene.changes)
        for words in scene.reads:
            self.run(words)
            lab.require(start, scene.changes)
        self.go_on(before)
        lab.require(start, scene.changes)
        found = Seen.of(lab.home).result()
        hidden = set()
        for name in found.keys() - expected.keys():
            if temporary := re.fullmatch(TEMPORARY, name):
                hidden.add(temporary[1])
            if temporary or re.fullmatch(scene.leaves, name):
                del found[name]
        if len(hidden) > 1:
            raise Failed(lab.story(f"more than one hidden file is left: {sorted(hidden)}"))
        if wrong := difference(expected, found):
            raise Failed(lab.story(f"not as if nothing had been:\n{wrong}"))
        return True

    def go_on(self, before: list[Path]) -> None:
        """Type what one would type next."""
        if self.scene.words[0] not in ("train", "ensemble"):
            self.told_or_done(self.words())
            return
        listed = list(csv.DictReader(self.run(("runs", "--all", "--csv")).stdout.splitlines()))
        known = {row["run"]: row["state"] for row in listed}
        for run in [each for each in self.runs() if each not in before and each.name in known]:
            if known[run.name] != "damaged" and self.told_or_done(("resume", run.name)):
                return
            self.run(("runs", "rm", "--yes", run.name))
        self.told_or_done(self.words())

    def told_or_done(self, words: tuple[str, ...]) -> bool:
        """Type a command, which ends well or says what to type."""
        done = self.run(words)
        if done.exit_code and self.name not in NOTHING_LEFT and "`dl " not in done.stderr:
            raise Failed(self.lab.story(f"no command to type next:\n{done.stderr}"))
        return done.exit_code == 0

    def close(self) -> None:
        """Remove what was kept."""
        shutil.rmtree(self.kept, ignore_errors=True)


def play(lab: Lab, name: str, how: str, seed: int, numbers: Iterable[int]) -> int:
    """Strike a scene at these changes, until it has no more; how often it was struck."""
    act, times = Act(lab, name, seed), 0
    try:
        expected = act.expected()
        for number in numbers:
            if not act.struck(how, number, expected):
                break
            times += 1
    finally:
        act.close()
    return times


def sizes(seed: int, count: int) -> list[int]:
    """Sizes of a file at which it is cut off, most of them small."""
    rng = Random(seed)
    return [int(2 ** rng.uniform(0, 17)) for _ in range(count)]
