"""Classes that look alike: find them, and say which command joins them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

from dlcli.data.photos.photos import Photos
from dlcli.files.paths import quoted
from dlcli.progress import say


def look_alikes(classes: Iterable[str]) -> list[tuple[str, ...]]:
    """Classes whose names differ only by case, width, Unicode form, or spaces around them.

    Returns:
        each group, sorted.
    """
    groups: dict[str, list[str]] = {}
    for name in classes:
        visible = "".join(c for c in name if unicodedata.category(c) != "Cf")
        plain = unicodedata.normalize("NFKC", visible).strip()
        groups.setdefault(unicodedata.normalize("NFKC", plain.casefold()), []).append(name)
    return [tuple(sorted(names)) for names in groups.values() if len(names) > 1]


def say_look_alikes(dataset: Photos, *, once: bool = False) -> None:
    """Say which classes may be one, and what joins them.

    Args:
        once: whether to say it only if this process has not said it yet: a ladder trains many
            times on one dataset.
    """
    groups = look_alikes(dataset.classes)
    labels = Counter(dataset.labels("train")) if groups else Counter[str]()
    for names in groups:
        kept = max(names, key=lambda name: labels[name])
        commands = []
        for split in ("train", "valid"):
            folder = dataset.root / split
            present = set(dataset.labels(split))
            for name in names:
                if name != kept and name in present:
                    goal = f"{quoted(folder / kept)}/"
                    commands.append(f"mkdir -p {goal}")
                    commands.append(f"mv -n {quoted(folder / name)}/* {goal}")
        listed = " and ".join(map(ascii, names))  # which shows what looks the same
        say(
            f"Warning: the classes {listed} differ only in case, spaces or Unicode form. To join "
            f"them: `{' && '.join(dict.fromkeys(commands))}`",
            once=once,
        )
