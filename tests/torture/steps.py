"""Random operations of a user and of `dl`, in random order, some of them struck down.

After each of them every content is still there, and nothing has changed outside of what the command
works on. In the end all is settled: no leftover, and `dl data ls` counts what lies there.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from random import Random

from support.small_folders import plant
from torture.kills import CODES
from torture.lab import Failed, Lab, Seen
from torture.scenes import NOTES, archive, classes, content, csv, flat, names

STRIKES = ("kill", "kill", "full", "error", "interrupt")
SPLITS = ("train", "valid", "test")


class Walk:
    """A user's walk through `dl data`.

    Args:
        lab: with an empty home.
        seed: of every choice.
    """

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.random = lab, Random(seed)
        self.home = lab.home
        self.made = 0
        self.copies: set[str] = set()
        lab.clear()
        lab.typed.append(f"# walk, seed {seed}")
        plant(self.home, NOTES)
        (self.home / "elsewhere").mkdir()

    def go(self, steps: int) -> None:
        """Do some steps, then settle all."""
        doings = [
            (self.download, 3),
            (self.organize, 4),
            (self.split, 4),
            (self.undo, 5),
            (self.sample, 4),
            (self.look, 2),
            (self.rename, 1),
            (self.copy, 1),
            (self.link_root, 1),
            (self.link_class, 1),
            (self.link_photo, 1),
            (self.add, 2),
            (self.remove, 1),
            (self.edit, 1),
            (self.hide, 1),
        ]
        self.download()
        self.organize()
        for _ in range(steps):
            (do,) = self.random.choices([do for do, _ in doings], [often for _, often in doings])
            do()
            self.lab.counts["random operations"] += 1
        self.settle()

    # What the user does.

    def new(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"

    def say(self, what: object) -> None:
        self.lab.typed.append(f"# {what}")

    def download(self) -> None:
        """Something to organise comes: a folder, or an archive."""
        name, rng = self.new("got"), self.random
        make = rng.choice([flat, csv, classes, archive])
        if make is archive:
            plant(self.home, {f"{name}.zip": archive(rng)})
        else:
            plant(self.home, make(rng, f"{name}/"))
        self.say(f"{make.__name__} {name} comes")

    def rename(self) -> None:
        """A dataset gets another name."""
        if name := self.dataset():
            new = self.new("renamed")
            (self.home / "data" / name).rename(self.home / "data" / new)
            if name in self.copies:
                self.copies.add(new)
            self.say(f"mv data/{name} data/{new}")

    def copy(self) -> None:
        """A dataset is copied, with all that is hidden in it."""
        if name := self.dataset():
            new = self.new("copied")
            shutil.copytree(self.home / "data" / name, self.home / "data" / new, symlinks=True)
            self.copies.add(new)
            self.say(f"cp -a data/{name} data/{new}")

    def link_root(self) -> None:
        """A dataset moves to another disk, and a link stays in its place."""
        if (name := self.dataset()) and not (self.home / "data" / name).is_symlink():
            place = self.home / "elsewhere" / self.new("disk")
            (self.home / "data" / name).rename(place)
            (self.home / "data" / name).symlink_to(place)
            self.say(f"data/{name} -> {place.name}")

    def link_class(self) -> None:
        """A class becomes a link into a pool that others use, too."""
        if name := self.dataset():
            folders = sorted((self.home / "data" / name / "train").glob("*/"))
            folders = [each for each in folders if not each.is_symlink()]
            if folders:
                folder, pool = (
                    self.random.choice(folders),
                    self.home / "elsewhere" / self.new("pool"),
                )
                folder.rename(pool)
                folder.symlink_to(pool)
                self.say(f"{folder.relative_to(self.home)} -> {pool.name}")

    def link_photo(self) -> None:
        """A photo becomes a link to where it lies now."""
        if photo := self.photo():
            place = self.home / "elsewhere" / f"{self.new('photo')}.jpg"
            photo.rename(place)
            photo.symlink_to(place)
            self.say(f"{photo.relative_to(self.home)!s:.60} -> {place.name}")

    def add(self) -> None:
        """Another photo comes to a class."""
        if photo := self.photo():
            new = photo.with_name(f"{self.new('new')} {names(self.random, 1)[0]}")
            new.write_bytes(content(self.random))
            self.say(f"{new.relative_to(self.home)} comes")

    def remove(self) -> None:
        """The user removes a photo."""
        if photo := self.photo():
            photo.unlink()
            self.say(f"rm {photo.relative_to(self.home)}")

    def edit(self) -> None:
        """The user changes a photo, maybe a copy that `dl` made."""
        if photo := self.photo():
            data = content(self.random)
            photo.unlink()
            photo.write_bytes(data)
            os.utime(photo, (time.time() + 60,) * 2)  # that is how `dl` knows a changed copy
            self.say(f"{photo.relative_to(self.home)} changes")

    def hide(self) -> None:
        """The user keeps something where `dl` keeps its own."""
        if name := self.dataset():
            own = self.random.choice([".dl/mine.txt", ".dl/.hidden", ".dl-1-notes.txt", ".partial"])
            plant(self.home / "data" / name, {own: content(self.random)})
            self.say(f"data/{name}/{own} comes")

    # What `dl` does.

    def organize(self) -> None:
        """Of a download or an archive, in one of the ways there are."""
        found = sorted(each.name for each in self.home.glob("got*"))
        if not found:
            return
        source, rng = self.random.choice(found), self.random
        target = self.dataset() if rng.random() < 0.2 else None
        target = target or self.new("set")
        how = rng.choice([(), (), ("--move",), ("--link",)])
        if rng.random() < 0.1:
            self.dl(("data", "organize", source, f"./{source}"), (source,))
            return
        changes = [target]
        if "--move" in how or (self.home / "data" / target).exists():
            changes.append("../" + source)
        self.dl(("data", "organize", source, target, *how), tuple(changes), inside="data/")

    def split(self) -> None:
        """Of some dataset, or of one that is none."""
        if name := self.dataset():
            size = self.random.choice(["1", "3", "0.3", "1000"])
            self.dl(("data", "split", name, "--valid", size), self.works_on(name), inside="data/")

    def sample(self) -> None:
        """Of some dataset."""
        if name := self.dataset():
            sizes = [str(self.random.randint(2, 8)), str(self.random.randint(1, 4))]
            words = ("data", "sample", name, "--train", sizes[0], "--valid", sizes[1])
            if self.random.random() < 0.5:
                words = (*words, "--replace")
            self.dl(words, self.works_on(name), inside="data/")

    def undo(self) -> None:
        """The last operation on some dataset; it may move back to where the files were."""
        if name := self.dataset():
            # of a renamed dataset, what came from an archive goes back to its hidden folder; told
            self.dl(("data", "undo", name), (*self.works_on(name), ".set"), inside="data/")

    def works_on(self, name: str) -> tuple[str, ...]:
        """Where a command on a dataset may change something.

        A copy has no right to what its original was made of.
        """
        own = (name, f"{name}-sample", f".{name}-sample")
        return own if name in self.copies else (*own, "../got")

    def look(self) -> None:
        """What there is."""
        name = self.dataset()
        self.dl(("data", "ls", *([name] if name else [])), ("data/", "got", "elsewhere/disk"))

    # What must hold.

    def dl(self, words: tuple[str, ...], changes: tuple[str, ...], inside: str = "") -> None:
        """Type a command, perhaps one that is struck down, and see that nothing is lost."""
        kept, first, codes = Seen.of(self.home).without(), "", ""
        if self.random.random() < 0.3:
            how = self.random.choice(STRIKES)
            number = int(2 ** self.random.uniform(0, 7))
            first, codes = f"strike({how!r}, {number}, {str(self.home)!r})", CODES[how]
        roots = [os.path.normpath(inside + each) for each in changes]
        roots += [
            os.path.relpath(os.path.realpath(self.home / root), self.home)
            for root in roots
            if (self.home / root).is_symlink()
        ]
        temporary = (f"{inside}.dl-", *(f"data/.{each}" for each in changes))
        self.lab.dl(*words, first=first, codes=codes)
        self.lab.require(kept, (*roots, *temporary))

    def settle(self) -> None:
        """Finish what is pending, and count."""
        for name in self.datasets():
            self.dl(("data", "undo", name), ("data/", "got", "elsewhere/disk"))
        for name in [name for name in self.datasets() if self.pending(name)]:
            self.lab.dl("data", "undo", name, "--drop", "--yes")
            if left := self.pending(name):
                raise Failed(self.lab.story(f"can't be finished, undone or dropped: {left}"))
        for name in self.datasets():
            self.listed(name)

    def pending(self, name: str) -> list[Path]:
        """The journals of what was not finished."""
        found = (self.home / "data" / name).glob(".dl/*")
        return [each for each in found if each.suffix in (".undoing", ".pending")]

    def listed(self, name: str) -> None:
        """See that all photos of a dataset are counted, each once."""
        said = self.lab.dl("data", "ls", name, "--json")
        if said.exit_code or not said.stdout.strip():
            return
        told = json.loads(said.stdout)
        root = self.home / "data" / name
        lie = Counter(split for split in SPLITS for _ in photos(root / split))
        for split in SPLITS:
            if told[split] != lie[split]:
                text = f"{name}/{split}: {told[split]} told, {lie[split]} there"
                raise Failed(self.lab.story(text))

    # What there is.

    def datasets(self) -> list[str]:
        """The names of all datasets but the one that nothing touches."""
        found = (self.home / "data").glob("*/")
        return sorted(each.name for each in found if each.name[0] != "." and each.name != "other")

    def dataset(self) -> str | None:
        """The name of one of them."""
        found = self.datasets()
        return self.random.choice(found) if found else None

    def photo(self) -> Path | None:
        """A file of a dataset that is no link and in no linked folder."""
        name = self.dataset()
        found = photos(self.home / "data" / name / "train") if name else []
        found = [each for each in found if not each.is_symlink() and not each.parent.is_symlink()]
        return self.random.choice(found) if found else None


def photos(folder: Path) -> list[Path]:
    """Images below a folder of one split, in linked folders too; hidden ones are left out."""
    return sorted(
        Path(above, name)
        for above, _, found in os.walk(folder, followlinks=True)
        for name in found
        if name.endswith(".jpg") and "/." not in f"{above.removeprefix(str(folder))}/{name}"
    )
