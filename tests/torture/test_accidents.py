"""A small part of `make torture`, with fixed seeds: each kind of accident, on each command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.forked_commands import Forks
from torture import hostile, low, together
from torture.kills import play, sizes
from torture.lab import FOR_FILES, Failed, Lab, Lost, Seen
from torture.scenes import HEAVY, LIGHT
from torture.steps import Walk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """What forks commands that need no backend."""
    forks = Forks(tmp_path_factory.mktemp("light"), FOR_FILES)
    yield forks
    forks.stop()


@pytest.fixture
def lab(
    home: Path, light: Forks, forking: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Lab:
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    return Lab(home, light, forking)


@pytest.mark.parametrize("name", LIGHT)
def test_killed_before_a_change_the_next_command_ends_as_if_nothing_had_been(
    lab: Lab, name: str
) -> None:
    numbers = range(2 + LIGHT.index(name) % 5, 200, 41)
    if name == "evaluate":  # while it draws figures, which takes seconds
        numbers = range(22, 23)
    assert play(lab, name, "kill", 1, numbers) > 0


@pytest.mark.parametrize(
    ("how", "name"),
    [("full", "organize"), ("error", "split"), ("interrupt", "sample"), ("cut", "submit")],
)
def test_other_accidents_leave_a_sentence_and_all_files(lab: Lab, how: str, name: str) -> None:
    numbers = sizes(2, 4) if how == "cut" else range(3, 200, 47)
    assert play(lab, name, how, 2, numbers) > 0


@pytest.mark.usefixtures("small_backbone")
@pytest.mark.parametrize("name", ["features", "features-rm"])
def test_killed_features_are_computed_or_removed_by_the_next_command(lab: Lab, name: str) -> None:
    assert name in HEAVY
    assert play(lab, name, "kill", 1, (23,)) > 0


@pytest.mark.parametrize("seed", (0, 1, 3))
def test_random_operations_lose_nothing_and_touch_nothing_else(lab: Lab, seed: int) -> None:
    Walk(lab, seed).go(15)
    assert lab.counts["random operations"] == 15


@pytest.mark.parametrize("seed", range(2))
def test_simultaneous_commands_wait_or_are_told(lab: Lab, seed: int) -> None:
    together.rush(lab, seed)


@pytest.mark.parametrize("kind", low.KINDS)
def test_with_little_of_something_a_command_says_what_is_missing(lab: Lab, kind: str) -> None:
    for seed in (1, 2):
        low.squeeze(lab, LIGHT[(low.KINDS.index(kind) * 5 + seed) % len(LIGHT)], kind, seed)


def test_a_full_disk_loses_nothing(lab: Lab) -> None:
    try:
        with low.small_disk(lab.home, 1 << 20):
            pass
    except OSError as error:  # a right, not a tool that could be installed
        pytest.skip(str(error))
    for seed, name in enumerate(("organize", "split", "submit", "config-set")):
        low.fill(lab, name, seed)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_what_links_lead_to_stays_as_it_is(lab: Lab, seed: int) -> None:
    hostile.any_trap(lab, seed)
    assert lab.counts["hostile folders"] == 1


def test_the_lab_sees_a_lost_file_and_a_changed_one(lab: Lab) -> None:
    for name in ("kept.txt", "mine/changed.txt"):
        (lab.home / name).parent.mkdir(exist_ok=True)
        (lab.home / name).write_text(name)
    kept = Seen.of(lab.home)
    lab.require(kept)
    (lab.home / "mine/new.txt").write_text("new")
    with pytest.raises(Failed, match=r"written outside of \(\): \['mine/new.txt'\]"):
        lab.require(kept)
    lab.require(kept, ["mine/"])
    (lab.home / "mine/changed.txt").rename(lab.home / "mine/other.txt")
    lab.require(kept, ["mine/"])
    with pytest.raises(Lost, match="changed, outside of"):
        lab.require(kept, ["mine/new"])
    (lab.home / "mine/other.txt").write_text("else")
    with pytest.raises(Lost, match=r"lost: \['mine/changed.txt'\]"):
        lab.require(kept, ["mine/"])


def test_the_lab_sees_a_traceback(lab: Lab) -> None:
    with pytest.raises(Failed, match="ZeroDivisionError"):
        lab.dl("--version", first="1 / 0")
